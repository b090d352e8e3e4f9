"""How the App looks at first: labels and detectors told apart, what a view is about in one colour, facts in order."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone

from wildbench.curation.fields import GROUND_TRUTH, SUMMARIES
from wildbench.curation.named_predictions import NamedPredictions

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
