"""Microsoft's camera-trap manifests (SPARROW): a TOML file that describes the network beside it.

Two forms are met: schema 1.0 keeps everything under `[model]`; the engine's own has `[preprocessing]`,
`[postprocessing]` and `[labels]` beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from wildbench.submissions.readers._reader import Described, Words, in_order, plain_data

RESIZES = {
    "cv2_bilinear": {"interpolation": "bilinear"},
    "bicubic": {"interpolation": "bicubic", "antialias": "pillow"},
    "lanczos": {"interpolation": "lanczos", "antialias": "pillow"},
    "nearest": {"interpolation": "nearest"},
}
"""The engine's names; by default its resize is as Pillow's bilinear."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """What `NAME.toml` or `manifest.toml` beside the network, or in its folder, says; None where there is none."""
    name, document = _document(described)
    model = document.get("model")
    if not isinstance(model, dict):
        return None
    parts = model if "preprocessing" in model else document
    prepare, answer = parts.get("preprocessing"), parts.get("postprocessing")
    if not isinstance(prepare, dict) or not isinstance(answer, dict):
        return None
    categories = _categories(described, parts.get("labels"))
    manifest = {
        "name": str(model.get("name") or model.get("id")),
        "detector": {"name": str(model.get("id") or model.get("name"))},
        "licence": model.get("license"),
        "categories": categories,
        "input": _input(prepare),
        "output": _output(described, answer, len(categories)),
    }
    return Words(manifest, f"names, input and output from {name}")


def _document(described: Described) -> tuple[str, dict[str, Any]]:
    source = described.source
    stem = PurePosixPath(source.main).stem
    inside = [name for name in source.files if PurePosixPath(name).suffix == ".toml"]
    for name in (f"{stem}.toml", "manifest.toml", *inside):
        text = described.beside(name) or source.files.get(name)
        if text:
            return name, plain_data(source, name, text)
    return "", {}


def _categories(described: Described, labels: object) -> list[str]:
    """By number in the file itself, or in a file of lines "name,number"."""
    if not isinstance(labels, dict):
        return []
    numbered: dict[Any, Any] = {number: name for number, name in labels.items() if number.isdecimal()}
    if "file" in labels:
        text = described.beside(str(labels["file"])) or described.source.files.get(str(labels["file"])) or b""
        lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
        pairs = [line.rpartition(",") for line in lines]
        named = all(comma and number.strip().isdecimal() for _, comma, number in pairs)
        numbered = (
            {number.strip(): name for name, _, number in pairs}
            if named
            else {str(number): line for number, line in enumerate(lines)}
        )
    return in_order(numbered)


def _input(prepare: Mapping[str, Any]) -> dict[str, Any]:
    """Both forms' words for a resize, a scale and the order of the colours."""
    method = str(prepare.get("type") or prepare.get("method"))
    size = prepare.get("resize") or prepare.get("input_size")
    letterbox = "letterbox" in method
    contract: dict[str, Any] = {"resize": "letterbox" if letterbox else "stretch", "size": size}
    if letterbox:
        contract |= {"position": "center", "pad": prepare.get("pad_value", 114)}
        contract |= {"rounding": "half-up", "mapping": "center"}
    contract |= RESIZES.get(str(prepare.get("interpolation")), {"antialias": "pillow"})
    contract["channels"] = str(prepare.get("color_space") or prepare.get("channel_order") or "rgb").lower()
    raw = prepare.get("scale") == 1.0 or prepare.get("normalization") in ("none", "raw")
    contract["scale"] = "0-255" if raw else "0-1"
    if prepare.get("mean") and prepare.get("std"):
        contract |= {"mean": prepare["mean"], "std": prepare["std"]}
    return contract


def _output(described: Described, answer: Mapping[str, Any], count: int) -> dict[str, Any] | None:
    """Columns by the shape of the first output; the file says which suppression follows."""
    port = described.signature.outputs[0] if described.signature and described.signature.outputs else None
    shape = port.shape if port and len(port.shape) == 3 else (None, None, None)
    method = str(answer.get("type") or answer.get("method"))
    most = {"max_detections": min(int(answer.get("max_detections", 300)), 1000)}
    limits = {"score_threshold": 0.001, "nms_iou": answer.get("iou_threshold", 0.45), **most}
    if "v5" in method or shape[-1] == 5 + count:
        parts = {"objectness": {"columns": [4, 5]}, "scores": {"columns": [5, 5 + count]}}
        boxes = {"columns": [0, 4], "form": "cxcywh"}
        return {"kind": "described", "boxes": boxes, **parts, **limits, "multi_label": False}
    if shape[-2] == 4 + count:
        return {"kind": "yolov8", **limits}
    return None  # finished detections: the graph tells
