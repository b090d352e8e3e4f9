"""What a person has changed in FiftyOne, as changes to the labels that were put there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wildbench.curation.fields import box_attributes
from wildbench.curation.patch import Change, Patch, described
from wildbench.curation.samples import Document, relative
from wildbench.datasets.coco import Dataset
from wildbench.errors import CurationError

UNMOVED = 0.005
"""Pixels by which an edge may be off without having been moved: shares of an image do not come back exactly."""


@dataclass(frozen=True)
class _Edit:
    """A change that nobody has signed yet; its reason is what the box itself says."""

    annotation_id: int | None
    image: dict[str, Any]
    old: dict[str, Any] | None
    new: dict[str, Any] | None
    reason: str = ""


def edited_labels(labels: dict[int, Document], data: Dataset) -> dict[int, Document]:
    """Labels of the images that somebody has edited, by image id, as FiftyOne has them."""
    return {edit.image["id"]: labels[edit.image["id"]] for edit in _edits(labels, data)}


def collect(labels: dict[int, Document], data: Dataset, *, author: str, reason: str = "") -> Patch:
    """Write a patch of everything that was edited, by image in the order of the file; empty if nothing was.

    Args:
        labels: Labels by image id, as FiftyOne has them now.
        data: The labels as they were.
        author: Who edited.
        reason: Why, for changes whose box does not say so itself in its attribute `reason`.

    Raises:
        CurationError: No author, a change without a reason, or a category that the data set does not have.
    """
    if not author.strip():
        raise CurationError("a patch needs its author", remedy="give --author NAME")
    edits = list(_edits(labels, data))
    changes = []
    for edit in edits:
        file_name = str(edit.image["file_name"])
        where = f"{file_name}: box {edit.annotation_id or 'added'}"
        category = (edit.new or {}).get("category")
        why = edit.reason.strip() or reason.strip()
        if category is not None and category not in data.category_names:
            raise CurationError(f"{where}: no category {category!r} in {data.name}", remedy="choose one that is listed")
        if not why:
            raise CurationError(
                f"{where}: no reason given (one of {len(edits)} changes)",
                remedy="give --reason, or write it at the box, under reason",
            )
        changes.append(
            Change(
                annotation_id=edit.annotation_id,
                image_id=edit.image["id"],
                file_name=file_name,
                old=edit.old,
                new=edit.new,
                author=author,
                reason=why,
            )
        )
    return Patch(dataset=data.name, split=data.split, dataset_sha256=data.sha256, changes=changes)


def _edits(labels: dict[int, Document], data: Dataset) -> Iterator[_Edit]:
    """Compare every image's labels with what was put there."""
    names = {category["id"]: category["name"] for category in data.categories}
    fields = {one.key: one.field for one in box_attributes(data) if one.kept}
    for image in data.images:
        gone = {box["id"]: box for box in data.boxes(image["id"])}
        for label in labels.get(image["id"], {}).get("detections") or []:
            box = gone.pop(label.get("annotation_id"), None)  # a copy of a box has its id too, and is a new box
            now = {"category": label["label"], "bbox": _pixels(label, image)}
            now |= {key: label[field] for key, field in fields.items() if label.get(field) is not None}
            why = label.get("reason") or ""
            if box is None:
                yield _Edit(None, image, None, now, why)
                continue
            before = described(box, names[box["category_id"]])
            if not _moved(label, box, image):
                now["bbox"] = before["bbox"]
            differing = [key for key in ("category", "bbox", *fields) if before.get(key) != now.get(key)]
            if differing:
                old, new = ({key: values.get(key) for key in differing} for values in (before, now))
                yield _Edit(box["id"], image, old, new, why)
        for box in gone.values():
            yield _Edit(box["id"], image, described(box, names[box["category_id"]], whole=True), None)


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
