"""MACs of submissions, counted in their own process on images of several shapes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from refusals import refused

from wildbench.detectors.zoo import _zoo
from wildbench.errors import WrongOutput
from wildbench.measures.compute._compute import measure_compute, summarise
from wildbench.measures.compute._count import Count, Operands, Stage
from wildbench.measures.compute._torch_counter import count_macs
from wildbench.measures.latency import Process
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Sandbox, ask

NAME = "fcos_efficientnet_lite0_fpn"
IMAGES = [np.random.default_rng(side).integers(0, 256, (side, 96, 3), np.uint8) for side in (64, 128)]


def test_a_submission_spends_what_its_module_spends(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = _zoo.build(NAME, 2).eval()
    save_submission(network, tmp_path / "a.pt", detector=NAME, categories=["zebra", "lion"])
    with Sandbox(tmp_path / "a.pt") as box:
        found = measure_compute(box, IMAGES, Operands())
        assert measure_compute(box, IMAGES, Operands()) == found
    planes = [torch.from_numpy(image).permute(2, 0, 1) / 255 for image in IMAGES]
    expected = [count_macs(lambda plane=plane: network([plane]), network).macs for plane in planes]
    assert found.macs.value == np.mean(expected)
    assert found.macs.n == 2
    assert found.flops.value == 2 * np.mean(expected)
    assert sum(part.value or 0 for part in found.by_module.values()) == pytest.approx(found.macs.value)
    assert found.proposals.reason == found.macs_per_proposal.reason == "the detector pools no regions: it has one stage"
    assert found.uncounted["torchvision::nms"] > 0


def write_convolution(path: Path, plane: str) -> Path:
    """A graph of one convolution, whose result has this name, with its manifest beside it."""
    nodes = [
        helper.make_node("Conv", ["image", "weight"], [plane]),
        helper.make_node("GlobalAveragePool", [plane], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["boxes"]),
        helper.make_node("Identity", ["one"], ["scores"]),
        helper.make_node("Identity", ["first"], ["labels"]),
    ]
    weights = {
        "weight": np.zeros((4, 3, 3, 3), np.float32),
        "one": np.ones(1, np.float32),
        "first": np.ones(1, np.int64),
    }
    kinds = {"boxes": TensorProto.FLOAT, "scores": TensorProto.FLOAT, "labels": TensorProto.INT64}
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [image],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in kinds.items()],
        [numpy_helper.from_array(values, name) for name, values in weights.items()],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    manifest = {"name": "a", "detector": {"name": "tiny"}, "categories": ["zebra"], "input": {"layout": "nchw"}}
    path.with_suffix(".manifest.json").write_text(Manifest.model_validate(manifest).to_json())
    return path


def test_an_onnx_submission_is_counted_from_its_graph(tmp_path: Path) -> None:
    with Sandbox(write_convolution(tmp_path / "a.onnx", "plane")) as box:
        found = measure_compute(box, IMAGES, Operands())
    macs = [4 * 27 * (height - 2) * 94 for height in (64, 128)]
    assert found.macs.value == np.mean(macs)
    assert found.uncounted == {"GlobalAveragePool": 1.0}


def test_a_count_that_fails_leaves_its_figures_undefined(tmp_path: Path) -> None:
    """The counter's own name for the shape of `weight` is taken by this graph."""
    with Sandbox(write_convolution(tmp_path / "a.onnx", "weight:shape")) as box:
        assert box.predict(IMAGES[0]).detections.dropped == 1
        found = measure_compute(box, IMAGES, Operands())
    assert found.macs.value is found.flops.value is found.proposals.value is found.macs_per_proposal.value is None
    assert (found.macs.reason or "").startswith("counting failed: a.onnx: raised ")
    assert found.by_module == found.uncounted == {}


def test_figures_of_a_two_stage_detector_add_up() -> None:
    counts = [
        Count(
            by_module={"body": 100, "head": 70, "mask": 9},
            stages=[Stage(regions=10, macs=70), Stage(regions=3, macs=9)],
        ),
        Count(by_module={"body": 140}, stages=[Stage(regions=0, macs=0)], uncounted={"aten::relu": 3}),
    ]
    found = summarise(counts, Operands())
    assert found.macs.value == (179 + 140) / 2
    assert found.proposals.value == 5
    assert found.macs_per_proposal.value == 7
    assert found.by_module["mask"].value == 4.5
    assert found.uncounted == {"aten::relu": 1.5}


def test_no_proposal_at_all_leaves_their_macs_undefined() -> None:
    found = summarise([Count(by_module={"body": 100}, stages=[Stage()])], Operands())
    assert found.proposals.value == 0
    assert found.macs_per_proposal.reason == "no image had a proposal"


@pytest.mark.parametrize("counts", [[], [Count(unseen="its TorchScript runs prim::x")]])
def test_what_was_not_counted_is_null_with_the_reason(counts: list[Count]) -> None:
    found = summarise(counts, Operands())
    figures = (found.macs, found.flops, found.proposals, found.macs_per_proposal)
    assert {figure.reason for figure in figures} == {counts[0].unseen if counts else "no image was counted"}
    assert found.by_module == {}


def test_what_a_process_tells_is_checked(tmp_path: Path) -> None:
    save_submission(_zoo.build(NAME, 1), tmp_path / "a.pt", detector=NAME, categories=["zebra"])
    with Sandbox(tmp_path / "a.pt") as box, refused("detector/garbled", kind=WrongOutput):
        ask(box, "wildbench.measures.compute:count", Process, IMAGES[0])
