"""Saved views: each is the answer to a question, worst first.

A view chooses images and hides none of their boxes: the App, when a box is edited, saves those that the view shows and
drops the others. The boxes that a view is about carry a tag instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.curation.samples import GROUND_TRUTH, NamedPredictions, dense_of

if TYPE_CHECKING:
    import fiftyone

MAP, ALIKE = "map", "alike"
"""Names in the App of the map of all images, and of their order by likeness to one of them."""

WRONG = "likely wrong labels"

MISSING = "likely missing boxes"

HARDEST = "hardest images"

DUPLICATES = "near duplicates"


def forgotten(name: str, part: str = "") -> str:
    """Name of the view of what a compressed detector forgot, of one category or size.

    Example:
        >>> forgotten("int8", "lion")
        'forgotten by int8: lion'
    """
    return f"forgotten by {name}{': ' if part else ''}{part}"


def save_views(samples: fiftyone.Dataset, detectors: Sequence[NamedPredictions]) -> dict[str, int]:
    """Save every view that shows something.

    Returns:
        Name of each view, with the number of its images.
    """
    from fiftyone import ViewField as F

    views: dict[str, tuple[Any, str]] = {}
    if detectors:
        for name, field, description in (
            (
                WRONG,
                "wrong_label",
                "Boxes that a detector misses and covers with another category; most confident first.",
            ),
            (MISSING, "missing_box", "Confident detections where no box is; most confident first."),
            (HARDEST, "hardness", "Images by 1 - F1, mean over the detectors."),
        ):
            views[name] = (samples.match(F(field) > 0).sort_by(field, reverse=True), description)
    if samples.has_field("group"):
        copies = samples.match(F("group") > 0).sort_by("group")
        views[DUPLICATES] = (copies, "Images that show the same, group by group.")
    for one in detectors:
        dense = dense_of(one, detectors)
        if dense is not None:
            views |= _forgotten_views(samples, one, dense)
    counts = {}
    for name, (view, description) in views.items():
        images = len(view)
        if images:
            samples.save_view(name, view, description=description, overwrite=True)
            counts[name] = images
    return counts


def _forgotten_views(
    samples: fiftyone.Dataset, one: NamedPredictions, dense: NamedPredictions
) -> dict[str, tuple[Any, str]]:
    """Boxes that the dense detector finds and this one does not: all of them, then by category and size."""
    from fiftyone import ViewField as F

    lost = F("forgotten_by").contains(one.name)
    boxes = F(f"{GROUND_TRUTH}.detections")
    description = f"Images with boxes that {dense.name} finds and {one.name} does not."
    view = samples.match(boxes.filter(lost).length() > 0).sort_by("forgotten", reverse=True)
    views = {forgotten(one.name): (view, description)}
    for key in ("label", "size"):
        for value in samples.filter_labels(GROUND_TRUTH, lost).distinct(f"{GROUND_TRUTH}.detections.{key}"):
            part = samples.match(boxes.filter(lost & (F(key) == value)).length() > 0)
            views[forgotten(one.name, value)] = (part, f"{description} Only {value}.")
    return views


def add_similarity(samples: fiftyone.Dataset, features: npt.NDArray[np.float32]) -> None:
    """Let the App sort images by likeness to any of them, and draw them all on a map (principal components).

    Args:
        samples: The images.
        features: float32 [image, feature].
    """
    import fiftyone.brain as fob

    if len(features) < 3:
        return  # neither a map nor an order
    fob.compute_similarity(samples, embeddings=features, brain_key=ALIKE, backend="sklearn", metric="cosine")
    fob.compute_visualization(samples, embeddings=features, brain_key=MAP, method="pca")


LABELS, TAGGED = "#009e73", "#ff3b00"

DETECTORS = ("#56b4e9", "#cc79a7", "#e69f00", "#f0e442", "#0072b2")
"""Colours that the colour-blind tell apart too (Okabe and Ito, 2002), from the dense detector on."""


def colour(samples: fiftyone.Dataset, detectors: Sequence[NamedPredictions]) -> None:
    """Give labels, each detector and tagged boxes a colour of their own."""
    import fiftyone

    fields = {GROUND_TRUTH: LABELS}
    fields |= {one.field: DETECTORS[place % len(DETECTORS)] for place, one in enumerate(detectors)}
    samples.app_config.color_scheme = fiftyone.ColorScheme(
        color_by="field",
        color_pool=[LABELS, *DETECTORS],
        fields=[{"path": path, "fieldColor": chosen} for path, chosen in fields.items()],
        label_tags={"fieldColor": TAGGED, "valueColors": []},
    )
