"""From a prepared image to the inputs of a network: layout, type, size, batch, and what else it takes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_graphs import NAMES, SCORES, XYXY, graph, image, yolov8
from onnx import TensorProto
from refusals import refused

from wildbench.submissions.admission import admit
from wildbench.submissions.feed import Feed, resolve
from wildbench.submissions.formats import Port, Signature
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.preprocess import place
from wildbench.submissions.process import open_submission

OUTPUTS = (Port("output0", (1, 7, 2), "float32"),)


def manifest(**contract: Any) -> Manifest:
    document = {"name": "a", "detector": {"name": "a"}, "categories": NAMES, "input": contract}
    return Manifest.model_validate(document | {"output": {"kind": "torchvision"}})


def signature(shape: tuple[int | None, ...], dtype: str = "float32", *others: Port, **options: Any) -> Signature:
    return Signature((Port("images", shape, dtype, **options), *others), OUTPUTS)


def fed(told: Signature, height: int = 60, width: int = 80, **contract: Any) -> dict[str, np.ndarray]:
    """The inputs for an image that is 0 in its first channel, 1 in the second and 2 in the third."""
    complete, _ = resolve(manifest(**contract), told, "a.onnx")
    placed = place(complete.input, height, width)
    values = np.zeros((3, *placed.canvas), complete.input.dtype) + np.arange(3, dtype=np.uint8)[:, None, None]
    return Feed(complete, told)(values.astype(complete.input.dtype), placed)


@pytest.mark.parametrize(
    ("shape", "layout", "axis"),
    [
        ((1, 3, 64, 64), "nchw", 1),
        ((1, 64, 64, 3), "nhwc", 3),
        ((3, 64, 64), "chw", 0),
        ((64, 64, 3), "hwc", 2),
        ((None, 3, 64, 64), "nchw", 1),
        ((1, 3, 64, 3), "nchw", 1),
    ],
)
def test_the_layout_stands_in_the_graph(shape: tuple[int | None, ...], layout: str, axis: int) -> None:
    told = signature(shape)
    complete, notes = resolve(manifest(resize="stretch"), told, "a.onnx")
    assert (complete.input.layout, notes) == (layout, [])
    values = fed(told, resize="stretch")["images"]
    assert values.shape == tuple(1 if side is None else side for side in shape)
    np.testing.assert_array_equal(values.take(2, axis), 2)


def test_the_graph_has_the_last_word_and_a_note_says_so() -> None:
    told = signature((1, 64, 96, 3), "float16")
    complete, notes = resolve(manifest(resize="stretch", size=[32, 32], layout="nchw", dtype="float32"), told, "a.onnx")
    assert (complete.input.size, complete.input.layout, complete.input.dtype) == ((64, 96), "nhwc", "float16")
    assert sorted(note.split()[2] for note in notes) == ["input.dtype", "input.layout", "input.size"]
    assert {note.split(":")[0] for note in notes} == {"warning manifest-contradiction"}
    assert fed(told, resize="stretch")["images"].dtype == np.float16


def test_bytes_are_grey_levels() -> None:
    told = signature((1, 64, 64, 3), "uint8")
    complete, notes = resolve(manifest(resize="stretch"), told, "a.onnx")
    assert (complete.input.dtype, complete.input.scale, notes) == ("uint8", "0-255", [])
    with refused("submission/manifest"):
        resolve(manifest(resize="stretch", scale="0-1"), told, "a.onnx")
    with refused("submission/manifest"):
        resolve(manifest(resize="stretch", mean=[1, 1, 1]), told, "a.onnx")


def test_a_free_size_has_to_be_stated() -> None:
    with refused("submission/size"):
        resolve(manifest(resize="stretch"), signature((1, 3, None, None)), "a.onnx")
    assert fed(signature((1, 3, None, None)))["images"].shape == (1, 3, 60, 80)


def test_a_fixed_batch_is_tiled_and_answers_for_its_first(tmp_path: Path) -> None:
    told = signature((8, 3, 64, 64))
    assert fed(told, resize="stretch")["images"].shape == (8, 3, 64, 64)
    feed = Feed(resolve(manifest(resize="stretch"), told, "a.onnx")[0], told)
    first = feed.first({"a": np.arange(8)[:, None], "b": np.arange(3)})
    assert (first["a"].tolist(), first["b"].tolist()) == ([[0]], [0, 1, 2])
    path = graph(tmp_path / "a.onnx", {"output0": np.repeat(yolov8(), 8, 0)}, (8, 3, 64, 64))
    document = {"name": "a", "detector": {"name": "a"}, "categories": NAMES, "input": {"resize": "letterbox"}}
    limits = {"score_threshold": 0.01, "nms_iou": None, "max_detections": 9}
    detections = open_submission(
        admit(path, manifest=Manifest.model_validate(document | {"output": {"kind": "yolov8"} | limits}))
    ).predict(image())
    np.testing.assert_allclose(detections.boxes, XYXY, atol=1e-4)
    np.testing.assert_array_equal(detections.scores, SCORES)


@pytest.mark.parametrize(("dtype", "zero", "values"), [("uint8", 1, [1, 5, 9]), ("int8", -128, [-128, -124, -120])])
def test_a_quantized_input_is_rounded_by_its_scale(dtype: str, zero: int, values: list[int]) -> None:
    told = signature((1, 64, 64, 3), dtype, quantization=(0.25, zero))
    complete, _ = resolve(manifest(resize="stretch"), told, "a.tflite")
    assert (complete.input.dtype, complete.input.scale) == ("float32", "0-1")
    inputs = fed(told, resize="stretch")["images"]
    assert (inputs.dtype.name, inputs[0, 0, 0].tolist()) == (dtype, values)
    coarse = signature((1, 64, 64, 3), dtype, quantization=(1e-3, zero))
    assert fed(coarse, resize="stretch")["images"].max() == np.iinfo(dtype).max, "values beyond its range are clipped"


SECOND = {
    # an image of 60 x 80 in a letterbox of 64 x 64 is 48 x 64
    "orig_target_sizes": ("int64", [[80, 60]]),
    "im_shape": ("float32", [[48, 64]]),
    "scale_factor": ("float32", [[0.8, 0.8]]),
    "images_info": ("float32", [[48, 64, 0.8]]),
    "image_info": ("float32", [[48, 64, 0.8]]),
}


@pytest.mark.parametrize("name", SECOND)
def test_a_known_second_input_is_filled_from_the_image(name: str) -> None:
    dtype, values = SECOND[name]
    port = Port(name, (None, len(values[0])), dtype)
    contract = {"resize": "letterbox", "position": "top-left"}
    given = fed(signature((1, 3, 64, 64), "float32", port), **contract)[name]
    assert given.dtype.name == dtype
    np.testing.assert_allclose(given, values)
    assert fed(signature((4, 3, 64, 64), "float32", port), **contract)[name].shape == (4, len(values[0]))
    flat = Port(name, (len(values[0]),), dtype)
    np.testing.assert_allclose(fed(signature((1, 3, 64, 64), "float32", flat), **contract)[name], values[0])


def test_a_mask_says_where_the_image_is() -> None:
    told = signature((1, 3, None, None), "float32", Port("pixel_mask", (1, None, None), "int64"))
    mask = fed(told, resize="shortest_edge", shortest_edge=48, longest_edge=64, canvas=[64, 64])["pixel_mask"]
    assert (mask.shape, mask.dtype.name, int(mask.sum())) == ((1, 64, 64), "int64", 48 * 64)
    assert mask[0, :48].all()


def test_an_unknown_second_input_is_refused(tmp_path: Path) -> None:
    told = signature((1, 3, 64, 64), "float32", Port("prompt", (1, 77), "int64"))
    with refused("submission/inputs", "prompt"):
        Feed(manifest(), told)
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()}, inputs={"prompt": (1, 77)})
    limits = {"kind": "yolov8", "score_threshold": 0.01, "nms_iou": None, "max_detections": 9}
    document = {"name": "a", "detector": {"name": "a"}, "categories": NAMES, "input": {"resize": "letterbox"}}
    with refused("submission/inputs", "prompt"):
        open_submission(admit(path, manifest=Manifest.model_validate(document | {"output": limits})))


def test_the_image_is_the_input_that_can_hold_colours(tmp_path: Path) -> None:
    sizes = Port("orig_target_sizes", (1, 2), "int64")
    told = Signature((sizes, Port("images", (1, 3, 64, 64), "float32")), OUTPUTS)
    assert fed(told, resize="stretch").keys() == {"images", "orig_target_sizes"}
    path = graph(tmp_path / "a.onnx", {"output0": yolov8()}, (1, 64, 64, 3), TensorProto.UINT8)
    read = admit(path, manifest=manifest(resize="letterbox")).manifest.input
    assert (read.layout, read.dtype, read.size) == ("nhwc", "uint8", (64, 64))
