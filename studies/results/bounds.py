"""What a baseline has to reach to be called strong, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from studies.results.claims import PLAIN_THIRTY
from wildbench.compression.recipes import Recipe, find_recipe, load_recipe
from wildbench.sweeps.record import Place, PointRecord, mean_difference, places


@dataclass(frozen=True)
class Bound:
    """A claim about a way to compress.

    Attributes:
        title: In words.
        recipe: The bundled one that it is judged by.
        applies: Whether a point is an attempt at it.
        least_ratio: Old size over new size that it has to reach.
        most_loss: In AP50 (0..1) that it may cost against the dense parent.
    """

    title: str
    recipe: str
    applies: Callable[[PointRecord], bool]
    least_ratio: float
    most_loss: float

    @property
    def claim(self) -> str:
        """The bound in numbers."""
        size = f", {self.least_ratio:g} times smaller" if self.least_ratio > 1 else ""
        return f"within {100 * self.most_loss:g} AP50{size}"


@dataclass(frozen=True)
class Verdict:
    """A bound on one data set.

    Attributes:
        bound: The claim.
        judged: The points of the bound's own recipe; None where it was not run.
        others: Every other attempt; the best of them would be chosen after the fact, on what it is scored on.
    """

    bound: Bound
    judged: Place | None
    others: tuple[Place, ...]


def _methods(point: PointRecord) -> list[str]:
    return [step.method for step in point.steps]


def is_rounded(point: PointRecord) -> bool:
    """Whether activations are rounded."""
    return any(step.method == "quantize" and step.settings.get("activations") for step in point.steps)


def is_int8(point: PointRecord) -> bool:
    """Weights and activations in 8 bits, and nothing else."""
    wanted = {"weights": 8, "activations": 8}
    return _methods(point) == ["quantize"] and wanted.items() <= point.steps[0].settings.items()


PRUNING = {"weights", "units", "filters", "kernels"}
RECOVERY = {"recalibrate", "fine-tune", "distil"}


def is_recovered(point: PointRecord) -> bool:
    """Filters taken out of a trained detector, and accuracy won back."""
    used = set(_methods(point))
    return "filters" in used and bool(used & RECOVERY) and "from-scratch" not in used


def is_deep_compression(point: PointRecord) -> bool:
    """Pruned, values shared, and coded."""
    used = set(_methods(point))
    return used >= {"share", "code"} and bool(used & PRUNING)


BOUNDS = (
    Bound("Unstructured pruning, 30 % of the backbone", "unstructured", PLAIN_THIRTY.includes, 1, 0.005),
    Bound("INT8", "int8", is_int8, 4, 0.005),
    Bound("Channels removed, with recovery", "filters-distilled", is_recovered, 1.6, 0.01),
    Bound("Deep Compression", "deep-compression", is_deep_compression, 12, 0.01),
)

YES, BY_VALUE, BY_MEAN, NO = "yes", "by the value alone", "by the mean alone", "**no**"


def examine(bound: Bound, points: Iterable[PointRecord]) -> Verdict | None:
    """Put the attempts at a bound together, of one data set; None where nothing was tried."""
    tried = places(point for point in points if bound.applies(point))
    if not tried:
        return None
    wanted = load_recipe(find_recipe(bound.recipe))
    judged = next((place for place in tried if _is(place[0], wanted)), None)
    return Verdict(bound, judged, tuple(place for place in tried if place is not judged))


def verdict(bound: Bound, place: Place) -> str:
    """Whether a bound is met: "yes" only where every file is small enough and every paired interval ends inside it.

    Where every value is inside, and an interval reaches beyond or there is none, it is met by the value alone; where
    the mean over the points is inside and not every value, by the mean alone.
    """
    changes = [point.overall["ap50"] for point in place]
    kept = mean_difference(place, lambda point: point.overall["ap50"])
    if kept is None or kept < -bound.most_loss or min(point.ratio for point in place) < bound.least_ratio:
        return NO
    if any(change.difference is not None and change.difference < -bound.most_loss for change in changes):
        return BY_MEAN
    inside = all(change.interval is not None and change.interval[0] >= -bound.most_loss for change in changes)
    return YES if inside else BY_VALUE


def _is(point: PointRecord, recipe: Recipe) -> bool:
    """Whether a point is a `.pt` that the recipe made as it stands."""
    wanted = [(step.method, step.settings.model_dump(mode="json")) for step in recipe.steps]
    return point.format == "pt" and [(step.method, step.settings) for step in point.steps] == wanted
