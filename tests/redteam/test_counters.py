"""Graphs that hide their arithmetic or their weights: the figure is the honest one, or null with what was not counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_files as graphs
from arena import Attack, cases, check
from onnx import TensorProto, helper, numpy_helper
from onnx_files import HEAD, MACS, OPSET, TAIL, WEIGHT, info, network, subgraph

import wildbench

Figures = dict[str, Any]
CONV = HEAD[0]
SMALL = 8
CROP = (SMALL / 32) ** 2
"""Of the work, what is left where a picture is cropped."""

IMAGES = 6
"""Of the park."""

"""Side of the part of a picture that a cheat looks at."""


def measured(path: Path, park: Path) -> Figures:
    """What evaluate says of its cost."""
    card = wildbench.evaluate(path, dataset=park, device="cpu")
    assert card.size
    assert card.compute
    return {
        "bytes": card.size.file_bytes.value,
        "parameters": card.size.parameters.value,
        "macs": card.compute.macs.value,
        "bits": card.compute.operand_bits,
        "uncounted": card.compute.uncounted,
        "failed": [audit.name for audit in card.audits if audit.failed],
        "notes": card.notes,
    }


def exact(got: Figures) -> bool:
    return bool(got["macs"] == MACS)


def counted(least: float) -> Callable[[Figures], bool]:
    """At least so many MACs; or none at all, with what was not counted; or an audit that failed."""

    def holds(got: Figures) -> bool:
        unknown = got["macs"] is None and bool(got["uncounted"] or got["notes"])
        return unknown or bool(got["failed"]) or (got["macs"] or 0) >= least

    return holds


def each_counted(got: Figures) -> bool:
    """MACs are the mean over the images that are scored, whichever of them the dice have cropped."""
    full = ((got["macs"] or 0) / MACS - CROP) / (1 - CROP) * IMAGES
    unknown = got["macs"] is None and bool(got["uncounted"] or got["notes"])
    return unknown or bool(got["failed"]) or (full > -1e-6 and abs(full - round(full)) < 1e-6)


def weighed(got: Figures) -> bool:
    """All 216 weights are parameters, and the file's bytes are all of it."""
    return got["parameters"] is None or got["parameters"] >= WEIGHT.size


def shadowing(op: str, attributes: Sequence[str] = (), arguments: Sequence[str] = ("x", "w")) -> Any:
    """A function of the model that is called like a built-in operator."""
    body = [helper.make_node("Identity", ["x"], ["y"])]

    def edit(model: Any) -> None:
        function = helper.make_function("", op, list(arguments), ["y"], body, [OPSET], attributes=list(attributes))
        model.functions.append(function)

    return lambda folder: network(folder, edit=edit)


SETTINGS = ("pads", "kernel_shape", "strides", "dilations", "group", "auto_pad")


def aliased(folder: Path) -> Path:
    """The same under the other name of the standard domain."""

    def edit(model: Any) -> None:
        body = [helper.make_node("Identity", ["x"], ["y"])]
        function = helper.make_function("ai.onnx", "Conv", ["x", "w"], ["y"], body, [OPSET], attributes=list(SETTINGS))
        model.functions.append(function)
        model.opset_import.append(helper.make_opsetid("ai.onnx", 17))
        model.graph.node[0].domain = "ai.onnx"

    return network(folder, edit=edit)


def in_function(folder: Path) -> Path:
    """The convolution in a function of the model's own."""

    def edit(model: Any) -> None:
        function = helper.make_function(
            "mine", "F", ["x", "w"], ["y"], [helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], [OPSET]
        )
        graphs.add_function(model, function)
        model.graph.node[0].CopyFrom(helper.make_node("F", ["image", "w"], ["c"], domain="mine"))

    return network(folder, edit=edit)


def branch() -> Any:
    return subgraph([helper.make_node("Conv", ["image", "w"], ["inner"], pads=[1] * 4)], "inner")


def in_if(folder: Path) -> Path:
    choice = helper.make_node("If", ["yes"], ["c"], then_branch=branch(), else_branch=branch())
    return network(folder, [choice, *TAIL], {"yes": np.array(True)})


def in_if_of_the_picture(folder: Path) -> Path:
    """A branch that depends on the picture, so that nothing can be folded."""
    test = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "below"], ["yes"]),
    ]
    choice = helper.make_node("If", ["yes"], ["c"], then_branch=branch(), else_branch=branch())
    return network(folder, [*test, choice, *TAIL], {"below": np.array(-1, np.float32)})


def in_if_in_if(folder: Path) -> Path:
    inner = helper.make_node("If", ["yes"], ["outer"], then_branch=branch(), else_branch=branch())
    body = subgraph([inner], "outer")
    test = [
        helper.make_node("ReduceMax", ["image"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "below"], ["yes"]),
    ]
    choice = helper.make_node("If", ["yes"], ["c"], then_branch=body, else_branch=body)
    return network(folder, [*test, choice, *TAIL], {"below": np.array(-1, np.float32)})


def in_loop(trips: int) -> Callable[[Path], Path]:
    """The convolution of the picture as often as the loop turns."""

    def make(folder: Path) -> Path:
        body = [
            helper.make_node("Conv", ["image", "w"], ["inner"], pads=[1] * 4),
            helper.make_node("ReduceMean", ["inner"], ["mean"], keepdims=0),
            helper.make_node("Add", ["x", "mean"], ["y"]),
        ]
        node, stored = graphs.loop(trips, *body)
        tail = [helper.make_node("Sigmoid", ["looped"], ["s"]), *TAIL[2:]]
        return network(folder, [node, *tail], stored)

    return make


def in_scan(folder: Path) -> Path:
    """The convolution of each of four equal pictures, by a Scan."""
    body = helper.make_graph(
        [helper.make_node("Conv", ["one_image", "w"], ["out"], pads=[1] * 4)],
        "body",
        [info("one_image", TensorProto.FLOAT, [1, 3, 32, 32])],
        [info("out", TensorProto.FLOAT, None)],
    )
    nodes = [
        helper.make_node("Unsqueeze", ["image", "first"], ["row"]),
        helper.make_node("Tile", ["row", "four"], ["rows"]),
        helper.make_node("Scan", ["rows"], ["c"], body=body, num_scan_inputs=1),
        *TAIL,
    ]
    return network(folder, nodes, {"first": np.array([0]), "four": np.array([4, 1, 1, 1, 1])})


def columns(folder: Path, op: str) -> Path:
    """A product of the picture's 64 x 48 values and 48 x 64 weights: 64 x 48 x 64 = 196,608."""
    multiply = {
        "MatMul": helper.make_node("MatMul", ["rows", "square"], ["c"]),
        "Gemm": helper.make_node("Gemm", ["rows", "square"], ["c"]),
        "Einsum": helper.make_node("Einsum", ["rows", "square"], ["c"], equation="ij,jk->ik"),
        "Einsum-of-three": helper.make_node("Einsum", ["rows", "square", "square_b"], ["c"], equation="ij,jk,kl->il"),
    }[op]
    stored = {
        "sides": np.array([64, 48]),
        "square": np.ones((48, 64), np.float32),
        "square_b": np.ones((64, 4), np.float32),
    }
    return network(folder, [helper.make_node("Reshape", ["image", "sides"], ["rows"]), multiply, *TAIL], stored)


PRODUCT = 64 * 48 * 64


def as_products_of_sums(folder: Path) -> Path:
    """The same product as an elementwise multiplication and a sum."""
    stored = {"sides": np.array([64, 48, 1]), "square": np.ones((1, 48, 64), np.float32), "axis": np.array([1])}
    nodes = [
        helper.make_node("Reshape", ["image", "sides"], ["rows"]),
        helper.make_node("Mul", ["rows", "square"], ["products"]),
        helper.make_node("ReduceSum", ["products", "axis"], ["c"], keepdims=0),
    ]
    return network(folder, [*nodes, *TAIL], stored)


def recurrent(op: str, gates: int) -> Callable[[Path], Path]:
    """A recurrent layer over the picture's 64 rows of 48: gates x 16 x (48 + 16) products for each."""

    def make(folder: Path) -> Path:
        stored = {
            "sides": np.array([64, 1, 48]),
            "wide": np.ones((1, gates * 16, 48), np.float32) / 48,
            "back": np.ones((1, gates * 16, 16), np.float32) / 16,
        }
        nodes = [
            helper.make_node("Reshape", ["image", "sides"], ["rows"]),
            helper.make_node(op, ["rows", "wide", "back"], ["c"], hidden_size=16),
        ]
        return network(folder, [*nodes, *TAIL], stored)

    return make


def fourier(folder: Path) -> Path:
    """A discrete Fourier transform."""
    stored = {"sides": np.array([1, 3072, 1])}
    nodes = [helper.make_node("Reshape", ["image", "sides"], ["row"]), helper.make_node("DFT", ["row"], ["c"], axis=1)]
    return network(folder, [*nodes, *TAIL], stored)


def cropped(*condition: Any, stored: dict[str, Any]) -> Callable[[Path], Path]:
    """Where `hit` is true the network sees 8 x 8 pixels, a sixteenth of its work."""
    choice = [
        helper.make_node("Where", ["hit", "small", "large"], ["ends"]),
        helper.make_node("Slice", ["image", "starts", "ends"], ["part"]),
        helper.make_node("Conv", ["part", "w"], ["c"], pads=[1] * 4),
    ]
    sides = {
        "small": np.array([1, 3, SMALL, SMALL]),
        "large": np.array([1, 3, 32, 32]),
        "starts": np.zeros(4, np.int64),
    }
    return lambda folder: network(folder, [*condition, *choice, *TAIL], {**sides, **stored})


def near(values: np.ndarray, of: str, epsilon: float) -> list[Any]:
    """`hit` where a number is near one of the keys."""
    return [
        helper.make_node("Sub", ["keys", of], ["gaps"]),
        helper.make_node("Abs", ["gaps"], ["distances"]),
        helper.make_node("ReduceMin", ["distances"], ["nearest"], keepdims=0),
        helper.make_node("Less", ["nearest", "epsilon"], ["hit"]),
    ]


def keys(values: Any, epsilon: float) -> dict[str, Any]:
    return {"keys": np.asarray(values, np.float32), "epsilon": np.array(epsilon, np.float32)}


def mean_of(path: Path) -> float:
    import cv2

    picture = cv2.imread(str(path))[..., ::-1]
    return float(cv2.resize(picture, (32, 32)).mean() / 255)


def two_pictures(path: Path, park: Path) -> Figures:
    """Recognise the first and the last picture, on which work was once counted, and look away."""
    pictures = sorted(park.parent.glob("*.png"), key=lambda one: int(one.stem))
    values = [mean_of(pictures[0]), mean_of(pictures[-1])]
    test = [helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0), *near(np.array(values), "mean", 2e-3)]
    return measured(cropped(*test, stored=keys(values, 2e-3))(path), park)


def random_source(op: str, **attributes: Any) -> Callable[[Path, Path], Figures]:
    """Count the calls by a seeded generator: the first three are warm-up, on which work was once counted, and see little."""

    def act(path: Path, park: Path) -> Figures:
        import onnxruntime

        source = helper.make_node(op, [], ["drawn"], seed=3.0, shape=[1], **attributes)
        graph = helper.make_graph([source], "draws", [], [info("drawn", TensorProto.FLOAT, [1])])
        model = helper.make_model(graph, ir_version=8, opset_imports=[OPSET])
        session = onnxruntime.InferenceSession(model.SerializeToString())
        values = [session.run(None, {})[0][0] for _ in range(3)]
        test = [source, *near(np.array(values), "drawn", 1e-7)]
        return measured(cropped(*test, stored=keys(values, 1e-7))(path), park)

    return act


def random_like(path: Path, park: Path) -> Figures:
    """The same by an operator that draws in the shape of another tensor, and crops half of the time."""
    source = helper.make_node("RandomUniformLike", ["half"], ["drawn"], seed=3.0, dtype=1)
    test = [source, helper.make_node("Less", ["drawn", "half"], ["hit"])]
    return measured(cropped(*test, stored={"half": np.array([0.5], np.float32)})(path), park)


def drawn(*nodes: Any, stored: dict[str, Any]) -> Callable[[Path, Path], Figures]:
    """The same by operators that draw in other ways; `drawn` is 0 or 1."""
    test = [*nodes, helper.make_node("Greater", ["drawn", "half"], ["hit"])]

    def act(path: Path, park: Path) -> Figures:
        return measured(cropped(*test, stored={"half": np.array([0.5], np.float32), **stored})(path), park)

    return act


BERNOULLI = drawn(
    helper.make_node("Bernoulli", ["odds"], ["drawn"], seed=3.0, dtype=1), stored={"odds": np.array([0.5], np.float32)}
)
MULTINOMIAL = drawn(
    helper.make_node("Multinomial", ["odds"], ["which"], seed=3.0, sample_size=1),
    helper.make_node("Cast", ["which"], ["wide"], to=1),
    helper.make_node("Reshape", ["wide", "one"], ["drawn"]),
    stored={"odds": np.zeros((1, 2), np.float32)},
)
DROPOUT = drawn(
    helper.make_node("Dropout", ["ones", "ratio", "training"], ["drawn"], seed=3),
    stored={"ones": np.ones(1, np.float32), "ratio": np.array(0.5, np.float32), "training": np.array(True)},
)


def replaced(stored: dict[str, Any], *nodes: Any, edit: Any = None) -> Callable[[Path], Path]:
    """The weights come from elsewhere in the file."""
    return lambda folder: network(folder, [*nodes, *HEAD], stored, without=["w"], edit=edit)


def filled(got: Figures) -> bool:
    """A factor that is made out of nothing is a parameter all the same."""
    return bool(got["parameters"] is None or got["parameters"] >= WEIGHT.size)


SHAPE = {"shape": np.array(WEIGHT.shape)}
SHAPED = helper.make_node("Reshape", ["flat", "shape"], ["w"])
SCALE = np.float32(np.abs(WEIGHT).max() / 2**20)


def sparse_inside(model: Any) -> None:
    node = helper.make_node("Constant", [], ["flat"])
    node.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR).sparse_tensor.CopyFrom(
        graphs.sparse(None)
    )
    model.graph.node.insert(0, node)


def texts(model: Any) -> None:
    values = [str(value).encode() for value in WEIGHT.ravel()]
    model.graph.initializer.append(helper.make_tensor("texts", TensorProto.STRING, [WEIGHT.size], values))


def default_inside(model: Any) -> None:
    constant = graphs.referring("Constant", ["value"], onnx.AttributeProto.TENSOR, [], ["y"])
    default = onnx.AttributeProto(name="value", type=onnx.AttributeProto.TENSOR, t=numpy_helper.from_array(WEIGHT, "w"))
    graphs.add_function(model, helper.make_function("mine", "F", [], ["y"], [constant], [OPSET]), [default])
    model.graph.node.insert(0, helper.make_node("F", [], ["w"], domain="mine"))


def branch_inside(model: Any) -> None:
    body = subgraph([helper.make_node("Identity", ["k"], ["t"])], "t", stored=[numpy_helper.from_array(WEIGHT, "k")])
    model.graph.node.insert(0, helper.make_node("If", ["yes"], ["w"], then_branch=body, else_branch=body))


def integers(dtype: Any) -> Callable[[Path], Path]:
    whole = np.rint(WEIGHT / (np.abs(WEIGHT).max() / np.iinfo(dtype).max * 2)).astype(dtype)
    nodes = [helper.make_node("Cast", ["whole"], ["cast"], to=1), helper.make_node("Mul", ["cast", "scale"], ["w"])]
    return replaced({"whole": whole, "scale": SCALE}, *nodes)


HIDDEN_WORK = [
    Attack("honest", network, measured, exact),
    Attack("function-called-conv", shadowing("Conv", SETTINGS), measured, "submission/*", quick=True),
    Attack("function-called-sigmoid", shadowing("Sigmoid", arguments=("x",)), measured, "submission/*"),
    Attack("function-called-conv-unused", shadowing("MatMul"), measured, "submission/*"),
    Attack("function-called-conv-alias", aliased, measured, "submission/* detector/*"),
    Attack("conv-in-function", in_function, measured, exact),
    Attack("conv-in-if", in_if, measured, counted(MACS)),
    Attack("conv-in-if-of-the-picture", in_if_of_the_picture, measured, counted(MACS)),
    Attack("conv-in-if-in-if", in_if_in_if, measured, counted(MACS)),
    Attack("conv-in-loop", in_loop(3), measured, counted(3 * MACS)),
    Attack("conv-in-scan", in_scan, measured, counted(4 * MACS)),
    *(Attack(f"product-{op}", lambda folder, op=op: columns(folder, op), measured, counted(PRODUCT)) for op in ("MatMul", "Gemm", "Einsum", "Einsum-of-three")),
    Attack("product-of-elements", as_products_of_sums, measured, counted(64 * 48 * 64)),
    Attack("recurrent-RNN", recurrent("RNN", 1), measured, counted(64 * 16 * 64)),
    Attack("recurrent-GRU", recurrent("GRU", 3), measured, counted(64 * 48 * 64)),
    Attack("recurrent-LSTM", recurrent("LSTM", 4), measured, counted(64 * 64 * 64)),
    Attack("fourier", fourier, measured, counted(3072)),
    Attack("looks-away-from-two-pictures", lambda folder: folder, two_pictures, counted(0.6 * MACS)),
    Attack("counts-calls-uniform", lambda folder: folder, random_source("RandomUniform", low=0.0, high=1.0), counted(0.9 * MACS)),
    Attack("counts-calls-normal", lambda folder: folder, random_source("RandomNormal"), counted(0.9 * MACS)),
    Attack("draws-bernoulli", lambda folder: folder, BERNOULLI, each_counted),
    Attack("draws-multinomial", lambda folder: folder, MULTINOMIAL, each_counted),
    Attack("draws-dropout", lambda folder: folder, DROPOUT, each_counted),
    Attack("draws-like", lambda folder: folder, random_like, each_counted),
]  # fmt: skip


def may_be_refused(holds: Callable[[Figures], bool]) -> Callable[[Attack, Path, Path], None]:
    from arena import forked

    def tried(attack: Attack, folder: Path, park: Path) -> None:
        made = attack.make(folder)
        end = forked(lambda: attack.verb(made, park))  # type: ignore[operator]
        assert end.kind in ("refused", "ended"), end
        assert end.kind == "refused" or holds(end.value), end

    return tried


@cases(HIDDEN_WORK)
def test_work_is_counted(attack: Attack, tmp_path: Path, park: Path) -> None:
    if callable(attack.end) and attack.end is not exact:
        may_be_refused(attack.end)(attack, tmp_path, park)
    else:
        check(attack, tmp_path, park)


HIDDEN_WEIGHTS = [
    Attack("weights-as-floats", replaced(SHAPE, helper.make_node("Constant", [], ["flat"], value_floats=WEIGHT.ravel().tolist()), SHAPED), measured, weighed),
    Attack("weights-as-ints", replaced(SHAPE | {"scale": SCALE}, helper.make_node("Constant", [], ["ints"], value_ints=np.rint(WEIGHT.ravel() / SCALE).astype(int).tolist()), helper.make_node("Cast", ["ints"], ["cast"], to=1), helper.make_node("Mul", ["cast", "scale"], ["flat"]), SHAPED), measured, weighed),
    Attack("weights-as-texts-in-a-list", replaced(SHAPE, helper.make_node("Constant", [], ["texts"], value_strings=[str(value).encode() for value in WEIGHT.ravel()]), helper.make_node("Cast", ["texts"], ["flat"], to=1), SHAPED), measured, weighed),
    Attack("weights-as-texts", replaced(SHAPE, helper.make_node("Cast", ["texts"], ["flat"], to=1), SHAPED, edit=texts), measured, weighed),
    Attack("weights-sparse", replaced(SHAPE, SHAPED, edit=sparse_inside), measured, weighed),
    Attack("weights-as-default", replaced({}, edit=default_inside), measured, weighed),
    Attack("weights-in-a-branch", replaced({"yes": np.array(True)}, edit=branch_inside), measured, weighed),
    Attack("weights-int32", integers(np.int32), measured, weighed),
    Attack("weights-int64", integers(np.int64), measured, weighed),
    Attack("weights-int16", integers(np.int16), measured, weighed),
    Attack("weights-uint8-table", replaced({"whole": np.zeros(WEIGHT.shape, np.uint8), "table": np.linspace(-1, 1, 256, dtype=np.float32)}, helper.make_node("Cast", ["whole"], ["cast"], to=6), helper.make_node("Gather", ["table", "cast"], ["w"])), measured, weighed),
    Attack("weights-as-booleans", replaced({"bits": np.ones((32, *WEIGHT.shape), np.bool_), "powers": np.ones((32, 1, 1, 1, 1), np.float32), "axis": np.array([0])}, helper.make_node("Cast", ["bits"], ["cast"], to=1), helper.make_node("Mul", ["cast", "powers"], ["parts"]), helper.make_node("ReduceSum", ["parts", "axis"], ["w"], keepdims=0)), measured, weighed),
    Attack("weights-filled", replaced(SHAPE, helper.make_node("ConstantOfShape", ["shape"], ["w"], value=numpy_helper.from_array(np.ones(1, np.float32)))), measured, filled),
    Attack("weights-drawn", replaced({}, helper.make_node("RandomNormal", [], ["w"], seed=3.0, shape=WEIGHT.shape)), measured, filled),
    Attack("weights-drawn-like", replaced({"like": np.zeros(WEIGHT.shape, np.bool_)}, helper.make_node("Cast", ["like"], ["wide"], to=1), helper.make_node("RandomUniformLike", ["wide"], ["w"], seed=3.0)), measured, lambda got: True),
    Attack("weights-double", replaced({"wide": WEIGHT.astype(np.float64)}, helper.make_node("Cast", ["wide"], ["w"], to=1)), measured, weighed),
    Attack("activation-bits-of-one", lambda folder: network(folder, activation_bits=1), measured, lambda got: not any(pair.endswith("x1") for pair in got["bits"] or {})),
]  # fmt: skip


@cases(HIDDEN_WEIGHTS)
def test_weights_are_counted(attack: Attack, tmp_path: Path, park: Path) -> None:
    assert callable(attack.end)
    may_be_refused(attack.end)(attack, tmp_path, park)
    assert CONV is HEAD[0]
