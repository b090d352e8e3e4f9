"""Whether two detectors differ, on the same images: the difference, how sure it is, and what the split could show.

Replicates are paired: both detectors are measured on the same drawn images, so that what makes an image hard for both
cancels. References: Holm, "A simple sequentially rejective multiple test procedure", 1979, for several comparisons at
once; Dror et al., "Replicability Analysis for Natural Language Processing", 2017, for why it is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wildbench.measures.uncertainty._intervals import Floats, Interval, Spread, difference_interval, spread_of

POWER = 0.8
"""How often a difference is to show that is called the smallest a split can show."""

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Difference:
    """A detector's figure less the baseline's.

    Attributes:
        value: On the data set.
        interval: 95 %.
        spread: The distribution that both are read from.
        alike: Whether no drawn set tells the two apart.
    """

    value: float
    interval: Interval
    spread: Spread
    alike: bool

    @property
    def baseline_better(self) -> float:
        """One-sided confidence that the baseline is above."""
        return 1 - self.spread.above_zero()

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference, for itself alone."""
        return 2 * min(self.baseline_better, 1 - self.baseline_better)

    def smallest(self, comparisons: int = 1) -> float:
        """The difference that would be called with a probability of `POWER`.

        Args:
            comparisons: Of how many it is one; Bonferroni's bound, which Holm's correction never exceeds.
        """
        return self.spread.error * (
            self.spread.quantile(1 - SIGNIFICANCE / 2 / comparisons) + self.spread.quantile(POWER)
        )


def difference(whole: Floats, drawn: Floats, without: Floats, *, boxes: int, categories: int = 1) -> Difference | None:
    """Compare one figure of two detectors, the baseline first.

    Args:
        whole: [2]: the figures on the data set; NaN where undefined.
        drawn: [replicate, 2]: both on the same resampled sets.
        without: [group, 2]: both without each group in turn.
        boxes: What the figure is over.
        categories: Of how many categories it is a mean.

    Returns:
        None where the figure is undefined, or everything is in one group.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 0.02, (2, 2000))
        >>> drawn = np.stack([0.6 + noise[0], 0.5 + noise[0] + noise[1] / 4], axis=1)  # rise and fall together
        >>> without = np.stack([np.full(50, 0.6), 0.5 + np.linspace(-1, 1, 50) / 840], axis=1)
        >>> found = difference(np.array([0.6, 0.5]), drawn, without, boxes=1000)
        >>> round(found.value, 3), [round(end, 2) for end in found.interval], found.baseline_better > 0.99
        (-0.1, [-0.11, -0.09], True)
    """
    value = float(whole[1] - whole[0])
    changes = drawn[:, 1] - drawn[:, 0], without[:, 1] - without[:, 0]
    spread = spread_of(value, *changes, boxes=boxes, categories=categories)
    interval = difference_interval(value, *changes, boxes=boxes, categories=categories)
    if spread is None or interval is None:
        return None
    return Difference(value, interval, spread, alike=not any(np.nan_to_num(side).any() for side in changes))


def groups_needed(found: Difference, groups: int, wanted: float, comparisons: int = 1) -> int:
    """How many groups like these would show a difference of `wanted` with a probability of `POWER`.

    The standard error falls with the square root of the number of groups.

    Args:
        found: What was found on `groups` groups.
        groups: Images, or locations where those are drawn.
        wanted: More than 0.
        comparisons: As for `Difference.smallest`.

    Example:
        >>> found = Difference(-0.01, (-0.03, 0.01), Spread(-0.01, error=0.01, freedom=math.inf), alike=False)
        >>> round(found.smallest(), 3), groups_needed(found, 100, wanted=0.014)
        (0.028, 401)
    """
    return math.ceil(groups * (found.smallest(comparisons) / wanted) ** 2)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for there being several, so that one false alarm among all is as rare as it was for one.

    Example:
        >>> [round(p, 2) for p in holm([0.01, 0.04, 0.03])]
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    corrected = np.array(p_values, dtype=float)
    most = 0.0
    for rank, index in enumerate(order):
        most = max(most, min(1.0, (len(order) - rank) * p_values[index]))
        corrected[index] = most
    return [float(p) for p in corrected]
