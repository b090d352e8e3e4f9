"""Counting the multiply-accumulates of an ONNX graph, from the shapes its tensors have on a real image.

ONNX Runtime runs the graph once with a `Shape` node added for each tensor that a rule needs. Shapes are thus right
where static inference gives up: dynamic axes, and whatever follows a non-maximum suppression.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime

from wildbench.measures.compute._count import Count
from wildbench.measures.compute._onnx_rules import MOVES, is_plain, macs_of, operator_of, rule_of
from wildbench.submissions.formats import FACTORS, OnnxWeights
from wildbench.submissions.graphs import onnx_nodes


class OnnxCounter:
    """Counts passes of one graph.

    Args:
        model: The graph, its functions expanded. Products in bodies of `If`, `Loop` and `Scan` leave a count unknown.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.nodes = list(model.graph.node)
        self.weights = OnnxWeights(model)
        self.names = sorted(
            {name for node in self.nodes if (rule_of(node) or node.op_type == "RoiAlign") for name in _tensors(node)}
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
            self._spend(count, node, [shapes.get(name, []) for name in _tensors(node, every=True)])
        return count

    def _spend(self, count: Count, node: onnx.NodeProto, shapes: Sequence[Sequence[int]]) -> None:
        macs = macs_of(node, shapes)
        if macs is None:
            count.miss(operator_of(node))
        elif rule_of(node):
            count.spend(self._place(node), macs, self.weights.of(node) if node.op_type in FACTORS else None)
        elif node.op_type not in MOVES:
            count.skip(operator_of(node))
        for inner in list(onnx_nodes(node))[1:]:
            if rule_of(inner) or not is_plain(inner):
                count.miss(f"{operator_of(inner)} inside {node.op_type}")
            elif inner.op_type not in MOVES:
                count.skip(operator_of(inner))

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
