"""An ONNX model as data: every message in it, wherever it stands, and with local functions expanded.

The walk goes by the format's own description of its fields, so that no place is left out in which a tensor or a node
can stand: initializers, sparse ones, bodies of control flow, local functions and the defaults of their attributes,
lists of attributes, graphs for training. https://github.com/onnx/onnx/blob/main/onnx/onnx.proto describes them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor  # type: ignore[import-untyped]
    from google.protobuf.message import Message  # type: ignore[import-untyped]
    from onnx import ModelProto, NodeProto, TensorProto

MOST_NODES = 2**18
"""Of a model with its functions expanded; a detector has about a thousand."""

MOST_SETTINGS = 16
"""Numbers in a list that an operator may need to be told: pads of five axes, both ways, are ten."""

SCALARS = ("value_float", "value_int", "value_string")
"""Attributes of a constant of one number."""


def messages(root: Message) -> Iterator[Any]:
    """Every message within one, whatever it is for."""
    pending: list[Any] = [root]
    while pending:
        message = pending.pop()
        yield message
        for field, value in message.ListFields():
            if field.message_type is not None:
                pending += [value] if hasattr(value, "DESCRIPTOR") else value


def walk(root: Message) -> Iterator[tuple[Any, str]]:
    """Every message that is, or holds, a tensor or a node, in the file's order, and the name of what it belongs to.

    That is a node's first output, or a function and its attribute; initializers, which have names of their own, come
    before the nodes of their graph.
    """
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending:
        message, name = pending.pop()
        yield message, name
        descriptor = message.DESCRIPTOR
        if descriptor.name == "NodeProto":
            name = next(iter(message.output), "") or message.name
        elif descriptor.name in ("FunctionProto", "GraphProto"):
            name = message.name if descriptor.name == "FunctionProto" else ""
        children: list[tuple[Any, str]] = []
        for field in _holding(descriptor):
            value = getattr(message, field)
            if not hasattr(value, "DESCRIPTOR"):
                children += [(one, _named(field, one, name)) for one in value]
            elif message.HasField(field):
                children.append((value, _named(field, value, name)))
        pending += reversed(children)


def _named(field: str, message: Any, name: str) -> str:  # noqa: ANN401 - any message
    """The name of what stands in a field of something with a name."""
    if field == "sparse_initializer":
        return str(message.values.name)
    return {"attribute_proto": f"{name}.{getattr(message, 'name', '')}", "indices": f"{name}.indices"}.get(field, name)


@cache
def _holding(descriptor: Descriptor) -> list[str]:
    """Fields in which a tensor or a node can stand, at any depth; a graph's nodes last."""
    fields = [field for field in descriptor.fields if field.message_type and _holds(field.message_type)]
    return sorted((field.name for field in fields), key="node".__eq__) if descriptor.name != "TensorProto" else []


@cache
def _holds(descriptor: Descriptor) -> bool:
    """Whether a tensor or a node can stand in such a message."""
    seen, pending = {descriptor.name}, [descriptor]
    while pending:
        inner = [field.message_type for field in pending.pop().fields if field.message_type]
        pending += [one for one in inner if one.name not in seen]
        seen |= {one.name for one in inner}
    return not seen.isdisjoint(("TensorProto", "NodeProto"))


def onnx_nodes(*roots: Message) -> Iterator[NodeProto]:
    """Every node within these graphs or models."""
    return (message for root in roots for message, _ in walk(root) if message.DESCRIPTOR.name == "NodeProto")


def onnx_tensors(root: Message) -> Iterator[tuple[str, TensorProto]]:
    """Every tensor within a graph or model, by its name in the graph."""
    for message, name in walk(root):
        if message.DESCRIPTOR.name == "TensorProto":
            yield name or message.name, message


def onnx_numbers(root: Message) -> Iterator[tuple[str, TensorProto, int]]:
    """Every number that a graph or model stores: its tensors, and lists in attributes; with the bytes that they take.

    Lists of a constant all count, those of another operator where they are longer than its settings can be.
    """
    from onnx import helper, numpy_helper

    constants = set()
    for message, name in walk(root):
        kind = message.DESCRIPTOR.name
        if kind == "TensorProto":
            yield name or message.name, message, message.ByteSize()
        elif kind == "NodeProto" and message.op_type == "Constant":
            constants.update(message.output)
        elif kind == "AttributeProto":
            value: Any = message.floats or message.ints or message.strings
            if name in constants and message.name in SCALARS and not message.ref_attr_name:
                value = [helper.get_attribute_value(message)]
            if value and (name in constants or len(value) > MOST_SETTINGS):
                kinds = {float: np.float32, int: np.int64, bytes: np.object_}
                yield name, numpy_helper.from_array(np.array(value, kinds[type(value[0])]), name), message.ByteSize()


def expanded(source: Source, model: ModelProto) -> ModelProto:
    """The model with its local functions in place of the nodes that call them.

    Raises:
        SubmissionError: A function calls itself, or there would be more than `MOST_NODES` nodes.
    """
    functions = {(one.domain, one.name, one.overload): one for one in model.functions}
    sizes: dict[tuple[str, str, str], int | None] = {}

    def size(message: Message) -> int:
        total = 0
        for node in onnx_nodes(message):
            total += 1
            key = node.domain, node.op_type, node.overload
            if key in functions:
                if key not in sizes:
                    sizes[key] = None
                    sizes[key] = size(functions[key])
                inner = sizes[key]
                if inner is None:
                    raise source.error(f"its function {key[1]} calls itself", code="endless", remedy=EXPORT_AGAIN)
                total += inner
            if total > MOST_NODES:
                raise source.error(f"more than {MOST_NODES:,} nodes", code="too-many-nodes", remedy=EXPORT_AGAIN)
        return total

    try:
        size(model.graph)
    except RecursionError:
        raise source.error("its functions call each other too deeply", code="endless", remedy=EXPORT_AGAIN) from None
    if not functions:
        return model
    from onnx import inliner

    whole: ModelProto = type(model).FromString(model.SerializeToString())
    for node in list(onnx_nodes(whole)):  # the inliner leaves out what the caller leaves out
        called = functions.get((node.domain, node.op_type, node.overload))
        given = {attribute.name for attribute in node.attribute}
        node.attribute.extend(one for one in called.attribute_proto if one.name not in given) if called else None
    return inliner.inline_local_functions(whole)
