"""TensorRT engines are named, and their header is read; what runs one is not tested without its GPU."""

import json
import struct
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from refusals import refused
from small_networks import manifest

from wildbench.submissions.admission import admit
from wildbench.submissions.formats.tensorrt import FORMAT
from wildbench.submissions.source import Source

TOLD = {
    "description": "Ultralytics YOLO11n model",
    "stride": 32,
    "task": "detect",
    "imgsz": [64, 64],
    "names": {"0": "zebra", "1": "lion"},
    "args": {"dynamic": False},
}
ENGINE = b"ftrt" + bytes(64)


def engine(path: Path, told: object = TOLD) -> Path:
    header = json.dumps(told).encode()
    path.write_bytes(struct.pack("<i", len(header)) + header + ENGINE)
    return path


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if TensorRT were."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "tensorrt.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "site")


@pytest.mark.usefixtures("installed")
def test_the_header_makes_a_manifest(tmp_path: Path) -> None:
    admitted = admit(engine(tmp_path / "yolo11n.engine"))
    assert (admitted.format, admitted.manifest.categories) == (FORMAT, ["zebra", "lion"])
    assert (admitted.manifest.input.size, admitted.manifest.input.layout) == ((64, 64), "nchw")
    assert admitted.listing.reason


def test_without_tensorrt_it_is_refused_in_one_line(tmp_path: Path) -> None:
    if find_spec("tensorrt"):
        pytest.skip("TensorRT is installed")
    with refused("submission/no-tensorrt", "ONNX"):
        admit(engine(tmp_path / "yolo11n.engine", {"names": {"0": "zebra"}, "stride": 32}))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("device", ["auto", "cpu", "cuda"])
def test_without_its_gpu_it_is_refused_in_one_line(tmp_path: Path, device: str) -> None:
    source = Source.read(engine(tmp_path / "yolo11n.engine"))
    with refused("submission/no-such-device"):
        FORMAT.open(source, manifest(), device, 1)


@pytest.mark.usefixtures("installed")
def test_an_engine_without_a_header_needs_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "a.plan").write_bytes(ENGINE)
    assert FORMAT.sniff(Source.read(tmp_path / "a.plan"))
    with refused("submission/no-manifest"):
        admit(tmp_path / "a.plan")
    for data in (b"{}", struct.pack("<i", 9) + b"{broken}}" + ENGINE, struct.pack("<i", 2) + b"[]" + ENGINE):
        assert not FORMAT.sniff(Source(Path("a.engine"), data))
