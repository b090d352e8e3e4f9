"""Counting the multiply-accumulates of a LiteRT graph, from the shapes its tensors have on a real image.

The interpreter runs the graph without delegates, which would keep the shapes between their operators to themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from ai_edge_litert.interpreter import Interpreter, OpResolverType
from ai_edge_litert.schema_py_generated import BuiltinOperator

from wildbench.measures.compute._count import Count
from wildbench.measures.compute._fixed_shapes import Shaping, Step, fixed_shapes
from wildbench.submissions.graphs import read_lite
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    from wildbench.submissions.decode import Outputs
    from wildbench.submissions.formats import Inputs, LiteBackend
    from wildbench.submissions.graphs import LiteNode

Rule = Callable[["LiteNode", Sequence[Sequence[int]]], int]
"""Takes an operator and the shapes of its inputs and then its first output; gives MACs."""


def _convolution(_node: LiteNode, shapes: Sequence[Sequence[int]]) -> int:
    """Each weight meets each position once, of N x H x W x C."""
    return prod(shapes[1]) * prod(shapes[-1][:-1])


def _transposed(_node: LiteNode, shapes: Sequence[Sequence[int]]) -> int:
    return prod(shapes[1]) * prod(shapes[2][:-1])


def _product(node: LiteNode, shapes: Sequence[Sequence[int]]) -> int:
    turned = node.options is not None and node.options.number(0, "<b") and len(node.inputs) == 2
    return prod(shapes[-1]) * shapes[0][-2 if turned else -1]


RULES: dict[str, Rule] = {
    **dict.fromkeys(("CONV_2D", "DEPTHWISE_CONV_2D", "CONV_3D"), _convolution),
    **dict.fromkeys(("TRANSPOSE_CONV", "CONV_3D_TRANSPOSE"), _transposed),
    "FULLY_CONNECTED": lambda _node, shapes: prod(shapes[-1]) * shapes[1][-1],
    "BATCH_MATMUL": _product,
}

_UNKNOWN = """
BIDIRECTIONAL_SEQUENCE_LSTM BIDIRECTIONAL_SEQUENCE_RNN LSTM LSH_PROJECTION RFFT2D RNN STABLEHLO_COMPOSITE
STABLEHLO_CONVOLUTION STABLEHLO_CUSTOM_CALL STABLEHLO_DOT_GENERAL SVDF UNIDIRECTIONAL_SEQUENCE_LSTM
UNIDIRECTIONAL_SEQUENCE_RNN Convolution2DTransposeBias
"""

UNKNOWN = frozenset(_UNKNOWN.split())
"""Operators that multiply and have no rule."""

BODIES = {"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_CASE", "STABLEHLO_WHILE"}

_MOVES = """
BATCH_TO_SPACE_ND BROADCAST_ARGS BROADCAST_TO CAST CONCATENATION DEPTH_TO_SPACE DYNAMIC_UPDATE_SLICE EXPAND_DIMS FILL
GATHER GATHER_ND MIRROR_PAD ONE_HOT PACK PAD PADV2 RANGE RANK RESHAPE REVERSE_V2 SCATTER_ND SELECT SELECT_V2 SHAPE SLICE
SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE TOPK_V2 TRANSPOSE UNPACK WHERE ZEROS_LIKE
"""

MOVES = frozenset(_MOVES.split())
"""Operators that copy, choose or order values and calculate none."""


SHAPING = Shaping(
    {
        **dict.fromkeys(("RESHAPE", "TILE", "BROADCAST_TO", "TOPK_V2", "EXPAND_DIMS", "TRANSPOSE", "MIRROR_PAD"), (1,)),
        **dict.fromkeys(("PAD", "PADV2", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SUM", "MEAN"), (1,)),
        **dict.fromkeys(("REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "REDUCE_ANY", "REDUCE_ALL", "ONE_HOT"), (1,)),
        **dict.fromkeys(("SPARSE_TO_DENSE", "ARG_MAX", "ARG_MIN", "DYNAMIC_UPDATE_SLICE"), (1,)),
        **dict.fromkeys(("SLICE", "STRIDED_SLICE", "BATCH_TO_SPACE_ND", "SPACE_TO_BATCH_ND", "SPLIT_V"), (1, 2, 3)),
        **dict.fromkeys(("FILL", "TRANSPOSE_CONV", "CONV_3D_TRANSPOSE", "SPLIT", "RANDOM_UNIFORM"), (0,)),
        **dict.fromkeys(("RANDOM_STANDARD_NORMAL", "MULTINOMIAL", "RANGE", "SCATTER_ND", "BROADCAST_ARGS"), (0, 1, 2)),
    },
    frozenset(("IF", "WHILE", "CALL", "CALL_ONCE", "CUSTOM", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5"))
    | frozenset(("READ_VARIABLE", "HASHTABLE_FIND", "DELEGATE", "STABLEHLO_WHILE", "UNIQUE", "WHERE", "SEGMENT_SUM")),
    frozenset(("SHAPE", "RANK")),
    frozenset(("RANDOM_UNIFORM", "RANDOM_STANDARD_NORMAL", "MULTINOMIAL")),
)


class LiteCounter:
    """Counts passes of one graph; unknown is what the bodies of `IF` and `WHILE` multiply."""

    def __init__(self, backend: LiteBackend) -> None:
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        interpreter = Interpreter(model_content=backend.content, experimental_op_resolver_type=plain)
        self.backend = type(backend)(interpreter, backend.graph, backend.content)
        self.names = [node["op_name"] for node in self.backend.interpreter._get_ops_details()]
        self.outputs: Outputs = {}
        steps = [
            Step(name if not node.custom else "CUSTOM", [*map(str, node.inputs)], [*map(str, node.outputs)])
            for name, node in zip(self.names, backend.graph.nodes, strict=True)
        ]
        self.fixed = fixed_shapes(steps, map(str, backend.graph.inputs), SHAPING, RULES)
        others = read_lite(Source(Path("graph.tflite"), backend.content)).graphs[1:]
        operators = {code: name for name, code in vars(BuiltinOperator).items()}
        kinds = {operators.get(node.code, node.custom) for graph in others for node in graph.nodes}
        self.multiplying = not kinds.isdisjoint(UNKNOWN | RULES.keys())

    def count(self, inputs: Inputs) -> Count:
        """Run the graph once on its inputs, and count."""
        self.outputs = self.backend.run(inputs)
        graph, count = self.backend.graph, Count(fixed=self.fixed)
        for node, name in zip(graph.nodes, self.names, strict=True):
            if name in RULES:
                weight, shapes = graph.weight(node), [self._shape(at) for at in (*node.inputs, node.outputs[0])]
                tensor = graph.tensors[node.outputs[0] if weight is None else weight].name
                count.spend(tensor.partition(";")[0], RULES[name](node, shapes), None if weight is None else tensor)
            elif name in UNKNOWN or (name in BODIES and self.multiplying):
                count.miss(name)
            elif name not in MOVES and name not in BODIES:
                count.skip(name)
        return count

    def _shape(self, at: int) -> list[int]:
        if at < 0:
            return []
        return [int(side) for side in self.backend.interpreter._get_tensor_details(at, 0)["shape"]]
