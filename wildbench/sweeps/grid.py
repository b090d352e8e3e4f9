"""Sweeps: a TOML file that spans a grid of recipes, settings, seeds and dense parents; see `baselines/sweeps/`."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from wildbench.compression.recipes import Recipe, check_integers, find_recipe, load_recipe, with_settings
from wildbench.errors import RecipeError, first_problem
from wildbench.resources import bundled

SEE = "see docs/baselines.md"
UNSAFE = re.compile(r"[^\w.=,+-]+")
"""What must not be in the name of a folder: a setting may be a path."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Data(_Section):
    """What every point is scored on."""

    dataset: str = "parksim"
    split: str = "test"


class Axis(_Section):
    """Some points of the grid: a recipe, and every combination of the values and the seeds."""

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


class _Document(_Section):
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
        format: Of the submission: "pt", or "onnx" for a quantized detector that runs in int8.
    """

    name: str
    recipe: Recipe
    settings: dict[str, Any]
    seed: int
    dense: Path
    format: str


@dataclass(frozen=True)
class Sweep:
    """A grid.

    Attributes:
        name: Of the file, without its suffix.
        summary: One line.
        data: What every point is scored on.
        dense: What points are made from.
        plans: Every point, in the order of the file.
    """

    name: str
    summary: str
    data: Data
    dense: tuple[Path, ...]
    plans: tuple[Plan, ...]


def find_sweep(name: str) -> Path:
    """The file of a sweep: a path, or the name of one that comes with wildbench.

    Raises:
        RecipeError: There is none.
    """
    path = Path(name)
    if path.suffix != ".toml" and len(path.parts) == 1:
        path = bundled(f"baselines/sweeps/{name}.toml")
    if not path.is_file():
        known = sorted(file.stem for file in bundled("baselines/sweeps").glob("*.toml"))
        raise RecipeError(f"no sweep {name!r}", remedy=f"name a TOML file, or one of {', '.join(known)}")
    return path


def load_sweep(path: Path, dense: Sequence[Path] = ()) -> Sweep:
    """Read a sweep and lay out its points.

    Args:
        path: The TOML file.
        dense: Instead of the file's.

    Raises:
        RecipeError: No TOML, a wrong key, recipe or setting, no dense parent, or two points of one name.
    """
    document = _document(path)
    parents = tuple(dense) or tuple(_dense(name, path) for name in document.dense)
    if not parents:
        raise RecipeError(f"{path}: it names no dense submission", remedy="name one by --from, or several")
    for parent in parents:
        if not parent.is_file():
            raise RecipeError(f"{parent}: no such file", remedy="name a dense submission by --from")
    plans = [plan for axis in document.grid for parent in parents for plan in _plans(axis, parent, path)]
    names = Counter([plan.name for plan in plans] + [parent.stem for parent in parents])
    twice = [name for name, times in names.items() if times > 1]
    if twice:
        raise RecipeError(f"{path}: two points would be called {twice[0]!r}", remedy="rename a file, or drop one")
    return Sweep(path.stem, document.summary, document.data, parents, tuple(plans))


def _document(path: Path) -> _Document:
    try:
        return _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}", remedy="name a sweep's TOML file") from None
    except ValidationError as error:
        raise RecipeError(f"{path}: {first_problem(error)}", remedy=SEE) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise RecipeError(f"{path}: not TOML ({error})", remedy=SEE) from None


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
                told = "".join(f"-{key}{value}" for key, value in settings.items())
                graph = "" if axis.format == "pt" else f"-{axis.format}"
                name = UNSAFE.sub("_", f"{dense.stem}-{recipe.name}{told}{graph}-seed{seed}")
                plans.append(Plan(name, chosen, settings, seed, dense, axis.format))
    except RecipeError as error:
        raise RecipeError(f"{sweep}: {error.what}", remedy=error.remedy) from None
    return plans
