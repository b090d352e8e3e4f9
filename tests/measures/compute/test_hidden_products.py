"""Products that a file could hide from the counters: unknown, or counted; never zero."""

from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
import torch
from onnx import TensorProto, helper
from openvino import opset13
from small_networks import manifest, write_onnx
from tiny_graphs import image_parameter, write_ir

from wildbench.measures.compute import count_macs, count_ncnn, count_openvino
from wildbench.measures.compute._count import Count
from wildbench.submissions.admission import recognise
from wildbench.submissions.source import Source


def openvino_count(path: Path) -> Count:
    source, format = recognise(Source.read(path))
    backend = format.open(source, manifest(), "cpu", 1)
    (port,) = format.signature(source).inputs
    return Count.model_validate(count_openvino(backend, {port.name: np.ones((1, 3, 4, 5), np.float32)}))


def test_a_layer_cannot_borrow_another_ones_name(tmp_path: Path) -> None:
    image = image_parameter(1, 3, 4, 5)
    product = opset13.matmul(image, np.ones((5, 7), np.float32), transpose_a=False, transpose_b=False)
    path = write_ir(tmp_path / "a.xml", {"answer": opset13.relu(product)}, image)
    names = {layer.kind: layer.name for layer in recognise(Source.read(path))[0].parsed(_layers)}
    text = path.read_text()
    path.write_text(text.replace(f'name="{names["ReLU"]}" type="ReLU"', f'name="{names["MatMul"]}" type="ReLU"'))
    assert openvino_count(path).macs == 3 * 4 * 5 * 7


def _layers(source: Source) -> Any:
    from wildbench.submissions.graphs import parse_ir

    return parse_ir(source.data).main.layers.values()


def test_recurrent_layers_and_einsums_of_openvino(tmp_path: Path) -> None:
    image = image_parameter(1, 3, 4, 5)
    rows = opset13.reshape(image, np.array([3, 4, 5]), special_zero=False)
    weights = [np.ones(shape, np.float32) for shape in ((1, 24, 5), (1, 24, 6), (1, 24))]
    state = [np.zeros((3, 1, 6), np.float32)] * 2
    lengths = np.full(3, 4, np.int32)
    lstm = opset13.lstm_sequence(rows, *state, lengths, *weights, 6, "forward")
    einsum = opset13.einsum([rows, opset13.constant(np.ones((5, 2), np.float32))], "bij,jk->bik")
    path = write_ir(tmp_path / "a.xml", {"answer": opset13.relu(lstm.output(0)), "other": einsum}, image)
    count = openvino_count(path)
    assert count.unseen is None
    assert count.macs == 3 * 4 * 24 * (5 + 6) + 3 * 4 * 5 * 2


@pytest.mark.parametrize("product", [True, False])
def test_bodies_of_openvino(tmp_path: Path, product: bool) -> None:
    """Of a condition that the image decides."""
    node = helper.make_node("MatMul" if product else "Mul", ["image", "w"], ["z"])
    body = helper.make_graph([node], "body", [], [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)])
    nodes = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "none"], ["any"]),
        helper.make_node("If", ["any"], ["answer"], then_branch=body, else_branch=body),
    ]
    weights = {"none": np.array(0, np.float32), "w": np.ones((5, 5) if product else 5, np.float32)}
    twin = write_onnx(tmp_path / "b.onnx", nodes, {"answer": TensorProto.FLOAT}, weights)
    openvino.serialize(openvino.Core().read_model(twin), tmp_path / "a.xml")
    assert bool(openvino_count(tmp_path / "a.xml").unseen) is product


def test_a_convolution_of_ncnn_whose_weights_another_layer_gives(tmp_path: Path) -> None:
    """It says that it has one weight, and is given 27."""
    layers = [
        "Input in 0 1 in0 0=5 1=5 2=3",
        "MemoryData w 0 1 w 0=3 1=3 2=3 11=1",
        "Convolution c 2 1 in0 w out0 0=1 1=3 5=0 6=1 19=1",
    ]
    (tmp_path / "a.param").write_text("\n".join(["7767517", f"{len(layers)} 3", *layers]) + "\n")
    (tmp_path / "a.bin").write_bytes(np.ones(27, np.float32).tobytes())
    source, format = recognise(Source.read(tmp_path / "a.param"))
    backend = format.open(source, manifest(), "cpu", 1)
    count = Count.model_validate(count_ncnn(backend, {"in0": np.ones((3, 5, 5), np.float32)}))
    assert count.unseen


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (torch.nn.LSTM(4, 5), (3, 2, 4)),
        (lambda x: torch.fft.rfft2(x), (3, 4)),
        (lambda x: torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist"), (30, 4)),
        (torch.linalg.det, (4, 4)),
    ],
)
def test_operators_of_torch_without_a_rule(layer: Any, shape: tuple[int, ...]) -> None:
    count = count_macs(lambda: layer(torch.ones(shape)))
    assert count.unseen or count.macs


def test_what_resizes_and_norms_takes_no_mac_and_is_known() -> None:
    def forward() -> torch.Tensor:
        x = torch.nn.functional.interpolate(torch.ones(1, 3, 4, 4), scale_factor=2, mode="bilinear")
        return torch.linalg.vector_norm(torch.nn.functional.group_norm(x, 3)).log()

    count = count_macs(forward)
    assert (count.macs, count.unseen) == (0, None)
