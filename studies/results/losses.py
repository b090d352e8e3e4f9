"""What compression loses: per category and per size, along the curve of one recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wildbench.sweeps.record import Change, Place, mean_difference

LEFT = 0.5
"""A category is lost where less than this share of the dense parent's AP50 is left."""

SIZES = {"ap_small": "small", "ap_medium": "medium", "ap_large": "large"}


@dataclass(frozen=True)
class Part:
    """One category or size along a curve.

    Attributes:
        name: Of the category, or small, medium or large.
        boxes: That it is over.
        dense: Mean figure of the dense parents; None where it is undefined.
        differences: From dense at each place, mean over its points.
        worse: At each place, whether every point's interval lies below zero.
        judged: Whether there is an interval anywhere; one needs boxes from several places.
    """

    name: str
    boxes: int
    dense: float | None
    differences: tuple[float | None, ...]
    worse: tuple[bool, ...]
    judged: bool

    @property
    def lost_at(self) -> int | None:
        """The first place where less than half of the dense figure is left, and a loss is shown; None without one."""
        if not self.dense:
            return None
        left = [None if change is None else (self.dense + change) / self.dense for change in self.differences]
        shown = enumerate(zip(left, self.worse, strict=True))
        return next((index for index, (share, worse) in shown if worse and share is not None and share < LEFT), None)


def sizes(curve: Sequence[Place]) -> list[Part]:
    """AP of small, medium and large boxes along a curve."""
    return [_part(name, curve, lambda point, key=key: point.sizes.get(key)) for key, name in SIZES.items()]


def categories(curve: Sequence[Place]) -> list[Part]:
    """AP50 of each category along a curve, those that are lost first at the top."""
    names = list(dict.fromkeys(name for place in curve for point in place for name in point.per_category))
    parts = [_part(name, curve, lambda point, key=name: point.per_category.get(key)) for name in names]
    return sorted((part for part in parts if part.boxes), key=_fate)


def told(parts: Sequence[Part], curve_places: Sequence[str]) -> str:
    """In words, which categories are lost first: those of which an interval shows it."""
    lost = [f"{_counted(part)[:-1]}; from {curve_places[part.lost_at]})" for part in parts if part.lost_at is not None]
    kept = [_counted(part) for part in parts if part.lost_at is None and part.dense and part.judged]
    unjudged = [_counted(part) for part in parts if part.dense and not part.judged]
    none = [_counted(part) for part in parts if not part.dense]
    said = [f"Lost first, with less than half of the dense AP50 left: {', '.join(lost)}." if lost else ""]
    said += [f"Not shown to be lost, which is not to be kept: {', '.join(kept)}." if kept else ""]
    said += [f"Without an interval, so that nothing is shown: {', '.join(unjudged)}." if unjudged else ""]
    said += [f"Not found by the dense detector either: {', '.join(none)}." if none else ""]
    return " ".join(filter(None, said))


def _counted(part: Part) -> str:
    return f"{part.name} ({part.boxes} {'box' if part.boxes == 1 else 'boxes'})"


def _fate(part: Part) -> tuple[int, float, str]:
    """What is lost at an earlier place comes first, then what lost the larger share at the end."""
    last = part.differences[-1]
    share = last / part.dense if last is not None and part.dense else 0.0
    return (len(part.differences) if part.lost_at is None else part.lost_at), share, part.name


def _part(name: str, curve: Sequence[Place], of: Callable[..., Change | None]) -> Part:
    changes = [[change for point in place if (change := of(point)) is not None] for place in curve]
    known = [change.dense for change in changes[0] if change.dense is not None]
    return Part(
        name=name,
        boxes=max((change.n for change in changes[0]), default=0),
        dense=sum(known) / len(known) if known else None,
        differences=tuple(mean_difference(place, of) for place in curve),
        worse=tuple(bool(there) and all(_is_worse(change) for change in there) for there in changes),
        judged=any(change.interval is not None for there in changes for change in there),
    )


def _is_worse(change: Change) -> bool:
    return change.interval is not None and change.interval[1] < 0
