"""Running a recipe: a dense submission in, a smaller one out that remembers where it came from."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.recipes import Recipe, check_integers, find_recipe, load_recipe
from wildbench.compression.subject import Step, Subject, Workshop, prefixes
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_training
from wildbench.detectors import load_recipe as load_training_recipe
from wildbench.errors import RecipeError, SubmissionError
from wildbench.files import check_writable, sha256_of
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import Archive, read_submission, rebuild, save_submission
from wildbench.submissions.formats import resolve_device
from wildbench.submissions.manifest import parse_manifest

SUFFIXES = (".pt", ".onnx")

IMPOSING = ("codebook", "sparse")
"""Codecs of weights that were shared or pruned."""


@dataclass(frozen=True)
class Compressed:
    """A submission made by a recipe: its path, the `method` in its manifest, its bytes and those of the dense file."""

    path: Path
    method: str
    before: int
    after: int

    @property
    def ratio(self) -> float:
        """Old size over new size."""
        return self.before / self.after


def compress(
    recipe: Recipe | Path | str,
    dense: Path | str,
    out: Path | str,
    *,
    dataset: str | None = None,
    images: Path | None = None,
    split: str | None = None,
    split_file: Path | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: Progress = silent,
) -> Compressed:
    """Make a smaller submission of a dense one.

    Args:
        recipe: A recipe, the name of one that comes with wildbench, or the path of a TOML file.
        dense: A `.pt` of wildbench's own format.
        out: What to write: ".pt", or ".onnx" for a quantized detector that runs in int8.
        dataset: Instead of the recipe's, for steps that calibrate or train.
        images: Folder of its images.
        split: Instead of the recipe's; the part that is tested is refused.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        seed: Of everything random.
        device: For training: "auto", "cpu", "cuda" or "cuda:N".
        progress: Called as `progress(task, done, total)`.

    Returns:
        The submission. It was read again, and holds exactly the detector's numbers.

    Raises:
        WildbenchError: A recipe, file or data set cannot be used; nothing is written then.

    Example:
        >>> compress("unstructured", "dense.pt", "small.pt").ratio  # doctest: +SKIP
        1.65
    """
    recipe = recipe if isinstance(recipe, Recipe) else load_recipe(find_recipe(str(recipe)))
    dense, out = Path(dense), Path(out)
    _check_out(out, dense, recipe)
    _check_data(recipe, {"dataset": dataset, "images": images, "split": split, "split-file": split_file})
    archive = _read(dense)
    parent, before = sha256_of(dense), dense.stat().st_size
    _check_steps(recipe, archive, dense)
    teacher = rebuild(archive, str(dense)).requires_grad_(requires_grad=False)
    past = [archive.manifest.method] if archive.manifest.parent and archive.manifest.method else []
    subject = Subject(copy.deepcopy(teacher).requires_grad_(), archive.manifest, history=past)
    check_norms(recipe.steps, recipe.place, subject.model)
    parse_manifest(_manifest(subject, out.stem, parent, None), str(out))
    where = resolve_device(device, "torch", lambda number: number < torch.cuda.device_count())
    name, part = dataset or recipe.data.dataset, split or recipe.data.split
    load = partial(load_training, name, part, split_file=split_file, images=images, progress=progress)
    workshop = Workshop(teacher, load, seed=seed, device=where, progress=progress)
    for number, step in enumerate(recipe.steps, 1):
        try:
            step.apply(subject, workshop)
        except RecipeError as error:
            place, (_, _, code) = f"{recipe.place}: step {number} ({step.method})", error.code.partition("/")
            raise RecipeError(f"{place}: {error.what}", code=code, remedy=error.remedy) from None
    save(subject, out, parent=parent, trained_on=workshop.used)
    return Compressed(out, "; ".join(subject.history), before, out.stat().st_size)


def save(subject: Subject, out: Path, *, parent: str, trained_on: Dataset | None = None) -> None:
    """Write a compressed detector as .pt or .onnx, whole or not at all.

    `parent` is the hash of the dense file; `trained_on` the data that steps have seen.

    Raises:
        RecipeError: An ONNX graph of a detector that is not quantized.
        SubmissionError: A record of a step does not match the model.
    """
    subject.model.eval()
    manifest = _manifest(subject, out.stem, parent, trained_on)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".wildbench-") as folder:
        written = Path(folder) / out.name
        if out.suffix == ".onnx":
            from wildbench.compression.methods import export

            export(subject, written, parse_manifest(manifest, out.name))
        else:
            codec: dict[str, Any] = {**subject.records, "*": subject.codec}
            detector = manifest.pop("detector")
            about = {"detector": detector["name"], "arguments": detector["arguments"], **manifest}
            save_submission(subject.model, written, codec=codec, activations=subject.activations, **about)
            check_same(subject.model, written)
        written.replace(out)


def check_same(model: nn.Module, path: Path) -> None:
    """Check that a written submission decodes to exactly the numbers of a model (zeros may lose their sign)."""
    stored = read_submission(path).tensors
    for name, tensor in model.state_dict().items():
        if not torch.equal(stored[name], tensor):
            message, remedy = f"{path.name}: {name} would be stored differently", "quantize in the last step"
            raise SubmissionError(message, code="stored-differently", remedy=remedy)


def _check_out(out: Path, dense: Path, recipe: Recipe) -> None:
    """Refuse a file that could not be written after the last step."""
    if out.suffix not in SUFFIXES:
        raise RecipeError(f"{out}: not a .pt or .onnx", code="wrong-suffix", remedy=f"name it {out.stem}.pt")
    check_writable(out)
    if out.exists() and dense.exists() and out.samefile(dense):
        raise RecipeError(f"{out} is the dense submission", code="overwrites-dense", remedy="choose another name")
    if out.suffix == ".onnx":
        check_integers(recipe, str(out))


def _check_data(recipe: Recipe, given: Mapping[str, object]) -> None:
    """Refuse data that no step would see, and training recipes that cannot be read."""
    unused = next((name for name, value in given.items() if value is not None), None)
    if unused is not None and not recipe.needs_data:
        raise RecipeError(f"--{unused}: {recipe.name} needs no data", code="unused-data", remedy="leave it out")
    for step in recipe.steps:
        like = getattr(step.settings, "like", None)
        if like is not None:
            load_training_recipe(like)


def _read(dense: Path) -> Archive:
    """A submission that can be compressed."""
    archive = read_submission(dense)
    if archive.activations or any(record["codec"] == "affine" for record in archive.records.values()):
        remedy = "start from the dense detector"
        raise SubmissionError(f"{dense}: it is quantized already", code="already-quantized", remedy=remedy)
    bad = next((name for name, tensor in archive.tensors.items() if not bool(tensor.isfinite().all())), None)
    if bad is not None:
        raise SubmissionError(f"{dense}: {bad} is not finite", code="not-finite", remedy="train the detector again")
    return archive


def _check_steps(recipe: Recipe, archive: Archive, dense: Path) -> None:
    """Refuse steps that would undo an earlier compression: its constraints are not in the file."""
    weights = [record for name, record in archive.records.items() if archive.tensors[name].dim() > 1]
    imposed = any(record["codec"] in IMPOSING for record in weights)
    if archive.manifest.parent is None and not imposed:
        return
    for number, step in enumerate(recipe.steps, 1):
        if not step.kind.keeps:
            message = f"{recipe.place}: step {number} ({step.method}) would undo the compression of {dense}"
            remedy = "start from the dense submission, with all steps in one recipe"
            raise RecipeError(message, code="already-compressed", remedy=remedy)


def check_norms(steps: Sequence[Step], place: str, model: nn.Module) -> None:
    """Check that steps which recognise narrowed batch norms by their constants can do so.

    Raises:
        RecipeError: An earlier step changes these constants; `place` names the recipe.
    """
    for number, step in enumerate(steps, 1):
        if step.kind.norms != "matches":
            continue
        narrowed: list[str] = []
        for one in steps[: number - 1]:
            if one.kind.narrows:
                with suppress(RecipeError):  # no such part: the step itself says so
                    narrowed += prefixes(model, getattr(one.settings, "scope", "all"))
        norms = [module for name, module in model.named_modules() if name.startswith(tuple(narrowed))]
        trained = any(isinstance(norm, nn.BatchNorm2d) for norm in norms)
        changes = {"keeps": False, "trains": trained}
        replaced = trained or any(isinstance(norm, FrozenBatchNorm2d) for norm in norms)
        changed = next((one.method for one in steps[: number - 1] if changes.get(one.kind.norms, replaced)), None)
        if changed is not None:
            message = f"{place}: step {number} ({step.method}): {changed} changes the batch norms that it starts from"
            remedy = f"let {step.method} come right after channels are removed, and only once"
            raise RecipeError(message, code="norms-changed", remedy=remedy)


def _manifest(subject: Subject, name: str, parent: str, trained_on: Dataset | None) -> dict[str, Any]:
    """The manifest of the compressed submission: the dense one's, and what was done to it."""
    seen = [subject.manifest.training_data]
    if trained_on is not None:
        seen.append(" ".join(filter(None, (trained_on.name, trained_on.split))))
    manifest = subject.manifest.model_dump(mode="json", exclude={"format", "version", "activation_bits"})
    training_data = "; ".join(dict.fromkeys(filter(None, seen))) or None
    method = "; ".join(subject.history)
    return manifest | {"name": name, "method": method, "parent": parent, "training_data": training_data}
