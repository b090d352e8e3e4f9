"""PyTorch-Wildlife's `save_detection_json`: for each picture lists of corners in pixels, categories and confidences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.outputs._tool_output import Found, Output, number


def _knows(document: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    entries = document.get("annotations") if isinstance(document, dict) else None
    return isinstance(entries, list) and all(isinstance(one, dict) and "img_id" in one for one in entries[:20])


def _read(document: dict[str, Any]) -> Iterator[Found]:
    stated = document.get("categories") or {}
    if isinstance(stated, list):
        stated = {entry.get("id"): entry.get("name") for entry in stated if isinstance(entry, dict)}
    names = {str(key): str(name) for key, name in stated.items()}
    for entry in document["annotations"]:
        boxes = []
        lists = (entry.get("bbox") or (), entry.get("category") or (), entry.get("confidence") or ())
        for box, category, score in zip(*lists, strict=False):
            left, top, right, bottom = map(number, box)
            name = names.get(str(category), str(category))
            boxes.append((name, left, top, right - left, bottom - top, number(score)))
        yield Found(str(entry["img_id"]), tuple(boxes))


OUTPUT = Output("PyTorch-Wildlife's detections", _knows, _read)
"""How such a file is known and read."""
