"""labelme: a JSON beside each picture, with shapes of points in pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered, part_in, size_in
from wildbench.progress import Progress


def _is_labelme(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("shapes"), list) and "imagePath" in document


def _knows(folder: Folder) -> bool:
    return any(_is_labelme(folder.json(path)) for path in folder.named(".json"))


def _box(shape: dict[str, Any]) -> LabelledBox | None:
    """The box around a shape; a circle is its centre and a point of its edge."""
    points = [(float(x), float(y)) for x, y in shape.get("points", [])]
    if not points:
        return None
    across, down = zip(*points, strict=True)
    if shape.get("shape_type") == "circle" and len(points) == 2:
        (x, y), (edge_x, edge_y) = points
        radius = ((x - edge_x) ** 2 + (y - edge_y) ** 2) ** 0.5
        across, down = (x - radius, x + radius), (y - radius, y + radius)
    outline = [round(value, 6) for point in points for value in point]
    fields = {"segmentation": [outline]} if shape.get("shape_type") == "polygon" and len(points) > 2 else {}
    return LabelledBox(str(shape.get("label")), (min(across), min(down), max(across), max(down)), fields=fields)


def _rows(folder: Folder) -> Iterator[Row]:
    pictures = {str(path.with_suffix("")): str(path) for path in folder.pictures}
    for path in folder.named(".json"):
        document = folder.json(path)
        if _is_labelme(document):
            stated = str(document["imagePath"]).replace("\\", "/").rpartition("/")[2]
            size = size_in(document.get("imageWidth"), document.get("imageHeight"))
            row = Row(pictures.get(str(path.with_suffix("")), stated), str(path), part=part_in(path), size=size)
            row.boxes = [box for shape in document["shapes"] if isinstance(shape, dict) and (box := _box(shape))]
            yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("labelme", folder, _rows(folder), progress)


FORM = Form("labelme", "labelme JSON", frozenset({".json"}), _knows, _read)
"""How such a folder is known and read."""
