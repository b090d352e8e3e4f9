"""MegaDetector's batch output, which Timelapse, AddaxAI and others read too.

Reference: lila.science/megadetector-output-format, versions 1.0 to 1.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.outputs._tool_output import Found, Output, number, sides


def _knows(document: Any) -> bool:  # noqa: ANN401 - whatever the file holds
    return (
        isinstance(document, dict)
        and isinstance(document.get("images"), list)
        and isinstance(document.get("detection_categories"), dict)
    )


def _read(document: dict[str, Any]) -> Iterator[Found]:
    names = {str(key): str(name) for key, name in document["detection_categories"].items()}
    for image in document["images"]:
        if not isinstance(image, dict) or "file" not in image:
            continue
        boxes = []
        for one in image.get("detections") or ():
            box = one.get("bbox") if isinstance(one, dict) else None
            if isinstance(box, list) and len(box) == 4:
                name = names.get(str(one.get("category")), str(one.get("category")))
                boxes.append((name, *sides(box), number(one.get("conf"))))
        failure = image.get("failure") or ("no detections" if image.get("detections") is None else "")
        yield Found(str(image["file"]), tuple(boxes), shares=True, failure=str(failure))


OUTPUT = Output("MegaDetector's batch output", _knows, _read)
"""How such a file is known and read."""
