"""Every method that a recipe can name, gathered from the families."""

from __future__ import annotations

from wildbench.compression import distillation, finetuning, recalibration, scratch
from wildbench.compression.coding import _code, _share
from wildbench.compression.pruning import _filters, _zeroing
from wildbench.compression.quantization import _quantize
from wildbench.compression.subject import Method
from wildbench.errors import RecipeError

FAMILIES = (
    _zeroing,
    _zeroing,
    _filters,
    _zeroing,
    _quantize,
    _share,
    _code,
    recalibration,
    finetuning,
    distillation,
    scratch,
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
