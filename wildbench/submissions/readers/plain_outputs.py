"""Graphs that speak for themselves: the names and shapes of their outputs are a known contract.

They say what is answered, and of which tool they are: what it takes may follow, and seldom which categories there are.
Those stand in metadata, in a file of labels, or in a manifest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from wildbench.submissions.formats import Port
from wildbench.submissions.graphs import read_lite
from wildbench.submissions.manifest import names_something
from wildbench.submissions.readers._reader import Described, Words
from wildbench.submissions.readers.state_dict import coco_names

Ports = Mapping[str, Port]

LITE = "TFLite_Detection_PostProcess"
"""An operator of TensorFlow Lite, and what its outputs are called."""


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """The output contract; None where the outputs are of none that is known."""
    if described.signature is None or "output" in draft:
        return None
    ports = {port.name: port for port in described.signature.outputs}
    inputs = [port.name for port in described.signature.inputs]
    operator = _operator(described)
    if operator:
        return _with_custom(described, LITE, operator, draft)
    for title, contract in CONTRACTS.items():
        output = contract(ports) if title not in NEEDS or NEEDS[title] in inputs else None
        if output:
            return _with_custom(described, title, _shifted(output, draft.get("categories")), draft)
    categories = draft.get("categories", [])
    if not categories or not names_something(str(categories[0])) or described.format.name == "litert":
        return None  # a background's score would be another reading, and TFLite's boxes are often in fractions
    for title, counted in COUNTED.items():
        output = counted(ports, len(categories)) if title not in NEEDS or NEEDS[title] in inputs else None
        if output:
            return _with_custom(described, title, output, draft)
    return None


def _with_custom(described: Described, title: str, output: dict[str, Any], draft: Mapping[str, Any]) -> Words:
    """What the tool with these outputs takes, where it has one way only, and RF-DETR's names where they are COCO's."""
    signature = described.signature
    port = signature.image if signature else None
    words: dict[str, Any] = {"output": output}
    contract = INPUTS[title](port) if port and title in INPUTS and "input" not in draft else None
    if contract is not None:
        words["input"] = contract
    logits = next((port.shape for port in signature.outputs if port.name == "labels"), ()) if signature else ()
    if title == RF_DETR and "categories" not in draft and logits[-1] == len(coco_names()) + 1:
        words["categories"] = ["N/A", *coco_names()]
    told = ", ".join(part for part in ("input", "categories") if part in words)
    return Words(words, f"outputs from the graph ({title}{f', and so {told}' if told else ''})")


def _shifted(output: dict[str, Any], categories: object) -> dict[str, Any]:
    """Labels from 1 count from 0 where the list of the names begins with the background."""
    first = str(categories[0]) if isinstance(categories, list) and categories else "named"
    if names_something(first):
        return output
    if output == {"kind": "torchvision"}:
        parts = {name: {"output": name} for name in ("boxes", "scores")}
        return {"kind": "described", **parts, "labels": {"output": "labels", "first": 0}}
    return output | ({"labels": output["labels"] | {"first": 0}} if "labels" in output else {})


def _raw_picture(port: Port) -> dict[str, Any] | None:
    """Detectors of torchvision, and TensorFlow's that take bytes, resize a picture of any size themselves."""
    bytes_of_any_size = port.dtype == "uint8" and port.shape[1:3] == (None, None)
    return {"resize": "none"} if len(port.shape) == 3 or bytes_of_any_size else None


def _stretched(port: Port, **more: object) -> dict[str, Any] | None:
    return {"resize": "stretch", **more} if None not in port.shape[1:] else None


def _lite(port: Port) -> dict[str, Any] | None:
    """TensorFlow Lite's SSDs: bytes as they are, or real numbers from -1 to 1."""
    if port.dtype == "uint8":
        zero = [float(port.quantization[1])] * 3 if port.quantization else []
        std = [1 / port.quantization[0]] * 3 if port.quantization else []
        return _stretched(port, scale="0-255", **({"mean": zero, "std": std} if zero else {}))
    return _stretched(port, scale="0-255", mean=[127.5] * 3, std=[127.5] * 3)


def _torchvision(ports: Ports) -> dict[str, Any] | None:
    """Boxes [N, 4], labels from 1, scores, of torchvision; with a batch axis they are of another tool."""
    named = {"boxes", "labels", "scores"} <= ports.keys()
    return {"kind": "torchvision"} if named and len(ports["boxes"].shape) == 2 else None


def _efficient_nms(ports: Ports) -> dict[str, Any] | None:
    """TensorRT's plug-in, which exporters of YOLO append."""
    for count, boxes, scores, labels in (
        ("num_dets", "det_boxes", "det_scores", "det_classes"),
        ("num_detections", "detection_boxes", "detection_scores", "detection_classes"),
        ("num_predictions", "pred_boxes", "pred_scores", "pred_classes"),  # YOLO-NAS
    ):
        if {count, boxes, scores, labels} <= ports.keys() and "int" in ports[labels].dtype:
            parts = {"boxes": {"output": boxes}, "scores": {"output": scores}, "labels": {"output": labels, "first": 0}}
            return {"kind": "described", "count": count, **parts}
    return None


def _operator(described: Described) -> dict[str, Any] | None:
    """TFLite_Detection_PostProcess by the operator itself, whatever a converter calls its outputs."""
    if described.format.name != "litert":
        return None
    graph = described.source.parsed(read_lite).main
    outputs = next((node.outputs for node in reversed(graph.nodes) if node.custom == LITE), ())
    if len(outputs) != 4 or not set(outputs) <= set(graph.outputs):
        return None
    return _postprocessed(*(graph.tensors[at].name for at in outputs))


def _postprocessed(boxes: str, labels: str, scores: str, count: str) -> dict[str, Any]:
    parts = {"labels": {"output": labels, "first": 0}, "scores": {"output": scores}, "count": count}
    return {"kind": "described", "boxes": {"output": boxes, "form": "yxyx", "unit": "fractions"}, **parts}


def _tflite_postprocess(ports: Ports) -> dict[str, Any] | None:
    """TFLite_Detection_PostProcess: yxyx in fractions, classes from 0, scores, count."""
    names = list(ports)
    if len(names) != 4 or not all(name.startswith((LITE, "StatefulPartitionedCall")) for name in names):
        return None
    boxes = next((name for name in names if ports[name].shape[-1:] == (4,) and len(ports[name].shape) == 3), None)
    count = next((name for name in names if ports[name].shape in ((1,), ())), None)
    if boxes is None or count is None or not names[0].startswith(LITE):
        return None
    labels, scores = (name for name in names if name not in (boxes, count))
    return _postprocessed(boxes, labels, scores, count)


def _detection_output(ports: Ports) -> dict[str, Any] | None:
    """OpenVINO's DetectionOutput, [1, 1, N, 7]: image, label, score, corners in fractions; background is label 0."""
    port = next(iter(ports.values()), None)
    if len(ports) != 1 or port is None or len(port.shape) != 4 or port.shape[-1] != 7 or port.shape[:2] != (1, 1):
        return None
    return {
        "kind": "described",
        "image_index": {"columns": [0, 1]},
        "labels": {"columns": [1, 2], "first": 1},
        "scores": {"columns": [2, 3]},
        "boxes": {"columns": [3, 7], "unit": "fractions"},
    }


def _six_columns(ports: Ports) -> dict[str, Any] | None:
    """[1, N, 6]: corners, score, class from 0 (YOLOv10, YOLO26, Ultralytics' nms=True)."""
    port = next(iter(ports.values()), None)
    if len(ports) != 1 or port is None or len(port.shape) != 3 or port.shape[-1] != 6 or port.shape[0] != 1:
        return None
    rows = {"boxes": {"columns": [0, 4]}, "scores": {"columns": [4, 5]}, "labels": {"columns": [5, 6], "first": 0}}
    return {"kind": "described", **rows}


def _mmdeploy(ports: Ports) -> dict[str, Any] | None:
    """MMDeploy: dets [1, N, 5], corners and score, and labels from 0."""
    if not {"dets", "labels"} <= ports.keys() or ports["dets"].shape[-1:] != (5,):
        return None
    parts = {"boxes": {"output": "dets", "columns": [0, 4]}, "scores": {"output": "dets", "columns": [4, 5]}}
    return {"kind": "described", **parts, "labels": {"output": "labels", "first": 0}}


def _rf_detr(ports: Ports) -> dict[str, Any] | None:
    """RF-DETR: dets [1, Q, 4], centres and sides in fractions, and logits of the categories in labels."""
    if not {"dets", "labels"} <= ports.keys() or ports["dets"].shape[-1:] != (4,) or len(ports["labels"].shape) != 3:
        return None
    return {
        "kind": "described",
        "boxes": {"output": "dets", "form": "cxcywh", "unit": "fractions"},
        "scores": {"output": "labels", "activation": "sigmoid"},
        **{"score_threshold": 0.0, "nms_iou": None, "max_detections": 300},
    }


def _image_pixels(ports: Ports) -> dict[str, Any] | None:
    """RT-DETR's and D-FINE's own exports: labels from 0, boxes in pixels of the image, scores."""
    if not {"labels", "boxes", "scores"} <= ports.keys() or len(ports["boxes"].shape) != 3:
        return None
    boxes = {"output": "boxes", "of": "image"}
    return {
        "kind": "described",
        "boxes": boxes,
        "labels": {"output": "labels", "first": 0},
        "scores": {"output": "scores"},
    }


def _tensorflow(ports: Ports) -> dict[str, Any] | None:
    """TensorFlow's Object Detection API: yxyx in fractions, and classes as floats, from 1 as in its label maps."""
    names = ("detection_boxes", "detection_classes", "detection_scores", "num_detections")
    if not set(names) <= ports.keys() or "float" not in ports["detection_classes"].dtype:
        return None
    boxes, labels, scores, count = names
    parts = {"boxes": {"output": boxes, "form": "yxyx", "unit": "fractions"}, "scores": {"output": scores}}
    return {"kind": "described", "count": count, **parts, "labels": {"output": labels, "first": 1}}


def _seven_columns(ports: Ports) -> dict[str, Any] | None:
    """[N, 7] by its name: image, corners, class, score of YOLOv7; image, corners, score, class of YOLO-NAS."""
    name, port = next(iter(ports.items()), ("", None))
    if len(ports) != 1 or port is None or len(port.shape) != 2 or port.shape[-1] != 7 or name not in SEVEN_COLUMNS:
        return None
    label, score = SEVEN_COLUMNS[name]
    parts = {"labels": {"columns": [label, label + 1], "first": 0}, "scores": {"columns": [score, score + 1]}}
    return {"kind": "described", "image_index": {"columns": [0, 1]}, "boxes": {"columns": [1, 5]}, **parts}


SEVEN_COLUMNS = {"output": (5, 6), "graph2_flat_predictions": (6, 5)}


def _paddle(ports: Ports) -> dict[str, Any] | None:
    """PaddleDetection's NMS: [n, 6], class from 0, score, corners in pixels of the image, and how many."""
    rows, count = (*ports, "", "")[:2]
    if len(ports) != 2 or ports[rows].shape[1:] != (6,) or len(ports[count].shape) != 1:
        return None
    parts = {"labels": {"columns": [0, 1], "first": 0}, "scores": {"columns": [1, 2]}}
    return {"kind": "described", "count": count, **parts, "boxes": {"columns": [2, 6], "of": "image"}}


def _boxes_and_scores(ports: Ports, count: int) -> dict[str, Any] | None:
    """YOLO-NAS, DAMO-YOLO: corners in pixels [1, N, 4], and finished scores [1, N, C]."""
    for boxes, scores in (("boxes", "scores"), ("graph2_pred_boxes", "graph2_pred_scores")):
        shapes = [ports[name].shape for name in (boxes, scores) if name in ports]
        if len(ports) == len(shapes) == 2 and [shape[2:] for shape in shapes] == [(4,), (count,)]:
            return {"kind": "described", "boxes": {"output": boxes}, "scores": {"output": scores}, **LIMITS}
    return None


def _paddle_raw(ports: Ports, count: int) -> dict[str, Any] | None:
    """PP-YOLOE without its NMS: corners in pixels of the image [1, N, 4], and scores [1, C, N]."""
    boxes, scores = (*ports, "", "")[:2]
    if len(ports) != 2 or ports[boxes].shape[2:] != (4,) or ports[scores].shape[1:2] != (count,):
        return None
    parts = {"boxes": {"output": boxes, "of": "image"}, "scores": {"output": scores, "candidates": "columns"}}
    return {"kind": "described", **parts, **LIMITS}


def _transformers(ports: Ports, count: int) -> dict[str, Any] | None:
    """Hugging Face's detectors: as many logits as categories, or one more for "no object"."""
    if not {"logits", "pred_boxes"} <= ports.keys():
        return None
    activation = {count: "sigmoid", count + 1: "softmax"}.get(ports["logits"].shape[-1] or 0)
    limits = {"score_threshold": 0.0, "nms_iou": None, "max_detections": ports["logits"].shape[1] or 100}
    return {"kind": "detr", "activation": activation, **limits} if activation else None


def _yolov8(ports: Ports, count: int) -> dict[str, Any] | None:
    """Ultralytics' [1, 4 + C, N], where the other axis cannot be the columns."""
    port = next(iter(ports.values()), None)
    if len(ports) != 1 or port is None or len(port.shape) != 3 or port.shape[1] != 4 + count:
        return None
    return None if port.shape[2] in (4 + count, 5 + count) else {"kind": "yolov8", **LIMITS}


LIMITS = {"score_threshold": 0.001, "nms_iou": 0.7, "max_detections": 300}

RF_DETR = "RF-DETR's dets and labels"
YOLOV8 = "Ultralytics' [1, 4 + C, N]"

INPUTS: dict[str, Callable[[Port], dict[str, Any] | None]] = {
    "boxes, labels, scores": _raw_picture,
    "TensorFlow's Object Detection API": _raw_picture,
    LITE: _lite,
    "RT-DETR's labels, boxes, scores": lambda port: _stretched(port, antialias="pillow"),
    YOLOV8: lambda port: {"resize": "letterbox", "position": "center"} if None not in port.shape[1:] else None,
    RF_DETR: lambda port: _stretched(
        port, antialias="torch", resize_dtype="float32", mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]
    ),
}
"""What tools take that have no other way."""

CONTRACTS: dict[str, Callable[[Ports], dict[str, Any] | None]] = {
    "boxes, labels, scores": _torchvision,
    "EfficientNMS": _efficient_nms,
    "TensorFlow's Object Detection API": _tensorflow,
    LITE: _tflite_postprocess,
    "OpenVINO's DetectionOutput": _detection_output,
    "MMDeploy's dets and labels": _mmdeploy,
    RF_DETR: _rf_detr,
    "RT-DETR's labels, boxes, scores": _image_pixels,
    "[1, N, 6]": _six_columns,
    "[N, 7]": _seven_columns,
    "PaddleDetection's [n, 6]": _paddle,
}

COUNTED: dict[str, Callable[[Ports, int], dict[str, Any] | None]] = {
    "boxes [1, N, 4], scores [1, N, C]": _boxes_and_scores,
    "PaddleDetection's [1, N, 4], [1, C, N]": _paddle_raw,
    "Hugging Face's logits and pred_boxes": _transformers,
    YOLOV8: _yolov8,
}
"""Contracts that the number of categories tells from others."""

NEEDS = {
    "RT-DETR's labels, boxes, scores": "orig_target_sizes",
    "PaddleDetection's [n, 6]": "scale_factor",
    "PaddleDetection's [1, N, 4], [1, C, N]": "scale_factor",
}
"""Inputs without which the same outputs mean something else."""
