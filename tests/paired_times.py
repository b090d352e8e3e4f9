"""Comparing two times that were taken in turn: the median of their ratios, and a bound of it."""

from collections.abc import Callable
from statistics import median

from scipy.stats import binom


def at_most(limit: float, harness: list[float], bare: list[float], one_more: Callable[[], None]) -> float:
    """Median ratio of times that followed each other: a shared machine changes its speed, but seldom between the two.

    It fails where a one-sided 99.5 % bound of the median, from order statistics, lies above the limit, after up to four
    times as many rounds.
    """
    enough = len(bare)
    while (least := least_median(harness, bare)) > limit and len(bare) < 4 * enough:
        one_more()
    assert least <= limit
    return median(ratios(harness, bare))


def ratios(harness: list[float], bare: list[float]) -> list[float]:
    return sorted(whole / part for whole, part in zip(harness, bare, strict=True))


def least_median(harness: list[float], bare: list[float]) -> float:
    return ratios(harness, bare)[int(binom.ppf(0.005, len(bare), 0.5)) - 1]
