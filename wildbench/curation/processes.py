"""Servers that end with the process that started them, whatever ends it."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TypeVar

from wildbench.errors import CurationError

T = TypeVar("T")

_KEEPER = """
import signal, subprocess, sys, threading
for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # sent to all processes of a terminal or a job at once
    signal.signal(name, lambda *_: None)  # not SIG_IGN, which the server would inherit
with open(sys.argv[1], "ab") as log:
    server = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
threading.Thread(target=lambda: (sys.stdin.read(), server.terminate()), daemon=True).start()
sys.exit(server.wait())
"""
"""Stops the server when its own input ends: a pipe closes with the process that holds it, even one that is killed."""


class Server:
    """One server process.

    Args:
        command: The program and its arguments.
        log: File that its output is added to.
        folder: Where it runs.
    """

    def __init__(self, command: Sequence[str], log: Path, folder: Path | None = None) -> None:
        self._log = log
        self._keeper = subprocess.Popen(
            [sys.executable, "-c", _KEEPER, str(log), *command], stdin=subprocess.PIPE, cwd=folder, text=True
        )

    def wait_for(self, answer: Callable[[], T | None], seconds: float = 120) -> T:
        """Ask until there is an answer.

        Raises:
            CurationError: The server ended, or does not answer.
        """
        until = time.monotonic() + seconds
        while self._keeper.poll() is None and time.monotonic() < until:
            found = answer()
            if found is not None:
                return found
            time.sleep(0.05)
        state = "does not answer" if self._keeper.poll() is None else "ended at once"
        raise CurationError(f"FiftyOne's server {state}", remedy=f"read {self._log}")

    def stop(self) -> None:
        """End it, and wait until it has."""
        input_pipe: IO[str] | None = self._keeper.stdin
        if input_pipe is not None:
            input_pipe.close()
        self._keeper.wait()
