"""Points that belong together: on one curve, or at one place of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean

from wildbench.baselines.summary import Change, PointRecord, Spread

Place = tuple[PointRecord, ...]
"""Points that differ in their seed or dense parent alone; at least one."""


def places(points: Iterable[PointRecord]) -> list[Place]:
    """Put points together that had the same steps done and have one format, in the order of the first of each.

    A point that stands in two sweeps counts once: the first of those with one recipe, seed and parent.
    """
    found: dict[str, dict[tuple[int, str, str], PointRecord]] = {}
    for point in points:
        steps = [step.model_dump(mode="json") for step in point.steps]
        same = found.setdefault(json.dumps([point.recipe, point.format, steps], sort_keys=True), {})
        same.setdefault((point.seed, point.dense, point.parent), point)
    return [tuple(members.values()) for members in found.values()]


def series_of(point: PointRecord) -> str:
    """The curve that a point is on: its recipe, those of its settings that are words, and the format if not `.pt`."""
    words = [value for value in point.settings.values() if isinstance(value, str)]
    return " ".join([point.recipe, *words, *([] if point.format == "pt" else [point.format])])


def position_of(point: PointRecord) -> str:
    """Where on its curve a point is: those of its settings that are numbers, or nothing."""
    numbers = {key: value for key, value in point.settings.items() if not isinstance(value, str)}
    return ", ".join(f"{key} {value}" for key, value in numbers.items())


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
