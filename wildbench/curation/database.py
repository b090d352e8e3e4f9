"""FiftyOne's database, in a folder of ours: a user's own FiftyOne data is neither read nor changed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypeVar

import psutil

from wildbench.errors import CurationError
from wildbench.resources import cache_dir

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


def package() -> Path:
    """The folder of the installed FiftyOne, found without importing it, which takes seconds.

    Raises:
        CurationError: It is not installed; says how to get it.
    """
    found = importlib.util.find_spec("fiftyone")
    if found is None or not found.submodule_search_locations:
        raise CurationError(
            "FiftyOne is not installed", remedy='uv sync --extra review, or pip install "wildbench[review]"'
        )
    return Path(found.submodule_search_locations[0])


def review_folder() -> Path:
    """Where reviews are kept between runs: in wildbench's cache."""
    return cache_dir() / "review"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[None]:
    """Run the MongoDB that FiftyOne brings while the block runs, and let FiftyOne use it.

    Where another wildbench runs it on this folder already, that one is used.

    Args:
        folder: Where the database, settings and logs are kept; made if need be.

    Raises:
        CurationError: No FiftyOne, or its database does not start.
    """
    mongod = package() / "db" / "bin" / "mongod"
    folder = folder.absolute()
    data = folder / "mongo"
    data.mkdir(parents=True, exist_ok=True)
    port, server = _port_of_running(data), None
    if port is None:
        if not mongod.is_file():
            raise CurationError(
                f"{mongod}: FiftyOne brought no MongoDB", remedy="install a fiftyone-db for this system"
            )
        options = ["--port", "0", "--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet"]
        server = Server([str(mongod), "--dbpath", str(data), *options], folder / "mongod.log")
    try:
        if server is not None:
            port = server.wait_for(lambda: _port_of_running(data))
        with _connected(folder, f"mongodb://127.0.0.1:{port}"):
            yield
    finally:
        if server is not None:
            server.stop()


@contextlib.contextmanager
def _connected(folder: Path, uri: str) -> Iterator[None]:
    """Set FiftyOne up, in this process and in those it starts: our folder, our database, nothing sent anywhere."""
    os.environ |= {
        "FIFTYONE_CONFIG_PATH": str(folder / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(folder / "app_config.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(folder / "files"),
        "FIFTYONE_DATABASE_URI": uri,
        "FIFTYONE_DATABASE_NAME": "wildbench",
        "FIFTYONE_DATABASE_VALIDATION": "false",  # it warns at every start that the MongoDB it needs here is an old one
        "FIFTYONE_DO_NOT_TRACK": "true",
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "FIFTYONE_LOGGING_LEVEL": "ERROR",
    }
    if "fiftyone" in sys.modules:  # else it reads them when it is imported, which takes seconds
        import fiftyone
        from fiftyone.core.config import load_config

        vars(fiftyone.config).update(vars(load_config()))
    try:
        yield
    finally:
        if "fiftyone" in sys.modules:
            from fiftyone.core.odm import get_db_conn

            get_db_conn().client.close()  # or FiftyOne waits for the server when the process exits


def _port_of_running(data: Path) -> int | None:
    """The port of the server that has this folder open, as its lock file tells."""
    with contextlib.suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int((data / "mongod.lock").read_text()))
        if process.name() == "mongod":
            return next((c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN), None)
    return None
