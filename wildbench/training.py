"""From a recipe to a submission: the data set is loaded, the detector trained, the file written."""

from __future__ import annotations

from pathlib import Path

import torch

from wildbench.datasets.registry import load_training
from wildbench.detectors import load_recipe, parse_recipe
from wildbench.detectors import train as train_network
from wildbench.errors import RecipeError
from wildbench.files import check_writable
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import save_submission
from wildbench.submissions.formats import resolve_device
from wildbench.submissions.manifest import Manifest


def train(
    recipe: Path | str,
    out: Path | str,
    *,
    dataset: Path | str | None = None,
    images: Path | str | None = None,
    split: str | None = None,
    split_file: Path | str | None = None,
    init: str | None = None,
    seed: int | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Manifest:
    """Train a detector by a recipe and save it as a submission.

    The checkpoint `OUT.checkpoint` is written while it trains, read again after an interruption, and removed at the
    end.

    Args:
        recipe: A TOML recipe, such as `baselines/reference.toml`.
        out: Submission to write; its suffix must be ".pt".
        dataset: Instead of the recipe's: a registered name, or the path of a COCO detection JSON.
        images: Folder of the images, where it is not near the JSON.
        split: Instead of the recipe's; the part that is tested is refused.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        init: Instead of the recipe's: "random", "imagenet" or "coco" (torchvision's published weights, fetched once).
        seed: Of everything random, instead of the recipe's.
        device: "auto" (CUDA where there is one), "cpu", "cuda" or "cuda:N".
        progress: Called as `progress(task, done, total)`.

    Returns:
        The submission's manifest.

    Raises:
        WildbenchError: The recipe, the data set, the device or the place to write to cannot be used.

    Example:
        >>> train("baselines/reference.toml", "mine.onnx")
        Traceback (most recent call last):
        wildbench.errors.RecipeError: mine.onnx: a submission's suffix is .pt; name it mine.pt
    """
    out, settings = Path(out), load_recipe(recipe)
    for option, section, value in (("init", "detector", init), ("seed", "schedule", seed)):
        if value is not None:
            changed = settings.model_dump(mode="json")
            changed[section][option] = value
            settings = parse_recipe(changed, f"--{option}")
    if out.suffix != ".pt":
        raise RecipeError(f"{out}: a submission's suffix is .pt", code="suffix", remedy=f"name it {out.stem}.pt")
    name = dataset or settings.data.dataset
    if name is None:
        remedy = "name one in its [data], or with --dataset"
        raise RecipeError(f"{recipe}: the recipe names no data set", code="no-dataset", remedy=remedy)
    check_writable(out)
    where = resolve_device(device, "torch", lambda number: number < torch.cuda.device_count())
    part = split or settings.data.split
    data = load_training(name, part, split_file=split_file, images=images, progress=progress)
    checkpoint = out.with_suffix(".checkpoint")
    model = train_network(settings, data, checkpoint=checkpoint, progress=progress, device=where)
    manifest = save_submission(
        model,
        out,
        detector=settings.detector.name,
        arguments=settings.detector.arguments,
        categories=data.category_names,
        method="none: the dense network",
        training_data=f"{data.name} {data.split}" if data.split else data.name,
        authors=settings.submission.authors,
        licence=settings.submission.licence,
    )
    checkpoint.unlink(missing_ok=True)
    return manifest
