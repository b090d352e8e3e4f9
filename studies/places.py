"""Points of a sweep at one place of the grid, and means over them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from wildbench.sweeps.record import Change, PointRecord

Place = tuple[PointRecord, ...]
"""Points that differ in their seed or dense parent alone; at least one."""


def places(points: Iterable[PointRecord]) -> list[Place]:
    """Group points of the same steps and format, in the order of the first of each.

    A point that stands in two sweeps counts once: the first of those with one recipe, seed and parent.
    """
    grouped: dict[str, dict[tuple[int, str, str], PointRecord]] = {}
    for point in points:
        steps = [step.model_dump(mode="json") for step in point.steps]
        same = grouped.setdefault(json.dumps([point.recipe, point.format, steps], sort_keys=True), {})
        same.setdefault((point.seed, point.dense, point.parent), point)
    return [tuple(members.values()) for members in grouped.values()]


def position_of(point: PointRecord) -> str:
    """Where on its curve a point is: those of its settings that are numbers, or nothing."""
    numbers = {key: value for key, value in point.settings.items() if not isinstance(value, str)}
    return ", ".join(f"{key} {value}" for key, value in numbers.items())


@dataclass(frozen=True)
class Spread:
    """Mean and range over several points; no interval: they are few."""

    mean: float
    low: float
    high: float


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean and range; None where a value is undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return None
    return Spread(mean=fmean(defined), low=min(defined), high=max(defined))


def mean_difference(place: Place, of: Callable[[PointRecord], Change | None]) -> float | None:
    """The mean paired difference over a place's points; None where it is undefined for one of them."""
    changes = [of(point) for point in place]
    mean = spread([None if change is None else change.difference for change in changes])
    return None if mean is None else mean.mean
