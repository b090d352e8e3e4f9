"""Points that belong together: on one curve, or at one place of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from wildbench.baselines.summary import Change, PointRecord, Spread

Place = tuple[PointRecord, ...]
"""Points that differ in their seed or dense parent alone; at least one."""


def places(points: Iterable[PointRecord]) -> list[Place]:
    """Put points with the same recipe, format and settings together, in the order of the first of each."""
    found: dict[str, list[PointRecord]] = {}
    for point in points:
        found.setdefault(json.dumps([point.recipe, point.format, point.settings], sort_keys=True), []).append(point)
    return [tuple(members) for members in found.values()]


def series_of(point: PointRecord) -> str:
    """The curve that a point is on: its recipe, those of its settings that are words, and the format if not `.pt`."""
    words = [value for value in point.settings.values() if isinstance(value, str)]
    return " ".join([point.recipe, *words, *([] if point.format == "pt" else [point.format])])


def position_of(point: PointRecord) -> str:
    """Where on its curve a point is: those of its settings that are numbers, or nothing."""
    numbers = {key: value for key, value in point.settings.items() if not isinstance(value, str)}
    return ", ".join(f"{key.rpartition('.')[2]} {value}" for key, value in numbers.items())


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean and range; None where a value is undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return None
    return Spread(mean=fmean(defined), low=min(defined), high=max(defined))


def mean_difference(place: Place, of: Callable[[PointRecord], Change | None]) -> float | None:
    """The mean paired difference over a place's points; None where it is undefined for one of them."""
    changes = [of(point) for point in place]
    found = spread([None if change is None else change.difference for change in changes])
    return None if found is None else found.mean
