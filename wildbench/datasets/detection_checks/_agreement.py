"""How many labelled boxes a set of detections agrees with, under one reading of its numbers or another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.datasets.coco import Dataset

Boxes = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

IOU = 0.5
"""Overlap from which a detection and a label agree."""


@dataclass(frozen=True)
class Located:
    """Boxes with the place of their image and category in the data set, both by rising id.

    Attributes:
        boxes: float64 [n, 4], x, y, width, height in pixels.
        image: int64 [n].
        category: int64 [n].
        score: float64 [n]; of labels 1.
    """

    boxes: Boxes
    image: Numbers
    category: Numbers
    score: Boxes

    def shifted(self, *, image: int = 0, category: int = 0) -> Located:
        """The same boxes, their images and categories that many places on."""
        return replace(self, image=self.image + image, category=self.category + category)

    def unnamed(self) -> Located:
        """The same boxes, all of one category."""
        return replace(self, category=np.zeros_like(self.category))


def located(entries: list[dict[str, Any]], dataset: Dataset) -> Located:
    """Gather annotations or detections of a data set as arrays."""
    images = {key: place for place, key in enumerate(sorted(image["id"] for image in dataset.images))}
    categories = {entry["id"]: place for place, entry in enumerate(dataset.categories)}
    return Located(
        boxes=np.array([entry["bbox"] for entry in entries], dtype=np.float64).reshape(-1, 4),
        image=np.array([images[entry["image_id"]] for entry in entries], dtype=np.int64),
        category=np.array([categories[entry["category_id"]] for entry in entries], dtype=np.int64),
        score=np.array([entry.get("score", 1.0) for entry in entries], dtype=np.float64),
    )


def pairs(labels: Located, detections: Located) -> tuple[Numbers, Numbers]:
    """Each label with those of its category among the best detections of its image: as many as the image has labels.

    So a flood of detections of low score agrees with no more labels than a handful does.

    Returns:
        Indices of detections and of labels, a pair a place.
    """
    images, counts = np.unique(labels.image, return_counts=True)
    order = np.lexsort((-detections.score, detections.image))
    ranked = detections.image[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    limits = dict(zip(images.tolist(), counts.tolist(), strict=True))
    best = order[rank < np.array([limits.get(image, 0) for image in ranked.tolist()], dtype=np.int64)]
    repeats = np.array([limits[image] for image in detections.image[best].tolist()], dtype=np.int64)
    by_image = np.argsort(labels.image, kind="stable")
    starts = np.searchsorted(labels.image[by_image], detections.image[best])
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    found, wanted = np.repeat(best, repeats), by_image[np.repeat(starts, repeats) + within]
    same = detections.category[found] == labels.category[wanted]
    return found[same], wanted[same]


def agreeing(labels: Located, boxes: Boxes, paired: tuple[Numbers, Numbers], iou: float = IOU) -> Flags:
    """Labels that one of the detections paired with them overlaps by `iou` or more.

    Args:
        labels: The labels.
        boxes: float64 [d, 4], the detections' boxes as they are read, x, y, width, height.
        paired: From `pairs`.
        iou: Overlap from which the two agree.

    Returns:
        bool [labels].
    """
    found, wanted = paired
    agree = np.zeros(len(labels.boxes), dtype=np.bool_)
    agree[wanted[overlap(boxes[found], labels.boxes[wanted]) >= iou]] = True
    return agree


def overlap(boxes: Boxes, others: Boxes) -> Boxes:
    """Intersection over union, pair by pair; 0 where a side is not positive.

    Example:
        >>> overlap(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2]])).round(3).tolist()
        [0.333]
    """
    near = np.maximum(boxes[:, :2], others[:, :2])
    far = np.minimum(boxes[:, :2] + boxes[:, 2:], others[:, :2] + others[:, 2:])
    common = np.clip(far - near, 0, None).prod(1)
    union = boxes[:, 2:].prod(1) + others[:, 2:].prod(1) - common
    sound = (boxes[:, 2:] > 0).all(1) & (others[:, 2:] > 0).all(1)
    return np.asarray(np.where(sound, common / np.where(union > 0, union, 1.0), 0.0))
