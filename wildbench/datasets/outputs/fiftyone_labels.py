"""FiftyOne's detections by picture (`FiftyOneImageDetectionDataset`): `classes`, and `labels` by picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.outputs._tool_output import Found, Output, number, sides


def _knows(document: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    return isinstance(document, dict) and isinstance(document.get("labels"), dict) and "classes" in document


def _read(document: dict[str, Any]) -> Iterator[Found]:
    classes = document.get("classes") or []
    for picture, entries in document["labels"].items():
        boxes = []
        for one in entries or ():
            label = one.get("label")
            known = isinstance(label, int) and 0 <= label < len(classes)
            name = str(classes[label]) if known else str(label)
            boxes.append((name, *sides(one["bounding_box"]), number(one.get("confidence", 1.0))))
        yield Found(str(picture), tuple(boxes), shares=True)


OUTPUT = Output("FiftyOne's detections", _knows, _read)
"""How such a file is known and read."""
