from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import pytest
from openvino import opset13
from refusals import refused
from small_networks import manifest
from tiny_graphs import image_parameter, mean_ir, write_ir

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import admit, recognise
from wildbench.submissions.formats import openvino as format_module
from wildbench.submissions.formats.openvino import FORMAT
from wildbench.submissions.source import Source

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random((1, 3, 6, 7), np.float32)
WEIGHTS = (RANDOM.random((4, 3, 2, 2), np.float32) - 0.5) * 8
WEIGHTS[0, 0] = 0.001
NO_MANIFEST = manifest()


def read(path: Path) -> Source:
    source, format = recognise(Source.read(path))
    assert format is FORMAT
    return source


def convolved(image: Any, weights: Any) -> Any:
    return opset13.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])


def valid(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """A convolution without padding, N x C x H x W, by its definition."""
    windows = np.lib.stride_tricks.sliding_window_view(image, weights.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weights)


def float_network(path: Path, **options: Any) -> Path:
    image = image_parameter(1, 3, 6, 7)
    return write_ir(path, {"answer": convolved(image, opset13.constant(WEIGHTS, name="conv.weight"))}, image, **options)


def codes(dtype: str) -> np.ndarray:
    """Integers of these bits, some of them 0."""
    return np.rint(WEIGHTS / 4 * (2 ** (int(dtype[1:]) - 1) - 1)).astype(np.int64)


def quantized_network(path: Path, dtype: str = "u8", *, rounded: bool = True, zero: int = 128) -> Path:
    """A convolution as NNCF writes it: stored integers, a zero point and scales, and its input rounded to 8 bits."""
    image, kind = image_parameter(1, 3, 6, 7), getattr(openvino.Type, dtype)
    limits = [opset13.constant(np.float32(limit)) for limit in (0, 1, 0, 1)]
    met = opset13.fake_quantize(image, *limits, 256) if rounded else image
    constant = openvino.op.Constant(kind, openvino.Shape(WEIGHTS.shape), (codes(dtype) + zero).ravel().tolist())
    constant.set_friendly_name("w")
    stored = opset13.convert(constant, "f32")
    if zero:
        zeros = openvino.op.Constant(kind, openvino.Shape([4, 1, 1, 1]), [zero] * 4)
        stored = opset13.subtract(stored, opset13.convert(zeros, "f32"))
    weights = opset13.multiply(stored, opset13.constant(np.full((4, 1, 1, 1), 0.05, np.float32), name="scale"))
    return write_ir(path, {"answer": convolved(met, weights)}, image)


def test_the_signature_is_the_graphs(tmp_path: Path) -> None:
    signature = FORMAT.signature(read(mean_ir(tmp_path / "a.xml", "{}")))
    assert [(port.name, port.shape, port.dtype) for port in signature.inputs] == [
        ("image", (1, 3, None, None), "float32")
    ]
    assert [(port.name, port.shape, port.dtype) for port in signature.outputs] == [
        ("boxes", (1, 4), "float32"),
        ("labels", (1,), "int64"),
        ("scores", (1,), "float32"),
    ]


def test_a_graph_and_its_weights_are_one_submission(tmp_path: Path) -> None:
    path = float_network(tmp_path / "a.xml")
    assert set(read(path).files) == {"a.xml", "a.bin"}
    path.with_suffix(".bin").unlink()
    with refused("submission/missing-companion", "a.bin"):
        recognise(Source.read(path))


def test_floats_are_calculated_as_floats(tmp_path: Path) -> None:
    """By itself OpenVINO takes bfloat16 on processors that have it: errors of a hundredth."""
    backend = FORMAT.open(read(float_network(tmp_path / "a.xml")), NO_MANIFEST, "cpu", 1)
    exact = valid(IMAGE, WEIGHTS)
    assert np.abs(backend.run({"image": IMAGE})["answer"] - exact).max() < 1e-5 * np.abs(exact).max()
    facts = backend.facts()
    assert facts["precision"] == {"float32": 1}
    assert facts["runtime"].startswith("OpenVINO ")
    assert backend.compiled.get_property("NUM_STREAMS") == 1
    assert backend.compiled.get_property("INFERENCE_NUM_THREADS") == 1
    with refused("submission/no-such-device"):
        FORMAT.open(read(tmp_path / "a.xml"), NO_MANIFEST, "cuda", 1)


def test_fewer_bits_than_the_graph_says_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip("this processor has no bfloat16 to be taken")
    monkeypatch.setitem(format_module.SETTINGS, "INFERENCE_PRECISION_HINT", "bf16")
    image = image_parameter(1, 64, 32, 32)
    weights = opset13.constant(RANDOM.random((64, 64, 3, 3), np.float32))
    path = write_ir(tmp_path / "a.xml", {"answer": convolved(image, weights)}, image)
    with refused("submission/precision", "bfloat16"):
        FORMAT.open(read(path), NO_MANIFEST, "cpu", 1)


def test_half_precision_is_stored_and_not_calculated(tmp_path: Path) -> None:
    source = read(float_network(tmp_path / "a.xml", compress=True))
    (weight,) = [tensor for tensor in FORMAT.tensors(source, NO_MANIFEST).tensors or () if tensor.parameter]
    assert (weight.dtype, weight.bits, weight.bytes, weight.nonzero) == ("float16", 16, 96, 48)
    backend = FORMAT.open(source, NO_MANIFEST, "cpu", 1)
    exact = valid(IMAGE, WEIGHTS.astype(np.float16).astype(np.float32))
    assert np.abs(backend.run({"image": IMAGE})["answer"] - exact).max() < 1e-5 * np.abs(exact).max()
    assert backend.facts()["precision"] == {"float32": 1}


@pytest.mark.parametrize(("dtype", "zero"), [("u8", 128), ("i8", 0), ("u8", 127), ("u4", 8), ("i4", 0)])
def test_integers_are_listed_as_what_they_stand_for(tmp_path: Path, dtype: str, zero: int) -> None:
    listing = FORMAT.tensors(read(quantized_network(tmp_path / "a.xml", dtype, zero=zero)), NO_MANIFEST)
    tensors = {tensor.name: tensor for tensor in listing.tensors or ()}
    assert [name for name, tensor in tensors.items() if tensor.parameter] == ["w"]
    bits = int(dtype[1:])
    assert (tensors["w"].bits, tensors["w"].bytes) == (bits, 48 * bits // 8)
    assert tensors["w"].nonzero == np.count_nonzero(codes(dtype)) < 48
    assert listing.activation_bits == {"w": 8}


def test_a_bias_in_integers_is_a_parameter_and_its_scale_is_none(tmp_path: Path) -> None:
    image = image_parameter(1, 3, 6, 7)
    stored = opset13.constant(np.array([3, 0, -2, 9], np.int32).reshape(1, 4, 1, 1))
    scale = opset13.constant(np.full((1, 4, 1, 1), 0.01, np.float32))
    stored.friendly_name, scale.friendly_name = "bias", "scale"
    bias = opset13.multiply(opset13.convert(stored, "f32"), scale)
    answer = opset13.add(convolved(image, opset13.constant(WEIGHTS)), bias)
    listing = FORMAT.tensors(read(write_ir(tmp_path / "a.xml", {"answer": answer}, image)), NO_MANIFEST)
    tensors = {tensor.name: tensor for tensor in listing.tensors or ()}
    assert (tensors["bias"].parameter, tensors["bias"].nonzero, tensors["scale"].parameter) == (True, 3, False)


def test_weights_alone_in_integers_meet_floats(tmp_path: Path) -> None:
    source = read(quantized_network(tmp_path / "a.xml", "i8", rounded=False, zero=0))
    assert FORMAT.tensors(source, NO_MANIFEST).activation_bits == {"w": 32}
    exact = valid(IMAGE, codes("i8").astype(np.float32) * np.float32(0.05))
    answer = FORMAT.open(source, NO_MANIFEST, "cpu", 1).run({"image": IMAGE})["answer"]
    assert np.abs(answer - exact).max() < 1e-5 * np.abs(exact).max()


def test_an_answer_is_not_written_over_by_the_next(tmp_path: Path) -> None:
    backend = FORMAT.open(read(float_network(tmp_path / "a.xml")), NO_MANIFEST, "cpu", 1)
    first = backend.run({"image": IMAGE})["answer"]
    before = first.copy()
    backend.run({"image": -IMAGE})
    assert np.array_equal(first, before)


def test_metadata_is_in_the_graph_and_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "best_openvino_model"
    folder.mkdir()
    path = float_network(folder / "best.xml", model_info__labels="zebra lion", model_info__pad_value="114")
    (folder / "metadata.yaml").write_text("task: detect\n")
    source = read(folder)
    assert source.size == sum(file.stat().st_size for file in folder.iterdir())
    told = FORMAT.metadata(source)
    assert (told["model_info/labels"], told["model_info/pad_value"]) == ("zebra lion", "114")
    assert FORMAT.metadata(read(path)) == told
    assert source.beside("metadata.yaml") == b"task: detect\n"


def test_a_manifest_inside_is_read_and_opened(tmp_path: Path) -> None:
    path = mean_ir(tmp_path / "a.xml", "{}")
    path.write_bytes(FORMAT.embed(read(path), manifest(name="first")))
    path.write_bytes(FORMAT.embed(read(path), manifest(name="second")))
    (tmp_path / "a.manifest.json").unlink()
    admitted = admit(path)
    assert admitted.manifest.name == "second"
    assert "wildbench" not in FORMAT.metadata(admitted.source)
    backend = FORMAT.open(admitted.source, admitted.manifest, "cpu", 1)
    assert backend.run({"image": IMAGE})["scores"] == pytest.approx(IMAGE.mean(), rel=1e-5)


BOMB = '<?xml version="1.0"?><!DOCTYPE net [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<?xml version="1.0"?>', BOMB),
        ('version="11"', 'version="7"'),
        ('to-layer="2"', 'to-layer="99"'),
        ("</layers>", ""),
        ('<edge from-layer="0"', "<edge "),
    ],
)
def test_what_no_runtime_reads_is_refused(tmp_path: Path, old: str, new: str) -> None:
    path = float_network(tmp_path / "a.xml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with refused("submission/not-openvino"):
        FORMAT.signature(read(path))


def test_text_in_other_encodings_hides_no_entities(tmp_path: Path) -> None:
    path = float_network(tmp_path / "a.xml")
    whole = path.read_text().replace('<?xml version="1.0"?>', BOMB.replace("?>", ' encoding="utf-16"?>', 1))
    source = Source(path, files={"a.xml": whole.encode("utf-16"), "a.bin": b""})
    with refused("submission/not-openvino"):
        FORMAT.signature(source)


def test_weights_that_are_cut_short_are_refused(tmp_path: Path) -> None:
    path = float_network(tmp_path / "a.xml")
    path.with_suffix(".bin").write_bytes(path.with_suffix(".bin").read_bytes()[:-1])
    with refused("submission/not-openvino"):
        FORMAT.tensors(read(path), NO_MANIFEST)
    with refused("submission/cannot-open"):
        FORMAT.open(read(path), NO_MANIFEST, "cpu", 1)


def test_damage_anywhere_is_a_refusal_or_harmless(tmp_path: Path) -> None:
    path = quantized_network(tmp_path / "a.xml")
    source = read(path)
    codes: Counter[str | None] = Counter()
    for at in range(22, len(source.data), 3):
        data = source.data[:at] + b"9" + source.data[at + 1 :]
        changed = Source(path, files={**source.files, "a.xml": data})
        try:
            FORMAT.signature(changed)
            FORMAT.tensors(changed, NO_MANIFEST)
            codes[None] += 1
        except SubmissionError as error:
            codes[error.code] += 1
    assert codes.keys() == {None, "submission/not-openvino"}
    assert codes["submission/not-openvino"] > 100


def test_a_circle_of_layers_is_refused(tmp_path: Path) -> None:
    path = quantized_network(tmp_path / "a.xml")
    text = path.read_text()
    edges = [line for line in text.splitlines() if "<edge" in line]
    weights = next(line for line in edges if 'to-port="1"' in line and 'to-layer="13"' in line)
    path.write_text(text.replace(weights, weights.replace('from-layer="12"', 'from-layer="10"')))
    subtract = next(line for line in edges if 'to-layer="10"' in line)
    path.write_text(path.read_text().replace(subtract, subtract.replace('from-layer="7"', 'from-layer="10"')))
    with refused("submission/not-openvino"):
        FORMAT.tensors(read(path), NO_MANIFEST)
