"""MACs of OpenVINO and LiteRT graphs: by closed forms, and the same as for the ONNX graph of the same network."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper
from openvino import opset13
from small_networks import manifest
from tiny_graphs import Lite, convolution, image_parameter, write_ir

from wildbench.measures.compute import count_litert, count_onnx, count_openvino
from wildbench.measures.compute._count import Count
from wildbench.plugins import formats
from wildbench.submissions.admission import recognise
from wildbench.submissions.source import Source

COUNTERS: dict[str, Any] = {"onnx": count_onnx, "openvino": count_openvino, "litert": count_litert}


def counted(path: Path, *shape: int) -> Count:
    source, format = recognise(Source.read(path))
    backend = format.open(source, manifest(), "cpu", 1)
    (port,) = format.signature(source).inputs
    return Count.model_validate(COUNTERS[format.name](backend, {port.name: np.zeros(shape, np.float32)}))


def network(path: Path) -> Path:
    """A convolution, one of two groups, a transposed one, and products with a weight and with an activation."""
    shapes = {"a.weight": (4, 3, 3, 3), "b.weight": (6, 2, 1, 1), "c.weight": (6, 5, 2, 2), "d.weight": (6, 7)}
    weights = [numpy_helper.from_array(np.ones(shape, np.float32), name) for name, shape in shapes.items()]
    nodes = [
        helper.make_node("Conv", ["image", "a.weight"], ["a"], name="first", strides=[2, 2]),
        helper.make_node("Conv", ["a", "b.weight"], ["b"], group=2),
        helper.make_node("ConvTranspose", ["b", "c.weight"], ["c"]),
        helper.make_node("MatMul", ["c", "d.weight"], ["d"]),
        helper.make_node("Transpose", ["d"], ["e"], perm=[0, 1, 3, 2]),
        helper.make_node("MatMul", ["e", "d"], ["answer"]),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "twin", [image], [answer], weights)
    onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)
    return path


def test_openvino_counts_what_its_onnx_twin_does(tmp_path: Path) -> None:
    """12 x 11 pixels: the first has 5 x 5 positions, the transposed one gives 6 x 6."""
    twin = network(tmp_path / "a.onnx")
    openvino.serialize(openvino.Core().read_model(twin), tmp_path / "b.xml")
    mine, theirs = counted(tmp_path / "b.xml", 1, 3, 12, 11), counted(twin, 1, 3, 12, 11)
    assert theirs.by_weight == {
        "a.weight": 25 * 4 * 27,
        "b.weight": 25 * 6 * 2,
        "c.weight": 25 * 6 * 5 * 4,
        "d.weight": 5 * 6 * 6 * 7,
    }
    assert mine.macs == theirs.macs == sum(theirs.by_weight.values()) + 5 * 7 * 7 * 6
    assert sorted(mine.by_weight.values()) == sorted(theirs.by_weight.values())
    assert mine.by_weight["a.weight"] == theirs.by_weight["a.weight"]


def test_a_turned_factor_and_a_free_shape(tmp_path: Path) -> None:
    image = image_parameter(1, 3, -1, -1)
    flat = opset13.reshape(image, np.array([3, -1]), special_zero=False)
    product = opset13.matmul(flat, flat, transpose_a=True, transpose_b=False)
    positions = opset13.convert(opset13.non_zero(flat), "f32")
    free = opset13.matmul(positions, positions, transpose_a=False, transpose_b=True)
    path = write_ir(tmp_path / "a.xml", {"answer": product, "free": free}, image)
    count = counted(path, 1, 3, 4, 5)
    assert count.macs == 20 * 20 * 3
    assert count.by_weight == {}
    assert count.uncounted == {"MatMul of a free shape": 1}


def lite_network(path: Path) -> Path:
    """One of each operator that LiteRT multiplies with, on 1 x 6 x 7 x 2."""
    lite = Lite()
    image = lite.tensor("image", [1, 6, 7, 2])

    def weight(name: str, *shape: int) -> int:
        return lite.stored(name, np.ones(shape, np.float32))

    plain = lite.tensor("plain", [1, 5, 6, 4])
    lite.operator("CONV_2D", [image, weight("a", 4, 2, 2, 2), weight("bias", 4)], [plain], convolution())
    deep = lite.tensor("deep", [1, 4, 5, 8])
    options = schema.DepthwiseConv2DOptionsT()
    options.padding, options.depthMultiplier = schema.Padding.VALID, 2
    options.strideW = options.strideH = options.dilationWFactor = options.dilationHFactor = 1
    lite.operator("DEPTHWISE_CONV_2D", [plain, weight("b", 1, 2, 2, 8), weight("bias2", 8)], [deep], options)
    wide = lite.tensor("wide", [1, 5, 6, 3])
    options = schema.TransposeConvOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.VALID, 1, 1
    size = lite.stored("size", np.array([1, 5, 6, 3], np.int32))
    lite.operator("TRANSPOSE_CONV", [size, weight("c", 3, 2, 2, 8), deep], [wide], options)
    flat = lite.tensor("flat", [30, 3])
    lite.operator("RESHAPE", [wide, lite.stored("rows", np.array([30, 3], np.int32))], [flat])
    full = lite.tensor("full", [30, 9])
    options = schema.FullyConnectedOptionsT()
    lite.operator("FULLY_CONNECTED", [flat, weight("d", 9, 3), -1], [full], options)
    product = lite.tensor("product", [9, 9])
    options = schema.BatchMatMulOptionsT()
    options.adjX = True
    lite.operator("BATCH_MATMUL", [full, full], [product], options)
    answer = lite.tensor("answer", [9, 9])
    lite.operator("LOGISTIC", [product], [answer])
    return lite.write(path, [image], [answer])


def test_litert_counts_by_closed_forms(tmp_path: Path) -> None:
    count = counted(lite_network(tmp_path / "a.tflite"), 1, 6, 7, 2)
    assert count.by_weight == {"a": 30 * 4 * 8, "b": 20 * 8 * 4, "c": 20 * 3 * 4 * 8, "d": 30 * 9 * 3}
    assert count.macs - sum(count.by_weight.values()) == 9 * 9 * 30
    assert count.uncounted == {"LOGISTIC": 1}
    listing = formats.get("litert").tensors(Source.read(tmp_path / "a.tflite"), manifest())
    assert {tensor.name for tensor in listing.tensors} > count.by_weight.keys()
    assert listing.activation_bits == {"a": 32, "b": 32, "c": 32, "d": 32, "": 32}


@pytest.mark.parametrize("name", ["yolox_nano_float16.tflite", "yolox_nano_dynamic_int8.tflite"])
def test_real_twins_take_the_same_macs(shared_weights: Path, name: str) -> None:
    mine, theirs = (counted(shared_weights / one, 1, 3, 416, 416) for one in (name, "yolox_nano.onnx"))
    assert mine.macs == theirs.macs == 522_553_408
    assert sorted(mine.by_weight.values()) == sorted(theirs.by_weight.values())
