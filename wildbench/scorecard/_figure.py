"""One number of a record, with all that is needed to read it."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Record(BaseModel):
    """Base of every part of a scorecard: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_READING = {
    "AP": (100.0, "%", 1),
    "AR": (100.0, "%", 1),
    "B": (1e-6, "MB", 2),
    "MAC": (1e-9, "GMAC", 3),
    "FLOP": (1e-9, "GFLOP", 3),
    "BOP": (1e-9, "GBOP", 1),
    "ms": (1.0, "ms", 1),
}
"""Scale, unit and decimals in which people read a unit of the record."""


class Figure(Record):
    """One number, with all that is needed to read it.

    Example:
        >>> Figure(value=0.61, unit="AP", n=327).value
        0.61
        >>> Figure.undefined("AP", "no crocodile in the split").value is None
        True
    """

    value: float | None = Field(description="The number; null where it is undefined or was not measured.")
    unit: str = Field(description="AP, AR, IoU, B, parameters, MAC, FLOP, BOP, ms, 1 (a ratio).")
    interval: tuple[float, float] | None = Field(default=None, description="95 % interval; null where none is given.")
    n: int | None = Field(default=None, description="What it was obtained over: boxes, images, runs or tensors.")
    reason: str | None = Field(default=None, description="Why the value is null; null where there is a value.")
    caution: str | None = Field(default=None, description="What to know about the number or its interval.")

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> Self:
        if (self.value is None) != (self.reason is not None):
            raise ValueError("a figure has either a value or the reason why it has none")
        return self

    def read(self) -> str:
        """The number as people read it: AP in percent, bytes in MB, arithmetic in G.

        Example:
            >>> Figure(value=0.61, unit="AP").read(), Figure(value=8340000, unit="B").read()
            ('61.0 %', '8.34 MB')
        """
        return f"undefined ({self.reason})" if self.value is None else self._shown(self.value)

    def range(self) -> str:
        """The interval as people read it; empty where there is none."""
        return self._shown(*self.interval) if self.interval else ""

    def _shown(self, *values: float) -> str:
        scale, unit, digits = _READING.get(self.unit, (1.0, self.unit, 3))
        return f"{' to '.join(f'{value * scale:.{digits}f}' for value in values)} {unit}"

    @classmethod
    def undefined(cls, unit: str, reason: str, n: int | None = None) -> Self:
        """A figure that has no value, and says why."""
        return cls(value=None, unit=unit, reason=reason, n=n)
