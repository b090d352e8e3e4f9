"""Apple's Create ML: a list of pictures, each with boxes by their centre, in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, as_number, gathered, part_in
from wildbench.progress import Progress


def _is_create_ml(document: object) -> bool:
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and ("image" in first or "imagefilename" in first) and "annotations" in first


def _knows(folder: Folder) -> bool:
    return any(_is_create_ml(folder.json(path)) for path in folder.named(".json"))


def _box(one: dict[str, Any]) -> LabelledBox:
    place = one["coordinates"]
    x, y, width, height = (as_number(place.get(key)) for key in ("x", "y", "width", "height"))
    corners = x - width / 2, y - height / 2, x + width / 2, y + height / 2
    return LabelledBox(str(one.get("label")), corners)


def _rows(folder: Folder) -> Iterator[Row]:
    for path in folder.named(".json"):
        if _is_create_ml(document := folder.json(path)):
            for index, entry in enumerate(document):
                name = str(entry.get("image") or entry.get("imagefilename"))
                row = Row(str(path.parent / name), f"{path}: [{index}]", part=part_in(path))
                row.boxes = [_box(one) for one in entry["annotations"] if isinstance(one.get("coordinates"), dict)]
                yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("create-ml", folder, _rows(folder), progress)


FORM = Form("create-ml", "Create ML JSON", frozenset({".json"}), _knows, _read)
"""How such a folder is known and read."""
