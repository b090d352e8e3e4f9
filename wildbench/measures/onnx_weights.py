"""Which stored tensor each node of an ONNX graph multiplies with."""

from __future__ import annotations

from collections.abc import Iterator

import onnx
from onnx import numpy_helper

from wildbench.measures.macs import NO_NAME

FACTORS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "NhwcFusedConv", "DeformConv", "ConvTranspose"), (1,)),
    **dict.fromkeys(("QLinearConv", "MatMulNBits"), (3,)),
    **dict.fromkeys(("Gemm", "FusedGemm", "MatMul", "MatMulInteger"), (1, 0)),
    **dict.fromkeys(("QLinearMatMul", "QGemm"), (3, 0)),
}
"""Inputs that may be a weight; where there is only one, it always is."""

ZERO_POINTS = {
    "DequantizeLinear": 2,
    "QLinearConv": 5,
    "QLinearMatMul": 5,
    "QGemm": 5,
    "ConvInteger": 3,
    "MatMulInteger": 3,
}
"""The input that says which stored number means zero."""

REARRANGING = {"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "DequantizeLinear"}
"""Nodes through which a stored tensor passes value by value."""


class OnnxWeights:
    """Finds the weights of one graph.

    Args:
        model: The graph, its functions inlined.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.names = {tensor.name for tensor in model.graph.initializer}
        self.makers = {name: node for node in model.graph.node for name in node.output}
        self.values = {tensor.name: tensor for tensor in model.graph.initializer} | dict(_constants(model))

    def of(self, node: onnx.NodeProto) -> str | None:
        """The name under which a node's weight is stored.

        Returns:
            None where it multiplies two activations; `NO_NAME` where what is stored is not its values one by one, or
            where a stored 0 is no 0, so that zeros and bits cannot be told from it.
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
