"""Microsoft's camera-trap manifests, in both of the forms that are met: what is read, and what is then found."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_graphs import BY_CLASS, LABELS, NAMES, SCORES, XYWH, XYXY, graph, image, rows, yolov8
from refusals import refused

from wildbench.submissions.admission import Admitted, admit
from wildbench.submissions.process import open_submission

SCHEMA = """
schema_version = "1.0"
[model]
id = "herd"
name = "Herd"
license = "MIT"
[model.preprocessing]
type = "image_letterbox"
resize = [64, 64]
scale = 255.0
color_space = "RGB"
pad_value = 0
[model.postprocessing]
type = "yolo_nms"
iou_threshold = 0.45
max_detections = 300
[model.labels]
"0" = "zebra"
"1" = "lion"
"2" = "elephant"
"""
ENGINE = """
[model]
id = "herd"
file = "1/model.onnx"
[preprocessing]
method = "letterbox"
input_size = [64, 64]
channel_order = "bgr"
normalization = "unit"
interpolation = "{interpolation}"
[postprocessing]
method = "megadet_v5a"
iou_threshold = 0.5
[labels]
file = "labels.txt"
format = "name_index_csv"
"""
WITH_OBJECTNESS = rows(XYWH, [1, 1], BY_CLASS)


def found(admitted: Admitted) -> None:
    detections = open_submission(admitted).predict(image())
    best = np.argsort(-detections.scores)[:2]
    np.testing.assert_allclose(detections.boxes[best], XYXY, atol=1e-4)
    np.testing.assert_array_equal(detections.labels[best], LABELS + 1)


def engine(folder: Path, interpolation: str = "bilinear", labels: str = "zebra,0\nlion,1\nelephant,2\n") -> Admitted:
    (folder / "1").mkdir(exist_ok=True)
    graph(folder / "1" / "model.onnx", {"output": WITH_OBJECTNESS})
    (folder / "manifest.toml").write_text(ENGINE.format(interpolation=interpolation))
    (folder / "labels.txt").write_text(labels)
    return admit(folder)


@pytest.mark.parametrize("values", [yolov8(), WITH_OBJECTNESS, rows(XYXY, SCORES, LABELS)])
def test_schema_1_stands_beside_the_network(tmp_path: Path, values: np.ndarray) -> None:
    (tmp_path / "a.toml").write_text(SCHEMA)
    admitted = admit(graph(tmp_path / "a.onnx", {"output0": values}))
    found(admitted)
    manifest = admitted.manifest
    assert "a.toml" in admitted.origin
    assert (manifest.name, manifest.detector.name, manifest.licence) == ("Herd", "herd", "MIT")
    wanted: dict[str, Any] = {"resize": "letterbox", "position": "center", "pad": 0, "scale": "0-1", "channels": "rgb"}
    wanted |= {"rounding": "half-up", "mapping": "center", "antialias": "pillow", "size": (64, 64)}
    assert {key: getattr(manifest.input, key) for key in wanted} == wanted


def test_a_number_without_a_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SCHEMA.replace('"1" = "lion"\n', ""))
    manifest = admit(graph(tmp_path / "a.onnx", {"output0": rows(XYXY, SCORES, LABELS)})).manifest
    assert manifest.categories == ["zebra", "N/A", "elephant"]
    assert manifest.output.described(["output0"]).nms_iou is None  # finished: the graph tells


@pytest.mark.parametrize("labels", ["zebra,0\nlion,1\nelephant,2\n", "zebra\nlion\nelephant\n"])
def test_the_engines_form_lies_in_its_folder(tmp_path: Path, labels: str) -> None:
    admitted = engine(tmp_path, labels=labels)
    found(admitted)
    manifest = admitted.manifest
    assert manifest.categories == NAMES
    assert (manifest.input.channels, manifest.input.antialias) == ("bgr", "pillow")
    described = manifest.output.described(["output"])
    assert described.objectness is not None
    assert (described.boxes.form, described.nms_iou, described.multi_label) == ("cxcywh", 0.5, False)


@pytest.mark.parametrize(
    ("name", "interpolation", "antialias"),
    [
        ("cv2_bilinear", "bilinear", "none"),
        ("bicubic", "bicubic", "pillow"),
        ("lanczos", "lanczos", "pillow"),
        ("nearest", "nearest", "none"),
    ],
)
def test_the_engines_names_of_resizes(tmp_path: Path, name: str, interpolation: str, antialias: str) -> None:
    contract = engine(tmp_path, name).manifest.input
    assert (contract.interpolation, contract.antialias) == (interpolation, antialias)


def test_another_toml_is_none_of_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("[tool]\nname = 'x'\n")
    with refused("submission/no-manifest"):
        admit(graph(tmp_path / "a.onnx", {"output0": yolov8()}))


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("[64, 64]", '"wide"'),
        ("[64, 64]", "[64]"),
        ('"0" = "zebra"', '"99999999999" = "zebra"'),
        ('"0" = "zebra"', '"0" = [["zebra"]]'),
        ("pad_value = 0", "pad_value = -3"),
        ("iou_threshold = 0.45", 'iou_threshold = "much"'),
        ("max_detections = 300", "max_detections = inf"),
        ("max_detections = 300", "max_detections = []"),
        ('license = "MIT"', "license = [1]"),
        ("schema_version", "[schema"),
        ("schema_version", "x = " + "[" * 5000 + "\ny"),
    ],
)
def test_a_hostile_file_is_one_error(tmp_path: Path, text: str, instead: str) -> None:
    (tmp_path / "a.toml").write_text(SCHEMA.replace(text, instead))
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()})
    with pytest.raises(Exception) as caught:  # noqa: PT011 - its code is checked
        admit(path)
    assert getattr(caught.value, "code", repr(caught.value)) in ("submission/metadata", "submission/manifest")
