"""Counting the multiply-accumulates of an OpenVINO graph, by OpenVINO's own inference of shapes for a real input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import TYPE_CHECKING

import openvino

from wildbench.measures.compute._count import NO_NAME, Count, convolution_macs

if TYPE_CHECKING:
    from wildbench.submissions.formats import Inputs, OpenVinoBackend
    from wildbench.submissions.graphs import IrLayer

Rule = Callable[[openvino.Node, Sequence[Sequence[int]]], int]
"""Takes a layer and the shapes of its inputs and then its output; gives MACs."""


def _convolution(weight: int, *, transposed: bool = False) -> Rule:
    return lambda _node, shapes: convolution_macs(shapes[0], shapes[weight], shapes[-1], transposed=transposed)


def _product(node: openvino.Node, shapes: Sequence[Sequence[int]]) -> int:
    return prod(shapes[-1]) * shapes[0][-2 if node.get_attributes()["transpose_a"] else -1]


UNNAMED = {"MatMul": None}
"""What a product without a stored factor multiplies: two activations."""

RULES: dict[str, Rule] = {
    **dict.fromkeys(("Convolution", "GroupConvolution", "BinaryConvolution"), _convolution(1)),
    **dict.fromkeys(("ConvolutionBackpropData", "GroupConvolutionBackpropData"), _convolution(1, transposed=True)),
    "DeformableConvolution": _convolution(2),
    "MatMul": _product,
}

_MOVES = """
BatchToSpace Broadcast Concat Const Convert ConvertLike DepthToSpace Gather GatherElements GatherND NonZero OneHot Pad
Parameter Range Reshape Result Reverse ScatterElementsUpdate ScatterNDUpdate ScatterUpdate Select ShapeOf
ShuffleChannels Slice SpaceToBatch SpaceToDepth Split Squeeze StridedSlice Tile TopK Transpose Unsqueeze VariadicSplit
"""

MOVES = frozenset(_MOVES.split())
"""Layers that copy, choose or order values and calculate none."""


class OpenVinoCounter:
    """Counts passes of one graph.

    Reported as uncounted are bodies of `If`, `Loop` and `TensorIterator`, and what multiplies matrices whose shapes
    depend on values, as those after a non-maximum suppression do.
    """

    def __init__(self, backend: OpenVinoBackend) -> None:
        self.backend, self.model = backend, backend.model.clone()
        self.layers = {layer.name: layer for layer in backend.graph.layers.values()}

    def count(self, inputs: Inputs) -> Count:
        """Count one pass over these inputs; nothing runs."""
        self.model.reshape({at: list(values.shape) for at, values in self.backend.places(inputs).items()})
        count = Count()
        for node in self.model.get_ordered_ops():
            layer = self.layers.get(node.get_friendly_name())
            kind = layer.kind if layer else node.get_type_name()
            if kind not in RULES or layer is None:
                if kind not in MOVES:
                    count.skip(kind)
                continue
            shapes = [value.get_partial_shape() for value in (*node.input_values(), node.output(0))]
            if any(shape.is_dynamic for shape in shapes):
                count.skip(f"{kind} of a free shape")
                continue
            macs = RULES[kind](node, [[int(side) for side in shape.to_shape()] for shape in shapes])
            weight = layer.weight()
            count.spend(_place(layer, weight), macs, weight.name if weight else UNNAMED.get(kind, NO_NAME))
        return count


def _place(layer: IrLayer, weight: IrLayer | None) -> str:
    """The module a layer belongs to: told by its weight's name, by torch's or the exporter's scopes, else by itself."""
    owner = weight.name.rpartition(".")[0] if weight and "/" not in weight.name else ""
    scope, torch, _ = layer.name.partition("/aten::")
    if torch:
        return owner or scope.removeprefix("__module.").removeprefix("self.")
    return owner or layer.name.rpartition("/")[0].strip("/").replace("/", ".") or layer.name
