"""The outputs of common exporters, by their descriptions: tiny graphs that answer every image with the same."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from onnx import helper
from refusals import refused
from small_networks import beside, manifest, write_onnx

from wildbench.errors import SubmissionError, WrongOutput
from wildbench.submissions.decode import Decoded, decode
from wildbench.submissions.manifest import Manifest, parse_manifest
from wildbench.submissions.process import open_submission

SIDE, CANDIDATES = 64, 20
CATEGORIES = ["zebra", "lion", "elephant"]
INPUT = {"resize": "letterbox", "size": [SIDE, SIDE], "position": "center", "layout": "nchw"}

RANDOM = np.random.default_rng(0)
CENTRED = np.hstack([RANDOM.uniform(16, 48, (CANDIDATES, 2)), RANDOM.uniform(8, 24, (CANDIDATES, 2))])
CORNERS = np.hstack([CENTRED[:, :2] - CENTRED[:, 2:] / 2, CENTRED[:, :2] + CENTRED[:, 2:] / 2])
SCORES = RANDOM.uniform(0.02, 0.9, (CANDIDATES, len(CATEGORIES)))
OBJECTNESS = RANDOM.uniform(0.1, 1, (CANDIDATES, 1))
BEST, TOP = SCORES.argmax(axis=1), SCORES.max(axis=1)
LOGITS = np.log(SCORES / (1 - SCORES))
FILLER = np.full((3, 7), -1.0)

LIMITS = {"score_threshold": 0.01, "nms_iou": None, "max_detections": 100}
YOLO = LIMITS | {"nms_iou": 0.7}
COLUMNS = {"boxes": {"columns": [0, 4]}, "scores": {"columns": [4, None]}}

Parts = dict[str, Any]
Outputs = dict[str, np.ndarray]
Detections = tuple[np.ndarray, np.ndarray, np.ndarray]


def floats(*columns: Any) -> np.ndarray:
    return np.hstack([np.asarray(column).reshape(len(column), -1) for column in columns]).astype(np.float32)


def every_pair(scores: np.ndarray, iou: float | None) -> Detections:
    """Each candidate with each category at or above 0.01, by torchvision's suppression."""
    rows, labels = np.nonzero(scores >= 0.01)
    values = scores[rows, labels]
    if iou is None:
        keep = np.argsort(-values)
    else:
        tensors = (torch.from_numpy(array) for array in (CORNERS[rows], values, labels))
        keep = torchvision.ops.batched_nms(*tensors, iou).numpy()
    return CORNERS[rows][keep], labels[keep] + 1, values[keep]


FINISHED = (CORNERS, BEST + 1, TOP)

EXPORTS: dict[str, tuple[Parts, Outputs, Detections]] = {
    "yolov5, yolov7, megadetector v5: [1, N, 5 + C]": (
        {"boxes": {"columns": [0, 4], "form": "cxcywh"}, "objectness": {"columns": [4, 5]}}
        | {"scores": {"columns": [5, None]}} | YOLO,
        {"output0": floats(CENTRED, OBJECTNESS, SCORES)[None]},
        every_pair(OBJECTNESS * SCORES, 0.7),
    ),
    "yolov8-seg: [1, 4 + C + 32, N]": (
        {"boxes": {"columns": [0, 4], "candidates": "columns", "form": "cxcywh"}}
        | {"scores": {"columns": [4, 7], "candidates": "columns"}} | YOLO,
        {"output0": floats(CENTRED, SCORES, RANDOM.normal(size=(CANDIDATES, 32))).T[None],
         "output1": np.zeros((1, 32, 16, 16), np.float32)},
        every_pair(SCORES, 0.7),
    ),
    "yolov8 of tflite, boxes as fractions": (
        {"boxes": {"columns": [0, 4], "candidates": "columns", "form": "cxcywh", "unit": "fractions"}}
        | {"scores": {"columns": [4, None], "candidates": "columns"}} | YOLO,
        {"Identity": floats(CENTRED / SIDE, SCORES).T[None]},
        every_pair(SCORES, 0.7),
    ),
    "yolov10, yolo26, nms=True: [1, N, 6]": (
        {"boxes": {"columns": [0, 4]}, "scores": {"columns": [4, 5]}, "labels": {"columns": [5, 6], "first": 0}}
        | {"score_threshold": 0.01},
        {"output0": np.vstack([floats(CORNERS, TOP, BEST), np.zeros((5, 6), np.float32)])[None]},
        FINISHED,
    ),
    "yolov7 end2end: [N, 7] of a batch": (
        {"image_index": {"columns": [0, 1]}, "boxes": {"columns": [1, 5]}, "labels": {"columns": [5, 6], "first": 0}}
        | {"scores": {"columns": [6, 7]}},
        {"output": np.vstack([floats(np.zeros(CANDIDATES), CORNERS, BEST, TOP), floats(np.ones((2, 7)))])},
        FINISHED,
    ),
    "yolo-nas, damo-yolo: boxes, scores": (
        {"boxes": {"output": "boxes"}, "scores": {"output": "scores"}} | YOLO,
        {"scores": floats(SCORES)[None], "boxes": floats(CORNERS)[None]},
        every_pair(SCORES, 0.7),
    ),
    "pp-yoloe: scores [1, C, N]": (
        {"boxes": {"output": 0}, "scores": {"output": 1, "candidates": "columns"}} | YOLO,
        {"tmp_16": floats(CORNERS)[None], "concat_14.tmp_0": floats(SCORES).T[None]},
        every_pair(SCORES, 0.7),
    ),
    "pp-yoloe with nms: [N, 6] and a count": (
        {"labels": {"columns": [0, 1], "first": 0}, "scores": {"columns": [1, 2]}, "boxes": {"columns": [2, 6]}}
        | {"count": 1},
        {"nms_0": np.vstack([floats(BEST, TOP, CORNERS), floats(FILLER[:, :6])]),
         "nms_1": np.array([CANDIDATES], np.int32)},
        FINISHED,
    ),
    "rf-detr: dets, labels": (
        {"boxes": {"output": "dets", "form": "cxcywh", "unit": "fractions"}}
        | {"scores": {"output": "labels", "activation": "sigmoid"}} | LIMITS,
        {"dets": floats(CENTRED / SIDE)[None], "labels": floats(LOGITS)[None]},
        every_pair(SCORES, None),
    ),
    "rf-detr with an unused first column": (
        {"boxes": {"output": "dets", "form": "cxcywh", "unit": "fractions"}}
        | {"scores": {"output": "labels", "activation": "sigmoid", "background": "first"}} | LIMITS,
        {"dets": floats(CENTRED / SIDE)[None], "labels": floats(np.full(CANDIDATES, 9), LOGITS)[None]},
        every_pair(SCORES, None),
    ),
    "ssd with background first and softmax": (
        {"boxes": {"output": "boxes", "unit": "fractions"}}
        | {"scores": {"output": "scores", "activation": "softmax", "background": "first"}} | LIMITS,
        {"scores": floats(np.zeros(CANDIDATES), np.log(SCORES))[None], "boxes": floats(CORNERS / SIDE)[None]},
        every_pair(SCORES / (1 + SCORES.sum(axis=1, keepdims=True)), None),
    ),
    "yolov4: boxes [1, N, 1, 4], confs [1, N, C]": (
        {"boxes": {"output": "boxes", "unit": "fractions"}, "scores": {"output": "confs"}} | YOLO,
        {"boxes": floats(CORNERS / SIDE)[None, :, None], "confs": floats(SCORES)[None]},
        every_pair(SCORES, 0.7),
    ),
    "mmdeploy: dets [1, N, 5], labels": (
        {"boxes": {"output": "dets", "columns": [0, 4]}, "scores": {"output": "dets", "columns": [4, 5]}}
        | {"labels": {"output": "labels", "first": 0}},
        {"dets": floats(CORNERS, TOP)[None], "labels": BEST[None]},
        FINISHED,
    ),
    "torchvision with labels from 0": (
        {"boxes": {"output": "boxes"}, "scores": {"output": "scores"}, "labels": {"output": "labels", "first": 0}},
        {"boxes": floats(CORNERS), "labels": BEST, "scores": TOP.astype(np.float32)},
        FINISHED,
    ),
    "efficientnms": (
        {"count": "num_dets", "boxes": {"output": "det_boxes"}, "scores": {"output": "det_scores"}}
        | {"labels": {"output": "det_classes", "first": 0}},
        {"num_dets": np.array([[CANDIDATES]], np.int32),
         "det_boxes": np.vstack([floats(CORNERS), np.full((3, 4), np.nan, np.float32)])[None],
         "det_scores": np.append(TOP, [np.nan] * 3)[None].astype(np.float32),
         "det_classes": np.append(BEST, [-1] * 3)[None].astype(np.int32)},
        FINISHED,
    ),
    "tflite_detection_postprocess": (
        {"count": 3, "boxes": {"output": 0, "form": "yxyx", "unit": "fractions"}, "scores": {"output": 2}}
        | {"labels": {"output": 1, "first": 0}},
        {"P": floats(CORNERS / SIDE)[None][..., [1, 0, 3, 2]], "P:1": BEST[None].astype(np.float32),
         "P:2": TOP[None].astype(np.float32), "P:3": np.array([CANDIDATES], np.float32)},
        FINISHED,
    ),
    "openvino detectionoutput: [1, 1, N, 7] up to image -1": (
        {"image_index": {"columns": [0, 1]}, "labels": {"columns": [1, 2], "first": 1}}
        | {"scores": {"columns": [2, 3]}, "boxes": {"columns": [3, 7], "unit": "fractions"}},
        {"detection_out": np.vstack([floats(np.zeros(CANDIDATES), BEST + 1, TOP, CORNERS / SIDE),
                                     floats(FILLER[:1]), np.zeros((2, 7), np.float32)])[None, None]},
        FINISHED,
    ),
    "qualcomm: boxes, scores and class before suppression": (
        {"boxes": {"output": 0}, "scores": {"output": 1}, "labels": {"output": 2, "first": 0}}
        | {"nms_iou": 1.0, "max_detections": 100},
        {"boxes": floats(CORNERS)[None], "scores": TOP[None].astype(np.float32), "class": BEST[None].astype(np.uint8)},
        FINISHED,
    ),
}  # fmt: skip


def constant_graph(path: Path, outputs: Outputs, document: Parts, **changes: Any) -> Path:
    """A graph with these outputs, and a manifest beside it."""
    weights = {f"{name} value": values for name, values in outputs.items()}
    nodes = [helper.make_node("Identity", [f"{name} value"], [name]) for name in outputs]
    kinds = {name: helper.np_dtype_to_tensor_dtype(values.dtype) for name, values in outputs.items()}
    write_onnx(path, nodes, kinds, weights)
    return beside(
        path, **{"categories": CATEGORIES, "input": INPUT, "output": {"kind": "described"} | document} | changes
    )


def described(parts: Parts, **changes: Any) -> Manifest:
    return manifest(**{"categories": CATEGORIES, "output": {"kind": "described"} | parts} | changes)


def by_score(boxes: np.ndarray, labels: np.ndarray, scores: np.ndarray) -> Detections:
    order = np.argsort(-scores)
    return boxes[order], labels[order], scores[order]


def check(found: Any, expected: Detections, tolerance: float = 1e-4) -> None:
    boxes, labels, scores = by_score(found.boxes, found.labels, found.scores)
    wanted = by_score(*expected)
    assert labels.tolist() == wanted[1].tolist()
    np.testing.assert_allclose(scores, wanted[2], rtol=1e-5)
    np.testing.assert_allclose(boxes, wanted[0], atol=tolerance)


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_gives_the_right_detections(name: str, tmp_path: Path) -> None:
    parts, outputs, expected = EXPORTS[name]
    opened = open_submission(constant_graph(tmp_path / "a.onnx", outputs, parts), threads=1)
    check(opened.predict(np.zeros((SIDE, SIDE, 3), np.uint8)), expected)


def test_boxes_of_the_image_come_out_as_they_are(tmp_path: Path) -> None:
    """RT-DETR and D-FINE, given the size of the original: labels, boxes, scores."""
    parts = {"labels": {"output": "labels", "first": 0}, "scores": {"output": "scores"}}
    large = CORNERS * np.tile([3000 / SIDE, 2000 / SIDE], 2)
    for unit, boxes in (("pixels", large), ("fractions", CORNERS / SIDE)):
        outputs = {"labels": BEST[None], "boxes": floats(boxes)[None], "scores": TOP[None].astype(np.float32)}
        contract = parts | {"boxes": {"output": "boxes", "of": "image", "unit": unit}}
        path = constant_graph(tmp_path / f"{unit}.onnx", outputs, contract)
        found = open_submission(path, threads=1).predict(np.zeros((2000, 3000, 3), np.uint8))
        check(found, (large, BEST + 1, TOP), 1e-3)


def test_a_candidate_without_area_is_dropped_and_counted(tmp_path: Path) -> None:
    """YOLO26 regresses sides without a distribution; those of one of 20 candidates are negative."""
    centred = CENTRED.copy()
    centred[3, 2] = -2
    outputs = {"output0": floats(centred, SCORES).T[None]}
    path = constant_graph(tmp_path / "a.onnx", outputs, {}, output={"kind": "yolov8", **LIMITS})
    found = open_submission(path, threads=1).predict(np.zeros((SIDE, SIDE, 3), np.uint8))
    kept = np.delete(np.arange(CANDIDATES), 3)
    check(found, (np.repeat(CORNERS[kept], 3, axis=0), np.tile([1, 2, 3], 19), SCORES[kept].ravel()))
    assert found.dropped == 1


def test_only_candidates_that_count_are_looked_at_for_area() -> None:
    boxes = np.array([[0, 0, 9, 9], [9, 0, 3, 5], [5, 5, 5, 9], [9, 9, 1, 1]], np.float32)
    outputs = {"b": boxes, "l": np.array([1, 1, 2, 1]), "s": np.array([0.9, 0.8, 0.7, 0.1], np.float32)}
    parts = {"boxes": {"output": 0}, "labels": {"output": 1, "first": 1}, "scores": {"output": 2}}
    for threshold, dropped in ((0.5, 2), (0.0, 3), (0.85, 0)):
        found = decode(described(parts | {"score_threshold": threshold}), outputs, (10, 10))
        assert (found.labels.tolist(), found.dropped) == ([1], dropped)
    mapped = described(parts | {"score_threshold": 0.5}, category_map={"zebra": "zebra"})
    assert decode(mapped, outputs, (10, 10)).dropped == 1


def raw_head(seed: int, columns: int, cells: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 2, (1, cells, columns)).astype(np.float32)


def kept(boxes: torch.Tensor, scores: torch.Tensor, threshold: float, iou: float) -> Detections:
    rows, labels = torch.nonzero(scores >= threshold, as_tuple=True)
    keep = torchvision.ops.batched_nms(boxes[rows], scores[rows, labels], labels, iou)[:100]
    return boxes[rows][keep].numpy(), labels[keep].numpy() + 1, scores[rows, labels][keep].numpy()


ANCHORS = [[[10, 13], [16, 30], [33, 23]], [[30, 61], [62, 45], [59, 119]]]


@pytest.mark.parametrize("layout", ["[1, A, H, W, K]", "[1, A x K, H, W]", "[A x K, H, W]"])
def test_yolov5_with_three_heads(layout: str) -> None:
    """Each level an output of its own; the formula is that of Ultralytics' `Detect.forward`."""
    outputs, boxes, scores = {}, [], []
    for level, (stride, shapes) in enumerate(zip((8, 16), ANCHORS, strict=True)):
        height, width = 32 // stride, 48 // stride
        raw = torch.from_numpy(raw_head(level, 8, 3 * height * width)).view(1, 3, height, width, 8)
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        xy, wh, rest = raw.sigmoid().split((2, 2, 4), 4)
        xy = (xy * 2 + torch.stack((x, y), 2) - 0.5) * stride
        wh = (wh * 2) ** 2 * torch.tensor(shapes).view(1, 3, 1, 1, 2)
        boxes.append(torchvision.ops.box_convert(torch.cat([xy, wh], 4).view(-1, 4), "cxcywh", "xyxy"))
        scores.append((rest[..., :1] * rest[..., 1:]).reshape(-1, 3))
        maps = raw.permute(0, 1, 4, 2, 3).reshape(1, 24, height, width)
        values = {"[1, A, H, W, K]": raw, "[1, A x K, H, W]": maps, "[A x K, H, W]": maps[0]}[layout]
        outputs[f"p{level}"] = values.numpy()
    part = {"output": ["p0", "p1"], "candidates": "rows" if "W, K" in layout else "columns"}
    parts = {
        "boxes": part | {"columns": [0, 4], "form": "yolov5"},
        "objectness": part | {"columns": [4, 5], "activation": "sigmoid"},
        "scores": part | {"columns": [5, None], "activation": "sigmoid"},
        "levels": {"strides": [8, 16], "anchors": ANCHORS},
        "score_threshold": 0.3, "nms_iou": 0.6, "max_detections": 100,
    }  # fmt: skip
    found = decode(described(parts), outputs, (32, 48))
    assert len(found.scores) > 10
    check(found, kept(torch.cat(boxes), torch.cat(scores), 0.3, 0.6), 1e-3)


def distributed(raw: torch.Tensor, strides: list[int], offset: float, cells: Callable[[int], int]) -> torch.Tensor:
    """`distance2bbox` of the expectations of softmaxes over eight bins (GFL), for an input of 72 x 72."""
    points, widths = [], []
    for stride in strides:
        side = cells(stride)
        y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        points.append((torch.stack((x, y), 2).view(-1, 2) + offset) * stride)
        widths.append(torch.full((side * side, 1), float(stride)))
    distances = (raw.view(-1, 4, 8).softmax(2) @ torch.arange(8.0)) * torch.cat(widths)
    centres = torch.cat(points)
    return torch.cat([centres - distances[:, :2], centres + distances[:, 2:]], 1)


@pytest.mark.parametrize("clipped", [False, True])
def test_nanodet_has_one_output_for_all_levels(clipped: bool) -> None:
    """Its own code cuts boxes off at the input's edges before they suppress each other."""
    strides = [8, 16, 32]
    counts = [-((-72 // stride) ** 2) for stride in strides]
    counts = [(-(-72 // stride)) ** 2 for stride in strides]
    raw = torch.from_numpy(raw_head(5, 3 + 32, sum(counts)))
    raw[..., :3] = raw[..., :3].sigmoid()
    boxes = distributed(raw[0, :, 3:].contiguous(), strides, 0, lambda stride: -(-72 // stride))
    boxes = boxes.clamp(0, 72) if clipped else boxes
    parts = {
        "scores": {"columns": [0, 3]},
        "boxes": {"columns": [3, None], "form": "distribution", "clipped": clipped},
        "levels": {"strides": strides, "offset": 0},
        "score_threshold": 0.5, "nms_iou": 0.6, "max_detections": 100,
    }  # fmt: skip
    check(decode(described(parts), {"output": raw.numpy()}, (72, 72)), kept(boxes, raw[0, :, :3], 0.5, 0.6), 1e-3)


def test_picodet_has_scores_and_distributions_of_each_level() -> None:
    strides = [8, 16, 32]
    sides = [-(-72 // stride) for stride in strides]
    scores = [torch.from_numpy(raw_head(side, 3, side * side)).sigmoid() for side in sides]
    raw = [torch.from_numpy(raw_head(side + 1, 32, side * side)) for side in sides]
    outputs = {f"s{stride}": values.numpy() for stride, values in zip(strides, scores, strict=True)}
    outputs |= {f"d{stride}": values.numpy() for stride, values in zip(strides, raw, strict=True)}
    parts = {
        "scores": {"output": ["s8", "s16", "s32"]},
        "boxes": {"output": ["d8", "d16", "d32"], "form": "distribution"},
        "levels": {"strides": strides},
        "score_threshold": 0.5, "nms_iou": 0.6, "max_detections": 100,
    }  # fmt: skip
    boxes = distributed(torch.cat(raw, 1)[0], strides, 0.5, lambda stride: -(-72 // stride))
    check(decode(described(parts), outputs, (72, 72)), kept(boxes, torch.cat(scores, 1)[0], 0.5, 0.6), 1e-3)


def test_fcos_weighs_scores_by_centreness() -> None:
    """torchvision's `postprocess_detections`: the square root of the product; distances in cells."""
    raw = torch.from_numpy(raw_head(6, 8, 6 * 4)).view(1, 4, 6, 8).permute(0, 3, 1, 2)
    outputs = {"reg": raw[:, :4].abs(), "ctr": raw[:, 4:5], "cls": raw[:, 5:]}
    parts = {
        "boxes": {"output": "reg", "candidates": "columns", "form": "ltrb", "unit": "cells"},
        "objectness": {"output": "ctr", "candidates": "columns", "activation": "sigmoid", "weight": 0.5},
        "scores": {"output": "cls", "candidates": "columns", "activation": "sigmoid"},
        "levels": {"strides": [8]},
        "score_threshold": 0.2, "nms_iou": 0.6, "max_detections": 100,
    }  # fmt: skip
    flat = {name: values[0].permute(1, 2, 0).reshape(24, -1) for name, values in outputs.items()}
    y, x = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    points = (torch.stack((x, y), 2).view(-1, 2) + 0.5) * 8
    boxes = torch.cat([points - flat["reg"][:, :2] * 8, points + flat["reg"][:, 2:] * 8], 1)
    scores = torch.sqrt(flat["cls"].sigmoid() * flat["ctr"].sigmoid())
    arrays = {name: values.numpy() for name, values in outputs.items()}
    check(decode(described(parts), arrays, (32, 48)), kept(boxes, scores, 0.2, 0.6), 1e-3)


def test_fastestdet_fuses_its_scores_by_powers() -> None:
    """`handle_preds` of FastestDet: object^0.6 x class^0.4, of the best class, suppressed across classes."""
    raw = torch.from_numpy(raw_head(7, 8, 24)).view(1, 4, 6, 8).permute(0, 3, 1, 2).contiguous()
    raw[:, :1], raw[:, 5:] = raw[:, :1].sigmoid(), raw[:, 5:].softmax(1)
    part = {"candidates": "columns"}
    parts = {
        "objectness": part | {"columns": [0, 1], "weight": 0.6},
        "boxes": part | {"columns": [1, 5], "form": "fastestdet"},
        "scores": part | {"columns": [5, None]},
        "levels": {"strides": [16]},
        "score_threshold": 0.25, "nms_iou": 0.45, "max_detections": 100, "multi_label": False, "class_agnostic": True,
    }  # fmt: skip
    grid = raw[0].permute(1, 2, 0)
    gy, gx = torch.meshgrid(torch.arange(4), torch.arange(6), indexing="ij")
    bw, bh = grid[..., 3].sigmoid() * 96, grid[..., 4].sigmoid() * 64
    bcx, bcy = (grid[..., 1].tanh() + gx) / 6 * 96, (grid[..., 2].tanh() + gy) / 4 * 64
    boxes = torch.stack([bcx - bw / 2, bcy - bh / 2, bcx + bw / 2, bcy + bh / 2], 2).view(-1, 4)
    scores, labels = (
        (grid[..., 0] ** 0.6 * grid[..., 5:].max(2).values ** 0.4).view(-1),
        grid[..., 5:].argmax(2).view(-1),
    )
    rows = torch.nonzero(scores >= 0.25)[:, 0]
    keep = rows[torchvision.ops.nms(boxes[rows], scores[rows], 0.45)]
    expected = (boxes[keep].numpy(), labels[keep].numpy() + 1, scores[keep].numpy())
    check(decode(described(parts), {"output": raw.numpy()}, (64, 96)), expected, 1e-3)


def test_labels_may_be_floats_and_numbers_without_fraction() -> None:
    parts = {"boxes": {"output": 0}, "labels": {"output": 1, "first": 0}, "scores": {"output": 2}}
    for kind in (np.float16, np.float32, np.int8, np.uint8, np.int64):
        outputs = {"b": np.array([[0, 0, 5, 5]], np.float32), "l": np.array([2], kind), "s": np.ones(1, np.float32)}
        found = decode(described(parts), outputs, (9, 9))
        assert (found.labels.tolist(), found.labels.dtype) == ([3], np.int64)


FINISHED_PARTS = {"boxes": {"output": "b"}, "labels": {"output": "l", "first": 0}, "scores": {"output": "s"}}


def finished(**changes: np.ndarray) -> Outputs:
    boxes = np.array([[0, 0, 5, 5], [1, 1, 2, 2]], np.float32)
    return {"b": boxes, "l": np.array([1, 0]), "s": np.array([0.9, 0.8], np.float32), "n": np.array([2])} | changes


@pytest.mark.parametrize(
    ("parts", "outputs", "code"),
    [
        ({"labels": {"output": "classes", "first": 0}}, finished(), "outputs"),
        ({"labels": {"output": 9, "first": 0}}, finished(), "outputs"),
        ({"count": "count"}, finished(), "outputs"),
        ({"count": "n"}, finished(n=np.array([3])), "count"),
        ({"count": "n"}, finished(n=np.array([1.5])), "count"),
        ({"count": "n"}, finished(n=np.array([-1])), "count"),
        ({"count": "n"}, finished(n=np.zeros(0)), "count"),
        ({}, finished(l=np.array([0.5, 1])), "invalid-labels"),
        ({}, finished(l=np.array([np.nan, 1])), "invalid-labels"),
        ({}, finished(l=np.array([1e30, 1])), "invalid-labels"),
        ({}, finished(b=np.zeros((2, 5), np.float32)), "shape"),
        ({}, finished(b=np.zeros(8, np.float32)), "shape"),
        ({}, finished(b=np.zeros((2, 2, 4), np.float32)), "shape"),
        ({}, finished(s=np.zeros(3, np.float32)), "shape"),
        ({"boxes": {"output": "b", "columns": [1, 5]}}, finished(), "shape"),
        ({"image_index": {"output": "n", "columns": [0, 1]}}, finished(), "shape"),
        ({}, finished(s=np.array([np.inf, 0], np.float32)), "not-finite"),
        ({"objectness": {"output": "o", "weight": 0.5}}, finished(o=np.array([-1.0, 1])), "not-finite"),
    ],
)
def test_each_wrong_answer_is_named_with_the_outputs(parts: Parts, outputs: Outputs, code: str) -> None:
    with refused(f"detector/{code}", kind=WrongOutput) as caught:
        decode(described(FINISHED_PARTS | parts), outputs, (16, 24))
    for name, values in outputs.items():
        assert f"{name} {values.dtype} {list(values.shape)}" in str(caught.value)


@pytest.mark.parametrize(
    ("parts", "key"),
    [
        ({"boxes": None}, "boxes"),
        ({"boxes": {"form": "centre"}}, "boxes.form"),
        ({"boxes": {"form": "yolox"}}, "output.described"),
        ({"boxes": {"unit": "cells"}}, "output.described"),
        ({"levels": {"strides": [8]}}, "output.described"),
        ({"boxes": {"form": "yolov5"}, "levels": {"strides": [8]}}, "output.described"),
        ({"boxes": {"form": "yolox"}, "levels": {"strides": [8], "anchors": [[[1, 2]]]}}, "output.described"),
        ({"boxes": {"form": "yolov5"}, "levels": {"strides": [8], "anchors": [[[1, 2]], [[1, 2]]]}}, "levels"),
        ({"boxes": {"form": "yolov5"}, "levels": {"strides": [8, 16], "anchors": [[[1, 2]], []]}}, "levels"),
        ({"boxes": {"form": "yolov5"}, "levels": {"strides": [8], "anchors": [[[0, 2]]]}}, "levels"),
        ({"boxes": {"columns": [4, 4]}}, "boxes"),
        ({"boxes": {"columns": [-4, None]}}, "boxes"),
        ({"boxes": {"output": ""}}, "boxes"),
        ({"boxes": {"output": []}}, "boxes"),
        ({"labels": {"first": 2}}, "labels.first"),
        ({"labels": None}, "output.described"),
        ({"scores": {"background": "first"}}, "output.described"),
        ({"scores": {"activation": "softmax"}}, "output.described"),
        ({"max_detections": 0}, "max_detections"),
    ],
)
def test_a_description_that_contradicts_itself_is_refused(parts: Parts, key: str) -> None:
    whole = {"kind": "described", "boxes": {}, "scores": {}, "labels": {"first": 0}} | parts
    document = {"name": "a", "detector": {"name": "a"}, "categories": ["zebra"], "output": whole}
    with refused("submission/manifest", key, kind=SubmissionError):
        parse_manifest(document, "a.onnx")


def test_the_guides_examples_are_valid() -> None:
    text = (Path(__file__).parents[2] / "docs" / "submitting.md").read_text(encoding="utf-8")
    lines = [line.split("`")[-2] for line in text.splitlines() if '| `{"kind": "described"' in line]
    assert len(lines) >= 7
    for line in lines:
        manifest(output=json.loads(line))


def test_a_decoded_answer_says_what_its_pixels_are_of() -> None:
    found = decode(described(FINISHED_PARTS | {"boxes": {"output": "b", "of": "image"}}), finished(), (9, 9))
    assert isinstance(found, Decoded)
    assert found.of == "image"
