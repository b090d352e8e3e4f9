"""AP of one detector on resampled images, kept beside its card: what ranking needs, without matching again."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from wildbench.datasets.coco import Dataset
from wildbench.errors import ScorecardError
from wildbench.measures.matching import known_categories, prepare, what_counts
from wildbench.measures.uncertainty import REPLICATES, Floats
from wildbench.scorecard import Record


@dataclass(frozen=True, eq=False)
class Samples:
    """AP of one detector; NaN where no box was drawn. Draw `k` is of the same images for every detector.

    Attributes:
        whole: float64 [1]: on the data set.
        drawn: float64 [replicate]: on resampled sets.
        without: float64 [group]: without each group of images in turn.
    """

    whole: Floats
    drawn: Floats
    without: Floats

    def to_bytes(self) -> bytes:
        """As a .npy file: the figure, the replicates, then the rest in one row."""
        file = io.BytesIO()
        np.save(file, np.concatenate([self.whole, self.drawn, self.without]).astype("<f8"), allow_pickle=False)
        return file.getvalue()


def measure_samples(data: Dataset, results: list[dict[str, Any]], scored: set[int] | None) -> Samples:
    """Draw the data set again and again.

    Args:
        data: Ground truth.
        results: COCO results of its images and categories.
        scored: Ids of the categories that the detector knows; None for all.
    """
    # here, because they load a compiler, which reading samples does without
    from wildbench.measures.uncertainty import estimate, measure_uncertainty

    found = measure_uncertainty(data, results, scored_categories=scored)
    return Samples(estimate([found.matches]).ap()[0], found.drawn.ap()[:, 0], found.without.ap()[:, 0])


def samples_from(stored: bytes, where: str, replicates: int = REPLICATES) -> Samples:
    """Read what `to_bytes` wrote.

    Args:
        stored: The file.
        where: Its name, for the message.
        replicates: How many there are.

    Raises:
        ScorecardError: It is no such file.

    Example:
        >>> one = Samples(np.array([0.5]), np.array([0.4, 0.6]), np.array([0.5, 0.5, 0.4]))
        >>> samples_from(one.to_bytes(), "a.npy", replicates=2).without.tolist()
        [0.5, 0.5, 0.4]
    """
    try:
        values = np.load(io.BytesIO(stored), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        values = np.zeros(0)
    if values.ndim != 1 or values.dtype != np.dtype("<f8") or len(values) < 1 + replicates:
        raise ScorecardError(f"{where}: damaged, or of another version", remedy="restore it from version control")
    return Samples(values[:1], values[1 : 1 + replicates], values[1 + replicates :])


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
