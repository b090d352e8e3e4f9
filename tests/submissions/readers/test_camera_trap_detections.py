"""Microsoft's camera-trap manifests, in both forms."""

from pathlib import Path

import numpy as np
import pytest
from made_up_graphs import BY_CLASS, LABELS, NAMES, SCORES, XYWH, XYXY, graph, image, rows, yolov8
from refusals import refused

from wildbench.submissions.admission import admit
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
pad_value = 114
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
[preprocessing]
method = "letterbox"
input_size = [64, 64]
channel_order = "rgb"
normalization = "unit"
[postprocessing]
method = "megadet_v5a"
iou_threshold = 0.45
[labels]
file = "labels.txt"
format = "name_index_csv"
"""


def found(path: Path) -> None:
    admitted = admit(path)
    assert admitted.manifest.categories == NAMES
    detections = open_submission(admitted).predict(image())
    best = np.argsort(-detections.scores)[:2]
    np.testing.assert_allclose(detections.boxes[best], XYXY, atol=1e-4)
    np.testing.assert_array_equal(detections.labels[best], LABELS + 1)


def test_schema_1(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(SCHEMA)
    for values in (yolov8(), rows(XYWH, [1, 1], BY_CLASS), rows(XYXY, SCORES, LABELS)):
        found(graph(tmp_path / "a.onnx", {"output0": values}))
    manifest = admit(tmp_path / "a.onnx").manifest
    assert (manifest.name, manifest.detector.name, manifest.licence) == ("Herd", "herd", "MIT")


def test_the_engines_own_form_and_its_file_of_labels(tmp_path: Path) -> None:
    (tmp_path / "manifest.toml").write_text(ENGINE)
    (tmp_path / "labels.txt").write_text("zebra,0\nlion,1\nelephant,2\n")
    path = graph(tmp_path / "model.onnx", {"output": rows(XYWH, [1, 1], BY_CLASS)})
    found(path)
    found(tmp_path)
    (tmp_path / "labels.txt").write_text("zebra\nlion\nelephant\n")
    found(path)


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
        ("pad_value = 114", "pad_value = -3"),
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
