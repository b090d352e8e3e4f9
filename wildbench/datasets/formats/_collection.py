"""A data set on its way in or out: COCO data of all parts, where its pictures are, and the folder that holds it."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.coco import canonical_json, normalised, read_coco, read_json
from wildbench.datasets.formats._picture_files import part_of
from wildbench.datasets.label_checks import Finding, validate
from wildbench.datasets.registry import images_near
from wildbench.errors import DatasetError, OutputError
from wildbench.files import check_writable
from wildbench.progress import Progress

ALL = "all"
"""Name of the file that holds all parts."""


@dataclass(frozen=True)
class Collection:
    """Images and boxes of all parts together.

    Attributes:
        form: "voc", "yolo" or "coco".
        coco: COCO detection data of all parts.
        parts: Image ids by part, such as train and val; empty where nobody divided it.
        files: Where the picture of each `file_name` lies.
        findings: What was wrong; an error where something was left out, a warning where something was changed.
        notes: What was read in another way than it stands, or not read, with counts; no mistake of anybody.
        read: Boxes that stand in the label files, by category as we spell it, before any were left out.
    """

    form: str
    coco: dict[str, Any]
    parts: dict[str, list[int]]
    files: dict[str, Path]
    findings: list[Finding] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)

    def boxes_of(self) -> dict[int, list[dict[str, Any]]]:
        """Annotations by image id, in file order; every image has a list."""
        boxes: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self.coco["images"]}
        for annotation in self.coco["annotations"]:
            boxes[annotation["image_id"]].append(annotation)
        return boxes

    def boxes_by_category(self) -> dict[str, int]:
        """Boxes of each category, in the order of ids."""
        counts = Counter(annotation["category_id"] for annotation in self.coco["annotations"])
        return {category["name"]: counts[category["id"]] for category in self.coco["categories"]}


def mark_partial(coco: Mapping[str, Any], lost: Mapping[int, Iterable[str | None]]) -> None:
    """Write `annotated_categories` into images that have lost boxes, so that they are not scored for what was lost.

    Args:
        coco: COCO data; its images are changed.
        lost: By image id, the categories of its lost boxes; None for a box whose category is not known.

    Example:
        >>> coco = {"images": [{"id": 1}, {"id": 2}], "categories": [{"name": "lion"}, {"name": "zebra"}]}
        >>> mark_partial(coco, {1: {"lion"}, 2: {None}})
        >>> coco["images"]
        [{'id': 1, 'annotated_categories': ['zebra']}, {'id': 2, 'annotated_categories': []}]
    """
    names = [category["name"] for category in coco["categories"]]
    for image in coco["images"]:
        missing = set(lost.get(image["id"], ()))
        if missing:
            image["annotated_categories"] = [name for name in names if name not in missing and None not in missing]


def is_coco(path: Path) -> bool:
    """Whether a file is JSON with COCO's sections."""
    try:
        coco = read_json(path)
    except DatasetError:
        return False
    return isinstance(coco, dict) and all(isinstance(coco.get(key), list) for key in ("images", "annotations"))


def read_coco_folder(folder: Path, files: Sequence[PurePosixPath], progress: Progress) -> Collection:
    """Read every COCO file below a folder; entries stay as they are.

    `all.json` holds every part and the other files then say which images are of which part; without it the files are
    put together, and renumbered where their ids collide. A single file is no part, unless its name says so.

    Args:
        folder: The folder.
        files: Every file below it.
        progress: Called with the files read.

    Raises:
        DatasetError: A file that validation refuses, images that are nowhere, or files with different categories.
    """
    paths = [folder / path for path in files if path.suffix.casefold() == ".json" and is_coco(folder / path)]
    if not paths:
        remedy = "name the folder that holds labels and pictures"
        raise DatasetError("no COCO file in it", code="no-labels", remedy=remedy)
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
        if len(read) > 1 or whole is not coco or part_of(name)
    }
    collection = Collection("coco", whole, parts, places, findings)
    collection.read.update(collection.boxes_by_category())
    return collection


def _together(cocos: list[dict[str, Any]], findings: list[Finding]) -> dict[str, Any]:
    """One COCO dict of several, renumbered where ids collide."""
    first = cocos[0]
    if len(cocos) == 1:
        return first
    if any(coco["categories"] != first["categories"] for coco in cocos):
        what = "the files have different categories"
        raise DatasetError(what, code="categories-differ", remedy="import one of them at a time")
    images = [image for coco in cocos for image in coco["images"]]
    annotations = [annotation for coco in cocos for annotation in coco["annotations"]]
    if all(len({entry["id"] for entry in entries}) == len(entries) for entries in (images, annotations)):
        return {**first, "images": images, "annotations": annotations}
    message = f"ids of {len(cocos)} files collide; images and boxes are numbered anew"
    findings.append(Finding("ids-renumbered", "all files", message, "give each image its own id", "warning"))
    images, annotations = [], []
    for coco in cocos:
        new = {image["id"]: len(images) + index for index, image in enumerate(coco["images"], start=1)}
        images += [{**image, "id": new[image["id"]]} for image in coco["images"]]
        for one in coco["annotations"]:
            annotations.append({**one, "id": len(annotations) + 1, "image_id": new[one["image_id"]]})
    return {**first, "images": images, "annotations": annotations}


def write_coco_folder(collection: Collection, out: Path, progress: Progress) -> None:
    """Write `annotations/all.json`, a file a part, and `images/` into an empty folder."""
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    for name, coco in [(ALL, collection.coco), *parts_of(collection)]:
        (out / "annotations" / f"{name}.json").write_text(canonical_json(coco), encoding="utf-8")
    copy_images(collection, out / "images", progress)


def parts_of(collection: Collection) -> Iterator[tuple[str, dict[str, Any]]]:
    """COCO data of each part; images and boxes keep their ids and their order."""
    for part, ids in collection.parts.items():
        kept = set(ids)
        images = [image for image in collection.coco["images"] if image["id"] in kept]
        annotations = [one for one in collection.coco["annotations"] if one["image_id"] in kept]
        yield part, {**collection.coco, "images": images, "annotations": annotations}


def copy_images(collection: Collection, folder: Path, progress: Progress) -> None:
    """Copy every image to its `file_name` below a folder.

    Raises:
        DatasetError: A name that leads out of the folder.
    """
    images = collection.coco["images"]
    for done, image in enumerate(images, start=1):
        name = PurePosixPath(image["file_name"])
        if name.is_absolute() or ".." in name.parts:
            what = f"the image {str(name)!r} lies outside its folder"
            raise DatasetError(what, code="image-outside", remedy="put all in one folder")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(collection.files[image["file_name"]], folder / name)
        progress("copy images", done, len(images))


class NewFolder:
    """A folder that appears whole or not at all: made beside its place, and renamed when the block ends well.

    Args:
        place: Where it will be. An empty folder there is taken; another is not, unless it may be replaced.
        replace: Whether what is there may be replaced.

    Raises:
        OutputError: The place is taken, or cannot be written.

    Example:
        >>> place = Path(tempfile.mkdtemp()) / "new"
        >>> with NewFolder(place) as folder:
        ...     _ = (folder / "a.txt").write_text("whole")
        >>> [path.name for path in place.iterdir()]
        ['a.txt']
    """

    def __init__(self, place: Path, *, replace: bool = False) -> None:
        self.place, self.replace = normalised(Path(place)), replace
        if self.place.exists() and not self.replace and (not self.place.is_dir() or any(self.place.iterdir())):
            raise OutputError(f"{place} exists already", code="exists", remedy="name a new or an empty folder")
        if self.place == Path.cwd():
            raise OutputError(f"{place} is the current folder", code="current-folder", remedy="name a new folder in it")
        check_writable(self.place / "x")

    def __enter__(self) -> Path:
        self.place.parent.mkdir(parents=True, exist_ok=True)
        self.work = tempfile.TemporaryDirectory(dir=self.place.parent, prefix=f".{self.place.name}-")
        new = Path(self.work.name, "new")
        new.mkdir()
        return new

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        with self.work as work:
            try:
                if error is None:
                    self._put(Path(work))
            except OSError as problem:
                error = problem
        if isinstance(error, OSError):
            where, why = error.filename or self.place, error.strerror or error
            remedy = "see that it can be read and written, and make room"
            raise OutputError(f"{where}: {why}", code="not-written", remedy=remedy) from error

    def _put(self, work: Path) -> None:
        """Exchange what is there for what was made; where that fails, what was there comes back."""
        was_there = self.place.exists()
        if was_there:
            self.place.rename(work / "old")
        try:
            (work / "new").rename(self.place)
        except OSError:
            if was_there:
                (work / "old").rename(self.place)
            raise
