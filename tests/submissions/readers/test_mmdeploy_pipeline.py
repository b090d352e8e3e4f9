"""What MMDeploy's `pipeline.json` says beside a network."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.submissions import made_up_graphs as made
from wildbench.errors import SubmissionError
from wildbench.submissions.admission import admit
from wildbench.submissions.manifest import Manifest

OUTPUTS = {"dets": made.rows(made.XYXY, made.SCORES), "labels": made.LABELS[None]}
MEANS = {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
LOAD, COLLECT = {"type": "LoadImageFromFile"}, {"type": "Collect", "keys": ["img"]}
NORMALIZE = {"type": "Normalize", "to_rgb": True, **MEANS}


def read(folder: Path, steps: list[dict[str, Any]], module: str = "mmdet", **graph: Any) -> Manifest:
    made.graph(folder / "end2end.onnx", OUTPUTS, **graph)
    tasks = [
        {"module": "Transform", "transforms": [LOAD, *steps, COLLECT]},
        {"module": "Net", "name": "rtmdet"},
        {"module": module},
    ]
    (folder / "pipeline.json").write_text(json.dumps({"pipeline": {"tasks": tasks}}))
    (folder / "labels.txt").write_text("\n".join(made.NAMES))
    return admit(folder).manifest


def test_a_letterbox_is_padded_in_grey_before_the_normalisation(tmp_path: Path) -> None:
    steps = [
        {"type": "Resize", "keep_ratio": True, "size": [64, 64]},
        {"type": "Pad", "size": [64, 64], "pad_val": {"img": [114, 114, 114]}},
        NORMALIZE | {"to_rgb": False},
        {"type": "Pad", "size_divisor": 1},
    ]
    contract = read(tmp_path, steps).input
    assert (contract.resize, contract.shortest_edge, contract.longest_edge) == ("shortest_edge", 64, 64)
    assert (contract.canvas, contract.pad, contract.rounding) == ((64, 64), 114, "half-up")
    assert (contract.channels, contract.mean, contract.std) == ("bgr", (1, 2, 3), (4, 5, 6))


def test_width_comes_before_height(tmp_path: Path) -> None:
    steps = [{"type": "Resize", "size": [96, 64], "interpolation": "bicubic"}, NORMALIZE]
    manifest = read(tmp_path, steps, shape=(1, 3, 64, 96))
    contract = manifest.input
    assert (contract.resize, contract.size, contract.interpolation) == ("stretch", (64, 96), "bicubic")
    assert (contract.channels, contract.scale, manifest.detector.name) == ("rgb", "0-255", "MMDetection rtmdet")


def test_edges_and_a_padding_of_noughts_after_the_normalisation(tmp_path: Path) -> None:
    steps = [
        {"type": "Resize", "keep_ratio": True, "size": [1333, 800]},
        NORMALIZE,
        {"type": "Pad", "size_divisor": 32},
    ]
    nested = [{"type": "MultiScaleFlipAug", "transforms": steps}]
    contract = read(tmp_path, nested, shape=(1, 3, "height", "width")).input
    assert (contract.shortest_edge, contract.longest_edge) == (800, 1333)
    assert (contract.multiple, contract.pad) == (32, "mean")


def test_no_padding_at_all(tmp_path: Path) -> None:
    steps = [{"type": "Resize", "keep_ratio": True, "size": 64}]
    assert read(tmp_path, steps, shape=(1, 3, "height", "width")).input.multiple == 1


@pytest.mark.parametrize(
    ("steps", "module"),
    [
        ([{"type": "LetterResize", "scale": [64, 64]}], "mmdet"),
        ([{"type": "Resize", "size": 64}, {"type": "Pad", "pad_to_square": True}], "mmdet"),
        ([{"type": "Resize", "size": 64}], "mmseg"),
    ],
)
def test_what_is_not_known_is_asked_for(tmp_path: Path, steps: list[dict[str, Any]], module: str) -> None:
    with pytest.raises(SubmissionError) as error:
        read(tmp_path, steps, module)
    assert error.value.code == "submission/no-manifest"


def test_another_tools_pipeline_is_none_of_it(tmp_path: Path) -> None:
    made.graph(tmp_path / "a.onnx", {"output0": made.yolov8()}, metadata=made.ULTRALYTICS)
    (tmp_path / "pipeline.json").write_text("[1, 2")
    assert admit(tmp_path / "a.onnx").manifest.categories == made.NAMES


def test_boxes_go_through(tmp_path: Path) -> None:
    output = read(tmp_path, [{"type": "Resize", "size": 64}]).output.described(list(OUTPUTS))
    assert output.boxes.output == "dets"
    assert np.array_equal(OUTPUTS["dets"][0, :, 4], made.SCORES)
