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

UNKNOWN = {"RNN", "LSTM", "GRU", "Einsum", "MultiHeadAttention", "DeformableConv2D", "Spectrogram"}
"""Layers that multiply and have no rule."""

WEIGHT_COUNT, CALCULATED = 6, 19
"""Numbers of the parameters of a convolution that say how many weights it has, and that another layer gives them."""


def count_layers(backend: NcnnBackend, inputs: Inputs) -> Count:
    """Run the network once on its inputs, and count."""
    kernels = [layer for layer in backend.layers if "onvolution" in layer.kind]
    products = [layer for layer in backend.layers if layer.kind in ("InnerProduct", "MatMul", "Gemm", "SDPA")]
    names = [name for layer in (*kernels, *products) for name in (*layer.inputs, *layer.outputs)]
    shapes = {name: blob.shape for name, blob in backend.extract(inputs, names).items()}
    count = Count(fixed=all(layer.kind not in BY_CONTENT for layer in backend.layers))
    for layer in backend.layers:
        if layer.kind in UNKNOWN or (layer in kernels and (layer.number(CALCULATED) or not layer.number(WEIGHT_COUNT))):
            count.miss(layer.kind)
        elif layer in kernels:
            positions = shapes[(layer.inputs if layer.kind.startswith("Deconvolution") else layer.outputs)[0]][1:]
            count.spend(layer.name, layer.number(WEIGHT_COUNT) * prod(positions), f"{layer.name}.weight")
        elif layer in products:
            weight = f"{layer.name}.weight" if layer.kind == "InnerProduct" else None
            count.spend(layer.name, _product(layer, shapes), weight)
        elif layer.kind not in MOVES:
            count.skip(layer.kind)
    return count


def _product(layer: Layer, shapes: dict[str, tuple[int, ...]]) -> int:
    """Of rows and a stored matrix, of two matrices, or of queries with each key and then with each value."""
    rows, first = shapes[layer.outputs[0]], shapes[layer.inputs[0]] if layer.inputs else ()
    if layer.kind == "InnerProduct":
        return layer.number(2) * prod(rows[:-1])
    if layer.kind == "SDPA":
        return (prod(first) + prod(rows)) * shapes[layer.inputs[1]][-2]
    if layer.kind == "Gemm":  # 4 says that its left factor is stored, 9 gives what is summed over, 2 that it is turned
        return prod(rows) * (layer.number(9) if layer.number(4) else first[-2 if layer.number(2) else -1])
    return prod(rows) * first[-1]
