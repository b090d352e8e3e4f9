"""What a baseline must reach to be called strong, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from studies.places import Place, mean_difference, places
from wildbench.compression.recipes import find_recipe, load_recipe
from wildbench.sweeps.record import PointRecord


@dataclass(frozen=True)
class Bound:
    """A claim about one way to compress, judged by one bundled recipe as it stands.

    Attributes:
        title: In words.
        recipe: Name of the bundled recipe.
        least_ratio: Old size over new size that it has to reach.
        most_loss: In AP50 (0..1) that it may lose against the dense parent.
    """

    title: str
    recipe: str
    least_ratio: float
    most_loss: float

    @property
    def claim(self) -> str:
        """The bound in numbers."""
        size = f", {self.least_ratio:g} times smaller" if self.least_ratio > 1 else ""
        return f"within {100 * self.most_loss:g} AP50{size}"

    def judged(self, points: Iterable[PointRecord]) -> Place | None:
        """The points that the recipe made as it stands, as `.pt`; None where there are none."""
        recipe = load_recipe(find_recipe(self.recipe))
        steps = [(step.method, step.settings.model_dump(mode="json")) for step in recipe.steps]
        own = [
            point
            for point in points
            if point.format == "pt" and [(step.method, step.settings) for step in point.steps] == steps
        ]
        return places(own)[0] if own else None

    def verdict(self, place: Place) -> str:
        """Whether the bound is met by the paired interval of every point, by every value, by their mean, or not.

        Every file must be small enough for any of them. By value where an interval reaches beyond the bound or there
        is none; by mean where a value lies beyond it.
        """
        changes = [point.overall["ap50"] for point in place]
        mean = mean_difference(place, lambda point: point.overall["ap50"])
        if mean is None or mean < -self.most_loss or min(point.ratio for point in place) < self.least_ratio:
            return NO
        if any(change.difference is not None and change.difference < -self.most_loss for change in changes):
            return BY_MEAN
        inside = all(change.interval is not None and change.interval[0] >= -self.most_loss for change in changes)
        return BY_INTERVAL if inside else BY_VALUE


BY_INTERVAL, BY_VALUE, BY_MEAN, NO = "by interval", "by value", "by mean", "**no**"

BOUNDS = (
    Bound("Unstructured pruning, 30 % of the backbone", "unstructured", 1, 0.005),
    Bound("INT8", "int8", 4, 0.005),
    Bound("Channels removed, with recovery", "filters-distilled", 1.6, 0.01),
    Bound("Deep Compression", "deep-compression", 12, 0.01),
)
