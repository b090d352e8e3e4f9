"""What belongs to a submission: files in or below its folder, each read once and counted, and nothing else."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from refusals import refused
from small_networks import beside, constant_detector, stored, write_onnx

from wildbench.submissions.admission import admit
from wildbench.submissions.process import Sandbox
from wildbench.submissions.source import Source

LABELS = b'{"images": []}' + bytes(100)


def graph(folder: Path, weights: str = "w.bin") -> Path:
    """A graph whose weights are in another file."""
    folder.mkdir(exist_ok=True)
    nodes = [helper.make_node("Identity", ["image"], ["scores"])]
    path = write_onnx(folder / "a.onnx", nodes, {"scores": TensorProto.FLOAT}, {"x": np.zeros(16, np.uint8)})
    model = onnx.load_model(path)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": weights, "length": "16"}.items():
        tensor.external_data.add(key=key, value=value)
    path.write_bytes(model.SerializeToString())
    return beside(path)


PLACES: dict[str, Callable[[Path, Path], object]] = {
    "hard link": lambda there, labels: os.link(labels, there / "w.bin"),
    "copy": lambda there, labels: (there / "w.bin").write_bytes(LABELS),
    "link to a file beside it": lambda there, labels: (
        (there / "real").write_bytes(LABELS),
        (there / "w.bin").symlink_to("real"),
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_what_is_read_is_counted_and_hashed(tmp_path: Path, place: str) -> None:
    labels = tmp_path / "labels.json"
    labels.write_bytes(LABELS)
    path = graph(tmp_path / "here")
    PLACES[place](tmp_path / "here", labels)
    source = admit(path).source
    assert source.files["w.bin"] == LABELS
    assert source.size == stored(path) + len(LABELS)
    assert source.sha256 != Source(path, path.read_bytes()).sha256


def test_a_file_in_a_folder_below_is_counted_too(tmp_path: Path) -> None:
    path = graph(tmp_path / "here", "sub/labels.json")
    (tmp_path / "here" / "sub").mkdir()
    (tmp_path / "here" / "sub" / "labels.json").write_bytes(LABELS)
    assert admit(path).source.size == stored(path) + len(LABELS)


def test_a_manifest_is_a_part_of_the_submission_wherever_it_lies(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    with Sandbox(path, opens=False) as box:
        there = box.admitted
    aside = path.with_suffix(".manifest.json").rename(tmp_path / "else.json")
    with Sandbox(path, manifest=aside, opens=False) as box:
        given = box.admitted
    sizes = [one.listing.overhead["manifest"] for one in (there, given)]
    assert sizes == [aside.stat().st_size] * 2
    assert there.size == given.size == path.stat().st_size + sizes[0]
    aside.write_text(aside.read_text().replace("tiny", "tidy"))
    changed = admit(path, manifest=aside)
    assert there.sha256 == given.sha256 != changed.sha256


OUT: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "link": (lambda there, labels: (there / "w.bin").symlink_to(labels), "outside"),
    "link of a folder": (lambda there, labels: (there / "sub").symlink_to(labels.parent), "outside"),
    "link to memory": (lambda there, labels: (there / "w.bin").symlink_to("/proc/self/mem"), "outside"),
    "link to a device": (lambda there, labels: (there / "w.bin").symlink_to("/dev/zero"), "missing-companion"),
    "pipe": (lambda there, labels: os.mkfifo(there / "w.bin"), "missing-companion"),
    "folder": (lambda there, labels: (there / "w.bin").mkdir(), "missing-companion"),
    "circle": (lambda there, labels: (there / "w.bin").symlink_to("w.bin"), "unreadable"),
    "nothing": (lambda there, labels: None, "missing-companion"),
}


@pytest.mark.parametrize("place", OUT)
def test_nothing_else_is_read(tmp_path: Path, place: str) -> None:
    labels = tmp_path / "w.bin"
    labels.write_bytes(LABELS)
    make, code = OUT[place]
    path = graph(tmp_path / "here", "sub/w.bin" if place == "link of a folder" else "w.bin")
    make(tmp_path / "here", labels)
    with refused(f"submission/{code}"):
        admit(path)


def test_names_that_lead_away_are_no_neighbours(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_bytes(LABELS)
    source = Source.read(constant_detector(tmp_path / "here" / "a.onnx"))
    for name in (str(tmp_path / "secret"), "../secret", "sub/../../secret", "a\0b"):
        assert source.beside(name) is None


def test_a_folder_has_no_files_from_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "secret").write_bytes(LABELS)
    constant_detector(tmp_path / "here" / "a.onnx")
    os.mkfifo(tmp_path / "here" / "pipe")
    (tmp_path / "here" / "again").symlink_to("a.onnx")
    assert set(Source.read(tmp_path / "here").files) == {"a.onnx", "a.manifest.json", "again"}
    (tmp_path / "here" / "link").symlink_to("../secret")
    with refused("submission/outside"):
        Source.read(tmp_path / "here")


def test_the_cache_of_the_hugging_face_hub_is_read_through_its_links(tmp_path: Path) -> None:
    """A snapshot there holds links into a store beside it, and so does a file that is named by itself."""
    snapshot, store = tmp_path / "models--a" / "snapshots" / "1f", tmp_path / "models--a" / "blobs"
    snapshot.mkdir(parents=True)
    graph(store)
    (store / "w.bin").write_bytes(LABELS)
    for file in store.iterdir():
        (snapshot / file.name).symlink_to(f"../../blobs/{file.name}")
    size = stored(store / "a.onnx") + len(LABELS)
    assert admit(snapshot / "a.onnx").source.size == size
    assert admit(snapshot).source.files.keys() == {"a.onnx", "w.bin", "a.manifest.json"}


def test_a_pipe_is_no_submission(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.onnx")
    with refused("submission/unreadable"):
        Source.read(tmp_path / "a.onnx")
