"""ONNX graphs: none reads another file, runs foreign code, takes the machine, or ends in anything but one line."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files as graphs
from arena import SECONDS, Attack, cases, check
from onnx import TensorProto, helper, numpy_helper
from onnx_files import HEAD, MINE, OPSET, WEIGHT, edited, lies, network, outside, subgraph, used
from small_networks import constant_detector

from wildbench.submissions.admission import admit
from wildbench.submissions.process import Sandbox

LABELS = str(Path(__file__).parents[2] / "annotations/parksim/test.json")
ANY = "submission/*"


Made = Callable[[Path], Path]


def run(path: Path, _: Path) -> int:
    """Show it two pictures; a second that hangs is ended."""
    picture = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    with Sandbox(path, threads=1, timeout_s=SECONDS / 6) as box:
        box.predict(picture)
        return len(box.predict(picture).detections)


def LOOK(path: Path, _: Path) -> str:
    """What the jailed process does first, in this one."""
    return admit(path).format.name


def with_neighbour(location: str, edit: Callable[[Any, str], object]) -> Made:
    """A graph beside a file of weights, edited to read that or another."""

    def make(folder: Path) -> Path:
        graphs.beside(folder)
        (folder / "deeper").mkdir()
        (folder / "deeper" / "weights.bin").write_bytes(WEIGHT.tobytes())
        (folder / "link.bin").symlink_to(LABELS)
        os.link(folder / "weights.bin", folder / "hard.bin")
        return network(folder, without=["w"], edit=lambda model: edit(model, location))

    return make


def in_initializer(model: Any, location: str) -> None:
    model.graph.initializer.append(graphs.elsewhere(location))


def in_constant(model: Any, location: str) -> None:
    model.graph.node.insert(0, helper.make_node("Constant", [], ["w"], value=graphs.elsewhere(location)))


def in_sparse_value(model: Any, location: str) -> None:
    node = helper.make_node("Constant", [], ["flat"])
    node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(
        graphs.sparse(location)
    )
    shaped(model, node)


def in_sparse_indices(model: Any, location: str) -> None:
    node = helper.make_node("Constant", [], ["flat"])
    node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(
        graphs.sparse(None, location)
    )
    shaped(model, node)


def shaped(model: Any, node: Any) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array(WEIGHT.shape), "shape"))
    model.graph.node.insert(0, node)
    model.graph.node.insert(1, helper.make_node("Reshape", ["flat", "shape"], ["w"]))


def in_default(model: Any, location: str) -> None:
    constant = graphs.referring("Constant", ["value"], onnx.AttributeProto.TENSOR, [], ["y"])
    default = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=graphs.elsewhere(location))
    graphs.add_function(model, helper.make_function("mine", "F", [], ["y"], [constant], [OPSET]), [default])
    model.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="mine"))


def in_default_graph(model: Any, location: str) -> None:
    branch = subgraph([helper.make_node("Identity", ["x"], ["t"])], "t", stored=[graphs.elsewhere(location, "x")])
    names = ["then_branch", "else_branch"]
    choice = graphs.referring("If", names, onnx.AttributeProto.GRAPH, ["c"], ["y"])
    yes = helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.array(True)))
    defaults = [onnx.AttributeProto(name=name, type=onnx.AttributeProto.GRAPH, g=branch) for name in names]
    graphs.add_function(model, helper.make_function("mine", "F", [], ["y"], [yes, choice], [OPSET]), defaults)
    model.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="mine"))


def in_function(model: Any, location: str) -> None:
    constant = helper.make_node("Constant", [], ["y"], value=graphs.elsewhere(location))
    graphs.add_function(model, helper.make_function("mine", "F", [], ["y"], [constant], [OPSET]))
    model.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="mine"))


def in_branch(model: Any, location: str) -> None:
    branch = subgraph([helper.make_node("Identity", ["x"], ["t"])], "t", stored=[graphs.elsewhere(location, "x")])
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    model.graph.node.insert(0, helper.make_node("If", ["yes"], ["w"], then_branch=branch, else_branch=branch))


def in_sparse_initializer(model: Any, location: str) -> None:
    model.graph.sparse_initializer.append(graphs.sparse(location))
    model.graph.sparse_initializer[0].values.name = "flat"
    shaped(model, helper.make_node("Identity", ["one"], ["unused"]))


def in_tensors(model: Any, location: str) -> None:
    node = helper.make_node("Constant", [], ["w"])
    node.attribute.add(name="value", type=onnx.AttributeProto.TENSOR).tensors.append(graphs.elsewhere(location))
    model.graph.node.insert(0, node)


def in_training(model: Any, location: str) -> None:
    model.graph.initializer.append(numpy_helper.from_array(WEIGHT, "w"))
    model.training_info.add().algorithm.initializer.append(graphs.elsewhere(location, "more"))


HIDDEN = [in_initializer, in_constant, in_sparse_value, in_sparse_indices, in_default, in_default_graph, in_function]
HIDDEN += [in_branch, in_sparse_initializer, in_tensors, in_training]


def whole_file(told: Any) -> bool:
    """The other file's bytes are counted with the graph's."""
    return bool(told["bytes"] >= WEIGHT.nbytes + 800)


def sizes(path: Path, _: Path) -> dict[str, Any]:
    """Bytes of the submission, by what inspect says."""
    from wildbench.submissions.inspection import inspect_submission

    return {"bytes": inspect_submission(path).file_bytes}


OUTSIDE = [
    *(
        Attack(f"labels-{edit.__name__}", with_neighbour(LABELS, edit), LOOK, ANY, quick=edit is in_default)
        for edit in HIDDEN
    ),
    *(
        Attack(f"up-{edit.__name__}", with_neighbour("../../../../../etc/hostname", edit), LOOK, ANY)
        for edit in (in_initializer, in_sparse_value, in_default)
    ),
    *(
        Attack(f"link-{edit.__name__}", with_neighbour("link.bin", edit), LOOK, ANY)
        for edit in (in_initializer, in_sparse_value, in_default)
    ),
    Attack("memory-of-the-runtime", with_neighbour("*/_ORT_MEM_ADDR_/*", in_initializer), LOOK, ANY),
    Attack("memory-of-the-process", with_neighbour("/proc/self/mem", in_initializer), LOOK, ANY),
    Attack("entries-without-the-flag", edited(lambda model: outside(model.graph.initializer[0], LABELS) and setattr(model.graph.initializer[0], "data_location", 0)), LOOK, None),
]  # fmt: skip


def domain(op: str, name: str, **attributes: Any) -> Made:
    """An operator of another domain."""
    return lies(
        helper.make_node(op, ["b"], ["y"], domain=name, **attributes),
        edit=lambda model: model.opset_import.append(helper.make_opsetid(name, 1)),
    )


FOREIGN = [
    Attack("operator-of-nobody", domain("Evil", "evil"), run, ANY),
    Attack("operator-aten", domain("ATen", "org.pytorch.aten", operator="aten::add"), run, ANY),
    Attack("operator-context", domain("EPContext", "com.microsoft", embed_mode=0, ep_cache_context=LABELS, main_context=1), run, ANY),
    Attack("operator-python", domain("PyOp", "com.microsoft", module="os", class_name="system"), run, ANY),
    Attack("operator-training", domain("Adam", "ai.onnx.preview.training"), run, ANY),
]  # fmt: skip


def nested(depth: int) -> Made:
    """An If in an If in an If."""

    def make(folder: Path) -> Path:
        body = subgraph([helper.make_node("Identity", ["one_f"], [f"o{depth}"])], f"o{depth}")
        for level in reversed(range(depth)):
            other = subgraph([helper.make_node("Identity", ["one_f"], [f"e{level}"])], f"e{level}")
            choice = helper.make_node("If", ["yes"], [f"o{level}"], then_branch=body, else_branch=other)
            body = subgraph([choice], f"o{level}")
        stored = {"yes": np.array(True), "one_f": np.ones(1, np.float32)}
        return network(folder, [body.node[0], *HEAD], stored)

    return make


def field(number: int, data: bytes) -> bytes:
    """A protobuf field of bytes."""
    out, size = bytes([number << 3 | 2]), len(data)
    while True:
        out += bytes([size & 127 | (128 if size > 127 else 0)])
        size >>= 7
        if not size:
            return out + data


def nested_by_hand(folder: Path) -> Path:
    """Five thousand graphs in one another: protobuf itself stops at a hundred."""
    graph = b""
    for _ in range(5000):
        graph = field(1, field(4, b"If") + field(5, field(1, b"a") + field(6, graph)))
    (folder / "evil.onnx").write_bytes(b"\x08\x08" + field(7, graph))
    return folder / "evil.onnx"


def doubling_functions(model: Any) -> None:
    """Forty functions that each call the one before twice: 2^39 nodes where they are unfolded."""
    for level in range(40):
        calls = [helper.make_node(f"F{level - 1}", [a], [b], domain="mine") for a, b in (("x", "m"), ("m", "y"))]
        nodes = calls if level else [helper.make_node("Abs", ["x"], ["y"])]
        model.functions.append(helper.make_function("mine", f"F{level}", ["x"], ["y"], nodes, [OPSET, MINE]))
    model.opset_import.append(MINE)
    model.graph.node.insert(0, helper.make_node("F39", ["b"], ["y"], domain="mine"))


def own_function(model: Any) -> None:
    node = helper.make_node("F", ["x"], ["y"], domain="mine")
    graphs.add_function(model, helper.make_function("mine", "F", ["x"], ["y"], [node], [OPSET, MINE]))
    model.graph.node.insert(0, helper.make_node("F", ["b"], ["y"], domain="mine"))


def endless(folder: Path) -> Path:
    node, stored = graphs.loop(2**62, helper.make_node("Add", ["x", "x"], ["y"]))
    return used("looped", node, stored=stored)(folder)


def doubling(folder: Path) -> Path:
    node, stored = graphs.loop(60, helper.make_node("Concat", ["x", "x"], ["y"], axis=0), side=None)
    return used("looped", node, stored=stored)(folder)


def shape(*sides: int) -> dict[str, Any]:
    return {"sides": np.array(sides)}


FILL = helper.make_node("ConstantOfShape", ["sides"], ["large"])
RAN_OUT = "detector/* submission/*"
BOMBS = [
    Attack("endless-loop", endless, run, "detector/timed-out submission/*"),
    Attack("doubling-loop", doubling, run, RAN_OUT),
    Attack("filled-8gb", used("large", FILL, stored=shape(2**31)), run, RAN_OUT),
    Attack("filled-without-end", used("large", FILL, stored=shape(2**60)), run, RAN_OUT),
    Attack("filled-negative", used("large", FILL, stored=shape(-5)), run, RAN_OUT),
    Attack("tiled", used("large", helper.make_node("Tile", ["start", "sides"], ["large"]), stored=shape(10**8) | {"start": np.ones(10**4, np.float32)}), run, RAN_OUT),
    Attack("resized", used("large", helper.make_node("Resize", ["plane", "", "factors"], ["large"]), stored={"plane": np.ones((1, 1, 100, 100), np.float32), "factors": np.array([1, 1, 1e5, 1e5], np.float32)}), run, RAN_OUT),
    Attack("multiplied", used("large", helper.make_node("Expand", ["start", "sides"], ["a"]), helper.make_node("MatMul", ["a", "a"], ["large"]), stored=shape(20_000, 20_000) | {"start": np.ones((1, 1), np.float32)}), run, RAN_OUT),
    Attack("nested-20", nested(20), LOOK, None),
    Attack("nested-5000", nested_by_hand, LOOK, ANY),
    Attack("unfolding-functions", edited(doubling_functions), run, RAN_OUT),
    Attack("function-of-itself", edited(own_function), run, RAN_OUT),
    Attack("100000-nodes", lies(*(helper.make_node("Identity", [f"n{k - 1}" if k else "b"], [f"n{k}"]) for k in range(100_000))), LOOK, None),
]  # fmt: skip


def tensor(change: Callable[[Any], object], name: str = "x") -> Made:
    """A tensor more, changed."""

    def edit(model: Any) -> None:
        one = numpy_helper.from_array(np.zeros(4, np.float32), name)
        change(one)
        model.graph.initializer.append(one)

    return edited(edit)


def dims(*sides: int) -> Made:
    return tensor(lambda one: one.dims.__setitem__(slice(None), sides))


def kind(number: int) -> Made:
    return tensor(lambda one: setattr(one, "data_type", number))


def texts(one: Any) -> None:
    one.ClearField("raw_data")
    one.data_type = 8
    one.string_data.extend([b"a", b"\xff\xfe", b"b", b"c"])


def raw_name(folder: Path) -> Path:
    path = network(folder, stored={"NOTUTF8": np.zeros(1, np.float32)})
    path.write_bytes(path.read_bytes().replace(b"NOTUTF8", b"\xff\xfe\xfd\xfc\xfb\xfa\xf9"))
    return path


def answering(**answer: Any) -> Made:
    return lambda folder: constant_detector(folder / "evil.onnx", **answer)


BOX = [0, 0, 1, 1]
DAMAGE = [
    Attack("sides-2-to-40", dims(2**40), LOOK, None, quick=True),
    Attack("sides-2-to-124", dims(2**62, 2**62), LOOK, None),
    Attack("sides-zero-and-huge", dims(0, 2**62), LOOK, None),
    Attack("sides-negative", dims(-1), run, None),
    Attack("sides-100", dims(*[1] * 99, 4), LOOK, None),
    Attack("type-99", kind(99), LOOK, ANY),
    Attack("type-0", kind(0), LOOK, None),
    Attack("type-negative", kind(-7), LOOK, ANY),
    Attack("type-text-as-bytes", kind(8), LOOK, None),
    Attack("type-text", tensor(texts), run, None),
    Attack("type-float8-of-16", kind(17), LOOK, None),
    Attack("three-bytes", tensor(lambda one: setattr(one, "raw_data", b"123")), LOOK, None),
    Attack("floats-missing", tensor(lambda one: one.ClearField("raw_data")), LOOK, None),
    Attack("segment", tensor(lambda one: (setattr(one.segment, "begin", 1), setattr(one.segment, "end", 2))), LOOK, None),
    Attack("name-not-utf8", raw_name, LOOK, ANY),
    Attack("no-graph", lambda folder: Path(str((folder / "evil.onnx").write_bytes(b"\x08\x08") and folder / "evil.onnx")), LOOK, ANY),
    Attack("garbage", lambda folder: Path(str((folder / "evil.onnx").write_bytes(b"\x08\x08" + np.random.default_rng(1).bytes(10**5)) and folder / "evil.onnx")), LOOK, ANY),
    Attack("no-input", edited(lambda model: model.graph.ClearField("input")), run, RAN_OUT),
    Attack("text-as-input", edited(lambda model: setattr(model.graph.input[0].type.tensor_type, "elem_type", 8)), run, RAN_OUT),
    Attack("output-twice", edited(lambda model: model.graph.output.append(model.graph.output[0])), run, None),
    Attack("opset-10-to-9", edited(lambda model: setattr(model.opset_import[0], "version", 10**9)), run, RAN_OUT),
    Attack("version-10-to-9", edited(lambda model: setattr(model, "ir_version", 10**9)), run, RAN_OUT),
    Attack("manifest-of-brackets", edited(lambda model: setattr(model.metadata_props[0], "value", "{" * 10**5)), LOOK, ANY),
    Attack("manifest-twice", edited(lambda model: model.metadata_props.add(key="wildbench", value=model.metadata_props[0].value.replace("tiny", "huge"))), LOOK, None),
    Attack("score-nan", answering(scores=np.array([np.nan, 0.5], np.float32)), run, "detector/*"),
    Attack("score-above-1", answering(scores=np.array([1.5, 0.5], np.float32)), run, "detector/*"),
    Attack("box-infinite", answering(boxes=np.array([[0, 0, np.inf, 1], BOX], np.float32)), run, "detector/* submission/*"),
    Attack("label-0", answering(labels=np.array([0, 1])), run, "detector/*"),
    Attack("label-2-to-63", answering(labels=np.array([2**63 - 1, 1])), run, "detector/*"),
    Attack("label-2-to-64", answering(labels=np.array([2**64 - 1, 1], np.uint64)), run, RAN_OUT),
    Attack("20000-boxes", answering(boxes=np.tile(np.array([BOX], np.float32), (20_000, 1)), labels=np.ones(20_000, np.int64), scores=np.linspace(0, 1, 20_000, dtype=np.float32)), run, "detector/too-many"),
]  # fmt: skip


@cases([*OUTSIDE, *FOREIGN, *BOMBS, *DAMAGE])
def test_the_graph_is_refused_or_harmless(attack: Attack, tmp_path: Path) -> None:
    assert TensorProto is not None
    check(attack, tmp_path)


BESIDE = [
    Attack(f"beside-{edit.__name__}", with_neighbour("weights.bin", edit), sizes, whole_file)
    for edit in (in_initializer, in_constant, in_function, in_branch)
]


@cases(BESIDE)
def test_a_file_beside_the_graph_is_part_of_it(attack: Attack, tmp_path: Path) -> None:
    check(attack, tmp_path)


MAY_BE_REFUSED = [
    Attack(f"beside-{edit.__name__}", with_neighbour("weights.bin", edit), sizes, whole_file)
    for edit in (in_sparse_value, in_sparse_indices, in_default, in_default_graph, in_sparse_initializer)
]


@cases(MAY_BE_REFUSED)
def test_a_hidden_file_is_part_of_the_graph_or_refused(attack: Attack, tmp_path: Path) -> None:
    from arena import forked

    made = attack.make(tmp_path)
    end = forked(lambda: sizes(made, Path()))
    assert end.kind == "refused" or whole_file(end.value), end
