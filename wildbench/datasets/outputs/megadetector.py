"""MegaDetector's batch output, which Timelapse, AddaxAI and others read too.

Reference: lila.science/megadetector-output-format, versions 1.0 to 1.5.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from wildbench.datasets.coco import Dataset
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


FORMAT_VERSION = "1.4"
"""The latest that Timelapse and AddaxAI both know, and enough for what is written."""


def _write(
    found: Mapping[int, Sequence[Mapping[str, Any]]], dataset: Dataset, detector: str, failures: Mapping[int, str]
) -> dict[str, Any]:
    """The document of COCO results by image; categories are numbered from 1, as 0 is taken for "empty"."""
    numbers = {entry["id"]: str(number) for number, entry in enumerate(dataset.categories, start=1)}
    images: list[dict[str, Any]] = []
    for image in dataset.images:
        entry: dict[str, Any] = {"file": str(image["file_name"]).replace("\\", "/")}
        if reason := failures.get(image["id"]):
            images.append({**entry, "failure": reason, "detections": None})
            continue
        sides = (image["width"], image["height"]) * 2
        entry["detections"] = [
            {
                "category": numbers[one["category_id"]],
                "conf": one["score"],
                "bbox": [side / whole for side, whole in zip(one["bbox"], sides, strict=True)],
            }
            for one in sorted(found.get(image["id"], ()), key=lambda one: -one["score"])
        ]
        images.append(entry)
    return {
        "info": {"format_version": FORMAT_VERSION, "detector": detector},
        "detection_categories": {numbers[entry["id"]]: entry["name"] for entry in dataset.categories},
        "images": images,
    }


OUTPUT = Output("MegaDetector's batch output", _knows, _read, _write)
"""How such a file is known and read."""
