"""ONNX files as data: their graph, metadata and weights, read by protobuf alone; no runtime opens them here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from wildbench.errors import SubmissionError

METADATA_KEY = "wildbench"
"""Key of the manifest in an ONNX model's metadata."""

BUILT_IN = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Operator domains that onnxruntime carries itself."""


def load_graph(path: Path) -> onnx.ModelProto:
    """Parse an ONNX file; weights in other files are not looked for.

    Raises:
        SubmissionError: It is no ONNX model.
    """
    try:
        model = onnx.load_model(path, format="protobuf", load_external_data=False)
    except (DecodeError, ValueError, OSError) as error:
        raise SubmissionError(f"{path}: not an ONNX model, or cut short ({error})", remedy="export it again") from None
    if not model.graph.output:
        raise SubmissionError(f"{path}: not an ONNX model: its graph has no output", remedy="export it again")
    return model


def check_self_contained(model: onnx.ModelProto, path: Path) -> None:
    """Check that a model needs nothing but onnxruntime and its own bytes.

    Raises:
        SubmissionError: It uses custom operators, or keeps weights in another file.
    """
    own = {(function.domain, function.name) for function in model.functions}
    for node in _nodes(model):
        if node.domain not in BUILT_IN and (node.domain, node.op_type) not in own:
            raise SubmissionError(
                f"{path}: {node.domain}::{node.op_type} is a custom operator, which would need a library of its own",
                remedy="export with standard ONNX operators",
            )
    for name, tensor in named_tensors(model):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise SubmissionError(
                f"{path}: weight {name} is in another file, so that this one's size is not the model's",
                remedy="save it with onnx.save_model(model, path, save_as_external_data=False)",
            )


def read_metadata(model: onnx.ModelProto) -> str | None:
    """The manifest's JSON in a model's metadata, or None."""
    return next((str(entry.value) for entry in model.metadata_props if entry.key == METADATA_KEY), None)


def named_tensors(model: onnx.ModelProto) -> Iterator[tuple[str, onnx.TensorProto]]:
    """Every tensor that a model stores, by its name in the graph: initializers, and constants within nodes."""
    for graph in _graphs(model):
        if isinstance(graph, onnx.GraphProto):
            yield from ((tensor.name, tensor) for tensor in graph.initializer)
            for sparse in graph.sparse_initializer:
                yield from ((sparse.values.name, part) for part in (sparse.values, sparse.indices))
        for node in graph.node:
            name = next(iter(node.output), node.name)
            for attribute in node.attribute:
                stored = [attribute.t] if attribute.HasField("t") else []
                yield from ((name, tensor) for tensor in [*stored, *attribute.tensors])


def _graphs(model: onnx.ModelProto) -> Iterator[Any]:
    """The graph, the model's own functions, and every graph that one of their nodes carries."""
    pending = [model.graph, *model.functions]
    while pending:
        graph = pending.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                pending += [attribute.g] if attribute.HasField("g") else []
                pending += list(attribute.graphs)


def _nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    return (node for graph in _graphs(model) for node in graph.node)
