"""MACs of ONNX nodes against closed forms, and of exported networks against the same network in torch."""

import io

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn
from torchvision.models import detection, get_model

from wildbench.measures.compute._count import Count
from wildbench.measures.compute._onnx_counter import OnnxCounter
from wildbench.measures.compute._torch_counter import count_macs


def graph(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], shape: list[int | str]) -> onnx.ModelProto:
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def count(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], image: np.ndarray) -> Count:
    return OnnxCounter(graph(nodes, weights, ["a", "b", "c", "d"][: image.ndim])).count([image])


def zeros(*shape: int, dtype: type[np.generic] = np.float32) -> np.ndarray:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("groups", [1, 2, 8])
def test_convolutions_grouped_depthwise_and_strided(groups: int) -> None:
    node = helper.make_node("Conv", ["x", "w"], ["y"], group=groups, strides=[2, 2], pads=[1, 1, 1, 1])
    found = count([node], {"w": zeros(16, 8 // groups, 3, 3)}, zeros(1, 8, 11, 9))
    assert found.macs == 6 * 5 * 16 * (8 // groups) * 9


def test_a_transposed_convolution_places_its_kernel_at_input_positions() -> None:
    node = helper.make_node("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2])
    assert count([node], {"w": zeros(8, 12, 3, 3)}, zeros(1, 8, 5, 7)).macs == 5 * 7 * 8 * 12 * 9


@pytest.mark.parametrize(("across", "down"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_gemm_transposed_either_way(across: int, down: int) -> None:
    node = helper.make_node("Gemm", ["x", "w"], ["y"], transA=across, transB=down)
    x, w = zeros(3, 5) if across else zeros(5, 3), zeros(4, 3) if down else zeros(3, 4)
    assert count([node], {"w": w}, x).macs == 5 * 3 * 4


@pytest.mark.parametrize(
    ("x", "w", "macs"), [((2, 5, 3), (3, 4), 120), ((2, 5, 3), (2, 3, 4), 120), ((5, 3), (3,), 15)]
)
def test_matmul_broadcasts(x: tuple[int, ...], w: tuple[int, ...], macs: int) -> None:
    assert count([helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": zeros(*w)}, zeros(*x)).macs == macs


def test_quantized_nodes_count_as_what_they_replace() -> None:
    scale, zero = np.float32(1), np.uint8(0)
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("QLinearConv", ["q", "s", "z", "w", "s", "z", "s", "z"], ["c"]),
        helper.make_node("Reshape", ["c", "rows"], ["r"]),
        helper.make_node("QLinearMatMul", ["r", "s", "z", "m", "s", "z", "s", "z"], ["p"]),
        helper.make_node("MatMulInteger", ["p", "n"], ["i"]),
        helper.make_node("Cast", ["i"], ["y"], to=TensorProto.FLOAT),
    ]
    weights = {
        "s": np.array(scale),
        "z": np.array(zero),
        "rows": np.array([36, 4]),
        "w": zeros(4, 3, 3, 3, dtype=np.uint8),
    }
    weights |= {"m": zeros(4, 5, dtype=np.uint8), "n": zeros(5, 6, dtype=np.uint8)}
    found = count(nodes, weights, zeros(1, 3, 8, 8))
    assert sorted(found.by_module.values()) == sorted([36 * 4 * 27, 36 * 4 * 5, 36 * 5 * 6])
    assert found.uncounted == {"QuantizeLinear": 1}


def test_shapes_that_only_a_run_can_tell() -> None:
    nodes = [
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Cast", ["places"], ["a"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["w", "a"], ["y"]),
    ]
    counter = OnnxCounter(graph(nodes, {"w": zeros(7, 2)}, ["h", "w"]))
    for ones in (1, 3):
        image = zeros(2, 4)
        image.flat[:ones] = 1
        assert counter.count([image]).macs == 7 * 2 * ones


def test_products_in_the_branch_that_runs_are_counted() -> None:
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    once = [helper.make_node("MatMul", ["x", "x"], ["z"])]
    twice = [helper.make_node("MatMul", ["x", "x"], ["xx"]), helper.make_node("MatMul", ["xx", "x"], ["z"])]
    bodies = [helper.make_graph(nodes, "body", [], [value]) for nodes in (once, twice)]
    nodes = [helper.make_node("If", ["yes"], ["y"], then_branch=bodies[0], else_branch=bodies[1])]
    for yes, products in ((True, 1), (False, 2)):
        found = count(nodes, {"yes": np.array(yes)}, zeros(3, 3))
        assert (found.macs, found.fixed, found.unseen) == (27 * products, False, None)


def test_a_product_without_a_rule_in_a_body_leaves_the_count_unknown() -> None:
    value = helper.make_tensor_value_info("z", TensorProto.FLOAT, None)
    own = helper.make_node("Inverse", ["x"], ["z"], domain="com.microsoft")
    body = helper.make_graph([own], "body", [], [value])
    node = helper.make_node("If", ["yes"], ["y"], then_branch=body, else_branch=body)
    model = graph([node], {"yes": np.array(True)}, ["a", "b"])
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    found = OnnxCounter(model).count([np.eye(3, dtype=np.float32)])
    assert found.unseen == "nothing counts the operator com.microsoft::Inverse"


def exported(network: nn.Module, inputs: tuple[object, ...]) -> OnnxCounter:
    file = io.BytesIO()
    torch.onnx.export(network, inputs, file, dynamo=False)
    return OnnxCounter(onnx.load_from_string(file.getvalue()))


@pytest.mark.filterwarnings("ignore")
def test_an_exported_network_counts_as_in_torch() -> None:
    network, image = get_model("mobilenet_v3_small").eval(), torch.zeros(1, 3, 64, 64)
    expected = count_macs(lambda: network(image), network)
    found = exported(network, (image,)).count([image.numpy()])
    assert found.macs == expected.macs
    assert sorted(found.by_module.values()) == sorted(expected.by_module.values())


@pytest.mark.filterwarnings("ignore")
def test_an_exported_two_stage_detector_has_the_same_proposals_and_macs() -> None:
    torch.manual_seed(0)
    network = detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, min_size=64, max_size=96, rpn_score_thresh=0.0
    ).eval()
    image = torch.rand(3, 50, 70)
    expected = count_macs(lambda: network([image]), network)
    found = exported(network, ([image],)).count([image.numpy()])
    assert found.stages == expected.stages != []
    assert found.macs == expected.macs
