"""One number of a record, with all that is needed to read it."""

from __future__ import annotations

import math
from typing import Annotated, Self, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from wildbench.text import plain

MOST_TEXT, MOST_ENTRIES, MOST_NUMBER = 2000, 20_000, 1e18
"""Characters of a text, entries of a list, and size of a number in a record."""


def texts_of(most: int) -> BeforeValidator:
    """A text as a record keeps it: no character that cannot be seen, and cut to `most`."""
    return BeforeValidator(lambda given: plain(given, most) if isinstance(given, str) else given)


Text = Annotated[str, texts_of(MOST_TEXT), Field(max_length=MOST_TEXT)]
Label = Annotated[str, texts_of(300), Field(max_length=300)]
"""A text that names something: a file, a layer, a category, a version."""
Count = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[float, Field(ge=-MOST_NUMBER, le=MOST_NUMBER)]
Part = TypeVar("Part")
Listed = Annotated[list[Part], Field(max_length=MOST_ENTRIES)]
Keyed = Annotated[dict[Label, Part], Field(max_length=MOST_ENTRIES)]


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
    "per 1,000": (1.0, "per 1,000", 0),
    "animals": (1.0, "animals", 2),
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

    value: Number | None = Field(description="The number; null where it is undefined or was not measured.")
    unit: str = Field(
        max_length=24, description="AP, AR, IoU, B, parameters, MAC, FLOP, BOP, ms, per 1,000, animals, 1 (a ratio)."
    )
    interval: tuple[Number, Number] | None = Field(default=None, description="95 % interval; null where none is given.")
    n: Count | None = Field(default=None, description="What it was obtained over: boxes, images, runs or tensors.")
    reason: Text | None = Field(default=None, description="Why the value is null; null where there is a value.")
    caution: Text | None = Field(default=None, description="What to know about the number or its interval.")

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> Self:
        if (self.value is None) != bool(self.reason):
            raise ValueError("a figure has either a value or the reason why it has none")
        if self.interval:
            low, high = self.interval
            value = math.nan if self.value is None else self.value
            slack = 1e-9 * abs(value)  # a mean of equal numbers may be another by its last bit
            if low > high or not low - slack <= value <= high + slack:
                raise ValueError("an interval is ordered and encloses its figure")
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


def measured_in(unit: str, least: float = 0.0, most: float = MOST_NUMBER) -> AfterValidator:
    """Refuse a figure of another unit, or outside what it can be."""

    def check(figure: Figure) -> Figure:
        if figure.unit != unit:
            raise ValueError(f"measured in {unit}, not in {figure.unit[:24]!r}")
        for value in (figure.value, *(figure.interval or ())):
            if value is not None and not least <= value <= most:
                raise ValueError(f"{value:g} {unit} is outside {least:g} to {most:g}")
        return figure

    return AfterValidator(check)


_WHOLE = 1 + 1e-9
"""A share of all, with what sums of floats leave."""

Precision = Annotated[Figure, measured_in("AP", 0, _WHOLE)]
Recall = Annotated[Figure, measured_in("AR", 0, _WHOLE)]
Overlap = Annotated[Figure, measured_in("IoU", 0, _WHOLE)]
Gain = Annotated[Figure, measured_in("AP", -_WHOLE, _WHOLE)]
"""Of AP, which may also fall."""
Share = Annotated[Figure, measured_in("1", 0, _WHOLE)]
Ratio = Annotated[Figure, measured_in("1", 0, 1e9)]
Images = Annotated[Figure, measured_in("image")]
PerThousand = Annotated[Figure, measured_in("per 1,000", 0, 1000 * _WHOLE)]
Animals = Annotated[Figure, measured_in("animals")]
Signed = Annotated[Figure, measured_in("animals", -MOST_NUMBER)]
"""Animals too many, or below 0 too few."""
Bytes = Annotated[Figure, measured_in("B")]
Parameters = Annotated[Figure, measured_in("parameters")]
Macs = Annotated[Figure, measured_in("MAC")]
Flops = Annotated[Figure, measured_in("FLOP")]
Bops = Annotated[Figure, measured_in("BOP")]
Proposals = Annotated[Figure, measured_in("proposals")]
Milliseconds = Annotated[Figure, measured_in("ms", 0, 1e9)]
Joules = Annotated[Figure, measured_in("J", 0, 1e9)]
Throughput = Annotated[Figure, measured_in("image/s", 0, 1e9)]
