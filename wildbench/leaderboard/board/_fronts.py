"""Pareto fronts of AP against a cost, and how much they are worth.

Reference: Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary Algorithms", 1998, for the hypervolume.
The box is fixed for each cost, so that a section's hypervolume changes only where its front does, and two boards
compare: its reference point is the higher limit with AP 0, its far corner the lower limit with AP 1, and cost runs on a
log scale. In such a box the hypervolume is the mean, over budgets, of the best AP to be had within the budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from wildbench.leaderboard.board._model import Axis, Front, Row
from wildbench.scorecard import Figure

Point = tuple[float, float]
"""Cost and AP."""

LIMITS: Mapping[Axis, Point] = {
    "file_bytes": (1e4, 1e9),
    "macs": (1e6, 1e12),
    "latency_ratio": (1e-2, 1e3),
    "latency_p50": (1e-1, 1e4),
}
"""Of the box, for each cost: 10 kB to 1 GB, a million to a trillion MACs, ratios, 0.1 ms to 10 s."""

_UNITS: Mapping[Axis, str] = {"file_bytes": "B", "macs": "MAC", "latency_ratio": "1", "latency_p50": "ms"}


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


def fronts(rows: Sequence[Row]) -> list[Front]:
    """Every front of a section: AP against bytes, MACs, latency ratios and, within a hardware, milliseconds.

    A row that was measured like no other is on no front of milliseconds, nor of ratios where others have another
    reference: it would have a front to itself, which says nothing of it.

    Args:
        rows: Of one section.
    """
    found: dict[tuple[Axis, str | None], list[tuple[Row, Point]]] = {}
    for row in rows:
        for axis, within, cost in _costs(row):
            if cost is not None and cost.value is not None and row.accuracy.ap.value is not None:
                found.setdefault((axis, within), []).append((row, (cost.value, row.accuracy.ap.value)))
    references = sum(axis == "latency_ratio" for axis, _ in found)
    alone = {"latency_p50"} | ({"latency_ratio"} if references > 1 else set())
    kept = [key for key, points in found.items() if len(points) > 1 or key[0] not in alone]
    order = sorted(kept, key=lambda key: (list(LIMITS).index(key[0]), key[1] or ""))
    return [_front(axis, within, found[axis, within]) for axis, within in order]


def _costs(row: Row) -> Iterator[tuple[Axis, str | None, Figure | None]]:
    yield "file_bytes", None, row.size.file_bytes if row.size else None
    yield "macs", None, row.compute.macs if row.compute else None
    if row.latency:
        yield "latency_ratio", row.latency.reference, row.latency.reference_ratio
        yield "latency_p50", row.latency.hardware, row.latency.p50


def _front(axis: Axis, within: str | None, rows: Sequence[tuple[Row, Point]]) -> Front:
    points = [point for _, point in rows]
    return Front(
        axis=axis,
        within=within,
        unit=_UNITS[axis],
        rows=[rows[index][0].id for index in pareto(points)],
        hypervolume=Figure(value=hypervolume(points, LIMITS[axis]), unit="AP", n=len(points)),
        limits=LIMITS[axis],
    )
