"""Counting the multiply-accumulates of an ONNX graph, from the shapes its tensors have on a real image.

ONNX Runtime runs the graph once with a `Shape` node added for each tensor that a rule needs. Shapes are thus right
where static inference gives up: dynamic axes, and whatever follows a non-maximum suppression.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import inliner, numpy_helper

from wildbench.measures.compute._count import NO_NAME, Count, convolution_macs, product_macs

FACTORS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "NhwcFusedConv", "DeformConv", "ConvTranspose"), (1,)),
    **dict.fromkeys(("QLinearConv", "MatMulNBits"), (3,)),
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMul", "MatMulInteger"), (1, 0)),
    **dict.fromkeys(("QLinearMatMul", "QGemm"), (3, 0)),
}
"""Inputs that may be a weight; where there is only one, it always is."""

ZERO_POINTS = {
    "DequantizeLinear": 2,
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QGemm"), 5),
    **dict.fromkeys(("ConvInteger", "MatMulInteger"), 3),
}
"""The input that says which stored number means zero."""

REARRANGING = {"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "DequantizeLinear"}
"""Nodes through which a stored tensor passes value by value."""


class OnnxWeights:
    """Finds the weights of one graph, its functions inlined."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.names = {tensor.name for tensor in model.graph.initializer}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.values = {tensor.name: tensor for tensor in model.graph.initializer} | dict(_constants(model))

    def of(self, node: onnx.NodeProto) -> str | None:
        """The name under which a node's weight is stored; None where it multiplies two activations.

        `NO_NAME` where what is stored is not its values one by one, or where a stored 0 is no 0.
        """
        places = FACTORS[node.op_type]
        found = [name for place in places if (name := self._stored(node.input[place]))]
        if not found:
            return NO_NAME if len(places) == 1 else None
        return found[0] if node.op_type != "MatMulNBits" and self._keeps_zero(node) else NO_NAME

    def _stored(self, name: str) -> str | None:
        """The initializer or constant that a tensor is, value by value; None where it is calculated."""
        kept = True
        while name not in self.values:
            maker = self.makers.get(name)
            if maker is None or maker.op_type not in REARRANGING:
                return None
            kept = kept and self._keeps_zero(maker)
            name = maker.input[0]
        return name if kept else NO_NAME

    def _keeps_zero(self, node: onnx.NodeProto) -> bool:
        place = ZERO_POINTS.get(node.op_type, len(node.input))
        if place >= len(node.input) or not node.input[place]:
            return True
        zero = self.values.get(node.input[place])
        return zero is not None and not numpy_helper.to_array(zero).any()


def _constants(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """The tensors in `Constant` nodes."""
    for node in model.graph.node:
        if node.op_type == "Constant":
            yield from ((node.output[0], attribute.t) for attribute in node.attribute if attribute.HasField("t"))


Shapes = Sequence[Sequence[int]]

Rule = Callable[[onnx.NodeProto, Shapes], int]
"""Takes a node and the shapes of its inputs and then its first output; gives MACs."""


def _convolution(weight: int, *, transposed: bool = False) -> Rule:
    return lambda _node, shapes: convolution_macs(shapes[0], shapes[weight], shapes[-1], transposed=transposed)


def _product(_node: onnx.NodeProto, shapes: Shapes) -> int:
    return product_macs(shapes[0], shapes[-1])


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return product_macs(shapes[0][::-1] if transposed else shapes[0], shapes[-1])


RULES: dict[str, Rule] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "NhwcFusedConv", "DeformConv"), _convolution(weight=1)),
    "QLinearConv": _convolution(weight=3),
    "ConvTranspose": _convolution(weight=1, transposed=True),
    **dict.fromkeys(("Gemm", "FusedGemm", "QGemm"), _gemm),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul", "MatMulNBits"), _product),
}

_MOVES = """
Cast CastLike Compress Concat Constant ConstantOfShape DepthToSpace Expand EyeLike Flatten Gather GatherElements
GatherND Identity NonZero OneHot Pad Range Reshape ScatterElements ScatterND SequenceAt SequenceConstruct Shape Size
Slice SpaceToDepth Split SplitToSequence Squeeze Tile TopK Transpose Trilu Unsqueeze Where
"""

MOVES = frozenset(_MOVES.split())
"""Nodes that allocate, copy, choose or order values and calculate none."""


class OnnxCounter:
    """Counts passes of one graph.

    Args:
        model: The graph. What stands in the bodies of `If`, `Loop` and `Scan` is reported as uncounted.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        model = inliner.inline_local_functions(model)
        self.nodes = list(model.graph.node)
        self.weights = OnnxWeights(model)
        self.names = sorted(
            {
                name
                for node in self.nodes
                if (node.op_type in RULES or node.op_type == "RoiAlign")
                for name in _tensors(node)
            }
        )
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(
            _with_shapes(model, self.names).SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def count(self, inputs: Sequence[npt.NDArray[np.generic]]) -> Count:
        """Run the graph once on its inputs, in its order, and count."""
        named = {slot.name: value for slot, value in zip(self.session.get_inputs(), inputs, strict=True)}
        found = self.session.run([_shape_of(name) for name in self.names], named) if self.names else []
        shapes = {name: [int(side) for side in shape] for name, shape in zip(self.names, found, strict=True)}
        count = Count()
        for node in self.nodes:
            if node.op_type == "RoiAlign":
                count.pool(shapes[node.input[1]][0])
            if node.op_type in RULES:
                macs = RULES[node.op_type](node, [shapes.get(name, []) for name in _tensors(node, every=True)])
                count.spend(self._place(node), macs, self.weights.of(node))
            for name in _uncounted(node):
                count.skip(name)
        return count

    def _place(self, node: onnx.NodeProto) -> str:
        """The module a node belongs to: told by its weight's name or by the exporter's scopes, else the node itself."""
        owners = (name.rpartition(".")[0] for name in node.input if name in self.weights.names)
        scopes = node.name.rpartition("/")[0].strip("/").replace("/", ".")
        return next((owner for owner in owners if owner), scopes or node.name or node.output[0])


def _tensors(node: onnx.NodeProto, *, every: bool = False) -> list[str]:
    """Inputs and first output; an optional input that is absent has an empty name."""
    names = [*node.input, node.output[0]]
    return names if every else [name for name in names if name]


def _shape_of(name: str) -> str:
    return f"{name}:shape"


def _with_shapes(model: onnx.ModelProto, names: Sequence[str]) -> onnx.ModelProto:
    """The model with the shapes of these tensors as its only outputs."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    del model.graph.output[:]
    for name in names:
        model.graph.node.append(onnx.helper.make_node("Shape", [name], [_shape_of(name)]))
        model.graph.output.append(onnx.helper.make_tensor_value_info(_shape_of(name), onnx.TensorProto.INT64, None))
    return model


def _uncounted(node: onnx.NodeProto) -> Iterator[str]:
    if node.op_type not in RULES and node.op_type not in MOVES:
        yield f"{node.domain}::{node.op_type}" if node.domain else node.op_type
    for attribute in node.attribute:
        for inner in attribute.g.node:
            if inner.op_type in RULES:
                yield f"{inner.op_type} inside {node.op_type}"
            yield from _uncounted(inner)
