"""What an exported graph and its detector agree on."""

from pathlib import Path

import onnx
import pytest
import torch
from made_up_herd import dense_submission, herd
from made_up_subjects import detector, step
from onnx import numpy_helper
from torch import Tensor

from wildbench.compression.quantization._onnx_int8 import compare, export, measure
from wildbench.compression.recipes._chain import run
from wildbench.compression.recipes._recipes import parse_recipe
from wildbench.datasets.coco import Dataset
from wildbench.submissions.inspection import inspect_submission


def answer(*found: tuple[float, int, float]) -> dict[str, Tensor]:
    """Boxes of 10 x 10 from a left side, with labels and scores."""
    return {
        "boxes": torch.tensor([[left, 0.0, left + 10, 10.0] for left, _, _ in found]).view(-1, 4),
        "labels": torch.tensor([label for _, label, _ in found]),
        "scores": torch.tensor([score for _, _, score in found]),
    }


def test_boxes_are_found_by_label_and_place() -> None:
    first = answer((0, 1, 0.9), (20, 1, 0.8), (40, 2, 0.7), (60, 1, 0.6))
    second = answer((0.4, 1, 0.8), (22, 1, 0.8), (40, 1, 0.7), (60, 1, 0.3))  # IoU 0.92, 0.67, 1 of another label, 1
    found = compare([(first, second), (answer(), second), (first, answer())])
    assert (found.images, found.boxes, found.found) == (3, 8, 2)
    assert found.apart == pytest.approx((0.1 + 0.3) / 2)
    assert "2 of 8 boxes found again (same label, IoU 0.9), median difference of scores 0.2000" in str(found)
    assert compare([(first, answer())]).apart is None


def test_a_graph_with_other_weights_does_not_agree(tmp_path: Path, pictures: Dataset) -> None:
    dense = detector()
    dense.model.get_parameter("head.regression_head.bbox_reg.bias").data.fill_(2.0)  # boxes of random ones have no area
    subject = step(dense, "quantize", data=pictures, images=2)
    export(subject, tmp_path / "a.onnx", subject.manifest)
    graph = onnx.load_model(tmp_path / "a.onnx")
    right = measure(subject.model, graph.SerializeToString(), subject.images)
    assert right.images == 2
    assert right.found > 20, "among scores so alike as random ones, suppression keeps other boxes"
    for tensor in graph.graph.initializer:
        if tensor.name.endswith("bbox_reg.bias"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) / 2, tensor.name))
    assert measure(subject.model, graph.SerializeToString(), subject.images).found < right.found / 2


def test_the_manifest_tells_it(tmp_path: Path) -> None:
    recipe = parse_recipe({"summary": "int8", "steps": [{"method": "quantize", "images": 2}]})
    data = str(herd(tmp_path / "photos", images=2))
    made = run(recipe, dense_submission(tmp_path / "dense.pt"), tmp_path / "small.onnx", dataset=data)
    assert "; ONNX graph beside the detector on 2 calibration images: " in made.method
    assert inspect_submission(tmp_path / "small.onnx").manifest.method == made.method
