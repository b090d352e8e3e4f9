"""Running a recipe: a dense submission in, a smaller one out that remembers where it came from."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wildbench.compression.recipes._catalogue import check_norms
from wildbench.compression.recipes._recipes import Recipe, check_integers, sees_data
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.detectors import load_recipe
from wildbench.errors import RecipeError, SubmissionError
from wildbench.files import check_writable, sha256_of
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import Archive, read_submission, rebuild, save_submission
from wildbench.submissions.contract import parse_manifest
from wildbench.submissions.devices import resolve
from wildbench.submissions.sniff import sniff

SUFFIXES = (".pt", ".onnx")

IMPOSING = ("codebook", "sparse")
"""Codecs of weights that were shared or pruned."""


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
    _check_out(out, dense, recipe)
    _check_data(recipe, {"dataset": dataset, "images": images, "split": split})
    archive = _read(dense)
    parent, before = sha256_of(dense), dense.stat().st_size
    _check_steps(recipe, archive, dense)
    subject, teacher = _opened(archive, dense)
    check_norms(recipe.steps, recipe.place, subject.model)
    parse_manifest(_manifest(subject, out.stem, parent, None), str(out))
    where = resolve(device, "torch", lambda number: number < torch.cuda.device_count())
    load = partial(
        load_dataset,
        dataset or recipe.data.dataset,
        split=split or recipe.data.split,
        images=images,
        progress=progress,
    )
    workshop = Workshop(teacher, load, seed=seed, device=where, progress=progress)
    for number, step in enumerate(recipe.steps, 1):
        try:
            step.kind.apply(subject, step.settings, workshop)
        except RecipeError as error:
            place = f"{recipe.place}: step {number} ({step.method})"
            raise RecipeError(f"{place}: {error.what}", remedy=error.remedy) from None
    save(subject, out, parent=parent, trained_on=workshop.used)
    return Compressed(out, _method(subject), before, out.stat().st_size)


def save(subject: Subject, out: Path, *, parent: str, trained_on: Dataset | None = None) -> None:
    """Write what steps left, whole or not at all, after reading it again.

    Args:
        subject: After the last step.
        out: ".pt", or ".onnx".
        parent: Hash of the dense file.
        trained_on: Data that steps have seen, beside those that the dense detector was trained on.

    Raises:
        RecipeError: An ONNX graph of a detector that is not quantized.
        SubmissionError: A step promised a record that says something else than the model.
    """
    subject.model.eval()
    manifest = _manifest(subject, out.stem, parent, trained_on)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".wildbench-") as folder:
        written = Path(folder) / out.name
        if out.suffix == ".onnx":
            from wildbench.compression.quantization import export

            export(subject, written, parse_manifest(manifest, out.name))
        else:
            _save_archive(subject, written, manifest)
        written.replace(out)


def _save_archive(subject: Subject, path: Path, manifest: dict[str, Any]) -> None:
    detector = manifest["detector"]
    save_submission(
        subject.model,
        path,
        detector=detector["name"],
        arguments=detector["arguments"],
        codec={**subject.records, "*": subject.codec},
        activations=subject.activations,
        **{key: value for key, value in manifest.items() if key != "detector"},
    )
    check_same(subject.model, path)


def check_same(model: nn.Module, path: Path) -> None:
    """Check that a written submission decodes to the very numbers of a model (of zeros the sign is not kept).

    Raises:
        SubmissionError: A tensor came out different.
    """
    stored = read_submission(path).tensors
    for name, tensor in model.state_dict().items():
        if not torch.equal(stored[name], tensor):
            raise SubmissionError(
                f"{path.name}: {name} is not stored as the steps left it",
                remedy="let no step change what a step before it has quantized",
            )


def _check_out(out: Path, dense: Path, recipe: Recipe) -> None:
    """Refuse a file that could not be written when all is done."""
    if out.suffix not in SUFFIXES:
        raise RecipeError(f"{out}: no suffix of a submission", remedy=f"name it {out.stem}.pt or {out.stem}.onnx")
    check_writable(out)
    if out.exists() and dense.exists() and out.samefile(dense):
        raise RecipeError(f"{out} is the dense submission itself", remedy="give the smaller one another name")
    if out.suffix == ".onnx":
        check_integers(recipe, str(out))


def _check_data(recipe: Recipe, given: Mapping[str, object]) -> None:
    """Refuse data that no step would see, and training recipes that cannot be read when it is their turn."""
    unused = next((name for name, value in given.items() if value is not None), None)
    if unused is not None and not sees_data(recipe):
        raise RecipeError(f"--{unused}: no step of {recipe.name} calibrates or trains", remedy="leave it out")
    for step in recipe.steps:
        like = getattr(step.settings, "like", None)
        if like is not None:
            load_recipe(like)


def _read(dense: Path) -> Archive:
    """A submission that can be compressed."""
    if sniff(dense) != "wildbench":
        raise SubmissionError(
            f"{dense}: only a .pt of wildbench's own format can be compressed", remedy="save it by save_submission"
        )
    archive = read_submission(dense)
    if archive.activations:
        raise SubmissionError(f"{dense}: its activations are quantized already", remedy="start from the dense detector")
    if any(record["codec"] == "affine" for record in archive.records.values()):
        raise SubmissionError(f"{dense}: its weights are quantized already", remedy="start from the dense detector")
    bad = next((name for name, tensor in archive.tensors.items() if not bool(tensor.isfinite().all())), None)
    if bad is not None:
        raise SubmissionError(f"{dense}: {bad} is not finite everywhere", remedy="train the detector again")
    return archive


def _check_steps(recipe: Recipe, archive: Archive, dense: Path) -> None:
    """Refuse steps that would undo what was done to a submission: what it imposed is not in the file."""
    imposed = any(
        record["codec"] in IMPOSING for name, record in archive.records.items() if archive.tensors[name].dim() > 1
    )
    if archive.manifest.parent is None and not imposed:
        return
    for number, step in enumerate(recipe.steps, 1):
        if not step.kind.keeps:
            raise RecipeError(
                f"{recipe.place}: step {number} ({step.method}): {dense} is compressed already, and this would undo it",
                remedy="start from the dense submission, with all steps in one recipe",
            )


def _opened(archive: Archive, dense: Path) -> tuple[Subject, nn.Module]:
    """The detector of a submission, to work on, and once more to learn from."""
    teacher = rebuild(archive, str(dense)).requires_grad_(requires_grad=False)
    model = copy.deepcopy(teacher).requires_grad_()
    past = [archive.manifest.method] if archive.manifest.parent and archive.manifest.method else []
    return Subject(model, archive.manifest, history=past), teacher


def _method(subject: Subject) -> str:
    return "; ".join(subject.history)


def _manifest(subject: Subject, name: str, parent: str, trained_on: Dataset | None) -> dict[str, Any]:
    """What the compressed submission says of itself: all that the dense one does, and what was done to it."""
    seen = [subject.manifest.training_data]
    if trained_on is not None:
        seen.append(" ".join(filter(None, (trained_on.name, trained_on.split))))
    kept = subject.manifest.model_dump(mode="json", exclude={"format", "version", "activation_bits"})
    training_data = "; ".join(dict.fromkeys(filter(None, seen))) or None
    return {**kept, "name": name, "method": _method(subject), "parent": parent, "training_data": training_data}
