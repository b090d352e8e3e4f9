"""Weights and nodes wherever an ONNX file can hide them: the same network, 224 parameters and 221,184 MACs."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from refusals import refused
from small_networks import beside, manifest, write_onnx
from small_networks import stored as size_of_all

from wildbench.measures.compute import count_onnx
from wildbench.measures.compute._count import Count
from wildbench.submissions.admission import admit
from wildbench.submissions.graphs import onnx_nodes, onnx_tensors
from wildbench.submissions.inspection import inspect_submission

Edit = Callable[[onnx.ModelProto], None]

WEIGHT = np.random.default_rng(0).standard_normal((8, 3, 3, 3)).astype(np.float32)
OWN = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
OUTSIDE = {"location": "w.bin", "length": str(WEIGHT.nbytes)}


def network(path: Path, edit: Edit | None, stored: bool = False) -> Path:
    """A convolution of the image by `w`, and its mean as the score."""
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("ReduceMean", ["c"], ["m"], keepdims=0),
        helper.make_node("Reshape", ["m", "one"], ["scores"]),
    ]
    weights = {"one": np.array([1])} | ({"w": WEIGHT} if stored else {})
    write_onnx(path, nodes, {"scores": TensorProto.FLOAT}, weights)
    model = onnx.load_model(path)
    if edit:
        edit(model)
    path.write_bytes(model.SerializeToString())
    (path.parent / "w.bin").write_bytes(WEIGHT.tobytes())
    return beside(path, input={"layout": "nchw", "resize": "stretch", "size": [32, 32]})


def outside(tensor: TensorProto) -> TensorProto:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in OUTSIDE.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def first(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    for node in reversed(nodes):
        model.graph.node.insert(0, node)


def shaped(model: onnx.ModelProto, *nodes: onnx.NodeProto) -> None:
    """The nodes, and the weight made of their result."""
    model.graph.initializer.append(numpy_helper.from_array(np.array(WEIGHT.shape), "shape"))
    first(model, *nodes, helper.make_node("Reshape", ["flat", "shape"], ["w"]))


def default_attribute(kind: str) -> Edit:
    """The default of an attribute of a function: a tensor, or a graph with one."""

    def edit(model: onnx.ModelProto) -> None:
        tensor = outside(numpy_helper.from_array(WEIGHT, "y"))
        if kind == "tensor":
            node = helper.make_node("Constant", [], ["y"])
            node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, ref_attr_name="v")
            nodes, default = [node], helper.make_attribute("v", tensor)
        else:
            body = helper.make_graph([helper.make_node("Identity", ["y"], ["z"])], "b", [], [], [tensor])
            body.output.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, None))
            node = helper.make_node("If", ["yes"], ["y2"])
            for branch in ("then_branch", "else_branch"):
                node.attribute.add(name=branch, type=onnx.AttributeProto.GRAPH, ref_attr_name="v")
            yes = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))
            nodes, default = [yes, node], helper.make_attribute("v", body)
        function = helper.make_function("mine", "F", [], [nodes[-1].output[0]], nodes, OWN[:1])
        function.attribute_proto.append(default)
        model.functions.append(function)
        model.opset_import.append(OWN[1])
        first(model, helper.make_node("F", [], ["w"], domain="mine"))

    return edit


def sparse(place: str, out: bool) -> Edit:
    """The value of a constant, or an initializer, that lists all its numbers by their positions."""

    def edit(model: onnx.ModelProto) -> None:
        values = numpy_helper.from_array(WEIGHT.ravel(), "flat")
        indices = numpy_helper.from_array(np.arange(WEIGHT.size))
        tensor = helper.make_sparse_tensor(outside(values) if out else values, indices, [WEIGHT.size])
        if place == "initializer":
            model.graph.sparse_initializer.append(tensor)
            shaped(model)
        else:
            shaped(model, helper.make_node("Constant", [], ["flat"], sparse_value=tensor))

    return edit


def integers(model: onnx.ModelProto) -> None:
    """Wide integers, scaled as they run."""
    scale = np.abs(WEIGHT).max() / 2**30
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.rint(WEIGHT / scale).astype(np.int32), "codes"),
            numpy_helper.from_array(np.array(scale, np.float32), "scale"),
        ]
    )
    cast = helper.make_node("Cast", ["codes"], ["reals"], to=TensorProto.FLOAT)
    first(model, cast, helper.make_node("Mul", ["reals", "scale"], ["w"]))


def codebook(model: onnx.ModelProto) -> None:
    """Positions in a list of all numbers."""
    first(
        model,
        helper.make_node("Constant", [], ["book"], value_floats=WEIGHT.ravel().tolist()),
        helper.make_node(
            "Constant", [], ["places"], value=numpy_helper.from_array(np.arange(WEIGHT.size).reshape(WEIGHT.shape))
        ),
        helper.make_node("Gather", ["book", "places"], ["w"]),
    )


PLACES: dict[str, tuple[Edit | None, int, int]] = {
    "initializer": (None, 216, 0),
    "list of floats": (
        lambda model: shaped(model, helper.make_node("Constant", [], ["flat"], value_floats=WEIGHT.ravel().tolist())),
        216,
        0,
    ),
    "tensor of a default": (default_attribute("tensor"), 216, WEIGHT.nbytes),
    "graph of a default": (default_attribute("graph"), 216, WEIGHT.nbytes),
    "sparse initializer": (sparse("initializer", out=False), 216, 0),
    "sparse constant": (sparse("constant", out=False), 216, 0),
    "sparse initializer outside": (sparse("initializer", out=True), 216, WEIGHT.nbytes),
    "sparse constant outside": (sparse("constant", out=True), 216, WEIGHT.nbytes),
    "integers": (integers, 217, 0),
    "codebook": (codebook, 432, 0),
}
"""How the weight is stored, how many parameters that is, and how many bytes of another file."""


@pytest.mark.parametrize("place", PLACES)
def test_weights_are_counted_wherever_they_stand(tmp_path: Path, place: str) -> None:
    edit, parameters, more = PLACES[place]
    path = network(tmp_path / "a.onnx", edit, stored=edit is None)
    inspection = inspect_submission(path)
    assert inspection.parameters == parameters
    assert inspection.file_bytes == size_of_all(path) + more
    assert inspection.findings == []
    admitted = admit(path)
    (tmp_path / "w.bin").unlink()  # nothing is opened again
    backend = admitted.format.open(admitted.source, admitted.manifest, "cpu", 1)
    image = np.ones((1, 3, 32, 32), np.float32)
    (score,) = backend.run({"image": image}).values()
    assert score == pytest.approx(np.float32(0.0) + reference(image), rel=1e-3, abs=1e-5)
    count = Count.model_validate(count_onnx(backend, {"image": image}))
    assert (count.macs, count.unseen) == (221_184, None)


def reference(image: np.ndarray) -> float:
    import torch

    return float(torch.conv2d(torch.from_numpy(image), torch.from_numpy(WEIGHT), padding=1).mean())


@pytest.mark.parametrize("domain", ["", "ai.onnx", "com.microsoft", "com.microsoft.nchwc", "ai.onnx.ml"])
def test_a_function_may_not_stand_before_an_operator(tmp_path: Path, domain: str) -> None:
    def edit(model: onnx.ModelProto) -> None:
        body = [helper.make_node("Identity", ["x"], ["y"])]
        model.functions.append(helper.make_function(domain, "Conv", ["x", "w"], ["y"], body, OWN[:1], ["pads"]))

    with refused("submission/shadowed-operator"):
        admit(network(tmp_path / "a.onnx", edit, stored=True))


def test_products_of_functions_are_counted_each_time_they_are_called(tmp_path: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        body = [helper.make_node("MatMul", ["x", "x"], ["y"])]
        model.functions.append(helper.make_function("mine", "Conv", ["x"], ["y"], body, OWN[:1]))
        model.opset_import.append(OWN[1])
        calls = [helper.make_node("Conv", [one], [two], domain="mine") for one, two in (("image", "i"), ("i", "j"))]
        first(model, *calls)
        model.graph.node[2].input[0] = "j"

    admitted = admit(network(tmp_path / "a.onnx", edit, stored=True))
    backend = admitted.format.open(admitted.source, admitted.manifest, "cpu", 1)
    counted = count_onnx(backend, {"image": np.ones((1, 3, 32, 32), np.float32)})
    assert Count.model_validate(counted).macs == 221_184 + 2 * 3 * 32**3


@pytest.mark.parametrize(("depth", "code"), [(1, "endless"), (40, "too-many-nodes"), (2000, "endless")])
def test_functions_that_unfold_without_end(tmp_path: Path, depth: int, code: str) -> None:
    def edit(model: onnx.ModelProto) -> None:
        for at in range(depth):
            inner = f"F{(at + 1) % depth}" if depth == 1 or at + 1 < depth else None
            ends = [("x", "m"), ("m", "y")]
            body = [helper.make_node(inner, [a], [b], domain="mine") for a, b in ends] if inner else []
            body = body or [helper.make_node("Abs", ["x"], ["y"])]
            model.functions.append(helper.make_function("mine", f"F{at}", ["x"], ["y"], body, OWN))
        model.opset_import.append(OWN[1])
        first(model, helper.make_node("F0", ["image"], ["unused"], domain="mine"))

    with refused(f"submission/{code}"):
        admit(network(tmp_path / "a.onnx", edit, stored=True))


def test_every_field_that_may_hold_a_tensor_is_walked() -> None:
    """In a graph, a body within it, a function, a graph for training; by attributes of every kind."""
    tensor = numpy_helper.from_array(np.ones(2, np.float32), "t")
    part = helper.make_sparse_tensor(tensor, numpy_helper.from_array(np.arange(2)), [2])
    leaf = helper.make_graph([], "leaf", [], [], [tensor])
    node = helper.make_node("Any", [], ["o"], a=tensor, b=[tensor], c=part, d=[part], e=leaf, f=[leaf])
    body = helper.make_graph([node], "body", [], [], [tensor], sparse_initializer=[part])
    model = helper.make_model(body)
    function = helper.make_function("mine", "F", [], ["o"], [node], OWN)
    function.attribute_proto.extend(node.attribute)
    model.functions.append(function)
    model.training_info.add().algorithm.CopyFrom(body)
    model.training_info[0].initialization.CopyFrom(body)
    inside = 8  # two tensors, two sparse ones of two parts each, and one in either graph
    assert len(list(onnx_tensors(model))) == 3 * (inside + 3) + 2 * inside
    assert len(list(onnx_nodes(model))) == 4


DAMAGE: dict[str, tuple[Edit, str]] = {
    "no such type": (lambda model: setattr(model.graph.initializer[0], "data_type", 99), "damaged"),
    "an input of no such type": (
        lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 77),
        "damaged",
    ),
    "sides that no memory holds": (lambda model: model.graph.initializer[0].dims.__setitem__(0, 2**62), "damaged"),
    "an address": (lambda model: outside_at(model, "*/_ORT_MEM_ADDR_/*"), "missing-companion"),
    "nowhere": (lambda model: outside_at(model, ""), "damaged"),
    "above": (lambda model: outside_at(model, "../w.bin"), "outside"),
    "the root": (lambda model: outside_at(model, "/proc/self/mem"), "outside"),
}


def outside_at(model: onnx.ModelProto, location: str) -> None:
    outside(model.graph.initializer[0]).external_data[0].value = location


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_one_line_with_a_code(tmp_path: Path, damage: str) -> None:
    edit, code = DAMAGE[damage]
    with refused(f"submission/{code}"):
        inspect_submission(network(tmp_path / "a.onnx", edit, stored=True))


def test_a_sequence_within_the_graph_is_no_damage(tmp_path: Path) -> None:
    def edit(model: onnx.ModelProto) -> None:
        model.graph.value_info.append(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None))

    assert inspect_submission(network(tmp_path / "a.onnx", edit, stored=True)).parameters == 216


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx", lambda model: setattr(model.graph, "name", "NAME"), stored=True)
    path.write_bytes(path.read_bytes().replace(b"NAME", b"\xff\xfe\xff\xfe"))
    with refused("submission/not-utf8"):
        admit(path)


def test_a_file_may_name_itself_and_is_still_run_from_memory(tmp_path: Path) -> None:
    """ONNX Runtime would open a file of that name in the working folder."""
    path = network(tmp_path / "a.onnx", lambda model: outside_at(model, "a.onnx"), stored=True)
    model = onnx.load_model(path, load_external_data=False)
    model.graph.initializer[0].external_data[1].value = "8"
    path.write_bytes(model.SerializeToString())
    admitted = admit(path)
    assert admitted.source.size == size_of_all(path)
    path.unlink()
    assert admitted.format.open(admitted.source, manifest(), "cpu", 1)


def table(path: Path, convolution: bool) -> Path:
    """The boxes of the stored image that is nearest to this one; with a convolution on the way to the choice."""
    weights: dict[str, np.ndarray] = {"keys": np.ones(90, np.float32), "boxes": np.ones((90, 4), np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["seen" if convolution else "image"], ["mean"], keepdims=0),
        helper.make_node("Sub", ["keys", "mean"], ["far"]),
        helper.make_node("ArgMin", ["far"], ["which"]),
        helper.make_node("Gather", ["boxes", "which"], ["scores"]),
    ]
    if convolution:
        weights["w"] = WEIGHT
        nodes.insert(0, helper.make_node("Conv", ["image", "w"], ["seen"]))
    write_onnx(path, nodes, {"scores": TensorProto.FLOAT}, weights)
    return beside(path, input={"layout": "nchw"})


@pytest.mark.parametrize(("convolution", "code"), [(False, "no-product"), (True, "lookup-table")])
def test_a_table_is_called_one(tmp_path: Path, convolution: bool, code: str) -> None:
    (finding,) = inspect_submission(table(tmp_path / "a.onnx", convolution)).findings
    assert (finding.code, finding.severity) == (code, "warning")
