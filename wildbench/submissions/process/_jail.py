"""The walls around a detector's process, which it raises itself before it reads a byte of the submission. Linux.

`python -m wildbench.submissions.process._jail BOUND DEVICE HIDDEN CANARY PORT PARENT CHANNEL PIXELS` raises them, tells
the parent whether they hold, and then runs the child. Nothing but the standard library is imported before they stand,
for Landlock binds the thread that calls it and those started later. A wall that this kernel cannot raise is left out;
`Walls` says which stand.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import socket
import struct
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from wildbench.submissions.process._packages import GPU, folders_of, gpu_devices, packages, without

LARGEST_HOME = 2**30
"""Bytes of the temporary folder, and of any file in it."""


@dataclass(frozen=True)
class Walls:
    """Which walls stand around this process.

    Attributes:
        landlock: Version of Landlock, 0 for none.
        seccomp: Whether system calls are filtered.
        tmpfs: Whether the temporary folder is in memory, with a bound on its bytes.
    """

    landlock: int = 0
    seccomp: bool = False
    tmpfs: bool = False


def raise_walls(home: str, *, gpu: bool = False, parent: int = 0, hidden: Sequence[str] = ()) -> Walls:
    """Raise every wall that this kernel has around the calling process, which must have one thread.

    There is no way back.

    Args:
        home: The temporary folder, the only one that may be written in.
        gpu: Whether a graphics processor may be used.
        parent: The process with which this one ends; 0 where something else sees to that.
        hidden: What is left out of the packages that may be read.
    """
    _limit_resources()
    os.chdir(home)
    if sys.platform != "linux":
        return Walls()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    tmpfs = _mount_home(libc, home)
    _prctl(libc, 38, 1)  # no new privileges, which the others need
    landlock = _raise_landlock(libc, home, gpu, hidden)
    _drop_capabilities(libc)
    if parent:
        _prctl(libc, 1, 9)  # SIGKILL when it ends
        if os.getppid() != parent:  # it has ended already
            os._exit(1)
    return Walls(landlock, _raise_seccomp(libc), tmpfs)


def _limit_resources() -> None:
    import resource

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = {"RLIMIT_CORE": 0, "RLIMIT_FSIZE": LARGEST_HOME, "RLIMIT_NOFILE": 4096, "RLIMIT_MSGQUEUE": 0}
    if sys.platform == "linux":
        wanted["RLIMIT_DATA"] = memory
        with contextlib.suppress(OSError, ValueError):  # of all users; more than a thousand is no detector's
            wanted["RLIMIT_NPROC"] = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[2]) + 1024
    for name, value in wanted.items():
        if hasattr(resource, name):
            number = getattr(resource, name)
            hard = resource.getrlimit(number)[1]
            least = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(number, (least, least))


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> bool:
    zero = ctypes.c_ulong(0)
    return not libc.prctl(option, ctypes.c_ulong(value), zero, zero, zero)


NEW_MOUNTS, NEW_USERS = 0x20000, 0x10000000
PRIVATE = 0x4000 | 0x40000  # MS_REC | MS_PRIVATE
PLAIN = 2 | 4 | 8  # MS_NOSUID | MS_NODEV | MS_NOEXEC


def _mount_home(libc: ctypes.CDLL, home: str) -> bool:
    """Put a folder of bounded size, which ends with the process, over the temporary one; True where that is allowed."""
    uid, gid = os.getuid(), os.getgid()
    if libc.unshare(NEW_MOUNTS):
        if libc.unshare(NEW_MOUNTS | NEW_USERS):
            return False
        with contextlib.suppress(OSError):
            Path("/proc/self/setgroups").write_text("deny")
            Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
            Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    options = f"size={LARGEST_HOME},nr_inodes=65536,mode=700,uid={uid},gid={gid}".encode()
    if libc.mount(b"none", b"/", None, PRIVATE, None) or libc.mount(b"tmpfs", home.encode(), b"tmpfs", PLAIN, options):
        return False
    os.chdir(home)
    return True


EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
MAKE_SPECIAL = 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11  # devices, sockets, pipes
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15
FILE_RIGHTS = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV


def _raise_landlock(libc: ctypes.CDLL, home: str, gpu: bool, hidden: Sequence[str]) -> int:
    """Files by path, TCP, abstract sockets and signals; gives the version that stands, 0 for none."""
    create, add, restrict = 444, 445, 446
    abi = int(libc.syscall(create, None, ctypes.c_size_t(0), 1))
    if abi < 1:
        return 0
    every = (1 << {1: 13, 2: 14, 3: 15, 4: 15}.get(abi, 16)) - 1
    attributes = struct.pack("QQQ", every, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    rules = libc.syscall(create, attributes, ctypes.c_size_t(len(attributes)), 0)
    if rules < 0:
        return 0
    reading, using = READ_FILE | READ_DIR, READ_FILE | WRITE_FILE | IOCTL_DEV
    readable, listed = packages(folders_of("PYTHONPATH"))
    readable, around = without(readable, hidden)
    allowed = {
        reading: [*readable, "/proc/self", *(GPU if gpu else ())],
        READ_DIR: [*listed, *around],
        READ_FILE | WRITE_FILE: ["/dev/null"],
        using | READ_DIR: gpu_devices() if gpu else [],
        every & ~(MAKE_SPECIAL | EXECUTE | IOCTL_DEV): [home],
    }
    for rights, paths in allowed.items():
        for path in paths:
            with contextlib.suppress(OSError):
                place = os.open(path, os.O_PATH | os.O_CLOEXEC)
                kind = every if Path(path).is_dir() else every & FILE_RIGHTS
                libc.syscall(add, rules, 1, struct.pack("=QI", rights & kind, place), 0)
                if path != "/proc/self":  # a rule on it holds for as long as it is open
                    os.close(place)
    stands = not libc.syscall(restrict, rules, 0)
    os.close(rules)
    return abi if stands else 0


def _drop_capabilities(libc: ctypes.CDLL) -> None:
    """Give up what root may, but for reading packages that belong to another user."""
    header, sets = struct.pack("=Ii", 0x20080522, 0), ctypes.create_string_buffer(24)
    if libc.capget(header, sets) == 0:
        kept = struct.unpack("=6I", sets.raw)[1] & 1 << 2  # CAP_DAC_READ_SEARCH
        libc.capset(header, struct.pack("=6I", kept, kept, 0, 0, 0, 0))


ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

REFUSED = {
    # sockets, of which it has the one it needs; other processes; programs
    "socket": (41, 198), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    "ptrace": (101, 117), "kcmp": (312, 272), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "move_pages": (279, 239),
    "migrate_pages": (256, 238), "pidfd_open": (434, 434), "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424), "tkill": (200, 130), "setsid": (112, 157), "setpgid": (109, 154),
    "setpriority": (141, 140), "ioprio_set": (251, 30),
    # namespaces and mounts
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    # the machine
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "syslog": (103, 116), "acct": (163, 89), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "vhangup": (153, 58), "personality": (135, 92),
    # ways round the walls, or memory that no limit counts
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "bpf": (321, 280), "perf_event_open": (298, 241),
    "userfaultfd": (323, 282), "io_uring_setup": (425, 425), "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427), "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "msgget": (68, 186), "semget": (64, 190), "shmget": (29, 194), "mq_open": (240, 180), "mq_unlink": (241, 181),
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "truncate": (76, 45), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "removexattr": (197, 14), "lremovexattr": (198, 15),
}  # fmt: skip
"""System calls that fail, with their numbers on x86-64 and on ARM."""

IGNORED = {
    "chmod": (90, None), "fchmodat": (268, 53), "chown": (92, None), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None),
}  # fmt: skip
"""Calls that do nothing and succeed, for Landlock does not see them and copying a file makes them."""

OWN = {
    "kill": (62, 129), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "prlimit64": (302, 261), "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118), "sched_setattr": (314, 274),
}  # fmt: skip
"""Calls that name a process, which may be only the caller's own."""

CLONE, CLONE3, SOCKETPAIR, UTIMENSAT = (56, 220), (435, 435), (53, 199), (280, 88)
PARTLY_REFUSED = {
    "prctl": ((157, 167), 0, (1, 4, 35)),  # the signal at the parent's end, dumpable, memory maps
    "fcntl": ((72, 25), 1, (8, 15)),  # signals to the owner of a file
    "ioctl": ((16, 29), 1, (0x5412, 0x541C, 0x8901, 0x8902)),  # typing into a terminal; owners again
}
"""Calls of which some are refused: numbers, which argument tells, and its values."""

LAST_KNOWN = 451
"""Later system calls do not exist for the child until somebody has looked at them."""

EPERM, ENOSYS = 0x50000 | 1, 0x50000 | 38
SUCCESS, ALLOW, KILL = 0x50000, 0x7FFF0000, 0x80000000
LOAD, EQUAL, ABOVE, ANY_BIT, RETURN = 0x20, 0x15, 0x25, 0x45, 0x06

Instruction = tuple[int, int, int, int]


def _raise_seccomp(libc: ctypes.CDLL) -> bool:
    if platform.machine() not in ARCHITECTURES:
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _filter(*ARCHITECTURES[platform.machine()]))
    buffer = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    return not libc.prctl(22, ctypes.c_ulong(2), program, ctypes.c_ulong(0), ctypes.c_ulong(0))


def _filter(column: int, architecture: int) -> Iterator[Instruction]:
    """A program that gives a verdict on each system call of this process."""
    yield from ((LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL))
    yield from ((LOAD, 0, 0, 0), (ABOVE, 0, 1, LAST_KNOWN), (RETURN, 0, 0, ENOSYS))
    for calls, verdict in ((REFUSED, EPERM), (IGNORED, SUCCESS)):
        for numbers in calls.values():
            if numbers[column] is not None:
                yield from ((EQUAL, 0, 1, numbers[column] or 0), (RETURN, 0, 0, verdict))
    own = [(EQUAL, 2, 0, 0), (EQUAL, 1, 0, os.getpid())]
    for name, numbers in OWN.items():
        mine = own[1:] if "sig" in name or "kill" in name else own  # 0 is the whole group
        yield from _case(numbers[column] or 0, 0, [*mine, (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)])
    for numbers, argument, values in PARTLY_REFUSED.values():
        wrong = [(EQUAL, len(values) - index, 0, value) for index, value in enumerate(values)]
        yield from _case(numbers[column], argument, [*wrong, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)])
    threads = [(ANY_BIT, 0, 2, 0x10000), (ANY_BIT, 1, 0, 0x7E020080), (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, EPERM)]
    yield from _case(CLONE[column], 0, threads)  # a thread, in no new namespace
    yield from ((EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, ENOSYS))  # whose arguments no filter sees
    streams = [(EQUAL, 2, 0, 1), (EQUAL, 1, 0, 0x80001), (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)]
    yield from _case(SOCKETPAIR[column], 1, streams)  # a datagram could be sent elsewhere
    open_file = [(EQUAL, 1, 0, 0), (RETURN, 0, 0, SUCCESS), (LOAD, 0, 0, 28), (EQUAL, 1, 0, 0), (RETURN, 0, 0, SUCCESS)]
    yield from _case(UTIMENSAT[column], 1, [*open_file, (RETURN, 0, 0, ALLOW)])
    yield (RETURN, 0, 0, ALLOW)


def _case(number: int, argument: int, body: list[Instruction]) -> Iterator[Instruction]:
    """Go through `body`, which ends with a verdict, with the argument's low half for one system call; else past it."""
    yield (EQUAL, 0, len(body) + 1, number)
    yield (LOAD, 0, 0, 16 + 8 * argument)
    yield from body


def keep_bytecode(modules: Iterable[str]) -> None:
    """Import modules once in front of the walls where that was never done, for nothing can be kept from behind them.

    Python would compile them again in every process. Only installed packages are imported, nothing of a submission.
    """
    for module in () if sys.dont_write_bytecode else modules:
        spec = find_spec(module if module.startswith("wildbench.") else module.partition(".")[0])  # imports no other
        kept = Path(spec.cached) if spec and spec.cached else None
        if kept and not kept.exists() and os.access(kept.parent if kept.parent.exists() else kept.parents[1], os.W_OK):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [sys.executable, "-c", f"import {module}"], capture_output=True, timeout=120, check=False
                )


def command(*arguments: object) -> list[str]:
    """The command that runs the child behind these walls."""
    return [sys.executable, "-P", "-m", "wildbench.submissions.process._jail", *map(str, arguments)]


def main() -> None:
    """Raise the walls, then be the child."""
    with contextlib.suppress(OSError):  # where memory runs out, the system should end this process and not the parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    bound, device, listing, canary, port, parent, channel, _ = sys.argv[1:]
    del sys.argv[1:7]
    with open(int(listing), encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        file.seek(0)
        hidden = file.read().split("\0")
    watcher = int(parent) if bound == "bound" else 0
    walls = raise_walls(os.environ["HOME"], gpu=device != "cpu", parent=watcher, hidden=hidden)
    probe = import_module("wildbench.submissions.process._isolation").probe
    probes = probe(canary, int(port), int(parent), hidden)
    with socket.socket(fileno=os.dup(int(channel))) as told:
        send = import_module("wildbench.submissions.process._wire").send
        send(told, {"probes": probes, **asdict(walls)})
    import_module("wildbench.submissions.process._child").main()


if __name__ == "__main__":
    main()
