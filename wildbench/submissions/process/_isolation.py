"""Which walls really stand around a detector's process: tried from inside, before the submission is read."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from wildbench.scorecard import Isolation
from wildbench.submissions.process._jail import LARGEST_HOME
from wildbench.submissions.process._packages import WEIGHTS


class Targets:
    """What a process behind walls must not reach: a file of the parent's, a port it listens on, and itself."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="wildbench-canary-"))  # noqa: SIM115
        self._server = stack.enter_context(socket.socket())
        self._server.bind(("127.0.0.1", 0))
        self._server.listen()

    def arguments(self) -> tuple[str, int, int]:
        """What `probe` takes."""
        return self._file.name, self._server.getsockname()[1], os.getpid()


def probe(canary: str, port: int, parent: int, hidden: Sequence[str]) -> dict[str, bool]:
    """Try what must not succeed; True where it failed. What succeeds changes nothing."""
    weights = [path for path in hidden if path.endswith(WEIGHTS)]
    attempts: dict[str, Callable[[], object]] = {
        "read": lambda: Path(canary).read_bytes(),
        "write": lambda: os.close(os.open(canary, os.O_WRONLY | os.O_APPEND)),
        "connect": lambda: socket.create_connection(("127.0.0.1", port), timeout=1).close(),
        "signal": lambda: os.kill(parent, 0),
        "start-processes": _start_process,
    }
    if weights:
        attempts["read-weights-of-packages"] = lambda: Path(weights[0]).open("rb").close()
    if hasattr(os, "sched_setaffinity"):
        attempts["see-the-parent"] = lambda: Path(f"/proc/{parent}/cmdline").read_bytes()
        attempts["pin-the-parent"] = lambda: os.sched_setaffinity(parent, os.sched_getaffinity(parent))
        limit = resource.RLIMIT_NOFILE
        attempts["limit-the-parent"] = lambda: resource.prlimit(parent, limit, resource.prlimit(parent, limit))
    place = os.statvfs(".")
    bounds = {
        "fill-the-disk": place.f_blocks * place.f_frsize <= LARGEST_HOME,
        "fill-memory": resource.getrlimit(resource.RLIMIT_DATA)[1] != resource.RLIM_INFINITY,
    }
    return {name: _fails(attempt) for name, attempt in attempts.items()} | bounds


def _fails(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return True
    return False


def _start_process() -> None:
    number = os.fork()
    if not number:
        os._exit(0)
    os.waitpid(number, 0)


def isolation_of(told: Mapping[str, Any], *, namespaces: bool, grouped: bool) -> Isolation:
    """The record of what a child told before it read the submission."""
    probes = {str(name): stopped is True for name, stopped in told["probes"].items()}
    walls = bool(told["landlock"] and told["seccomp"])
    level: Literal["namespaces", "landlock", "process"] = "process"
    if walls:
        level = "namespaces" if namespaces else "landlock"
    missing = [name for name, stopped in probes.items() if not stopped]
    return Isolation(level=level, probes=probes, not_enforced=missing, cgroup=grouped)
