"""Every compression method by its name: what it takes, what it does to the detector, and where it comes from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from wildbench.compression.subject import Subject, Workshop


class Settings(BaseModel):
    """Base of a method's settings: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True)
class Method:
    """One step that a recipe can name.

    Attributes:
        settings: What it takes; every field has a description and a default.
        apply: Changes the subject in place; raises RecipeError for what this detector cannot have done to it.
        summary: One line.
        source: The paper it comes from.
        last: Whether its numbers are final, so that no later step may change the weights.
    """

    settings: type[Settings]
    apply: Callable[[Subject, Any, Workshop], None]
    summary: str
    source: str
    last: bool = False
