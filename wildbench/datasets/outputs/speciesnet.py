"""SpeciesNet's predictions: boxes of MegaDetector's three categories, and a species of the whole picture.

The boxes' own labels are taken; a species of the picture is no box of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.outputs._tool_output import Found, Output, number, sides


def _knows(document: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    entries = document.get("predictions") if isinstance(document, dict) else None
    return isinstance(entries, list) and all(isinstance(one, dict) and "filepath" in one for one in entries[:20])


def _read(document: dict[str, Any]) -> Iterator[Found]:
    for entry in document["predictions"]:
        boxes = []
        for one in entry.get("detections") or ():
            box = one.get("bbox") if isinstance(one, dict) else None
            if isinstance(box, list) and len(box) == 4:
                boxes.append((str(one.get("label", "animal")), *sides(box), number(one.get("conf"))))
        failures = entry.get("failures") or ()
        failure = "DETECTOR" if "DETECTOR" in failures or ("detections" not in entry and failures) else ""
        yield Found(str(entry["filepath"]), tuple(boxes), shares=True, failure=failure)


OUTPUT = Output("SpeciesNet's predictions", _knows, _read)
"""How such a file is known and read."""
