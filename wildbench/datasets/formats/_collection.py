"""A data set on its way in or out: COCO data of all parts, boxes that are exact, and the folder that holds it.

Arithmetic is decimal, so that what a file says as 26.8 stays 26.8, and each repair of a box is reported.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Context, Decimal, InvalidOperation, localcontext
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.coco import SUMS, subset, write_coco
from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._picture_files import Picture
from wildbench.datasets.image_files import normalised
from wildbench.errors import DatasetError, OutputError
from wildbench.files import check_writable, sums_text, write_atomically
from wildbench.progress import Progress

ALL = "all"
"""Name of the file that holds all parts."""

EXACT = Context(prec=60)
"""Digits for sums of coordinates, which have up to ten digits before the point and rarely twenty after it."""

LEFT_OUT = "left out, and its image is not scored for its category"
"""What becomes of a box that cannot be kept: the animal is there, and finding it is not a mistake."""

UNKNOWN_LEFT_OUT = "left out, and its image is not scored"
"""The same where it does not say which animal it is."""

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

    @property
    def names(self) -> dict[int, str]:
        """Category names by id, ascending."""
        return {one["id"]: one["name"] for one in sorted(self.coco["categories"], key=lambda one: int(one["id"]))}

    def lists(self) -> Iterator[tuple[str, list[str]]]:
        """Each part with the file names of its images."""
        names = {image["id"]: image["file_name"] for image in self.coco["images"]}
        yield from ((part, [names[key] for key in ids]) for part, ids in self.parts.items())

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


@dataclass
class Draft:
    """A collection while it is read: an image that loses a box is not scored for it, as the animal is there."""

    form: str
    findings: list[Finding]
    notes: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    images: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    lost: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    count_ignored: bool = False

    def ignored(self) -> dict[str, int]:
        """What a box gets that its file says is not to be counted: COCO's crowd, which is neither found nor missed."""
        if self.count_ignored:
            return {}
        self.notes["boxes that are difficult or to be ignored, which count neither as found nor as missed"] += 1
        return {"iscrowd": 1}

    @property
    def ids(self) -> dict[str, int]:
        """Ids of the images by name."""
        return {image["file_name"]: image["id"] for image in self.images}

    def add_image(self, name: str, picture: Picture) -> None:
        """Go on with the next image, numbered from 1."""
        size = {"width": picture.width, "height": picture.height}
        self.images.append({"id": len(self.images) + 1, "file_name": name, **size})
        self.files[name] = picture.path

    def add_box(self, name: str, box: Box, place: str, slack: Decimal = Decimal(0), **fields: object) -> bool:
        """Add a box of this category to the last image, repaired; False where nothing is left of it."""
        image = self.images[-1]
        sides, repairs = repaired(box, image["width"], image["height"], place, slack)
        self.findings += repairs
        if sides is None:
            self.lost[image["id"]].add(name)
        else:
            own = {"bbox": sides, "area": sides[2] * sides[3], "iscrowd": 0}
            self.boxes.append((image["id"], name, {**own, **fields}))
        return sides is not None

    def leave_out(self, name: str, place: str, why: str) -> None:
        """Report a box of the last image that cannot be read; the name is empty where nothing says what it is."""
        self.lost[self.images[-1]["id"]].add(name)
        message = f"{why}; {LEFT_OUT if name else UNKNOWN_LEFT_OUT}"
        self.findings.append(Finding("box-unreadable", place, message, "label it again"))

    def collection(self, names: Sequence[str], parts: dict[str, list[int]]) -> Collection:
        """What was read, with these categories numbered from 1."""
        for image in self.images:
            if lost := self.lost.get(image["id"]):
                image["annotated_categories"] = [] if "" in lost else [name for name in names if name not in lost]
        ids = {name: index for index, name in enumerate(names, start=1)}
        annotations = [
            {"id": index, "image_id": image, "category_id": ids[name], **fields}
            for index, (image, name, fields) in enumerate(self.boxes, start=1)
        ]
        categories = [{"id": index, "name": name} for index, name in enumerate(names, start=1)]
        coco = {"images": self.images, "categories": categories, "annotations": annotations}
        return Collection(self.form, coco, parts, self.files, self.findings, self.notes, self.read)


def number(text: str) -> Decimal:
    """Read a number of a label file; a ValueError says that it is not one, not finite, or absurd."""
    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text.strip()[:30]!r} is not a number") from None
    size = value.copy_abs()  # abs() rounds, and can overflow
    if not value.is_finite() or size > 10**9 or (value and size < _SMALLEST):
        raise ValueError(f"{text.strip()[:30]!r} is not a coordinate")
    return value


def exact(value: Number) -> Decimal:
    """The shortest decimal that reads back as this number."""
    return Decimal(repr(value))


def repaired(
    box: Box, width: int, height: int, place: str, slack: Decimal = Decimal(0)
) -> tuple[list[Number] | None, list[Finding]]:
    """Clip a box to its image and drop it where nothing is left."""
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
        sides = *inside[:2], inside[2] - inside[0], inside[3] - inside[1]
    return [int(value) if value == value.to_integral_value() else float(value) for value in sides], findings


def stored_box(box: Box, width: int, height: int, orientation: int) -> Box:
    """Turn a box back to where it is in a stored picture of this size."""
    left, top, right, bottom = box
    across = (top, bottom) if orientation in (5, 6) else (width - bottom, width - top)
    down = (left, right) if orientation in (5, 8) else (height - right, height - left)
    return Decimal(across[0]), Decimal(down[0]), Decimal(across[1]), Decimal(down[1])


def stored_outline(points: Sequence[float], width: int, height: int, orientation: int) -> list[float]:
    """The same for x and y of points in turn, as COCO has the corners of a mask; a ValueError where one is no number.

    Example:
        >>> stored_outline([1, 2], 10, 20, 6), stored_outline([1, 2], 10, 20, 8)
        ([2, 19], [8, 1])
    """
    sides = [number(repr(float(value))) for value in points]
    corners = zip(sides[::2], sides[1::2], strict=True)
    boxes = [stored_box((x, y, x, y), width, height, orientation)[:2] for x, y in corners]
    return [int(value) if value == value.to_integral_value() else float(value) for pair in boxes for value in pair]


def write_coco_folder(collection: Collection, out: Path, progress: Progress) -> None:
    """Write `annotations/all.json`, one file for each part, and `images/` into an empty folder."""
    write_coco(collection.coco, out / "annotations" / f"{ALL}.json")
    for part, ids in collection.parts.items():
        write_coco(subset(collection.coco, set(ids)), out / "annotations" / f"{part}.json")
    copy_images(collection, out / "images", progress)
    names = (image["file_name"] for image in collection.coco["images"])
    write_atomically(out / "annotations" / SUMS, sums_text(out / "images", names))


def copy_images(collection: Collection, folder: Path, progress: Progress) -> None:
    """Copy every image to its `file_name` below a folder."""
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

    An empty folder in its place is taken; another is not, unless it may be replaced.
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
            what = f"{error.filename or self.place}: {error.strerror or error}"
            remedy = "see that it can be read and written, and make room"
            raise OutputError(what, code="not-written", remedy=remedy) from error

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
