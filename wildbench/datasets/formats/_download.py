"""An archive downloaded with resume, and known again by its hash.

gdown does the transfer, from Google Drive (its confirmation page too) and from any other address. What is left to do
here: a server that cannot resume, an answer that is no archive, and an archive that is another one than last time.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from wildbench.datasets.coco import read_json
from wildbench.datasets.formats._archives import is_archive
from wildbench.errors import DatasetError, DownloadError, OutputError
from wildbench.files import check_writable, sha256_of, write_atomically
from wildbench.progress import Progress, silent

if TYPE_CHECKING:
    from requests import HTTPError

BY_HAND = "download it by hand in a browser, then run: wildbench data import PATH"
_TRIES = 5
_TIMEOUT = 60.0
"""Seconds to wait for a connection, and between bytes."""


def fetch(url: str, archive: Path, *, progress: Progress = silent) -> bool:
    """Download an archive, unless it is there; an interrupted download goes on where it stopped.

    Args:
        url: An http or https address.
        archive: Where it goes; it appears there when it is whole. Until then a `.part` lies beside it, with a hash of
            the address in its name: another address may hold another archive, and starts anew.
        progress: Called with the kilobytes so far, where the server tells how many there are.

    Returns:
        Whether anything was downloaded.

    Raises:
        DownloadError: No such address, no connection, or an answer that is no archive, such as a quota or login page.
        OutputError: The folder cannot be written, or the disk is full.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise DownloadError(f"{url}: no http or https address", remedy="name one, or run: wildbench data import PATH")
    if archive.is_file():
        return False
    check_writable(archive)
    fetched = archive.with_name(f"{archive.name}.{hashlib.sha256(url.encode()).hexdigest()[:12]}.fetched")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        fetched.unlink(missing_ok=True)
        for part in set(_parts(archive)) - set(_parts(fetched)):
            part.unlink()  # of another address
        _download(url, fetched, progress)
        if not is_archive(fetched):
            with fetched.open("rb") as file:
                start = file.read(60)
            fetched.unlink()
            raise DownloadError(f"{url}: the answer is no zip or tar; it starts with {start!r}", remedy=BY_HAND)
        fetched.replace(archive)
    except OSError as error:
        remedy = "make room or run again, or set WILDBENCH_CACHE to another place"
        raise OutputError(f"{archive}: {error.strerror or error}", remedy=remedy) from error
    return True


def check_trusted(archive: Path, record: Path) -> str:
    """Compare an archive with the one that was used first.

    Args:
        archive: The file.
        record: Where `trust` wrote down what was used first; it may not be there yet.

    Returns:
        SHA-256 of the archive.

    Raises:
        DatasetError: It is another file.
    """
    found = sha256_of(archive)
    trusted = read_json(record).get("sha256") if record.is_file() else found
    if found != trusted:
        raise DatasetError(
            f"{archive} is not the archive that was used first: its SHA-256 is {found}, that of the first {trusted}",
            remedy=f"delete the archive and get it again, or delete {record} to trust the new one",
        )
    return found


def trust(archive: Path, sha256: str, record: Path) -> None:
    """Write down what was used first; later archives have to be the same."""
    if not record.is_file():
        first = {"sha256": sha256, "bytes": archive.stat().st_size, "first_used": datetime.now(UTC).date().isoformat()}
        write_atomically(record, f"{json.dumps(first, indent=1)}\n".encode())


def _download(url: str, path: Path, progress: Progress) -> None:
    """Try as long as each try adds something; where one adds nothing to a `.part`, the server cannot go on from it."""
    import gdown  # loads slowly, and most commands fetch nothing
    import requests

    for trial in range(1, _TRIES + 1):
        kept = _parts(path)
        before = kept[-1].stat().st_size if kept else 0
        for part in kept[:-1]:
            part.unlink()  # gdown does not choose
        try:
            _by_gdown(url, path, progress)
            return
        except gdown.exceptions.FileURLRetrievalError as error:
            message = f"{url}: Google Drive does not hand it out (over its quota, or not shared any more)"
            raise DownloadError(message, remedy=BY_HAND) from error
        except requests.HTTPError as error:
            raise DownloadError(f"{url}: the server says {_status(error)}", remedy=BY_HAND) from error
        except (gdown.exceptions.DownloadError, requests.RequestException) as error:
            kept = _parts(path)
            after = kept[-1].stat().st_size if kept else 0
            cannot_resume = after == before > 0 and isinstance(error, gdown.exceptions.DownloadError)
            if cannot_resume:
                kept[-1].unlink()
            if trial == _TRIES or not (cannot_resume or after > before):
                remedy = "run the command again to go on" if after else f"look at address and network, or {BY_HAND}"
                what = f"it broke after {after:,} bytes" if after else "no connection"
                raise DownloadError(f"{url}: {what}", remedy=remedy) from error


def _by_gdown(url: str, path: Path, progress: Progress) -> None:
    def show(done: int, total: int | None) -> None:
        if total is not None:
            progress("download (kB)", -(-done // 1000), -(-total // 1000))

    import gdown

    gdown.download(
        url=url, output=str(path), quiet=True, use_cookies=False, resume=True, progress=show, timeout=_TIMEOUT
    )


def _status(error: HTTPError) -> str:
    return str(error) if error.response is None else f"{error.response.status_code} {error.response.reason}"


def _parts(path: Path) -> list[Path]:
    """What gdown keeps of interrupted downloads, the largest last."""
    return sorted(path.parent.glob(f"{path.name}*.part"), key=lambda part: part.stat().st_size)
