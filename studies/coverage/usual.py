"""The intervals that are usual, to be measured against."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from wildbench.measures.uncertainty import LEVEL, Floats, Interval


def percentile_interval(replicates: Floats, *, level: float = LEVEL) -> Interval:
    """The middle of the replicates (Efron, 1979)."""
    low, high = np.nanquantile(replicates, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_interval(estimate: float, replicates: Floats, jackknife: Floats, *, level: float = LEVEL) -> Interval:
    """Bias-corrected and accelerated (Efron, 1987); percentile where nothing varies."""
    quantile = NormalDist().inv_cdf((1 + level) / 2)
    drawn = replicates[~np.isnan(replicates)]
    below = (np.mean(drawn < estimate) + np.mean(drawn <= estimate)) / 2
    pulled = jackknife.mean() - jackknife
    if not 0 < below < 1 or not pulled.any():
        return percentile_interval(drawn, level=level)
    shift = NormalDist().inv_cdf(float(below))
    acceleration = float((pulled**3).sum() / (6 * (pulled**2).sum() ** 1.5))
    ends = []
    for end in (-quantile, quantile):
        moved = shift + (shift + end) / (1 - acceleration * (shift + end))
        ends.append(float(np.quantile(drawn, NormalDist().cdf(moved))))
    return ends[0], ends[1]
