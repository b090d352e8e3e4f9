"""What PaddleDetection, OpenMMLab, the SSDs, TensorFlow and camera traps' engine answer, and how each is read."""

from __future__ import annotations

from dataclasses import replace

import contract_networks as nets
import tiny_nets as tiny
import torch
from bench import CATEGORIES
from contract_networks import CLASSES, SIZE
from contract_terms import (
    BGR_MEAN,
    BGR_STD,
    MEAN,
    MMDET,
    PADDLE,
    STD,
    Contract,
    Found,
    Way,
    counted_read,
    finished_rows,
    limits,
    rows_of,
)
from contract_yolos import yolov5_answer
from torch import Tensor


def of_image(boxes: Tensor, scale_factor: Tensor) -> Tensor:
    """As PaddleDetection's heads end: corners over the scale factors (down, across)."""
    return boxes / torch.cat([scale_factor.flip(1), scale_factor.flip(1)], 1)


def paddle_finished(maps: list[Tensor], scale_factor: Tensor) -> tuple[Tensor, Tensor]:
    """PP-YOLOE's [n, 6] (label, score, corners in pixels of the picture) and how many they are."""
    boxes, scores, labels = finished_rows(maps)
    rows = torch.cat([labels, scores, of_image(boxes, scale_factor)], 1)
    return rows, torch.ones_like(scores).sum(0).to(torch.int32)


def paddle_detr(maps: list[Tensor], im_shape: Tensor, scale_factor: Tensor) -> tuple[Tensor, Tensor]:
    """RT-DETR's in PaddleDetection: fractions times the picture's sides, which come of both second inputs."""
    boxes, scores, labels = nets.topmost(maps)
    sides = torch.floor(im_shape / scale_factor + 0.5).flip(1)
    boxes = boxes[0] / SIZE * torch.cat([sides, sides], 1)
    rows = torch.cat([labels[0][:, None].float(), scores[0][:, None], boxes], 1)
    return rows, torch.ones_like(scores).sum(1).to(torch.int32)


def infer_cfg(arch: str, interp: int, mean_std: bool, more: str = "") -> dict[str, str]:
    """What PaddleDetection's export writes beside the network."""
    labels = "".join(f"- {name}\n" for name in CATEGORIES)
    mean, std = (list(MEAN), list(STD)) if mean_std else ([0.0] * 3, [1.0] * 3)
    text = f"""mode: paddle
draw_threshold: 0.5
metric: COCO
use_dynamic_shape: false
arch: {arch}
min_subgraph_size: 3
Preprocess:
- interp: {interp}
  keep_ratio: false
  target_size:
  - {SIZE}
  - {SIZE}
  type: Resize
- mean: {mean}
  norm_type: {"mean_std" if mean_std else "none"}
  std: {std}
  type: NormalizeImage
- type: Permute
label_list:
{labels}{more}"""
    return {"infer_cfg.yml": text}


PADDLE_ROWS = {
    "labels": {"columns": [0, 1], "first": 0},
    "scores": {"columns": [1, 2]},
    "boxes": {"columns": [2, 6], "of": "image"},
    "count": 1,
}


def dets_labels(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """MMDeploy's: corners and score in one, labels apart."""
    boxes, scores, labels = nets.finished(maps)
    return torch.cat([boxes, scores[:, None]], 1)[None], labels[None]


def rtmdet_raw(maps: list[Tensor]) -> tuple[Tensor, ...]:
    """RTMDet's maps: logits of the categories, then distances of the four sides in pixels."""
    strides = zip(maps, tiny.STRIDES, strict=True)
    return *(level[:, 4:] for level in maps), *(level[:, :4].exp() * stride for level, stride in strides)


def rtmdet_raw_read(*maps: Tensor) -> Found:
    """MMYOLO's decoding: points at the corners of the cells."""
    places, strides = nets.cells(maps[:3])
    points, distances = (places * strides)[0], nets.flat(maps[3:])[0]
    boxes = torch.cat([points - distances[:, :2], points + distances[:, 2:]], 1)
    return tiny.every(boxes, nets.flat(maps[:3])[0].sigmoid(), 0.65)


SPREAD = nets.channels(nets.LOGITS, ([0.0] * 4 * nets.BINS, [1.5] * 4 * nets.BINS))


def gfl_boxes(bins: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Corners from distributions over distances, [N, 4 bins]."""
    distances = bins.reshape(-1, 4, nets.BINS).softmax(-1) @ torch.arange(nets.BINS).float() * strides
    return torch.cat([points - distances[:, :2], points + distances[:, 2:]], 1)


def nanodet_read(output: Tensor) -> Found:
    """NanoDet-Plus's `get_bboxes`: points at the corners of the cells, boxes kept within the input."""
    places, strides = (value[0].T for value in tiny.grid(SIZE))
    boxes = gfl_boxes(output[0, :, CLASSES:], places * strides, strides).clamp(0, SIZE)
    return tiny.every(boxes, output[0, :, :CLASSES], 0.6, 100)


def picodet_raw(maps: list[Tensor]) -> tuple[Tensor, ...]:
    """PicoDet without its postprocessing: probabilities [1, HW, C] of each level, then distributions [1, HW, 32]."""
    levels = [nets.flat([level]) for level in maps]
    return *(level[..., :CLASSES].sigmoid() for level in levels), *(level[..., CLASSES:] for level in levels)


def picodet_read(*outputs: Tensor) -> Found:
    """PaddleDetection's `PicoDetPostProcess`: points in the middle of the cells."""
    places, strides = (value[0].T for value in tiny.grid(SIZE))
    boxes = gfl_boxes(torch.cat(outputs[3:], 1)[0], (places + 0.5) * strides, strides)
    return tiny.every(boxes, torch.cat(outputs[:3], 1)[0], 0.6)


def fastestdet(maps: list[Tensor]) -> Tensor:
    """[1, 5 + C, H, W] of one level: objectness, box, probabilities of the categories."""
    level = maps[1]
    return torch.cat([level[:, 4:5].sigmoid(), level[:, :4], level[:, 5:].softmax(1)], 1)


def fastestdet_read(output: Tensor) -> Found:
    """FastestDet's `handle_preds`, up to its last release."""
    pred = output[0].permute(1, 2, 0)
    rows, columns = pred.shape[:2]
    scores, labels = pred[..., 5:].max(-1)
    scores = pred[..., 0] ** 0.6 * scores**0.4
    gy, gx = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    centres = torch.stack([(pred[..., 1].tanh() + gx) / columns, (pred[..., 2].tanh() + gy) / rows], -1)
    boxes = tiny.corners(torch.cat([centres, pred[..., 3:5].sigmoid()], -1)).reshape(-1, 4)
    boxes = boxes * torch.tensor([columns, rows, columns, rows]) * 16
    keep = scores.flatten() >= tiny.SCORE
    return tiny.suppressed(boxes[keep], scores.flatten()[keep], labels.flatten()[keep], 0.45, 300)


FASTESTDET = {
    "objectness": {"columns": [0, 1], "weight": 0.6, "candidates": "columns"},
    "boxes": {"columns": [1, 5], "form": "fastestdet", "candidates": "columns"},
    "scores": {"columns": [5, None], "candidates": "columns"},
    "levels": {"strides": [16]},
    "multi_label": False,
    **limits(0.45),
}
SSD = nets.channels(nets.BOX, ([5.0] + [-1.5] * CLASSES, [1.5] * (CLASSES + 1)))


def ssd_answer(maps: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Probabilities with the background first, [1, N, C + 1], and corners as fractions, [1, N, 4]."""
    boxes, rest = nets.centred(maps)
    return rest.softmax(-1), tiny.corners(boxes) / SIZE


def mlperf_answer(maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Corners as fractions, labels from 1, scores."""
    boxes, scores, labels = nets.topmost(maps)
    return boxes / SIZE, labels + 1, scores


def torchvision_answer(maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Corners, labels from 0, scores, after suppression."""
    boxes, scores, labels = nets.finished(maps)
    return boxes, labels, scores


def yxyx(boxes: Tensor) -> Tensor:
    """Corners, rows first; and back."""
    return boxes[..., [1, 0, 3, 2]]


def tensorflow_answer(maps: list[Tensor]) -> tuple[Tensor, ...]:
    """The Object Detection API's four: corners (y first) as fractions, labels from 1 as floats, scores, count."""
    count, boxes, scores, labels = nets.padded(maps)
    return yxyx(boxes) / SIZE, (labels + 1).float(), scores, count[0].float()


def tensorflow_read(boxes: Tensor, labels: Tensor, scores: Tensor, count: Tensor) -> Found:
    """Its `visualize_boxes_and_labels_on_image_array`."""
    return counted_read(count, yxyx(boxes) * SIZE, scores, labels - 1)


def automl_answer(maps: list[Tensor]) -> Tensor:
    """EfficientDet's [1, 100, 7]: image, corners (y first), score, label from 1."""
    boxes, scores, labels = nets.topmost(maps)
    return torch.cat([torch.zeros_like(scores)[..., None], yxyx(boxes), scores[..., None], labels[..., None] + 1.0], -1)


OTHERS = {
    "pp-yoloe": Contract(
        "PaddleDetection PP-YOLOE",
        "[n, 6] in pixels of the picture; scale_factor",
        paddle_finished,
        ("multiclass_nms3_0.tmp_0", "multiclass_nms3_0.tmp_2"),
        rows_of({"labels": 0, "scores": 1, "boxes": slice(2, 6)}),
        PADDLE_ROWS,
        way=PADDLE,
        second=("scale_factor",),
        of_image=True,
        image="image",
        beside=infer_cfg("YOLO", 2, mean_std=False),
    ),
    "pp-yoloe-without-nms": Contract(
        "PaddleDetection PP-YOLOE",
        "corners [1, N, 4], scores [1, C, N]; scale_factor",
        lambda maps, factor: (
            of_image(nets.cornered(maps)[0][0], factor)[None],
            nets.cornered(maps)[1].transpose(1, 2),
        ),
        ("tmp_16", "concat_14.tmp_0"),
        lambda boxes, scores: tiny.every(boxes[0], scores[0].T, 0.7),
        {
            "boxes": {"output": 0, "of": "image"},
            "scores": {"output": 1, "candidates": "columns"},
            **limits(0.7),
        },
        way=replace(PADDLE, mean=MEAN, std=STD),
        second=("scale_factor",),
        of_image=True,
        image="image",
        beside=infer_cfg("YOLO", 2, mean_std=True),
    ),
    "paddle-rtdetr": Contract(
        "PaddleDetection RT-DETR",
        "[100, 6] in pixels of the picture; im_shape, scale_factor",
        paddle_detr,
        ("save_infer_model/scale_0.tmp_0", "save_infer_model/scale_1.tmp_0"),
        rows_of({"labels": 0, "scores": 1, "boxes": slice(2, 6)}),
        PADDLE_ROWS,
        way=PADDLE,
        second=("im_shape", "scale_factor"),
        of_image=True,
        image="image",
        beside=infer_cfg("DETR", 2, mean_std=False),
    ),
    "picodet": Contract(
        "PaddleDetection PicoDet",
        "probabilities and distributions of each level",
        picodet_raw,
        tuple(f"{kind}_{level}" for kind in ("cls", "dis") for level in range(3)),
        picodet_read,
        {
            "scores": {"output": [0, 1, 2]},
            "boxes": {"output": [3, 4, 5], "form": "distribution"},
            "levels": {"strides": tiny.STRIDES},
            **limits(0.6),
        },
        SPREAD,
        Way("stretch", mean=MEAN, std=STD),
        image="image",
        beside=infer_cfg(
            "PicoDet",
            1,
            mean_std=True,
            more="NMS:\n  keep_top_k: 100\n  nms_threshold: 0.6\nfpn_stride:\n- 8\n- 16\n- 32\n",
        ),
    ),
    "nanodet": Contract(
        "NanoDet-Plus",
        "[1, N, C + 32], distributions",
        lambda maps: torch.cat([nets.flat(maps)[..., :CLASSES].sigmoid(), nets.flat(maps)[..., CLASSES:]], -1),
        ("output",),
        nanodet_read,
        {
            "scores": {"columns": [0, CLASSES]},
            "boxes": {"columns": [CLASSES, None], "form": "distribution", "clipped": True},
            "levels": {"strides": tiny.STRIDES, "offset": 0},
            **limits(0.6, 100),
        },
        SPREAD,
        Way("stretch", channels="bgr", scale=1.0, mean=BGR_MEAN, std=BGR_STD),
        image="data",
    ),
    "rtmdet-mmdeploy": Contract(
        "MMDeploy RTMDet",
        "dets [1, n, 5], labels [1, n]",
        dets_labels,
        ("dets", "labels"),
        lambda dets, labels: (dets[0, :, :4], dets[0, :, 4], labels[0]),
        {
            "boxes": {"output": "dets", "columns": [0, 4]},
            "scores": {"output": "dets", "columns": [4, 5]},
            "labels": {"output": "labels", "first": 0},
        },
        way=MMDET,
        image="input",
    ),
    "rtmdet-raw": Contract(
        "MMYOLO RTMDet",
        "logits and distances of each level",
        rtmdet_raw,
        tuple(f"{kind}{level}" for kind in ("cls", "bbox") for level in range(3)),
        rtmdet_raw_read,
        {
            "scores": {"output": [0, 1, 2], "activation": "sigmoid", "candidates": "columns"},
            "boxes": {"output": [3, 4, 5], "form": "ltrb", "candidates": "columns"},
            "levels": {"strides": tiny.STRIDES, "offset": 0},
            **limits(0.65),
        },
        way=MMDET,
        image="input",
    ),
    "fastestdet-tiny": Contract(
        "FastestDet",
        "[1, 5 + C, H, W]",
        fastestdet,
        ("output",),
        fastestdet_read,
        FASTESTDET,
        nets.channels(nets.BOX, ([-5.0] + [0.0] * CLASSES, [2.0] * (1 + CLASSES))),
        Way("stretch", channels="bgr"),
        image="input.1",
    ),
    "ssd-background-first": Contract(
        "pytorch-ssd",
        "scores [1, N, C + 1], corners in fractions",
        ssd_answer,
        ("scores", "boxes"),
        lambda scores, boxes: tiny.every(boxes[0] * SIZE, scores[0, :, 1:], 0.45, 200),
        {
            "scores": {"output": "scores", "background": "first"},
            "boxes": {"output": "boxes", "unit": "fractions"},
            **limits(0.45, 200),
        },
        SSD,
        Way("stretch", scale=1.0, mean=(127.0,) * 3, std=(128.0,) * 3),
        image="input_0",
    ),
    "ssd-mlperf": Contract(
        "MLPerf SSD",
        "corners in fractions, labels from 1, scores",
        mlperf_answer,
        ("bboxes", "labels", "scores"),
        lambda boxes, labels, scores: (boxes[0] * SIZE, scores[0], labels[0] - 1),
        {
            "boxes": {"output": "bboxes", "unit": "fractions"},
            "labels": {"output": "labels", "first": 1},
            "scores": {"output": "scores"},
        },
        way=Way("stretch", mean=MEAN, std=STD),
        image="image",
    ),
    "boxes-labels-scores": Contract(
        "torchvision's names, labels from 0",
        "boxes [n, 4], labels [n], scores [n]",
        torchvision_answer,
        ("boxes", "labels", "scores"),
        lambda boxes, labels, scores: (boxes, scores, labels),
        {"boxes": {"output": "boxes"}, "labels": {"output": "labels", "first": 0}, "scores": {"output": "scores"}},
        way=Way("stretch"),
    ),
    "tensorflow-four-outputs": Contract(
        "TensorFlow Object Detection by tf2onnx",
        "bytes in; corners, labels from 1, scores, count",
        tensorflow_answer,
        ("detection_boxes", "detection_classes", "detection_scores", "num_detections"),
        tensorflow_read,
        {
            "boxes": {"output": "detection_boxes", "form": "yxyx", "unit": "fractions"},
            "labels": {"output": "detection_classes", "first": 1},
            "scores": {"output": "detection_scores"},
            "count": "num_detections",
        },
        way=Way("stretch"),
        layout="nhwc",
        image="input_tensor",
    ),
    "efficientdet-automl": Contract(
        "AutoML EfficientDet by tf2onnx",
        "bytes in; [1, 100, 7]",
        automl_answer,
        ("detections:0",),
        lambda output: (yxyx(output[0, :, 1:5]), output[0, :, 5], output[0, :, 6] - 1),
        {
            "image_index": {"columns": [0, 1]},
            "boxes": {"columns": [1, 5], "form": "yxyx"},
            "scores": {"columns": [5, 6]},
            "labels": {"columns": [6, 7], "first": 1},
        },
        way=Way("top-left", "down", pad=0),
        layout="nhwc",
        image="image_arrays:0",
    ),
}


MEGADETECTOR = ("animal", "person", "vehicle")
THREE = nets.channels(nets.BOX, ([-8.0] * 3, [2.0] * 3))
THREE_WITH_OBJECT = nets.channels(nets.BOX, ([-6.0] + [-1.5] * 3, [2.0] + [1.5] * 3))
EXAMPLE_TOML = f"""schema_version = "1.0"

[model]
id              = "megadetector-v6"
name            = "MegaDetector v6"
type            = "detection"
format          = "onnx"
version         = "6.0.0"
license         = "MIT"
file            = "megadetector_v6.onnx"
input_format    = "NCHW"
input_shape     = [-1, 3, {SIZE}, {SIZE}]
opset_version   = 17

[model.preprocessing]
type        = "image_letterbox"
resize      = [{SIZE}, {SIZE}]
scale       = 255.0
color_space = "RGB"
pad_value   = 114

[model.postprocessing]
type                   = "yolo_nms"
default_conf_threshold = 0.2
iou_threshold          = 0.45
max_detections         = 300

[model.labels]
"0" = "animal"
"1" = "person"
"2" = "vehicle"
"""
"""The layout of the examples in its repository."""

ENGINE_TOML = f"""[model]
id = "MDV5a"
format = "onnx"
file = "1/model.onnx"
version = "v5a"

[preprocessing]
method = "letterbox"
input_size = [{SIZE}, {SIZE}]
layout = "nchw"
channel_order = "rgb"
normalization = "unit"
interpolation = "cv2_bilinear"

[inference]
strategy = "single"

[postprocessing]
method = "megadet_v5a"
confidence_threshold = 0.2
iou_threshold = 0.45

[labels]
file = "labels.txt"
format = "name_index_csv"
"""
"""The layout that the engine loads, and its uploader writes."""


def topmost_rows(maps: list[Tensor]) -> Tensor:
    """[1, 100, 6]: corners, score, label; nothing is suppressed, as in YOLOv10."""
    boxes, scores, labels = nets.topmost(maps)
    return torch.cat([boxes, scores[..., None], labels[..., None].float()], -1)


CAMERA_TRAPS = {
    "camera-trap-toml": Contract(
        "Microsoft SPARROW",
        "a TOML beside [1, 100, 6]",
        topmost_rows,
        ("output0",),
        rows_of({"boxes": slice(0, 4), "scores": 4, "labels": 5}),
        None,
        THREE,
        Way(rounding="half-up", mapping="center", pillow=True),
        categories=MEGADETECTOR,
        beside={"megadetector_v6.toml": EXAMPLE_TOML},
        file="megadetector_v6.onnx",
    ),
    "camera-trap-engine": Contract(
        "Microsoft SPARROW",
        "the engine's folder around [1, N, 5 + C]",
        yolov5_answer,
        ("output",),
        lambda output: tiny.best(tiny.corners(output[0, :, :4]), output[0, :, 5:] * output[0, :, 4:5], 0.45),
        None,
        THREE_WITH_OBJECT,
        Way(rounding="half-up", mapping="center"),
        categories=MEGADETECTOR,
        beside={"manifest.toml": ENGINE_TOML, "labels.txt": "animal,0\nperson,1\nvehicle,2\n"},
        file="1/model.onnx",
        folder=True,
    ),
}


def custom_vision_answer(maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Corners as fractions [1, 100, 4], labels [1, 100] and scores [1, 100]."""
    boxes, scores, labels = nets.topmost(maps)
    return boxes / nets.SIZE, labels, scores


def custom_vision(what: str, way: Way, **metadata: str) -> Contract:
    """A folder as Custom Vision's `Export` makes it."""
    return Contract(
        "Azure Custom Vision",
        what,
        custom_vision_answer,
        ("detected_boxes", "detected_classes", "detected_scores"),
        lambda boxes, labels, scores: (boxes[0] * nets.SIZE, scores[0], labels[0]),
        None,
        way=way,
        metadata={f"Image.{key}": value for key, value in metadata.items()},
        beside={"labels.txt": "\n".join(CATEGORIES), "metadata_properties.json": "{}"},
        image="image_tensor",
        folder=True,
    )


BICUBIC = Way("stretch", interpolation="bicubic", pillow=True)
CUSTOM_VISION = {
    "custom-vision": custom_vision("a folder; its metadata say nothing of colours", BICUBIC),
    "custom-vision-rgb": custom_vision(
        "a folder; RGB from 0 to 1", BICUBIC, BitmapPixelFormat="Rgb8", NominalPixelRange="Normalized_0_1"
    ),
    "custom-vision-bgr": custom_vision(
        "a folder; BGR from 0 to 255",
        replace(BICUBIC, channels="bgr", scale=1.0),
        BitmapPixelFormat="Bgr8",
        NominalPixelRange="NominalRange_0_255",
    ),
}
