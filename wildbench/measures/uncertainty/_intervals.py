"""Intervals of average precision and recall, from a bootstrap and a jackknife over groups of images.

Average precision is hard on the usual intervals. It takes the largest precision further down the ranking, and the
largest of noisy numbers is too large: on few images the figure is biased upwards by almost a standard error, and a
percentile interval, whose replicates carry the bias once more, lies above the truth. Three things mend it; what each is
worth is measured by `wildbench audit coverage` and told in docs/uncertainty.md.

* The centre is corrected for bias. A replicate has the noise of the sample and its own, twice the variance. A bias in
  proportion to the standard error, like that of a maximum, is then sqrt(2) times as large in the replicates: it is
  their excess over the figure, divided by sqrt(2) - 1. A bias that falls faster with the number of images is smaller,
  one time to 2.4 times the excess; so the excess itself stands for the standard error of the correction.
* The standard error of the figure is the larger of the bootstrap's and the jackknife's, which errs upwards (Efron and
  Stein, 1981). With that of the correction it is taken times Student's t, with the degrees of freedom that the kurtosis
  of the jackknife values leaves (Satterthwaite, 1946): few where few groups matter.
* The ends are Wilson's (1927), for a share of as many trials as would have that standard error, so that they stay
  between 0 and 1. They are at least as far as his for none missed of n boxes, over the square root of the number of
  categories in a mean of several: no resampling shows what was not seen.

The difference of two detectors needs the last alone: two that were right on all of eight boxes may still differ on the
ninth. Its margin is at least Wilson's end for a share of boxes on which they differ, none seen of n, over the number of
categories: unlike in one category, the two differ in the mean by one of so many parts. (The single figure's root is for
errors that add up; here more of them would have been more likely to be seen.)
"""

from __future__ import annotations

import math
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
    """Student's t distribution of a figure: what its intervals and probabilities are read from.

    Attributes:
        centre: The figure without its bias.
        error: Its standard error.
        freedom: Degrees of freedom; infinite where no group stands out.
    """

    centre: float
    error: float
    freedom: float

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

    Around the difference itself: bias is much the same in both figures and drops out. The bootstrap's variance is taken
    to be that of one group more than there are degrees of freedom, and made up for it. A margin of less than what may
    not have been seen is replaced by that, as a normal distribution.

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
    estimate: float,
    replicates: Floats,
    jackknife: Floats,
    boxes: int,
    *,
    categories: int = 1,
    level: float = LEVEL,
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

    Args:
        estimate: As for `spread_of`, and so the next four.
        replicates: See `estimate`.
        jackknife: See `estimate`.
        boxes: See `estimate`.
        categories: See `estimate`.
        level: As for `interval`.

    Returns:
        Ends within -1..1 that enclose the difference; None where it is undefined, or everything is in one group.

    Example:
        >>> drawn, without = np.random.default_rng(0).normal(0.1, 0.02, 2000), 0.1 + np.linspace(-1, 1, 50) / 210
        >>> [round(end, 2) for end in difference_interval(0.1, drawn, without)]
        [0.06, 0.14]
    """
    spread = spread_of(estimate, replicates, jackknife, boxes=boxes, categories=categories)
    if spread is None:
        return None
    margin = spread.margin(level)
    return max(estimate - margin, -1.0), min(estimate + margin, 1.0)


def caution(boxes: int, images_with_boxes: int, groups: int, kind: str = "locations") -> str | None:
    """What to tell a reader of an interval that rests on little; None where nothing.

    Args:
        boxes: What the figure is over.
        images_with_boxes: Images that hold them.
        groups: Groups that were drawn.
        kind: What they are: locations, or images.

    Example:
        >>> caution(4, 3, 168)
        'on 4 boxes: a hint, not a measurement'
    """
    if boxes < FEW_BOXES:
        return f"on {boxes} boxes: a hint, not a measurement"
    if images_with_boxes < FEW_IMAGES:
        return f"all boxes are in {images_with_boxes} images: a hint, not a measurement"
    if groups < FEW_GROUPS:
        return f"only {groups} {kind}: the interval may be too short"
    return None


def percentile_interval(replicates: Floats, *, level: float = LEVEL) -> Interval:
    """The middle of the replicates (Efron, 1979): what is usually done, kept to be measured against."""
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_interval(estimate: float, replicates: Floats, jackknife: Floats, *, level: float = LEVEL) -> Interval:
    """Bias-corrected and accelerated (Efron, 1987), kept to be measured against; percentile where nothing varies."""
    drawn = replicates[~np.isnan(replicates)]
    below = (np.mean(drawn < estimate) + np.mean(drawn <= estimate)) / 2
    pulled = jackknife.mean() - jackknife
    if not 0 < below < 1 or not pulled.any():
        return percentile_interval(drawn, level=level)
    shift = NormalDist().inv_cdf(float(below))
    acceleration = float((pulled**3).sum() / (6 * (pulled**2).sum() ** 1.5))
    ends = []
    for quantile in (-_normal(level), _normal(level)):
        moved = shift + (shift + quantile) / (1 - acceleration * (shift + quantile))
        ends.append(float(np.quantile(drawn, NormalDist().cdf(moved))))
    return ends[0], ends[1]


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
