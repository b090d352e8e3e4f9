"""Percentiles and means of independent samples, with intervals that assume nothing of their distribution.

The number of n independent samples below the p-quantile is binomial(n, p), so two order statistics enclose it with a
known probability (Hahn and Meeker, "Statistical Intervals", 1991, section 5.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

import numpy as np

from wildbench.scorecard import Figure

CONFIDENCE = 0.95
"""Of the intervals."""


def percentile_figure(samples: Sequence[float], p: float, unit: str) -> Figure:
    """The p-quantile: the smallest sample that at least a share p of all samples does not exceed.

    Returns:
        Null where fewer than 1 / (1 - p) samples make the percentile no more than a maximum; without an interval where
        no two order statistics enclose it with 95 % (below 6 samples for the median, 36 for p90, 368 for p99).

    Example:
        >>> percentile_figure(range(1, 101), 0.9, "ms")
        Figure(value=90.0, unit='ms', interval=(84.0, 96.0), n=100, reason=None, caution=None)
    """
    n, least = len(samples), math.ceil(round(1 / (1 - p), 9))
    if n < least:
        return Figure.undefined(unit, f"p{100 * p:g} needs at least {least} samples, there are {n}", n)
    ordered = sorted(samples)
    ranks = quantile_ranks(n, p)
    interval = None if ranks is None else (float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1]))
    rank = math.ceil(round(n * p, 9))
    return Figure(value=float(ordered[rank - 1]), unit=unit, interval=interval, n=n)


def quantile_ranks(n: int, p: float) -> tuple[int, int] | None:
    """Ranks (from 1) of the two samples that enclose the p-quantile with at least 95 %, with equal tails.

    Example:
        >>> quantile_ranks(100, 0.5), quantile_ranks(5, 0.5)
        ((40, 61), None)
    """
    from scipy.special import bdtr  # here, because the detector's process imports this module and does without

    below = bdtr(np.arange(n + 1), n, p)
    tail = (1 - CONFIDENCE) / 2
    lower = int(np.searchsorted(below, tail, side="right"))
    upper = int(np.searchsorted(below, 1 - tail, side="left")) + 1
    return (lower, upper) if lower >= 1 and upper <= n else None


def mean_figure(samples: Sequence[float], unit: str) -> Figure:
    """The mean, with the interval of the central limit theorem from 30 samples on."""
    if not samples:
        return Figure.undefined(unit, "there are no samples", 0)
    n, mean = len(samples), fmean(samples)
    margin = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * stdev(samples) / math.sqrt(n) if n >= 30 else None
    return Figure(value=mean, unit=unit, n=n, interval=None if margin is None else (mean - margin, mean + margin))
