"""A stranger's file is parsed in the child alone, from bytes that nobody changes, within bounds."""

import fcntl
import json
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from refusals import refused
from small_networks import constant_detector, manifest

from wildbench.errors import SubmissionError, WildbenchError
from wildbench.submissions.admission import admit
from wildbench.submissions.process import Sandbox
from wildbench.submissions.process._handover import Told, receive_bytes, sealed, send_bytes
from wildbench.submissions.source import Source

ROOT = Path(__file__).parents[3]

WATCHED = """
import sys, threading
seen = set()

def watch(frame, event, _):
    where = frame.f_code.co_filename.replace("\\\\", "/").partition("wildbench/submissions/")[2]
    room = where.partition("/")[0]
    if event == "call" and room in ("archive", "codecs", "formats", "graphs", "readers") and not where.endswith(
        ("_format.py", "__init__.py")
    ) and not frame.f_code.co_name.startswith("<") and not frame.f_code.co_name.lstrip("_")[0].isupper():
        seen.add((where, frame.f_code.co_name))

import wildbench
threading.setprofile(watch)
sys.setprofile(watch)
for path in sys.argv[2:]:
    print(wildbench.inspect_submission(path).parameters)
    wildbench.evaluate(path, dataset=sys.argv[1], limit=1, device="cpu", audits=False)
sys.setprofile(None)
print(sorted(seen), sorted({"torch", "onnx", "onnxruntime"} & sys.modules.keys()))
"""


def run(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, env=environment, check=False)


def test_the_parent_parses_nothing_of_a_submission(tmp_path: Path) -> None:
    told = run(WATCHED, "parksim", constant_detector(tmp_path / "a.onnx"), ROOT / "baselines" / "reference.pt")
    assert told.returncode == 0, told.stderr[-2000:]
    assert told.stdout.splitlines()[-1] == "[] []"


def test_what_is_handed_over_cannot_be_changed() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        send_bytes(ours, [b"lion", b"", b"zebra"])
        assert receive_bytes(theirs, [4, 0, 5]) == [b"lion", b"", b"zebra"]
    if not hasattr(os, "memfd_create"):
        return
    descriptor = sealed([b"lion"])
    for change in (lambda: os.pwrite(descriptor, b"c", 0), lambda: os.ftruncate(descriptor, 9)):
        with pytest.raises(PermissionError):
            change()
    assert fcntl.fcntl(descriptor, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
    os.close(descriptor)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Source, dict[str, object]]:
    source = Source.read(constant_detector(tmp_path_factory.mktemp("told") / "a.onnx"))
    return source, Told.of(admit(source.path), source).model_dump(mode="json")


def test_what_the_child_says_is_what_the_parent_takes(told: tuple[Source, dict[str, object]]) -> None:
    source, reply = told
    here, there = admit(source.path), Told.model_validate(reply).admitted(source, None)
    assert (there.listing, there.manifest, there.signature) == (here.listing, here.manifest, here.signature)
    assert (there.size, there.sha256, there.metadata) == (here.size, here.sha256, here.metadata)


@pytest.mark.parametrize(
    "change",
    [
        {"format": "no-such-format"},
        {"main": "/etc/passwd"},
        {"companions": ["../../secret"]},
        {"companions": ["nothing.bin"]},
        {"manifest": {"name": "x"}},
        {"listing": {"tensors": [{"name": "w", "shape": [-1]}]}},
        {"listing": {"tensors": [], "overhead": {"graph": -4}}},
        {"listing": {"tensors": [], "overhead": {"graph": 2**64}}},
        {"unzipped": [3, "not a hash"]},
        {"origin": "x" * 10_000},
        {"notes": "none"},
    ],
)
def test_nothing_that_the_child_says_is_believed(
    told: tuple[Source, dict[str, object]], change: dict[str, object]
) -> None:
    source, reply = told
    with pytest.raises((ValueError, WildbenchError)):
        Told.model_validate(reply | change).admitted(source, None)


def test_a_child_that_dies_while_it_reads_is_one_line(tmp_path: Path) -> None:
    with Sandbox(constant_detector(tmp_path / "a.onnx"), threads=1) as box:
        psutil.Process(box.pid).kill()
        with refused("submission/unreadable", kind=SubmissionError):
            box.ready()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux alone bounds it so")
def test_reading_takes_no_more_memory_or_time_than_it_may() -> None:
    begin = "from wildbench.submissions.process import _child\n_child.ADMISSION_S = 1\nwith _child._bounded(2**26):\n"
    assert "MemoryError" in run(begin + "    bytearray(2**28)").stderr
    assert run(begin + "    while True: pass").returncode == -signal.SIGXCPU


def u(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def archive(path: Path, pickled: bytes, *, method: int = zipfile.ZIP_STORED, more: int = 0) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", pickled, method)
        file.writestr("a/data/0", b"\0" * 16)
        for number in range(more):
            file.writestr(zipfile.ZipInfo(f"a/more/{number}"), b"")
    return path


def laughs(levels: int) -> bytes:
    code = b"](" + u("ha") * 10 + b"er" + struct.pack("<I", 1000)
    for level in range(levels):
        code += b"](" + (b"j" + struct.pack("<I", 1000 + level)) * 10 + b"er" + struct.pack("<I", 1001 + level)
    document = pickle.dumps({"format": "wildbench-submission", "version": 1, "state_dict": {}}, 2)
    return document[:-1] + b"(" + u("manifest") + b"](" + code + b"eu."


def shadowed(_: Path) -> bytes:
    """A dictionary whose `get` would be a class."""
    return b"\x80\x02ccollections\nOrderedDict\n)R}" + u("get") + b"ccollections\nOrderedDict\nsb."


def overlapping(path: Path) -> Path:
    """Two entries of the directory over one record."""
    data = archive(path, b"\x80\x02}.").read_bytes()
    first, second = (data.index(b"PK\x01\x02", at) for at in (0, data.index(b"PK\x01\x02") + 4))
    path.write_bytes(data[: second + 42] + data[first + 42 : first + 46] + data[second + 46 :])
    return path


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: archive(path, laughs(11)), "damaged"),
        (lambda path: archive(path, shadowed(path)), "not-a-submission"),
        (lambda path: archive(path, b"\x80\x02" + b"N" * 2**21 + b"."), "damaged"),
        (lambda path: archive(path, b"\x80\x02" + b"N" * 2**21 + b".", method=zipfile.ZIP_DEFLATED), "zipped-records"),
        (lambda path: archive(path, b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b"."), "damaged"),
        (lambda path: archive(path, b"\x80\x02I" + b"9" * 10**5 + b"\n."), "damaged"),
        (lambda path: archive(path, b"\x80\x02\x95" + struct.pack("<Q", 2**62) + b"N."), "not-a-submission"),
        (lambda path: archive(path, b"\x80\x02}.", more=2**16), "zip-too-large"),
        (lambda path: archive(path, b"\x80\x02" + b"N" * 2**29, method=zipfile.ZIP_DEFLATED), "zip-too-large"),
        (overlapping, "damaged"),
    ],
)
def test_an_archive_is_bounded_before_it_is_expanded(tmp_path: Path, make: Callable[[Path], Path], code: str) -> None:
    with refused(f"submission/{code}"):
        admit(make(tmp_path / "a.pt"))


@pytest.mark.parametrize(
    "document",
    [
        "[" * 10**5,
        json.dumps({"categories": [str(number) for number in range(10**5)]}),
        json.dumps({"method": "x" * 2**23}),
        json.dumps({"detector": {"name": "x", "arguments": {"a": int("9" * 400)}}}).replace("9" * 400, "9" * 5000),
        json.dumps({"name": "a\ud800b"}),
        b"\xff\xfe\x00",
    ],
)
def test_a_manifest_is_bounded_too(tmp_path: Path, document: str | bytes) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    if not isinstance(document, bytes) and document.startswith("{"):
        document = json.dumps(manifest().model_dump(mode="json"))[:-1] + ", " + document[1:]
    beside = path.with_suffix(".manifest.json")
    beside.write_bytes(document if isinstance(document, bytes) else document.encode())
    with refused("submission/manifest"), Sandbox(path, threads=1, opens=False) as box:
        assert box.admitted
