"""Every compression method by its name: what it takes, what it does to the detector, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from wildbench.compression.subject import Subject, Workshop


class Settings(BaseModel):
    """Base of a method's settings: immutable, no unknown keys, no NaN, and no text or truth where a number is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


@dataclass(frozen=True)
class Method:
    """One step that a recipe can name.

    Attributes:
        settings: What it takes; every field has a description and a default.
        apply: Changes the subject in place; raises RecipeError for what this detector cannot have done to it.
        summary: One line.
        source: The paper it comes from.
        last: Whether its numbers are final, so that no later step may change the weights.
        keeps: Whether what was imposed on the weights before stays true whoever imposed it, because some become zero
            and nothing else changes; only such methods may work on a submission that is compressed already.
        splits: Whether it tells weights apart that share a value, so that it must come before `share`.
    """

    settings: type[Settings]
    apply: Callable[[Subject, Any, Workshop], None]
    summary: str
    source: str
    last: bool = False
    keeps: bool = False
    splits: bool = False
