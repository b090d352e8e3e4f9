"""What a quantized ONNX graph stores: parameters, zeros after decoding, and the bits of its activations."""

import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from wildbench.measures.compute._onnx_counter import OnnxCounter
from wildbench.measures.size import size_of
from wildbench.submissions.formats._format import Listing
from wildbench.submissions.formats._onnx_tensors import listing
from wildbench.submissions.inspection import Inspection
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

Array = NDArray[Any]

RANDOM = np.random.default_rng(0)

CASES = Path(__file__).parents[4] / "shared" / "cases" / "artifacts"


def normal(*shape: int) -> Array:
    """Weights whose mean is not 0, so that asymmetric ranges have zero points."""
    return (RANDOM.normal(size=shape) * 0.2 + 0.02).astype(np.float32)


FLOATS: dict[str, Array] = {
    "stem": normal(8, 3, 3, 3),
    "stem_bias": normal(8),
    "depthwise": normal(8, 1, 3, 3),
    "depthwise_bias": normal(8),
    "pointwise": normal(4, 8, 1, 1),
    "dense": normal(5, 4),
    "dense_bias": normal(5),
    "product": normal(5, 6),
}
"""Weights of a network with a layer of each kind."""

BIASES = [name for name in FLOATS if name.endswith("bias")]


def graph(
    nodes: Sequence[NodeProto], weights: Mapping[str, Any], shape: Sequence[int], kind: int = TensorProto.FLOAT
) -> onnx.ModelProto:
    """A graph from `x` to `y`; weights are arrays or tensors."""
    stored = [
        value if isinstance(value, TensorProto) else numpy_helper.from_array(np.asarray(value), name)
        for name, value in weights.items()
    ]
    ends = [[helper.make_tensor_value_info(name, kind, side)] for name, side in (("x", shape), ("y", None))]
    domains = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(helper.make_graph(nodes, "graph", *ends, stored), opset_imports=domains, ir_version=10)


def network() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Conv", ["x", "stem", "stem_bias"], ["a"], "stem"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "depthwise", "depthwise_bias"], ["c"], "depthwise", group=8),
        helper.make_node("Conv", ["c", "pointwise"], ["d"], "pointwise"),
        helper.make_node("GlobalAveragePool", ["d"], ["e"], "pool"),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("Gemm", ["f", "dense", "dense_bias"], ["g"], "dense", transB=1),
        helper.make_node("MatMul", ["g", "product"], ["y"], "product"),
    ]
    return graph(nodes, FLOATS, [1, 3, 16, 16])


class Images(CalibrationDataReader):  # type: ignore[misc]
    """Four images of noise."""

    def __init__(self) -> None:
        noise = np.random.default_rng(1).normal(size=(4, 1, 3, 16, 16)).astype(np.float32)
        self.images: Iterator[dict[str, Array]] = iter([{"x": image} for image in noise])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.images, None)


def static(source: Path, target: Path, kind: QuantFormat, weight: QuantType, activation: QuantType, wide: bool) -> None:
    options = {"weight_type": weight, "activation_type": activation, "per_channel": wide, "quant_format": kind}
    quantize_static(source, target, Images(), **options)


WAYS: dict[str, Callable[[Path, Path], None]] = {
    f"{kind.name} {weight.name} {activation.name} {'per channel' if wide else 'per tensor'}": (
        lambda source, target, each=(kind, weight, activation, wide): static(source, target, *each)
    )
    for kind, (weight, activation), wide in itertools.product(
        (QuantFormat.QDQ, QuantFormat.QOperator),
        [
            (QuantType.QUInt8, QuantType.QUInt8),
            (QuantType.QInt8, QuantType.QUInt8),
            (QuantType.QInt8, QuantType.QInt8),
        ],
        (False, True),
    )
} | {
    "QDQ int4": lambda source, target: static(
        source, target, QuantFormat.QDQ, QuantType.QInt4, QuantType.QUInt8, wide=False
    ),
    "QDQ uint4": lambda source, target: static(
        source, target, QuantFormat.QDQ, QuantType.QUInt4, QuantType.QUInt8, wide=False
    ),
    "QDQ of 16 bits": lambda source, target: static(
        source, target, QuantFormat.QDQ, QuantType.QInt8, QuantType.QUInt16, wide=False
    ),
    "dynamic": lambda source, target: quantize_dynamic(source, target, weight_type=QuantType.QUInt8),
    "dynamic per channel": lambda source, target: quantize_dynamic(
        source, target, weight_type=QuantType.QInt8, per_channel=True
    ),
}


@pytest.fixture(scope="module")
def float_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("float") / "float.onnx"
    onnx.save_model(network(), path)
    return path


def listed(model: onnx.ModelProto) -> Listing:
    return listing(Source(Path("a.onnx"), model.SerializeToString()), model)


def sizes(model: onnx.ModelProto) -> tuple[float | None, ...]:
    found = listed(model)
    manifest = Manifest.model_validate({"name": "a", "detector": {"name": "a"}, "categories": ["lion"]})
    size = size_of(Inspection(Path("a.onnx"), "onnx", manifest, 1, {}, found.tensors))
    return size.parameters.value, size.dense_fp32_bytes.value


def decoded_nonzero(model: onnx.ModelProto, weight: str) -> int:
    """Values of a weight that are not its zero point, by the names that ONNX Runtime's quantizer gives."""
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    codes, zero = values[f"{weight}_quantized"].astype(int), values[f"{weight}_zero_point"].astype(int)
    axis = 0 if codes.ndim == 4 or zero.size == codes.shape[0] else codes.ndim - 1
    sides = [-1 if side == axis else 1 for side in range(codes.ndim)]
    return int(np.count_nonzero(codes - (zero.reshape(sides) if zero.ndim else zero)))


@pytest.mark.parametrize("way", WAYS)
def test_a_quantized_graph_has_the_parameters_of_its_float_graph(float_file: Path, tmp_path: Path, way: str) -> None:
    logging.getLogger().setLevel(logging.ERROR)
    path = tmp_path / "quantized.onnx"
    WAYS[way](float_file, path)
    model, parameters = onnx.load_model(path), sum(weight.size for weight in FLOATS.values())
    assert sizes(model) == sizes(network()) == (parameters, 4 * parameters)
    found = listed(model)
    tensors = {tensor.name: tensor for tensor in found.tensors or ()}
    weights = [name for name in FLOATS if name not in BIASES]
    assert found.activation_bits == {f"{name}_quantized": 16 if "16" in way else 8 for name in weights}
    for name in weights:
        tensor = tensors[f"{name}_quantized"]
        assert tensor.nonzero == decoded_nonzero(model, name)
        assert tensor.bits == (4 if "int4" in way else 8)


@pytest.mark.parametrize("level", ["EXTENDED", "ALL"])
@pytest.mark.parametrize("way", ["QDQ QUInt8 QUInt8 per tensor", "QDQ QInt8 QUInt8 per channel", "dynamic"])
def test_what_onnx_runtime_optimized_is_told_as_before(float_file: Path, tmp_path: Path, way: str, level: str) -> None:
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    WAYS[way](float_file, before)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(after), 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}")
    onnxruntime.InferenceSession(before, options, providers=["CPUExecutionProvider"])
    old, new = (onnx.load_model(path) for path in (before, after))
    assert {node.op_type for node in new.graph.node} != {node.op_type for node in old.graph.node}
    assert sizes(new) == sizes(old)
    assert listed(new).activation_bits == listed(old).activation_bits
    counts = [sorted(one.nonzero or 0 for one in listed(model).tensors or () if one.parameter) for model in (old, new)]
    assert counts[0] == counts[1]
    image = np.zeros((1, 3, 16, 16), np.float32)
    by_weight = [OnnxCounter(model).count([image]).by_weight for model in (old, new)]
    assert by_weight[0] == by_weight[1], "also with the channels last"


def products(model: onnx.ModelProto, rows: int) -> Array:
    """What the only layer of a graph multiplies by: its answer to the identity."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": np.eye(rows, dtype=np.float32)})[0])


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("zero_points", [False, True])
def test_weights_packed_in_bytes_are_unpacked(bits: int, zero_points: bool) -> None:
    rows, columns, block = 70, 12, 32  # 3 blocks, of which the last is not full
    random, per_byte = np.random.default_rng(bits), 8 // bits
    weights: dict[str, Array] = {
        "w": random.integers(0, 256, (columns, 3, block // per_byte), np.uint8),
        "scales": np.ones((columns, 3), np.float32),
    }
    if bits == 8:
        weights["w"] = random.integers(120, 136, weights["w"].shape, np.uint8)
    if zero_points:
        zeros = {4: random.integers(0, 256, (columns, 2), np.uint8), 8: random.integers(120, 136, (columns, 3))}
        weights["zeros"] = zeros[bits].astype(np.uint8)
    inputs = ["x", "w", "scales", *(["zeros"] if zero_points else [])]
    about = {"K": rows, "N": columns, "bits": bits, "block_size": block, "domain": "com.microsoft"}
    model = graph([helper.make_node("MatMulNBits", inputs, ["y"], **about)], weights, [None, rows])
    found = listed(model)
    (tensor,) = [tensor for tensor in found.tensors or () if tensor.parameter]
    assert (tensor.shape, tensor.bits, tensor.stored_bits) == ((columns, rows), bits, bits)
    assert tensor.nonzero == np.count_nonzero(products(model, rows).round(3)) < rows * columns
    assert found.activation_bits == {"w": 32}


@pytest.mark.parametrize("kind", [TensorProto.UINT4, TensorProto.INT4, TensorProto.UINT8, TensorProto.INT8])
def test_zero_points_of_blocks_are_those_of_onnx_runtime(kind: int) -> None:
    random, low = np.random.default_rng(kind), -8 if kind in (TensorProto.INT4, TensorProto.INT8) else 0
    codes, zeros = random.integers(low, low + 16, (64, 6)), random.integers(low, low + 16, (2, 6))
    weights = {
        "w": helper.make_tensor("w", kind, codes.shape, codes.ravel().tolist()),
        "scale": np.ones((2, 6), np.float32),
        "zero": helper.make_tensor("zero", kind, zeros.shape, zeros.ravel().tolist()),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["float"], axis=0, block_size=32),
        helper.make_node("MatMul", ["x", "float"], ["y"]),
    ]
    model = graph(nodes, weights, [None, 64])
    (tensor,) = [tensor for tensor in listed(model).tensors or () if tensor.parameter]
    assert tensor.nonzero == np.count_nonzero(products(model, 64)) < codes.size


@pytest.mark.parametrize("axis", [0, 1])
def test_weights_that_are_rounded_as_they_run_count_as_they_are_multiplied(axis: int) -> None:
    """As torch and TensorRT's toolkit export networks that were trained with quantization."""
    values = normal(64, 6)
    scale = (0.1 + np.arange(values.shape[axis]) / 100).astype(np.float32)
    nodes = [
        helper.make_node("QuantizeLinear", ["w", "scale", "zero"], ["codes"], axis=axis),
        helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["float"], axis=axis),
        helper.make_node("MatMul", ["x", "float"], ["y"]),
    ]
    model = graph(nodes, {"w": values, "scale": scale, "zero": np.zeros(len(scale), np.int8)}, [None, 64])
    (tensor,) = [tensor for tensor in listed(model).tensors or () if tensor.parameter]
    assert (tensor.dtype, tensor.stored_bits, tensor.bits) == ("float32", 32, 8)
    assert tensor.nonzero == np.count_nonzero(products(model, 64)) < values.size


def rounded(name: str, made: str, kind: str = "zero") -> list[NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [name, "scale", kind], [f"{name}:codes"]),
        helper.make_node("DequantizeLinear", [f"{name}:codes", "scale", kind], [made]),
    ]


SCALE = {"scale": np.float32(0.1), "zero": np.uint8(3), "wide": np.uint16(3)}


def test_each_layer_has_its_own_bits() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "first"], ["a"]),
        *rounded("a", "b"),
        helper.make_node("Transpose", ["b"], ["c"], perm=[1, 0]),
        helper.make_node("MatMul", ["c", "second"], ["d"]),
        *rounded("d", "e", "wide"),
        helper.make_node("MatMul", ["e", "third"], ["f"]),
        *rounded("f", "g"),
        helper.make_node("Relu", ["g"], ["h"]),
        helper.make_node("MatMul", ["h", "fourth"], ["y"]),
    ]
    weights = {name: normal(4, 4) for name in ("first", "second", "third", "fourth")}
    bits = listed(graph(nodes, weights | SCALE, [4, 4])).activation_bits
    assert bits == {"first": 32, "second": 8, "third": 16, "fourth": 32}, "after arithmetic it is a float again"


def test_products_of_two_activations_have_the_bits_of_the_wider() -> None:
    first = [*rounded("x", "a"), helper.make_node("Transpose", ["a"], ["b"])]
    narrow = [*first, helper.make_node("MatMul", ["a", "b"], ["y"])]
    assert listed(graph(narrow, SCALE, [4, 4])).activation_bits == {"": 8}
    mixed = [*first, helper.make_node("MatMul", ["a", "b"], ["c"]), helper.make_node("MatMul", ["c", "a"], ["y"])]
    assert listed(graph(mixed, SCALE, [4, 4])).activation_bits == {"": 32}


@pytest.mark.parametrize(("kind", "bits"), [(TensorProto.FLOAT16, 16), (TensorProto.BFLOAT16, 16)])
def test_a_graph_in_half_precision_has_activations_of_16_bits(kind: int, bits: int) -> None:
    weight = helper.make_tensor("w", kind, (4, 4), np.arange(16.0).tolist())
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"]),
        helper.make_node("MatMul", ["a", "b"], ["y"]),
    ]
    assert listed(graph(nodes, {"w": weight}, [4, 4], kind)).activation_bits == {"w": bits, "": bits}


def test_a_weight_stored_in_half_precision_may_meet_floats() -> None:
    nodes = [
        helper.make_node("Cast", ["w"], ["wide"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["x", "wide"], ["y"]),
    ]
    assert listed(graph(nodes, {"w": normal(4, 4).astype(np.float16)}, [4, 4])).activation_bits == {"w": 32}


def test_a_zero_point_that_is_calculated_leaves_the_zeros_unknown() -> None:
    nodes = [
        helper.make_node("Add", ["zero", "zero"], ["double"]),
        helper.make_node("DequantizeLinear", ["w", "scale", "double"], ["float"]),
        helper.make_node("MatMul", ["x", "float"], ["y"]),
    ]
    weights = {"w": np.arange(16, dtype=np.uint8).reshape(4, 4), "scale": np.float32(1), "zero": np.uint8(2)}
    tensors = {tensor.name: tensor for tensor in listed(graph(nodes, weights, [4, 4])).tensors or ()}
    assert tensors["w"].nonzero is None


@pytest.mark.parametrize("zero", [[1, 2, 3], [[1, 2], [3, 4]]])
def test_zero_points_of_another_shape_leave_the_zeros_unknown(zero: list[Any]) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["float"]),
        helper.make_node("MatMul", ["x", "float"], ["y"]),
    ]
    weights = {"w": np.ones((4, 4), np.uint8), "scale": np.float32(1), "zero": np.array(zero, np.uint8)}
    tensors = {tensor.name: tensor for tensor in listed(graph(nodes, weights, [4, 4])).tensors or ()}
    assert tensors["w"].nonzero is None


def test_a_graph_that_goes_in_a_circle_is_listed() -> None:
    nodes = [
        helper.make_node("Identity", ["b"], ["a"]),
        helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("DequantizeLinear", ["b", "a", "b"], ["c"]),
        helper.make_node("MatMul", ["b", "c"], ["y"]),
    ]
    assert listed(graph(nodes, {}, [4, 4])).activation_bits == {"": 32}


@pytest.mark.skipif(not CASES.is_dir(), reason="the failing inputs are not here")
def test_a_file_with_uint8_weights_has_the_zeros_of_its_decoded_weights() -> None:
    model = onnx.load_model(CASES / "uint8_zero_point_weights.onnx")
    tensors = {tensor.name: tensor for tensor in listed(model).tensors or ()}
    assert (tensors["w"].elements, tensors["w"].nonzero) == (864, 430)
