"""Where a quantized network goes wrong, on a small one with one bad layer."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static
from PIL import Image
from refusals import refused
from small_networks import beside, constant_detector, write_onnx

from wildbench.pairs.agreement import agree
from wildbench.pairs.explanation import Explanation, explain

SIDE = 32
RNG = np.random.default_rng(3)


def network(path: Path) -> Path:
    """Three convolutions and a score for each of four boxes; one weight of the second is a thousand times the others.

    It meets a channel that is always 0, so it changes nothing, until one scale for all rounds the other weights to 0.
    """
    weights = {f"w{n}": RNG.normal(0, 0.3, (8, 3 if n == 1 else 8, 3, 3)).astype(np.float32) for n in (1, 2, 3)}
    weights["w1"][0], weights["w2"][0, 0, 0, 0] = 0, 300
    weights |= {"w4": RNG.normal(0, 0.2, (8, 4)).astype(np.float32)}
    weights |= {"flat": np.array([-1]), "eight": np.array([1, 8])}
    weights |= {"boxes0": np.float32([[0, 0, 8, 8], [10, 0, 18, 8], [0, 10, 8, 18], [10, 10, 18, 18]])}
    weights |= {"labels0": np.array([1, 2, 1, 2])}
    node = helper.make_node
    nodes = [
        node("Conv", ["image", "w1"], ["c1"], name="first"),
        node("Relu", ["c1"], ["r1"], name="first_relu"),
        node("Conv", ["r1", "w2"], ["c2"], name="bad"),
        node("Relu", ["c2"], ["r2"], name="bad_relu"),
        node("Conv", ["r2", "w3"], ["c3"], name="third"),
        node("GlobalAveragePool", ["c3"], ["p"], name="pool"),
        node("Reshape", ["p", "eight"], ["v"], name="reshape"),
        node("MatMul", ["v", "w4"], ["logits"], name="head"),
        node("Sigmoid", ["logits"], ["probabilities"], name="sigmoid"),
        node("Reshape", ["probabilities", "flat"], ["scores"], name="flatten"),
        node("Identity", ["boxes0"], ["boxes"]),
        node("Identity", ["labels0"], ["labels"]),
    ]
    outputs = {"boxes": TensorProto.FLOAT, "labels": TensorProto.INT64, "scores": TensorProto.FLOAT}
    write_onnx(path, nodes, outputs, weights)
    return beside(path)


class Pictures(CalibrationDataReader):
    def __init__(self, folder: Path) -> None:
        images = (np.asarray(Image.open(file), np.float32) for file in sorted(folder.iterdir()))
        self._images = iter([{"image": image.transpose(2, 0, 1)[None] / 255} for image in images])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._images, None)


def quantized(dense: Path, name: str, pictures: Path, form: QuantFormat, *leave: str) -> Path:
    path = dense.with_name(f"{name}.onnx")
    quantize_static(dense, path, Pictures(pictures), quant_format=form, nodes_to_exclude=list(leave))
    return beside(path)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        colours = RNG.integers(0, 255, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(colours).resize((SIDE, SIDE)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def dense(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return network(tmp_path_factory.mktemp("networks") / "dense.onnx")


@pytest.fixture(scope="module")
def int8(dense: Path, pictures: Path) -> Path:
    return quantized(dense, "int8", pictures, QuantFormat.QDQ)


@pytest.fixture(scope="module")
def found(dense: Path, int8: Path, pictures: Path) -> Explanation:
    return explain(dense, int8, images=pictures, limit=4, out=dense.with_name("layers.svg"))


def test_the_bad_layer_is_named_first(found: Explanation, dense: Path) -> None:
    worst = found.ranked()[0]
    assert worst.node == "bad"
    assert found.leave_in_float[0] == "bad"
    assert worst.noise > 0.4 > worst.noise_given
    assert found.matched_by == "names"
    by_node = {one.node: one for one in found.layers}
    first = by_node["first"]
    assert first.snr is not None
    assert first.snr > 30
    assert first.snr_interval is not None
    assert first.snr_interval[0] <= first.snr <= first.snr_interval[1]
    assert worst.channels == 8
    assert sum(one.share for one in found.layers) == pytest.approx(1)
    assert dense.with_name("layers.svg").read_bytes().startswith(b"<svg")
    assert Explanation.model_validate_json(dense.with_name("layers.json").read_text()) == found


def test_leaving_it_in_float_brings_the_detections_back(
    found: Explanation, dense: Path, int8: Path, pictures: Path
) -> None:
    mended = quantized(dense, "mended", pictures, QuantFormat.QDQ, *found.leave_in_float[:1])
    options = {"images": pictures, "threshold": 0.05}
    broken, whole = (agree(dense, one, **options).score_shifts for one in (int8, mended))  # type: ignore[arg-type]
    assert max(map(abs, whole)) < max(map(abs, broken)) / 2


def test_integers_between_layers_are_read_too(dense: Path, pictures: Path) -> None:
    other = quantized(dense, "qoperator", pictures, QuantFormat.QOperator)
    assert explain(dense, other, images=pictures, limit=3).ranked()[0].node == "bad"


def test_a_network_beside_itself_is_exact(dense: Path, pictures: Path) -> None:
    found = explain(dense, dense, images=pictures, limit=2)
    assert {one.snr for one in found.layers} == {None}
    assert found.leave_in_float == []


def test_networks_that_do_not_pair_are_refused(dense: Path, pictures: Path, tmp_path: Path) -> None:
    with refused("submission/layers-differ", "other.onnx"):
        explain(dense, constant_detector(tmp_path / "other.onnx"), images=pictures, limit=1)
