"""VGG Image Annotator: one JSON, or one CSV, with the regions of every picture.

Reference: Dutta and Zisserman, "The VIA Annotation Software for Images, Audio and Video", 2019; version 2.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered
from wildbench.progress import Progress

SHAPE = "region_shape_attributes"


def _entries(document: object) -> list[dict[str, Any]]:
    """The pictures of a JSON file: of an export, or of a project that was saved."""
    if isinstance(document, dict) and isinstance(document.get("_via_img_metadata"), dict):
        document = document["_via_img_metadata"]
    values = list(document.values()) if isinstance(document, dict) else []
    whole = [one for one in values if isinstance(one, dict) and {"filename", "regions"} <= one.keys()]
    return whole if values and len(whole) == len(values) else []


def _knows(folder: Folder) -> bool:
    tables = any(SHAPE in folder.headings(path) for path in folder.named(".csv"))
    return tables or any(_entries(folder.json(path)) for path in folder.named(".json"))


def _box(shape: dict[str, Any], attributes: dict[str, Any]) -> LabelledBox | None:
    kind, name = shape.get("name"), _name(attributes)
    if kind == "rect":
        x, y, width, height = (float(shape[key]) for key in ("x", "y", "width", "height"))
        return LabelledBox(name, (x, y, x + width, y + height))
    if kind in ("polygon", "polyline"):
        xs, ys = ([float(value) for value in shape[f"all_points_{axis}"]] for axis in "xy")
        points = [value for point in zip(xs, ys, strict=True) for value in point]
        outline = {"segmentation": [points]} if len(xs) > 2 else {}
        return LabelledBox(name, (min(xs), min(ys), max(xs), max(ys)), fields=outline)
    if kind in ("circle", "ellipse"):
        across, down = (float(shape.get(key, shape.get("r", 0))) for key in ("rx", "ry"))
        x, y = float(shape["cx"]), float(shape["cy"])
        return LabelledBox(name, (x - across, y - down, x + across, y + down))
    return None


def _name(attributes: dict[str, Any]) -> str:
    """What a region shows: its first attribute; of a list of ticks, those that are set."""
    value = next(iter(attributes.values()), "") if attributes else ""
    if isinstance(value, dict):
        value = " ".join(key for key, ticked in value.items() if ticked)
    return str(value).strip() or "object"


def _rows(folder: Folder) -> Iterator[Row]:
    found = False
    for path in folder.named(".json"):
        for entry in _entries(folder.json(path)):
            found = True
            regions = entry["regions"]
            row = Row(str(entry["filename"]), f"{path}: {entry['filename']}")
            for one in regions.values() if isinstance(regions, dict) else regions:
                row.boxes += filter(None, [_box(one["shape_attributes"], one.get("region_attributes") or {})])
            yield row
    for path in [] if found else folder.named(".csv"):  # the same regions once more
        for number, cells in enumerate(folder.rows(path), start=2):
            row = Row(cells.get("#filename") or cells.get("filename", ""), f"{path}: line {number}")
            with suppress(ValueError, KeyError):
                shape, attributes = json.loads(cells[SHAPE]), json.loads(cells.get("region_attributes") or "{}")
                row.boxes += filter(None, [_box(shape, attributes)])
            yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("via", folder, _rows(folder), progress)


FORM = Form("via", "VGG Image Annotator", frozenset({".json", ".csv"}), _knows, _read)
"""How such a folder is known and read."""
