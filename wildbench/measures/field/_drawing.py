"""Figures with their intervals, from one drawing of everything: what is drawn is what AP's replicates draw."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from wildbench.datasets.coco import Floats, Ints
from wildbench.measures.uncertainty import (
    LEVEL,
    Interval,
    Kind,
    Replay,
    caution,
    interval,
    replay,
    rounded,
    spread_of,
)
from wildbench.scorecard import Figure

PER_THOUSAND = 1000


@dataclass(frozen=True, eq=False)
class Column:
    """One figure: its value on the data set, on the drawn sets, and without each group."""

    value: float
    drawn: Floats
    without: Floats

    def less(self, other: Column) -> Column:
        """The difference."""
        return Column(self.value - other.value, self.drawn - other.drawn, self.without - other.without)


@dataclass(frozen=True, eq=False)
class Drawing:
    """How a data set is drawn again.

    Attributes:
        kind: What is drawn.
        groups: [image]: the group of each image, numbered from 0.
        blocks: [image]: groups that are left out together.
        replicates: How often it is drawn.
    """

    kind: Kind
    groups: Ints
    blocks: Ints
    replicates: int

    @cached_property
    def number(self) -> int:
        """How many groups there are."""
        return len(np.unique(self.groups))

    def columns(self, measures: Sequence[Callable[[Ints], Floats]]) -> list[Iterator[Column]]:
        """Draw once for several functions of weights, each with any number of figures; see `replay`."""
        widths = [one(np.zeros((1, len(self.groups)), dtype=np.int64)).shape[1] for one in measures]

        def measure(weights: Ints) -> Floats:
            return np.concatenate([one(weights) for one in measures], axis=1)

        every = replay(measure, self.groups, self.blocks, replicates=self.replicates)
        ends = np.cumsum([0, *widths])
        return [_columns(every, first, end) for first, end in pairwise(ends.tolist())]

    def share(self, column: Column, images: Ints, what: str, unit: str = "1", categories: int = 1) -> Figure:
        """A share of what stands in these images, one by one, as a figure; per 1,000 where its unit is that.

        Args:
            column: What was drawn.
            images: Of what the figure is over, an image for each.
            what: Plural of what it is over.
            unit: Of the figure.
            categories: Of how many it is the mean.
        """
        scale = PER_THOUSAND if unit == "per 1,000" else 1
        if not np.isfinite(column.value):
            return Figure.undefined(unit, f"there are no {what}", 0)
        ends = interval(column.value, column.drawn, column.without, len(images), categories=categories)
        figure = Figure(value=scale * column.value, unit=unit, n=len(images))
        return self._with(figure, ends and (max(ends[0], 0.0), min(ends[1], 1.0)), images, what, scale)

    def mean(self, column: Column, images: Ints, what: str, unit: str, least: float = -np.inf) -> Figure:
        """A mean that may be any number, as a figure."""
        if not np.isfinite(column.value):
            return Figure.undefined(unit, f"there are no {what}", 0)
        spread = spread_of(column.value, column.drawn, column.without)
        margin = spread.margin(LEVEL) if spread else 0.0
        ends = (max(column.value - margin, least), column.value + margin) if spread else None
        return self._with(Figure(value=column.value, unit=unit, n=len(images)), ends, images, what)

    def _with(self, figure: Figure, ends: Interval | None, images: Ints, what: str, scale: int = 1) -> Figure:
        if ends is None:
            alone = f"all {figure.n} {what} are in one of the {self.kind}: no interval"
            return figure.model_copy(update={"caution": alone})
        low, high = rounded(*ends)
        message = caution(figure.n or 0, len(np.unique(images)), self.number, self.kind, what)
        ends = round(scale * low, 4), round(scale * high, 4)
        return figure.model_copy(update={"interval": ends, "caution": message})


def _columns(every: Replay, first: int, end: int) -> Iterator[Column]:
    for place in range(first, end):
        yield Column(float(every.whole[place]), every.drawn[:, place], every.without[:, place])
