"""How far each accuracy figure of a scorecard can be trusted: its interval, and what to know about it.

The images of a data set stand for those that a detector will meet. They are drawn again with replacement, by location
where every image has one, and the figure is taken on each drawn set (`measures.bootstrap`); what the spread says of the
figure is `measures.intervals`' to tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba

from wildbench import scorecard
from wildbench.datasets.coco import Flags, Ints
from wildbench.measures.matching import AREAS, Matches
from wildbench.measures.scored import Scored
from wildbench.measures.uncertainty._bootstrap import SEED, Kind, Replicates, groups_of, jackknife, resample
from wildbench.measures.uncertainty._intervals import LEVEL, REPLICATES, caution, interval
from wildbench.scorecard import Figure

METHOD = "bootstrap: centre corrected for bias, Student's t, Wilson's ends"

_DIGITS = 4
"""Of an interval's ends: a hundredth of a point of AP, far less than the seed makes of them."""


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """One detector's replicates on one data set.

    Attributes:
        matches: What became of its detections.
        kind: "locations" or "images", whatever is drawn.
        group: int64 [image]: the group of each image, numbered from 0.
        drawn: On the drawn sets.
        without: Without each group in turn, or blocks of them where there are very many.
    """

    matches: Matches
    kind: Kind
    group: Ints
    drawn: Replicates
    without: Replicates

    @property
    def groups(self) -> int:
        """How many of them there are."""
        return len(set(self.group.tolist()))

    def complete(
        self,
        figure: Figure,
        *,
        area: str = "all",
        iou: float | None = None,
        most: int = 100,
        category: str | None = None,
    ) -> Figure:
        """A figure with its interval and what to know about it; unchanged where it has no value.

        Args:
            figure: An average precision (unit AP) or recall (AR).
            area: As for `Replicates.ap`; `iou`, `most` and `category` likewise.
            iou: See `area`.
            most: See `area`.
            category: See `area`.
        """
        if figure.value is None:
            return figure
        drawn, without = (
            side.ap(area=area, iou=iou, category=category)
            if figure.unit == "AP"
            else side.ar(area=area, most=most, category=category)
            for side in (self.drawn, self.without)
        )
        held = self._held(area, category)
        boxes, images = int(held.sum()), len(set(self.matches.boxes[held, 2].tolist()))
        categories = len(set(self.matches.boxes[held, 0].tolist()))
        ends = interval(figure.value, drawn[:, 0], without[:, 0], boxes, categories=categories)
        if ends is None:
            told = f"all {boxes} boxes are in one of the {self.kind}: no interval"
            return figure.model_copy(update={"caution": told})
        told_if = caution(boxes, images, self.groups, self.kind)
        return figure.model_copy(update={"interval": rounded(*ends), "caution": told_if})

    def _held(self, area: str, category: str | None) -> Flags:
        """Which of the boxes a figure is over."""
        of_category, of_area, _ = self.matches.boxes.T
        held: Flags = of_area == list(AREAS).index(area)
        return held if category is None else held & (of_category == self.matches.categories.index(category))

    def record(self) -> scorecard.Uncertainty:
        """What a scorecard says of its intervals."""
        return scorecard.Uncertainty(
            method=METHOD,
            level=LEVEL,
            replicates=self.drawn.precision.shape[1],
            seed=SEED,
            groups=self.kind,
            number_of_groups=self.groups,
            engine=f"numba {numba.__version__}",
        )


def measure_uncertainty(scored: Scored) -> Uncertainty:
    """Draw the data set again and again."""
    kind, groups = groups_of(scored.dataset)
    return Uncertainty(
        matches=scored.matches,
        kind=kind,
        group=groups,
        drawn=resample([scored.matches], groups, replicates=REPLICATES),
        without=jackknife([scored.matches], groups),
    )


def rounded(low: float, high: float) -> tuple[float, float]:
    """Rounded away from each other, so that what they enclose stays enclosed.

    Example:
        >>> rounded(0.41236, 0.51231)
        (0.4123, 0.5124)
    """
    scale = 10**_DIGITS
    return math.floor(low * scale) / scale, math.ceil(high * scale) / scale
