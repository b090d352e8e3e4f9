"""Saturated outputs: counts against closed forms, and quantized graphs that are cut off beside sound ones."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static

from wildbench.measures.saturation import End, ends_of, find_saturation, saturated
from wildbench.submissions.inspection import inspect_submission
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Sandbox

SHARED = Path(__file__).parents[3] / "shared"

Array = NDArray[Any]


def cut(values: Array, low: float, high: float) -> Array:
    """Values as 8 bits between two numbers say them."""
    step = (high - low) / 255
    return np.float32(np.clip(np.rint((values - low) / step), 0, 255) * step + low)


NORMAL = np.random.default_rng(0).normal(size=(1, 2000, 6)) * np.array([1, 1, 1, 1, 0.01, 0.01])


def test_the_values_at_each_end_are_counted() -> None:
    output = np.array([[-0.5, -0.5, -0.3, 0.0, 0.2, 0.35, 0.75, 0.75, 0.75]], np.float32)
    low, high = ends_of({"boxes": output})
    assert (low.bound, low.at, low.outer, low.size) == (-0.5, 2, 3, 9)
    assert (high.bound, high.at, high.outer, high.size) == (0.75, 3, 3, 9)
    low, high = ends_of({"boxes": output}, {"boxes": (-0.5, 1.5)})
    assert (low.at, high.at, high.outer) == (2, 0, 0), "nothing is at the end that the type has"


@pytest.mark.parametrize(
    "output",
    [
        np.zeros((1, 100), np.float32),  # scores that are all zero
        np.repeat(np.arange(3.0, dtype=np.float32), 100),  # labels
        np.minimum(np.linspace(0, 2, 300, dtype=np.float32), 1),  # clipped to the image
        np.full(100, 255, np.uint8),
        np.full(100, np.nan, np.float32),
        np.empty((0, 4), np.float32),
    ],
)
def test_numbers_that_are_the_same_on_purpose_are_no_end(output: Array) -> None:
    assert not saturated(ends_of({"y": output}))


@pytest.mark.parametrize(
    ("low", "high", "bounds"), [(0, 255 / 256, [0.996]), (-1.2, 1.2, [-1.2, 1.2]), (-5, 5, []), (-3.2, 3.7, [])]
)
def test_a_range_that_is_too_narrow_is_named(low: float, high: float, bounds: list[float]) -> None:
    findings = saturated(ends_of({"boxes": cut(NORMAL, low, high)}))
    assert [finding.code for finding in findings] == ["saturated-output"] * len(bounds)
    for finding, bound in zip(findings, bounds, strict=True):
        assert (finding.place, finding.severity) == ("boxes", "warning")
        assert f"{bound:.4g}" in finding.message


def test_ends_add_up_over_images_only_where_they_are_the_same() -> None:
    same = [End(output="y", bound=0.7, at=20, outer=40, size=1000) for _ in range(2)]
    assert len(saturated(same)) == 1
    assert not saturated(same[:1]), "20 values are few"
    assert not saturated([same[0], same[1].model_copy(update={"bound": 0.8})])


class Images(CalibrationDataReader):  # type: ignore[misc]
    """Pictures of noise, or of one grey each."""

    def __init__(self, kind: str) -> None:
        noise = np.random.default_rng(1).random((4, 1, 3, 64, 96)).astype(np.float32)
        grey = [np.full_like(noise[0], level / 3) for level in range(4)]
        self.images: Iterator[dict[str, Array]] = iter([{"image": one} for one in {"noise": noise, "grey": grey}[kind]])

    def get_next(self) -> dict[str, Array] | None:
        return next(self.images, None)


@pytest.mark.parametrize(("kind", "codes"), [("noise", []), ("grey", 2 * ["saturated-output"])])
def test_a_graph_that_was_calibrated_with_other_images_saturates(tmp_path: Path, kind: str, codes: list[str]) -> None:
    """Of its filters' sums a tenth is left, so that grey pictures give small numbers; both ends are cut off."""
    logging.getLogger().setLevel(logging.ERROR)
    weight = np.random.default_rng(0).normal(size=(8, 3, 4, 4)).astype(np.float32)
    weight -= 0.9 * weight.mean((1, 2, 3), keepdims=True)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["image", "w"], ["y"], "head", strides=[2, 2])],
        "graph",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(weight, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.save_model(model, tmp_path / "float.onnx")
    path = tmp_path / "a.onnx"
    quantize_static(tmp_path / "float.onnx", path, Images(kind), activation_type=QuantType.QUInt8)
    keys = {"name": "a", "detector": {"name": "a"}, "categories": ["zebra"], "input": {"layout": "nchw"}}
    path.with_suffix(".manifest.json").write_text(Manifest.model_validate(keys).to_json())
    assert inspect_submission(path).quantized
    image = np.random.default_rng(2).integers(0, 256, (64, 96, 3), np.uint8)
    with Sandbox(path) as box:
        assert [finding.code for finding in find_saturation(box, [image])] == codes


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real weights are not here")
@pytest.mark.parametrize(("low", "high", "codes"), [(0, 255 / 256, ["saturated-output"]), (-2.6, 3.9, [])])
def test_a_real_detector_with_the_range_of_its_scores_saturates(
    tmp_path: Path, low: float, high: float, codes: list[str]
) -> None:
    """Boxes and scores are one output, which a converter gave the range of the scores."""
    model = onnx.load_model(SHARED / "weights" / "yolox_nano.onnx")
    step = (high - low) / 255
    grid = {"step": np.float32(step), "zero": np.uint8(round(-low / step))}
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in grid.items())
    last = model.graph.output[0].name
    model.graph.node.append(helper.make_node("QuantizeLinear", [last, *grid], ["codes"]))
    model.graph.node.append(helper.make_node("DequantizeLinear", ["codes", *grid], ["cut"]))
    model.graph.output[0].name = "cut"
    path = tmp_path / "yolox_nano.onnx"
    onnx.save_model(model, path)
    document = Path(__file__).parents[2] / "docs" / "yolox_nano.manifest.json"
    path.with_suffix(".manifest.json").write_bytes(document.read_bytes())
    files = sorted((SHARED / "data" / "wildlife_real" / "images").iterdir())[:4]
    images = [np.ascontiguousarray(cv2.imread(str(file))[:, :, ::-1], np.uint8) for file in files]
    with Sandbox(path) as box:
        assert [finding.code for finding in find_saturation(box, images)] == codes
