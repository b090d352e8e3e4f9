"""ncnn networks: read as what they are, and run as exactly as they are stored."""

from pathlib import Path

import numpy as np
import pytest
from refusals import refused
from small_networks import manifest
from tiny_graphs import mean_ncnn, write_ncnn

from wildbench.measures.compute import count_ncnn
from wildbench.submissions.admission import admit, recognise
from wildbench.submissions.formats.ncnn import FORMAT
from wildbench.submissions.source import Source

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random((3, 6, 7), np.float32)
WEIGHT = RANDOM.integers(-9, 10, (4, 3, 2, 3)).astype(np.float32) / 8
BIAS = np.array([0.5, 0, -1, 2], np.float32)
FP16, INT8 = 0x01306B47, 0x000D4B38

CONVOLUTION = "Convolution first 1 1 image answer 0=4 1=3 11=2 5=1 6=72"


def convolved(image: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution without padding, C x H x W, by its definition."""
    windows = np.lib.stride_tricks.sliding_window_view(image, weight.shape[2:], (1, 2))
    return np.einsum("chwij,ocij->ohw", windows, weight) + bias[:, None, None]


def opened(path: Path) -> Source:
    return recognise(Source.read(path))[0]


@pytest.mark.parametrize(("flag", "dtype"), [(0, "float32"), (FP16, "float16")])
def test_stored_halves_are_calculated_in_float32(tmp_path: Path, flag: int, dtype: str) -> None:
    lines = ["Input image 0 1 image 0=7 1=6 2=3", CONVOLUTION]
    source = opened(write_ncnn(tmp_path / "a.param", lines, flag, WEIGHT.astype(dtype), BIAS))
    assert np.array_equal(WEIGHT.astype(dtype), WEIGHT), "the test's weights are halves"
    backend = FORMAT.open(source, manifest(), "cpu", 1)
    answer = backend.run({"image": IMAGE})["answer"]
    assert np.allclose(answer, convolved(IMAGE, WEIGHT, BIAS), atol=1e-5, rtol=0)
    assert backend.facts()["precision"] == {"float32": 1}
    listing = FORMAT.tensors(source, manifest())
    weight, bias = listing.tensors or ()
    width = np.dtype(dtype).itemsize
    assert (weight.name, weight.shape, weight.dtype) == ("first.weight", (4, 3, 2, 3), dtype)
    assert (weight.bytes, weight.bits, weight.nonzero) == (72 * width, 8 * width, np.count_nonzero(WEIGHT))
    assert (bias.shape, bias.nonzero, bias.parameter) == ((4,), 3, True)
    assert listing.activation_bits == {}


def test_integers_meet_integers(tmp_path: Path) -> None:
    codes = RANDOM.integers(-127, 128, (4, 3, 2, 3)).astype(np.int8)
    scales, steps = np.array([50, 60, 70, 80], np.float32), np.array([100], np.float32)
    lines = ["Input image 0 1 image", f"{CONVOLUTION} 8=2"]
    source = opened(write_ncnn(tmp_path / "a.param", lines, INT8, codes, BIAS, scales, steps))
    backend = FORMAT.open(source, manifest(), "cpu", 1)
    rounded = np.rint(IMAGE * 100) / 100
    expected = convolved(rounded, codes / scales[:, None, None, None], BIAS)
    answer = backend.run({"image": IMAGE})["answer"]
    assert np.allclose(answer, expected, atol=1e-3, rtol=0)
    assert np.abs(answer - convolved(IMAGE, codes / scales[:, None, None, None], BIAS)).max() > 1e-2
    assert backend.facts()["precision"] == {"int8": 1}
    listing = FORMAT.tensors(source, manifest())
    assert listing.activation_bits == {"first.weight": 8}
    assert [(one.dtype, one.extra_bits) for one in listing.tensors or ()] == [("int8", 32 * 5), ("float32", 0)]


def test_the_signature_is_what_the_file_states(tmp_path: Path) -> None:
    stated = FORMAT.signature(opened(write_ncnn(tmp_path / "a.param", ["Input image 0 1 image 0=7 1=6 2=3"])))
    assert [port.shape for port in stated.inputs] == [(3, 6, 7)]
    names = " ".join(f"out{at}" for at in (10, 9, 0))
    lines = ["Input in0 0 1 in0", f"Slice parts 1 3 in0 {names} -23300=3,1,1,1"]
    signature = FORMAT.signature(opened(write_ncnn(tmp_path / "b.param", lines)))
    assert [port.shape for port in signature.inputs] == [(3, None, None)]
    assert [port.name for port in signature.outputs] == ["out0", "out9", "out10"]
    assert admit(mean_ncnn(tmp_path / "c.param", manifest(input={}).to_json())).manifest.input.layout == "chw"


def test_weights_in_an_unknown_order_are_not_listed(tmp_path: Path) -> None:
    lines = ["Input image 0 1 image", "LSTM last 1 1 image answer 0=4 1=12 2=0"]
    listing = FORMAT.tensors(opened(write_ncnn(tmp_path / "a.param", lines, 0, BIAS)), manifest())
    assert listing.tensors is None
    assert "LSTM" in str(listing.reason)


@pytest.mark.parametrize(
    ("kind", "vectors", "parameters"),
    [("BatchNorm norm 1 1 image answer 0=3", 4, 6), ("Scale scale 1 1 image answer 0=3 1=1", 2, 6)],
)
def test_vectors_are_listed(tmp_path: Path, kind: str, vectors: int, parameters: int) -> None:
    numbers = np.ones(3 * vectors, np.float32)
    source = opened(write_ncnn(tmp_path / "a.param", ["Input image 0 1 image", kind], numbers))
    tensors = FORMAT.tensors(source, manifest()).tensors or []
    assert sum(one.elements for one in tensors if one.parameter) == parameters
    assert sum(one.bytes for one in tensors) == numbers.nbytes


def test_what_cannot_run_is_refused(tmp_path: Path) -> None:
    lines = ["Input image 0 1 image", CONVOLUTION]
    path = write_ncnn(tmp_path / "a.param", lines, 0, WEIGHT, BIAS)
    path.with_suffix(".bin").write_bytes(path.with_suffix(".bin").read_bytes()[:-90])
    with refused("submission/cannot-open"):
        FORMAT.open(opened(path), manifest(), "cpu", 1)
    path.with_suffix(".bin").unlink()
    with refused("submission/missing-companion", "a.bin"):
        opened(path)
    own = opened(write_ncnn(tmp_path / "b.param", ["Input image 0 1 image", "YoloV5Focus focus 1 1 image out0"]))
    with refused("submission/custom-operator", "YoloV5Focus"):
        FORMAT.open(own, manifest(), "cpu", 1)
    with refused("submission/no-such-device"):
        FORMAT.open(own, manifest(), "cuda", 1)


@pytest.mark.parametrize(
    "line", ["Input image", "Input image 0 0", "Input image 0 1 image 0=w", "Input image 0 x image"]
)
def test_a_damaged_text_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.param"
    path.write_text(f"7767517\n1 1\n{line}\n")
    path.with_suffix(".bin").write_bytes(b"")
    with refused("submission/not-ncnn"):
        FORMAT.signature(Source.read(path))


def test_macs_are_those_of_the_closed_forms(tmp_path: Path) -> None:
    """6 x 7 pixels: the first convolution has 5 x 5 positions, the grouped one as many, the last takes them."""
    lines = [
        "Input image 0 1 image",
        "Convolution first 1 1 image a 0=4 1=3 11=2 6=72",
        "ConvolutionDepthWise groups 1 1 a b 0=4 1=1 6=8 7=2",
        "Deconvolution last 1 1 b c 0=2 1=2 6=32",
        "Reshape rows 1 1 c d 0=36 1=2",
        "Split twice 1 2 d e f",
        "MatMul product 2 1 e f g 0=1",
        "InnerProduct dense 1 1 g h 0=5 2=20",
        "ReLU relu 1 1 h answer",
    ]
    sizes = [(0, 72), (0, 8), (0, 32), (0, 20)]
    weights = [part for flag, size in sizes for part in (flag, np.ones(size, np.float32))]
    source = opened(write_ncnn(tmp_path / "a.param", lines, *weights))
    count = count_ncnn(FORMAT.open(source, manifest(), "cpu", 1), {"image": IMAGE})
    assert count["by_module"] == {
        "first": 25 * 72,
        "groups": 25 * 8,
        "last": 25 * 32,
        "product": 2 * 2 * 36,
        "dense": 20,
    }
    assert count["by_weight"].keys() == {"first.weight", "groups.weight", "last.weight", "dense.weight"}
    assert count["uncounted"] == {"ReLU": 1}
    assert len(FORMAT.tensors(source, manifest()).tensors or ()) == 4
