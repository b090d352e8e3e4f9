"""Counting the multiply-accumulates of an ONNX graph, from the shapes its tensors have on a real image.

ONNX Runtime runs the graph once with a `Shape` node added for each tensor that a rule needs. Shapes are thus right
where static inference gives up: dynamic axes, and whatever follows a non-maximum suppression. What stands in the bodies
of `If`, `Loop` and `Scan` is counted as often as it runs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from math import prod

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from wildbench.measures.compute._count import Count
from wildbench.measures.compute._fixed_shapes import Shaping, Step, fixed_shapes
from wildbench.measures.compute._onnx_bodies import bring_out
from wildbench.measures.compute._onnx_rules import MOVES, PLAIN, is_plain, macs_of, operator_of, rule_of
from wildbench.submissions.formats import FACTORS, OnnxWeights
from wildbench.submissions.graphs import onnx_nodes

ADD_UP = frozenset(("ReduceSum", "ReduceMean", "ReduceSumSquare", "ReduceL2", "CumSum"))
SAME_VALUES = frozenset(("Identity", "Reshape", "Transpose", "Cast", "Squeeze", "Unsqueeze", "Flatten"))


class OnnxCounter:
    """Counts passes of one graph.

    Args:
        model: The graph, its functions expanded.

    Attributes:
        fixed: Whether every input of one size takes the same.
        outputs: Of the last pass, by name.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        model = onnx.ModelProto.FromString(model.SerializeToString())
        self.nodes = list(model.graph.node)
        self.weights = OnnxWeights(model)
        self.summed = _summed(self.nodes)
        self.fixed = _is_fixed(model.graph, self.summed)
        self.inner = bring_out(model.graph, lambda node: _tensors(node) if rule_of(node) else ())
        self.names = sorted(
            {name for node in self.nodes if (rule_of(node) or node.op_type == "RoiAlign") for name in _tensors(node)}
            | self.summed
        )
        self.outputs: dict[str, npt.NDArray[np.generic]] = {}
        self._given = [output.name for output in model.graph.output]
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        _give_out(model, self.names, [one.output for one in self.inner])
        self.session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def count(self, inputs: Sequence[npt.NDArray[np.generic]]) -> Count:
        """Run the graph once on its inputs, in its order, and count."""
        named = {slot.name: value for slot, value in zip(self.session.get_inputs(), inputs, strict=True)}
        wanted = [*self._given, *map(_shape_of, self.names), *(one.output for one in self.inner)]
        found = dict(zip(wanted, self.session.run(wanted, named), strict=True))
        self.outputs = {name: found[name] for name in self._given}
        shapes = {name: [int(side) for side in found[_shape_of(name)]] for name in self.names}
        count = Count(fixed=self.fixed)
        for node in self.nodes:
            if node.op_type == "RoiAlign":
                count.pool(shapes[node.input[1]][0])
            if node.output[0] in self.summed:
                count.spend(self._place(node), prod(shapes[node.output[0]]), None)
            else:
                self._spend(count, node, shapes)
            for inner in list(onnx_nodes(node))[1:]:
                if not rule_of(inner):
                    self._spend(count, inner, {})
        for one in self.inner:
            for sides in one.runs(found[one.output]):
                self._spend(count, one.node, dict(zip(one.tensors, sides, strict=True)))
        return count

    def _spend(self, count: Count, node: onnx.NodeProto, shapes: Mapping[str, Sequence[int]]) -> None:
        macs = macs_of(node, [shapes.get(name, []) for name in _tensors(node, every=True)])
        if macs is None:
            count.miss(operator_of(node))
        elif rule_of(node):
            count.spend(self._place(node), macs, self.weights.of(node) if node.op_type in FACTORS else None)
        elif node.op_type not in MOVES:
            count.skip(operator_of(node))

    def _place(self, node: onnx.NodeProto) -> str:
        """The module a node belongs to: told by its weight's name or by the exporter's scopes, else the node itself."""
        owners = (name.rpartition(".")[0] for name in node.input if name in self.weights.names)
        scopes = node.name.rpartition("/")[0].strip("/").replace("/", ".")
        return next((owner for owner in owners if owner), scopes or node.name or node.output[0])


def _tensors(node: onnx.NodeProto, *, every: bool = False) -> list[str]:
    """Inputs and first output; an optional input that is absent has an empty name."""
    names = [*node.input, node.output[0]]
    return names if every else [name for name in names if name]


def _summed(nodes: Sequence[onnx.NodeProto]) -> set[str]:
    """Outputs of `Mul` that are added up, which together are a product of matrices by other operators."""
    takers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in nodes:
        for name in node.input:
            takers[name].append(node)
    found = set()
    for node in nodes:
        waiting = [node.output[0]] if node.op_type == "Mul" and operator_of(node) == "Mul" else []
        seen = set(waiting)
        while waiting:
            for taker in takers[waiting.pop()]:
                if taker.op_type in ADD_UP:
                    found.add(node.output[0])
                elif taker.op_type in SAME_VALUES and taker.output[0] not in seen:
                    seen.add(taker.output[0])
                    waiting.append(taker.output[0])
    return found


def _shape_of(name: str) -> str:
    return f"{name}:shape"


def _give_out(model: onnx.ModelProto, names: Sequence[str], rows: Sequence[str]) -> None:
    """Give the model, in place, outputs with the shapes of these tensors, and these rows."""
    for name in names:
        model.graph.node.append(onnx.helper.make_node("Shape", [name], [_shape_of(name)]))
    for output in (*map(_shape_of, names), *rows):
        model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.INT64, None))


_REDUCTIONS = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split()  # noqa: SIM905 - shorter
_BY_VALUE = {
    **dict.fromkeys(("Reshape", "Expand", "ExpandDims", "Tile", "TopK", "OneHot", "Split", "Squeeze"), (1,)),
    **dict.fromkeys(("Unsqueeze", "AffineGrid", *(f"Reduce{end}" for end in _REDUCTIONS)), (1,)),
    **dict.fromkeys(("Slice", "Resize", "Pad", "Upsample", "DFT", "STFT", "Col2Im", "CenterCropPad"), (1, 2, 3, 4)),
    **dict.fromkeys(("Range", "ConstantOfShape", "MelWeightMatrix", "MaxUnpool", "CropAndResize"), range(5)),
    **dict.fromkeys(("HannWindow", "HammingWindow", "BlackmanWindow", "ConvTransposeWithDynamicPads"), range(4)),
}
_BY_CONTENT = """
Compress If Loop NonMaxSuppression NonZero Optional OptionalGetElement Scan SequenceAt SequenceConstruct SequenceEmpty
SequenceErase SequenceInsert SequenceMap SplitToSequence ConcatFromSequence StringNormalizer StringSplit Unique
"""
_OF_CHANCE = "Bernoulli Dropout Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"

SHAPING = Shaping(
    _BY_VALUE, frozenset(_BY_CONTENT.split()), frozenset(["Shape", "Size"]), frozenset(_OF_CHANCE.split())
)


def _is_fixed(graph: onnx.GraphProto, summed: Set[str]) -> bool:
    """Whether what is counted has the same shapes for every input of a size; not where a body has some of it."""
    if any(rule_of(inner) or not is_plain(inner) for node in graph.node for inner in list(onnx_nodes(node))[1:]):
        return False
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [value.name for value in graph.input if value.name not in stored]
    counted = {operator_of(node) for node in graph.node if rule_of(node) or node.op_type == "RoiAlign"}
    counted |= {"Mul"} if summed else set()
    steps = [Step(_kind(node), node.input, node.output) for node in graph.node]
    return fixed_shapes(steps, inputs, SHAPING, counted)


def _kind(node: onnx.NodeProto) -> str:
    """Its operator; Microsoft's that calculate value by value shape their results as the standard's do."""
    return node.op_type if not rule_of(node) and node.op_type in PLAIN else operator_of(node)
