"""Precision against recall of one detector, kept beside its card: what the page draws, without matching again."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from wildbench.datasets.coco import Dataset
from wildbench.errors import ScorecardError
from wildbench.measures.engine import known_categories, prepare, what_counts
from wildbench.scorecard import Record

_ALL, _MOST = 0, -1
"""Index of all areas, and of 100 detections an image and category, in the engine's arrays."""


class Curves(Record):
    """Interpolated precision in thousandths at recalls of 0, 0.01, ..., 1; zeros at the end are left out."""

    by_iou: dict[str, list[int]] = Field(description='Mean over categories at one IoU: "0.50", "0.75", "0.90".')
    per_category: dict[str, list[int]] = Field(description="At IoU 0.50; only categories with a box.")

    def to_bytes(self) -> bytes:
        """As sorted JSON on one line: same detections, same bytes."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":")) + "\n").encode()


def measure_curves(data: Dataset, results: list[dict[str, Any]], scored: set[int] | None) -> Curves:
    """Trace what AP is the mean of.

    Args:
        data: Ground truth.
        results: COCO results of its images and categories.
        scored: Ids of the categories that the detector knows; None for all.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 1, "width": 90, "height": 90}], "categories": [{"id": 1, "name": "lion"}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600,
        ...                      "iscrowd": 0}]}
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 30], "score": 0.9}]
        >>> curves = measure_curves(Dataset("tiny", None, coco, Path()), found, None)
        >>> set(curves.per_category["lion"]), len(curves.by_iou["0.75"]), curves.by_iou["0.90"]
        ({1000}, 101, [])
    """
    truth, kept = what_counts(data, results)
    categories = known_categories(data, scored)
    engine = prepare(data, truth, kept, categories)
    engine.evaluate()
    engine.accumulate()
    arrays: dict[str, Any] = engine.eval or {}
    precision = np.asarray(arrays["precision"])[:, :, :, _ALL, _MOST]
    with_boxes = [place for place in range(len(categories)) if precision[0, 0, place] > -1]
    return Curves(
        by_iou={
            f"{0.5 + 0.05 * step:.2f}": _thousandths(precision[step][:, with_boxes].mean(axis=1)) if with_boxes else []
            for step in (0, 5, 8)
        },
        per_category={categories[place]["name"]: _thousandths(precision[0, :, place]) for place in with_boxes},
    )


def _thousandths(precision: npt.NDArray[np.float64]) -> list[int]:
    found = [round(1000 * float(value)) for value in precision]
    while found and found[-1] == 0:
        found.pop()
    return found


def curves_from(stored: bytes, where: str) -> Curves:
    """Read what `Curves.to_bytes` wrote.

    Args:
        stored: The file.
        where: Its name, for the message.

    Raises:
        ScorecardError: It is no such file.
    """
    try:
        return Curves.model_validate_json(stored)
    except ValidationError:
        raise ScorecardError(
            f"{where}: damaged, or of another version", remedy="restore it from version control"
        ) from None
