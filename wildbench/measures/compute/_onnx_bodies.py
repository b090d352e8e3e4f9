"""The shapes that tensors have in the bodies of `If`, `Loop` and `Scan`, brought out of them as outputs of the graph.

Each node that is counted writes the shapes of its tensors into one row of whole numbers. A branch that does not run
writes a row of -1; a loop stacks the rows of its rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

MOST_AXES = 8
"""Of a tensor whose shape is brought out; none that is counted has more."""


@dataclass(frozen=True)
class Inner:
    """A node in a body, and the output of the graph that has its rows."""

    node: onnx.NodeProto
    tensors: Sequence[str]
    output: str

    def runs(self, rows: npt.NDArray[np.int64]) -> Iterator[list[list[int]]]:
        """The shapes of its tensors in each of its runs."""
        for row in rows.reshape(-1, len(self.tensors), MOST_AXES).tolist():
            shapes = [[side for side in shape if side >= 0] for shape in row]
            if any(shapes):
                yield shapes


def bring_out(
    graph: onnx.GraphProto, tensors_of: Callable[[onnx.NodeProto], Sequence[str]], depth: int = 0
) -> list[Inner]:
    """Give the bodies of a graph, in place, an output with the rows of each counted node.

    Args:
        graph: Whose nodes get the outputs of their bodies.
        tensors_of: The tensors of a node that is counted; of others none.
        depth: 0 for the graph itself, whose own nodes are left as they are.

    Returns:
        The nodes in bodies, with the output that the graph now has for each.
    """
    found: list[Inner] = []
    for place, node in enumerate(list(graph.node)):
        bodies = [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]
        inner = [bring_out(body, tensors_of, depth + 1) for body in bodies]
        for own, rows in zip(bodies, inner, strict=True):
            for one in rows:
                outside = f"{one.output}:out{depth}"
                for body in bodies:
                    name = one.output if body is own else _filler(body, one)
                    body.output.append(helper.make_tensor_value_info(name, TensorProto.INT64, None))
                node.output.append(outside)
                found.append(Inner(one.node, one.tensors, outside))
        tensors = tensors_of(node) if depth else ()
        if tensors:
            found.append(Inner(node, tensors, _row(graph, tensors, f"rows:{depth}:{place}:{node.output[0]}")))
    return found


def _row(graph: onnx.GraphProto, tensors: Sequence[str], name: str) -> str:
    """Nodes that make the row."""
    for key, values in (("none", [-1] * MOST_AXES), ("begin", [0]), ("end", [MOST_AXES])):
        graph.node.append(_constant(f"{name}:{key}", values))
    for at, tensor in enumerate(tensors):
        whole = [f"{name}:{at}:shape", f"{name}:{at}:padded", f"{name}:{at}"]
        graph.node.append(helper.make_node("Shape", [tensor], [whole[0]]))
        graph.node.append(helper.make_node("Concat", [whole[0], f"{name}:none"], [whole[1]], axis=0))
        graph.node.append(helper.make_node("Slice", [whole[1], f"{name}:begin", f"{name}:end"], [whole[2]]))
    graph.node.append(helper.make_node("Concat", [f"{name}:{at}" for at in range(len(tensors))], [name], axis=0))
    return name


def _filler(body: onnx.GraphProto, one: Inner) -> str:
    name = f"{one.output}:else"
    body.node.append(_constant(name, [-1] * MOST_AXES * len(one.tensors)))
    return name


def _constant(name: str, values: list[int]) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(np.array(values, np.int64)))
