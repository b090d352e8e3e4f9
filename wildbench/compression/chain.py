"""Running a recipe: a dense submission in, a smaller one out that remembers where it came from."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import nn

from wildbench.compression.recipes import Recipe
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.errors import RecipeError, SubmissionError
from wildbench.files import check_writable, sha256_of
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import read_submission, rebuild, save_submission
from wildbench.submissions.devices import resolve
from wildbench.submissions.formats import sniff

SUFFIXES = (".pt", ".onnx")


@dataclass(frozen=True)
class Compressed:
    """What a run made.

    Attributes:
        path: The submission.
        method: What was done, as its manifest says.
        before: Bytes of the dense file.
        after: Bytes of this file.
    """

    path: Path
    method: str
    before: int
    after: int

    @property
    def ratio(self) -> float:
        """Old size over new size."""
        return self.before / self.after


class LazyWorkshop(Workshop):
    """A workshop that loads the data when a step first asks for them: most pruning needs none."""

    def __init__(
        self,
        teacher: nn.Module,
        load: Callable[[], Dataset],
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress = silent,
    ) -> None:
        own = {"teacher": teacher, "load": load, "seed": seed, "device": device, "progress": progress}
        self.__dict__.update(own)

    @cached_property
    def data(self) -> Dataset:
        """What steps calibrate and train on."""
        found: Dataset = self.__dict__["load"]()
        return found

    @property
    def used(self) -> Dataset | None:
        """The data, where a step asked for them."""
        return self.__dict__.get("data")


def run(
    recipe: Recipe,
    dense: Path,
    out: Path,
    *,
    dataset: str | None = None,
    images: Path | None = None,
    split: str | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Compressed:
    """Make a smaller submission of a dense one.

    Args:
        recipe: What to do.
        dense: A `.pt` of our own format.
        out: What to write: ".pt", or ".onnx" for a quantized detector that runs in int8.
        dataset: Instead of the recipe's, for steps that calibrate or train.
        images: Folder of its images.
        split: Instead of the recipe's.
        seed: Of everything random.
        device: For training: "auto", "cpu", "cuda" or "cuda:N".
        progress: Called as `progress(task, done, total)`.

    Returns:
        What was written. It was read again, and holds every number that the steps left.

    Raises:
        WildbenchError: What the user can mend, in one line; nothing is written then.
    """
    if out.suffix not in SUFFIXES:
        raise RecipeError(f"{out}: no suffix of a submission", remedy=f"name it {out.stem}.pt or {out.stem}.onnx")
    check_writable(out)
    subject, teacher = _open(dense)
    where = resolve(device, "torch", lambda number: number < torch.cuda.device_count())
    load = partial(
        load_dataset,
        dataset or recipe.data.dataset,
        split=split or recipe.data.split,
        images=images,
        progress=progress,
    )
    workshop = LazyWorkshop(teacher, load, seed=seed, device=where, progress=progress)
    for number, step in enumerate(recipe.steps, 1):
        try:
            step.kind.apply(subject, step.settings, workshop)
        except RecipeError as error:
            place = f"{recipe.place}: step {number} ({step.method})"
            raise RecipeError(f"{place}: {error.what}", remedy=error.remedy) from None
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}.") as folder:
        written = Path(folder) / out.name
        _write(subject, written, parent=sha256_of(dense), trained_on=workshop.used)
        written.replace(out)
    return Compressed(out, _method(subject), dense.stat().st_size, out.stat().st_size)


def _open(dense: Path) -> tuple[Subject, nn.Module]:
    """The detector of a submission, to work on, and once more to compare with."""
    if sniff(dense) != "wildbench":
        raise SubmissionError(
            f"{dense}: only a .pt of wildbench's own format can be compressed", remedy="save it by save_submission"
        )
    archive = read_submission(dense)
    teacher = rebuild(archive, str(dense)).requires_grad_(requires_grad=False)
    model = copy.deepcopy(teacher).requires_grad_()
    return Subject(model, archive.manifest, history=_past(archive.manifest.parent, archive.manifest.method)), teacher


def _past(parent: str | None, method: str | None) -> list[str]:
    """What was done before, where the detector to compress is a compressed one."""
    return [method] if parent is not None and method is not None else []


def _method(subject: Subject) -> str:
    return "; ".join(subject.history)


def _write(subject: Subject, path: Path, *, parent: str, trained_on: Dataset | None) -> None:
    manifest = subject.manifest
    seen = manifest.training_data
    if trained_on is not None:
        name = " ".join(filter(None, (trained_on.name, trained_on.split)))
        seen = "; ".join(dict.fromkeys(filter(None, (seen, name))))
    subject.model.eval()
    save_submission(
        subject.model,
        path,
        detector=manifest.detector.name,
        arguments=manifest.detector.arguments,
        categories=manifest.categories,
        codec={**subject.records, "*": subject.codec},
        authors=manifest.authors,
        licence=manifest.licence,
        category_map=manifest.category_map,
        input=manifest.input,
        output=manifest.output,
        method=_method(subject),
        training_data=seen,
        parent=parent,
    )
    check_same(subject.model, path)


def check_same(model: nn.Module, path: Path) -> None:
    """Check that a written submission decodes to the very numbers of a model (of zeros the sign is not kept).

    Raises:
        SubmissionError: A tensor came out different: a step promised a record that says something else.
    """
    stored = read_submission(path).tensors
    for name, tensor in model.state_dict().items():
        if not torch.equal(stored[name], tensor):
            raise SubmissionError(
                f"{path.name}: {name} is not stored as the steps left it",
                remedy="this is a fault of a method: let no step follow one that quantizes",
            )
