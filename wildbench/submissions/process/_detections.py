"""Detections of one image, and what makes them valid: the boundary between a detector and all that judges it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import WrongOutput

MOST_DETECTIONS = 10_000
"""More than this many of one image is taken for a fault; COCO looks at a hundred."""


Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Detections:
    """What a detector found in one image.

    Attributes:
        boxes: float32, n x 4, xyxy in pixels of the original image.
        labels: int64, n; 1 is the first category of the manifest.
        scores: float32, n, 0 to 1.
        masks: uint8, n x H x W, 0 or 1; None where the detector predicts none.
        stages: Seconds that preprocess, forward and postprocess took, by the child's clock.
    """

    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8] | None = None
    stages: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.scores)


def check_detections(found: Detections, num_categories: int, height: int, width: int) -> None:
    """Check that an answer is a list of detections in this image.

    Args:
        found: The answer.
        num_categories: Labels run from 1 to this.
        height: Of the original image, pixels.
        width: Of the original image, pixels.

    Raises:
        WrongOutput: Names the array, the position and the rule that it breaks.

    Example:
        >>> box = np.array([[4, 4, 2, 8]], np.float32)
        >>> check_detections(Detections(box, np.ones(1, np.int64), np.ones(1, np.float32)), 13, 10, 10)
        Traceback (most recent call last):
        ...
        wildbench.errors.WrongOutput: boxes[0] = [4.0, 4.0, 2.0, 8.0] has x2 < x1 or y2 < y1; boxes are x1, y1, x2, y2
    """
    _check_form(found, height, width)
    _refuse_first(found.boxes, ~np.isfinite(found.boxes).all(axis=1), "boxes", "is not finite", "")
    _refuse_first(found.scores, ~np.isfinite(found.scores), "scores", "is not finite", "")
    turned = np.any(found.boxes[:, 2:] < found.boxes[:, :2], axis=1)
    _refuse_first(found.boxes, turned, "boxes", "has x2 < x1 or y2 < y1", "boxes are x1, y1, x2, y2")
    outside = np.any((found.boxes < 0) | (found.boxes > np.array([width, height, width, height])), axis=1)
    _refuse_first(found.boxes, outside, "boxes", f"lies outside the image of {width} x {height}", "")
    beyond = (found.labels < 1) | (found.labels > num_categories)
    _refuse_first(found.labels, beyond, "labels", f"is none of 1..{num_categories}", "label 1 is the first category")
    wild = (found.scores < 0) | (found.scores > 1)
    _refuse_first(found.scores, wild, "scores", "is outside 0..1", "scores are probabilities, not logits")


def _check_form(found: Detections, height: int, width: int) -> None:
    count = len(found.scores) if found.scores.ndim else 0
    expected: list[tuple[str, Array | None, tuple[int, ...], type[np.generic]]] = [
        ("boxes", found.boxes, (count, 4), np.float32),
        ("labels", found.labels, (count,), np.int64),
        ("scores", found.scores, (count,), np.float32),
        ("masks", found.masks, (count, height, width), np.uint8),
    ]
    for name, values, shape, dtype in expected:
        if values is not None and (values.shape != shape or values.dtype != dtype):
            raise WrongOutput(f"{name} is {values.dtype} {list(values.shape)}, not {np.dtype(dtype)} {list(shape)}")
    if count > MOST_DETECTIONS:
        raise WrongOutput(f"{count} detections in one image", remedy=f"keep the best {MOST_DETECTIONS} at most")


def _refuse_first(values: Array, wrong: Array | np.bool_, name: str, rule: str, remedy: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise WrongOutput(f"{name}[{at}] = {values[at].tolist()} {rule}", remedy=remedy)
