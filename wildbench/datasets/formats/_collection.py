"""A data set on its way in or out: COCO data of all parts, boxes that are exact, and the folder that holds it.

Arithmetic is decimal, so that what a file says as 26.8 stays 26.8, and each repair of a box is reported.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation, localcontext
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.coco import canonical_json, normalised
from wildbench.datasets.label_checks import Finding
from wildbench.errors import DatasetError, OutputError
from wildbench.files import check_writable
from wildbench.progress import Progress

ALL = "all"
"""Name of the file that holds all parts."""

EXACT = Context(prec=60)
"""Digits for sums of coordinates, which have up to ten digits before the point and rarely twenty after it."""

LEFT_OUT = "left out, and its image is not scored for its category"
"""What becomes of a box that cannot be kept: the animal is there, and finding it is not a mistake."""

UNKNOWN_LEFT_OUT = "left out, and its image is not scored"
"""The same where it does not say which animal it is."""

_LARGEST = Decimal(10**9)
_SMALLEST = Decimal("1e-320")
Number = int | float
Box = tuple[Decimal, Decimal, Decimal, Decimal]
"""Left, top, right, bottom from 0, right and bottom exclusive: COCO's x, y, x + width, y + height."""


@dataclass(frozen=True)
class Collection:
    """Images and boxes of all parts together.

    Attributes:
        form: "voc", "yolo" or "coco".
        coco: COCO detection data of all parts.
        parts: Image ids by part, such as train and val; empty where it is not divided.
        files: Where the picture of each `file_name` is.
        findings: What was wrong; an error where something was left out, a warning where something was changed.
        notes: What was read differently from how it is written, or not read, with counts; not mistakes.
        read: Boxes in the label files, by category as we spell it, before any were left out.
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


def number(text: str) -> Decimal:
    """Read a number of a label file.

    Raises:
        ValueError: It is not a number, not finite, or absurd.
    """
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text.strip()[:30]!r} is not a number") from None
    if not value.is_finite() or abs(value) > _LARGEST or (value and abs(value) < _SMALLEST):
        raise ValueError(f"{text.strip()[:30]!r} is not a coordinate")
    return value


def plain(value: Decimal) -> Number:
    """An int where the number is whole, else the nearest float.

    Example:
        >>> plain(Decimal("3.0")), plain(Decimal("26.8"))
        (3, 26.8)
    """
    return int(value) if value == value.to_integral_value() else float(value)


def exact(value: Number) -> Decimal:
    """The shortest decimal that reads back as this number.

    Example:
        >>> exact(26.8)
        Decimal('26.8')
    """
    return Decimal(repr(value))


def repaired(
    box: Box, width: int, height: int, place: str, slack: Decimal = Decimal(0)
) -> tuple[list[Number] | None, list[Finding]]:
    """Clip a box to its image and drop it where nothing is left.

    Example:
        >>> box, findings = repaired((Decimal(4), Decimal(-2), Decimal(12), Decimal(5)), 10, 10, "a.xml")
        >>> box, findings[0].message
        ([4, 0, 6, 5], 'leaves its image of 10 x 10 by 2 pixels; clipped')
    """
    left, top, right, bottom = box
    shown = "[" + ", ".join(f"{float(value):g}" for value in box) + "]"
    if left >= right or top >= bottom:
        return None, [Finding("box-empty", place, f"{shown} has no area; {LEFT_OUT}", "measure the box again")]
    inside = max(left, Decimal(0)), max(top, Decimal(0)), min(right, Decimal(width)), min(bottom, Decimal(height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        message = f"{shown} is wholly outside its image of {width} x {height}; {LEFT_OUT}"
        return None, [Finding("box-off-image", place, message, "measure the box again")]
    findings = []
    amount = max(abs(a - b) for a, b in zip(inside, box, strict=True))
    if amount > slack:
        message = f"leaves its image of {width} x {height} by {float(amount):g} pixels; clipped"
        findings.append(Finding("box-outside", place, message, "check the box and the image's size", "warning"))
    with localcontext(EXACT):
        sides = inside[2] - inside[0], inside[3] - inside[1]
    return [plain(value) for value in (*inside[:2], *sides)], findings


def stored_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Turn a box back.

    Example:
        >>> box = (Decimal(0), Decimal(0), Decimal(2), Decimal(1))
        >>> [int(value) for value in stored_box(box, 30, 20, 6)]  # the top left is stored at the bottom left
        [0, 18, 1, 20]
    """
    left, top, right, bottom = box
    across = (top, bottom) if orientation in (5, 6) else (width - bottom, width - top)
    down = (left, right) if orientation in (5, 8) else (height - right, height - left)
    return Decimal(across[0]), Decimal(down[0]), Decimal(across[1]), Decimal(down[1])


def write_coco_folder(collection: Collection, out: Path, progress: Progress) -> None:
    """Write `annotations/all.json`, one file for each part, and `images/` into an empty folder."""
    (out / "annotations").mkdir(parents=True, exist_ok=True)
    for name, coco in [(ALL, collection.coco), *parts_of(collection)]:
        (out / "annotations" / f"{name}.json").write_text(canonical_json(coco), encoding="utf-8")
    copy_images(collection, out / "images", progress)


def parts_of(collection: Collection) -> Iterator[tuple[str, dict[str, Any]]]:
    """COCO data of each part; images and boxes keep their ids and their order."""
    for part, ids in collection.parts.items():
        chosen = set(ids)
        images = [image for image in collection.coco["images"] if image["id"] in chosen]
        annotations = [one for one in collection.coco["annotations"] if one["image_id"] in chosen]
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
            what = f"the image {str(name)!r} is outside its folder"
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
