"""FiftyOne's database, in a folder of ours: a user's own FiftyOne data is neither read nor changed."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil

from wildbench.curation.processes import Server
from wildbench.errors import CurationError
from wildbench.resources import cache_dir


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
