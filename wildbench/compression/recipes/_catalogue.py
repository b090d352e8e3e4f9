"""Every method that a recipe can name, gathered from the families."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from torch import nn

from wildbench.compression.coding import _code, _share
from wildbench.compression.pruning import Filters, _filters, _zeroing
from wildbench.compression.quantization import _quantize
from wildbench.compression.recovery import (
    FineTune,
    FromScratch,
    Recalibrate,
    _distil,
    _finetune,
    _recalibrate,
    _scratch,
    norms_of,
)
from wildbench.compression.scopes import prefixes
from wildbench.compression.subject import Method, Settings
from wildbench.errors import RecipeError

FAMILIES = (
    _zeroing,
    _filters,
    _quantize,
    _share,
    _code,
    _recalibrate,
    _finetune,
    _distil,
    _scratch,
)
"""Modules with `METHODS`, in the order in which methods are listed."""


def methods() -> dict[str, Method]:
    """Every method by its name.

    Example:
        >>> methods()["weights"].settings().ratio
        0.3
    """
    return {name: method for family in FAMILIES for name, method in family.METHODS.items()}


def method(name: str) -> Method:
    """The method of a name.

    Raises:
        RecipeError: There is none.
    """
    known = methods()
    if name not in known:
        raise RecipeError(f"no method is called {name!r}", remedy=f"choose from {', '.join(known)}")
    return known[name]


@dataclass(frozen=True)
class Step:
    """One step of a chain: the name of a method, and its settings."""

    method: str
    settings: Settings

    @property
    def kind(self) -> Method:
        """What the method is."""
        return method(self.method)


def check_order(steps: Sequence[Step], place: str) -> None:
    """Check what no detector can have done to it.

    Raises:
        RecipeError: A step would not keep what one before it has imposed; `place` names the recipe.
    """
    for number, step in enumerate(steps[1:], 2):
        found = _misplaced(step, [one.method for one in steps[: number - 1]])
        if found is not None:
            earlier, why, remedy = found
            raise RecipeError(f"{place}: step {number} ({step.method}) follows {earlier}, {why}", remedy=remedy)


def _misplaced(step: Step, before: Sequence[str]) -> tuple[str, str, str] | None:
    """What a step must not follow, why, and what to do; None where it may stand there."""
    name = step.method
    if method(before[-1]).last:
        return before[-1], "after which nothing may change", f"let {before[-1]} be the last"
    if step.kind.splits and "share" in before:
        return "share", "and would tell weights apart that share a value", f"let {name} come before share"
    imposing = next((one for one in before if one == "share" or method(one).keeps), None)
    if name == "filters" and imposing is not None:
        return imposing, "and would not keep what that did to single weights", f"let filters come before {imposing}"
    return None


def check_norms(steps: Sequence[Step], place: str, model: nn.Module) -> None:
    """Check that norms can be recalibrated when it is their turn.

    What a narrowed norm kept of the dense one is told by its constants, which must not have changed since.

    Raises:
        RecipeError: They have; `place` names the recipe.
    """
    for number, step in enumerate(steps, 1):
        if not isinstance(step.settings, Recalibrate):
            continue
        before = steps[: number - 1]
        narrowed = tuple(_narrowed(before, model))
        norms = [norm for name, norm in norms_of(model).items() if name.startswith(narrowed)]
        changed = next((one.method for one in before if _changes(one, norms)), None)
        if changed is not None:
            raise RecipeError(
                f"{place}: step {number} (recalibrate): after filters and {changed} it could not tell which channels "
                "of the dense detector's norms are left",
                remedy="recalibrate once, right after filters, and take filters out first",
            )


def _narrowed(steps: Sequence[Step], model: nn.Module) -> Iterator[str]:
    """Beginnings of the names of what loses filters."""
    for step in steps:
        if isinstance(step.settings, Filters):
            with suppress(RecipeError):  # no such part: the step itself says so
                yield from prefixes(model, step.settings.scope)


def _changes(step: Step, norms: Sequence[nn.Module]) -> bool:
    """Whether a step changes norms. Training leaves frozen ones alone, but for training from scratch."""
    if isinstance(step.settings, (Recalibrate, FromScratch)):
        return bool(norms)
    return isinstance(step.settings, FineTune) and any(isinstance(norm, nn.BatchNorm2d) for norm in norms)
