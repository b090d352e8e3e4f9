"""Datumaro's own form: `annotations/PART.json` with items, and pictures by the items' ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered, size_in
from wildbench.datasets.formats._picture_files import part_of
from wildbench.progress import Progress


def _is_datumaro(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("items"), list) and "categories" in document


def _knows(folder: Folder) -> bool:
    return any(_is_datumaro(folder.json(path)) for path in folder.named(".json"))


def _box(one: dict[str, Any], labels: list[str]) -> LabelledBox | None:
    index = one.get("label_id")
    name = labels[index] if isinstance(index, int) and 0 <= index < len(labels) else "object"
    crowd = {"iscrowd": 1} if one.get("attributes", {}).get("is_crowd") else {}
    if one.get("type") == "bbox":
        x, y, width, height = map(float, one["bbox"])
        return LabelledBox(name, (x, y, x + width, y + height), fields=crowd)
    if one.get("type") == "polygon":
        across, down = one["points"][::2], one["points"][1::2]
        outline = {"segmentation": [one["points"]]} if len(across) > 2 else {}
        return LabelledBox(name, (min(across), min(down), max(across), max(down)), fields={**outline, **crowd})
    return None


def _rows(folder: Folder) -> Iterator[Row]:
    for path in folder.named(".json"):
        if not _is_datumaro(document := folder.json(path)):
            continue
        labels = [str(one["name"]) for one in document["categories"].get("label", {}).get("labels", [])]
        for item in document["items"]:
            image = item.get("image") or {}
            size = size_in(*reversed(image.get("size") or (None, None)))
            row = Row(str(image.get("path") or item["id"]), f"{path}: {item['id']}", part=part_of(path.stem), size=size)
            row.boxes = [box for one in item.get("annotations", []) if (box := _box(one, labels))]
            row.unboxed = {
                labels[one["label_id"]] for one in item.get("annotations", []) if one.get("type") == "label"
            } - {box.category for box in row.boxes}
            yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("datumaro", folder, _rows(folder), progress)


FORM = Form("datumaro", "Datumaro JSON", frozenset({".json"}), _knows, _read)
"""How such a folder is known and read."""
