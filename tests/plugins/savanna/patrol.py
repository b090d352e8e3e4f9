"""A form of detections: `{"patrol": {picture: [[name, left, top, right, bottom, score]]}}`, in pixels."""

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.outputs import Found, Output


def read(document: dict[str, Any]) -> Iterator[Found]:
    for picture, entries in document["patrol"].items():
        boxes = [(name, x1, y1, x2 - x1, y2 - y1, score) for name, x1, y1, x2, y2, score in entries]
        yield Found(picture, tuple(boxes))


OUTPUT = Output("patrol notes", lambda document: isinstance(document, dict) and "patrol" in document, read)
