import contextlib
import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import MeanDetector, constant_detector, manifest, write_export, write_torchscript
from torch import nn

from wildbench.errors import SubmissionError
from wildbench.submissions.sniff import sniff


class Exploit:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return Path.touch, (self.trace,)


def test_each_format_is_told_from_its_bytes(tmp_path: Path) -> None:
    torch.save({"format": "wildbench-submission"}, tmp_path / "a.pt")
    assert sniff(tmp_path / "a.pt") == "wildbench"
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


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"\x01\x02 random bytes", "neither a submission.pt nor TorchScript, .pt2 or ONNX"),
        (b"GGUF....", "neither a submission.pt"),
        (saved(STATE)[:-30], "damaged or cut short"),
        (saved(STATE)[:40], "damaged or cut short"),
        (saved(STATE, _use_new_zipfile_serialization=False), "a bare pickle, as torch.save wrote before 1.6"),
        (pickle.dumps(STATE), "a bare pickle"),
        (
            saved(nn.Linear(2, 2)),
            "a pickled torch.nn.modules.linear.Linear, and unpickling an object runs whatever code",
        ),
        (
            saved({"model": nn.Linear(2, 2)}),
            r"save it with wildbench.save_submission\(model, path, ...\), or export it",
        ),
        (saved({"model": nn.Linear(2, 2)}, pickle_protocol=4), "a pickled torch.nn.modules.linear.Linear"),
        (saved({"epoch": Path("x")}), r"a pickled pathlib"),
        (zipped(readme=b"hello"), "a zip that torch did not write"),
        (zipped(**{"data.pkl": b"no pickle"}), "data.pkl is damaged"),
        (arrays(), "a zip that torch did not write"),
    ],
)
def test_what_is_no_submission_is_refused_in_one_line(tmp_path: Path, data: bytes, problem: str) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(data)
    with pytest.raises(SubmissionError, match=problem) as caught:
        sniff(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("protocol", [2, 4])
def test_nothing_is_unpickled(tmp_path: Path, protocol: int) -> None:
    torch.save({"model": Exploit(tmp_path / "trace")}, tmp_path / "model.pt", pickle_protocol=protocol)
    with pytest.raises(SubmissionError, match=r"a pickled (\w+\.getattr|pathlib\.Path\.touch)"):
        sniff(tmp_path / "model.pt")
    assert not (tmp_path / "trace").exists()
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert (tmp_path / "trace").exists(), "the exploit must be one"


def flipped(data: bytes, place: int, bits: int) -> bytes:
    return data[:place] + bytes([data[place] ^ bits]) + data[place + 1 :]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_STORED])
def test_a_record_that_cannot_be_unzipped_is_refused_wherever_the_damage_is(tmp_path: Path, method: int) -> None:
    path, buffer = tmp_path / "model.pt", io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(list(range(300)), 2))
    whole = buffer.getvalue()
    path.write_bytes(whole)
    assert sniff(path) == "wildbench"
    for place in range(30, len(whole) - 22):  # beyond the local header's fixed part, short of the end record
        path.write_bytes(flipped(whole, place, 0xFF))
        with contextlib.suppress(SubmissionError):
            sniff(path)


def test_an_encrypted_record_is_refused(tmp_path: Path) -> None:
    whole = saved(STATE)
    central = whole.index(b"PK\x01\x02")
    (tmp_path / "model.pt").write_bytes(flipped(flipped(whole, 6, 1), central + 8, 1))
    with pytest.raises(SubmissionError, match=r"data\.pkl is damaged \(.*encrypted") as caught:
        sniff(tmp_path / "model.pt")
    assert "\n" not in str(caught.value)


def test_a_wrong_suffix_names_the_right_one(tmp_path: Path) -> None:
    for path, kind, name in (
        (constant_detector(tmp_path / "a.onnx"), "onnx", "b.pt"),
        (write_torchscript(tmp_path / "a.pt", MeanDetector()), "torchscript", "b.onnx"),
        (write_export(tmp_path / "a.pt2", MeanDetector()), "pt2", "b.pt"),
    ):
        right = path.suffix
        moved = path.rename(tmp_path / name)
        with pytest.raises(SubmissionError, match=f"{kind} by its bytes, but named .*; rename it to b{right}"):
            sniff(moved)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "no.pt", tmp_path):
        with pytest.raises(SubmissionError, match="no such file"):
            sniff(path)
