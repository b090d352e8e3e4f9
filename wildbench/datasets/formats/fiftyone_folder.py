"""FiftyOne's exports with its own JSON: `samples.json` of a whole data set, and `labels.json` of detections by picture.

Boxes are left, top, width and height in shares of the picture's sides. Its other exports are COCO, VOC, YOLO and CVAT.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered
from wildbench.datasets.formats._picture_files import PARTS
from wildbench.progress import Progress


def _is_samples(document: object) -> bool:
    entries = document.get("samples") if isinstance(document, dict) else None
    return (
        isinstance(entries, list)
        and bool(entries)
        and all(isinstance(one, dict) and "filepath" in one for one in entries)
    )


def _is_by_picture(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("labels"), dict) and "classes" in document


def _knows(folder: Folder) -> bool:
    documents = [folder.json(path) for path in folder.named(".json")]
    return any(_is_samples(one) or _is_by_picture(one) for one in documents)


def _box(one: dict[str, Any], name: str) -> LabelledBox:
    left, top, width, height = map(float, one["bounding_box"])
    fields = {"iscrowd": 1} if one.get("iscrowd") else {}
    return LabelledBox(name, (left, top, left + width, top + height), shares=True, fields=fields)


def _detections(sample: dict[str, Any]) -> list[dict[str, Any]]:
    """The boxes of a sample's labels: of `ground_truth` where there is one, else of its first field of boxes."""
    fields = {
        key: value["detections"]
        for key, value in sample.items()
        if isinstance(value, dict) and isinstance(value.get("detections"), list)
    }
    found: list[dict[str, Any]] = fields.get("ground_truth") or next(iter(fields.values()), [])
    return found


def _rows(folder: Folder) -> Iterator[Row]:
    for path in folder.named(".json"):
        document = folder.json(path)
        if _is_samples(document):
            for sample in document["samples"]:
                part = next((tag for tag in sample.get("tags") or () if tag in PARTS), None)
                row = Row(str(sample["filepath"]), f"{path}: {sample['filepath']}", part=part)
                row.boxes = [_box(one, str(one["label"])) for one in _detections(sample)]
                yield row
        elif _is_by_picture(document):
            classes = document["classes"] or []
            for picture, entries in document["labels"].items():
                row = Row(str(picture), f"{path}: {picture}")
                for one in entries or ():
                    label = one.get("label")
                    known = isinstance(label, int) and 0 <= label < len(classes)
                    row.boxes.append(_box(one, str(classes[label] if known else label)))
                yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("fiftyone-folder", folder, _rows(folder), progress)


FORM = Form("fiftyone-folder", "FiftyOne JSON", frozenset({".json"}), _knows, _read)
"""How such a folder is known and read."""
