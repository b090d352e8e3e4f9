import contextlib
import hashlib
import io
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from refusals import refused
from small_networks import MeanDetector, constant_detector, manifest, stored, write_export, write_torchscript
from torch import nn

from wildbench.errors import SubmissionError
from wildbench.files import sha256_of
from wildbench.resources import bundled
from wildbench.submissions.admission import admit, embed, recognise
from wildbench.submissions.source import Source


def sniff(path: Path) -> str:
    """The name of a file's format, after looking as far as its manifest."""
    source, format = recognise(Source.read(path))
    format.manifest(source)
    return format.name


class Exploit:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


def test_each_format_is_told_from_its_bytes(tmp_path: Path) -> None:
    assert sniff(bundled("baselines/reference.pt")) == sniff(bundled("baselines/reference-tiny.pt")) == "wildbench"
    assert sniff(write_torchscript(tmp_path / "b.pt", MeanDetector(), manifest())) == "torchscript"
    assert sniff(write_export(tmp_path / "c.pt2", MeanDetector(), manifest())) == "pt2"
    assert sniff(constant_detector(tmp_path / "d.onnx")) == "onnx"


def saved(value: object, **options: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"archive/{name}", data)
    return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    return buffer.getvalue()


STATE = {"weight": torch.zeros(3)}


def test_what_is_not_a_submission_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    for data, code in (
        (b"", "empty"),
        (b"\x01\x02 random bytes", "unknown-format"),
        (b"GGUF....", "unknown-format"),
        (saved(STATE)[:-30], "damaged"),
        (saved(STATE)[:40], "damaged"),
        (saved(STATE, _use_new_zipfile_serialization=False), "bare-pickle"),
        (pickle.dumps(STATE), "bare-pickle"),
        (saved(nn.Linear(2, 2)), "pickled-object"),
        (saved({"model": nn.Linear(2, 2)}, pickle_protocol=4), "pickled-object"),
        (saved({"epoch": Path("x")}), "pickled-object"),
        (saved(STATE), "bare-state-dict"),
        (zipped(readme=b"hello"), "unknown-format"),
        (zipped(**{"data.pkl": b"no pickle"}), "damaged"),
        (zipped(**{"data.pkl": pickle.dumps(bytearray(9), 5)}), "damaged"),
        (arrays(), "unknown-format"),
    ):
        path.write_bytes(data)
        with refused(f"submission/{code}") as caught:
            sniff(path)
        assert str(caught.value).startswith(str(path))


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_unpickled(tmp_path: Path, protocol: int) -> None:
    torch.save({"model": Exploit(tmp_path / "trace")}, tmp_path / "model.pt", pickle_protocol=protocol)
    with refused("submission/pickled-object"):
        sniff(tmp_path / "model.pt")
    assert not (tmp_path / "trace").exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert (tmp_path / "trace").exists(), "the exploit must be one"


def flipped(data: bytes, place: int, bits: int) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


def test_a_zip_that_is_damaged_anywhere_is_refused_or_read(tmp_path: Path) -> None:
    for method in (zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", method) as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(list(range(300)), 2))
        whole = buffer.getvalue()
        for place in range(30, len(whole) - 22):  # beyond the local header's fixed part, short of the end record
            source = Source(tmp_path / "model.pt", flipped(whole, place, 0xFF))
            with contextlib.suppress(SubmissionError):
                recognise(source)[1].manifest(source)
            with contextlib.suppress(SubmissionError):
                source.record("data.pkl")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildbench.submissions.source.MOST_BYTES", 2**20)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(2**21))
    with refused("submission/zip-too-large"):
        recognise(Source(tmp_path / "model.pt", buffer.getvalue()))


def test_an_encrypted_record_is_refused(tmp_path: Path) -> None:
    whole = saved(STATE)
    central = whole.index(b"PK\x01\x02")
    (tmp_path / "model.pt").write_bytes(flipped(flipped(whole, 6, 1), central + 8, 1))
    with refused("submission/damaged"):
        sniff(tmp_path / "model.pt")


def test_a_wrong_suffix_names_the_right_one(tmp_path: Path) -> None:
    for path, name in (
        (constant_detector(tmp_path / "a.onnx"), "b.pt"),
        (write_torchscript(tmp_path / "a.pt", MeanDetector()), "b.onnx"),
        (write_export(tmp_path / "a.pt2", MeanDetector()), "b.pt"),
    ):
        right = path.suffix
        moved = path.rename(tmp_path / name)
        with refused("submission/wrong-suffix") as caught:
            sniff(moved)
        assert caught.value.remedy == f"rename it to b{right}"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with refused("submission/no-such-file"):
        sniff(tmp_path / "no.pt")


def test_a_folder_without_a_detector_is_no_missing_file(tmp_path: Path) -> None:
    with refused("submission/unknown-format"):
        sniff(tmp_path)


def test_a_folder_or_a_zip_is_taken_by_the_one_detector_in_it(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    path = constant_detector(folder / "a.onnx")
    (folder / "README").write_text("how it was made")
    admitted = admit(folder)
    assert (admitted.format.name, admitted.manifest) == ("onnx", manifest())
    assert admitted.source.size == sum(file.stat().st_size for file in folder.iterdir())
    sums = "".join(f"{sha256_of(file)}  {file.name}\n" for file in sorted(folder.iterdir()))
    assert admitted.sha256 == hashlib.sha256(sums.encode()).hexdigest()
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"export/{file.name}")
            archive.writestr(f"__MACOSX/export/._{file.name}", b"\0\5\x16\7")
    packed = admit(tmp_path / "export.zip")
    assert (packed.manifest, packed.source.size) == (admitted.manifest, admitted.source.size)
    shutil.copy(path, folder / "b.onnx")
    with refused("submission/several-submissions"):
        admit(folder)
    assert admit(path).source.size == stored(path)


def test_a_manifest_goes_into_each_format(tmp_path: Path) -> None:
    document = manifest(authors=["A. Ranger"])
    for path in (
        write_torchscript(tmp_path / "a.pt", MeanDetector()),
        write_export(tmp_path / "a.pt2", MeanDetector()),
        constant_detector(tmp_path / "a.onnx"),
    ):
        path.with_suffix(".manifest.json").unlink(missing_ok=True)
        with refused("submission/no-manifest"):
            admit(path)
        embed(path, document)
        assert admit(path).manifest == document


@pytest.mark.filterwarnings("ignore:.torch.jit.load. is deprecated")
def test_torch_finds_what_was_embedded(tmp_path: Path) -> None:
    document = manifest()
    script = write_torchscript(tmp_path / "a.pt", MeanDetector())
    embed(script, document)
    extra = {"manifest.json": ""}
    torch.jit.load(script, _extra_files=extra)
    assert extra["manifest.json"] == document.to_json().encode()
    program = write_export(tmp_path / "a.pt2", MeanDetector())
    embed(program, document)
    extra = {"manifest.json": ""}
    torch.export.load(program, extra_files=extra)
    assert extra["manifest.json"] == document.to_json()


def test_a_newer_manifest_takes_the_place_of_an_older_one_in_onnx(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    path.with_suffix(".manifest.json").unlink()
    model = onnx.load(path)
    model.metadata_props.add(key="author", value="somebody")
    onnx.save(model, path)
    embed(path, manifest(name="first"))
    embed(path, manifest(name="second"))
    assert admit(path).manifest.name == "second"
    assert [entry.key for entry in onnx.load(path).metadata_props] == ["author", "wildbench"]


def test_a_zip_takes_one_manifest(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest())
    with refused("submission/has-manifest"):
        embed(path, manifest())
    assert sum("manifest.json" in name for name in zipfile.ZipFile(path).namelist()) == 1


def test_our_own_archive_is_left_alone() -> None:
    with refused("submission/has-manifest"):
        embed(bundled("baselines/reference-tiny.pt"), manifest())


def test_a_manifest_given_comes_before_one_beside_before_one_inside(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    embed(path, manifest(licence="MIT", categories=["lion", "zebra"]))
    admitted = admit(path)
    assert admitted.manifest == manifest()
    assert [note.partition(":")[0] for note in admitted.notes] == ["warning manifest-contradiction"]
    path.with_suffix(".manifest.json").write_text(manifest(licence="MIT", categories=["lion", "zebra"]).to_json())
    assert not admit(path).notes
    path.with_suffix(".manifest.json").unlink()
    assert admit(path).manifest.licence == "MIT"
    (tmp_path / "given.json").write_text(manifest(name="given").to_json())
    assert admit(path, manifest=tmp_path / "given.json").manifest.name == "given"
    with refused("submission/no-manifest"):
        admit(path, manifest=tmp_path / "missing.json")


def test_what_can_run_code_is_admitted(tmp_path: Path) -> None:
    for path in (
        write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest()),
        write_export(tmp_path / "a.pt2", MeanDetector(), manifest()),
    ):
        assert admit(path).manifest == manifest()
