"""Microsoft's camera-trap manifests, in both of the forms that are met."""

from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import Admitted, admit

EXAMPLE = """schema_version = "1.0"
[model]
id = "megadetector-v6"
name = "MegaDetector v6"
license = "MIT"
file = "network.onnx"
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
"0" = "animal"
"2" = "vehicle"
"""

ENGINE = """[model]
id = "MDV5a"
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


def write_network(path: Path, columns: int) -> None:
    path.parent.mkdir(exist_ok=True)
    picture = helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, 64, 64])
    answer = helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 20, columns])
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [1, 20, columns])
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0),
        helper.make_node("Expand", ["mean", "shape"], ["output0"]),
    ]
    graph = helper.make_graph(nodes, "network", [picture], [answer], [shape])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


def engine(folder: Path, interpolation: str = "bilinear") -> Admitted:
    write_network(folder / "1" / "model.onnx", 7)
    (folder / "manifest.toml").write_text(ENGINE.format(interpolation=interpolation))
    (folder / "labels.txt").write_text("animal,0\nperson,1\n")
    return admit(folder)


def test_the_examples_form_stands_beside_the_network(tmp_path: Path) -> None:
    write_network(tmp_path / "network.onnx", 6)
    (tmp_path / "network.toml").write_text(EXAMPLE)
    admitted = admit(tmp_path / "network.onnx")
    manifest = admitted.manifest
    assert "network.toml" in admitted.origin
    assert (manifest.name, manifest.licence) == ("MegaDetector v6", "MIT")
    assert manifest.categories == ["animal", "N/A", "vehicle"]
    wanted: dict[str, Any] = {"resize": "letterbox", "position": "center", "pad": 0, "scale": "0-1", "channels": "rgb"}
    wanted |= {"rounding": "half-up", "mapping": "center", "antialias": "pillow", "size": (64, 64)}
    assert {key: getattr(manifest.input, key) for key in wanted} == wanted
    described = manifest.output.described(["output0"])
    assert described.boxes.columns == (0, 4)
    assert described.labels is not None  # finished: the graph tells
    assert described.nms_iou is None


def test_the_engines_form_lies_in_its_folder(tmp_path: Path) -> None:
    manifest = engine(tmp_path).manifest
    assert manifest.categories == ["animal", "person"]
    assert (manifest.input.channels, manifest.input.antialias) == ("bgr", "pillow")
    described = manifest.output.described(["output0"])
    assert described.boxes.form == "cxcywh"
    assert described.objectness is not None
    assert (described.nms_iou, described.multi_label) == (0.5, False)


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


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    write_network(tmp_path / "network.onnx", 6)
    (tmp_path / "network.toml").write_text("[model")
    with pytest.raises(SubmissionError) as error:
        admit(tmp_path / "network.onnx")
    assert error.value.code == "submission/metadata"
