"""Graphs in ONNX Runtime's own format (ORT): read as a flatbuffer by its schema, `ort.fbs`, and run by ONNX Runtime."""

from __future__ import annotations

import math

import numpy as np

from wildbench.submissions.formats._format import Format, Listing, Port, Signature, Tensor, width_of
from wildbench.submissions.formats._onnx_tensors import CHOICES, MULTIPLYING, SETTINGS
from wildbench.submissions.formats.onnx_graph import FORMAT as ONNX
from wildbench.submissions.formats.onnx_graph import METADATA_KEY, ORT, OnnxBackend, dtype_name
from wildbench.submissions.graphs import Table, made_of, stored_values
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

READS = "graph that ONNX Runtime reads", "not-ort"


class Ort(Format):
    """What ONNX Runtime writes for its mobile builds."""

    name, suffix, title = "ort", ".ort", "a graph in ONNX Runtime's own format"
    runs_code = False
    extra = "onnx"
    libraries = ("onnxruntime",)

    def sniff(self, source: Source) -> bool:
        """By the identifier of the schema."""
        return source.data[4:8] == ORT

    def manifest(self, source: Source) -> str | None:
        """The metadata property."""
        return _properties(source).get(METADATA_KEY)

    def metadata(self, source: Source) -> dict[str, str]:
        """Its properties, the manifest apart."""
        return {key: value for key, value in _properties(source).items() if key != METADATA_KEY}

    def signature(self, source: Source) -> Signature:
        """The graph's inputs and outputs."""
        with source.reading(*READS):
            graph = source.parsed(_ort_model).child(7)
            ports = {value.text(0): value for value in graph.tables(1)}
            inputs, outputs = ([_ort_port(ports[name]) for name in graph.texts(field)] for field in (5, 6))
        return Signature(tuple(inputs), tuple(outputs))

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """Initializers of floats, and integers of which a factor is made; which are codes, the file does not tell."""
        with source.reading(*READS):
            graph = source.parsed(_ort_model).child(7)
            multiplied = _multiplied(graph)
            tensors = [_ort_tensor(one, multiplied) for one in graph.tables(0)]
        if any(tensor.bits is not None and tensor.bits <= 8 for tensor in tensors):
            return Listing(None, reason="a quantized graph in ONNX Runtime's own format does not tell its weights")
        return Listing(tensors)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> OnnxBackend:
        """Open it in ONNX Runtime."""
        return ONNX.open(Source(source.path, source.data), manifest, device, threads)


def _ort_model(source: Source) -> Table:
    return Table.root(source.data).child(1)


def _properties(source: Source) -> dict[str, str]:
    with source.reading(*READS):
        return {entry.text(0): entry.text(1) for entry in source.parsed(_ort_model).tables(9)}


def _ort_port(value: Table) -> Port:
    kind = value.child(2).child(2)
    shape = kind.table(1)
    sides = [side.table(0) for side in shape.tables(0)] if shape else []
    fixed = [side.number(1, "<q") if side and side.number(0, "<b") == 1 else None for side in sides]
    return Port(value.text(0), tuple(fixed), dtype_name(kind.number(0)))


def _multiplied(graph: Table) -> set[str]:
    """Names of the tensors of which a factor is made."""
    nodes = [(node.text(5), node.texts(8), node.texts(9)) for node in graph.tables(2)]
    makers = {output: (kind, inputs) for kind, inputs, outputs in nodes for output in outputs}

    def values(name: str) -> list[str]:
        kind, inputs = makers.get(name, ("", []))
        places = {*SETTINGS.get(kind, ()), *CHOICES.get(kind, ())}
        return [] if kind in MULTIPLYING else [one for at, one in enumerate(inputs) if one and at not in places]

    return made_of((one for kind, inputs, _ in nodes if kind in MULTIPLYING for one in inputs), values)


def _ort_tensor(stored: Table, multiplied: set[str]) -> Tensor:
    dtype, data = dtype_name(stored.number(3)), stored.numbers(4, "u1")
    shape = tuple(int(side) for side in stored.numbers(2, "<i8"))
    values = stored_values(data.tobytes(), dtype, math.prod(shape))
    real = dtype in ("float32", "float16", "float64", "bfloat16")
    bits = width_of(dtype)
    return Tensor(
        name=stored.text(0),
        shape=shape,
        dtype=dtype,
        codec="ort",
        bytes=len(data),
        nonzero=None if values is None else int(np.count_nonzero(values)),
        parameter=real or stored.text(0) in multiplied,
        bits=bits,
        stored_bits=bits,
        layer="" if "." in stored.text(0) else "constants",
    )


FORMAT = Ort()
