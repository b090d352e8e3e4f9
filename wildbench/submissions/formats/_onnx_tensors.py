"""What an ONNX graph stores and how its nodes read it: as numbers, as codes with a zero point, in how many bits.

The operators are those of https://onnx.ai/onnx/operators/ and ONNX Runtime's own, which its quantizers and offline
optimizations write (https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.submissions.formats._format import Listing, Tensor, width_of
from wildbench.submissions.graphs import MOST_SETTINGS, expanded, onnx_numbers, walk
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TensorProto

Array = npt.NDArray[Any]

FACTORS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "NhwcConv", "NhwcFusedConv", "DeformConv"), (1,)),
    **dict.fromkeys(("ConvTranspose", "ConvTransposeWithDynamicPads"), (1,)),
    **dict.fromkeys(("QLinearConv", "QLinearConvTranspose"), (3,)),
    **dict.fromkeys(
        ("Gemm", "FusedGemm", "GemmFloat8", "GemmFastGelu", "FusedMatMul", "FusedMatMulActivation"), (1, 0)
    ),
    **dict.fromkeys(("MatMul", "MatMulInteger", "MatMulInteger16", "MatMulIntegerToFloat"), (1, 0)),
    **dict.fromkeys(("TransposeMatMul", "SparseToDenseMatMul", "FusedMatMulActivation", "Einsum"), (1, 0)),
    **dict.fromkeys(("QLinearMatMul", "QGemm"), (3, 0)),
    **dict.fromkeys(("MatMulNBits", "DynamicQuantizeMatMul"), (1,)),
}
"""Inputs that may be a weight; where there is only one, it always is."""

INTEGER = {
    *("QLinearConv", "QLinearMatMul", "QGemm"),
    *("ConvInteger", "MatMulInteger", "MatMulIntegerToFloat", "DynamicQuantizeMatMul"),
}
"""Operators whose factors are both of 8 bits, by their type constraints."""

MULTIPLYING = FACTORS.keys() | {"RNN", "GRU", "LSTM", "DynamicQuantizeLSTM", "Attention", "MultiHeadAttention"}
"""Operators that multiply whatever they read."""

_REDUCTIONS = ("Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")

SETTINGS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Reshape", "Expand", "Tile", "Squeeze", "Unsqueeze", "Split", "TopK", "CumSum", "Trilu"), (1,)),
    **dict.fromkeys((f"Reduce{name}" for name in _REDUCTIONS), (1,)),
    **dict.fromkeys(("Shape", "Size", "ConstantOfShape"), (0,)),
    **{"Slice": (1, 2, 3, 4), "Pad": (1, 3), "Resize": (1, 2, 3), "Upsample": (1,), "CenterCropPad": (1,)},
}
"""Inputs that say how much or where: shapes, axes, numbers of repeats."""

CHOICES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND", "Compress"), (1,)),
    **dict.fromkeys(("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"), (0, 1)),
    **{"Where": (0,), "Slice": (1, 2), "OneHot": (0,), "NonZero": (0,), "ArgMax": (0,), "ArgMin": (0,), "If": (0,)},
    "NonMaxSuppression": (0, 1),
}
"""Inputs that choose among others, or whose results only do."""

ROWS, COLUMNS, FILTERS = -2, -1, 0

ZERO_POINTS: dict[str, dict[int, tuple[int, int]]] = {
    "DequantizeLinear": {0: (2, 1)},
    "QuantizeLinear": {0: (2, 1)},
    "QLinearConv": {3: (5, FILTERS)},
    "QLinearMatMul": {0: (2, ROWS), 3: (5, COLUMNS)},
    "QGemm": {0: (2, ROWS), 3: (5, COLUMNS)},
    "ConvInteger": {1: (3, FILTERS)},
    "MatMulInteger": {0: (2, ROWS), 1: (3, COLUMNS)},
    "MatMulIntegerToFloat": {0: (4, ROWS), 1: (5, COLUMNS)},
    "DynamicQuantizeMatMul": {1: (3, COLUMNS)},
}
"""Inputs that may be stored codes: the input that says which code stands for 0, and the axis it runs along if it is a
vector, where the node's attributes do not say."""

_OF_TWO, _OF_ONE = (1, 2, 4, 5, 6, 7), (1, 2, 3, 4)

GRIDS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear"), (1, 2)),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"), _OF_TWO),
    "QGemm": (1, 2, 4, 5, 7, 8),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul"), (2, 3)),
    "MatMulIntegerToFloat": (2, 3, 4, 5),
    "MatMulNBits": (2, 3, 4),
    **{f"QLinear{name}": _OF_ONE for name in ("Sigmoid", "LeakyRelu", "Softmax", "ReduceMean")},
    **{f"QLinear{name}": _OF_ONE for name in ("AveragePool", "GlobalAveragePool")},
    "QLinearWhere": (2, 3, 5, 6, 7, 8),
    "QLinearConcat": tuple(place for place in range(1024) if place % 3 != 2),
}
"""Inputs that are scales, zero points or an order of groups."""

BIASES = {"DequantizeLinear": 0, "QLinearConv": 8, "QGemm": 6}
"""The input that may be a bias in int32."""

REARRANGING = frozenset(("Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"))
"""Nodes through which a tensor passes value by value."""

PASSING = REARRANGING | {"Cast", "DequantizeLinear", "QuantizeLinear"}
"""Nodes through which a stored weight passes value by value, on its way to be multiplied."""

CHOOSING = REARRANGING.union(
    ("Slice", "Split", "Gather", "Pad", "Expand", "Tile", "DepthToSpace", "SpaceToDepth", "MaxPool")
)
"""Nodes whose results are values of their first input, or padding."""

GENERATING = frozenset(
    ("ConstantOfShape", "EyeLike", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
)
"""Nodes that make a tensor out of a shape alone."""

MOST_SIDES, MOST_ELEMENTS = 32, 2**62

REAL = (1, 10, 11, 16)
"""Codes of float32, float16, float64 and bfloat16."""

LONGEST_WAY = 16
"""Nodes between a stored tensor and what reads it that are followed; a damaged graph may go in a circle."""

NO_NAME = "(unnamed)"
"""Stands for the weight of a convolution that is not itself stored, such as one that is decoded as it runs."""

FLOAT_BITS, INTEGER_BITS = 32, 8


def listing(source: Source, model: ModelProto) -> Listing:
    """Weights and constants. Scales, zero points, flags, and integers that reach no product, count as buffers."""
    whole = expanded(source, model)
    weights = OnnxWeights(whole)
    inside = len(model.functions) > 0
    tensors = [_tensor(source, weights, *stored, inside) for stored in onnx_numbers(model)]
    tensors += weights.generated
    return Listing(
        tensors,
        activation_bits=weights.activation_bits,
        products=sum(node.op_type in MULTIPLYING for node in weights.nodes),
        tabled=weights.tabled,
    )


class OnnxWeights:
    """Finds the weights of one graph, and what stands for 0 in them; its functions are expanded before."""

    def __init__(self, model: ModelProto) -> None:
        self.graph = model.graph
        parts = [message for message, _ in walk(model.graph)]
        self.nodes: list[NodeProto] = [part for part in parts if part.DESCRIPTOR.name == "NodeProto"]
        bodies = (part for part in parts if part.DESCRIPTOR.name == "GraphProto")
        self.names = {tensor.name for body in bodies for tensor in body.initializer}
        self.makers = {name: node for node in self.nodes for name in node.output}
        constants = {name for node in self.nodes if node.op_type == "Constant" for name in node.output}
        stored = ((name, tensor) for name, tensor, _ in onnx_numbers(model.graph))
        self.values: dict[str, TensorProto] = {name: one for name, one in stored if name in constants | self.names}

    def of(self, node: NodeProto) -> str | None:
        """The name under which a node's weight is stored; None where it multiplies two activations.

        `NO_NAME` where what is stored is not its values one by one, or the code that stands for 0 is not stored.
        """
        for place in FACTORS[node.op_type]:
            name, way = self._stored(_input(node, place))
            if name:
                reads = [(maker, 0) for maker in way] + [(node, place)]
                known = all(self._zero(reader, at) is not None for reader, at in reads)
                return name if known else NO_NAME
        return NO_NAME if len(FACTORS[node.op_type]) == 1 else None

    @cached_property
    def grids(self) -> set[str]:
        """Names of the stored tensors that are scales, zero points or an order of groups, and so no parameters."""
        found = {self._root(_input(node, place)) for node in self.nodes for place in GRIDS.get(node.op_type, ())}
        for node in self.nodes:  # what follows MatMulInteger multiplies by both scales
            makers = [self.makers.get(name) for name in node.input]
            if node.op_type == "Mul" and any(one and one.op_type == "DynamicQuantizeLinear" for one in makers):
                found |= {self._root(name) for name in node.input}
        return found - {""}

    @cached_property
    def biases(self) -> set[str]:
        """Names of the stored tensors that are added where sums are still integers."""
        return {self._root(_input(node, BIASES[node.op_type])) for node in self.nodes if node.op_type in BIASES} - {""}

    @cached_property
    def multiplied(self) -> set[str]:
        """Names of the stored tensors of which a factor of a product is made, also of codes and their codebook."""
        return self._factors & self.values.keys()

    @cached_property
    def _factors(self) -> set[str]:
        """Names of all tensors of which a factor is made."""
        places = [(node, FACTORS.get(node.op_type) or range(len(node.input))) for node in self.nodes]
        factors = [_input(node, at) for node, some in places for at in some if node.op_type in MULTIPLYING]
        return self._upstream(factors, codes=True)

    @cached_property
    def generated(self) -> list[Tensor]:
        """Factors that are made out of nothing, filled with one number or drawn by a seed; they take no bytes."""
        found = []
        for node in (one for one in self.nodes if one.op_type in GENERATING):
            name, stored = (node.output or [""])[0], self._value(_input(node, 0))
            sides = [int(side) for one in node.attribute if one.name == "shape" for side in one.ints]
            if node.op_type == "ConstantOfShape" and stored is not None and stored.size <= MOST_SIDES:
                sides = [int(side) for side in stored.ravel()]
            if node.op_type.endswith("Like") and stored is not None:
                sides = list(stored.shape)
            if name in self._factors and sides and 0 < math.prod(sides) < MOST_ELEMENTS and min(sides) > 0:
                whole = math.prod(sides)
                found.append(Tensor(name, tuple(sides), "float32", "generated", 0, whole, True, FLOAT_BITS, FLOAT_BITS))
        return found

    @cached_property
    def tabled(self) -> int:
        """Stored numbers that the image merely chooses from: those in real outputs of which no value is a product's."""
        total = 0
        for output in (one for one in self.graph.output if one.type.tensor_type.elem_type in REAL):
            before = self._upstream([output.name], codes=False)
            makers = [self.makers[name] for name in before if name in self.makers]
            choosing = (_input(node, at) for node in makers for at in CHOICES.get(node.op_type, ()))
            if any(name and name not in self._constant for name in choosing) and not any(
                node.op_type in MULTIPLYING for node in makers
            ):
                total += sum(math.prod(self.values[name].dims) for name in before if name in self.values)
        return total

    def _upstream(self, names: Iterable[str], *, codes: bool) -> set[str]:
        """Tensors of whose values these are made; with codes up to the last products, and of stored choices too."""
        found: set[str] = set()
        pending = list(names)
        while pending:
            name = pending.pop()
            if name in found:
                continue
            found.add(name)
            pending += self._outer.get(name, [])
            node = self.makers.get(name)
            if node is None or (codes and node.op_type in MULTIPLYING):
                continue
            left_out = set(SETTINGS.get(node.op_type, ()))
            if not codes or name not in self._constant:
                left_out.update(CHOICES.get(node.op_type, ()))
            pending += [one for at, one in enumerate(node.input) if one and at not in left_out]
        return found

    @cached_property
    def _outer(self) -> dict[str, list[str]]:
        """What the results of control flow, and the inputs of its bodies, may be made of."""
        links: dict[str, list[str]] = {}
        for node in self.nodes:
            for body in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
                results = [one.name for one in body.output]
                links.update((one.name, [*node.input, *results]) for one in body.input)
                for name in node.output:
                    links.setdefault(name, []).extend(results)
        return links

    @cached_property
    def _constant(self) -> set[str]:
        """Tensors that no image changes: stored, or made of stored ones alone."""
        known = set(self.values)
        for node in self.nodes:
            inputs = [name for name in node.input if name]
            if inputs and known.issuperset(inputs) and not any(one.HasField("g") for one in node.attribute):
                known.update(node.output)
        return known

    @cached_property
    def activation_bits(self) -> dict[str, int]:
        """Bits of what meets a weight, by its name; "" for products of two activations: the most, where layers differ.

        An activation has the bits of the DequantizeLinear it comes from, and otherwise those of the layer's floats.
        """
        bits: dict[str, int] = {}
        layers = [(node, self.of(node) or "") for node in self.nodes if node.op_type in FACTORS]
        floats = {name: self._float_bits(node) for node, name in layers if name}
        for node, name in layers:
            own = self._entering(node, floats.get(name, max(floats.values(), default=FLOAT_BITS)))
            bits[name] = max(own, bits.get(name, 0))
        return bits

    @cached_property
    def packed(self) -> dict[str, NodeProto]:
        """The MatMulNBits node of each weight that is stored in bytes of several codes."""
        nodes = [node for node in self.nodes if node.op_type == "MatMulNBits"]
        return {self._root(_input(node, 1)): node for node in nodes}

    def nonzero(self, name: str, values: Array) -> int | None:
        """Values of a stored tensor that do not stand for 0; None where its zero point is not stored, or two differ."""
        try:
            counts = {self._nonzero(*reader, values) for reader in self._readers.get(name, ())}
        except (ValueError, IndexError):  # zero points of another shape; ONNX Runtime will say so
            return None
        return int(np.count_nonzero(values)) if not counts else counts.pop() if len(counts) == 1 else None

    def unpacked(self, name: str, stored: Array) -> Array | None:
        """The weight of a MatMulNBits node, N x K codes less their zero points; None of any other, or of odd shapes."""
        node = self.packed.get(name)
        if node is None:
            return None
        bits, block = _attribute(node, "bits", 4), _attribute(node, "block_size")
        rows, columns, place = _attribute(node, "N"), _attribute(node, "K"), _input(node, 3)
        zero = self._value(place)
        if bits not in (2, 4, 8) or stored.dtype != np.uint8 or block < 1 or (place and zero is None):
            return None
        codes = _codes(stored.reshape(rows, -1), bits)[:, :columns]
        offsets = np.asarray(2 ** (bits - 1))
        if zero is not None:
            zeros = _codes(zero.reshape(rows, -1), bits) if zero.dtype == np.uint8 else zero.reshape(rows, -1)
            offsets = np.take(zeros, np.arange(codes.shape[1]) // block, axis=1)
        return np.asarray(codes - offsets.astype(np.float32))

    def code_bits(self, name: str) -> int | None:
        """Bits of the codes that a stored float is rounded to before anything multiplies it; None if it is not."""
        nodes = [node for node, _, _ in self._readers.get(name, ()) if node.op_type == "QuantizeLinear"]
        return self._code_bits(nodes[0]) if nodes else None

    @cached_property
    def _readers(self) -> dict[str, list[tuple[NodeProto, int, bool]]]:
        """Nodes that read a stored tensor as codes, at which input, and whether it was rearranged on the way."""
        readers: dict[str, list[tuple[NodeProto, int, bool]]] = {}
        for node in self.nodes:
            for place in ZERO_POINTS.get(node.op_type, ()):
                name, way = self._stored(_input(node, place), REARRANGING)
                if name:
                    readers.setdefault(name, []).append((node, place, bool(way)))
        return readers

    def _nonzero(self, node: NodeProto, place: int, rearranged: bool, values: Array) -> int | None:
        zero = self._zero(node, place)
        if node.op_type == "QuantizeLinear":  # floats, of which some will be rounded to 0
            scale, zero = self._value(_input(node, 1)), np.zeros(())
            with np.errstate(all="ignore"):
                values = values if scale is None else np.rint(values / _spread(scale, values, node, place))
        if zero is None or (rearranged and zero.size > 1):
            return None
        return int(np.count_nonzero(values != _spread(zero, values, node, place)))

    def _zero(self, node: NodeProto, place: int) -> Array | None:
        """The code that stands for 0 in an input: a scalar where it is one for all. None where it is not stored."""
        name = _input(node, ZERO_POINTS.get(node.op_type, {}).get(place, (len(node.input), 0))[0])
        zero = self._value(name) if name else np.zeros((), np.int8)
        if zero is None or not zero.size or (zero != zero.flat[0]).any():
            return zero
        return np.asarray(zero.flat[0])

    def _value(self, name: str) -> Array | None:
        """The values of what is stored; None where it is not, or is damaged, which listing it says."""
        from onnx import numpy_helper

        try:
            return np.asarray(numpy_helper.to_array(self.values[self._root(name)]))
        except (KeyError, ValueError, TypeError):
            return None

    def _stored(self, name: str, passing: frozenset[str] = PASSING) -> tuple[str, list[NodeProto]]:
        """The initializer or constant that a tensor is, value by value, or ""; and the nodes on its way, last first."""
        way: list[NodeProto] = []
        while name not in self.values:
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in passing or len(way) == LONGEST_WAY:
                return "", way
            way.append(maker)
            name = _input(maker, 0)
        return name, way

    def _root(self, name: str) -> str:
        return self._stored(name)[0]

    def _entering(self, node: NodeProto, floats: int) -> int:
        """Bits of the activations that a node multiplies; of the widest, where there are two."""
        if node.op_type in INTEGER:
            return INTEGER_BITS
        places = [0] if len(FACTORS[node.op_type]) == 1 else [0, 1]
        names = [name for place in places if not self._root(name := _input(node, place))]
        return max((self._activation(name, floats) for name in names), default=floats)

    def _activation(self, name: str, floats: int) -> int:
        for _ in range(LONGEST_WAY):
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in CHOOSING:
                break
            name = _input(maker, 0)
        return self._code_bits(maker) if maker is not None and maker.op_type == "DequantizeLinear" else floats

    def _code_bits(self, node: NodeProto) -> int:
        """Bits of what a DequantizeLinear reads or a QuantizeLinear writes."""
        zero = self._root(_input(node, 2))
        if zero:
            return _width(self.values[zero].data_type)
        maker = self.makers.get(_input(node, 0)) if node.op_type == "DequantizeLinear" else node
        if maker is None or maker.op_type not in ("QuantizeLinear", "DynamicQuantizeLinear"):
            return FLOAT_BITS
        if _input(maker, 2) and maker is not node:
            return self._code_bits(maker)
        return _width(_attribute(maker, "output_dtype")) if _attribute(maker, "output_dtype") else INTEGER_BITS

    def _float_bits(self, node: NodeProto) -> int:
        """Bits of the floats that a node reads, as its weight or its scales have them."""
        place = (
            2
            if node.op_type == "MatMulNBits"
            else next((at for at in FACTORS[node.op_type] if self._root(_input(node, at))), 0)
        )
        name, way = self._stored(_input(node, place))
        last = next((maker for maker in way if maker.op_type not in REARRANGING), None)
        if last is not None and last.op_type == "Cast":
            return _width(_attribute(last, "to"))
        if last is not None and last.op_type == "DequantizeLinear":
            name = self._root(_input(last, 1))
        return _width(self.values[name].data_type) if name else FLOAT_BITS


def _tensor(source: Source, weights: OnnxWeights, name: str, tensor: TensorProto, size: int, inside: bool) -> Tensor:
    """One stored tensor; in a model with functions, integers that its graph does not know are taken for weights."""
    import onnx

    try:
        values = onnx.numpy_helper.to_array(tensor)
        unpacked = weights.unpacked(name, values)
        nonzero = weights.nonzero(name, values) if unpacked is None else int(np.count_nonzero(unpacked))
    except (ValueError, TypeError, LookupError, OverflowError, MemoryError) as error:
        raise source.error(f"{name} is damaged ({error})", code="damaged", remedy=EXPORT_AGAIN) from None
    width = width_of(values.dtype.name) if unpacked is None else _attribute(weights.packed[name], "bits", 4)
    whole = tensor.data_type in (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
    counted = not whole or name in weights.multiplied or name in weights.biases
    unknown = inside and name not in weights.values and values.size > MOST_SETTINGS
    return Tensor(
        name=name,
        shape=values.shape if unpacked is None else unpacked.shape,
        dtype=values.dtype.name if unpacked is None else f"uint{width}",
        codec="onnx",
        bytes=size,
        nonzero=None if unpacked is None and name in weights.packed else nonzero,
        parameter=name not in weights.grids and (counted or unknown),
        layer="" if "." in name else "initializers",  # an exporter that gives its weights numbers
        bits=weights.code_bits(name) or width,
        stored_bits=width,
    )


def _codes(packed: Array, bits: int) -> Array:
    """The codes in rows of bytes, of which the lowest bits come first."""
    codes: Array = packed[:, :, None] >> np.arange(0, 8, bits, dtype=np.uint8) & (2**bits - 1)
    return codes.reshape(len(packed), -1)


def _input(node: NodeProto, place: int) -> str:
    """The name of an input; empty where it is left out."""
    return str(node.input[place]) if place < len(node.input) else ""


def _attribute(node: NodeProto, name: str, default: int = 0) -> int:
    return next((int(attribute.i) for attribute in node.attribute if attribute.name == name), default)


def _axis(node: NodeProto, place: int) -> int:
    """The axis of an input that a vector of zero points runs along."""
    axis = ZERO_POINTS[node.op_type][place][1]
    if node.op_type == "QGemm":  # a weight may be stored as out x in
        return axis if not _attribute(node, "transB" if axis == COLUMNS else "transA") else -3 - axis
    return _attribute(node, "axis", axis)


def _spread(zero: Array, values: Array, node: NodeProto, place: int) -> Array:
    """Zero points or scales of an input, one for all or for each channel or block, so that they broadcast to it."""
    axis, block = _axis(node, place), _attribute(node, "block_size")
    if zero.ndim == 1 and values.ndim:
        return zero.reshape([len(zero) if side == axis % values.ndim else 1 for side in range(values.ndim)])
    return np.take(zero, np.arange(values.shape[axis]) // block, axis) if block > 0 and zero.ndim else zero


def _width(kind: int) -> int:
    """Bits of a number of one of ONNX's types."""
    from onnx import helper

    try:
        return width_of(helper.tensor_dtype_to_np_dtype(kind).name) or FLOAT_BITS
    except KeyError:  # no type that this onnx knows
        return FLOAT_BITS
