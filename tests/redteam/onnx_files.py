"""ONNX graphs that lie: a tiny detector that answers, with something in it that should not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from small_networks import manifest

Edit = Callable[[Any], object]
OPSET, MINE = helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)
WEIGHT = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
"""Of the convolution: 216 parameters, 8 x 27 x 32 x 32 = 221,184 multiplications."""

MACS = 221_184
HEAD = [
    helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
    helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
    helper.make_node("Sigmoid", ["m"], ["s"]),
    helper.make_node("Reshape", ["s", "one"], ["scores"]),
    helper.make_node("Identity", ["b"], ["boxes"]),
    helper.make_node("Identity", ["l"], ["labels"]),
]
TAIL = HEAD[1:]
STORED = {"w": WEIGHT, "one": np.array([1]), "b": np.array([[1, 2, 30, 20]], np.float32), "l": np.array([1])}
info = helper.make_tensor_value_info


def network(
    folder: Path,
    nodes: Sequence[Any] = HEAD,
    stored: Mapping[str, Any] = {},
    without: Sequence[str] = (),
    edit: Edit | None = None,
    **changes: Any,
) -> Path:
    """A graph for 1 x 3 x 32 x 32 with a convolution, one box and its manifest inside; `edit` changes the model."""
    path = folder / "evil.onnx"
    weights = {name: values for name, values in {**STORED, **stored}.items() if name not in without}
    graph = helper.make_graph(
        list(nodes),
        "evil",
        [info("image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [info("boxes", TensorProto.FLOAT, None), info("labels", TensorProto.INT64, None), info("scores", 1, None)],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[OPSET])
    document = manifest(**{"input": {"resize": "stretch", "size": [32, 32], "layout": "nchw"}} | changes)
    model.metadata_props.add(key="wildbench", value=document.to_json())
    if edit:
        edit(model)
    path.write_bytes(model.SerializeToString())
    return path


def lies(*nodes: Any, stored: Mapping[str, Any] = {}, edit: Edit | None = None) -> Callable[[Path], Path]:
    """The same with more nodes before the network."""
    return lambda folder: network(folder, [*nodes, *HEAD], stored, edit=edit)


def edited(edit: Edit) -> Callable[[Path], Path]:
    """The same, changed."""
    return lambda folder: network(folder, edit=edit)


def used(output: str, *nodes: Any, stored: Mapping[str, Any]) -> Callable[[Path], Path]:
    """The score depends on what the nodes make, so that it has to be computed."""
    more = [
        helper.make_node("ReduceMax", [output], ["most"], keepdims=0),
        helper.make_node("Mul", ["most", "zero"], ["nothing"]),
        helper.make_node("Add", ["m", "nothing"], ["sum"]),
    ]
    nodes = (HEAD[0], HEAD[1], *nodes, *more, helper.make_node("Sigmoid", ["sum"], ["s"]), *HEAD[3:])
    return lambda folder: network(folder, nodes, {"zero": np.zeros((), np.float32), **stored})


def outside(tensor: Any, location: str, length: int | None = None) -> Any:
    """Say that a tensor's data lie in another file."""
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, "length": length}.items():
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return tensor


def elsewhere(location: str, name: str = "w") -> Any:
    """A tensor of the weights' shape in another file."""
    return outside(TensorProto(name=name, data_type=1, dims=WEIGHT.shape), location, WEIGHT.nbytes)


def beside(folder: Path) -> None:
    """The weights in a file of their own."""
    (folder / "weights.bin").write_bytes(WEIGHT.tobytes())


def referring(op: str, names: Sequence[str], kind: int, inputs: Sequence[str], outputs: Sequence[str]) -> Any:
    """A node of a function whose attributes are the function's own."""
    node = helper.make_node(op, inputs, outputs)
    for name in names:
        node.attribute.add(name=name, type=kind, ref_attr_name=name)
    return node


def add_function(model: Any, function: Any, defaults: Sequence[Any] = ()) -> None:
    """Give a model a function of its own, with defaults of its attributes."""
    function.attribute_proto.extend(defaults)
    model.functions.append(function)
    model.opset_import.append(MINE)


def sparse(location: str | None, indices: str | None = None) -> Any:
    """A constant of the weights as a sparse tensor, with values or indices in another file."""
    one = onnx.SparseTensorProto(dims=[WEIGHT.size])
    count = WEIGHT.size
    one.values.CopyFrom(
        outside(TensorProto(data_type=1, dims=[count], name="v"), location, 4 * count)
        if location
        else numpy_helper.from_array(WEIGHT.ravel(), "v")
    )
    one.indices.CopyFrom(
        outside(TensorProto(data_type=7, dims=[count], name="i"), indices, 8 * count)
        if indices
        else numpy_helper.from_array(np.arange(count), "i")
    )
    return one


def subgraph(nodes: Sequence[Any], output: str, name: str = "body", stored: Sequence[Any] = ()) -> Any:
    """The body of an If."""
    return helper.make_graph(list(nodes), name, [], [info(output, TensorProto.FLOAT, None)], list(stored))


def loop(trips: int, *body: Any, side: int | None = 1) -> tuple[Any, dict[str, Any]]:
    """A Loop from `start` to `looped` whose body makes `y` of `x`, and what it needs."""
    shape = None if side is None else [side]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), *body],
        "body",
        [info("i", TensorProto.INT64, []), info("go", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, shape)],
        [info("on", TensorProto.BOOL, []), info("y", TensorProto.FLOAT, shape)],
    )
    node = helper.make_node("Loop", ["trips", "always", "start"], ["looped"], body=graph)
    return node, {"trips": np.array(trips), "always": np.array(True), "start": np.ones(1, np.float32)}
