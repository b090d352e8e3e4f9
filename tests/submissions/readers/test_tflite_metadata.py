"""What TFLite Metadata says: a flatbuffer within the graph, and labels in the zip behind it."""

import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from tests.submissions.tiny_graphs import Lite
from wildbench.errors import SubmissionError
from wildbench.submissions.admission import admit
from wildbench.submissions.manifest import Manifest

LABELS = {0: "labelmap.txt", 2: 3}
YXYX = {0: np.array([1, 0, 3, 2], np.uint32), 1: 1}
NORMAL = [{0: 1, 1: {0: np.array([127.5], np.float32), 1: np.array([128.0, 64.0, 32.0], np.float32)}}]
PARTS = ("location", "category", "score", "number of detections")


def table(builder: Any, fields: dict[int, Any]) -> int:
    """A table of texts, numbers of one byte, vectors, tables and lists of tables, by the numbers of its fields."""
    places: dict[int, int] = {}
    for field, value in fields.items():
        if isinstance(value, str):
            places[field] = builder.CreateString(value)
        elif isinstance(value, np.ndarray):
            places[field] = builder.CreateNumpyVector(value)
        elif isinstance(value, dict):
            places[field] = table(builder, value)
        elif isinstance(value, list):
            members = [table(builder, member) for member in value]
            builder.StartVector(4, len(members), 4)
            for member in reversed(members):
                builder.PrependUOffsetTRelative(member)
            places[field] = builder.EndVector()
    builder.StartObject(max(fields) + 1)
    for field, value in fields.items():
        if field in places:
            builder.PrependUOffsetTRelativeSlot(field, places[field], 0)
        else:
            builder.PrependInt8Slot(field, value, 0)
    return int(builder.EndObject())


def metadata(
    box: dict[int, Any] | None = None,
    units: list[dict[int, Any]] = NORMAL,
    calibration: list[dict[int, Any]] | None = None,
    parts: tuple[str, ...] = PARTS,
) -> bytes:
    tensors: list[dict[int, Any]] = [{0: part} for part in parts]
    for tensor in tensors:
        if tensor[0] == "location":
            tensor[3] = {0: 3, 1: YXYX if box is None else box}
        if tensor[0] == "category":
            tensor[6] = [LABELS]
        if tensor[0] == "score" and calibration:
            tensor[4] = calibration
    subgraph = {2: [{0: "image", 4: units}], 3: tensors}
    builder = flatbuffers.Builder(256)
    builder.Finish(table(builder, {0: "EfficientDet", 3: [subgraph], 5: "Apache-2.0"}), b"M001")
    return bytes(builder.Output())


def read(folder: Path, content: bytes, dtype: str = "float32", **quantization: Any) -> Manifest:
    """A graph whose detections are constants."""
    lite = Lite(metadata={"TFLITE_METADATA": content})
    image = lite.tensor("image", [1, 64, 64, 3], dtype, **quantization)
    values = {
        "location": np.zeros((1, 2, 4), np.float32),
        "category": np.zeros((1, 2), np.float32),
        "score": np.zeros((1, 2), np.float32),
        "number of detections": np.zeros(1, np.float32),
    }
    names = ("PartitionedCall:3", "PartitionedCall:2", "PartitionedCall:1", "PartitionedCall")
    outputs = [lite.stored(name, value) for name, value in zip(names, values.values(), strict=True)]
    path = lite.write(folder / "a.tflite", [image], outputs)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labelmap.txt", "zebra\nlion\n")
    return admit(path).manifest


def test_floats_are_normalised_and_outputs_known_by_their_part(tmp_path: Path) -> None:
    manifest = read(tmp_path, metadata())
    assert (manifest.categories, manifest.licence, manifest.detector.name) == (
        ["zebra", "lion"],
        "Apache-2.0",
        "EfficientDet",
    )
    contract, output = manifest.input, manifest.output.described([])
    assert (contract.resize, contract.size, contract.scale) == ("stretch", (64, 64), "0-255")
    assert (contract.mean, contract.std) == ((127.5, 127.5, 127.5), (128, 64, 32))
    assert output.labels is not None
    assert (output.boxes.output, output.boxes.form, output.boxes.unit) == ("PartitionedCall:3", "yxyx", "fractions")
    assert (output.labels.output, output.labels.first) == ("PartitionedCall:2", 0)
    assert (output.scores.output, output.count) == ("PartitionedCall:1", "PartitionedCall")


def test_bytes_go_in_as_they_are(tmp_path: Path) -> None:
    contract = read(tmp_path, metadata(), "uint8", scale=[0.0078125], zero=[127]).input
    assert contract.mean is not None
    assert contract.std is not None
    levels = np.arange(256)
    real = (levels - contract.mean[0]) / contract.std[0]
    assert np.array_equal(np.rint(real / 0.0078125) + 127, levels)


def test_corners_in_pixels(tmp_path: Path) -> None:
    box = {0: np.arange(4, dtype=np.uint32), 1: 1, 2: 1}
    output = read(tmp_path, metadata(box)).output.described([])
    assert (output.boxes.form, output.boxes.unit) == ("xyxy", "pixels")


@pytest.mark.parametrize(
    "content",
    [
        metadata({0: np.array([1, 0, 3, 2], np.uint32), 1: 3}),
        metadata({0: np.array([3, 2, 1, 0], np.uint32), 1: 1}),
        metadata(calibration=[{0: 2, 1: {0: 1}}]),
        metadata(parts=("location", "score", "image", "mask")),
    ],
)
def test_what_it_does_not_say_is_asked_for(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SubmissionError) as error:
        read(tmp_path, content)
    assert error.value.code == "submission/no-manifest"


@pytest.mark.parametrize("kept", [3, 40, 200])
def test_damage_is_named(tmp_path: Path, kept: int) -> None:
    with pytest.raises(SubmissionError) as error:
        read(tmp_path, metadata()[:kept])
    assert error.value.code in ("submission/metadata", "submission/no-manifest")
