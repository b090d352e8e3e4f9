"""What a person has changed in FiftyOne, as changes to the labels that were put there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import fiftyone

from wildbench.curation.samples import GROUND_TRUTH, Document, attributes, documents_of, relative
from wildbench.datasets.coco import Dataset
from wildbench.datasets.patch import Change, Patch, described
from wildbench.errors import CurationError

UNMOVED = 0.005
"""Pixels by which an edge may be off without having been moved: shares of an image do not come back exactly."""


def edited_labels(samples: fiftyone.Dataset, data: Dataset) -> dict[int, Document]:
    """Labels of the images that somebody has edited, by image id, as FiftyOne has them."""
    labels = _labels(samples)
    return {change.image_id: labels[change.image_id] for change in _changes(labels, data, author="", reason="")}


def collect(samples: fiftyone.Dataset, data: Dataset, *, author: str, reason: str = "") -> Patch:
    """Write a patch of everything that was edited, by image in the order of the file; empty if nothing was.

    Args:
        samples: FiftyOne's data set, filled from `data`.
        data: The labels as they were.
        author: Who edited.
        reason: Why, for changes whose box does not say so itself in its attribute `reason`.

    Raises:
        CurationError: A change for which no reason is given, or a category that the data set does not have.
    """
    changes = list(_changes(_labels(samples), data, author=author, reason=reason))
    for change in changes:
        where = f"{change.file_name}: box {change.annotation_id or 'added'}"
        category = (change.new or {}).get("category")
        if category is not None and category not in data.category_names:
            raise CurationError(f"{where}: no category {category!r} in {data.name}", remedy="choose one that is listed")
        if not change.reason:
            raise CurationError(
                f"{where}: no reason given (one of {len(changes)} changes)",
                remedy="give --reason, or write it at the box, under reason",
            )
    return Patch(dataset=data.name, split=data.split, dataset_sha256=data.sha256, changes=changes)


def _labels(samples: fiftyone.Dataset) -> dict[int, Document]:
    found = documents_of(samples).find({}, {"image_id": 1, GROUND_TRUTH: 1})
    return {document["image_id"]: document.get(GROUND_TRUTH) or {} for document in found}


def _changes(labels: dict[int, Document], data: Dataset, *, author: str, reason: str) -> Iterator[Change]:
    """Compare every image's labels with what was put there."""
    names = {category["id"]: category["name"] for category in data.categories}
    kinds = attributes(data)
    for image in data.images:
        shared = {"image_id": image["id"], "file_name": str(image["file_name"]), "author": author}
        gone = {box["id"]: box for box in data.boxes(image["id"])}
        for label in labels.get(image["id"], {}).get("detections") or []:
            box = gone.pop(label.get("annotation_id"), None)  # a copy of a box has its id too, and is a new box
            now = {"category": label["label"], "bbox": _pixels(label, image)}
            now |= {key: label[key] for key in kinds if label.get(key) is not None}
            why = label.get("reason") or reason
            if box is None:
                yield Change(annotation_id=None, old=None, new=now, reason=why, **shared)
                continue
            before = described(box, names[box["category_id"]])
            if not _moved(label, box, image):
                now["bbox"] = before["bbox"]
            differing = [key for key in ("category", "bbox", *kinds) if before.get(key) != now.get(key)]
            if differing:
                old, new = ({key: values.get(key) for key in differing} for values in (before, now))
                yield Change(annotation_id=box["id"], old=old, new=new, reason=why, **shared)
        for box in gone.values():
            before = {"category": names[box["category_id"]], "bbox": box["bbox"]}
            yield Change(annotation_id=box["id"], old=before, new=None, reason=reason, **shared)


def _moved(label: Document, box: dict[str, Any], image: dict[str, Any]) -> bool:
    sides = (image["width"], image["height"]) * 2
    before = relative(box["bbox"], image)
    return any(
        abs(now - then) * side > UNMOVED for now, then, side in zip(label["bounding_box"], before, sides, strict=True)
    )


def _pixels(label: Document, image: dict[str, Any]) -> list[float]:
    """A label's box in hundredths of a pixel, within its image."""
    width, height = image["width"], image["height"]
    x, y, w, h = label["bounding_box"]
    left, right = (min(max(edge * width, 0.0), width) for edge in (x, x + w))
    top, bottom = (min(max(edge * height, 0.0), height) for edge in (y, y + h))
    return [round(value, 2) for value in (left, top, right - left, bottom - top)]
