"""What a person has changed in FiftyOne, as changes to the labels that were put there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wildbench.curation.patch import Change, Patch, described
from wildbench.curation.samples import Label, box_attributes, relative
from wildbench.datasets.coco import Dataset
from wildbench.errors import CurationError

UNMOVED = 0.005
"""Pixels by which an edge may be off without having been moved: shares of an image do not come back exactly."""

Edit = dict[str, Any]
"""The keyword arguments of a `Change` that nobody has signed yet; its reason is what the box itself says."""


def edited_labels(labels: Mapping[int, list[Label]], data: Dataset) -> dict[int, list[Label]]:
    """Labels of the images that somebody has edited, by image id, without what earlier reviews noted on them."""
    lasting = {"label", "bounding_box", "annotation_id", "size", "reason", *(one.field for one in box_attributes(data))}
    return {
        edit["image_id"]: [
            {key: value for key, value in label.items() if key in lasting and value is not None}
            for label in labels[edit["image_id"]]
        ]
        for edit in _edits(labels, data)
    }


def collect(labels: Mapping[int, list[Label]], data: Dataset, *, author: str, reason: str = "") -> Patch:
    """Write a patch of everything that was edited, by image in the order of the file; empty if nothing was.

    Args:
        labels: By image id, as FiftyOne has them now.
        data: The labels as they were.
        author: Who edited.
        reason: Why, for changes whose box does not say so itself in its attribute `reason`.

    Raises:
        CurationError: No author, a change without a reason, or a category that the data set does not have.
    """
    if not author.strip():
        raise CurationError("a patch needs an author", code="no-author", remedy="give --author NAME")
    edits = list(_edits(labels, data))
    changes = []
    for edit in edits:
        where = f"{edit['file_name']}: box {edit['annotation_id'] or 'added'}"
        category = (edit["new"] or {}).get("category")
        why = edit["reason"].strip() or reason.strip()
        if category is not None and category not in data.category_names:
            what = f"{where}: {data.name} has no category {category!r}"
            raise CurationError(what, code="unknown-category", remedy="choose one that is listed")
        if not why:
            what = f"{where}: no reason given (one of {len(edits)} changes)"
            raise CurationError(what, code="no-reason", remedy="give --reason, or fill in the box's own field reason")
        changes.append(Change(**edit | {"author": author, "reason": why}))
    return Patch(dataset=data.name, split=data.split, dataset_sha256=data.sha256, changes=changes)


def _edits(labels: Mapping[int, list[Label]], data: Dataset) -> Iterator[Edit]:
    """Compare every image's labels with what was put there."""
    names = {category["id"]: category["name"] for category in data.categories}
    fields = {one.key: one.field for one in box_attributes(data) if one.exact}
    for image in data.images:
        edit = {"image_id": image["id"], "file_name": str(image["file_name"]), "reason": ""}
        gone = {box["id"]: box for box in data.boxes(image["id"])}
        for label in labels.get(image["id"], []):
            box = gone.pop(label.get("annotation_id"), None)  # a copy of a box has its id too, and is a new box
            now = {"category": label["label"], "bbox": _pixels(label, image)}
            now |= {key: label[field] for key, field in fields.items() if label.get(field) is not None}
            edit["reason"] = label.get("reason") or ""
            if box is None:
                yield edit | {"annotation_id": None, "old": None, "new": now}
                continue
            before = described(box, names[box["category_id"]])
            sides, edges = (image["width"], image["height"]) * 2, relative(box["bbox"], image)
            shifts = [abs(one - other) for one, other in zip(label["bounding_box"], edges, strict=True)]
            if all(shift * side <= UNMOVED for shift, side in zip(shifts, sides, strict=True)):
                now["bbox"] = before["bbox"]
            differing = [key for key in ("category", "bbox", *fields) if before.get(key) != now.get(key)]
            if differing:
                old, new = ({key: values.get(key) for key in differing} for values in (before, now))
                yield edit | {"annotation_id": box["id"], "old": old, "new": new}
        for box in gone.values():
            old = described(box, names[box["category_id"]], whole=True)
            yield edit | {"annotation_id": box["id"], "old": old, "new": None, "reason": ""}


def _pixels(label: Label, image: dict[str, Any]) -> list[float]:
    """A label's box in hundredths of a pixel, within its image."""
    width, height = image["width"], image["height"]
    x, y, w, h = label["bounding_box"]
    left, right = (min(max(edge * width, 0.0), width) for edge in (x, x + w))
    top, bottom = (min(max(edge * height, 0.0), height) for edge in (y, y + h))
    return [round(value, 2) for value in (left, top, right - left, bottom - top)]
