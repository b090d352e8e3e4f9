"""What a baseline has to reach to be called strong, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import fmean

from wildbench.baselines.series import Place, mean_difference, places
from wildbench.baselines.summary import PointRecord


@dataclass(frozen=True)
class Bound:
    """A claim about a way to compress.

    Attributes:
        title: In words.
        applies: Whether a point is an attempt at it.
        least_ratio: Old size over new size that it has to reach.
        most_loss: In AP50 (0..1) that it may cost against the dense parent.
    """

    title: str
    applies: Callable[[PointRecord], bool]
    least_ratio: float
    most_loss: float

    @property
    def claim(self) -> str:
        """The bound in numbers."""
        size = f", {self.least_ratio:g} times smaller" if self.least_ratio > 1 else ""
        return f"within {100 * self.most_loss:g} AP50{size}"


@dataclass(frozen=True)
class Finding:
    """A bound on one data set.

    Attributes:
        bound: The claim.
        tried: Every attempt.
        best: The attempt that keeps most AP50 of those that are small enough; where none is, the smallest.
        met: Whether it holds: by the mean over seeds and parents, where there are several.
    """

    bound: Bound
    tried: tuple[Place, ...]
    best: Place
    met: bool


def _methods(point: PointRecord) -> list[str]:
    return [step.method for step in point.steps]


def is_plain_thirty(point: PointRecord) -> bool:
    """The paper's 30 %: unstructured L1 pruning of the backbone, and nothing else."""
    wanted = {"ratio": 0.3, "scope": "backbone", "criterion": "l1"}
    return _methods(point) == ["weights"] and wanted.items() <= point.steps[0].settings.items()


def is_int8(point: PointRecord) -> bool:
    """Weights and activations in 8 bits, and nothing else."""
    wanted = {"weights": 8, "activations": 8}
    return _methods(point) == ["quantize"] and wanted.items() <= point.steps[0].settings.items()


RECOVERY = {"recalibrate", "fine-tune", "distil"}


def is_recovered(point: PointRecord) -> bool:
    """Filters taken out of a trained detector, and accuracy won back."""
    used = set(_methods(point))
    return "filters" in used and bool(used & RECOVERY) and "from-scratch" not in used


BOUNDS = (
    Bound("Unstructured pruning, 30 % of the backbone", is_plain_thirty, 1, 0.005),
    Bound("INT8", is_int8, 4, 0.005),
    Bound("Channels removed, with recovery", is_recovered, 1.6, 0.01),
    Bound("Deep Compression", lambda point: {"share", "code"} <= set(_methods(point)), 12, 0.01),
)


def examine(bound: Bound, points: Iterable[PointRecord]) -> Finding | None:
    """Look whether a bound holds among points of one data set; None where nothing was tried."""
    tried = tuple(places(point for point in points if bound.applies(point)))
    if not tried:
        return None
    small = [place for place in tried if _ratio(place) >= bound.least_ratio]
    best = max(small, key=_kept) if small else max(tried, key=_ratio)
    return Finding(bound, tried, best, met=bool(small) and _kept(best) >= -bound.most_loss)


def _ratio(place: Place) -> float:
    return fmean(point.ratio for point in place)


def _kept(place: Place) -> float:
    """Difference in AP50 from dense; where it is undefined, worse than any."""
    found = mean_difference(place, lambda point: point.overall["ap50"])
    return -1.0 if found is None else found
