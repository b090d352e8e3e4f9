"""What OpenVINO's Model API keeps in a graph, and with it OTX and Geti: `model_info` of an IR, or in ONNX's metadata.

Defaults are those of its wrappers, by `model_type`. It takes pictures as OpenCV reads them, where OTX gives it RGB.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.submissions.readers._reader import Described, Words

YOLO = {"yolov5", "yolov8", "yolo11", "yolo_v8"}
"""Wrappers of one head, [1, 4 + C, N]."""

RESIZES: dict[str, dict[str, Any]] = {
    "standard": {"resize": "stretch"},
    "fit_to_window": {"resize": "letterbox", "rounding": "half-even"},
    "fit_to_window_letterbox": {"resize": "letterbox", "position": "center", "mapping": "ratio"},
}
INTERPOLATIONS = {"LINEAR": "bilinear", "CUBIC": "bicubic", "NEAREST": "nearest"}


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """Labels, input and output; None where there is none, or it is of no detector known here."""
    keys = {key for key in described.metadata if key.startswith(("model_info/", "model_info "))}
    told = {key[len("model_info/") :]: described.metadata[key] for key in keys}
    told = {key: text for key, text in told.items() if text not in ("", "None")}
    yolo = told.get("model_type", "").lower() in YOLO
    if not yolo and told.get("model_type", "").lower() != "ssd":
        return None
    labels = told.get("labels", "").split()
    manifest = {
        "detector": {"name": told.get("model_name", told["model_type"])},
        "categories": labels,
        "input": _input(YOLO_INPUT | told if yolo else told),
        "output": _yolo(told, len(labels)) if yolo else _ssd(described, told),
    }
    where = f"labels and preprocessing from model_info (Model API, {told['model_type']})"
    return Words(manifest, where)


YOLO_INPUT = {
    **{"pad_value": "114", "resize_type": "fit_to_window_letterbox", "reverse_input_channels": "True"},
    "scale_values": "255",
}


def _input(told: Mapping[str, str]) -> dict[str, Any] | None:
    """None for a crop, and for values that are not grey levels."""
    resize, mode = RESIZES.get(told.get("resize_type", "standard")), told.get("intensity_mode", "none")
    unit = mode == "scale_to_unit" and float(told.get("intensity_max_value", 255)) == 255
    if resize is None or told.get("input_dtype", "u8") != "u8" or not (unit or mode == "none"):
        return None
    contract = resize | {"interpolation": INTERPOLATIONS[told.get("interpolation_mode", "LINEAR")]}
    contract |= {"pad": int(told.get("pad_value", 0))} if resize["resize"] == "letterbox" else {}
    taken_as, turned = "rgb" if "otx_version" in told else "bgr", _is_true(told, "reverse_input_channels")
    if _is_true(told, "embedded_processing"):  # its own resize is left with nothing to do
        size = [int(told["orig_height"]), int(told["orig_width"])]
        return contract | {"size": size, "channels": taken_as, "dtype": "uint8", "scale": "0-255"}
    contract["channels"] = taken_as[::-1] if turned else taken_as
    means, scales = (_triple(told.get(key, ""), default) for key, default in (("mean_values", 0), ("scale_values", 1)))
    if means == [0.0] * 3 and scales in ([1.0] * 3, [255.0] * 3):
        return contract | {"scale": "0-1" if unit or scales[0] == 255 else "0-255"}
    return contract | {"scale": "0-1" if unit else "0-255", "mean": means, "std": scales}


def _is_true(told: Mapping[str, str], key: str) -> bool:
    return told.get(key, "").lower() in ("true", "yes", "1")


def _triple(text: str, default: float) -> list[float]:
    values = [float(word) for word in text.split()] or [default]
    return values * 3 if len(values) == 1 else values


def _suppression(told: Mapping[str, str], iou: str) -> dict[str, Any]:
    return {"nms_iou": float(told.get("iou_threshold", iou)), "class_agnostic": _is_true(told, "agnostic_nms")}


def _yolo(told: Mapping[str, str], count: int) -> dict[str, Any]:
    boxes, scores = {"columns": [0, 4], "form": "cxcywh"}, {"columns": [4, 4 + count]}
    parts = {key: part | {"candidates": "columns"} for key, part in (("boxes", boxes), ("scores", scores))}
    limits = {"score_threshold": 0.001, "max_detections": 300, "multi_label": False}
    return {"kind": "described", **parts, **limits, **_suppression(told, "0.7")}


def _ssd(described: Described, told: Mapping[str, str]) -> dict[str, Any] | None:
    """Its three parsers: rows of seven; bboxes, scores and labels; boxes with their scores in a fifth column."""
    ports = described.signature.outputs if described.signature else ()
    five = [port.name for port in ports if len(port.shape) in (2, 3) and port.shape[-1] == 5]
    boxes, scores, labels = (
        next((port.name for port in ports if word in port.name), None) for word in ("bboxes", "scores", "labels")
    )
    if len(ports) == 1 and ports[0].shape[-1:] == (7,):
        parts: dict[str, Any] = {"image_index": {"columns": [0, 1]}, "scores": {"columns": [2, 3]}}
        parts |= {"labels": {"columns": [1, 2], "first": 0}, "boxes": {"columns": [3, 7], "unit": "fractions"}}
    elif boxes and scores and labels:
        parts = {"boxes": {"output": boxes, "unit": "fractions"}, "scores": {"output": scores}}
        parts["labels"] = {"output": labels, "first": 0}
    elif five and labels:
        parts = {"boxes": {"output": five[0], "columns": [0, 4]}, "scores": {"output": five[0], "columns": [4, 5]}}
        parts["labels"] = {"output": labels, "first": 0}
    else:
        return None
    suppression = _suppression(told, "0.5") if _is_true(told, "nms_execute") else {}
    return {"kind": "described", **parts, **suppression}
