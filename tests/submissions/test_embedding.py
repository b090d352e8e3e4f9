import zipfile
from pathlib import Path

import onnx
import pytest
import torch
from small_networks import MeanDetector, constant_detector, manifest, write_export, write_torchscript

from wildbench.errors import SubmissionError, UntrustedSubmission
from wildbench.submissions.formats.admission import admit
from wildbench.submissions.formats.embed import embed


def test_a_manifest_goes_into_each_format(tmp_path: Path) -> None:
    document = manifest(authors=["A. Ranger"])
    for path in (
        write_torchscript(tmp_path / "a.pt", MeanDetector()),
        write_export(tmp_path / "a.pt2", MeanDetector()),
        constant_detector(tmp_path / "a.onnx"),
    ):
        path.with_suffix(".manifest.json").unlink(missing_ok=True)
        with pytest.raises(SubmissionError, match=r"no manifest inside or beside it; write a\.manifest\.json"):
            admit(path, trust=True)
        embed(path, document)
        assert admit(path, trust=True).manifest == document


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
    assert admit(path, trust=False).manifest.name == "second"
    assert [entry.key for entry in onnx.load(path).metadata_props] == ["author", "wildbench"]


def test_a_zip_takes_one_manifest(tmp_path: Path) -> None:
    path = write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest())
    with pytest.raises(SubmissionError, match="has a manifest inside already"):
        embed(path, manifest())
    assert sum("manifest.json" in name for name in zipfile.ZipFile(path).namelist()) == 1


def test_our_own_archive_is_left_alone(tmp_path: Path) -> None:
    torch.save({"format": "wildbench-submission"}, tmp_path / "a.pt")
    with pytest.raises(SubmissionError, match=r"a submission\.pt has its manifest already"):
        embed(tmp_path / "a.pt", manifest())


def test_both_inside_and_beside_must_agree(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    embed(path, manifest())
    assert admit(path, trust=False).manifest == manifest()
    path.with_suffix(".manifest.json").write_text(manifest(licence="MIT").to_json())
    with pytest.raises(SubmissionError, match=r"a\.manifest\.json: not the manifest that is inside a\.onnx"):
        admit(path, trust=False)


def test_what_can_run_code_needs_trust(tmp_path: Path) -> None:
    for path, what in (
        (write_torchscript(tmp_path / "a.pt", MeanDetector(), manifest()), "TorchScript"),
        (write_export(tmp_path / "a.pt2", MeanDetector(), manifest()), r"a torch\.export archive"),
    ):
        with pytest.raises(UntrustedSubmission, match=f"opening {what} can run code that is in the file.*say --trust"):
            admit(path, trust=False)
        assert admit(path, trust=True).manifest == manifest()
