"""FiftyOne's App: its server, and the page that shows one data set."""

from __future__ import annotations

import json
import re
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Self

from wildbench.curation.database import Server, package
from wildbench.errors import CurationError

HOST = "127.0.0.1"
"""Where it listens: on this machine alone. From another, forward the port by ssh."""


class App:
    """The App's server; it starts at once, takes seconds to answer, and ends with the block.

    Args:
        folder: Where its log is kept.
        port: Port on this machine; 0 for any that is free.

    Raises:
        CurationError: The port is taken.
    """

    def __init__(self, folder: Path, port: int) -> None:
        port = _free(port)
        self._address = f"http://{HOST}:{port}"
        command = [sys.executable, "main.py", "--port", str(port), "--address", HOST]
        self._server = Server(command, folder.absolute() / "app.log", package() / "server")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()

    def url(self, samples: str, view: str | None = None) -> str:
        """Where the App shows a data set, or a saved view of it, once the server answers.

        Raises:
            CurationError: It never does.
        """
        self._server.wait_for(lambda: _version(self._address))
        query = f"?view={re.sub(r'[^a-z0-9]+', '-', view.lower()).strip('-')}" if view else ""
        return f"{self._address}/datasets/{samples}{query}"


def _free(port: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise CurationError(f"port {port}: {error.strerror}", remedy="give another --port") from None
        return int(probe.getsockname()[1])


def _version(address: str) -> str | None:
    """FiftyOne's version, once the server answers."""
    try:
        with urllib.request.urlopen(f"{address}/fiftyone", timeout=5) as answer:
            return str(json.load(answer)["version"])
    except (urllib.error.URLError, OSError, ValueError):
        return None
