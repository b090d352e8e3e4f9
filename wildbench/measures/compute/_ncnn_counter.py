"""Counting the multiply-accumulates of an ncnn network, from the shapes its blobs have for a real image."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from wildbench.measures.compute._count import Count

if TYPE_CHECKING:
    from wildbench.submissions.formats import Inputs, Layer, NcnnBackend

_MOVES = """
Cast Concat Crop DeepCopy Dropout Embed ExpandDims Flatten Input MemoryData Noop Packing Padding Permute PixelShuffle
Reorg Reshape ShuffleChannel Slice Split Squeeze Tile Unfold
"""

MOVES = frozenset(_MOVES.split())
"""Layers that copy, choose or order values and calculate none."""

BY_CONTENT = frozenset(("DetectionOutput", "Proposal", "Yolov3DetectionOutput", "YoloDetectionOutput"))
"""Layers whose result has as many rows as are found."""

WEIGHT_COUNT = 6
"""Number of the parameter of a convolution that says how many weights it has."""


def count_layers(backend: NcnnBackend, inputs: Inputs) -> Count:
    """Run the network once on its inputs, and count."""
    kernels = [layer for layer in backend.layers if "onvolution" in layer.kind]
    products = [layer for layer in backend.layers if layer.kind in ("InnerProduct", "MatMul")]
    names = [name for layer in (*kernels, *products) for name in (*layer.inputs, *layer.outputs)]
    shapes = {name: blob.shape for name, blob in backend.extract(inputs, names).items()}
    count = Count(fixed=all(layer.kind not in BY_CONTENT for layer in backend.layers))
    for layer in backend.layers:
        if layer in kernels and layer.number(WEIGHT_COUNT):
            positions = shapes[(layer.inputs if layer.kind.startswith("Deconvolution") else layer.outputs)[0]][1:]
            count.spend(layer.name, layer.number(WEIGHT_COUNT) * prod(positions), f"{layer.name}.weight")
        elif layer in products:
            count.spend(layer.name, _product(layer, shapes), None if layer.kind == "MatMul" else f"{layer.name}.weight")
        elif layer.kind not in MOVES:
            count.skip(layer.kind)
    return count


def _product(layer: Layer, shapes: dict[str, tuple[int, ...]]) -> int:
    """Of rows and a stored matrix, or of two matrices."""
    rows = shapes[layer.outputs[0]]
    return prod(rows) * shapes[layer.inputs[0]][-1] if layer.kind == "MatMul" else layer.number(2) * prod(rows[:-1])
