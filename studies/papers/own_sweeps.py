"""Sweeps that repeat a paper's experiment on detectors and data of ours, as they stand beside the paper's figures."""

from __future__ import annotations

from collections.abc import Callable

from studies.places import spread
from wildbench.scorecard import Figure
from wildbench.sweeps.record import Measured, PointRecord, Summary

COMPARE = "Another network and other images than the paper's: at most the curves' shapes compare."


def where(sweep: Summary) -> str:
    """The data that a sweep was scored on, such as "parksim test"."""
    return f"{sweep.dataset.name} {sweep.dataset.split or ''}".strip()


def whose(sweep: Summary) -> str:
    """What a sweep's rows are of, as a note."""
    names = ", ".join(dict.fromkeys(dense.detector or dense.name for dense in sweep.dense))
    several = f", mean of {len(sweep.dense)} dense detectors" if len(sweep.dense) > 1 else ""
    return f"On {where(sweep)}: {names}{several}, without recovery; {sweep.sweep}.json has the interval of each."


def mean_over_dense(
    sweep: Summary, wanted: Callable[[PointRecord], bool] | None, figure: Callable[[Measured], Figure | None]
) -> float | None:
    """Mean of a figure over a sweep's dense detectors; None where it was not measured for each of them.

    Args:
        sweep: Of ours.
        wanted: Which of its points; None for the dense detectors themselves.
        figure: Of each.
    """
    points = sweep.dense if wanted is None else [point for point in sweep.points if wanted(point)]
    found = spread([None if (one := figure(point)) is None else one.value for point in points])
    measured = {point.dense if isinstance(point, PointRecord) else point.name for point in points}
    return found.mean if found is not None and measured == {dense.name for dense in sweep.dense} else None
