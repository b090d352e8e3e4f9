"""A LiteRT (TensorFlow Lite) graph as data.

Numbers of fields, operators and types are those of tensorflow/lite/schema/schema.fbs in TensorFlow's repository.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from wildbench.submissions.graphs._bytes import Table, made_of, stored_values
from wildbench.submissions.source import EXPORT_AGAIN, Source

TYPES = (
    *("float32", "float16", "int32", "uint8", "int64", "string", "bool", "int16", "complex64", "int8", "float64"),
    *("complex128", "uint64", "resource", "variant", "uint32", "uint16", "int4", "bfloat16", "int2", "uint4"),
    *("float8_e4m3fn", "float8_e5m2"),
)

CUSTOM = 32
REARRANGING = {6, 22, 39, 43, 53, 70}
"""DEQUANTIZE, RESHAPE, TRANSPOSE, SQUEEZE, CAST, EXPAND_DIMS: a stored tensor passes value by value."""

FACTORS = {3: (1, 0), 4: (1, 0), 9: (1, 0), 67: (1, 2), 126: (1, 0), 132: (1, 0), 141: (1, 2)}
"""Which inputs of CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, TRANSPOSE_CONV, BATCH_MATMUL, CONV_3D and
CONV_3D_TRANSPOSE are multiplied: the weight and what it meets."""

JOINING = {0, 2, 18, 41, 42, 55, 57, 64, 78, 83, 99, 106, 123}
"""ADD, CONCATENATION, MUL, SUB, DIV, MAXIMUM, MINIMUM, SELECT, POW, PACK, SQUARED_DIFFERENCE, ADD_N and SELECT_V2 have
values of all their inputs in the result."""

VALUES = {7: 1, 49: 1, 94: 1, 122: 1}
"""EMBEDDING_LOOKUP, SPLIT, FILL, SCATTER_ND: the input whose values are; of any other it is the first."""

MATRICES = 126
BLOCKWISE = 2

MOST = 2**18
"""Tensors and operators of a file; a detector has about a thousand."""


@dataclass(frozen=True)
class LiteTensor:
    """A tensor: stored, or calculated as the graph runs."""

    name: str
    shape: tuple[int | None, ...]
    """None for what may change from run to run."""
    dtype: str
    buffer: int
    data: bytes
    """What is stored of it; empty for one that is calculated."""
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int
    """Along which the scales lie, where there are several."""

    @property
    def nonzero(self) -> int | None:
        """Stored numbers that do not stand for 0; None where the type is not known."""
        numbers = stored_values(self.data, self.dtype, math.prod(side or 0 for side in self.shape))
        if numbers is None:
            return None
        if any(self.zero_points):
            sides = [1] * len(self.shape)
            if len(self.zero_points) > 1:
                sides[self.axis] = len(self.zero_points)
            zeros = np.array(self.zero_points).reshape(sides)
            numbers = numbers.reshape([side or 0 for side in self.shape]) != zeros
        return int(np.count_nonzero(numbers))


@dataclass(frozen=True)
class LiteNode:
    """One operator."""

    code: int
    custom: str
    """Name of a custom operator; empty for one of the schema."""
    inputs: tuple[int, ...]
    """Positions of tensors; -1 for an optional one that is absent."""
    outputs: tuple[int, ...]
    options: Table | None


@dataclass(frozen=True)
class LiteGraph:
    """One subgraph."""

    tensors: list[LiteTensor]
    nodes: list[LiteNode]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def makers(self) -> dict[int, LiteNode]:
        """The operator that calculates each tensor."""
        return {at: node for node in self.nodes for at in node.outputs}

    @cached_property
    def multiplying(self) -> list[LiteNode]:
        """Operators that multiply and add: convolutions and products of matrices."""
        return [node for node in self.nodes if node.code in FACTORS]

    @cached_property
    def multiplied(self) -> set[int]:
        """Positions of the tensors of which a factor is made."""

        def inputs(at: int) -> tuple[int, ...]:
            node = self.makers.get(at)
            if node is None or node.code in FACTORS:
                return ()
            first = VALUES.get(node.code, 0)
            return node.inputs if node.code in JOINING else node.inputs[first : first + 1]

        factors = [node.inputs[place] for node in self.multiplying for place in FACTORS[node.code]]
        return made_of(factors, inputs)

    def weight(self, node: LiteNode) -> int | None:
        """Position of the stored tensor that an operator multiplies with; None where it multiplies two activations."""
        places = FACTORS[node.code] if node.code == MATRICES else FACTORS[node.code][:1]
        stored = (self._stored(node.inputs[place]) for place in places)
        return next((at for at in stored if at is not None), None)

    def activation_bits(self, node: LiteNode) -> int:
        """Bits of what meets an operator's weight.

        A float that meets stored integers is rounded to 8 bits as it comes (LiteRT's hybrid kernels), unless the
        integers are turned into floats first.
        """
        weight, met = (self.tensors[node.inputs[place]].dtype for place in FACTORS[node.code])
        kind = "int8" if met == "float32" and weight in ("int8", "uint8", "int4", "int2") else met
        return {"int8": 8, "uint8": 8, "int16": 16, "float16": 16, "bfloat16": 16}.get(kind, 32)

    def _stored(self, at: int) -> int | None:
        seen = set[int]()
        while not self.tensors[at].data:
            maker = self.makers.get(at)
            if maker is None or maker.code not in REARRANGING or at in seen:
                return None
            seen.add(at)
            at = maker.inputs[0]
        return at


@dataclass(frozen=True)
class LiteModel:
    """A whole file."""

    graphs: list[LiteGraph]
    """The first is the one that runs; others are bodies of control flow, or of further signatures."""
    metadata: dict[str, bytes]
    """What tools keep in the file, by its name."""

    @property
    def main(self) -> LiteGraph:
        """The graph that runs."""
        return self.graphs[0]


def read_lite(source: Source) -> LiteModel:
    """Parse a file; a SubmissionError where it is damaged."""
    try:
        return _model(source.data)
    except (ValueError, IndexError, OverflowError) as error:
        raise source.error(f"damaged or cut short ({error})", remedy=EXPORT_AGAIN) from None


def _model(data: bytes) -> LiteModel:
    root = Table.root(data)
    buffers = [_stored(data, buffer) for buffer in root.tables(4)]
    codes = [(max(code.number(0, "<b"), code.number(3)), code.text(1)) for code in root.tables(1)]
    tables = root.tables(2)
    if root.tables(8):
        raise ValueError("its weights are in another file")
    if sum(len(table.numbers(field, "<u4")) for table in tables for field in (0, 3)) > MOST:
        raise ValueError(f"more than {MOST:,} tensors and operators")
    names: dict[str, int] = {}
    graphs = [_graph(table, codes, buffers, names) for table in tables]
    if not graphs or not graphs[0].outputs:
        raise ValueError("its graph has no output")
    return LiteModel(graphs, {entry.text(0): buffers[entry.number(1, "<I")] for entry in root.tables(6)})


def _stored(data: bytes, buffer: Table) -> bytes:
    start = buffer.number(1, "<Q")
    return data[start : start + buffer.number(2, "<Q")] if start > 1 else buffer.numbers(0, "u1").tobytes()


def _graph(table: Table, codes: list[tuple[int, str]], buffers: list[bytes], names: dict[str, int]) -> LiteGraph:
    tensors = [_tensor(entry, buffers, names) for entry in table.tables(0)]
    nodes = [_node(entry, codes, len(tensors)) for entry in table.tables(3)]
    ends = [_positions(table, field, len(tensors)) for field in (1, 2)]
    return LiteGraph(tensors, nodes, *ends)


def _tensor(table: Table, buffers: list[bytes], names: dict[str, int]) -> LiteTensor:
    signature = table.numbers(7, "<i4")
    shape = signature if len(signature) else table.numbers(0, "<i4")
    if len(shape) > 32:
        raise ValueError(f"a tensor of {len(shape)} dimensions")
    quantization, buffer = table.table(4), table.number(2, "<I")
    name = table.text(3)
    names[name] = names.get(name, -1) + 1
    return LiteTensor(
        name=f"{name}:{names[name]}" if names[name] or not name else name,
        shape=tuple(int(side) if side >= 0 else None for side in shape),
        dtype=TYPES[table.number(1, "<b")],
        buffer=buffer,
        data=buffers[buffer],
        scales=tuple(quantization.numbers(2, "<f4").tolist()) if quantization else (),
        zero_points=tuple(quantization.numbers(3, "<i8").tolist()) if quantization else (),
        axis=quantization.number(6) if quantization else 0,
    )


def _node(table: Table, codes: list[tuple[int, str]], tensors: int) -> LiteNode:
    code, custom = codes[table.number(0, "<I")]
    inputs, outputs = (_positions(table, field, tensors) for field in (1, 2))
    if len(inputs) <= max(FACTORS.get(code, (-1,))):
        raise ValueError("an operator lacks a factor")
    return LiteNode(code, custom if code == CUSTOM else "", inputs, outputs, table.table(4))


def _positions(table: Table, field: int, tensors: int) -> tuple[int, ...]:
    positions = tuple(table.numbers(field, "<i4").tolist())
    if positions and not -1 <= min(positions) <= max(positions) < tensors:
        raise ValueError("an operator takes a tensor that is not there")
    return positions
