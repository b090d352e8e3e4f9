"""Photographs with labels in VOC, YOLO or COCO form, made one folder of COCO files, and written in one of them again.

hotcoco exports too, but rounds: its VOC boxes are whole pixels and its YOLO shares have six digits; it knows no split
lists and writes no pictures. What is written here reads back as the same numbers, or is reported as lost.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.coco import Dataset, images_near, read_coco, read_json
from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._archives import is_archive, unpacked
from wildbench.datasets.formats._collection import ALL, Collection, NewFolder, copy_images, write_coco_folder
from wildbench.datasets.formats._picture_files import SUFFIXES, files_below, part_of
from wildbench.datasets.formats._voc import FIELDS, read_voc, voc_files
from wildbench.datasets.formats._yolo import CONFIGS, read_yolo, yolo_files
from wildbench.datasets.label_checks import validate
from wildbench.datasets.splits import pool
from wildbench.errors import DatasetError
from wildbench.files import sha256_of
from wildbench.progress import Progress, silent
from wildbench.text import counted

_SUFFIXES = {"voc": {".xml", ".txt"}, "yolo": {".txt", ".yaml", ".yml"}, "coco": {".json"}}
"""Forms, and the suffixes of the files that each reads besides pictures."""

_NAME_FOLDER = "name the folder that holds labels and pictures"


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
        form: "voc", "yolo" or "coco"; by default found by the files.
        strict: Refuse a data set in which anything is found.
        replace: Whether `out` may be replaced.
        published: What it should hold; its categories are those of VOC labels that come without a list of names.
        finish: Called with the report and the folder before it takes its name.
        progress: Called during long work.

    Raises:
        DatasetError: No labels in a known form, a hostile or damaged archive, or findings where `strict`.
        OutputError: `out` is taken or cannot be written.
    """
    with NewFolder(out, replace=replace) as new, _opened(source, new.parent, progress) as folder:
        report = _read(source, folder, form, published, progress)
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


def _read(
    source: Path, folder: Path, form: str | None, published: Published | None, progress: Progress
) -> ImportReport:
    """Read a folder in the form it has; `source` is how to call it."""
    files = files_below(folder)
    try:
        form = form or _form(folder, files)
        if form == "voc":
            collection = read_voc(folder, files, progress, tuple(published.counts) if published else ())
        elif form == "yolo":
            collection = read_yolo(folder, files, progress)
        elif form == "coco":
            collection = _read_coco(folder, files, progress)
        else:
            raise DatasetError(f"no form {form!r}", code="no-such-form", remedy=f"name one of: {', '.join(_SUFFIXES)}")
        if not collection.coco["images"]:
            remedy = "see that labels and pictures have the same names"
            raise DatasetError("no picture with a label", code="nothing-labelled", remedy=remedy)
    except DatasetError as error:
        what, remedy = (text.replace(f"{folder}/", "") for text in (error.what, error.remedy))
        raise DatasetError(f"{source}: {what}", code=error.code.partition("/")[2], remedy=remedy) from error
    suffixes = _SUFFIXES[form] | SUFFIXES
    unused = [str(path) for path in files if path.suffix.casefold() not in suffixes]
    sha256 = None if source.is_dir() else sha256_of(source)
    return ImportReport(source.name, sha256, collection, unused, published)


def _form(folder: Path, files: list[PurePosixPath]) -> str:
    """Which form the labels have: one and only one."""
    suffixes = Counter(path.suffix.casefold() for path in files)
    names = {path.name.casefold() for path in files}
    forms = {
        "voc": suffixes[".xml"] > 0,
        "yolo": any(name in names for name in CONFIGS),
        "coco": any(_is_coco(folder / path) for path in files if path.suffix.casefold() == ".json"),
    }
    present = [form for form, there in forms.items() if there]
    if len(present) == 1:
        return present[0]
    if present:
        what = f"labels in the forms {' and '.join(present)}"
        raise DatasetError(what, code="several-forms", remedy="choose one by --form")
    for path in files:
        if path.suffix.casefold() == ".json":
            read_json(folder / path)  # says what is wrong with it
    inner = [str(path) for path in files if is_archive(folder / path)]
    if inner:
        what = f"no labels, but an archive: {inner[0]}"
        raise DatasetError(what, code="nested-archive", remedy="unpack it by hand and import that")
    raise DatasetError("no VOC, YOLO or COCO labels in it", code="no-labels", remedy=_NAME_FOLDER)


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


def _is_coco(path: Path) -> bool:
    """Whether a file is JSON with COCO's sections."""
    try:
        coco = read_json(path)
    except DatasetError:
        return False
    return isinstance(coco, dict) and all(isinstance(coco.get(key), list) for key in ("images", "annotations"))


def _read_coco(folder: Path, files: Sequence[PurePosixPath], progress: Progress) -> Collection:
    """Read every COCO file below a folder; entries stay as they are.

    `all.json` holds every part and the other files then say which images are of which part; without it the files are
    put together, and renumbered where their ids collide. A single file is not a part, unless its name says so.
    """
    paths = [folder / path for path in files if path.suffix.casefold() == ".json" and _is_coco(folder / path)]
    if not paths:
        raise DatasetError("no COCO file in it", code="no-labels", remedy=_NAME_FOLDER)
    findings: list[Finding] = []
    read: dict[str, dict[str, Any]] = {}
    places: dict[str, Path] = {}
    for done, path in enumerate(paths, start=1):
        data = read_coco(path, images_near(path))
        name = ALL if path.stem == ALL else part_of(path.stem) or path.stem
        if name in read:
            what = f"{path}: a second file for {name}"
            raise DatasetError(what, code="part-repeated", remedy="import one of them at a time")
        read[name] = data.coco
        findings += validate(read_json(path))  # what read_coco let pass: warnings
        places |= {image["file_name"]: data.image_path(image) for image in data.images}
        progress("read COCO files", done, len(paths))
    whole = read.pop(ALL, None) or _together(list(read.values()), findings)
    ids = {image["file_name"]: image["id"] for image in whole["images"]}
    parts = {
        name: [ids[image["file_name"]] for image in coco["images"] if image["file_name"] in ids]
        for name, coco in read.items()
        if len(paths) > 1 or part_of(name)
    }
    collection = Collection("coco", whole, parts, places, findings)
    collection.read.update(collection.boxes_by_category())
    return collection


def _together(cocos: list[dict[str, Any]], findings: list[Finding]) -> dict[str, Any]:
    """One COCO dict of several, renumbered where ids collide."""
    first = cocos[0]
    if any(coco["categories"] != first["categories"] for coco in cocos):
        what = "the files have different categories"
        raise DatasetError(what, code="categories-differ", remedy="import one of them at a time")
    images = [image for coco in cocos for image in coco["images"]]
    annotations = [annotation for coco in cocos for annotation in coco["annotations"]]
    if any(len({entry["id"] for entry in entries}) < len(entries) for entries in (images, annotations)):
        message = f"ids of {len(cocos)} files collide; images and boxes are renumbered"
        findings.append(Finding("ids-renumbered", "all files", message, "give each image its own id", "warning"))
        images, annotations = [], []
        for coco in cocos:
            new = {image["id"]: len(images) + index for index, image in enumerate(coco["images"], start=1)}
            images += [{**image, "id": new[image["id"]]} for image in coco["images"]]
            for one in coco["annotations"]:
                annotations.append({**one, "id": len(annotations) + 1, "image_id": new[one["image_id"]]})
    return {**first, "images": images, "annotations": annotations}


Lost = Counter[str]
"""What a form cannot hold, with the number of entries that have it."""

_FILES = {"voc": voc_files, "yolo": yolo_files}


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
    if form not in _SUFFIXES:
        raise DatasetError(f"no form {form!r}", code="no-such-form", remedy=f"name one of: {', '.join(_SUFFIXES)}")
    ids = {part.split: [image["id"] for image in part.images] for part in parts if part.split is not None}
    files = {image["file_name"]: part.image_path(image) for part in parts for image in part.images}
    collection = Collection("coco", pool(parts), ids, files)
    lost = Counter(set().union(*(part.coco for part in parts)) - collection.coco.keys())
    with NewFolder(out) as new:
        if form == "coco":
            write_coco_folder(collection, new, progress)
            return lost
        _check_label_files(files)
        copy_images(collection, new / "images", progress)
        lost += _lost(collection, form)
        for name, text in _FILES[form](collection, lost):
            path = new / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    return +lost


def _check_label_files(names: Iterable[str]) -> None:
    """Refuse images that differ in suffix or case only: their label files would be one."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(str(PurePosixPath(name).with_suffix("")).casefold(), name)
        if other != name:
            what = f"{other} and {name} would share a label file"
            raise DatasetError(what, code="label-file-shared", remedy="rename one, or take coco")


def _lost(collection: Collection, form: str) -> Lost:
    """Count what neither form holds, and the fields of boxes that only VOC does."""
    coco, boxes = collection.coco, collection.boxes_of()
    held = {
        "images": {"id", "file_name", "width", "height"},
        "categories": {"id", "name"},
        "annotations": {"id", "image_id", "category_id", "bbox", "area", "iscrowd", *(FIELDS if form == "voc" else ())},
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
