"""Graphs in ONNX Runtime's own format say and answer what the ONNX graphs do that they were made from."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from refusals import refused
from small_networks import as_ort, manifest, write_onnx

from wildbench.submissions.formats.onnx_graph import FORMAT as ONNX
from wildbench.submissions.formats.onnx_graph import METADATA_KEY
from wildbench.submissions.formats.ort import FORMAT
from wildbench.submissions.source import Source

RANDOM = np.random.default_rng(0)


@pytest.fixture
def twins(tmp_path: Path) -> tuple[Source, Source]:
    weights = {"first.weight": RANDOM.normal(size=(4, 3, 3, 3)).astype(np.float32), "shape": np.array([1, 4, -1])}
    weights["first.weight"][0] = 0
    nodes = [
        helper.make_node("Conv", ["image", "first.weight"], ["features"]),
        helper.make_node("Reshape", ["features", "shape"], ["answer"]),
    ]
    path = write_onnx(tmp_path / "a.onnx", nodes, {"answer": TensorProto.FLOAT}, weights)
    model = onnx.load(path)
    for key, value in (("stride", "32"), (METADATA_KEY, manifest().to_json())):
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return Source.read(path), Source.read(as_ort(path, tmp_path / "a.ort"))


def test_twins_say_the_same(twins: tuple[Source, Source]) -> None:
    graph, flat = twins
    mine, theirs = FORMAT.signature(flat), ONNX.signature(graph)
    assert mine.inputs == theirs.inputs
    assert [port.name for port in mine.outputs] == ["answer"]
    assert FORMAT.manifest(flat) == manifest().to_json()
    assert FORMAT.metadata(flat) == {"stride": "32"}
    listed = {one.name: one for one in FORMAT.tensors(flat, manifest()).tensors or ()}
    weight = listed["first.weight"]
    assert (weight.elements, weight.bytes, weight.nonzero, weight.parameter) == (108, 432, 81, True)
    assert not listed["shape"].parameter


def test_twins_answer_the_same(twins: tuple[Source, Source]) -> None:
    image = RANDOM.random((1, 3, 8, 9), np.float32)
    opened = [format.open(one, manifest(), "cpu", 1) for format, one in zip((ONNX, FORMAT), twins, strict=True)]
    answers = [backend.run({"image": image})["answer"] for backend in opened]
    assert np.allclose(*answers, atol=1e-5)
    assert opened[1].facts() == opened[0].facts()


def test_integers_are_not_told_apart(tmp_path: Path) -> None:
    weights = {"codes": np.ones((4, 3), np.int8), "scale": np.float32(0.1), "zero": np.int8(0)}
    nodes = [helper.make_node("DequantizeLinear", ["codes", "scale", "zero"], ["answer"])]
    path = write_onnx(tmp_path / "a.onnx", nodes, {"answer": TensorProto.FLOAT}, weights)
    model = onnx.load(path)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(weights["codes"], "codes"))
    model.graph.output.append(helper.make_tensor_value_info("codes", TensorProto.INT8, [4, 3]))
    onnx.save(model, path)
    listing = FORMAT.tensors(Source.read(as_ort(path, tmp_path / "a.ort")), manifest())
    assert (listing.tensors, bool(listing.reason)) == (None, True)


def test_damage_is_refused(twins: tuple[Source, Source]) -> None:
    data = bytearray(twins[1].data)
    data[:4] = b"\xff\xff\xff\x7f"
    with refused("submission/not-ort"):
        FORMAT.signature(Source(Path("a.ort"), bytes(data)))
    with refused("submission/cannot-open"):
        FORMAT.open(Source(Path("a.ort"), bytes(data[:200])), manifest(), "cpu", 1)
