"""Intervals of average precision and recall, from a bootstrap and a jackknife over groups of images.

Average precision is hard on the usual intervals: it takes the largest of noisy precisions, so that on few images it is
biased upwards. Three things mend it; docs/uncertainty.md says why, and `python -m studies.coverage` measures it.

* The centre is corrected for bias: the replicates' excess over the figure, divided by sqrt(2) - 1, because a replicate
  has twice the variance. The excess itself stands for the standard error of the correction.
* The standard error is the larger of the bootstrap's and the jackknife's (Efron and Stein, 1981), with that of the
  correction, times Student's t with the degrees of freedom that the kurtosis of the jackknife values leaves
  (Satterthwaite, 1946).
* The ends are Wilson's (1927), and at least as far as his for none missed of n boxes, over the square root of the
  number of categories in a mean of several: no resampling shows what was not seen.

The difference of two detectors, paired on the same drawn images, needs the last alone. Its margin is at least Wilson's
end for a share of boxes on which they differ, none seen of n, over the number of categories. References: Holm, "A
simple sequentially rejective multiple test procedure", 1979; Dror et al., "Replicability Analysis for Natural Language
Processing", 2017.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]

LEVEL = 0.95
"""Of every interval in a scorecard."""

REPLICATES = 2000
"""How often a data set is drawn: enough for the ends of an interval to move by a few hundredths of its width with the
seed."""

FEW_BOXES, FEW_IMAGES, FEW_GROUPS = 10, 5, 12
"""Below these an interval comes with a caution."""


@dataclass(frozen=True)
class Spread:
    """Student's t distribution of a figure, its bias removed: intervals and probabilities are read from it."""

    centre: float
    error: float
    freedom: float
    """Infinite where no group stands out."""

    def margin(self, level: float = LEVEL) -> float:
        """Half the length of an interval."""
        return self.error * self.quantile((1 + level) / 2)

    def quantile(self, probability: float) -> float:
        """In standard errors."""
        from scipy.special import stdtrit  # here, because most that import this module ask for no quantile

        return float(stdtrit(self.freedom, probability))

    def above_zero(self) -> float:
        """Probability of more than 0. Without an error 1, a half or 0: the figure is above, at or below 0."""
        from scipy.special import stdtr

        if not self.error:
            return 0.5 + 0.5 * float(np.sign(self.centre))
        return float(stdtr(self.freedom, self.centre / self.error))


def spread_of(
    estimate: float, replicates: Floats, jackknife: Floats, *, boxes: int | None = None, categories: int = 1
) -> Spread | None:
    """The distribution of a difference of two detectors' figures on the same images.

    Around the difference itself, because bias is much the same in both figures. The bootstrap's variance is taken to be
    that of one group more than there are degrees of freedom. A margin of less than what may not have been seen is
    replaced by that, as a normal distribution.

    Args:
        estimate: Difference on the data set, -1..1.
        replicates: [replicate]: differences on the same resampled sets.
        jackknife: [group]: without each group in turn.
        boxes: What the figures are over; None for what was seen alone.
        categories: How many categories' figures they are the means of.

    Returns:
        None where it is undefined, or everything is in one group.

    Example:
        >>> drawn, without = np.random.default_rng(0).normal(0.1, 0.02, 2000), 0.1 + np.linspace(-1, 1, 50) / 210
        >>> round(spread_of(0.1, drawn, without).above_zero(), 4)
        1.0
        >>> round(spread_of(0.0, np.zeros(2000), np.zeros(50), boxes=8).margin(), 2)  # both right on all of them
        0.32
    """
    if not _defined(estimate, replicates, jackknife):
        return None
    freedom = _freedom(jackknife)
    seen = Spread(estimate, float(np.nanstd(replicates, ddof=1)) * math.sqrt(1 + 1 / freedom), freedom)
    unseen = _none_of(boxes / categories) / categories if boxes else 0.0
    return seen if seen.margin() >= unseen else Spread(estimate, unseen / _normal(LEVEL), math.inf)


def interval(
    estimate: float, replicates: Floats, jackknife: Floats, boxes: int, *, categories: int = 1, level: float = LEVEL
) -> Interval | None:
    """Interval of an average precision or recall.

    Args:
        estimate: The figure on the data set, 0..1; NaN where it is undefined.
        replicates: [replicate]: on resampled sets; NaN where one has no such box.
        jackknife: [group]: without each group in turn; NaN where it holds every such box.
        boxes: What the figure is over.
        categories: How many categories' figures it is the mean of.
        level: Probability with which it is to hold the figure of the population that the images are drawn from.

    Returns:
        Ends within 0..1 that enclose the figure; None where it is undefined, or all boxes are in one group.

    Example:
        >>> drawn, without = np.random.default_rng(0).normal(0.62, 0.05, 2000), 0.6 + np.linspace(-1, 1, 50) / 83
        >>> [round(end, 2) for end in interval(0.6, drawn, without, 60)]
        [0.45, 0.66]
        >>> [round(end, 2) for end in interval(1.0, np.ones(2000), np.ones(50), 15)]
        [0.8, 1.0]
    """
    if not _defined(estimate, replicates, jackknife):
        return None
    spread = _figure_spread(estimate, replicates, jackknife)
    variance = estimate * (1 - estimate)
    shrink = spread.margin(level) ** 2 / variance if variance > 0 else 0.0
    low, high = _wilson(min(max(spread.centre, 0.0), 1.0), shrink)
    unseen = _none_of(boxes / categories, level) / math.sqrt(categories)
    return min(low, estimate * (1 - unseen)), max(high, estimate + (1 - estimate) * unseen)


def difference_interval(
    estimate: float,
    replicates: Floats,
    jackknife: Floats,
    *,
    boxes: int | None = None,
    categories: int = 1,
    level: float = LEVEL,
) -> Interval | None:
    """Student's t interval of a difference of two detectors' figures on the same images.

    Arguments are those of `spread_of` and `interval`; the ends are within -1..1. None where it is undefined, or
    everything is in one group.

    Example:
        >>> drawn, without = np.random.default_rng(0).normal(0.1, 0.02, 2000), 0.1 + np.linspace(-1, 1, 50) / 210
        >>> [round(end, 2) for end in difference_interval(0.1, drawn, without)]
        [0.06, 0.14]
    """
    spread = spread_of(estimate, replicates, jackknife, boxes=boxes, categories=categories)
    return _ends(estimate, spread, level) if spread else None


def _ends(estimate: float, spread: Spread, level: float = LEVEL) -> Interval:
    margin = spread.margin(level)
    return max(estimate - margin, -1.0), min(estimate + margin, 1.0)


def caution(
    boxes: int, images_with_boxes: int, groups: int, kind: str = "locations", what: str = "boxes"
) -> str | None:
    """What to tell a reader of an interval that rests on little; None where nothing.

    Example:
        >>> caution(4, 3, 168)
        'on 4 boxes: a hint, not a measurement'
    """
    if boxes < FEW_BOXES:
        return f"on {boxes} {what}: a hint, not a measurement"
    if images_with_boxes < FEW_IMAGES:
        return f"all {what} are in {images_with_boxes} images: a hint, not a measurement"
    if groups < FEW_GROUPS:
        return f"only {groups} {kind}: the interval may be too short"
    return None


def _figure_spread(estimate: float, replicates: Floats, jackknife: Floats) -> Spread:
    """The distribution of one figure: the centre corrected for bias, the standard error with that of the correction."""
    groups = len(jackknife)
    excess = float(np.nanmean(replicates)) - estimate
    by_jackknife = math.sqrt((groups - 1) / groups * ((jackknife - jackknife.mean()) ** 2).sum())
    error = math.hypot(max(float(np.nanstd(replicates, ddof=1)), by_jackknife), excess)
    return Spread(estimate - excess / (math.sqrt(2) - 1), error, _freedom(jackknife))


def _defined(estimate: float, replicates: Floats, jackknife: Floats) -> bool:
    enough = len(jackknife) > 1 and int(np.count_nonzero(~np.isnan(replicates))) > 1
    return enough and math.isfinite(estimate) and not bool(np.isnan(jackknife).any())


def _freedom(jackknife: Floats) -> float:
    """Degrees of freedom of the variance of the jackknife values: at least 1, infinite where there is no variance."""
    groups = len(jackknife)
    squares = (jackknife - jackknife.mean()) ** 2
    if not squares.any():
        return math.inf
    kurtosis = groups * float((squares**2).sum() / squares.sum() ** 2)
    return max(min(2 * groups / max(kurtosis - 1, 1e-9), groups - 1), 1.0)


def _wilson(share: float, shrink: float) -> Interval:
    """Wilson's score interval, where `shrink` is the squared normal quantile over the number of trials."""
    middle = (share + shrink / 2) / (1 + shrink)
    half = math.sqrt(shrink * share * (1 - share) + shrink**2 / 4) / (1 + shrink)
    return middle - half, middle + half


def _none_of(trials: float, level: float = LEVEL) -> float:
    """Wilson's upper end for a share of which none was seen."""
    return _wilson(0.0, _normal(level) ** 2 / trials)[1]


def _normal(level: float) -> float:
    return NormalDist().inv_cdf((1 + level) / 2)


POWER = 0.8
"""How often a difference is to show that is called the smallest a split can show."""

SIGNIFICANCE = 0.05


@dataclass(frozen=True)
class Difference:
    """A detector's figure less the baseline's, with its 95 % interval and the distribution that it is read from."""

    value: float
    interval: Interval
    spread: Spread
    alike: bool
    """Whether no drawn set tells the two apart."""

    @property
    def baseline_better(self) -> float:
        """One-sided confidence that the baseline is above."""
        return 1 - self.spread.above_zero()

    @property
    def p_value(self) -> float:
        """Two-sided, of no difference, for itself alone."""
        return 2 * min(self.baseline_better, 1 - self.baseline_better)

    def smallest(self, comparisons: int = 1) -> float:
        """The difference that is called with a probability of `POWER`, by Bonferroni's bound for `comparisons`."""
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
    if spread is None:
        return None
    return Difference(value, _ends(value, spread), spread, alike=not any(np.nan_to_num(side).any() for side in changes))


def groups_needed(found: Difference, groups: int, wanted: float, comparisons: int = 1) -> int:
    """How many groups like these would show a difference of `wanted` with a probability of `POWER`.

    The standard error falls with the square root of the number of groups.

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
    rising = np.minimum(np.arange(len(order), 0, -1) * np.array(p_values)[order], 1)
    return [float(p) for p in np.maximum.accumulate(rising)[np.argsort(order)]]
