"""Photographs with labels in VOC, YOLO or COCO form, made one folder of COCO files, and written in one of them again.

hotcoco exports too, but rounds: its VOC boxes are whole pixels and its YOLO shares have six digits; it knows no split
lists and writes no pictures. What is written here reads back as the same numbers, or is reported as lost.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wildbench.datasets.coco import Dataset, read_json
from wildbench.datasets.formats import Collection, Folder, Form, NewFolder, copy_images, write_coco_folder
from wildbench.datasets.image_files import SUFFIXES, normalised
from wildbench.datasets.splits import pool
from wildbench.datasets.transfer._archives import is_archive, unpacked
from wildbench.errors import DatasetError
from wildbench.files import sha256_of
from wildbench.plugins import label_formats
from wildbench.progress import Progress, silent
from wildbench.text import counted


@dataclass(frozen=True)
class Published:
    """What the authors of a data set say it holds: boxes by category, and totals by where they are stated."""

    counts: dict[str, int]
    totals: dict[str, int]


@dataclass(frozen=True)
class ImportReport:
    """What an import read.

    Attributes:
        source: Name of the archive or folder.
        sha256: Of the archive; None for a folder.
        collection: Images, boxes and findings.
        unused: Files that are neither pictures nor labels nor lists.
        published: What the data set should hold, where that is published.
        remarks: What else the importer should know.
    """

    source: str
    sha256: str | None
    collection: Collection
    unused: list[str]
    published: Published | None = None
    remarks: tuple[str, ...] = ()

    @property
    def boxes(self) -> int:
        """Boxes of the published categories; of all, where none are published."""
        counts = self.collection.boxes_by_category()
        return sum(counts.get(name, 0) for name in (self.published.counts if self.published else counts))

    @property
    def holds(self) -> str | None:
        """Which published total the kept boxes have, else all boxes in the label files; else "neither"."""
        if self.published is None:
            return None
        totals = self.published.totals.values()
        if self.boxes in totals:
            return str(self.boxes)
        read = sum(self.collection.read[name] for name in self.published.counts)
        return f"{read} (in the label files; {self.boxes} are kept)" if read in totals else "neither"


def import_dataset(
    source: Path,
    out: Path,
    *,
    form: str | None = None,
    images: Path | None = None,
    count_ignored: bool = False,
    strict: bool = False,
    replace: bool = False,
    published: Published | None = None,
    finish: Callable[[ImportReport, Path], None] | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Read a data set and write `annotations/all.json`, one file for each part, `images/` and `import.json`.

    Args:
        source: A zip, a tar (plain, gz, bz2, xz) or a folder.
        out: Folder to write; it appears whole or not at all.
        form: A registered form of labels, such as "voc"; by default found by the files.
        images: Folder of the pictures of COCO files, where they are in none of the usual ones.
        count_ignored: Count boxes that VOC calls difficult, or a file says to ignore; by default they are crowds.
        strict: Refuse a data set in which anything is found.
        replace: Whether `out` may be replaced.
        published: What it should hold; its categories are those of VOC labels that come without a list of names.
        finish: Called with the report and the folder before it takes its name.
        progress: Called during long work.

    Raises:
        DatasetError: No labels in a known form, a hostile or damaged archive, or findings where `strict`.
        OutputError: `out` is taken or cannot be written.
    """
    known = tuple(published.counts) if published else ()
    with NewFolder(out, replace=replace) as new, _opened(source, new.parent, progress) as place:
        folder = Folder(place, images, known, count_ignored=count_ignored)  # held until its pictures are copied
        collection, unused = _read(source, folder, form, progress)
        sha256 = None if source.is_dir() else sha256_of(source)
        report = ImportReport(_name_of(source), sha256, collection, unused, published)
        if strict and report.collection.findings:
            raise StrictFindings(report)
        write_coco_folder(report.collection, new, progress)
        (new / "import.json").write_text(_record(report), encoding="utf-8")
        if finish is not None:
            finish(report, new)
    return report


class StrictFindings(DatasetError):
    """Something was found where nothing may be; carries the report."""

    def __init__(self, report: ImportReport) -> None:
        self.report = report
        what = f"{report.source}: {counted(len(report.collection.findings), 'finding')}, and --strict allows none"
        remedy = "nothing is written: repair the source, or import it without --strict"
        super().__init__(what, code="strict-findings", remedy=remedy)


@contextlib.contextmanager
def _opened(source: Path, beside: Path, progress: Progress) -> Iterator[Path]:
    """Yield the folder of a source: itself, or where it is unpacked for the time of the block."""
    remedy = "name a zip, a tar or a folder"
    if source.is_dir():
        yield source
    elif not source.is_file():
        raise DatasetError(f"{source}: no such file or folder", code="no-such-file", remedy=remedy)
    elif not is_archive(source):
        raise DatasetError(f"{source}: neither a folder nor a zip or tar", code="no-archive", remedy=remedy)
    else:
        with unpacked(source, beside, progress=progress) as folder:
            yield folder


def _read(source: Path, folder: Folder, form: str | None, progress: Progress) -> tuple[Collection, list[str]]:
    """Read a folder in the form it has, with the files that are of no use; `source` is how to call it."""
    try:
        chosen = _form(folder) if form is None else _named_form(form)
        collection = chosen.read(folder, progress)
        if not collection.coco["images"]:
            remedy = "see that labels and pictures have the same names"
            raise DatasetError("no picture with a label", code="nothing-labelled", remedy=remedy)
    except DatasetError as error:
        what, remedy = (text.replace(f"{folder.path}/", "") for text in (error.what, error.remedy))
        raise DatasetError(f"{source}: {what}", code=error.code.partition("/")[2], remedy=remedy) from error
    used = chosen.suffixes | SUFFIXES
    return collection, [str(path) for path in folder.files if path.suffix.casefold() not in used]


def _named_form(name: str) -> Form:
    if name not in label_formats.names():
        remedy = f"name one of: {', '.join(label_formats.names())}"
        raise DatasetError(f"no form {name!r}", code="no-such-form", remedy=remedy)
    form: Form = label_formats.get(name)
    return form


def _form(folder: Folder) -> Form:
    """Which form the labels have: one and only one."""
    present = [form for form in label_formats.all().values() if form.knows(folder)]
    if len(present) == 1:
        found: Form = present[0]
        return found
    if present:
        what = f"labels in the forms {' and '.join(form.name for form in present)}"
        raise DatasetError(what, code="several-forms", remedy="choose one by --form")
    for path in folder.named(".json"):
        read_json(folder.path / path)  # says what is wrong with it
    inner = [str(path) for path in folder.files if is_archive(folder.path / path)]
    if inner:
        what = f"no labels, but an archive: {inner[0]}"
        raise DatasetError(what, code="nested-archive", remedy="unpack it by hand and import that")
    titles = ", ".join(form.title for form in label_formats.all().values())
    what = f"no labels in a form that is read ({titles})"
    raise DatasetError(what, code="no-labels", remedy="name the folder that holds labels and pictures")


def _record(report: ImportReport) -> str:
    """What was imported, beside it: its hash, its counts and every finding."""
    keys = ("code", "severity", "place", "message")
    record = {
        "source": report.source,
        "sha256": report.sha256,
        "form": report.collection.form,
        "boxes": report.collection.boxes_by_category(),
        **({"holds": report.holds} if report.published else {}),
        "findings": [{key: getattr(one, key) for key in keys} for one in report.collection.findings],
        "notes": dict(sorted(report.collection.notes.items())),
    }
    return json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


Lost = Counter[str]
"""What a form cannot hold, with the number of entries that have it."""


def export_dataset(parts: list[Dataset], form: str, out: Path, *, progress: Progress = silent) -> Lost:
    """Write a data set with its pictures.

    Args:
        parts: Its splits, or the one data set that a file is.
        form: "voc", "yolo" or "coco".
        out: Folder to write; it appears whole or not at all.
        progress: Called during long work.

    Returns:
        What the form cannot hold; empty where importing the folder gives the same COCO data.

    Raises:
        DatasetError: No such form, splits that have ids in common, or images that the form cannot tell apart.
        OutputError: `out` is taken or cannot be written.
    """
    target = _written_form(form)
    ids = {part.split: [image["id"] for image in part.images] for part in parts if part.split is not None}
    files = {image["file_name"]: part.image_path(image) for part in parts for image in part.images}
    collection = Collection("coco", pool(parts), ids, files)
    lost = Counter(set().union(*(part.coco for part in parts)) - collection.coco.keys())
    with NewFolder(out) as new:
        if target.write is None:
            write_coco_folder(collection, new, progress)
            return lost
        _check_label_files(files)
        copy_images(collection, new / "images", progress)
        lost += _lost(collection, target)
        for name, text in target.write(collection, lost):
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    return +lost


def _written_form(name: str) -> Form:
    written = [one.name for one in label_formats.all().values() if one.write or one.name == "coco"]
    if name not in written:
        remedy = f"name one of: {', '.join(written)}"
        raise DatasetError(f"no form {name!r} that is written", code="no-such-form", remedy=remedy)
    return _named_form(name)


def _name_of(source: Path) -> str:
    """The name of an archive or a folder, also where it is given as "."."""
    return normalised(source).name


def _check_label_files(names: Iterable[str]) -> None:
    """Refuse images that differ in suffix or case only: their label files would be one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(str(PurePosixPath(name).with_suffix("")).casefold(), name)
        if other != name:
            what = f"{other} and {name} would share a label file"
            raise DatasetError(what, code="label-file-shared", remedy="rename one, or take coco")


def _lost(collection: Collection, form: Form) -> Lost:
    """Count what neither form holds, and the fields of boxes that only VOC does."""
    coco, boxes = collection.coco, collection.boxes_of()
    held = {
        "images": {"id", "file_name", "width", "height"},
        "categories": {"id", "name"},
        "annotations": {"id", "image_id", "category_id", "bbox", "area", "iscrowd", *form.fields},
    }
    lost = Counter(coco.keys() - held.keys())
    for section, keys in held.items():
        lost.update(f"{section}: {key}" for entry in coco[section] for key in entry.keys() - keys)
    unlike = sum(one["area"] != one["bbox"][2] * one["bbox"][3] for one in coco["annotations"])
    lost["annotations: area (width × height is taken)"] = unlike
    ordered = sorted(coco["images"], key=lambda image: str(image["file_name"]))
    orders = {
        "images": [image["id"] for image in ordered],
        "categories": list(collection.names),
        "annotations": [one["id"] for image in ordered for one in boxes[image["id"]]],
    }
    for section, ids in orders.items():
        if ids != list(range(1, len(ids) + 1)):
            lost[f"{section}: id (renumbered)"] = len(ids)
    return lost
