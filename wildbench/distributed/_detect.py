"""`detect`: the shard of one submission on one data set, in as many processes as there are processors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from wildbench.datasets.coco import Dataset
from wildbench.datasets.image_files import images_near, locate
from wildbench.datasets.registry import load_dataset
from wildbench.distributed._crew import Ran, run_shard
from wildbench.distributed._job import Images, Job
from wildbench.distributed._remote import is_remote, pictures_at
from wildbench.distributed._shards import Shard, shard_of_environment
from wildbench.environment import usable_cpus
from wildbench.errors import DatasetError
from wildbench.evaluator import known_categories
from wildbench.files import check_writable
from wildbench.plugins import datasets
from wildbench.progress import Progress, silent

if TYPE_CHECKING:
    from wildbench.datasets.images import Pixels


def detect(
    submission: Path | str,
    *,
    dataset: Dataset | Path | str,
    out: Path | str,
    images: Path | str | None = None,
    split: str = "test",
    split_file: Path | str | None = None,
    limit: int | None = None,
    shard: Shard | str | None = None,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    workers: int | None = None,
    threads: int = 1,
    device: str = "auto",
    manifest: Path | str | None = None,
    adapter: Path | str | None = None,
    require_jail: bool = False,
    progress: Progress = silent,
) -> Ran:
    """Detect in one shard of a data set, and keep the detections as parts for `merge`.

    What `out` has already is not made again, so a run that was killed goes on where it was.

    Args:
        submission: As for `evaluate`; a file.
        dataset: A registered name, the path of a COCO detection JSON, or a `Dataset`.
        out: Folder of the parts; the shards of one job may share it.
        images: Folder or URL of the images, or tars of them; by default near the JSON.
        split: Split of a registered data set, or of `split_file`.
        split_file: Which images of a JSON are in which split.
        limit: Use only the first `limit` images.
        shard: Which images are this process's own, as "I/N"; None takes it from the scheduler's environment variables
            (SLURM, torchrun, Kubernetes), and all images where there are none.
        engine: Who runs the workers: this process, or a Ray cluster.
        address: Of the cluster: "auto", "ray://host:port"; None starts one on this machine.
        workers: Processes that detect; by default one for each `threads` processors, and one on a GPU.
        threads: CPU threads of each. They are part of the job, because the last digits may depend on them.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        manifest: As for `evaluate`.
        adapter: As for `evaluate`.
        require_jail: Open nothing where not every wall around the detector's process stands.
        progress: Called as `progress(task, done, total)`.

    Returns:
        How many images the shard has, how many were there before, and how many failed now.

    Raises:
        WildbenchError: What the user can mend, in one line; finished parts are kept.
    """
    from wildbench.distributed._worker import local_worker
    from wildbench.submissions.process import Sandbox

    own = shard_of_environment()[0] if shard is None else Shard.parse(shard) if isinstance(shard, str) else shard
    out = Path(out)
    check_writable(out / "part")
    data = load_dataset(
        dataset,
        split=split,
        split_file=split_file,
        images=None,
        limit=limit,
        with_images=is_registered(dataset) and images is None,
        progress=progress,
    )
    read = reader(data, images or (None if is_registered(dataset) else _near(dataset)), own)
    options: dict[str, Any] = {"manifest": manifest, "adapter": adapter, "require_jail": require_jail}
    start = partial(Sandbox, submission, device=device, threads=threads, **options)
    with start() as box:
        job, pictures = job_of(box, data, threads)
        many = workers or (max(usable_cpus() // threads, 1) if box.device == "cpu" else 1)
    if engine == "ray":
        from wildbench.distributed._ray import answers_on_ray

        labels = dict(job.labels)
        crew = [answers_on_ray(start, read, pictures.ids, labels, workers=many, threads=threads, address=address)]
    else:
        crew = [local_worker(start, read, pictures.ids, job.labels) for _ in range(many)]
    return run_shard(job, pictures, out, crew, shard=own, progress=progress)


def job_of(box: Any, data: Dataset, threads: int = 1) -> tuple[Job, Images]:  # noqa: ANN401
    """The job of an open detector on a data set, and its images."""
    admitted = box.admitted
    images = Images.of(data)
    labels = known_categories(admitted.manifest.label_names, data, admitted.manifest.name)
    names = {entry["id"]: entry["name"] for entry in data.categories}
    where = f"{data.name} {data.split}" if data.split else data.name
    job = Job(admitted.path.name, admitted.sha256, where, len(data.images), images.sha256, labels, names, threads)
    return job, images


def reader(data: Dataset, images: Path | str | None, shard: Shard) -> Callable[[int], Pixels]:
    """A function that gives the pixels of the image at a place; no picture is looked at before it is asked for.

    `images` is a folder, a URL or tars; None where the data set knows its folder.
    """
    from wildbench.datasets.images import decode

    if images is not None and is_remote(images):
        fetch = pictures_at(str(images))
        return lambda place: fetch(str(data.images[place]["file_name"]))
    if images is not None:
        folder = Path(images)
        if not folder.is_dir():
            raise DatasetError(f"{folder}: no such folder", code="no-image-folder", remedy="name the images' folder")
        located, _ = locate([data.images[place] for place in shard.places(len(data.images))], folder)
        data = replace(data, images_dir=folder, located=located)

    def read(place: int) -> Pixels:
        path = data.image_path(data.images[place])
        return decode(path, data.sums.get(path))

    return read


def is_registered(dataset: Dataset | Path | str) -> bool:
    """Whether its pictures are found by its card."""
    return isinstance(dataset, Dataset) or str(dataset) in datasets


def _near(dataset: Dataset | Path | str) -> Path:
    assert not isinstance(dataset, Dataset)
    return images_near(Path(dataset))
