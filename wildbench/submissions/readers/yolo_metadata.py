"""Metadata of Ultralytics' and YOLOv5's exports: names, stride, task, size, and whether the graph ends with an NMS.

It stands in ONNX's `metadata_props`, in TorchScript's `config.txt`, and in `metadata.yaml` or `metadata.json` in the
folder of an OpenVINO, ncnn or ExecuTorch export or at the end of a TFLite file. Settings are those of each tool's own
validation: what its `val` would find in the same file.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from wildbench.submissions.readers._reader import MOST_CHARACTERS, Described, Words, in_order, plain_data

TASKS = ("detect", "segment", "pose")
"""Of these the first columns are boxes and scores."""

ULTRALYTICS = {"score_threshold": 0.001, "nms_iou": 0.7, "max_detections": 300}
YOLOV5 = {"score_threshold": 0.001, "nms_iou": 0.6, "max_detections": 300}


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """What the export says; None where it says no names and stride. YOLOv5's has neither a task nor a size."""
    told, where = _metadata(described)
    if not told.get("names") or "stride" not in told:
        return None
    task = str(told.get("task", "detect"))
    if task not in TASKS:
        problem = f"an export of task {task!r}, which gives no upright boxes"
        raise described.source.error(problem, code="no-detector", remedy=f"export one of task {', '.join(TASKS)}")
    names = in_order(told["names"])
    own = "task" in told
    tool = str(told.get("description", "YOLO")).strip() if own else "YOLOv5"
    manifest = {
        "detector": {"name": tool},
        "categories": names,
        "input": _input(described, told, own),
        "output": _output(described, told, len(names), own),
        "licence": told.get("license") if isinstance(told.get("license"), str) else None,
    }
    read = "names, size, stride, task" if own else "names and stride"
    return Words(manifest, f"{read} from {where} ({tool})")


def _metadata(described: Described) -> tuple[dict[str, Any], str]:
    """The metadata as plain data, and where it stands."""
    metadata = described.metadata
    if "names" in metadata:
        return {key: _literal(value) for key, value in metadata.items() if key in KEYS}, "the file's metadata"
    for name in ("config.txt", "metadata.json", "metadata.yaml"):
        text = metadata.get(name) or described.beside(name)
        if text:
            return plain_data(described.source, name, text), name
    return {}, ""


KEYS = ("names", "stride", "task", "imgsz", "end2end", "args", "head", "description", "license", "dynamic")


def _literal(text: str) -> Any:  # noqa: ANN401 - plain data
    """Python's notation of a dictionary, a list, a number or a boolean; other text as it is."""
    try:
        return ast.literal_eval(text) if len(text) <= MOST_CHARACTERS else text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _input(described: Described, told: Mapping[str, Any], own: bool) -> dict[str, Any]:
    """A letterbox in the middle, of the graph's size or, where that is free, to the next multiple of the stride."""
    stride = int(told["stride"])
    free = _is_free(described, told)
    size = told.get("imgsz") or (told["shape"][-2:] if told.get("shape") else None)
    if size is None and free:
        size = 1280 if stride == 64 else 640  # YOLOv5's defaults, of P6 networks and of the others
    contract: dict[str, Any] = {"size": [size, size] if isinstance(size, int) else size}
    if described.signature is None:
        contract["layout"] = "nchw"
    if _is_rtdetr(told):
        return contract | {"resize": "stretch"}
    contract |= {"resize": "letterbox", "position": "center"}
    if free:
        contract["multiple"] = stride
    if not own:
        contract["mapping"] = "center"
    return contract


def _is_free(described: Described, told: Mapping[str, Any]) -> bool:
    """Whether the graph takes images of any height and width."""
    port = described.signature.image if described.signature else None
    if port and None not in port.shape[-2:]:
        return False
    arguments = told.get("args")
    if isinstance(arguments, Mapping):  # a format may leave open what its network needs
        return bool(arguments.get("dynamic"))
    return port is not None


def _is_rtdetr(told: Mapping[str, Any]) -> bool:
    return "rtdetr" in f"{told.get('head', '')} {told.get('description', '')}".lower()


def _output(described: Described, told: Mapping[str, Any], count: int, own: bool) -> dict[str, Any]:
    """The columns of the first output that is a matrix: a TFLite export may have a mask's prototypes before it."""
    output = _matrix(described)
    boxes: dict[str, Any] = {"output": output, "columns": [0, 4], "form": "cxcywh"}
    scores: dict[str, Any] = {"output": output, "columns": [4, 4 + count]}
    if not own:
        parts = {"objectness": {"columns": [4, 5]}, "scores": {"columns": [5, 5 + count]}}
        return {"kind": "described", "boxes": boxes, **parts, **YOLOV5}
    if _is_rtdetr(told):
        boxes["unit"] = "fractions"
        if "head" in told:  # versions that name the head have finished rows, older ones a score for each category
            return _finished(boxes)
        limits = {**ULTRALYTICS, "nms_iou": None, "multi_label": False}
        return {"kind": "described", "boxes": boxes, "scores": scores, **limits}
    finished = _is_finished(described, told)
    if _in_fractions(described, finished):
        boxes["unit"] = "fractions"
    if finished:
        return _finished(boxes | {"form": "xyxy"})
    columns = {"candidates": "columns"}
    return {"kind": "described", "boxes": boxes | columns, "scores": scores | columns, **ULTRALYTICS}


def _matrix(described: Described) -> int:
    """Position of the output with rows or columns of candidates."""
    outputs = described.signature.outputs if described.signature else ()
    return next((place for place, port in enumerate(outputs) if len(port.shape) == 3), 0)


def _is_finished(described: Described, told: Mapping[str, Any]) -> bool:
    """Whether the graph ends in detections; older versions do not say so of YOLOv10."""
    arguments = told.get("args")
    if told.get("end2end") or (isinstance(arguments, Mapping) and arguments.get("nms")):
        return True
    outputs = described.signature.outputs if described.signature else ()
    if "end2end" in told or len(outputs) > 1:
        return False
    return outputs[0].shape[-1] == 6 if outputs else "yolov10" in str(told.get("description", "")).lower()


def _in_fractions(described: Described, finished: bool) -> bool:
    """Whether boxes are fractions: in TFLite, except finished ones where channels come first (LiteRT's converter)."""
    port = described.signature.image if described.signature else None
    return described.format.name == "litert" and not (finished and port and port.shape[-1] != 3)


def _finished(boxes: dict[str, Any]) -> dict[str, Any]:
    """Rows of a box, a score and a category, and perhaps a mask's coefficients or keypoints after them."""
    output = boxes["output"]
    scores = {"output": output, "columns": [4, 5]}
    rows = {"boxes": boxes, "scores": scores, "labels": {"output": output, "columns": [5, 6], "first": 0}}
    return {"kind": "described", **rows, "score_threshold": 0.001, "max_detections": 300}
