"""Each wall around a detector's process, tried from inside by what runs there."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from refusals import refused
from small_networks import constant_detector, manifest, write_torchscript

from wildbench.errors import DetectorError, UnjailedSubmission
from wildbench.submissions.process import Sandbox, _jail, _parent, open_submission
from wildbench.submissions.process._bubblewrap import bubblewrap
from wildbench.submissions.process._isolation import isolation_of
from wildbench.submissions.process._remains import Noise, remove_folder

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning"),
    pytest.mark.skipif(sys.platform != "linux", reason="the walls are Linux's"),
]

IMAGE = np.random.default_rng(2).integers(0, 256, (24, 40, 3), dtype=np.uint8)
REPOSITORY = Path(__file__).parents[3]

REFUSED = {
    "read the labels": "open(f'{repository}/annotations/parksim/test.json').read()",
    "read a baseline": "open(f'{repository}/baselines/scorecards/reference.json').read()",
    "list the repository": "os.listdir(repository)",
    "list the data": "os.listdir(data)",
    "read the data": "open(f'{data}/secret').read()",
    "read through a link": "(os.symlink(f'{data}/secret', 'link'), open('link').read())",
    "read by a hard link": "(os.link(f'{data}/secret', 'hard'), open('hard').read())",
    "read through /proc/self/root": "open(f'/proc/self/root{data}/secret').read()",
    "read the users": "open('/etc/passwd').read()",
    "overwrite the data": "open(f'{data}/secret', 'w')",
    "cut the data": "os.truncate(f'{data}/secret', 1)",
    "make a file outside": "open(f'{data}/new', 'w')",
    "make a folder outside": "os.mkdir(f'{data}/folder')",
    "move the data": "os.rename(f'{data}/secret', 'mine')",
    "remove the data": "os.unlink(f'{data}/secret')",
    "change the package": "open(f'{repository}/wildbench/evil.py', 'w')",
    "write in shared memory": "open('/dev/shm/evil', 'w')",
    "read the parent's arguments": "open(f'/proc/{parent}/cmdline').read()",
    "read the parent's environment": "open(f'/proc/{parent}/environ').read()",
    "read the parent's memory": "open(f'/proc/{parent}/mem', 'rb').read(1)",
    "see the parent's files": "os.readlink(f'/proc/{parent}/cwd')",
    "connect": "socket.create_connection(('127.0.0.1', port), 1)",
    "listen": "socket.create_server(('127.0.0.1', 0))",
    "send a datagram": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
    "open a unix socket": "socket.socket(socket.AF_UNIX)",
    "open a netlink socket": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "pair datagram sockets": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
    "fork": "os.fork()",
    "spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "run a program": "os.execv('/bin/true', ['true'])",
    "run what it wrote": "os.execv(os.memfd_create('program'), ['program'])",
    "signal the parent": "os.kill(parent, 0)",
    "signal everybody": "os.kill(-1, 0)",
    "open the parent": "os.pidfd_open(parent)",
    "trace the parent": "check(libc.ptrace(16, parent, 0, 0))",
    "copy the parent's memory": "check(libc.syscall(310 if x86 else 270, parent, 0, 0, 0, 0, 0))",
    "pin the parent": "os.sched_setaffinity(parent, [0])",
    "limit the parent": "resource.prlimit(parent, resource.RLIMIT_NOFILE, (9, 9))",
    "slow the parent": "os.setpriority(os.PRIO_PROCESS, parent, 19)",
    "reschedule the parent": "os.sched_setscheduler(parent, os.SCHED_BATCH, os.sched_param(0))",
    "leave the session": "os.setsid()",
    "outlive the parent": "check(libc.prctl(1, 0, 0, 0, 0))",
    "get signals for others": "__import__('fcntl').fcntl(0, 8, parent)",
    "make namespaces": "check(libc.unshare(0x10000000))",
    "mount": "check(libc.mount(b'tmpfs', b'.', b'tmpfs', 0, None))",
    "leave its root": "os.chroot('.')",
    "use io_uring": "check(libc.syscall(425, 1, 0))",
    "use bpf": "check(libc.syscall(321 if x86 else 280, 0, 0, 0))",
    "count events": "check(libc.syscall(298 if x86 else 241, 0, 0, -1, -1, 0))",
    "keep a key": "check(libc.syscall(250 if x86 else 219, 0, 0))",
    "share memory": "check(libc.shmget(0, 4096, 0o1600))",
    "raise its limits": "resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, 2**40))",
    "open 100,000 files": "many()",
    "take 16 TB": "bytearray(2**44)",
    "fill the disk": "fill()",
}
"""Python expressions that raise."""

ALLOWED = {
    "write at home": "open('mine', 'w').write('x')",
    "copy a file": "(open('a', 'w').close(), __import__('shutil').copy2('a', 'b'))",
    "make a temporary file": "__import__('tempfile').TemporaryFile().write(b'x')",
    "start a thread": "[t.start() or t.join() for t in [__import__('threading').Thread(target=int)]]",
    "pin itself": "os.sched_setaffinity(0, os.sched_getaffinity(0))",
    "signal itself": "os.kill(os.getpid(), 0)",
    "pair streams": "socket.socketpair()",
    "read itself": "open('/proc/self/status').read()",
    "import what is installed": "__import__('cv2')",
    "draw lots": "os.urandom(4)",
}

ADAPTER = """
import ctypes, os, platform, resource, socket
CATEGORIES = ["a"]
libc = ctypes.CDLL(None, use_errno=True)
x86 = platform.machine() == "x86_64"

def check(result):
    if result == -1:
        raise OSError(ctypes.get_errno())

def fill():
    try:
        for name in ("one", "two"):
            with open(name, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, 600 * 2**20)
    finally:
        os.unlink("one")
        os.unlink("two")

def many():
    opened = []
    try:
        for _ in range(100_000):
            opened.append(os.dup(0))
    finally:
        for each in opened:
            os.close(each)

def stopped(attempt):
    try:
        eval(attempt)
    except (OSError, MemoryError, ValueError):
        return 1.0
    return 0.0

def load(path):
    pass

def predict(image):
    scores = [stopped(attempt) for attempt in ATTEMPTS]
    return [[0, 0, 1, 1]] * len(scores), ["a"] * len(scores), scores
"""


def adapter(folder: Path, code: str) -> Sandbox:
    """A process that runs this code."""
    (folder / "detector.xyz").write_text("x")
    (folder / "my.py").write_text(code)
    return Sandbox(folder / "detector.xyz", adapter=folder / "my.py", threads=1)


@pytest.fixture(params=["landlock", "namespaces"])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The walls that are raised: with bubblewrap and without."""
    if request.param == "landlock":
        monkeypatch.setattr(_parent, "bubblewrap", lambda: None)
    elif not bubblewrap():
        pytest.skip("there is no bubblewrap, or it may not make namespaces")
    return str(request.param)


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_each_way_out_is_closed(level: str, tmp_path: Path, port: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret").write_text("labels")
    attempts = {**REFUSED, **ALLOWED}
    names = f"repository, data, parent, port = {str(REPOSITORY)!r}, {str(data)!r}, {os.getpid()}, {port}\n"
    (tmp_path / "files").mkdir()
    with adapter(tmp_path / "files", f"{names}ATTEMPTS = {list(attempts.values())}\n{ADAPTER}") as box:
        scores = box.predict(IMAGE).detections.scores
        assert (box.isolation.level, box.isolation.not_enforced) == (level, [])
        assert all(box.isolation.probes.values())
    stopped = dict(zip(attempts, scores == 1, strict=True))
    assert {name for name in REFUSED if not stopped[name]} == set()
    assert {name for name in ALLOWED if stopped[name]} == set()
    assert [path.name for path in data.iterdir()] == ["secret"]
    assert (data / "secret").read_text() == "labels"


CHANGES = {"os.chmod": "0", "os.utime": "(1, 1)", "os.chown": "7, 7", "os.setxattr": "'user.x', b'y'"}


def test_modes_and_times_of_others_stay(level: str, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("labels")
    before = (tmp_path / "secret").stat()
    files = tmp_path / "files"
    files.mkdir()
    attempts = [f"{call}({str(tmp_path / 'secret')!r}, {then})" for call, then in CHANGES.items()]
    with adapter(files, f"ATTEMPTS = {attempts}\n{ADAPTER}") as box:
        box.predict(IMAGE)
    after = (tmp_path / "secret").stat()
    assert (before.st_mode, before.st_mtime, before.st_uid) == (after.st_mode, after.st_mtime, after.st_uid)


class ReadingDetector(torch.nn.Module):
    """Looks for labels; TorchScript does so without any Python."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        labels = torch.ones([1], dtype=torch.int64)
        read = torch.from_file(self.path, False, 4, dtype=torch.uint8).sum().reshape(1) / 2000
        return {"boxes": torch.tensor([[1.0, 2.0, 30.0, 20.0]]), "labels": labels, "scores": read}


class WritingDetector(torch.nn.Module):
    """Writes a file."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.path = path

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        torch.save(image, self.path)
        return {"boxes": image, "labels": image, "scores": image}


@pytest.mark.parametrize("detector", [ReadingDetector, WritingDetector])
def test_torchscript_neither_reads_nor_writes(detector: type[torch.nn.Module], tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("1234")
    target = tmp_path / ("secret" if detector is ReadingDetector else "new")
    path = write_torchscript(tmp_path / "a.pt", detector(str(target)), manifest())
    with Sandbox(path, threads=1) as box, pytest.raises(DetectorError):  # torch says nothing of a file that stays away
        box.predict(IMAGE)
    assert not (tmp_path / "new").exists()


def test_ten_gigabytes_of_noise_take_no_room(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    noise = Noise(os.fdopen(reading, "rb"))
    for _ in range(2000):
        os.write(writing, b"x" * 2**16)
    os.write(writing, b"\nthe end\n\n")
    os.close(writing)
    assert noise.last_line() == "the end"
    assert len(noise._kept) <= 4096


def test_whatever_is_left_is_removed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    home = tmp_path / "home"
    home.mkdir()
    (home / "file").write_text("x")
    (home / "link").symlink_to(outside)
    os.mkfifo(home / "pipe")
    (home / "closed" / "inside").mkdir(parents=True)
    (home / "closed").chmod(0)
    place = os.open(home, os.O_RDONLY)
    for _ in range(3000):  # far beyond the longest path and the deepest recursion
        os.mkdir("x" * 9, dir_fd=place)
        above, place = place, os.open("x" * 9, os.O_RDONLY, dir_fd=place)
        os.close(above)
    os.close(place)
    remove_folder(str(home))
    assert not home.exists()
    assert (outside / "kept").exists()


def test_nothing_is_left_of_a_process(level: str, tmp_path: Path) -> None:
    with adapter(tmp_path, 'ATTEMPTS = [\'open("left", "w")\']\n' + ADAPTER) as box:
        box.predict(IMAGE)
        home = Path(psutil.Process(box.pid).cwd())
        child = psutil.Process(box.pid)
        assert list(home.iterdir()) == []  # what is written is in a memory of its own
    assert not home.exists()
    psutil.wait_procs([child], timeout=5)
    assert not child.is_running()


PARENT = """
import sys, time
from wildbench.submissions.process import Sandbox
with Sandbox(sys.argv[1], threads=1) as box:
    box.ready()
    print(box.pid, flush=True)
    time.sleep(60)
"""


def test_a_detector_ends_with_its_parent(tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx")
    with subprocess.Popen([sys.executable, "-c", PARENT, str(path)], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    with contextlib.suppress(psutil.NoSuchProcess):
        while child.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < deadline, "it lives on"


def test_answers_are_those_of_an_open_process(level: str, tmp_path: Path) -> None:
    path = constant_detector(tmp_path / "a.onnx", scores=np.array([0.3, 0.7], np.float32))
    with Sandbox(path, threads=1) as box:
        behind = box.predict(IMAGE).detections
    before = open_submission(path, threads=1).predict(IMAGE)
    for name in ("boxes", "labels", "scores"):
        assert getattr(behind, name).tobytes() == getattr(before, name).tobytes()


def test_where_a_wall_is_missing_it_is_said_and_can_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor for which nobody has written the numbers of system calls has no filter."""
    monkeypatch.setattr(_parent, "bubblewrap", lambda: None)
    path = constant_detector(tmp_path / "a.onnx")
    with Sandbox(path, threads=1, require_jail=True) as box:
        assert box.isolation.level == "landlock"

    def unfiltered(*arguments: object) -> list[str]:
        start = "from wildbench.submissions.process import _jail; _jail.ARCHITECTURES.clear(); _jail.main()"
        return [sys.executable, "-P", "-c", start, *map(str, arguments)]

    monkeypatch.setattr(_parent, "command", unfiltered)
    with Sandbox(path, threads=1) as box:
        assert box.isolation.level == "process"
        assert "start-processes" in box.isolation.not_enforced
        assert len(box.predict(IMAGE).detections) == 2
    with refused("submission/no-jail", kind=UnjailedSubmission), Sandbox(path, threads=1, require_jail=True):
        pass


def test_a_module_is_compiled_in_front_of_the_walls_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "newly_installed.py").write_text("print('x')")
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.syspath_prepend(str(tmp_path))
    _jail.keep_bytecode(["newly_installed", "no_such_module"])
    (kept,) = (tmp_path / "__pycache__").iterdir()
    before = kept.stat().st_mtime_ns
    _jail.keep_bytecode(["newly_installed"])
    assert kept.stat().st_mtime_ns == before


def test_an_account_of_walls_is_read_with_care() -> None:
    told = {"probes": {"read": True, "write": 1}, "landlock": 7, "seccomp": True}
    isolation = isolation_of(told, namespaces=False, grouped=False)
    assert json.loads(isolation.model_dump_json()) == {
        "level": "landlock", "probes": {"read": True, "write": False}, "not_enforced": ["write"], "cgroup": False,
    }  # fmt: skip


def test_every_system_call_has_two_numbers() -> None:
    for table in (_jail.REFUSED, _jail.IGNORED, _jail.OWN):
        for column in (0, 1):
            numbers = [pair[column] for pair in table.values() if pair[column] is not None]
            assert len(set(numbers)) == len(numbers)
            assert max(numbers) <= _jail.LAST_KNOWN
