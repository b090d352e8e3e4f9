"""Saved views: each is the answer to a question, worst first.

A view chooses images and hides none of their boxes: the App, when a box is edited, saves those that the view shows and
drops the others. The boxes that a view is about carry a tag instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone
from fiftyone import ViewField as F

from wildbench.curation.fields import GROUND_TRUTH, SUMMARIES
from wildbench.curation.named_predictions import NamedPredictions, dense_of

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
        for name, field, description in (
            (
                WRONG,
                "wrong_label",
                "Boxes covered by a surer detection of another category; largest margin first.",
            ),
            (MISSING, "missing_box", "Confident detections where no box is; most confident first."),
            (HARDEST, "hardness", "Images by 1 - F1, mean over the detectors."),
        ):
            views[name] = (samples.match(F(field) > 0).sort_by(field, reverse=True), description)
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
    boxes = F(f"{GROUND_TRUTH}.detections")
    description = f"Images with boxes that {dense.name} finds and {one.name} does not."
    view = samples.match(boxes.filter(lost).length() > 0).sort_by("forgotten", reverse=True)
    views = {forgotten(one.name): (view, description)}
    for key in ("label", "size"):
        for value in samples.filter_labels(GROUND_TRUTH, lost).distinct(f"{GROUND_TRUTH}.detections.{key}"):
            part = samples.match(boxes.filter(lost & (F(key) == value)).length() > 0)
            views[forgotten(one.name, value)] = (part, f"{description} Only {value}.")
    return views


LABELS, TAGGED = "#009e73", "#ff3b00"

DETECTORS = ("#56b4e9", "#cc79a7", "#e69f00", "#f0e442", "#0072b2")
"""Colours that the colour-blind tell apart too (Okabe and Ito, 2002), from the dense detector on."""

_TECHNICAL = ["id", "filepath", "created_at", "last_modified_at"]


def dress(samples: fiftyone.Dataset, detectors: Sequence[NamedPredictions]) -> None:
    """Set colours, and what the sidebar lists: answers, then what is known of an image, then the rest, folded."""
    boxes = [GROUND_TRUTH, *(one.field for one in detectors)]
    colours = [LABELS, *(DETECTORS[place % len(DETECTORS)] for place in range(len(detectors)))]
    samples.app_config.color_scheme = fiftyone.ColorScheme(
        color_by="field",
        color_pool=[LABELS, *DETECTORS],
        multicolor_keypoints=False,
        opacity=0.7,
        show_skeletons=True,
        fields=[{"path": path, "fieldColor": colour} for path, colour in zip(boxes, colours, strict=True)],
        label_tags={"fieldColor": TAGGED, "valueColors": []},
    )
    metadata = [path for path in samples.get_field_schema(flat=True) if path.startswith("metadata.")]
    known = set(boxes) | set(SUMMARIES) | set(_TECHNICAL) | {"tags", "metadata"}
    facts = [path for path in samples.get_field_schema() if path not in known]
    samples.app_config.sidebar_groups = [
        fiftyone.SidebarGroupDocument(name=name, paths=paths, expanded=expanded)
        for name, paths, expanded in (
            ("tags", [], True),
            ("labels", boxes, True),
            ("answers", list(SUMMARIES), True),
            ("image", facts, True),
            ("metadata", metadata, False),
            ("other", _TECHNICAL, False),
        )
    ]
