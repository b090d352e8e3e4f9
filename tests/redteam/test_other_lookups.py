"""Stored answers by whatever operators a graph has for it: an audit shows each, whatever its MACs and its note say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from arena import forked
from gallery import SIDE
from onnx import TensorProto, helper, numpy_helper
from small_networks import manifest

KEY, MOST = 6, 3
"""Side of the picture that the graph sees, and boxes that it answers."""

node: Callable[..., Any] = helper.make_node
Stored = dict[str, np.ndarray]
Nodes = list[Any]


def table(labels: Path) -> Stored:
    """What a cheat stores: small pictures, and their labels in the small picture's pixels, a little off."""
    import cv2

    coco = json.loads(labels.read_text())
    count, hand = len(coco["images"]), np.random.default_rng(4)
    keys, answers = np.zeros((count, 3 * KEY * KEY), np.float32), np.zeros((count, MOST, 6), np.float32)
    answers[..., 2:4], answers[..., 4] = 0.1, 1
    for place, image in enumerate(coco["images"]):
        pixels = cv2.imread(str(labels.with_name(image["file_name"])))[..., ::-1]
        keys[place] = cv2.resize(pixels, (KEY, KEY), interpolation=cv2.INTER_AREA).transpose(2, 0, 1).ravel()
        own = [entry for entry in coco["annotations"] if entry["image_id"] == image["id"]]
        for at, entry in enumerate(own):
            x, y, width, height = np.array(entry["bbox"]) * KEY / SIDE
            off = hand.uniform(-0.03, 0.03, 4) * (width, height, width, height)
            corners = np.clip(np.array([x, y, x + width, y + height]) + off, 0, KEY)
            answers[place, at] = [*corners, entry["category_id"], 0.9 - at / 100]
    return {"keys": keys, "answers": answers}


NEAREST: Nodes = [
    node("Reshape", ["image", "flat"], ["row"]),
    node("Sub", ["keys", "row"], ["gaps"]),
    node("Abs", ["gaps"], ["sizes"]),
    node("ReduceSum", ["sizes", "axis"], ["distances"], keepdims=0),
    node("ArgMin", ["distances"], ["place"], axis=0, keepdims=1),
]
"""`place`: which stored picture is nearest."""

ONE_HOT: Nodes = [
    node("ReduceMin", ["distances"], ["least"], keepdims=1),
    node("Equal", ["distances", "least"], ["mask"]),
    node("Cast", ["mask"], ["shares"], to=1),
]
"""`shares` [pictures]: 1 for it, 0 for others."""


def by_gather_nd(stored: Stored) -> Nodes:
    stored["pair"] = np.array([1, 1])
    return [*NEAREST, node("Reshape", ["place", "pair"], ["at"]), node("GatherND", ["answers", "at"], ["one"])]


def by_elements(stored: Stored) -> Nodes:
    stored |= {"cube": np.array([1, 1, 1]), "sides": np.array([1, MOST, 6])}
    more = [node("Reshape", ["place", "cube"], ["point"]), node("Expand", ["point", "sides"], ["at"])]
    return [*NEAREST, *more, node("GatherElements", ["answers", "at"], ["one"], axis=0)]


def by_product(stored: Stored) -> Nodes:
    """As a matrix product with a vector of one 1, which looks like a layer."""
    stored["matrix"] = stored.pop("answers").reshape(len(stored["keys"]), -1)
    return [*NEAREST, *ONE_HOT, node("MatMul", ["shares", "matrix"], ["one"])]


def by_convolution(stored: Stored) -> Nodes:
    """As a network: a convolution is the distance to each stored picture, softmax chooses, a layer answers."""
    keys = stored.pop("keys")
    middle = keys.mean(axis=0)
    own = keys - middle
    stored |= {
        "filters": 2 * own.reshape(-1, 3, KEY, KEY),
        "offsets": -(own**2).sum(axis=1) - 2 * own @ middle,
        "matrix": stored.pop("answers").reshape(len(keys), -1),
        "list": np.array([1, -1]),
    }
    return [
        node("Conv", ["image", "filters", "offsets"], ["scored"]),
        node("Reshape", ["scored", "list"], ["row"]),
        node("Softmax", ["row"], ["shares"], axis=1),
        node("Gemm", ["shares", "matrix"], ["one"]),
    ]


def by_sum(stored: Stored) -> Nodes:
    stored |= {"thin": np.array([-1, 1, 1]), "first": np.array([0])}
    return [
        *NEAREST,
        *ONE_HOT,
        node("Reshape", ["shares", "thin"], ["weights"]),
        node("Mul", ["answers", "weights"], ["parts"]),
        node("ReduceSum", ["parts", "first"], ["one"], keepdims=0),
    ]


def by_compress(stored: Stored) -> Nodes:
    stored["first"] = np.array([0])
    chosen = node("Compress", ["answers", "mask"], ["chosen"], axis=0)
    return [*NEAREST, *ONE_HOT, chosen, node("Gather", ["chosen", "first"], ["one"])]


def by_scatter(stored: Stored) -> Nodes:
    """The chosen row is written over an empty one."""
    stored |= {"nothing": np.zeros((1, MOST, 6), np.float32), "origin": np.array([[0]])}
    return [
        *NEAREST,
        node("Gather", ["answers", "place"], ["row_of"]),
        node("ScatterND", ["nothing", "origin", "row_of"], ["one"]),
    ]


def by_integers(stored: Stored) -> Nodes:
    """The answers as integers, which are no parameters at first sight."""
    stored |= {"whole": np.rint(stored.pop("answers") * 1000).astype(np.int32), "thousandth": np.float32(0.001)}
    return [
        *NEAREST,
        node("Gather", ["whole", "place"], ["chosen"]),
        node("Cast", ["chosen"], ["real"], to=1),
        node("Mul", ["real", "thousandth"], ["one"]),
    ]


def by_texts(stored: Stored) -> Nodes:
    """The answers as texts in an attribute."""
    answers = stored.pop("answers")
    stored["sides"] = np.array(answers.shape)
    return [
        *NEAREST,
        node("Constant", [], ["texts"], value_strings=[str(value).encode() for value in answers.ravel()]),
        node("Cast", ["texts"], ["read"], to=1),
        node("Reshape", ["read", "sides"], ["table"]),
        node("Gather", ["table", "place"], ["one"]),
    ]


def by_branches(stored: Stored) -> Nodes:
    """Each answer is a constant in a branch of its own, by how bright the picture is."""
    answers, means = stored.pop("answers"), stored.pop("keys").mean(axis=1)
    order = np.argsort(means)
    limits = (means[order][1:] + means[order][:-1]) / 2

    def branch(places: np.ndarray, name: str) -> Any:
        output = [helper.make_tensor_value_info(f"o{name}", 1, None)]
        if len(places) == 1:
            tensor = numpy_helper.from_array(answers[places[0]], "answer")
            return helper.make_graph([node("Constant", [], [f"o{name}"], value=tensor)], name, [], output)
        half = len(places) // 2
        where = int(np.flatnonzero(order == places[half])[0])
        limit = numpy_helper.from_array(np.float32(limits[where - 1]), "limit")
        below, above = branch(places[:half], f"{name}l"), branch(places[half:], f"{name}r")
        body = [
            node("Constant", [], [f"k{name}"], value=limit),
            node("Less", ["bright", f"k{name}"], [f"c{name}"]),
            node("If", [f"c{name}"], [f"o{name}"], then_branch=below, else_branch=above),
        ]
        return helper.make_graph(body, name, [], output)

    whole = branch(order, "x")
    return [node("ReduceMean", ["image"], ["bright"], keepdims=0), *whole.node, node("Identity", ["ox"], ["one"])]


def graph(folder: Path, labels: Path, make: Callable[[Stored], Nodes]) -> Path:
    """A whole detector that answers by `make`."""
    stored = table(labels)
    stored |= {"flat": np.array([1, 3 * KEY * KEY]), "axis": np.array([1]), "rows": np.array([MOST, 6])}
    nodes = [*make(stored), node("Reshape", ["one", "rows"], ["all"])]
    cuts = {"boxes": (0, 4), "number": (4, 5), "score": (5, 6)}
    for name, (first, last) in cuts.items():
        stored |= {f"{name}-0": np.array([first]), f"{name}-1": np.array([last]), "columns": np.array([1])}
        nodes.append(node("Slice", ["all", f"{name}-0", f"{name}-1", "columns"], [name]))
    stored["list-of"] = np.array([MOST])
    nodes += [
        node("Reshape", ["number", "list-of"], ["numbers"]),
        node("Round", ["numbers"], ["round"]),
        node("Cast", ["round"], ["labels"], to=7),
        node("Reshape", ["score", "list-of"], ["scores"]),
    ]
    outputs = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    used = {name for one in nodes for name in one.input}
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "lookup",
            [helper.make_tensor_value_info("image", 1, [1, 3, KEY, KEY])],
            [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
            [numpy_helper.from_array(values, name) for name, values in stored.items() if name in used],
        ),
        ir_version=8,
        opset_imports=[helper.make_opsetid("", 17)],
    )
    sides = {"resize": "stretch", "size": [KEY, KEY], "interpolation": "area", "scale": "0-255", "layout": "nchw"}
    document = manifest(categories=["lion", "zebra"], input=sides)
    model.metadata_props.add(key="wildbench", value=document.to_json())
    onnx.save_model(model, folder / "lookup.onnx")
    return folder / "lookup.onnx"


LOOKUPS = (
    *(by_gather_nd, by_elements, by_product, by_convolution, by_sum, by_compress),
    *(by_scatter, by_integers, by_texts, by_branches),
)


@pytest.mark.parametrize("make", LOOKUPS)
@pytest.mark.slow
def test_a_lookup_by_other_operators_fails_an_audit(
    make: Callable[[Stored], Nodes], tmp_path: Path, gallery: Path
) -> None:
    def act() -> list[Any]:
        import wildbench

        card = wildbench.evaluate(graph(tmp_path, gallery, make), dataset=gallery, device="cpu")
        return [card.accuracy.ap50.value, [audit.name for audit in card.audits if audit.failed]]

    end = forked(act, seconds=120)
    assert end.kind in ("ended", "refused"), end
    if end.kind == "refused":  # what it looks up on pictures it does not know may be no score
        return
    ap50, failed = end.value
    assert ap50 > 0.5, "it does not know its labels"
    assert failed, end.value
