"""A detector's processes seen from outside: which there are, what they have taken, and how to hold them still.

Nothing here asks them: the kernel keeps these accounts.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil

LINUX = sys.platform == "linux"


def tree(pid: int) -> list[int]:
    """A process and all that descend from it, parents first; those that have ended are left out."""
    if not LINUX:
        with contextlib.suppress(psutil.Error):
            return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
        return [pid]
    found = [pid]
    for each in found:  # grows while it is read
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{each}/task"):  # noqa: PTH208 - five times as fast, once for each image
                with open(f"/proc/{each}/task/{thread}/children") as file:  # noqa: PTH123
                    found += map(int, file.read().split())
    return found


def processor_seconds(pids: Iterable[int]) -> dict[int, float]:
    """Processor time of each process, over all its threads, and of children that it has waited for, in seconds."""
    return {pid: _seconds(pid) for pid in pids}


def _seconds(pid: int) -> float:
    with contextlib.suppress(psutil.Error, OSError, ValueError):
        if not LINUX:
            times = psutil.Process(pid).cpu_times()
            return float(times.user + times.system)
        with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
            fields = file.read().rpartition(")")[2].split()
        waited_for = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(~pid << 3 | 2) + waited_for  # clock_getcpuclockid(3): to the nanosecond
    return 0.0


def forget_peaks(pids: Iterable[int]) -> None:
    """Let the most resident memory that each process ever had begin with what it has now; Linux only."""
    for pid in pids:
        with contextlib.suppress(OSError):
            Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_resident(pids: Iterable[int]) -> int | None:
    """The most resident memory that each process ever had, summed, in bytes; None where the system keeps no account.

    Linux's `ru_maxrss` counts what the parent had when it started a process, across fork and exec; `VmHWM` does not.
    """
    peaks = []
    for pid in pids:
        with contextlib.suppress(OSError):
            status = Path(f"/proc/{pid}/status").read_text()
            peaks += [int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")]
    return sum(peaks) if peaks else None


LONGEST_STOP = 0.1
"""Seconds that every thread of a process is waited for until it stands."""


def _is_still(pid: int) -> bool:
    """Whether every thread of a process is stopped, or has ended."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as in `tree`
            with open(f"/proc/{pid}/task/{thread}/stat") as file:  # noqa: PTH123
                if file.read().rpartition(")")[2].split()[0] not in "TtZX":
                    return False
    return True


@contextlib.contextmanager
def held(pid: int) -> Iterator[list[int]]:
    """Stop a process and all that descend from it for as long as the block runs; gives their ids.

    Parents are stopped first, so that nothing new starts meanwhile.
    """
    stopped: list[int] = []
    try:
        while new := [each for each in tree(pid) if each not in stopped]:
            for each in new:
                stopped.append(each)
                with contextlib.suppress(OSError):
                    os.kill(each, signal.SIGSTOP)
        deadline = time.monotonic() + LONGEST_STOP
        while LINUX and time.monotonic() < deadline and not all(map(_is_still, stopped)):
            os.sched_yield()  # a thread that spins may take milliseconds to see the signal
        yield stopped
    finally:
        for each in reversed(stopped):
            with contextlib.suppress(OSError):
                os.kill(each, signal.SIGCONT)
