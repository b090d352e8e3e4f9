"""What PaddleDetection's export says beside the graph of paddle2onnx."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import admit
from wildbench.submissions.manifest import Manifest

CONFIG = """mode: paddle
arch: YOLO
Preprocess:
- {interp: 2, keep_ratio: false, target_size: [64, 96], type: Resize}
- {mean: [0.1, 0.2, 0.3], norm_type: mean_std, std: [0.5, 0.5, 0.5], type: NormalizeImage}
- {type: Permute}
label_list: [zebra, lion]
"""

ROWS = {"rows": [7, 6], "count": [1]}
CANDIDATES = {"boxes": [1, 20, 4], "scores": [1, 2, 20]}
LEVELS = {"s8": [1, 96, 2], "s16": [1, 24, 2], "d8": [1, 96, 32], "d16": [1, 24, 32]}


def read(folder: Path, outputs: dict[str, list[int]], config: str = CONFIG) -> Manifest:
    picture = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 64, 96])
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
    shapes = [helper.make_tensor(f"{name}_", TensorProto.INT64, [len(shape)], shape) for name, shape in outputs.items()]
    nodes = [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0)]
    nodes += [helper.make_node("Expand", ["mean", f"{name}_"], [name]) for name in outputs]
    graph = helper.make_graph(nodes, "network", [picture], ports, shapes)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "a.onnx")
    (folder / "infer_cfg.yml").write_text(config)
    admitted = admit(folder / "a.onnx")
    assert "infer_cfg.yml" in admitted.origin
    return admitted.manifest


def test_labels_and_preprocessing(tmp_path: Path) -> None:
    manifest = read(tmp_path, ROWS)
    assert manifest.categories == ["zebra", "lion"]
    contract = manifest.input
    assert (contract.resize, contract.size, contract.interpolation) == ("stretch", (64, 96), "bicubic")
    assert (contract.scale, contract.mean, contract.std) == ("0-1", (0.1, 0.2, 0.3), (0.5, 0.5, 0.5))


@pytest.mark.parametrize(
    ("old", "new", "scale", "mean"),
    [
        ("norm_type: mean_std", "norm_type: none", "0-1", None),
        ("norm_type: mean_std", "is_scale: false", "0-255", (0.1, 0.2, 0.3)),
    ],
)
def test_normalizing(tmp_path: Path, old: str, new: str, scale: str, mean: tuple[float, ...] | None) -> None:
    contract = read(tmp_path, ROWS, CONFIG.replace(old, new)).input
    assert (contract.scale, contract.mean) == (scale, mean)


def test_finished_rows_are_of_the_image(tmp_path: Path) -> None:
    output = read(tmp_path, ROWS).output.described(list(ROWS))
    assert output.labels is not None
    assert (output.labels.columns, output.labels.first, output.count) == ((0, 1), 0, 1)
    assert (output.boxes.columns, output.boxes.of, output.nms_iou) == ((2, 6), "image", None)


def test_candidates_are_suppressed(tmp_path: Path) -> None:
    output = read(tmp_path, CANDIDATES).output.described(list(CANDIDATES))
    assert (output.boxes.of, output.scores.candidates, output.nms_iou) == ("image", "columns", 0.7)


def test_levels_of_picodet(tmp_path: Path) -> None:
    more = "NMS: {nms_threshold: 0.5}\nfpn_stride: [8, 16]\n"
    output = read(tmp_path, LEVELS, CONFIG + more).output.described(list(LEVELS))
    assert (output.boxes.form, output.boxes.output, output.scores.output) == ("distribution", (2, 3), (0, 1))
    assert output.levels is not None
    assert (output.levels.strides, output.nms_iou) == ((8, 16), 0.5)


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ("a: [", "metadata"),
        ("mode: paddle", "no-manifest"),
        (CONFIG.replace("keep_ratio: false", "keep_ratio: true"), "no-manifest"),
        (CONFIG.replace("interp: 2", "interp: 9"), "no-manifest"),
    ],
)
def test_what_it_does_not_say_is_asked_for(tmp_path: Path, config: str, code: str) -> None:
    with pytest.raises(SubmissionError) as error:
        read(tmp_path, ROWS, config)
    assert error.value.code == f"submission/{code}"
