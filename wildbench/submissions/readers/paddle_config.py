"""PaddleDetection's `infer_cfg.yml`, which its export writes and which stays beside the graph of paddle2onnx."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.submissions.formats import Port
from wildbench.submissions.readers._reader import Described, Words, in_order, plain_data

NAME = "infer_cfg.yml"
INTERPOLATIONS = ("nearest", "bilinear", "bicubic", "area")
"""By OpenCV's numbers."""

LIMITS = {"score_threshold": 0.01, "nms_iou": 0.7, "max_detections": 300}
"""PP-YOLOE's, for graphs exported without their suppression."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """What the file says, and what the graph's outputs say of the answer; None where there is no such file."""
    text = described.beside(NAME)
    if not text:
        return None
    document = plain_data(described.source, NAME, text)
    if not isinstance(document.get("Preprocess"), list):
        return None
    labels = in_order(document.get("label_list") or [])
    manifest = {
        "detector": {"name": f"PaddleDetection {document.get('arch', '')}".strip()},
        "categories": labels,
        "input": _input(document["Preprocess"]),
        "output": _output(described, document, len(labels)),
    }
    return Words(manifest, f"names and preprocessing from {NAME}")


def _input(steps: list[Any]) -> dict[str, Any] | None:
    """Its `deploy/python/preprocess.py`; None for a resize that keeps proportions, which a manifest has to describe."""
    by_type = {str(step.get("type")): step for step in steps if isinstance(step, dict)}
    resize, normalize = by_type.get("Resize", {}), by_type.get("NormalizeImage", {})
    interpolation = resize.get("interp", 2)
    if not resize.get("target_size") or resize.get("keep_ratio") or interpolation not in range(len(INTERPOLATIONS)):
        return None
    contract = {"resize": "stretch", "size": resize["target_size"], "interpolation": INTERPOLATIONS[interpolation]}
    contract["scale"] = "0-1" if normalize.get("is_scale", True) else "0-255"
    if normalize and normalize.get("norm_type", "mean_std") == "mean_std":
        contract |= {"mean": normalize["mean"], "std": normalize["std"]}
    return contract


def _output(described: Described, document: Mapping[str, Any], count: int) -> dict[str, Any] | None:
    """Finished rows and their number, boxes and scores of all candidates, or PicoDet's levels."""
    ports = described.signature.outputs if described.signature else ()
    strides = document.get("fpn_stride")
    if len(ports) == 2 and ports[0].shape[-1:] == (6,):
        parts: dict[str, Any] = {"labels": {"columns": [0, 1], "first": 0}, "scores": {"columns": [1, 2]}}
        return {"kind": "described", **parts, "boxes": {"columns": [2, 6], "of": "image"}, "count": 1}
    if len(ports) == 2 and ports[0].shape[-1:] == (4,) and _side(ports[1], -2) == count:
        parts = {"boxes": {"output": 0, "of": "image"}, "scores": {"output": 1, "candidates": "columns"}}
        return {"kind": "described", **parts, **LIMITS}
    if not isinstance(strides, list) or len(ports) != 2 * len(strides) or _side(ports[0], -1) != count:
        return None
    levels = len(strides)
    boxes = {"output": list(range(levels, 2 * levels)), "form": "distribution"}
    suppression = document.get("NMS") or {}
    limits = LIMITS | {"nms_iou": suppression.get("nms_threshold", 0.6)}
    parts = {"scores": {"output": list(range(levels))}, "boxes": boxes, "levels": {"strides": strides}}
    return {"kind": "described", **parts, **limits}


def _side(port: Port, axis: int) -> int | None:
    return port.shape[axis] if len(port.shape) == 3 else None
