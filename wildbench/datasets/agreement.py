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
    """Each label with each of the best detections of its image and category: as many of them as there are labels.

    So a flood of detections of low score agrees with no more labels than a handful does.

    Returns:
        Indices of detections and of labels, a pair a place.
    """
    width = int(max(labels.category.max(initial=0), detections.category.max(initial=0))) + 2
    wanted = labels.image * width + labels.category
    offered = detections.image * width + detections.category
    cells, counts = np.unique(wanted, return_counts=True)
    order = np.lexsort((-detections.score, offered))
    ranked = offered[order]
    rank = np.arange(len(ranked)) - np.searchsorted(ranked, ranked)
    cell = np.minimum(np.searchsorted(cells, ranked), max(len(cells) - 1, 0))
    keep = (cells[cell] == ranked) & (rank < counts[cell]) if len(cells) else np.zeros(len(ranked), bool)
    best, cell = order[keep], cell[keep]
    by_cell = np.argsort(wanted, kind="stable")
    starts = np.concatenate([[0], np.cumsum(counts)])
    repeats = counts[cell]
    within = np.arange(repeats.sum()) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return np.repeat(best, repeats), by_cell[np.repeat(starts[cell], repeats) + within]


def agreeing(labels: Located, boxes: Boxes, paired: tuple[Numbers, Numbers]) -> Flags:
    """Labels that one of the detections paired with them overlaps by `IOU` or more.

    Args:
        labels: The labels.
        boxes: float64 [d, 4], the detections' boxes as they are read, x, y, width, height.
        paired: From `pairs`.

    Returns:
        bool [labels].
    """
    found, wanted = paired
    agree = np.zeros(len(labels.boxes), dtype=np.bool_)
    agree[wanted[overlap(boxes[found], labels.boxes[wanted]) >= IOU]] = True
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
