from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from onnx import TensorProto, helper
from refusals import refused
from small_networks import (
    BOXES,
    MeanDetector,
    beside,
    constant_detector,
    manifest,
    write_export,
    write_onnx,
    write_torchscript,
)

from wildbench.detectors.zoo import _zoo
from wildbench.errors import WrongOutput
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.formats._torch_backend import named_tensors
from wildbench.submissions.formats.onnx_graph import open_session
from wildbench.submissions.process import Opened, open_submission
from wildbench.submissions.source import Source

pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning", "ignore:SSD always returns")

IMAGE = np.random.default_rng(2).integers(0, 256, (24, 40, 3), dtype=np.uint8)


def test_the_three_foreign_formats_of_one_network_agree(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"]),
        helper.make_node("Reshape", ["mean", "flat"], ["scores"]),
        helper.make_node("Identity", ["box"], ["boxes"]),
        helper.make_node("Identity", ["one"], ["labels"]),
    ]
    weights = {"flat": np.array([1]), "box": BOXES[:1], "one": np.array([1])}
    outputs = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    write_onnx(tmp_path / "a.onnx", nodes, outputs, weights)
    paths = [
        write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest()),
        write_export(tmp_path / "a.pt2", MeanDetector(), manifest()),
        beside(tmp_path / "a.onnx"),
    ]
    mean = (IMAGE / 255).mean()
    for path in paths:
        opened = open_submission(path, threads=1)
        found = opened.predict(IMAGE)
        assert found.boxes.tolist() == [[1, 2, 30, 20]], opened.format.name
        assert found.labels.tolist() == [1]
        np.testing.assert_allclose(found.scores, [mean], rtol=1e-5)
        assert set(found.stages) == {"preprocess", "forward", "postprocess"}
        assert min(found.stages.values()) > 0
        assert opened.device == "cpu"
        assert (opened.module is None) == (opened.format.name == "onnx")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_pass_on_cuda_is_finished_when_it_returns(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest())
    opened = open_submission(path, device="cuda")
    assert opened.device == "cuda:0"
    assert opened.predict(IMAGE).boxes.tolist() == [[1, 2, 30, 20]]
    assert opened.backend.facts()["peak_memory"] > 0


def zoo_submission(folder: Path, name: str, **arguments: float) -> tuple[torch.nn.Module, Opened]:
    torch.manual_seed(4)
    model = _zoo.build(name, 2, **arguments).eval()
    categories = ["zebra", "lion"]
    save_submission(model, folder / "a.pt", detector=name, categories=categories, arguments=arguments)
    return model, open_submission(folder / "a.pt")


def test_a_submission_of_the_zoo_answers_as_the_bare_model(tmp_path: Path) -> None:
    model, opened = zoo_submission(tmp_path, "ssdlite320_mobilenet_v3_large", score_thresh=0.001)
    with torch.inference_mode():
        expected = model([torchvision.transforms.functional.to_tensor(IMAGE)])[0]
    found = opened.predict(IMAGE)
    assert len(found) == len(expected["scores"]) > 0
    np.testing.assert_array_equal(found.scores, expected["scores"])
    np.testing.assert_array_equal(found.labels, expected["labels"])
    np.testing.assert_array_equal(found.boxes, expected["boxes"])
    assert found.masks is None


def test_masks_are_those_of_the_bare_model(tmp_path: Path) -> None:
    model, opened = zoo_submission(
        tmp_path, "maskrcnn_mobilenet_v3_large_fpn", min_size=64, max_size=96, box_score_thresh=0
    )
    with torch.inference_mode():
        expected = model([torchvision.transforms.functional.to_tensor(IMAGE)])[0]
    found = opened.predict(IMAGE)
    assert len(expected["masks"]) > 0
    np.testing.assert_array_equal(found.masks, (expected["masks"][:, 0] > 0.5).numpy())


def test_torchvisions_scripted_detectors_are_understood(tmp_path: Path) -> None:
    torch.manual_seed(4)
    model = _zoo.build("ssdlite320_mobilenet_v3_large", 2, score_thresh=0.001).eval()
    opened = open_submission(write_torchscript(tmp_path / "a.pt", model, manifest(input={})))
    with torch.inference_mode():
        expected = model([torchvision.transforms.functional.to_tensor(IMAGE)])[0]
    np.testing.assert_allclose(opened.predict(IMAGE).scores, expected["scores"], rtol=1e-4)


def test_an_undecoded_grid_is_mapped_back_to_the_photograph(tmp_path: Path) -> None:
    """One cell says: 32 pixels square about (24, 40) of the letterboxed 64 x 64 input."""
    raw = np.zeros((1, 4, 7), np.float32)
    raw[0, 2] = [0.75, 0.25, 0, 0, 1, 0, 0.5]  # row 1, column 0 of stride 32
    write_onnx(
        tmp_path / "a.onnx", [helper.make_node("Identity", ["raw"], ["out"])], {"out": TensorProto.FLOAT}, {"raw": raw}
    )
    beside(
        tmp_path / "a.onnx",
        input={"resize": "letterbox", "size": [64, 64], "position": "center", "layout": "nchw"},
        output={"kind": "yolox", "strides": [32], "score_threshold": 0.1, "nms_iou": 0.5, "max_detections": 5},
    )
    found = open_submission(tmp_path / "a.onnx").predict(np.zeros((64, 128, 3), np.uint8))
    # half size, 16 rows of padding above: x = (8, 40) x 2, y = (24 - 16, 56 - 16) x 2, clipped to 64
    assert found.boxes.tolist() == [[16, 16, 80, 64]]
    assert found.labels.tolist() == [2]


def test_an_answer_that_is_no_tensor_is_refused() -> None:
    with refused("detector/no-tensors", kind=WrongOutput):
        named_tensors("zebra")  # type: ignore[arg-type]


def test_a_graph_with_two_inputs_is_refused(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.input.append(helper.make_tensor_value_info("size", TensorProto.INT64, [2]))
    onnx.save(model, path)
    with refused("submission/inputs"):
        open_submission(path)


def test_a_graph_that_onnxruntime_refuses_is_one_line(tmp_path: Path) -> None:
    nodes = [helper.make_node("NoSuchOperator", ["image"], ["scores"])]
    path = beside(write_onnx(tmp_path / "a.onnx", nodes, {"scores": TensorProto.FLOAT}, {}))
    with refused("submission/cannot-open") as caught:
        open_submission(path)
    assert "NoSuchOperator" in str(caught.value)


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(tmp_path: Path) -> None:
    graph = constant_detector(tmp_path / "a.onnx")
    script = write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest())
    for device in ("cuda:99", "cuda:x", "tpu", "mps"):
        for path, library in ((graph, "onnxruntime"), (script, "torch")):
            with refused("submission/no-such-device") as caught:
                open_submission(path, device=device)
            assert library in str(caught.value)


@pytest.mark.filterwarnings("ignore:Specified provider")
@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is a GPU")
def test_a_session_that_would_run_elsewhere_is_refused(tmp_path: Path) -> None:
    """onnxruntime itself goes on without CUDA, by its next provider."""
    graph = Source.read(constant_detector(tmp_path / "a.onnx"))
    assert open_session(graph, "cpu", 1).get_providers() == ["CPUExecutionProvider"]
    with refused("submission/no-such-device"):
        open_session(graph, "cuda:0", 1)


def test_auto_is_the_cpu_where_there_is_no_gpu(tmp_path: Path) -> None:
    opened = open_submission(constant_detector(tmp_path / "a.onnx"), device="auto")
    assert opened.device == ("cuda:0" if "CUDAExecutionProvider" in onnxruntime.get_available_providers() else "cpu")
    assert opened.predict(IMAGE).boxes.tolist() == BOXES.tolist()
