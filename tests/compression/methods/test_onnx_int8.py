"""A quantized detector as an ONNX graph of integers, beside the detector itself."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from made_up_herd import dense_submission, herd
from made_up_subjects import detector, step, subject_of
from onnx import numpy_helper
from refusals import refused
from torch import Tensor, nn

from wildbench.compression.chain import compress
from wildbench.compression.methods._onnx_int8 import compare, export, measure
from wildbench.compression.methods._quantization import Quantize, quantize
from wildbench.compression.recipes import parse_recipe
from wildbench.compression.subject import Subject, Workshop, prunable
from wildbench.datasets.coco import Dataset
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.process import open_submission


class Chain(nn.Module):
    """A detector whose scores are what three layers make of the image; the first two run in integers."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8), nn.ReLU(inplace=True))
        self.head = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.ReLU6(inplace=True), nn.ConvTranspose2d(8, 2, 2, 2))

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        scores = self.head(self.backbone(images[0][None])).flatten()
        return [{"boxes": scores[:, None] * torch.zeros(4), "labels": scores.long() * 0 + 1, "scores": scores}]


def graph_of(path: Path) -> onnx.GraphProto:
    return onnx.load_model(path).graph


def answers(path: Path, image: Tensor, *, fused: bool = True) -> list[np.ndarray]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if not fused:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return list(onnxruntime.InferenceSession(path, options).run(None, {"image": image.numpy()}))


def made_chain(pictures: Dataset, *, closed: bool = False, **settings: Any) -> Subject:
    torch.manual_seed(0)
    model = Chain()
    with torch.no_grad():
        model.backbone[1].running_var.fill_(0.1)
        model.backbone[1].bias.normal_()
        if closed:
            model.backbone[1].weight[:4] = 1e-12
            model.backbone[1].bias[:4] = 3.0
    subject = subject_of(model)
    quantize(subject, Quantize(images=3, **settings), Workshop(nn.Identity(), pictures))
    return subject


@pytest.fixture
def chain(pictures: Dataset) -> Subject:
    return made_chain(pictures)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("closed", [False, True], ids=["open", "closed"])
def test_a_short_chain_differs_by_ties_alone(tmp_path: Path, pictures: Dataset, fused: bool, closed: bool) -> None:
    """At most one step of the last grid, and at most in a hundredth of the values: a tie, or a sum of integers.

    So it is where a norm has closed channels and left their biases, which overflow where scales are as small as
    weights.
    """
    chain = made_chain(pictures, closed=closed)
    export(chain, tmp_path / "a.onnx", chain.manifest)
    image = torch.rand(3, 96, 128, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = chain.model([image])[0]["scores"].numpy()
    found = answers(tmp_path / "a.onnx", image, fused=fused)[2]
    grid = chain.activations["head.2"].output
    assert grid is not None
    apart = np.abs(found - expected)
    assert apart.max() <= grid.scale * 1.001
    assert (apart > grid.scale / 2).mean() < 0.01


def test_the_graph_holds_our_codes_scales_and_zero_points(tmp_path: Path, chain: Subject) -> None:
    export(chain, tmp_path / "a.onnx", chain.manifest)
    graph = graph_of(tmp_path / "a.onnx")
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for name, record in chain.records.items():
        assert stored[name].dtype == np.int8
        scale = stored[f"{name}:scale"]
        assert np.array_equal(scale, record["scale"].numpy())
        sides = [-1 if side == record["axis"] else 1 for side in range(stored[name].ndim)]
        assert np.array_equal(stored[name] * scale.reshape(sides), chain.model.get_parameter(name).detach().numpy())
    constants = {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in graph.node
                 if node.op_type == "Constant"} | stored  # fmt: skip
    found = {
        (float(constants[node.input[1]]), int(constants[node.input[2]]), constants[node.input[2]].dtype.name)
        for node in graph.node
        if node.op_type == "QuantizeLinear"
    }
    grids = [grid for one in chain.activations.values() for grid in (one.input, one.output) if grid is not None]
    assert found == {(grid.scale, grid.zero_point, "uint8") for grid in grids}
    assert not any(node.op_type == "BatchNormalization" for node in graph.node)


def test_onnx_runtime_runs_the_layers_in_integers(tmp_path: Path, chain: Subject) -> None:
    export(chain, tmp_path / "a.onnx", chain.manifest)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(tmp_path / "a.onnx", options)
    kinds = [node.op_type for node in graph_of(tmp_path / "optimized.onnx").node]
    assert kinds.count("QLinearConv") == 2
    assert "Conv" not in kinds


def test_a_detector_is_a_submission(tmp_path: Path, pictures: Dataset) -> None:
    subject = step(detector(), "quantize", data=pictures, images=2)
    path = tmp_path / "int8.onnx"
    written = export(subject, path, subject.manifest)
    assert (written.activation_bits, written.input.layout) == (8, "chw")
    inspection = inspect_submission(path)
    assert inspection.manifest == written.resolved("", layout="chw")
    assert inspection.tensors
    bits = {tensor.name: tensor.bits for tensor in inspection.tensors}
    assert {bits[f"{name}.weight"] for name in prunable(subject.model, "all")} == {8}
    pixels = np.random.default_rng(0).integers(0, 256, (80, 120, 3), np.uint8)
    found = open_submission(path).predict(pixels)
    with torch.no_grad():
        expected = subject.model([torch.from_numpy(pixels).permute(2, 0, 1).float() / 255])[0]
    assert len(found.scores) + found.dropped == len(expected["scores"]), "an untrained network has boxes without area"
    assert np.abs(found.scores[:, None] - expected["scores"].numpy()).min(1).max() < 0.02


def test_what_is_kept_float_is_said(tmp_path: Path, pictures: Dataset) -> None:
    subject = made_chain(pictures, keep="head")
    assert export(subject, tmp_path / "a.onnx", subject.manifest).activation_bits == 32


def test_other_widths_are_refused(tmp_path: Path, pictures: Dataset) -> None:
    for settings in ({"activations": 4}, {"activations": None}):
        subject = made_chain(pictures, **settings)
        with refused("recipe/not-8-bit", "a.onnx"):
            export(subject, tmp_path / "a.onnx", subject.manifest)
    assert not (tmp_path / "a.onnx").exists()


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
    assert (found.images, found.boxes, found.matched) == (3, 8, 2)
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
    assert right.matched > 20, "among scores so alike as random ones, suppression keeps other boxes"
    for tensor in graph.graph.initializer:
        if tensor.name.endswith("bbox_reg.bias"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) / 2, tensor.name))
    assert measure(subject.model, graph.SerializeToString(), subject.images).matched < right.matched / 2


def test_the_manifest_tells_it(tmp_path: Path) -> None:
    recipe = parse_recipe({"summary": "int8", "steps": [{"method": "quantize", "images": 2}]})
    data = str(herd(tmp_path / "photos", images=2))
    made = compress(recipe, dense_submission(tmp_path / "dense.pt"), tmp_path / "small.onnx", dataset=data)
    assert "; ONNX graph beside the detector on 2 calibration images: " in made.method
    assert inspect_submission(tmp_path / "small.onnx").manifest.method == made.method
