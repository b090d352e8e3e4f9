"""Hugging Face's image folders: `metadata.jsonl` or `metadata.csv` beside the pictures, boxes under `objects`.

Boxes are x, y, width, height in the examples of the documentation; some sets hold corners. Corners are taken where they
fit the pictures and the others do not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, as_number, gathered, part_in, size_in
from wildbench.errors import DatasetError
from wildbench.progress import Progress
from wildbench.records import MOST_SETTINGS, plain_yaml


def _tables(folder: Folder) -> list[PurePosixPath]:
    return [path for path in folder.files if path.name in ("metadata.jsonl", "metadata.csv")]


def _knows(folder: Folder) -> bool:
    return bool(_tables(folder))


def _entries(folder: Folder, path: PurePosixPath) -> Iterator[dict[str, Any]]:
    if path.suffix == ".csv":
        for row in folder.rows(path):
            yield {**row, "objects": json.loads(row.get("objects") or "{}")}
        return
    for number, line in enumerate(folder.text(path).splitlines(), start=1):
        try:
            entry = json.loads(line) if line.strip() else {}
        except (ValueError, RecursionError) as error:
            raise DatasetError(f"{path}: line {number}: {error}", code="not-json", remedy="write it again") from None
        if isinstance(entry, dict) and "file_name" in entry:
            yield entry


def names_of_card(folder: Folder) -> list[str]:
    """Category names of the data card, in their order; empty where it lists none."""
    for path in folder.files:
        text = folder.text(path) if path.name == "README.md" else ""
        if text.startswith("---"):
            try:
                card = plain_yaml(text[3:].partition("\n---")[0][:MOST_SETTINGS])
            except ValueError:
                continue
            if names := class_names(card):
                return names
    return []


def class_names(card: object) -> list[str]:
    """The names of a `class_label`, wherever it is in a card."""
    if isinstance(card, dict):
        label = card.get("class_label")
        names = label.get("names") if isinstance(label, dict) else None
        if isinstance(names, dict):
            return [str(names[key]) for key in sorted(names, key=lambda key: int(key))]
        return next((found for value in card.values() if (found := class_names(value))), [])
    return next((found for value in card if (found := class_names(value))), []) if isinstance(card, list) else []


def _boxes(entry: dict[str, Any]) -> tuple[list[list[float]], list[Any]]:
    objects = entry.get("objects") or {}
    if isinstance(objects, list):  # a list of objects, or an object of lists
        objects = {key: [one.get(key) for one in objects] for key in ("bbox", "category")}
    keys = ("category", "categories", "label", "labels")
    labels: list[Any] = next((objects[key] for key in keys if key in objects), [])
    return [[as_number(value) for value in box] for box in objects.get("bbox", [])], labels


def _are_corners(entries: list[dict[str, Any]]) -> bool:
    """Whether boxes fit their pictures as corners and, for more than a few, not as sides."""
    fits = leaves = total = 0
    for entry in entries:
        width, height = (as_number(entry.get(key) or 0) for key in ("width", "height"))
        for x, y, third, fourth in _boxes(entry)[0] if width and height else []:
            total += 1
            fits += x < third <= width + 1 and y < fourth <= height + 1
            leaves += x + third > width + 1 or y + fourth > height + 1
    return bool(total) and fits >= 0.98 * total and leaves >= 0.1 * total


def _rows(folder: Folder, findings: list[Finding], names: list[str]) -> Iterator[Row]:
    for path in _tables(folder):
        entries = list(_entries(folder, path))
        corners = _are_corners(entries)
        if corners:
            message = "boxes fit their pictures as corners only; read as x1, y1, x2, y2"
            findings.append(Finding("boxes-xyxy", str(path), message, "look at the boxes", "warning"))
        for number, entry in enumerate(entries, start=1):
            size = size_in(entry.get("width"), entry.get("height"))
            place = f"{path}: entry {number}"
            row = Row(str(path.parent / str(entry["file_name"])), place, part=part_in(path), size=size)
            boxes, labels = _boxes(entry)
            for (x, y, third, fourth), label in zip(boxes, labels, strict=False):
                known = isinstance(label, int) and 0 <= label < len(names)
                box = (x, y, third, fourth) if corners else (x, y, x + third, y + fourth)
                row.boxes.append(LabelledBox(names[label] if known else str(label), box))
            yield row


def read_image_folder(form: str, folder: Folder, names: list[str], progress: Progress) -> Collection:
    """Read the tables of a folder, whose categories may be numbers of these names."""
    findings: list[Finding] = []
    collection = gathered(form, folder, _rows(folder, findings, names), progress)
    collection.findings.extend(findings)
    if all(name.isdecimal() for name in collection.read):
        message = "categories are numbers, and no data card gives their names"
        collection.findings.append(
            Finding("category-unnamed", "categories", message, "add README.md with class_label names", "warning")
        )
    return collection


FORM = Form(
    "image-folder",
    "Hugging Face image folder",
    frozenset({".jsonl", ".csv", ".md"}),
    _knows,
    lambda folder, progress: read_image_folder("image-folder", folder, names_of_card(folder), progress),
)
"""How such a folder is known and read."""
