import copy
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper
from refusals import refused
from scipy.stats import entropy
from small_networks import (
    MeanDetector,
    beside,
    constant_detector,
    manifest,
    write_export,
    write_onnx,
    write_torchscript,
)
from torch import nn

from wildbench.detectors.zoo import _zoo
from wildbench.submissions.admission import admit
from wildbench.submissions.archive._archive import save_submission
from wildbench.submissions.formats import Tensor
from wildbench.submissions.inspection import Inspection, inspect_submission
from wildbench.submissions.source import Source

NAME = "ssdlite320_mobilenet_v3_large"


@pytest.fixture(scope="module")
def pruned() -> torch.nn.Module:
    """A detector of which every other weight of the first convolution is zero."""
    torch.manual_seed(1)
    model = _zoo.build(NAME, 2)
    with torch.no_grad():
        next(model.parameters()).view(-1)[::2] = 0
    return model


@pytest.mark.parametrize(("codec", "width"), [("raw", 4), ("fp16", 2)])
def test_an_archive_is_counted_as_torch_counts(tmp_path: Path, pruned: torch.nn.Module, codec: str, width: int) -> None:
    save_submission(pruned, tmp_path / "a.pt", detector=NAME, categories=["zebra", "lion"], codec=codec)
    found = inspect_submission(tmp_path / "a.pt")
    rounded = [parameter.half() if codec == "fp16" else parameter for parameter in pruned.parameters()]
    assert found.tensors is not None
    assert found.parameters == sum(parameter.numel() for parameter in pruned.parameters())
    assert found.nonzero == sum(int(parameter.count_nonzero()) for parameter in rounded)
    assert {tensor.name for tensor in found.tensors if not tensor.parameter} == {n for n, _ in pruned.named_buffers()}
    seen: set[bytes] = set()  # what is the same as before, as zeroed biases are, is stored once
    for tensor in found.tensors:
        original = pruned.state_dict()[tensor.name]
        assert tensor.shape == tuple(original.shape)
        assert tensor.codec == (codec if original.is_floating_point() else "raw")
        size = original.numel() * (width if original.is_floating_point() else 8)
        stored = encoded(tensor.codec, original)
        assert tensor.bytes == (0 if stored in seen else size), tensor.name
        seen.add(stored)
        bits = 8 * size // original.numel()
        assert (tensor.stored_bits, tensor.bits, tensor.extra_bits) == (bits, bits, 0)
        places = np.frombuffer(stored, np.uint8).reshape(original.numel(), -1).T if tensor.bytes else []
        expected = sum(entropy(np.bincount(place), base=2) * len(place) / 8 for place in places)
        assert tensor.entropy_bytes == pytest.approx(expected, abs=1e-6)


def encoded(codec: str, tensor: torch.Tensor) -> bytes:
    values = tensor.half() if codec == "fp16" else tensor
    return values.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def test_the_parts_of_every_format_sum_to_the_file(tmp_path: Path, pruned: torch.nn.Module) -> None:
    save_submission(pruned, tmp_path / "a.pt", detector=NAME, categories=["zebra", "lion"])
    for path, parts in (
        (tmp_path / "a.pt", {"backbone", "head", "manifest", "index", "container"}),
        (write_torchscript(tmp_path / "b.pt", MeanDetector(), manifest()), {"data", "code", "constants", "container"}),
        (write_export(tmp_path / "c.pt2", MeanDetector(), manifest()), {"head", "box", "container"}),
        (constant_detector(tmp_path / "d.onnx"), {"initializers", "manifest", "container"}),
    ):
        found = inspect_submission(path)
        assert sum(found.bytes_by_part.values()) == found.file_bytes == admit(path).size
        assert set(found.bytes_by_part) <= parts
        assert all(size > 0 for size in found.bytes_by_part.values())
        assert found.manifest.categories == ["zebra", "lion"]


def test_a_storage_that_is_shared_is_counted_once(tmp_path: Path, pruned: torch.nn.Module) -> None:
    state = dict(pruned.state_dict())
    twins = [name for name, values in state.items() if values.shape == (16,)][:2]
    state[twins[1]] = state[twins[0]]
    save_submission(state, tmp_path / "a.pt", detector=NAME, categories=["zebra", "lion"])
    found = inspect_submission(tmp_path / "a.pt")
    assert found.tensors is not None
    sizes = {tensor.name: tensor.bytes for tensor in found.tensors}
    assert [sizes[name] for name in twins] == [64, 0]
    assert sum(found.bytes_by_part.values()) == found.file_bytes


def test_an_exported_program_lists_its_weights(tmp_path: Path) -> None:
    found = inspect_submission(write_export(tmp_path / "a.pt2", MeanDetector(), manifest()))
    assert found.tensors is not None
    listed = {tensor.name: (tensor.shape, tensor.dtype, tensor.nonzero, tensor.parameter) for tensor in found.tensors}
    assert listed == {
        "head.weight": ((1, 1), "float32", 1, True),
        "head.bias": ((1,), "float32", 0, True),
        "box": ((1, 4), "float32", 4, False),
    }
    assert (found.parameters, found.nonzero) == (2, 1)


class SharingDetector(MeanDetector):
    """Two names of one weight, and a buffer with views of its first half and of every third number."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(1, 1)
        self.body.weight = self.head.weight
        table = torch.tensor([0.0, 1, 0, 0, 2, 3])
        self.register_buffer("table", table)
        self.register_buffer("start", table[:3])
        self.register_buffer("third", table[1::3])

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        score = self.body(self.head(image.mean().reshape(1, 1))).reshape(1)
        return self.box + self.start.sum() + self.third.sum(), torch.ones(1), score + self.table.sum()


def test_weights_that_an_exported_program_shares_are_counted_once(tmp_path: Path) -> None:
    module = SharingDetector()
    found = inspect_submission(write_export(tmp_path / "a.pt2", module, manifest()))
    assert found.tensors is not None
    tensors = {tensor.name: tensor for tensor in found.tensors}
    assert {name: tensors[name].nonzero for name in ("table", "start", "third")} == {"table": 3, "start": 1, "third": 2}
    assert sorted(tensors[name].bytes for name in ("table", "start", "third")) == [0, 0, 24]
    weights = [tensor for name, tensor in tensors.items() if name.endswith("weight")]
    assert sum(tensor.bytes for tensor in weights) == 4
    assert found.parameters == sum(parameter.numel() for parameter in module.parameters()) == 3
    assert sum(found.bytes_by_part.values()) == found.file_bytes == (tmp_path / "a.pt2").stat().st_size


def test_bfloat16_is_read(tmp_path: Path) -> None:
    module = MeanDetector()
    module.register_buffer("box", torch.tensor([[0, 2, 3, 4]], dtype=torch.bfloat16))
    found = inspect_submission(write_export(tmp_path / "a.pt2", module, manifest()))
    assert found.tensors is not None
    (box,) = (tensor for tensor in found.tensors if tensor.name == "box")
    assert (box.dtype, box.bytes, box.nonzero) == ("bfloat16", 8, 3)


def test_a_view_of_more_than_is_stored_is_not_read(tmp_path: Path) -> None:
    path = write_export(tmp_path / "a.pt2", MeanDetector(), manifest())
    listed = "data/weights/model_weights_config.json"
    original = json.loads(Source.read(path).record(listed))

    def claims(sizes: list[int], strides: list[int], offset: int) -> Path:
        changed = copy.deepcopy(original)
        meta = changed["config"]["box"]["tensor_meta"]
        meta["sizes"], meta["strides"] = ([{"as_int": side} for side in sides] for sides in (sizes, strides))
        meta["storage_offset"] = {"as_int": offset}
        return rewritten(path, tmp_path / "b.pt2", {listed: json.dumps(changed).encode()})

    found = inspect_submission(claims([2**40], [0], 0))
    assert found.tensors is not None
    assert {tensor.name: tensor.nonzero for tensor in found.tensors}["box"] is None
    for sizes, strides, offset in (([2], [9], 0), ([4], [1], 1), ([4], [-1], 3), ([-4], [1], 0)):
        with refused("submission/damaged"):
            inspect_submission(claims(sizes, strides, offset))


def test_a_graph_lists_its_weights(tmp_path: Path) -> None:
    weights = {
        "body.w": np.array([0, 1, 2], np.float32),
        "body.q": np.array([0, 0, 3, 4], np.int8),
        "axes": np.array([0, 1]),
    }
    nodes = [helper.make_node("Identity", ["image"], ["scores"])]
    found = inspect_submission(beside(write_onnx(tmp_path / "a.onnx", nodes, {"scores": TensorProto.FLOAT}, weights)))
    assert found.tensors is not None
    assert [tensor.parameter for tensor in found.tensors] == [True, True, False]
    assert (found.parameters, found.nonzero) == (7, 4)
    assert [tensor.dtype for tensor in found.tensors] == ["float32", "int8", "int64"]


def test_torchscript_is_not_read_and_says_so(tmp_path: Path) -> None:
    found = inspect_submission(write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest()))
    assert (found.tensors, found.parameters, found.nonzero) == (None, None, None)
    assert found.reason == "the file lists its tensors in a pickle, which is not read"


def rewritten(source: Path, target: Path, change: dict[str, bytes | None]) -> Path:
    """A torch zip with some records changed, or left out."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            data = change.get(entry.filename.partition("/")[2], old.read(entry))
            if data is not None:
                new.writestr(entry, data)
    return target


def test_an_exported_program_whose_list_is_damaged_is_refused(tmp_path: Path) -> None:
    path = write_export(tmp_path / "a.pt2", MeanDetector(), manifest())
    listed = "data/weights/model_weights_config.json"
    for number, data in enumerate((b"{", b"{}", b'{"config": {"w": {}}}', b'{"config": {"w": 3}}', b"[]")):
        with refused("submission/damaged"):
            inspect_submission(rewritten(path, tmp_path / f"{number}.pt2", {listed: data}))


def test_an_exported_program_that_pickles_its_weights_says_so(tmp_path: Path) -> None:
    path = write_export(tmp_path / "a.pt2", MeanDetector(), manifest())
    found = inspect_submission(rewritten(path, tmp_path / "b.pt2", {"data/weights/model_weights_config.json": None}))
    assert (found.tensors, found.parameters) == (None, None)
    assert found.reason
    assert sum(found.bytes_by_part.values()) == found.file_bytes


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(b"PK\x03\x04 broken")
    with refused("submission/damaged"):
        inspect_submission(tmp_path / "a.pt")


def weights(dtype: str, bits: int, elements: int, count: int = 1, **changes: Any) -> list[Tensor]:
    """Tensors of a made-up file."""
    size = bits * elements // 8
    one = Tensor("w", (elements,), dtype, "tflite", size, elements, parameter=True, bits=bits, stored_bits=bits)
    return [replace(one, **changes)] * count


INTEGERS, FLOATS = weights("int8", 8, 1000, 40), weights("float32", 32, 100, 9)


@pytest.mark.parametrize(
    ("name", "tensors", "keys", "codes"),
    [
        ("a_int8.tflite", weights("float32", 32, 100, 826) + weights("int8", 8, 1, 43), {}, ["not-quantized"]),
        ("a.tflite", weights("float32", 32, 100, 826), {}, []),
        ("a_int8.tflite", INTEGERS + FLOATS, {}, []),
        ("a_w8a8.onnx", FLOATS, {}, ["not-quantized"]),
        ("a_uint8.onnx", FLOATS, {"input": {"dtype": "uint8", "scale": "0-255"}}, []),
        ("a_uint8.onnx", FLOATS, {}, ["not-quantized"]),
        ("yolo_full_integer_quant.tflite", FLOATS, {}, ["not-quantized"]),
        ("paint8.onnx", FLOATS, {}, []),
        ("unquantized.onnx", FLOATS, {}, []),
        ("a.onnx", FLOATS, {"method": "QAT, 8 bits"}, ["not-quantized"]),
        ("a.onnx", FLOATS, {"method": "quantized by onnxruntime"}, ["not-quantized"]),
        ("a.onnx", FLOATS, {"method": "pruned, not quantized"}, []),
        ("a.onnx", FLOATS, {"activation_bits": 8}, ["not-quantized"]),
        ("a.pt", weights("float32", 8, 1000), {"method": "weights quantized"}, []),
    ],
)
def test_a_file_that_is_called_quantized_and_is_not_is_named(
    name: str, tensors: list[Tensor], keys: dict[str, Any], codes: list[str]
) -> None:
    size = sum(tensor.bytes for tensor in tensors)
    inspection = Inspection(Path(name), "any", manifest(**keys), size, {}, tensors)
    assert [finding.code for finding in inspection.findings] == codes
    if len(tensors) == 869:
        assert "826 of 869 tensors" in inspection.findings[0].message


def test_a_quantized_file_larger_than_its_float_file_is_named() -> None:
    sizes = [(4 * 40_900, []), (4 * 40_900 + 1, ["larger-than-float32"])]
    for size, codes in sizes:
        inspection = Inspection(Path("a_int8.tflite"), "any", manifest(), size, {}, INTEGERS + FLOATS)
        assert [finding.code for finding in inspection.findings] == codes


@pytest.mark.parametrize(
    ("stated", "bits", "codes"),
    [
        (8, {"a": 8, "b": 8}, []),
        (8, {"a": 8, "b": 32}, []),
        (8, {"a": 32}, ["activation-bits"]),
        (8, {"a": 16, "b": 32}, ["activation-bits"]),
        (32, {"a": 8}, []),  # the default, which says nothing
        (8, {}, []),
    ],
)
def test_a_manifest_with_other_bits_than_the_file_is_named(stated: int, bits: dict[str, int], codes: list[str]) -> None:
    inspection = Inspection(Path("a"), "any", manifest(activation_bits=stated), 10, {}, INTEGERS, activation_bits=bits)
    assert [finding.code for finding in inspection.findings] == codes


@pytest.mark.parametrize(
    ("tensors", "keys", "bits", "quantized"),
    [
        (INTEGERS, {}, None, True),
        (FLOATS, {}, None, False),
        (FLOATS, {}, {"w": 8}, True),
        (FLOATS, {"activation_bits": 8}, None, True),
        (FLOATS, {"activation_bits": 8}, {"w": 32}, False),
        (None, {}, None, False),
    ],
)
def test_what_multiplies_integers_is_quantized(
    tensors: list[Tensor] | None, keys: dict[str, Any], bits: dict[str, int] | None, quantized: bool
) -> None:
    inspection = Inspection(Path("a"), "any", manifest(**keys), 10, {}, tensors, activation_bits=bits)
    assert inspection.quantized is quantized
