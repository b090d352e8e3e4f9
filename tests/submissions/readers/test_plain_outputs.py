"""Graphs whose outputs are a known contract, and files of labels: a sidecar of categories and a resize is enough."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from made_up_graphs import BY_CLASS, LABELS, NAMES, SCORES, XYWH, XYXY, graph, image, rows, yolov8
from onnx import numpy_helper
from refusals import refused

from wildbench.submissions.admission import admit
from wildbench.submissions.manifest import manifest_path
from wildbench.submissions.process import open_submission

INPUT = {"resize": "letterbox", "position": "center"}
LOGITS = np.log(BY_CLASS.clip(1e-6) / (1 - BY_CLASS.clip(1e-6))).astype(np.float32)
FLOATS = LABELS.astype(np.float32)[None]
YXYX = XYXY[None][..., [1, 0, 3, 2]] / 64
COUNT = np.array([2], np.float32)
PARTS = {"boxes": XYXY, "labels": LABELS + 1, "scores": SCORES}
EFFICIENT = ("num_dets", "det_boxes", "det_scores", "det_classes")
NAS = ("num_predictions", "pred_boxes", "pred_scores", "pred_classes")
TENSORFLOW = ("num_detections", "detection_boxes", "detection_scores", "detection_classes")
FINISHED = (np.array([[2]], np.int32), XYXY[None], SCORES[None], LABELS[None].astype(np.int32))
LITE = "TFLite_Detection_PostProcess"
IMAGE = np.zeros((2, 1))
SCALE = {"scale_factor": (1, 2)}

CASES: dict[str, tuple[dict[str, np.ndarray], dict[str, Any]]] = {
    "torchvision": (PARTS, {}),
    "efficient-nms": (dict(zip(EFFICIENT, FINISHED, strict=True)), {}),
    "yolo-nas-batch": (dict(zip(NAS, FINISHED, strict=True)), {}),
    "tensorflow": (dict(zip(TENSORFLOW, (COUNT, YXYX, SCORES[None], FLOATS + 1), strict=True)), {}),
    "tflite": ({LITE: YXYX, f"{LITE}:1": FLOATS, f"{LITE}:2": SCORES[None], f"{LITE}:3": COUNT}, {}),
    "detection-output": ({"detection_out": rows(IMAGE, LABELS + 1, SCORES, XYXY / 64)[None]}, {}),
    "mmdeploy": ({"dets": rows(XYXY, SCORES), "labels": LABELS[None]}, {}),
    "rf-detr": ({"dets": XYWH[None] / 64, "labels": LOGITS[None]}, {}),
    "rt-detr": (
        {"labels": LABELS[None], "boxes": XYXY[None], "scores": SCORES[None]},
        {"inputs": {"orig_target_sizes": (1, 2)}},
    ),
    "six-columns": ({"output0": rows(XYXY, SCORES, LABELS)}, {}),
    "yolov7": ({"output": rows(IMAGE, XYXY, LABELS, SCORES)[0]}, {}),
    "yolo-nas-flat": ({"graph2_flat_predictions": rows(IMAGE, XYXY, SCORES, LABELS)[0]}, {}),
    "paddle": (
        {"nms_0": rows(LABELS, SCORES, XYXY)[0], "nms_2": np.array([2], np.int32)},
        {"inputs": SCALE, "second": 1},
    ),
    "paddle-raw": (
        {"tmp_16": XYXY[None], "concat": np.ascontiguousarray(BY_CLASS.T)[None]},
        {"inputs": SCALE, "second": 1},
    ),
    "boxes-and-scores": ({"boxes": XYXY[None], "scores": BY_CLASS[None]}, {}),
    "yolo-nas": ({"graph2_pred_boxes": XYXY[None], "graph2_pred_scores": BY_CLASS[None]}, {}),
    "yolov8": ({"output0": yolov8()}, {}),
    "transformers": ({"logits": LOGITS[None], "pred_boxes": XYWH[None] / 64}, {}),
}


def sidecar(path: Path, **parts: Any) -> Path:
    manifest_path(path).write_text(json.dumps(parts))
    return path


@pytest.mark.parametrize("name", CASES)
def test_categories_and_a_resize_are_enough(tmp_path: Path, name: str) -> None:
    outputs, options = CASES[name]
    path = graph(tmp_path / "a.onnx", {key: np.asarray(one, _type(one)) for key, one in outputs.items()}, **options)
    admitted = admit(sidecar(path, categories=NAMES, input=INPUT))
    assert admitted.manifest.name == "a"
    assert "completed by outputs from the graph" in admitted.origin
    assert not admitted.notes
    detections = open_submission(admitted).predict(image())
    best = np.argsort(-detections.scores)[:2]
    np.testing.assert_allclose(detections.boxes[best], XYXY, atol=1e-4)
    np.testing.assert_array_equal(detections.labels[best], LABELS + 1)
    np.testing.assert_allclose(detections.scores[best], SCORES, rtol=1e-5)
    whole = admitted.manifest.model_dump(mode="json")
    assert not admit(sidecar(path, **whole)).notes, "it does not contradict itself"


def _type(values: np.ndarray) -> Any:
    return np.float32 if values.dtype == np.float64 else values.dtype


@pytest.mark.parametrize(
    "outputs",
    [
        {"output": rows(XYWH, SCORES, BY_CLASS)},  # YOLOv5's, or the raw cells of YOLOX
        {"output0": rows(XYWH, BY_CLASS)},
        {"output0": np.zeros((1, 7, 7), np.float32)},
        {"boxes": XYXY[None], "scores": np.zeros((1, 2, 4), np.float32)},  # with a background, first or last
        {"pred": XYXY[None], "conf": BY_CLASS[None]},
        {"rows": rows(IMAGE, XYXY, LABELS, SCORES)[0]},
        {"dets": XYXY[None], "classes": LABELS[None]},
    ],
)
def test_what_can_be_read_in_two_ways_is_not_guessed(tmp_path: Path, outputs: dict[str, np.ndarray]) -> None:
    path = graph(tmp_path / "a.onnx", outputs)
    with refused("submission/no-manifest", *outputs):
        admit(sidecar(path, categories=NAMES, input=INPUT))


def test_a_background_among_the_names_is_another_reading(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", {"boxes": XYXY[None], "scores": BY_CLASS[None]})
    with refused("submission/no-manifest"):
        admit(sidecar(path, categories=["BACKGROUND", "zebra", "lion"], input=INPUT))


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", {"output0": rows(XYXY, SCORES, LABELS)})
    with refused("submission/no-manifest", "categories", "input"):
        admit(path)
    with refused("submission/no-manifest", "input"):
        admit(sidecar(path, categories=NAMES))
    with refused("submission/manifest", "categories"):
        admit(sidecar(path, input=INPUT))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.txt", "zebra\nlion\nelephant\n"),
        ("a.names", "zebra\nlion\nelephant"),
        ("labels.txt", "0 zebra\n1 lion\n2 elephant\n"),
        ("labelmap.txt", "zebra,0\nlion,1\nelephant,2\n"),
        ("classes.txt", '"zebra"\r\n"lion"\r\n"elephant"\r\n'),
        ("obj.names", "0: zebra\n1: lion\n2: elephant"),
        ("data.yaml", "train: images\nnc: 3\nnames: [zebra, lion, elephant]\n"),
        ("dataset.yaml", "names:\n  0: zebra\n  1: lion\n  2: elephant\n"),
        ("label_map.pbtxt", "".join(f"item {{\n  id: {at}\n  name: '{one}'\n}}\n" for at, one in enumerate(NAMES, 1))),
    ],
)
def test_names_stand_in_a_file_of_labels(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    path = sidecar(graph(tmp_path / "a.onnx", {"output0": yolov8()}), input=INPUT)
    admitted = admit(path)
    assert admitted.manifest.categories == NAMES
    assert name in admitted.origin


def test_an_empty_file_of_labels_names_nothing(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n\n")
    path = sidecar(graph(tmp_path / "a.onnx", {"output0": yolov8()}), input=INPUT)
    with refused("submission/manifest", "categories"):
        admit(path)


def test_a_tool_that_has_one_way_only_needs_nothing_but_names(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    inputs: dict[str, dict[str, Any]] = {
        "rf-detr": {"resize": "stretch", "std": (0.229, 0.224, 0.225)},
        "rt-detr": {"resize": "stretch", "antialias": "pillow", "scale": "0-1", "mean": None},
        "tflite": {"resize": "stretch", "scale": "0-255", "std": (127.5, 127.5, 127.5)},
        "yolov8": {"resize": "letterbox", "position": "center", "scale": "0-1"},
    }
    for name, contract in inputs.items():
        outputs, options = CASES[name]
        path = graph(tmp_path / "a.onnx", {key: np.asarray(one, _type(one)) for key, one in outputs.items()}, **options)
        admitted = admit(path)
        assert "and so input" in admitted.origin
        assert {key: getattr(admitted.manifest.input, key) for key in contract} == contract


@pytest.mark.parametrize(
    "names", [json.dumps(dict(enumerate(NAMES))), str(NAMES), "zebra,lion, elephant", json.dumps(NAMES)]
)
@pytest.mark.parametrize("key", ["names", "classes", "id2label"])
def test_names_stand_in_the_metadata(tmp_path: Path, key: str, names: str) -> None:
    path = graph(tmp_path / "a.onnx", PARTS, shape=(3, "height", "width"), metadata={key: names})
    manifest = admit(path).manifest
    assert manifest.categories == NAMES
    assert manifest.input.resize == "none"


def test_a_number_of_classes_is_no_name(tmp_path: Path) -> None:
    with refused("submission/no-manifest", "categories"):
        admit(graph(tmp_path / "a.onnx", PARTS, shape=(3, "height", "width"), metadata={"classes": "3"}))


def test_labels_count_from_0_where_the_names_begin_with_the_background(tmp_path: Path) -> None:
    names = json.dumps(["__background__", *NAMES])
    path = graph(tmp_path / "a.onnx", PARTS, shape=(3, "height", "width"), metadata={"names": names})
    opened = open_submission(path)
    labels = opened.predict(image()).labels
    assert [opened.manifest.categories[label - 1] for label in labels] == ["zebra", "elephant"]


def test_91_columns_of_rf_detr_are_coco(tmp_path: Path) -> None:
    outputs = {"dets": np.zeros((1, 5, 4), np.float32), "labels": np.zeros((1, 5, 91), np.float32)}
    names = admit(graph(tmp_path / "a.onnx", outputs)).manifest.categories
    assert [names[number] for number in (0, 1, 24, 90)] == ["N/A", "person", "zebra", "toothbrush"]


def test_torchvisions_tensors_tell_its_categories_and_its_outputs(tmp_path: Path) -> None:
    path = graph(tmp_path / "a.onnx", dict(zip("123", PARTS.values(), strict=True)), shape=(3, "height", "width"))
    with refused("submission/no-manifest"):
        admit(path)
    model = onnx.load(path)
    weights = np.zeros((91, 4), np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "m.roi_heads.box_predictor.cls_score.weight"))
    onnx.save(model, path)
    opened = open_submission(path)
    assert opened.manifest.categories[23] == "zebra"
    np.testing.assert_array_equal(opened.predict(image()).labels, LABELS + 1)
