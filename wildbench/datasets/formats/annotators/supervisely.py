"""Supervisely's projects: `DATASET/ann/PICTURE.json` beside `DATASET/img/PICTURE`, with objects in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered, part_in, size_in
from wildbench.datasets.formats.annotators.cvat import around
from wildbench.progress import Progress

_OUTLINED = {"rectangle", "polygon", "line"}


def _is_supervisely(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("objects"), list) and "size" in document


def _knows(folder: Folder) -> bool:
    return any(_is_supervisely(folder.json(path)) for path in folder.named(".json"))


def _box(one: dict[str, Any]) -> LabelledBox:
    points = [float(side) for point in one["points"]["exterior"] for side in point]
    outline = {"segmentation": [points]} if one["geometryType"] == "polygon" and len(points) > 4 else {}
    return LabelledBox(str(one.get("classTitle")), around(points), fields=outline)


def _rows(folder: Folder) -> Iterator[Row]:
    for path in folder.named(".json"):
        if _is_supervisely(document := folder.json(path)):
            picture = path.parent.parent / "img" / path.stem
            size = size_in(document["size"].get("width"), document["size"].get("height"))
            row = Row(str(picture), str(path), part=part_in(path), size=size)
            row.boxes = [_box(one) for one in document["objects"] if one.get("geometryType") in _OUTLINED]
            boxed = {box.category for box in row.boxes}
            row.unboxed = {str(one.get("classTitle")) for one in document["objects"]} - boxed
            yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("supervisely", folder, _rows(folder), progress)


FORM = Form("supervisely", "Supervisely JSON", frozenset({".json"}), _knows, _read)
"""How such a folder is known and read."""
