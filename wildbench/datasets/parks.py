"""The authors' photographs (arXiv:2102.02896): downloaded or handed over, and made the data set `parks` in the cache.

gdown does the transfer, from Google Drive (its confirmation page too) and from any other address. What remains to do
here: a server that cannot resume, an answer that is not an archive, and an archive that differs from the first one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from wildbench.categories import PAPER_COUNTS
from wildbench.datasets.coco import Dataset, read_json
from wildbench.datasets.splits import make_split, stratified_split, write_split
from wildbench.datasets.transfer import ImportReport, Published, StrictFindings, import_dataset, is_archive
from wildbench.errors import DatasetError, DownloadError, OutputError, needs
from wildbench.files import check_writable, sha256_of, write_atomically
from wildbench.progress import Progress, silent
from wildbench.resources import cache_dir
from wildbench.text import counted

NAME = "parks"
URL = "https://drive.google.com/uc?id=141iHvqb_rD_WwtIhespCSA9maHzQCbb2"
"""Where the authors publish their data set."""

PUBLISHED = Published(PAPER_COUNTS, {"text": 1309, "table": sum(PAPER_COUNTS.values())})
BY_HAND = "download it by hand in a browser, then run: wildbench data import PATH"
_TRIES = 5
_TIMEOUT = 60.0
"""Seconds to wait for a connection, and between bytes."""


def archive_path() -> Path:
    """Where the downloaded archive is."""
    return cache_dir() / "parks-download" / "archive"


def record_path() -> Path:
    """The small file beside it that says which archive was used first."""
    return archive_path().with_name("archive.trusted.json")


def fetch_parks(url: str | None = None, *, strict: bool = False, progress: Progress = silent) -> ImportReport:
    """Download the archive, unless it is there, and import it.

    Args:
        url: A mirror; by default the authors' address.
        strict: Refuse an archive in which anything is found.
        progress: Called during long work.

    Raises:
        DownloadError: It cannot be downloaded.
        DatasetError: It is another archive than before, or `import_parks` refuses it.
        OutputError: The cache cannot be written.
    """
    archive = archive_path()
    fetched = fetch(url or URL, archive, progress=progress)
    try:
        report = import_parks(archive, strict=strict, replace=True, fetched=True, progress=progress)
    except StrictFindings:
        raise
    except DatasetError as error:
        remedy = f"{error.remedy}; while {archive} is there, it is not fetched again"
        raise DatasetError(error.what, code=error.code.partition("/")[2], remedy=remedy) from error
    return _remarked(report, f"{archive} was fetched before; {url} is not used" if url and not fetched else "")


def import_parks(
    source: Path,
    *,
    form: str | None = None,
    strict: bool = False,
    replace: bool = False,
    fetched: bool = False,
    progress: Progress = silent,
) -> ImportReport:
    """Make an archive or folder the data set `parks`.

    Any file can be handed over. So the hash of an archive is written down, and a different one refused later, only
    where it was `fetched` from its address or holds one of the totals that the paper gives. A folder has no hash.

    Args:
        source: A zip, a tar or a folder.
        form: "voc", "yolo" or "coco"; by default found by the files.
        strict: Refuse it if anything is found.
        replace: Whether `parks`, where it is there already, may be replaced.
        fetched: Whether it was downloaded from the address that is named for it.
        progress: Called during long work.

    Raises:
        DatasetError: It is another archive than before, cannot be read, or holds none of the paper's categories.
        OutputError: `parks` is there already, or the cache cannot be written.
    """
    folder = cache_dir() / NAME
    if folder.exists() and not replace:
        remedy = "add --replace to put this in its place, or name a folder for another data set: --out DIR"
        raise OutputError(f"{NAME} is there already, in {folder}", code="exists", remedy=remedy)
    sha256 = check_trusted(source, record_path()) if source.is_file() else None
    finish = partial(_write_splits, progress=progress)
    report = import_dataset(
        source, folder, form=form, strict=strict, replace=True, published=PUBLISHED, finish=finish, progress=progress
    )
    known = report.holds != "neither"
    if sha256 is not None and (fetched or known):
        _trust(source, sha256, record_path())
    if known:
        hashless = "a folder has no hash, so nothing shows later that it is still the same"
        return _remarked(report, "" if sha256 else hashless)
    totals = " or ".join(map(str, sorted(PUBLISHED.totals.values())))
    counts = f"{counted(report.boxes, 'box')}, where the paper has {totals}"
    trust = "" if fetched else ", and its hash is not trusted"
    return _remarked(report, f"not the published set by its counts: {counts}; it is parks here{trust}")


def _write_splits(report: ImportReport, folder: Path, progress: Progress = silent) -> None:
    """Write the split files `wildbench-v1` and, where the authors have lists, `authors`."""
    if not report.boxes:
        what = f"{report.source}: no box of the paper's categories, so this is not parks"
        remedy = "name a folder for another data set: wildbench data import PATH --out DIR"
        raise DatasetError(what, code="not-parks", remedy=remedy)
    coco, parts = report.collection.coco, report.collection.parts
    if parts:
        method = "the lists of images that its authors publish with it"
        authors = make_split(coco, parts, name="authors", dataset=NAME, method=method)
        write_split(authors, folder / "splits" / "authors.json")
    whole = Dataset(NAME, None, coco, folder / "images")
    try:
        split = stratified_split(whole, progress=progress)
    except DatasetError as error:
        remedy = f"{error.remedy}; parks is split on import, --out DIR is not"
        raise DatasetError(error.what, code=error.code.partition("/")[2], remedy=remedy) from error
    write_split(split, folder / "splits" / "wildbench-v1.json")


def _remarked(report: ImportReport, remark: str) -> ImportReport:
    return dataclasses.replace(report, remarks=(*report.remarks, remark)) if remark else report


def fetch(url: str, archive: Path, *, progress: Progress = silent) -> bool:
    """Download an archive, unless it is there; an interrupted download goes on where it stopped.

    It appears when it is whole. Until then a `.part` is beside it, with a hash of the address in its name: another
    address may hold another archive, and starts over.

    Returns:
        Whether anything was downloaded.

    Raises:
        DownloadError: No such address, no connection, or an answer that is not an archive, such as a login page.
        OutputError: The folder cannot be written, or the disk is full.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        remedy = "name one, or run: wildbench data import PATH"
        raise DownloadError(f"{url}: not an http or https address", code="bad-address", remedy=remedy)
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
            what = f"{url}: the answer is not a zip or tar; it starts with {start!r}"
            raise DownloadError(what, code="not-an-archive", remedy=BY_HAND)
        fetched.replace(archive)
    except OSError as error:
        remedy = "make room or run again, or set WILDBENCH_CACHE to another place"
        raise OutputError(f"{archive}: {error.strerror or error}", code="not-written", remedy=remedy) from error
    return True


def check_trusted(archive: Path, record: Path) -> str:
    """Compare an archive with the one that was used first, whose hash is in `record`, and return its SHA-256."""
    own = sha256_of(archive)
    trusted = read_json(record).get("sha256") if record.is_file() else own
    if own != trusted:
        what = f"{archive} is not the archive that was used first: its SHA-256 is {own}, that of the first {trusted}"
        remedy = f"delete the archive and get it again, or delete {record} to trust the new one"
        raise DatasetError(what, code="another-archive", remedy=remedy)
    return own


def _trust(archive: Path, sha256: str, record: Path) -> None:
    """Write down what was used first; later archives have to be the same."""
    if not record.is_file():
        first = {"sha256": sha256, "bytes": archive.stat().st_size, "first_used": datetime.now(UTC).date().isoformat()}
        write_atomically(record, f"{json.dumps(first, indent=1)}\n".encode())


def _download(url: str, path: Path, progress: Progress) -> None:
    """Try again as long as each try adds something; where one adds nothing to a `.part`, the server cannot resume."""
    with needs("parks"):
        import gdown
        import requests

    def show(done: int, total: int | None) -> None:
        if total is not None:
            progress("download (kB)", -(-done // 1000), -(-total // 1000))

    download = partial(gdown.download, quiet=True, use_cookies=False, resume=True, progress=show, timeout=_TIMEOUT)
    for trial in range(1, _TRIES + 1):
        parts = _parts(path)
        before = parts[-1].stat().st_size if parts else 0
        for part in parts[:-1]:
            part.unlink()  # gdown does not choose
        try:
            download(url=url, output=str(path))
            return
        except gdown.exceptions.FileURLRetrievalError as error:
            what = f"{url}: Google Drive refuses it (over its quota, or no longer shared)"
            raise DownloadError(what, code="refused", remedy=BY_HAND) from error
        except requests.HTTPError as error:
            answer = error.response
            what = f"{url}: the server says {error if answer is None else f'{answer.status_code} {answer.reason}'}"
            raise DownloadError(what, code="refused", remedy=BY_HAND) from error
        except (gdown.exceptions.DownloadError, requests.RequestException) as error:
            parts = _parts(path)
            after = parts[-1].stat().st_size if parts else 0
            cannot_resume = after == before > 0 and isinstance(error, gdown.exceptions.DownloadError)
            if cannot_resume:
                parts[-1].unlink()
            if trial == _TRIES or not (cannot_resume or after > before):
                raise _broken_off(url, after) from error


def _broken_off(url: str, done: int) -> DownloadError:
    if done:
        remedy = "run the command again to go on"
        return DownloadError(f"{url}: it broke after {done:,} bytes", code="interrupted", remedy=remedy)
    remedy = f"look at address and network, or {BY_HAND}"
    return DownloadError(f"{url}: no connection", code="no-connection", remedy=remedy)


def _parts(path: Path) -> list[Path]:
    """What gdown keeps of interrupted downloads, the largest last."""
    return sorted(path.parent.glob(f"{path.name}*.part"), key=lambda part: part.stat().st_size)
