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

from wildbench.measures.intervals import Floats, Interval, Spread, difference_interval, spread_of

POWER = 0.8
"""How often a difference is to show that is called the smallest a split can show."""

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Difference:
    """A detector's figure less the baseline's.

    Attributes:
        value: On the data set.
        interval: 95 %; as `measures.intervals.difference_interval` gives it.
        baseline_better: Probability that the baseline is above, given the images; ties count half.
        p_value: Two-sided, of no difference.
        smallest: The difference that would show with a probability of `POWER` at the level of the interval.
    """

    value: float
    interval: Interval
    baseline_better: float
    p_value: float
    smallest: float


def difference(baseline: Floats, other: Floats, drawn: Floats, without: Floats) -> Difference | None:
    """Compare one figure of two detectors.

    Args:
        baseline: [1]: the baseline's figure on the data set; NaN where undefined.
        other: [1]: the other's.
        drawn: [replicate, 2]: both on the same resampled sets.
        without: [group, 2]: both without each group in turn.

    Returns:
        None where the figure is undefined for one of them, or everything is in one group.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 0.02, (2, 2000))
        >>> drawn = np.stack([0.6 + noise[0], 0.5 + noise[0] + noise[1] / 4], axis=1)  # rise and fall together
        >>> without = np.stack([np.full(50, 0.6), 0.5 + np.linspace(-1, 1, 50) / 840], axis=1)
        >>> found = difference(np.array([0.6]), np.array([0.5]), drawn, without)
        >>> round(found.value, 3), [round(end, 2) for end in found.interval], found.baseline_better > 0.99
        (-0.1, [-0.11, -0.09], True)
    """
    value = float(other[0] - baseline[0])
    changes = drawn[:, 1] - drawn[:, 0], without[:, 1] - without[:, 0]
    spread, interval = spread_of(value, *changes), difference_interval(value, *changes)
    if spread is None or interval is None:
        return None
    above = spread.above_zero()
    return Difference(value, interval, 1 - above, 2 * min(above, 1 - above), _smallest(spread))


def _smallest(spread: Spread) -> float:
    return spread.error * (spread.quantile(1 - SIGNIFICANCE / 2) + spread.quantile(POWER))


def groups_needed(found: Difference, groups: int, wanted: float) -> int | None:
    """How many groups like these would show a difference of `wanted` with a probability of `POWER`.

    The standard error falls with the square root of the number of groups.

    Args:
        found: What was found on `groups` groups.
        groups: Images, or locations where those are drawn.
        wanted: More than 0.

    Returns:
        None where no image made any difference, so that there is nothing to reckon with.

    Example:
        >>> groups_needed(Difference(-0.01, (-0.03, 0.01), 0.8, 0.4, smallest=0.04), 100, wanted=0.02)
        400
    """
    return math.ceil(groups * (found.smallest / wanted) ** 2) if found.smallest else None


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
