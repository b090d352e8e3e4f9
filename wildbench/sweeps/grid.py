"""Sweeps: a TOML file that spans a grid of recipes, settings, seeds and dense parents; see `baselines/sweeps/`."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from wildbench import plugins
from wildbench.compression import recipes
from wildbench.compression.recipes import Recipe, check_integers, find_recipe, load_recipe, read_toml, with_settings
from wildbench.compression.subject import Settings
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError, RecipeError, first_problem
from wildbench.files import sha256_of
from wildbench.resources import bundled

REMEDY = "name other data with --train-on"
UNSAFE = re.compile(r"[^\w.=,+-]+")
"""What must not be in the name of a folder: a setting may be a path."""


class Data(Settings):
    """What every point is scored on."""

    dataset: str = "parksim"
    split: str = "test"


class Axis(Settings):
    """Some points of the grid: a recipe with every combination of values and seeds."""

    recipe: str
    set: dict[str, Annotated[list[Any], Field(min_length=1)]] = Field(default_factory=dict)
    seeds: list[Annotated[int, Field(ge=0, lt=2**32)]] = Field(default=[0], min_length=1)
    format: Literal["pt", "onnx"] = "pt"

    @field_validator("set", mode="before")
    @classmethod
    def _dotted(cls, settings: object) -> object:
        """TOML reads `filters.ratio = [0.4]` as a table in a table."""
        if not isinstance(settings, dict):
            return settings
        flat: dict[str, Any] = {}
        for key, value in settings.items():
            flat |= (
                {f"{key}.{inner}": values for inner, values in value.items()}
                if isinstance(value, dict)
                else {key: value}
            )
        return flat


class _Document(Settings):
    summary: str
    dense: list[str] = Field(default_factory=list)
    data: Data = Data()
    grid: list[Axis] = Field(min_length=1)


@dataclass(frozen=True)
class Plan:
    """One point of the grid, not yet run.

    Attributes:
        name: Of its folder and its submission.
        recipe: With the point's settings.
        settings: Those that the grid changed.
        seed: Of everything random.
        dense: What it is made from.
        format: "pt", or "onnx" for a quantized detector that runs in int8.
    """

    name: str
    recipe: Recipe
    settings: dict[str, Any]
    seed: int
    dense: Path
    format: str


@dataclass(frozen=True)
class Sweep:
    """A grid: `plans` has every point, in the order of the file, and `dense` what they are made from."""

    name: str
    summary: str
    data: Data
    dense: tuple[Path, ...]
    plans: tuple[Plan, ...]


def find_sweep(name: str) -> Path:
    """The file of a sweep: a path, or the name of one that comes with wildbench; RecipeError if there is none."""
    path = Path(name)
    if path.suffix != ".toml" and len(path.parts) == 1:
        path = bundled(f"baselines/sweeps/{name}.toml")
    if not path.is_file():
        known = sorted(file.stem for file in bundled("baselines/sweeps").glob("*.toml"))
        raise RecipeError(f"no sweep {name!r}", code="no-such-sweep", remedy=plugins.did_you_mean(name, known))
    return path


def load_sweep(path: Path, dense: Sequence[Path] = ()) -> Sweep:
    """Read a sweep's TOML file and lay out its points; `dense` replaces the file's parents.

    Raises:
        RecipeError: No TOML, a wrong key, recipe or setting, no dense parent, or two points of one name.

    Example:
        >>> len(load_sweep(find_sweep("strength")).plans) > 10
        True
    """
    document = _document(path)
    parents = tuple(dense) or tuple(_dense(name, path) for name in document.dense)
    remedy = "name a dense submission by --from"
    if not parents:
        raise RecipeError(f"{path}: it names no dense submission", code="no-dense", remedy=remedy)
    for parent in parents:
        if not parent.is_file():
            raise RecipeError(f"{parent}: no such file", code="no-dense", remedy=remedy)
    plans = [plan for axis in document.grid for parent in parents for plan in _plans(axis, parent, path)]
    names = Counter([plan.name for plan in plans] + [parent.stem for parent in parents])
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        message = f"{path}: two points would be called {twice[0]!r}"
        raise RecipeError(message, code="same-name", remedy="rename a file, or drop one")
    return Sweep(path.stem, document.summary, document.data, parents, tuple(plans))


def _document(path: Path) -> _Document:
    try:
        return _Document.model_validate(read_toml(path, "name a sweep's TOML file"))
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_problem(error)}", code="invalid", remedy="see docs/baselines.md") from None


def _dense(name: str, sweep: Path) -> Path:
    """A dense submission by its path from the sweep's folder, or by the name of one that comes with wildbench."""
    path = sweep.parent / name
    return path if path.suffix else bundled(f"baselines/{name}.pt")


def _plans(axis: Axis, dense: Path, sweep: Path) -> list[Plan]:
    """The points of one axis for one dense parent."""
    beside = sweep.parent / axis.recipe
    try:
        recipe = load_recipe(beside if beside.suffix == ".toml" else find_recipe(axis.recipe))
        plans = []
        for values in itertools.product(*axis.set.values()):
            settings = dict(zip(axis.set, values, strict=True))
            chosen = with_settings(recipe, list(settings.items()))
            if axis.format == "onnx":
                check_integers(chosen, axis.recipe)
            for seed in axis.seeds:
                changes = "".join(f"-{key}{value}" for key, value in settings.items())
                graph = "" if axis.format == "pt" else f"-{axis.format}"
                name = UNSAFE.sub("_", f"{dense.stem}-{recipe.name}{changes}{graph}-seed{seed}")
                plans.append(Plan(name, chosen, settings, seed, dense, axis.format))
    except RecipeError as error:
        code = error.code.partition("/")[2]
        raise RecipeError(f"{sweep}: {error.what}", code=code, remedy=error.remedy) from None
    return plans


def check_apart(
    chains: Iterable[Recipe], dataset: str, split: str, *, images: Path | None, training: str | None
) -> None:
    """Check that no recipe sees what is scored, nor parksim unasked where something else is scored.

    Args:
        chains: The recipes of a sweep.
        dataset: What is scored on.
        split: Of a registered data set.
        images: Folder of the images, and of the training images if `training` is given.
        training: Instead of the recipes' data.

    Raises:
        RecipeError: A recipe would fall back to parksim.
        DatasetError: Labels or an image are in both; or one of the data sets cannot be read.
    """
    sources: dict[tuple[str, str], Recipe] = {}
    for recipe in (one for one in chains if one.needs_data):
        sources.setdefault((training or recipe.data.dataset, recipe.data.split), recipe)
    for (source, part), recipe in sources.items():
        if training is None and source == recipes.Data().dataset != dataset:
            message = f"{recipe.place}: it would train or calibrate on {source}, and {dataset} is scored"
            raise RecipeError(message, code="other-data", remedy=REMEDY)
        seen = load_dataset(source, split=part, images=images if training else None)
        shared = _shared(seen, load_dataset(dataset, split=split, images=images))
        if shared:
            message = f"{recipe.place}: it would train or calibrate on {source}, of which {shared} scored"
            raise DatasetError(message, code="scored-data", remedy=REMEDY)


def _shared(seen: Dataset, scored: Dataset) -> str | None:
    """What is in both, in words; an image is the same where its file's name and bytes are."""
    if seen.sha256 == scored.sha256:
        return "all labels are"
    there = {path.name: path for path in _paths(scored)}
    pairs = ((path, there[path.name]) for path in _paths(seen) if path.name in there)
    same = next((mine for mine, theirs in pairs if sha256_of(mine) == sha256_of(theirs)), None)
    return None if same is None else f"{same.name} is"


def _paths(data: Dataset) -> list[Path]:
    """Images that exist; whoever opens a missing one reports it."""
    return [path for path in map(data.image_path, data.images) if path.is_file()]
