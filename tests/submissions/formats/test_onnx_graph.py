from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from refusals import refused
from small_networks import beside, constant_detector, stored, write_onnx

from wildbench.submissions.admission import admit

IDENTITY = [helper.make_node("Identity", ["image"], ["scores"])]
SCORES = {"scores": TensorProto.FLOAT}


def test_operators_of_onnx_and_onnxruntime_are_admitted(tmp_path: Path) -> None:
    nodes = [helper.make_node("Gelu", ["image"], ["scores"], domain="com.microsoft")]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    admit(beside(write_onnx(tmp_path / "a.onnx", nodes, SCORES, {}, opset_imports=domains)))


def test_a_custom_operator_is_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("NMS", ["image"], ["scores"], domain="mmdeploy")]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("mmdeploy", 1)]
    path = beside(write_onnx(tmp_path / "a.onnx", nodes, SCORES, {}, opset_imports=domains))
    with refused("submission/custom-operator"):
        admit(path)


def test_a_custom_operator_within_a_branch_is_refused(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("deep", TensorProto.FLOAT, None)
    inner = helper.make_graph([helper.make_node("Trick", ["image"], ["deep"], domain="evil")], "then", [], [value])
    nodes = [helper.make_node("If", ["yes"], ["scores"], then_branch=inner, else_branch=inner)]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
    path = write_onnx(tmp_path / "a.onnx", nodes, SCORES, {"yes": np.array(True)}, opset_imports=domains)
    with refused("submission/custom-operator"):
        admit(beside(path))


def test_functions_that_the_file_defines_are_admitted(tmp_path: Path) -> None:
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    function = helper.make_function("own", "Same", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], domains)
    nodes = [helper.make_node("Same", ["image"], ["scores"], domain="own")]
    path = write_onnx(tmp_path / "a.onnx", nodes, SCORES, {}, opset_imports=domains, functions=[function])
    admit(beside(path))
    model = onnx.load(path)
    model.functions[0].node[0].domain = "evil"
    onnx.save(model, path)
    with refused("submission/custom-operator"):
        admit(path)


@pytest.mark.parametrize("attributes", [False, True])
def test_weights_in_another_file_belong_to_the_submission(tmp_path: Path, attributes: bool) -> None:
    if attributes:
        constant = helper.make_node(
            "Constant", [], ["w"], value=onnx.numpy_helper.from_array(np.ones(999, np.float32), "w")
        )
        write_onnx(tmp_path / "a.onnx", [constant, *IDENTITY], SCORES, {})
    else:
        write_onnx(tmp_path / "a.onnx", IDENTITY, SCORES, {"w": np.ones(999, np.float32)})
    whole = onnx.load(tmp_path / "a.onnx")
    onnx.save_model(
        whole,
        tmp_path / "a.onnx",
        save_as_external_data=True,
        location="w.bin",
        size_threshold=0,
        convert_attribute=attributes,
    )
    weights = tmp_path / "w.bin"
    assert weights.stat().st_size >= 3996
    admitted = admit(beside(tmp_path / "a.onnx"))
    assert admitted.source.size == stored(tmp_path / "a.onnx") + weights.stat().st_size
    tensors = {tensor.name: tensor for tensor in admitted.listing.tensors or ()}
    assert (tensors["w"].nonzero, tensors["w"].elements) == (999, 999)
    graph = (tmp_path / "a.onnx").read_bytes()
    weights.write_bytes(weights.read_bytes()[:-8])
    with refused("submission/damaged"):
        admit(tmp_path / "a.onnx")
    weights.unlink()
    with refused("submission/missing-companion"):
        admit(tmp_path / "a.onnx")
    (tmp_path / "a.onnx").write_bytes(graph.replace(b"w.bin", b"../w."))
    with refused("submission/outside"):
        admit(tmp_path / "a.onnx")


def test_the_graph_tells_the_layout(tmp_path: Path) -> None:
    path = beside(constant_detector(tmp_path / "a.onnx"), input={})
    assert admit(path).manifest.input.layout == "nchw"


@pytest.mark.parametrize("data", [b"\x08\x08\xff\xff\xff", b"\x08", b"random", None])
def test_what_is_no_graph_is_refused(tmp_path: Path, data: bytes | None) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    path.write_bytes(path.read_bytes()[:-20] if data is None else data)
    with refused("submission/not-onnx"):
        admit(path)
