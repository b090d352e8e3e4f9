"""Label Studio's JSON and JSON_MIN: one entry for each task, whose regions are in percent of the picture's sides.

A region is turned clockwise about its upper left corner; the upright box around it is taken, and its corners are kept.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered, size_in
from wildbench.datasets.formats.annotators.cvat import around, turned_corners, turned_note
from wildbench.progress import Progress

_LABELS = re.compile("(rectangle|polygon|ellipse|brush|keypoint)?labels")


def _tasks(document: object) -> list[dict[str, Any]]:
    """The tasks of an export; empty where the file is another."""
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        return []
    whole = [one for one in document if isinstance(one.get("data"), dict) and isinstance(one.get("annotations"), list)]
    short = [one for one in document if "annotation_id" in one or "lead_time" in one]
    return document if document and len(document) in (len(whole), len(short)) else []


def _knows(folder: Folder) -> bool:
    return any(_tasks(folder.json(path)) for path in folder.named(".json"))


def _picture(task: dict[str, Any]) -> str:
    """The first text of a task that looks like a picture: a path, a URL, or a query for a local file."""
    texts = [str(value) for value in task.get("data", task).values() if isinstance(value, str) and "." in value]
    stated = next(iter(texts), "")
    query = parse_qs(urlsplit(stated).query).get("d")
    return query[0] if query else unquote(urlsplit(stated).path)


def _regions(task: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The regions of the annotation that counts; None where there is none."""
    if "annotations" not in task:
        lists = [value for value in task.values() if isinstance(value, list)]
        return [one for value in lists for one in value if isinstance(one, dict)]
    done = [one for one in task["annotations"] if not one.get("was_cancelled")]
    chosen = next((one for one in done if one.get("ground_truth")), done[0] if done else None)
    return None if chosen is None else [one for one in chosen["result"] if isinstance(one, dict)]


def _box(region: dict[str, Any], notes: Counter[str]) -> LabelledBox | None:
    value = region.get("value", region)
    key = next((key for key in value if _LABELS.fullmatch(key) and value[key]), None)
    if key is None:
        return None
    name, size = str(value[key][0]), size_in(region.get("original_width"), region.get("original_height"))
    width, height = size or (100, 100)
    fields: dict[str, Any] = {}
    if isinstance(value.get("points"), list):
        points = [float(side) for point in value["points"] for side in point]
        corners = around(points)
        fields["segmentation"] = [[side / 100 for side in points]] if len(points) > 4 else None
    elif "radiusX" in value:
        x, y, half, other = (float(value[key]) for key in ("x", "y", "radiusX", "radiusY"))
        corners = x - half, y - other, x + half, y + other
    elif "width" in value and "height" in value and "x" in value:
        x, y, across, down = (float(value[key]) for key in ("x", "y", "width", "height"))
        corners = x, y, x + across, y + down
        if (turn := float(value.get("rotation") or 0)) % 360:  # angles are right in pixels alone
            scale = width / 100, height / 100
            start = x * scale[0], y * scale[1]
            turned = turned_corners(*start, across * scale[0], down * scale[1], turn, start)
            points = [side / scale[place % 2] for place, side in enumerate(turned)]
            corners = around(points)
            fields |= {"segmentation": [[side / 100 for side in points]], "rotation": turn}
    else:
        notes[f"region not read: {key}"] += 1
        return None
    left, top, right, bottom = (side / 100 for side in corners)
    fields = {key: one for key, one in fields.items() if one}
    return LabelledBox(name, (left, top, right, bottom), shares=True, fields=fields)


def _rows(folder: Folder, findings: list[Finding], notes: Counter[str]) -> Iterator[Row]:
    names = {path.name.casefold() for path in folder.pictures}
    for path in folder.named(".json"):
        for task in _tasks(folder.json(path)):
            regions, picture = _regions(task), PurePosixPath(_picture(task))
            if regions is None:
                continue
            if picture.name.casefold() not in names:  # an upload has eight letters before its name
                picture = picture.with_name(re.sub(r"^[0-9a-f]{8}-", "", picture.name) or "_")
            if len([one for one in task.get("annotations", ()) if not one.get("was_cancelled")]) > 1:
                notes["tasks that several people annotated, of whom the first counts"] += 1
            sized = next((one for one in regions if "original_width" in one), {})
            size = size_in(sized.get("original_width"), sized.get("original_height"))
            row = Row(str(picture), f"{path}: task {task.get('id')}", size=size)
            row.boxes = [box for one in regions if (box := _box(one, notes))]
            boxed = {box.category for box in row.boxes}
            row.unboxed = {str(name) for one in regions for name in one.get("value", {}).get("choices", ())} - boxed
            yield row
            if turned := sum("rotation" in box.fields for box in row.boxes):
                notes["turned"] += turned


def _read(folder: Folder, progress: Progress) -> Collection:
    findings: list[Finding] = []
    notes = Counter[str]()
    collection = gathered("label-studio", folder, _rows(folder, findings, notes), progress)
    turned = notes.pop("turned", 0)
    collection.findings.extend([turned_note(turned)] if turned else [])
    collection.notes.update(notes)
    return collection


FORM = Form("label-studio", "Label Studio JSON", frozenset({".json"}), _knows, _read)
"""How such a folder is known and read."""
