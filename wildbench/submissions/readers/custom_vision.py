"""Azure Custom Vision's exports: `detected_boxes`, `detected_scores` and `detected_classes`, with `labels.txt` beside.

What goes in is what the `predict.py` in the same folder does. The metadata of its ONNX files are those of Windows ML.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.submissions.readers._reader import Described, Words

PARTS: dict[str, dict[str, Any]] = {
    "boxes": {"output": "detected_boxes", "unit": "fractions"},
    "scores": {"output": "detected_scores"},
    "labels": {"output": "detected_classes", "first": 0},
}


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """Input and output; None where the outputs have other names, as those of its older detectors (a YOLOv2 grid)."""
    names = {port.name for port in described.signature.outputs} if described.signature else set()
    if not {part["output"] for part in PARTS.values()} <= names:
        return None
    told = described.metadata
    whole = described.format.name == "litert" or told.get("Image.NominalPixelRange") == "NominalRange_0_255"
    contract: dict[str, Any] = {"resize": "stretch", "interpolation": "bicubic", "antialias": "pillow"}
    contract["channels"] = "bgr" if told.get("Image.BitmapPixelFormat") == "Bgr8" else "rgb"
    contract["scale"] = "0-255" if whole else "0-1"
    words: dict[str, Any] = {"detector": {"name": "Azure Custom Vision"}, "input": contract}
    words["output"] = {"kind": "described", **PARTS}
    return Words(words, "outputs and colours from the file (Custom Vision)")
