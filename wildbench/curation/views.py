"""Saved views: each is the answer to a question, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone
from fiftyone import ViewField as F

from wildbench.curation.named_predictions import NamedPredictions, dense_of
from wildbench.curation.samples import GROUND_TRUTH

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
    views: dict[str, tuple[Any, str]] = {}
    if detectors:
        wrong = samples.match(F("wrong_label") > 0).sort_by("wrong_label", reverse=True)
        views[WRONG] = (
            wrong.filter_labels(GROUND_TRUTH, F("wrong_label") > 0),
            "Boxes that a confident detection of another category covers; largest margin first.",
        )
        missing = samples.match(F("missing_box") > 0).sort_by("missing_box", reverse=True)
        for one in detectors:
            missing = missing.filter_labels(one.field, F("error") == "background", only_matches=False)
        views[MISSING] = (missing, "Confident detections where no box is; most confident first.")
        views[HARDEST] = (
            samples.match(F("hardness") > 0).sort_by("hardness", reverse=True),
            "Images by 1 - F1, mean over the detectors.",
        )
    views[DUPLICATES] = (samples.exists("group").sort_by("group"), "Images that show the same, group by group.")
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
    lost = F("forgotten_by").contains(one.name)
    view = samples.filter_labels(GROUND_TRUTH, lost)
    description = f"Boxes that {dense.name} finds and {one.name} does not."
    views = {forgotten(one.name): (view.sort_by("forgotten", reverse=True), description)}
    for key in ("label", "size"):
        for value in view.distinct(f"{GROUND_TRUTH}.detections.{key}"):
            part = samples.filter_labels(GROUND_TRUTH, lost & (F(key) == value))
            views[forgotten(one.name, value)] = (part, f"{description} Only {value}.")
    return views
