"""Counting the multiply-accumulates of an OpenVINO graph, by OpenVINO's own inference of shapes for a real input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

import openvino

from wildbench.measures.compute._count import NO_NAME, Count, convolution_macs, einsum_macs
from wildbench.submissions.graphs import FACTORS, RECURRENT

if TYPE_CHECKING:
    from wildbench.submissions.formats import Inputs, OpenVinoBackend
    from wildbench.submissions.graphs import IrLayer

Rule = Callable[[openvino.Node, Sequence[Sequence[int]]], int]
"""Takes a layer and the shapes of its inputs and then its output; gives MACs."""


def _convolution(weight: int, *, transposed: bool = False) -> Rule:
    return lambda _node, shapes: convolution_macs(shapes[0], shapes[weight], shapes[-1], transposed=transposed)


def _product(node: openvino.Node, shapes: Sequence[Sequence[int]]) -> int:
    return prod(shapes[-1]) * shapes[0][-2 if node.get_attributes()["transpose_a"] else -1]


def _einsum(node: openvino.Node, shapes: Sequence[Sequence[int]]) -> int:
    return einsum_macs(str(node.get_attributes()["equation"]), shapes[:-1])


def _attention(_node: openvino.Node, shapes: Sequence[Sequence[int]]) -> int:
    """Each query with each key, then with each value."""
    return (prod(shapes[0]) + prod(shapes[-1])) * shapes[1][-2]


def _recurrent(first: int) -> Rule:
    """Each step of each sequence meets the weights of the input and those of the state."""
    return lambda _node, shapes: prod(shapes[0][:-1]) * (prod(shapes[first]) + prod(shapes[first + 1]))


UNNAMED = dict.fromkeys(("MatMul", "Einsum", "ScaledDotProductAttention"))
"""What a product without a stored factor multiplies: two activations."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(("Convolution", "GroupConvolution", "BinaryConvolution"), _convolution(1)),
    **dict.fromkeys(("ConvolutionBackpropData", "GroupConvolutionBackpropData"), _convolution(1, transposed=True)),
    "DeformableConvolution": _convolution(2),
    "MatMul": _product,
    "Einsum": _einsum,
    "ScaledDotProductAttention": _attention,
    **{kind: _recurrent(first) for kind, first in RECURRENT.items()},
}

UNKNOWN = {*("DFT", "IDFT", "RDFT", "IRDFT", "STFT", "ISTFT", "Inverse", "MOE"), *("AUGRUCell", "AUGRUSequence")}
"""Layers that multiply and have no rule."""

BODIES = {"If", "Loop", "TensorIterator"}

_MOVES = """
BatchToSpace Broadcast Concat Const Convert ConvertLike DepthToSpace Gather GatherElements GatherND NonZero OneHot Pad
Parameter Range Reshape Result Reverse ScatterElementsUpdate ScatterNDUpdate ScatterUpdate Select ShapeOf
ShuffleChannels Slice SpaceToBatch SpaceToDepth Split Squeeze StridedSlice Tile TopK Transpose Unsqueeze VariadicSplit
"""

MOVES = frozenset(_MOVES.split())
"""Layers that copy, choose or order values and calculate none."""


class OpenVinoCounter:
    """Counts passes of one graph.

    Unknown is what is multiplied in bodies of `If`, `Loop` and `TensorIterator`, and where shapes depend on values, as
    those after a non-maximum suppression do.
    """

    def __init__(self, backend: OpenVinoBackend) -> None:
        self.backend, self.model = backend, backend.model.clone()
        self.layers = {layer.name: layer for layer in backend.graph.layers.values()}

    def count(self, inputs: Inputs) -> Count:
        """Count one pass over these inputs; nothing runs."""
        self.model.reshape({at: list(values.shape) for at, values in self.backend.places(inputs).items()})
        count = Count()
        for node in self.model.get_ordered_ops():
            layer, kind = self.layers.get(node.get_friendly_name()), node.get_type_name()
            if kind not in RULES:
                self._without_rule(count, kind, layer.kind if layer else kind)
                continue
            shapes = [value.get_partial_shape() for value in (*node.input_values(), node.output(0))]
            if any(shape.is_dynamic for shape in shapes):
                count.miss(f"{kind} of a free shape")
                continue
            macs = RULES[kind](node, [[int(side) for side in shape.to_shape()] for shape in shapes])
            if layer is None or layer.kind != kind:  # another layer of that name
                count.spend(node.get_friendly_name(), macs, NO_NAME)
                continue
            weight = layer.weight() if kind in FACTORS else None
            count.spend(_place(layer, weight), macs, weight.name if weight else UNNAMED.get(kind, NO_NAME))
        return count

    def _without_rule(self, count: Count, kind: str, name: str) -> None:
        inside = [layer.kind for graph in self.backend.bodies for layer in graph.of(*RULES, *UNKNOWN)]
        if kind in UNKNOWN:
            count.miss(kind)
        elif kind in BODIES and inside:
            count.miss(f"{inside[0]} inside {kind}")
        elif name not in MOVES and kind not in BODIES:
            count.skip(name)


def _place(layer: IrLayer, weight: IrLayer | None) -> str:
    """The module a layer belongs to: told by its weight's name, by torch's or the exporter's scopes, else by itself."""
    owner = weight.name.rpartition(".")[0] if weight and "/" not in weight.name else ""
    scope, torch, _ = layer.name.partition("/aten::")
    if torch:
        return owner or scope.removeprefix("__module.").removeprefix("self.")
    return owner or layer.name.rpartition("/")[0].strip("/").replace("/", ".") or layer.name
