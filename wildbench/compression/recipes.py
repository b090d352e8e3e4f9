"""Compression recipes: a short TOML file that names the steps of a chain and the settings of each."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import Field, ValidationError

from wildbench import plugins
from wildbench.compression.subject import Method, Settings, Step
from wildbench.errors import PluginError, RecipeError, first_problem
from wildbench.records import plain_toml
from wildbench.resources import bundled

SUFFIX, SEE = ".toml", "see docs/baselines.md"


class Data(Settings):
    """What steps calibrate and train on: never what the result is scored on."""

    dataset: str = Field(default="parksim", description="A registered name, or the path of a COCO JSON.")
    split: str = Field(default="train", description="Split of a registered data set.")


class _Document(Settings):
    summary: str = Field(min_length=1)
    source: str | None = None
    data: Data = Data()
    steps: list[dict[str, Any]]


@dataclass(frozen=True)
class Recipe:
    """A chain of steps, at least one.

    Attributes:
        name: Of the file, without its suffix.
        place: Where it was read from, for messages.
        summary: One line.
        source: The paper whose experiment it is, if any.
        data: For the steps that calibrate or train.
    """

    name: str
    place: str
    summary: str
    source: str | None
    data: Data
    steps: tuple[Step, ...]

    @property
    def chain(self) -> str:
        """Names of the methods, in order: "weights → share → code"."""
        return " → ".join(step.method for step in self.steps)

    @property
    def needs_data(self) -> bool:
        """Whether a step calibrates or trains."""
        return any(step.needs_data for step in self.steps)

    @property
    def digest(self) -> str:
        """SHA-256 over all that the result depends on: the steps with every setting, and the data's name."""
        plain = {
            "data": self.data.model_dump(mode="json"),
            "steps": [[step.method, step.settings.model_dump(mode="json")] for step in self.steps],
        }
        return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def find_recipe(name: str) -> Path:
    """The file of a recipe: a path, or the name of one that comes with wildbench; RecipeError if there is none."""
    path = Path(name)
    if path.suffix != SUFFIX and len(path.parts) == 1:
        path = bundled(f"baselines/{name}{SUFFIX}")
    if not path.is_file():
        close = plugins.did_you_mean(name, [path.stem for path in _bundled()])
        remedy = close if close.startswith("did") else "name one of `wildbench baseline list`, or a TOML file"
        raise RecipeError(f"no recipe {name!r}", code="no-such-recipe", remedy=remedy)
    return path


def bundled_recipes() -> list[Recipe]:
    """Every compression recipe that comes with wildbench, by name."""
    return [load_recipe(path) for path in _bundled()]


def _bundled() -> list[Path]:
    paths = sorted(bundled("baselines").glob(f"*{SUFFIX}"), key=lambda path: path.stem)
    return [path for path in paths if is_compression(read_toml(path))]


def is_compression(values: dict[str, Any]) -> bool:
    """Whether the values are those of a compression recipe rather than of a training recipe."""
    return "steps" in values or not ("detector" in values or "schedule" in values)


def load_recipe(path: Path | str) -> Recipe:
    """Read and validate a compression recipe.

    Raises:
        RecipeError: No such file, not TOML, a training recipe, or a wrong step, key or value, which is named.

    Example:
        >>> recipe = load_recipe(find_recipe("unstructured"))
        >>> recipe.chain, recipe.steps[0].settings.ratio
        ('weights', 0.3)
    """
    return parse_recipe(read_toml(Path(path)), str(path), Path(path).stem)


def parse_recipe(values: dict[str, Any], place: str = "recipe", name: str = "recipe") -> Recipe:
    """Validate the values of a recipe; `place` names them in errors."""
    if not is_compression(values):
        raise RecipeError(f"{place}: a training recipe", code="training-recipe", remedy="use: wildbench train")
    try:
        document = _Document.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"{place}: {first_problem(error)}", code="invalid", remedy=SEE) from None
    if not document.steps:
        raise RecipeError(f"{place}: it has no steps", code="no-steps", remedy=f"give at least one [[steps]]; {SEE}")
    steps = tuple(_step(plain, f"{place}: step {number}") for number, plain in enumerate(document.steps, 1))
    check_order(steps, place)
    return Recipe(name, place, document.summary, document.source, document.data, steps)


def check_order(steps: Sequence[Step], place: str) -> None:
    """Check that no step destroys what an earlier one imposed; a RecipeError names the place."""
    for number, step in enumerate(steps[1:], 2):
        problem = _misplaced(step, steps[: number - 1])
        if problem is not None:
            earlier, why, remedy = problem
            message = f"{place}: step {number} ({step.method}) follows {earlier}, {why}"
            raise RecipeError(message, code="order", remedy=remedy)


def _misplaced(step: Step, before: Sequence[Step]) -> tuple[str, str, str] | None:
    """Which earlier step this one must not follow, why, and what to do; None if it may stand here."""
    name, previous = step.method, before[-1]
    if previous.kind.last:
        return previous.method, "after which nothing may change", f"let {previous.method} be the last"
    tying = next((one.method for one in before if one.kind.ties), None)
    if step.kind.splits and tying is not None:
        return tying, "and would split weights that share a value", f"let {name} come before {tying}"
    imposing = next((one.method for one in before if one.kind.ties or one.kind.keeps), None)
    if step.kind.narrows and imposing is not None:
        return imposing, "and would undo what that did to single weights", f"let {name} come before {imposing}"
    return None


def check_integers(recipe: Recipe, place: str) -> None:
    """Check that the last step of a recipe rounds activations to 8 bits; a RecipeError names the place."""
    if getattr(recipe.steps[-1].settings, "activations", None) != 8:
        message = f"{place}: an ONNX graph takes 8-bit activations, which {recipe.name} does not make"
        remedy = "let the last step be quantize with activations = 8, or write a .pt"
        raise RecipeError(message, code="not-8-bit", remedy=remedy)


def with_settings(recipe: Recipe, changes: Sequence[tuple[str, Any]]) -> Recipe:
    """A recipe with some settings changed.

    Args:
        recipe: As it was read.
        changes: Keys and values: "ratio" for the one step that takes it, "filters.ratio" for the one step of that
            method, "2.ratio" for the second step.

    Raises:
        RecipeError: No step takes the key, several do, a setting is changed twice, or the value is wrong.

    Example:
        >>> recipe = parse_recipe({"summary": "a control", "steps": [{"method": "weights"}]})
        >>> with_settings(recipe, [("ratio", 0.5)]).steps[0].settings.ratio
        0.5
    """
    steps = list(recipe.steps)
    done: set[tuple[int, str]] = set()
    for key, value in changes:
        number, field = _addressed(recipe, key)
        if (number, field) in done:
            message = f"{recipe.place}: {field} of step {number + 1} is set twice"
            raise RecipeError(message, code="set-twice", remedy="set it once")
        done.add((number, field))
        plain = {"method": steps[number].method, **steps[number].settings.model_dump(), field: value}
        steps[number] = _step(plain, f"{recipe.place}: {key}: step {number + 1}")
    return replace(recipe, steps=tuple(steps))


def parse_change(text: str) -> tuple[str, Any]:
    """Read "ratio=0.4" from the command line; the value is TOML's, or a plain word.

    Raises:
        RecipeError: There is no "=" or no key, or it has several lines.

    Example:
        >>> parse_change("ratio=0.4"), parse_change("filters.importance=taylor")
        (('ratio', 0.4), ('filters.importance', 'taylor'))
    """
    key, equals, value = text.partition("=")
    if not key or not equals or not text.isprintable():
        raise RecipeError(f"--set {text}: not a setting", code="not-a-setting", remedy="write KEY=VALUE: ratio=0.4")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _addressed(recipe: Recipe, key: str) -> tuple[int, str]:
    """The step and the field that a key names."""
    owner, dot, field = key.rpartition(".")
    fields = [(n, name, step) for n, step in enumerate(recipe.steps) for name in type(step.settings).model_fields]
    matches = [n for n, name, step in fields if name == field and (not dot or owner in (step.method, str(n + 1)))]
    if len(matches) == 1:
        return matches[0], field
    if not matches:
        keys = ", ".join(f"{n + 1}.{name}" for n, name, _ in fields)
        raise RecipeError(f"{recipe.place}: no step takes {key!r}", code="no-such-setting", remedy=f"set one of {keys}")
    message, keys = f"{recipe.place}: {len(matches)} steps take {key!r}", ", ".join(f"{n + 1}.{field}" for n in matches)
    raise RecipeError(message, code="ambiguous-setting", remedy=f"set one of {keys}")


def _step(plain: dict[str, Any], place: str) -> Step:
    """One step, checked by its method's settings."""
    name = plain.get("method")
    if not isinstance(name, str):
        raise RecipeError(f"{place}: it names no method", code="no-method", remedy=f'write method = "..."; {SEE}')
    try:
        kind: Method = plugins.methods.get(name)
    except PluginError as error:
        raise RecipeError(f"{place}: {error.what}", code="unknown-method", remedy=error.remedy) from None
    given = {key: _or_nothing(kind, key, value) for key, value in plain.items() if key != "method"}
    try:
        return Step(name, kind.settings.model_validate(given))
    except ValidationError as error:
        takes = ", ".join(kind.settings.model_fields) or "nothing"
        message = f"{place} ({name}): {first_problem(error)}"
        raise RecipeError(message, code="invalid", remedy=f"{name} takes {takes}") from None


def _or_nothing(kind: Method, key: str, value: object) -> object:
    """TOML has no null: `false` is written for a setting that is left empty."""
    field = kind.settings.model_fields.get(key)
    return None if value is False and field is not None and NoneType in get_args(field.annotation) else value


def read_toml(path: Path, remedy: str = "name a recipe of `wildbench baseline list`") -> dict[str, Any]:
    """The values of a file; RecipeError if it cannot be read or is not TOML."""
    try:
        return plain_toml(path)
    except OSError as error:
        raise RecipeError(f"{path}: {error.strerror}", code="unreadable", remedy=remedy) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError
        raise RecipeError(f"{path}: not TOML ({error})", code="not-toml", remedy=SEE) from None
