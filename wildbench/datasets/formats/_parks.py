"""The authors' photographs (arXiv:2102.02896): fetched or handed over, and made the data set `parks` in the cache."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from wildbench.categories import CATEGORIES
from wildbench.datasets.coco import Dataset
from wildbench.datasets.formats._download import check_trusted, fetch, trust
from wildbench.datasets.formats._importing import ImportReport, StrictFindings, import_dataset
from wildbench.datasets.registry import PARKS, parks_folder
from wildbench.datasets.splits import make_split, stratified_split, write_split
from wildbench.errors import DatasetError, OutputError
from wildbench.progress import Progress, silent
from wildbench.resources import cache_dir

URL = "https://drive.google.com/uc?id=141iHvqb_rD_WwtIhespCSA9maHzQCbb2"
"""Where the authors publish their data set."""


def archive_path() -> Path:
    """Where the fetched archive lies."""
    return cache_dir() / "parks-download" / "archive"


def record_path() -> Path:
    """The small file beside it that says which archive was used first."""
    return cache_dir() / "parks-download" / "archive.trusted.json"


def fetch_parks(url: str = URL, *, strict: bool = False, progress: Progress = silent) -> ImportReport:
    """Download the archive, unless it is there, and import it.

    Args:
        url: The authors' address, or a mirror.
        strict: Refuse an archive in which anything is found.
        progress: Called during long work.

    Raises:
        DownloadError: It cannot be downloaded.
        DatasetError: It is another archive than before, or `import_parks` refuses it.
        OutputError: The cache cannot be written.
    """
    archive = archive_path()
    fetch(url, archive, progress=progress)
    try:
        return import_parks(archive, strict=strict, replace=True, fetched=True, progress=progress)
    except StrictFindings:
        raise
    except DatasetError as error:
        remedy = f"{error.remedy}; while {archive} is there, it is not fetched again"
        raise DatasetError(error.what, remedy=remedy) from error


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
    where it was fetched from its address or holds one of the totals that the paper gives. A folder has no hash.

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
    if parks_folder().exists() and not replace:
        remedy = "add --replace to put this in its place, or name a folder for another data set: --out DIR"
        raise OutputError(f"{PARKS} is there already, in {parks_folder()}", remedy=remedy)
    sha256 = check_trusted(source, record_path()) if source.is_file() else None
    finish = partial(write_splits, progress=progress)
    report = import_dataset(
        source, parks_folder(), form=form, strict=strict, replace=True, finish=finish, progress=progress
    )
    if sha256 is not None and (fetched or report.published):
        trust(source, sha256, record_path())
    return report


def write_splits(report: ImportReport, folder: Path, progress: Progress = silent) -> None:
    """Write the split files `wildbench-v1` and, where the authors have lists, `authors`.

    Raises:
        DatasetError: It holds none of the paper's categories.
    """
    counts = report.collection.boxes_by_category()
    if not any(counts.get(name) for name in CATEGORIES):
        raise DatasetError(
            f"{report.source}: no box of the paper's categories, so this is not parks",
            remedy="name a folder for another data set: wildbench data import PATH --out DIR",
        )
    coco, parts = report.collection.coco, report.collection.parts
    if parts:
        method = "the lists of images that its authors publish with it"
        split = make_split(coco, parts, name="authors", dataset=PARKS, method=method)
        write_split(split, folder / "splits" / "authors.json")
    whole = Dataset(PARKS, None, coco, folder / "images")
    try:
        split = stratified_split(whole, progress=progress)
    except DatasetError as error:
        raise DatasetError(error.what, remedy=f"{error.remedy}; parks is split on import, --out DIR is not") from error
    write_split(split, folder / "splits" / "wildbench-v1.json")
