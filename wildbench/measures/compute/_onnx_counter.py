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
from onnx import inliner

from wildbench.measures.compute._count import Count, convolution_macs, product_macs
from wildbench.submissions.formats import OnnxWeights

Shapes = Sequence[Sequence[int]]

Rule = Callable[[onnx.NodeProto, Shapes], int]
"""Takes a node and the shapes of its inputs and then its first output; gives MACs."""


def _convolution(weight: int, *, transposed: bool = False) -> Rule:
    def rule(node: onnx.NodeProto, shapes: Shapes) -> int:
        out = shapes[-1]
        if node.op_type == "NhwcFusedConv" or any(one.name == "channels_last" and one.i for one in node.attribute):
            out = [out[0], out[-1], *out[1:-1]]  # ONNX Runtime's own layout, in graphs that it optimized
        return convolution_macs(shapes[0], shapes[weight], out, transposed=transposed)

    return rule


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
    **dict.fromkeys(("MatMulIntegerToFloat", "DynamicQuantizeMatMul"), _product),
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
