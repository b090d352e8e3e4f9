"""Which stored tensor an ONNX node multiplies with, and what its bits and zeros then give."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from wildbench.measures.compute._compute import bit_operations, nonzero_macs, operand_bits
from wildbench.measures.compute._count import NO_NAME, Count, operands_of
from wildbench.measures.compute._onnx_counter import OnnxCounter
from wildbench.measures.compute._torch_counter import count_macs
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.manifest import Manifest

IMAGE = np.zeros((1, 2, 6, 6), np.float32)
ROWS = np.zeros((5, 4), np.float32)
HALF_EMPTY = (np.arange(3 * 2 * 9).reshape(3, 2, 3, 3) % 2).astype(np.int8)


def model(nodes: Sequence[onnx.NodeProto], weights: dict[str, Any], shape: tuple[int, ...]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def by_weight(nodes: Sequence[onnx.NodeProto], weights: dict[str, Any], image: np.ndarray = ROWS) -> dict[str, int]:
    return OnnxCounter(model(nodes, weights, image.shape)).count([image]).by_weight


def dequantized(zero_point: int | None) -> tuple[list[onnx.NodeProto], dict[str, Any]]:
    """A convolution whose weight is stored as int8."""
    inputs = ["q", "scale", *([] if zero_point is None else ["zero"])]
    nodes = [helper.make_node("DequantizeLinear", inputs, ["w"]), helper.make_node("Conv", ["x", "w"], ["y"])]
    zero = {} if zero_point is None else {"zero": np.int8(zero_point)}
    return nodes, {"q": HALF_EMPTY, "scale": np.float32(0.1), **zero}


@pytest.mark.parametrize("zero_point", [None, 0, 3])
def test_a_quantized_weight_is_the_stored_one(zero_point: int | None) -> None:
    assert by_weight(*dequantized(zero_point), IMAGE) == {"q": 16 * 54}


def test_where_the_code_of_zero_is_calculated_a_weight_is_unnamed() -> None:
    nodes, weights = dequantized(3)
    nodes[0].input[2] = "double"
    assert by_weight([helper.make_node("Add", ["zero", "zero"], ["double"]), *nodes], weights, IMAGE) == {
        NO_NAME: 16 * 54
    }


def test_a_zero_point_may_be_a_constant_node() -> None:
    nodes, weights = dequantized(0)
    zero = helper.make_node("Constant", [], ["zero"], value=numpy_helper.from_array(weights.pop("zero")))
    assert by_weight([zero, *nodes], weights, IMAGE) == {"q": 16 * 54}


def test_a_weight_is_found_through_whatever_rearranges_it() -> None:
    nodes = [
        helper.make_node("Constant", [], ["stored"], value=numpy_helper.from_array(np.zeros((3, 4), np.float16))),
        helper.make_node("Cast", ["stored"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["wide"], ["w"]),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    assert by_weight(nodes, {}) == {"stored": 5 * 4 * 3}


def test_a_weight_may_be_the_left_factor() -> None:
    nodes = [helper.make_node("MatMul", ["w", "x"], ["y"])]
    assert by_weight(nodes, {"w": np.zeros((2, 5), np.float32)}) == {"w": 2 * 5 * 4}


def test_a_product_of_two_activations_has_no_weight() -> None:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"]),
        helper.make_node("MatMul", ["x", "t"], ["y"]),
    ]
    assert by_weight(nodes, {}) == {}


def test_a_weight_that_is_calculated_is_unnamed() -> None:
    nodes = [helper.make_node("Mul", ["w", "two"], ["made"]), helper.make_node("Conv", ["x", "made"], ["y"])]
    weights = {"w": np.zeros((3, 2, 3, 3), np.float32), "two": np.float32(2)}
    assert by_weight(nodes, weights, IMAGE) == {NO_NAME: 16 * 54}


def rounded(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """The same with the image rounded to 8 bits."""
    grid = ["image_scale", "image_zero"]
    nodes[-1].input[0] = "rounded"
    return [
        helper.make_node("QuantizeLinear", ["x", *grid], ["codes"]),
        helper.make_node("DequantizeLinear", ["codes", *grid], ["rounded"]),
        *nodes,
    ]


GRID = {"image_scale": np.float32(0.1), "image_zero": np.uint8(7)}


@pytest.mark.parametrize(
    ("pair", "zero_point", "nonzero"),
    [("8x8", 0, 27), ("8x8", 1, 27), ("8x8", 3, 54), ("8x32", 1, 27), ("32x32", 0, 27)],
)
def test_a_graph_has_figures_by_its_stored_bits_and_zeros(
    tmp_path: Path, pair: str, zero_point: int, nonzero: int
) -> None:
    nodes, weights = dequantized(zero_point)
    if pair == "32x32":
        nodes, weights = [helper.make_node("Conv", ["x", "q"], ["y"])], {"q": HALF_EMPTY.astype(np.float32)}
    if pair == "8x8":
        nodes, weights = rounded(nodes), weights | GRID
    path = tmp_path / "a.onnx"
    onnx.save_model(model(nodes, weights, IMAGE.shape), path)
    manifest = {
        "name": "a",
        "detector": {"name": "a"},
        "categories": ["lion"],
        "activation_bits": 4,  # which is not so
        "input": {"layout": "nchw"},
    }
    path.with_suffix(".manifest.json").write_text(Manifest.model_validate(manifest).to_json())
    operands = operands_of(inspect_submission(path))
    count = OnnxCounter(onnx.load_model(path)).count([IMAGE])
    assert nonzero_macs(count, operands) == 16 * nonzero
    assert bit_operations(count, operands) == 16 * 54 * int(pair.split("x")[0]) * int(pair.split("x")[1])
    assert operand_bits([count], operands) == {pair: 1}
    assert operands.caution is None


@pytest.mark.filterwarnings("ignore")
def test_an_exported_network_meets_the_weights_that_it_meets_in_torch(tmp_path: Path) -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.head = nn.Conv2d(2, 3, 3), nn.Linear(3, 5)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            rows = self.stem(image).flatten(2).transpose(1, 2)
            found: torch.Tensor = self.head((rows @ rows.transpose(1, 2)) @ rows)
            return found

    network, image = Network().eval(), torch.zeros(1, 2, 6, 6)
    torch.onnx.export(network, (image,), tmp_path / "a.onnx", dynamo=False)
    in_torch = count_macs(lambda: network(image), network)
    in_onnx: Count = OnnxCounter(onnx.load_model(tmp_path / "a.onnx")).count([IMAGE])
    assert in_onnx.macs == in_torch.macs
    assert sorted(in_onnx.by_weight.values()) == sorted(in_torch.by_weight.values())
