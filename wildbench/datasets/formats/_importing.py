"""A zip, tar or folder of labelled photographs, in VOC, YOLO or COCO form, made one folder of COCO files."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wildbench.categories import PAPER_COUNTS
from wildbench.datasets.coco import read_json
from wildbench.datasets.formats._archives import is_archive, unpacked
from wildbench.datasets.formats._coco_folder import NewFolder, is_coco, read_coco_folder, write_coco_folder
from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._picture_files import SUFFIXES, files_below
from wildbench.datasets.formats._voc import read_voc
from wildbench.datasets.formats._yolo import CONFIGS, read_yolo
from wildbench.errors import DatasetError
from wildbench.files import sha256_of
from wildbench.progress import Progress, silent
from wildbench.text import counted

FORMS = {"voc": read_voc, "yolo": read_yolo, "coco": read_coco_folder}
PUBLISHED = {"text": 1309, "table": sum(PAPER_COUNTS.values())}
"""Instances as the paper's text and as its table count them."""


@dataclass(frozen=True)
class ImportReport:
    """What an import found.

    Attributes:
        source: Name of the archive or folder.
        sha256: Of the archive; None for a folder.
        collection: What was read.
        unused: Files that are neither pictures nor labels nor lists.
    """

    source: str
    sha256: str | None
    collection: Collection
    unused: list[str]

    @property
    def boxes(self) -> int:
        """Boxes of the paper's thirteen categories."""
        counts = self.collection.boxes_by_category()
        return sum(counts.get(name, 0) for name in PAPER_COUNTS)

    @property
    def holds(self) -> str:
        """Which of the paper's totals the boxes have that are kept, else all in the label files; else "neither"."""
        if self.boxes in PUBLISHED.values():
            return str(self.boxes)
        read = sum(self.collection.read[name] for name in PAPER_COUNTS)
        return f"{read} (in the label files; {self.boxes} are kept)" if read in PUBLISHED.values() else "neither"

    @property
    def published(self) -> bool:
        """Whether one of the paper's totals holds: the only sign of the authors' data set, whose hash nobody gives."""
        return self.holds != "neither"


def import_dataset(
    source: Path,
    out: Path,
    *,
    form: str | None = None,
    strict: bool = False,
    replace: bool = False,
    finish: Callable[[ImportReport, Path], None] | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Read a data set and write `annotations/all.json`, a file a part, `images/` and `import.json`.

    Args:
        source: A zip, a tar (plain, gz, bz2, xz) or a folder.
        out: Folder to write; it appears whole or not at all.
        form: "voc", "yolo" or "coco"; by default found by the files.
        strict: Refuse a data set in which anything is found.
        replace: Whether `out` may be replaced.
        finish: Called with the report and the folder before it takes its name.
        progress: Called during long work.

    Raises:
        DatasetError: No labels in a known form, a hostile or damaged archive, or findings where `strict`.
        OutputError: `out` is taken or cannot be written.
    """
    with NewFolder(out, replace=replace) as new, opened(source, new.parent, progress) as folder:
        report = read(source, folder, form, progress)
        if strict and report.collection.findings:
            raise StrictFindings(report)
        write_coco_folder(report.collection, new, progress)
        (new / "import.json").write_text(_record(report), encoding="utf-8")
        if finish is not None:
            finish(report, new)
    return report


class StrictFindings(DatasetError):
    """Something was found, and nothing may be; carries the report."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report
        super().__init__(
            f"{report.source}: {counted(len(report.collection.findings), 'finding')}, and --strict allows none",
            remedy="nothing is written: repair the source, or import it without --strict",
        )


@contextlib.contextmanager
def opened(source: Path, beside: Path, progress: Progress) -> Iterator[Path]:
    """Yield the folder of a source: itself, or where it is unpacked for the time of the block.

    Raises:
        DatasetError: No such file, or neither archive nor folder.
    """
    if source.is_dir():
        yield source
    elif not source.is_file():
        raise DatasetError(f"{source}: no such file or folder", remedy="name a zip, a tar or a folder")
    elif not is_archive(source):
        raise DatasetError(f"{source}: neither a folder nor a zip or tar", remedy="name a zip, a tar or a folder")
    else:
        with unpacked(source, beside, progress=progress) as folder:
            yield folder


def read(source: Path, folder: Path, form: str | None, progress: Progress) -> ImportReport:
    """Read a folder in the form it has; `source` is how to call it."""
    files = files_below(folder)
    try:
        form = form or _form(folder, files)
        if form not in FORMS:
            raise DatasetError(f"no form {form!r}", remedy=f"name one of: {', '.join(FORMS)}")
        collection = FORMS[form](folder, files, progress)
        if not collection.coco["images"]:
            raise DatasetError("no picture with a label", remedy="see that labels and pictures have the same names")
    except DatasetError as error:
        what, remedy = (text.replace(f"{folder}/", "") for text in (error.what, error.remedy))
        raise DatasetError(f"{source}: {what}", remedy=remedy) from error
    read_suffixes = {"voc": {".xml", ".txt"}, "yolo": {".txt", ".yaml", ".yml"}, "coco": {".json"}}[form] | SUFFIXES
    unused = [str(path) for path in files if path.suffix.casefold() not in read_suffixes]
    sha256 = None if source.is_dir() else sha256_of(source)
    return ImportReport(source.name, sha256, collection, unused)


def _form(folder: Path, files: list[PurePosixPath]) -> str:
    """Which form the labels have.

    Raises:
        DatasetError: None, or more than one.
    """
    suffixes = Counter(path.suffix.casefold() for path in files)
    names = {path.name.casefold() for path in files}
    forms = {
        "voc": suffixes[".xml"] > 0,
        "yolo": any(name in names for name in CONFIGS),
        "coco": any(is_coco(folder / path) for path in files if path.suffix.casefold() == ".json"),
    }
    found = [form for form, there in forms.items() if there]
    if len(found) == 1:
        return found[0]
    if found:
        raise DatasetError(f"labels in the forms {' and '.join(found)}", remedy="say by --form which to take")
    for path in files:
        if path.suffix.casefold() == ".json":
            read_json(folder / path)  # says what is wrong with it
    inner = [str(path) for path in files if is_archive(folder / path)]
    if inner:
        raise DatasetError(f"no labels, but an archive: {inner[0]}", remedy="unpack it by hand and import that")
    raise DatasetError("no VOC, YOLO or COCO labels in it", remedy="name the folder that holds labels and pictures")


def _record(report: ImportReport) -> str:
    """What was imported, beside it: its hash, its counts and every finding."""
    findings = [
        {"code": one.code, "severity": one.severity, "place": one.place, "message": one.message}
        for one in report.collection.findings
    ]
    record = {
        "source": report.source,
        "sha256": report.sha256,
        "form": report.collection.form,
        "boxes": report.collection.boxes_by_category(),
        "holds": report.holds,
        "findings": findings,
        "notes": dict(sorted(report.collection.notes.items())),
    }
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
