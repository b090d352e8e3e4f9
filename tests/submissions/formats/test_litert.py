import io
import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from refusals import refused
from small_networks import manifest
from tiny_graphs import Lite, convolution, mean_lite

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import admit
from wildbench.submissions.formats.litert import FORMAT, HALF
from wildbench.submissions.graphs import read_lite
from wildbench.submissions.readers import read_manifest
from wildbench.submissions.source import Source

RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.random((1, 5, 6, 3), np.float32)
NO_MANIFEST = manifest()


def valid(image: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """A convolution without padding, N x H x W x C, by its definition."""
    windows = np.lib.stride_tricks.sliding_window_view(image, weights.shape[1:3], (1, 2))
    return np.einsum("nhwcij,oijc->nhwo", windows, weights) + bias


def quantized_network(path: Path, activations: str = "int8") -> Path:
    """A convolution that an integer converter writes: 8-bit weights by channel, int32 biases, a scale for all else."""
    zero, low = (0, -128) if activations == "int8" else (128, 0)
    lite = Lite()
    image = lite.tensor("image", [1, 5, 6, 3], activations, scale=[1 / 255], zero=[low])
    codes = RANDOM.integers(-9, 10, (4, 2, 2, 3))
    codes[0, 0, 0, 0] = 0
    codes = (codes + zero).astype(activations)
    scales = [0.01, 0.02, 0.03, 0.04] if activations == "int8" else [0.01]
    weight = lite.stored("weight", codes, scale=scales, zero=[zero] * len(scales), axis=0)
    bias_scales = [one / 255 for one in scales]
    bias = lite.stored("bias", np.array([100, -100, 0, 7], np.int32), scale=bias_scales)
    answer = lite.tensor("answer", [1, 4, 5, 4], activations, scale=[0.02], zero=[zero or 3])
    lite.operator("CONV_2D", [image, weight, bias], [answer], convolution())
    return lite.write(path, [image], [answer])


def float_network(path: Path, weight: np.ndarray, *, dequantized: bool = False, scale: float = 0.02) -> Path:
    """A convolution of floats with weights of another type, which meet it as they are or are turned into floats."""
    lite = Lite()
    image = lite.tensor("image", [1, 5, 6, 3])
    stored = lite.stored("weight", weight, **({"scale": [scale] * 4, "axis": 0} if weight.dtype == np.int8 else {}))
    if dequantized:
        floats = lite.tensor("floats", weight.shape)
        lite.operator("DEQUANTIZE", [stored], [floats])
        stored = floats
    bias = lite.stored("bias", np.zeros(4, np.float32))
    answer = lite.tensor("answer", [1, 4, 5, 4])
    lite.operator("CONV_2D", [image, stored, bias], [answer], convolution())
    lite.metadata = {HALF.decode(): b"fp16accfp32"}
    return lite.write(path, [image], [answer])


def test_the_signature_is_the_interpreters(tmp_path: Path) -> None:
    signature = FORMAT.signature(Source.read(quantized_network(tmp_path / "a.tflite")))
    (image,), (answer,) = signature.inputs, signature.outputs
    assert (image.name, image.shape, image.dtype) == ("image", (1, 5, 6, 3), "int8")
    assert image.quantization == (pytest.approx(1 / 255), -128)
    assert answer.quantization == (pytest.approx(0.02), 3)
    free = FORMAT.signature(Source.read(mean_lite(tmp_path / "b.tflite", "{}")))
    assert free.inputs[0].shape == (1, 3, None, None)
    assert [port.name for port in free.outputs] == ["boxes", "labels", "scores"]


@pytest.mark.parametrize("activations", ["int8", "uint8"])
def test_integers_are_listed_as_what_they_stand_for(tmp_path: Path, activations: str) -> None:
    source = Source.read(quantized_network(tmp_path / "a.tflite", activations))
    listing = FORMAT.tensors(source, NO_MANIFEST)
    tensors = {tensor.name: tensor for tensor in listing.tensors or ()}
    codes = np.frombuffer(next(one.data for one in read_lite(source).main.tensors if one.name == "weight"), activations)
    zero = 128 if activations == "uint8" else 0
    assert tensors["weight"].nonzero == np.count_nonzero(codes.astype(int) - zero) < 48
    assert (tensors["weight"].bits, tensors["weight"].parameter, tensors["weight"].bytes) == (8, True, 48)
    assert (tensors["bias"].nonzero, tensors["bias"].parameter, tensors["bias"].bits) == (3, True, 32)
    assert listing.activation_bits == {"weight": 8}


def test_shapes_are_no_parameters(tmp_path: Path) -> None:
    listing = FORMAT.tensors(Source.read(mean_lite(tmp_path / "a.tflite", "{}")), NO_MANIFEST)
    assert {tensor.name for tensor in listing.tensors or () if tensor.parameter} == {"boxes"}


@pytest.mark.parametrize(
    ("dtype", "dequantized", "bits", "precision"),
    [("int8", False, 8, "int8"), ("int8", True, 32, "float32"), ("float16", True, 32, "float32")],
)
def test_a_float_that_meets_integers_is_rounded_to_eight_bits(
    tmp_path: Path, dtype: str, dequantized: bool, bits: int, precision: str
) -> None:
    weight = RANDOM.integers(-100, 100, (4, 2, 2, 3)).astype(dtype)
    source = Source.read(float_network(tmp_path / "a.tflite", weight, dequantized=dequantized))
    assert FORMAT.tensors(source, NO_MANIFEST).activation_bits == {"weight": bits}
    backend = FORMAT.open(source, NO_MANIFEST, "cpu", 1)
    assert backend.facts()["precision"] == {precision: 1}
    scale = 0.02 if dtype == "int8" else 1
    exact = valid(IMAGE, weight.astype(np.float32) * np.float32(scale), np.zeros(4))
    error = np.abs(backend.run({"image": IMAGE})["answer"] - exact).max() / np.abs(exact).max()
    assert (error > 1e-4) == (bits == 8), error
    assert error < 0.02


def test_half_precision_is_never_taken(tmp_path: Path) -> None:
    source = Source.read(float_network(tmp_path / "a.tflite", np.ones((4, 2, 2, 3), np.float32)))
    assert HALF in source.data
    backend = FORMAT.open(source, NO_MANIFEST, "cpu", 1)
    assert HALF not in backend.content
    assert len(backend.content) == len(source.data)


def test_quantized_outputs_are_real_numbers_again(tmp_path: Path) -> None:
    source = Source.read(quantized_network(tmp_path / "a.tflite"))
    tensors = {tensor.name: tensor for tensor in read_lite(source).main.tensors}
    codes = np.frombuffer(tensors["weight"].data, np.int8).reshape(4, 2, 2, 3)
    weights = codes * np.array(tensors["weight"].scales).reshape(4, 1, 1, 1)
    bias = np.frombuffer(tensors["bias"].data, np.int32) * np.array(tensors["bias"].scales)
    image = np.rint(IMAGE * 255 - 128).astype(np.int8)
    answer = FORMAT.open(source, NO_MANIFEST, "cpu", 1).run({"image": image})["answer"]
    exact = valid((image + 128.0) / 255, weights, bias)
    assert answer.dtype == np.float32
    assert np.abs(answer - exact).max() <= 0.5 * 0.02 + 1e-3  # half a step of the output


def test_a_free_size_is_taken_as_it_comes(tmp_path: Path) -> None:
    backend = FORMAT.open(Source.read(mean_lite(tmp_path / "a.tflite", "{}")), NO_MANIFEST, "cpu", 1)
    for size in ((8, 9), (3, 4), (8, 9)):
        image = RANDOM.random((1, 3, *size), np.float32)
        assert backend.run({"image": image})["scores"] == pytest.approx(image.mean(), rel=1e-5)


def test_facts_say_what_runs(tmp_path: Path) -> None:
    source = Source.read(float_network(tmp_path / "a.tflite", np.ones((4, 2, 2, 3), np.float32)))
    facts = FORMAT.open(source, NO_MANIFEST, "cpu", 1).facts()
    assert facts["provider"] == "XNNPACK: 1 of 1 operators"
    assert facts["runtime"].startswith("LiteRT ")
    with refused("submission/no-such-device"):
        FORMAT.open(source, NO_MANIFEST, "cuda", 1)


@pytest.mark.parametrize(
    ("custom", "code"),
    [
        ("FlexConv2D", "submission/flex-operator"),
        ("edgetpu-custom-op", "submission/edge-tpu"),
        ("Strange", "submission/custom-operator"),
        ("TFLite_Detection_PostProcess", None),
    ],
)
def test_only_the_interpreters_own_operators_are_admitted(tmp_path: Path, custom: str, code: str | None) -> None:
    lite = Lite()
    image, answer = lite.tensor("image", [1, 3, 4, 4]), lite.tensor("answer", [1])
    lite.operator("CUSTOM", [image], [answer], custom=custom)
    path = lite.write(tmp_path / "a.tflite", [image], [answer])
    (tmp_path / "a.manifest.json").write_text(manifest().to_json())
    if code is None:
        assert admit(path).format is FORMAT
    else:
        with refused(code):
            admit(path)


def test_metadata_stands_in_a_zip_behind_the_graph(tmp_path: Path) -> None:
    path = mean_lite(tmp_path / "a.tflite", "{}")
    graph = path.stat().st_size
    document = json.dumps({"task": "detect", "names": {"0": "zebra"}})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", document)
        archive.writestr("labels.txt", "zebra\nlion\n")
    source = Source.read(path)
    assert FORMAT.metadata(source) == {"metadata.json": document, "labels.txt": "zebra\nlion\n"}
    listing = FORMAT.tensors(source, NO_MANIFEST)
    assert listing.overhead == {"metadata": source.size - graph}
    whole = FORMAT.embed(source, manifest())
    again = Source(path, whole)
    assert json.loads(FORMAT.manifest(again) or b"") == json.loads(manifest().to_json())
    assert FORMAT.metadata(again) == FORMAT.metadata(source)
    assert zipfile.ZipFile(io.BytesIO(whole)).testzip() is None
    with refused("submission/has-manifest"):
        FORMAT.embed(again, manifest())


@pytest.mark.parametrize(
    ("text", "names"),
    [("{'stride': 32, 'names': {0: 'zebra'}}", "{0: 'zebra'}"), ("{'names': __import__('os')}", None)],
)
def test_metadata_of_older_exports_is_a_literal(tmp_path: Path, text: str, names: str | None) -> None:
    path = mean_lite(tmp_path / "a.tflite", "{}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("temp_meta.txt", text)
    assert FORMAT.metadata(Source.read(path)).get("names") == names


def test_a_broken_zip_behind_a_graph_is_refused(tmp_path: Path) -> None:
    path = mean_lite(tmp_path / "a.tflite", "{}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("metadata.json", "{}" * 50)
    path.write_bytes(path.read_bytes().replace(b"{}{}", b"{}[]"))
    with refused("submission/damaged"):
        FORMAT.metadata(Source.read(path))


def reading(data: bytes) -> str | None:
    """The code with which a file is refused; None where it is read."""
    source = Source(Path("a.tflite"), data)
    try:
        FORMAT.signature(source)
        FORMAT.check(source, NO_MANIFEST)
        FORMAT.tensors(source, NO_MANIFEST)
    except SubmissionError as error:
        return error.code
    return None


def test_damage_anywhere_is_a_refusal_or_harmless(tmp_path: Path) -> None:
    whole = quantized_network(tmp_path / "a.tflite").read_bytes()
    cuts = [whole[:length] for length in range(8, len(whole), 7)]
    flips = [whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :] for at in range(8, len(whole))]
    codes = Counter(reading(data) for data in [*cuts, *flips])
    assert codes.keys() <= {None, "submission/damaged", "submission/custom-operator"}
    assert codes["submission/damaged"] > len(cuts) // 2


def test_what_is_no_graph_of_litert_is_not_opened(tmp_path: Path) -> None:
    whole = bytearray(quantized_network(tmp_path / "a.tflite").read_bytes())
    source = Source(Path("a.tflite"), bytes(whole))
    read_lite(source)
    broken = Source(Path("a.tflite"), bytes(whole.replace(b"TFL3", b"TFL9")))
    assert not FORMAT.sniff(broken)
    with refused("submission/cannot-open"):
        FORMAT.open(broken, NO_MANIFEST, "cpu", 1)


@pytest.mark.parametrize("name", ["yolox_nano_float16.tflite", "yolox_nano_dynamic_int8.tflite"])
def test_a_real_file_is_read_as_its_schema_reads_it(shared_weights: Path, name: str) -> None:
    source = Source.read(shared_weights / name)
    mine, theirs = read_lite(source).main, schema.Model.GetRootAs(source.data, 0).Subgraphs(0)
    assert len(mine.tensors) == theirs.TensorsLength()
    kinds = {code: kind.lower() for kind, code in vars(schema.TensorType).items() if isinstance(code, int)}
    for at, tensor in enumerate(mine.tensors):
        one = theirs.Tensors(at)
        assert (tensor.name, tensor.dtype) == (one.Name().decode(), kinds[one.Type()])
        assert list(tensor.shape) == list(one.ShapeAsNumpy()) if one.ShapeLength() else tensor.shape == ()
    assert len(mine.nodes) == theirs.OperatorsLength()
    for at, node in enumerate(mine.nodes):
        assert list(node.inputs) == list(theirs.Operators(at).InputsAsNumpy())
        assert list(node.outputs) == list(theirs.Operators(at).OutputsAsNumpy())


def test_the_dynamic_file_is_told_as_it_is(shared_weights: Path) -> None:
    """Most of its tensors are floats, and so are a third of its layers: only the large weights are of 8 bits."""
    source = Source.read(shared_weights / "yolox_nano_dynamic_int8.tflite")
    listing = FORMAT.tensors(source, NO_MANIFEST)
    assert sorted((listing.activation_bits or {}).values()) == [8] * 76 + [32] * 37
    tensors = listing.tensors or []
    assert sum(tensor.bytes for tensor in tensors if tensor.bits == 8) == 880_832
    assert sum(tensor.elements for tensor in tensors if tensor.parameter) == 904_463


def test_labels_behind_the_graph_name_its_categories(tmp_path: Path) -> None:
    path = mean_lite(tmp_path / "a.tflite", "{}")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labelmap.txt", "zebra\nlion\n")
    source = Source.read(path)
    reading = read_manifest(source, FORMAT, FORMAT.signature(source))
    assert reading.draft["categories"] == ["zebra", "lion"]


def test_the_operator_tells_the_outputs_whatever_they_are_called(tmp_path: Path) -> None:
    lite = Lite()
    image = lite.tensor("image", [1, 8, 8, 3])
    raw = [lite.tensor(name, [1, 4, 4]) for name in ("encodings", "logits")]
    anchors = lite.stored("anchors", np.zeros((4, 4), np.float32))
    shapes = ([1, 4, 4], [1, 4], [1, 4], [1])
    boxes, labels, scores, count = (lite.tensor(f"PartitionedCall:{at}", shape) for at, shape in enumerate(shapes))
    lite.operator("CUSTOM", [image], raw, custom="TFLite_Detection_PostProcess")
    lite.operator("CUSTOM", [*raw, anchors], [boxes, labels, scores, count], custom="TFLite_Detection_PostProcess")
    path = tmp_path / "a.tflite"
    lite.write(path, [image], [scores, boxes, count, labels])
    (tmp_path / "labelmap.txt").write_text("???\nzebra\nlion\n")
    source = Source.read(path)
    draft = read_manifest(source, FORMAT, FORMAT.signature(source)).draft
    parts = {name: draft["output"][name]["output"] for name in ("boxes", "labels", "scores")}
    assert parts == {name: f"PartitionedCall:{at}" for at, name in enumerate(parts)}
    assert draft["output"]["count"] == "PartitionedCall:3"
    assert (draft["categories"], draft["input"]["std"]) == (["zebra", "lion"], [127.5] * 3)
