"""Who is better than whom, as far as the images can tell, and which rows nothing beats at a cost.

Row A is better than row B where the paired 95 % interval of the difference in AP lies above 0, or where A is better
than a row that is better than B. That is a partial order. The ranks a row may hold are its places in all orders of the
rows that put each better row first: from 1 plus the number of rows that are better, to all rows less those that it is
better than. Of two rows neither of which is better, each may stand right before the other, so they have ranks in
common.

The second half of the rule is hardly ever needed: standard errors of differences obey the triangle inequality, so
intervals alone are transitive unless degrees of freedom differ much. No interval is corrected for the number of pairs:
among 500 rows of equal worth, some pairs differ by chance.

Hypervolumes are those of Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary Algorithms", 1998. The box
is fixed for each cost, so that a section's hypervolume changes only where its front does, and two boards compare: its
reference point is the higher limit with AP 0, its far corner the lower limit with AP 1, and cost runs on a log scale.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from wildbench.leaderboard._model import Front, Row
from wildbench.leaderboard._results import Samples
from wildbench.measures import Measure
from wildbench.measures.uncertainty import LEVEL, Floats, Interval, spread_of
from wildbench.scorecard import Figure


class Paired:
    """The differences between every two detectors, on the same resampled images.

    `measures.intervals.difference_interval` of many pairs at once: a pair by itself takes it a fifth of a millisecond,
    and 500 rows have 125,000.

    Args:
        samples: One per row, drawn alike.
        boxes: What AP is over; None for what was seen alone.
        categories: Of how many categories it is the mean.

    Example:
        >>> noise, groups = np.random.default_rng(0).normal(0, 0.02, (2, 2000)), np.linspace(-1, 1, 50) / 840
        >>> a = Samples(np.array([0.6]), 0.6 + noise[0], np.full(50, 0.6))
        >>> b = Samples(np.array([0.5]), 0.5 + noise[0] + noise[1] / 4, 0.5 + groups)
        >>> [round(end, 2) for end in Paired([a, b]).interval(1, 0)]
        [-0.11, -0.09]
    """

    def __init__(self, samples: Sequence[Samples], *, boxes: int | None = None, categories: int = 1) -> None:
        self.ap: Floats = np.array([one.whole[0] for one in samples])
        drawn = np.array([one.drawn for one in samples], ndmin=2)
        without = np.array([one.without for one in samples], ndmin=2)
        self._drawn = _centred(drawn[:, np.isfinite(drawn).all(axis=0)])
        self.known = bool(without.shape[1] > 1 and self._drawn.shape[1] > 1 and np.isfinite(without).all())
        self._without = _centred(without)
        alike = spread_of(0.0, np.zeros(2), np.zeros(2), boxes=boxes, categories=categories)
        self._least = alike.margin() if alike and boxes else 0.0

    def _margins(self, row: int, others: npt.NDArray[np.int64], variance: Floats) -> Floats:
        """Half the length of the interval of each difference; infinite where everything is in one group."""
        if not self.known:
            return np.full(len(others), np.inf)
        freedom = _freedom(self._without[others] - self._without[row])
        seen = np.sqrt(variance * (1 + 1 / freedom)) * stdtrit(freedom, (1 + LEVEL) / 2)
        margins: Floats = np.maximum(seen, self._least)
        return margins

    def interval(self, row: int, other: int) -> Interval | None:
        """Interval of row's AP less the other's, rounded outwards to a millionth; None where there is none."""
        if not self.known:
            return None
        variance = np.var(self._drawn[row] - self._drawn[other], ddof=1)
        difference, margin = self.ap[row] - self.ap[other], self._margins(row, np.array([other]), variance)[0]
        low, high = max(difference - margin, -1.0), min(difference + margin, 1.0)
        return math.floor(low * 1e6) / 1e6, math.ceil(high * 1e6) / 1e6

    def ranks(self) -> list[tuple[int, int]]:
        """For each row, its rank and the last that it may hold."""
        order = np.argsort(-self.ap, kind="stable")
        covariance = self._drawn @ self._drawn.T / max(self._drawn.shape[1] - 1, 1)
        own = covariance.diagonal()
        better = np.zeros((len(order), len(order)), dtype=bool)  # [row, the better one]
        for place, row in enumerate(order):
            above = order[:place]
            variance = np.maximum(own[above] + own[row] - 2 * covariance[row, above], 0)
            ahead = above[self.ap[above] - self.ap[row] > self._margins(row, above, variance)]
            better[row] = better[ahead].any(axis=0)
            better[row, ahead] = True
        firsts, lasts = 1 + better.sum(axis=1), len(order) - better.sum(axis=0)
        return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _centred(values: Floats) -> Floats:
    centred: Floats = values - values.mean(axis=1, keepdims=True) if values.size else values
    return centred


def _freedom(pulled: Floats) -> Floats:
    """Degrees of freedom of the variance of each row of jackknife values; infinite where there is no variance."""
    groups = pulled.shape[1]
    squares = pulled**2
    total = squares.sum(axis=1)
    flat = total < np.finfo(float).tiny
    kurtosis = groups * (squares**2).sum(axis=1) / np.where(flat, 1, total) ** 2
    freedom = np.clip(2 * groups / np.maximum(kurtosis - 1, 1e-9), 1, groups - 1)
    return np.where(flat, np.inf, freedom)


Point = tuple[float, float]
"""Cost and AP."""


def pareto(points: Sequence[Point]) -> list[int]:
    """Points that no other beats: none has a cost as low and an AP as high, and one of the two better.

    Returns:
        Indices by rising cost; equal points stand beside each other.

    Example:
        >>> pareto([(3, 0.5), (1, 0.4), (2, 0.3), (3, 0.6), (1, 0.4)])
        [1, 4, 3]
    """
    front: list[int] = []
    for index in sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i)):
        if not front or points[index][1] > points[front[-1]][1] or points[index] == points[front[-1]]:
            front.append(index)
    return front


def hypervolume(points: Sequence[Point], limits: Point) -> float:
    """Share of the box that the points dominate, exactly; cost on a log scale, AP as it is.

    Args:
        points: Cost and AP; a cost below the box counts as its lower limit, one above it dominates nothing.
        limits: Costs of the box.

    Example:
        >>> hypervolume([(1e4, 0.4), (1e6, 0.6)], (1e4, 1e8))  # 0.4 for half of the decades, 0.6 for the rest
        0.5
    """
    low, high = (math.log10(limit) for limit in limits)
    front = [points[index] for index in pareto(points) if points[index][0] < limits[1]]
    edges = [*(math.log10(max(cost, limits[0])) for cost, _ in front), high]
    steps = zip(front, pairwise(edges), strict=True)
    return math.fsum(ap * (end - start) for (_, ap), (start, end) in steps) / (high - low)


def fronts(rows: Sequence[Row], costs: Sequence[Measure]) -> list[Front]:
    """Every front of a section: AP against each cost, among the rows for which that cost compares.

    Where rows were measured in several ways, one that was measured like no other is on no front.
    """
    every = []
    for cost in costs:
        if cost.limits is None:
            continue
        groups: dict[str | None, list[tuple[str, Point]]] = {}
        for row in rows:
            figure, ap = row.figures.get(cost.key), row.ranked_by
            if cost.key not in row.told and figure is not None and figure.value is not None and ap.value is not None:
                groups.setdefault(row.within.get(cost.key), []).append((row.id, (figure.value, ap.value)))
        compared = {within: group for within, group in groups.items() if len(group) > 1 or len(groups) == 1}
        for within, group in sorted(compared.items(), key=lambda item: item[0] or ""):
            every.append(_front(cost, cost.limits, within, group))
    return every


def _front(cost: Measure, limits: Point, within: str | None, rows: Sequence[tuple[str, Point]]) -> Front:
    points = [point for _, point in rows]
    return Front(
        axis=cost.key,
        within=within,
        unit=cost.unit,
        rows=[rows[index][0] for index in pareto(points)],
        hypervolume=Figure(value=hypervolume(points, limits), unit="AP", n=len(points)),
        limits=limits,
    )
