"""What the YOLOs' exporters answer, and their published post-processing in torch."""

from __future__ import annotations

from dataclasses import replace

import contract_networks as nets
import tiny_nets as tiny
import torch
from bench import CATEGORIES
from contract_networks import CLASSES, SIZE
from contract_terms import MEGVII, YOLO, Contract, Found, Way, counted_read, finished_rows, limits, nms_read, rows_of
from torch import Tensor

OBJECT = nets.channels(nets.BOX, nets.WITH_OBJECT)
YOLOV5 = {
    "boxes": {"columns": [0, 4], "form": "cxcywh"},
    "objectness": {"columns": [4, 5]},
    "scores": {"columns": [5, None]},
    **limits(0.6),
}


def yolov5_answer(maps: list[Tensor]) -> Tensor:
    """[1, N, 5 + C], centres and sides in pixels, objectness and categories as probabilities."""
    boxes, rest = nets.centred(maps)
    return torch.cat([boxes, rest.sigmoid()], -1)


def yolov5_read(output: Tensor) -> Found:
    """YOLOv5's `non_max_suppression`, as `val.py` calls it."""
    (rows,) = output
    return tiny.every(tiny.corners(rows[:, :4]), rows[:, 5:] * rows[:, 4:5], 0.6)


def yolov5_raw_read(*levels: Tensor) -> Found:
    """The decoding at the end of YOLOv5's `Detect`, which some exports leave to the reader."""
    rows = []
    for level, stride, anchors in zip(levels, tiny.STRIDES, nets.ANCHORS, strict=True):
        p = level[0].sigmoid()
        y, x = torch.meshgrid(torch.arange(p.shape[1]), torch.arange(p.shape[2]), indexing="ij")
        centres = (p[..., :2] * 2 - 0.5 + torch.stack([x, y], -1)) * stride
        sides = (p[..., 2:4] * 2) ** 2 * torch.tensor(anchors).float()[:, None, None]
        rows.append(torch.cat([centres, sides, p[..., 4:]], -1).flatten(0, 2))
    return yolov5_read(torch.cat(rows)[None])


def yolov3_raw_read(*levels: Tensor) -> Found:
    """Darknet's: centres by a sigmoid, sides as powers of e over the anchors."""
    rows = []
    for level, stride, anchors in zip(levels, tiny.STRIDES, nets.ANCHORS, strict=True):
        p = nets.in_anchors(level, True)[0]
        y, x = torch.meshgrid(torch.arange(p.shape[1]), torch.arange(p.shape[2]), indexing="ij")
        centres = (p[..., :2].sigmoid() + torch.stack([x, y], -1)) * stride
        sides = p[..., 2:4].exp() * torch.tensor(anchors).float()[:, None, None]
        rows.append(torch.cat([centres, sides, p[..., 4:].sigmoid()], -1).flatten(0, 2))
    rows = torch.cat(rows)
    return tiny.every(tiny.corners(rows[:, :4]), rows[:, 5:] * rows[:, 4:5], 0.45)


THREE_ANCHORS = OBJECT[0] * 3, OBJECT[1] * 3
RARE = nets.channels(nets.BOX, ([-8.0] + [-1.5] * CLASSES, [2.0] + [1.5] * CLASSES))
"""For a large input, which has many cells."""
FEWER = ([0.0] * 4 + [-7.0] + [-1.5] * CLASSES) * 3, ([0.8] * 4 + [2.0] + [1.5] * CLASSES) * 3


def end2end(maps: list[Tensor]) -> Tensor:
    """YOLOv7's [n, 7]: image, corners, label, score."""
    boxes, scores, labels = finished_rows(maps)
    return torch.cat([torch.zeros_like(scores), boxes, labels, scores], 1)


def nas_flat(maps: list[Tensor]) -> Tensor:
    """YOLO-NAS's flat format, [n, 7]: image, corners, score, label."""
    boxes, scores, labels = finished_rows(maps)
    return torch.cat([torch.zeros_like(scores), boxes, scores, labels], 1)


def yolov8_metadata(batch: int = 1) -> dict[str, str]:
    """What Ultralytics writes into an ONNX file."""
    return {
        "description": "Ultralytics YOLOv8n model",
        "author": "Ultralytics",
        "version": "8.4.190",
        "license": "AGPL-3.0 License (https://ultralytics.com/license)",
        "stride": "32",
        "task": "detect",
        "batch": str(batch),
        "imgsz": str([SIZE, SIZE]),
        "names": str(dict(enumerate(CATEGORIES))),
        "args": str({"batch": batch, "nms": False}),
        "channels": "3",
    }


def yolov8_answer(maps: list[Tensor]) -> Tensor:
    """[1, 4 + C, N]."""
    boxes, rest = nets.centred(maps)
    return torch.cat([boxes, rest.sigmoid()], -1).transpose(1, 2)


def yolov8_read(output: Tensor) -> Found:
    """Ultralytics' `non_max_suppression`, as its validation calls it."""
    rows = output[0].T
    return tiny.every(tiny.corners(rows[:, :4]), rows[:, 4:], 0.7)


YOLOV8 = {"kind": "yolov8", **limits(0.7)}


def yolox_read(rows: Tensor) -> Found:
    """Megvii's `postprocess`: a cell's best category alone."""
    return tiny.best(tiny.corners(rows[0, :, :4]), rows[0, :, 5:] * rows[0, :, 4:5], 0.65)


def yolox_raw(maps: list[Tensor]) -> Tensor:
    """[1, N, 5 + C], boxes relative to their cells."""
    values = nets.flat(maps)
    return torch.cat([values[..., :4], values[..., 4:].sigmoid()], -1)


def yolox_raw_read(output: Tensor) -> Found:
    """Megvii's `demo_postprocess`, and `postprocess`."""
    places, strides = (value.transpose(1, 2) for value in tiny.grid(SIZE))
    boxes = torch.cat([(output[..., :2] + places) * strides, output[..., 2:4].exp() * strides], -1)
    return yolox_read(torch.cat([boxes, output[..., 4:]], -1))


YOLOX = {**YOLOV5, **limits(0.65), "multi_label": False}

YOLOS = {
    "yolov5-decoded": Contract(
        "YOLOv5",
        "[1, N, 5 + C] decoded",
        yolov5_answer,
        ("output0",),
        yolov5_read,
        None,
        OBJECT,
        metadata={"stride": "32", "names": str(dict(enumerate(CATEGORIES)))},
    ),
    "yolov5-three-heads": Contract(
        "YOLOv5",
        "raw [1, 3, H, W, 5 + C] x 3",
        lambda maps: tuple(nets.in_anchors(level, True) for level in maps),
        ("output1", "output2", "output3"),
        yolov5_raw_read,
        {
            "boxes": {"output": ["output1", "output2", "output3"], "columns": [0, 4], "form": "yolov5"},
            "objectness": {"output": ["output1", "output2", "output3"], "columns": [4, 5], "activation": "sigmoid"},
            "scores": {"output": ["output1", "output2", "output3"], "columns": [5, None], "activation": "sigmoid"},
            "levels": {"strides": tiny.STRIDES, "anchors": nets.ANCHORS},
            **limits(0.6),
        },
        FEWER,
    ),
    "yolov3-three-heads": Contract(
        "Darknet YOLOv3",
        "raw [1, 3 (5 + C), H, W] x 3",
        lambda maps: tuple(maps),
        ("feats1", "feats2", "feats3"),
        yolov3_raw_read,
        {
            "boxes": {"output": [0, 1, 2], "columns": [0, 4], "form": "yolov3", "candidates": "columns"},
            "objectness": {"output": [0, 1, 2], "columns": [4, 5], "activation": "sigmoid", "candidates": "columns"},
            "scores": {"output": [0, 1, 2], "columns": [5, None], "activation": "sigmoid", "candidates": "columns"},
            "levels": {"strides": tiny.STRIDES, "anchors": nets.ANCHORS},
            **limits(0.45),
        },
        FEWER,
    ),
    "megadetector-v5": Contract(
        "MegaDetector v5",
        "[1, N, 5 + C] decoded, free size",
        yolov5_answer,
        ("output",),
        yolov5_read,
        None,
        RARE,
        replace(YOLO, multiple=64, size=1280),
        dynamic=True,
        categories=("animal", "person", "vehicle", "bird", "boat"),
        metadata={"stride": "64", "names": "{0: 'animal', 1: 'person', 2: 'vehicle', 3: 'bird', 4: 'boat'}"},
    ),
    "yolov4-boxes-confs": Contract(
        "pytorch-YOLOv4",
        "boxes [1, N, 1, 4] in fractions, confs [1, N, C]",
        lambda maps: (nets.cornered(maps)[0][:, :, None] / SIZE, nets.cornered(maps)[1]),
        ("boxes", "confs"),
        lambda boxes, confs: tiny.every(boxes[0, :, 0] * SIZE, confs[0], 0.6),
        {"boxes": {"output": "boxes", "unit": "fractions"}, "scores": {"output": "confs"}, **limits(0.6)},
        way=Way("stretch"),
    ),
    "yolov6-decoded": Contract(
        "YOLOv6",
        "[1, N, 5 + C], objectness 1",
        lambda maps: torch.cat(
            [
                nets.centred(maps)[0],
                torch.ones_like(maps[0][:, :1, :1, :1]).reshape(1, 1, 1).expand(1, nets.flat(maps).shape[1], 1),
                nets.centred(maps)[1].sigmoid(),
            ],
            -1,
        ),
        ("outputs",),
        lambda output: tiny.every(tiny.corners(output[0, :, :4]), output[0, :, 5:] * output[0, :, 4:5], 0.65),
        {**YOLOV5, **limits(0.65)},
    ),
    "yolov7-decoded": Contract(
        "YOLOv7", "[1, N, 5 + C] decoded, no metadata", yolov5_answer, ("output",), yolov5_read, YOLOV5, OBJECT
    ),
    "yolov7-end2end": Contract(
        "YOLOv7",
        "[n, 7]: image, corners, label, score",
        end2end,
        ("output",),
        rows_of({"boxes": slice(1, 5), "labels": 5, "scores": 6}),
        {
            "image_index": {"columns": [0, 1]},
            "boxes": {"columns": [1, 5]},
            "labels": {"columns": [5, 6], "first": 0},
            "scores": {"columns": [6, 7]},
        },
    ),
    "yolov7-efficientnms": Contract(
        "YOLOv7 --end2end for TensorRT",
        "EfficientNMS's four outputs",
        nets.padded,
        ("num_dets", "det_boxes", "det_scores", "det_classes"),
        counted_read,
        {
            "count": "num_dets",
            "boxes": {"output": "det_boxes"},
            "scores": {"output": "det_scores"},
            "labels": {"output": "det_classes", "first": 0},
        },
    ),
    "yolov8-batch-4": Contract(
        "Ultralytics",
        "[4, 4 + C, N], a fixed batch",
        lambda maps: yolov8_answer(maps),
        ("output0",),
        yolov8_read,
        None,
        way=Way(mapping="sides"),
        batch=4,
        metadata=yolov8_metadata(4),
    ),
    "yolov8-bytes": Contract(
        "Ultralytics, preprocessing inside",
        "bytes [1, H, W, 3] in",
        yolov8_answer,
        ("output0",),
        yolov8_read,
        YOLOV8,
        way=Way(mapping="sides"),
        layout="nhwc",
    ),
    "yolo-nas": Contract(
        "SuperGradients YOLO-NAS",
        "corners [1, N, 4], scores [1, N, C]",
        nets.cornered,
        ("graph2_pred_boxes", "graph2_pred_scores"),
        nms_read(0.7),
        {"boxes": {"output": 0}, "scores": {"output": 1}, **limits(0.7)},
        way=Way(),
    ),
    "yolo-nas-flat": Contract(
        "SuperGradients YOLO-NAS",
        "[n, 7]: image, corners, score, label",
        nas_flat,
        ("graph2_flat_predictions",),
        rows_of({"boxes": slice(1, 5), "scores": 5, "labels": 6}),
        {
            "image_index": {"columns": [0, 1]},
            "boxes": {"columns": [1, 5]},
            "scores": {"columns": [5, 6]},
            "labels": {"columns": [6, 7], "first": 0},
        },
        way=Way(),
    ),
    "yolo-nas-batch": Contract(
        "SuperGradients YOLO-NAS",
        "four outputs, a count first",
        nets.padded,
        ("num_predictions", "pred_boxes", "pred_scores", "pred_classes"),
        counted_read,
        {
            "count": "num_predictions",
            "boxes": {"output": "pred_boxes"},
            "scores": {"output": "pred_scores"},
            "labels": {"output": "pred_classes", "first": 0},
        },
        way=Way(),
    ),
    "yolox-raw": Contract(
        "YOLOX",
        "[1, N, 5 + C] undecoded",
        yolox_raw,
        ("output",),
        yolox_raw_read,
        {"kind": "yolox", "strides": tiny.STRIDES, "multi_label": False, **limits(0.65)},
        OBJECT,
        MEGVII,
    ),
    "yolox-decoded": Contract(
        "YOLOX", "[1, N, 5 + C], --decode_in_inference", yolov5_answer, ("output",), yolox_read, YOLOX, OBJECT, MEGVII
    ),
    "damo-yolo": Contract(
        "DAMO-YOLO",
        "scores [1, N, C], corners [1, N, 4]",
        lambda maps: nets.cornered(maps)[::-1],
        ("scores", "boxes"),
        lambda scores, boxes: tiny.every(boxes[0], scores[0], 0.7, 500),
        {"boxes": {"output": "boxes"}, "scores": {"output": "scores"}, **limits(0.7, 500)},
        way=Way("top-left", "down", scale=1.0, pad=0),
    ),
}
