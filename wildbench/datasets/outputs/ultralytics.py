"""Ultralytics' `predictions.json`: COCO results whose `image_id` is made from the file's name.

It is the name without suffix, as a number where it is one; newer versions add `file_name`, which is believed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.outputs._tool_output import Found, Output, number


def _knows(document: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    return isinstance(document, list) and bool(document) and all(_is_named(one) for one in document)


def _is_named(entry: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    if not isinstance(entry, dict) or not {"bbox", "score", "category_id"} <= entry.keys():
        return False
    return isinstance(entry.get("file_name"), str) or isinstance(entry.get("image_id"), str)


def _read(document: list[dict[str, Any]]) -> Iterator[Found]:
    for entry in document:
        box = entry["bbox"] if isinstance(entry["bbox"], list) and len(entry["bbox"]) == 4 else [None] * 4
        x, y, width, height = map(number, box)
        category = entry["category_id"] if type(entry["category_id"]) is int else str(entry["category_id"])
        picture = str(entry.get("file_name") or entry["image_id"])
        own = entry.get("image_id") if type(entry.get("image_id")) is int else None
        yield Found(picture, ((category, x, y, width, height, number(entry["score"])),), image_id=own)


OUTPUT = Output("results by file name", _knows, _read)
"""How such a file is known and read."""
