"""What a form of labels is, and what most of them have in common: rows of a picture and its boxes."""

from __future__ import annotations

import csv
import io
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.findings import Finding, read_document
from wildbench.datasets.formats._collection import (
    Box,
    Collection,
    Draft,
    Number,
    number,
    stored_box,
    stored_outline,
)
from wildbench.datasets.formats._picture_files import (
    PARTS,
    Picture,
    check_size,
    files_below,
    look_at,
    short_names,
    text_of,
)
from wildbench.datasets.image_files import SUFFIXES, index_of, suffix_match
from wildbench.errors import DatasetError
from wildbench.progress import Progress


class Folder:
    """A data set as it lies on disk; its small files are read once.

    Attributes:
        path: The folder.
        files: Every file below it, sorted; hidden ones and what systems leave behind apart.
        images: Folder of the pictures, where a person names one.
        known: Categories that are expected, in their order; empty where any may occur.
        made: Where a form unpacks pictures; it is there as long as the folder is held.
        count_ignored: Whether boxes that a file calls difficult, or to be ignored, are boxes as all others.
    """

    def __init__(
        self, path: Path, images: Path | None = None, known: tuple[str, ...] = (), *, count_ignored: bool = False
    ) -> None:
        self.path, self.images, self.known, self.count_ignored = path, images, known, count_ignored
        self.files = files_below(path)
        self.made: tempfile.TemporaryDirectory[str] | None = None
        self._documents: dict[PurePosixPath, Any] = {}

    def named(self, *suffixes: str) -> list[PurePosixPath]:
        """The files with one of these suffixes, in lower case."""
        return [path for path in self.files if path.suffix.casefold() in suffixes]

    @cached_property
    def pictures(self) -> list[PurePosixPath]:
        """Files that are pictures by their suffix."""
        return self.named(*SUFFIXES)

    def text(self, path: PurePosixPath) -> str:
        """A text file, in whatever encoding."""
        return text_of(self.path / path)

    def json(self, path: PurePosixPath) -> Any:  # noqa: ANN401 - whatever is in the file
        """A parsed JSON file; None where it is none."""
        if path not in self._documents:
            self._documents[path] = read_document(self.path / path)[0]
        return self._documents[path]

    def rows(self, path: PurePosixPath) -> Iterator[dict[str, str]]:
        """The rows of a CSV file with a line of headings; cells that are missing are empty."""
        for row in csv.DictReader(io.StringIO(self.text(path))):
            yield {key: value or "" for key, value in row.items() if key is not None}

    def headings(self, path: PurePosixPath) -> set[str]:
        """The headings of a CSV file."""
        first = self.text(path).split("\n", 1)[0]
        return {name.strip() for name in next(csv.reader([first]), [])}


@dataclass(frozen=True)
class Form:
    """One form of labels.

    Attributes:
        name: For `--form`.
        title: For messages.
        suffixes: Of the files that it reads besides pictures, in lower case.
        knows: Whether a folder has labels in it.
        read: Reads all of them.
        write: Name and text of each label file of a collection; counts what the form cannot hold. None where it is only
            read.
        fields: What it holds of a box besides its category and its sides, where it is written.
    """

    name: str
    title: str
    suffixes: frozenset[str]
    knows: Callable[[Folder], bool]
    read: Callable[[Folder, Progress], Collection]
    write: Callable[[Collection, Counter[str]], Iterable[tuple[str, str]]] | None = None
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class LabelledBox:
    """A box as a file states it: corners left, top, right, bottom, in pixels or in shares of the picture's sides.

    A `segmentation` among the fields is of outlines, in the same.
    """

    category: str
    corners: tuple[Number, Number, Number, Number]
    shares: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)

    def box(self, picture: Picture, *, turned: bool = False) -> Box:
        """In pixels of a stored picture, from those of the one that EXIF turns where `turned`.

        A ValueError says that a number is none, not finite, or absurd.
        """
        box: Box
        box = left, top, right, bottom = tuple(number(repr(float(value))) for value in self.corners)  # type: ignore[assignment]
        sides = picture.width, picture.height
        if self.shares:
            across, down = map(Decimal, sides[::-1] if turned else sides)
            box = left * across, top * down, right * across, bottom * down
        return stored_box(box, *sides, picture.orientation) if turned else box

    def outlines(self, picture: Picture, *, turned: bool = False) -> list[list[float]]:
        """Its `segmentation` in pixels, as `box`."""
        sides = picture.width, picture.height
        scale = (sides[::-1] if turned else sides) if self.shares else (1, 1)
        outlines = [
            [round(side * scale[place % 2], 6) for place, side in enumerate(outline)]
            for outline in self.fields["segmentation"]
        ]
        return [stored_outline(one, *sides, picture.orientation) for one in outlines] if turned else outlines


@dataclass
class Row:
    """What a file says of one picture.

    Attributes:
        picture: Its name, as the file has it.
        place: Where in which file.
        boxes: Its boxes.
        unboxed: Categories that it shows without a box.
        fields: What else is known of it: `location`, `seq_id`, `datetime`, ...
        part: "train", "val" or "test", or a name that means one of them.
        size: Width and height of the picture, where the file states them.
    """

    picture: str
    place: str
    boxes: list[LabelledBox] = field(default_factory=list)
    unboxed: set[str] = field(default_factory=set)
    fields: dict[str, Any] = field(default_factory=dict)
    part: str | None = None
    size: tuple[int, int] | None = None


IGNORED = "ignored"
"""Field of a box that its file says is not to be counted."""

MALFORMED = (ValueError, TypeError, LookupError, AttributeError)
"""What taking an entry apart raises where it has another form."""

SLACK = Decimal("0.01")
"""Pixels that a box in shares may leave its picture by, for their few digits."""


def gathered(form: str, folder: Folder, rows: Iterable[Row], progress: Progress) -> Collection:
    """Put rows and pictures together; rows of one picture are added up, a picture without a row is left out."""
    try:
        rows = list(rows)
    except MALFORMED as error:
        what = f"an entry is not as {form} files have it ({type(error).__name__}: {str(error)[:80]})"
        raise DatasetError(what, code="labels-malformed", remedy="export it again, or repair it") from None
    pictures, findings = look_at(folder.path, folder.pictures, progress)
    index = index_of(PurePosixPath(picture.name) for picture in pictures)
    stems: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        stems[PurePosixPath(picture.name).stem.casefold()].append(picture.name)
    own: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        whole = stems.get(PurePosixPath(row.picture).name.casefold(), [])
        name = suffix_match(row.picture, index) or (whole[0] if len(whole) == 1 else None)
        if name is None:
            message = f"no picture {row.picture!r:.80}, or several"
            findings.append(Finding("picture-missing", row.place, message, "add the picture"))
        else:
            own[name].append(row)
    draft, parts = Draft(form, findings, count_ignored=folder.count_ignored), defaultdict[str, list[int]](list)
    for name, picture in sorted(short_names([one for one in pictures if one.name in own]).items()):
        draft.add_image(name, picture)
        _add_rows(draft, picture, own[picture.name])
        if part := next((PARTS[row.part] for row in own[picture.name] if row.part in PARTS), None):
            parts[part].append(draft.images[-1]["id"])
    for picture in pictures:
        if picture.name not in own:
            message = "no label says what is in it; left out"
            findings.append(Finding("picture-unlabelled", picture.name, message, "label it", "warning"))
    found = {name for _, name, _ in draft.boxes} | {name for names in draft.lost.values() for name in names} - {""}
    return draft.collection([*folder.known, *sorted(found - set(folder.known))], dict(parts))


def _add_rows(draft: Draft, picture: Picture, rows: list[Row]) -> None:
    image = draft.images[-1]
    scaled = all(one.shares for row in rows for one in row.boxes)
    stated = {row.size: row.place for row in reversed(rows)}
    turned = {size: check_size(place, size, picture, draft.findings, scaled) for size, place in stated.items()}
    for row in rows:
        image |= {key: value for key, value in row.fields.items() if value not in ("", None)}
        draft.lost[image["id"]] |= row.unboxed
        draft.notes.update(f"{name}: in a picture without a box, not scored there" for name in row.unboxed)
        for one in row.boxes:
            draft.read[one.category] += 1
            slack = SLACK if one.shares else Decimal(0)
            try:
                box, fields = one.box(picture, turned=turned[row.size]), dict(one.fields)
                if "segmentation" in fields:
                    fields["segmentation"] = one.outlines(picture, turned=turned[row.size])
                if fields.pop(IGNORED, False):
                    fields |= draft.ignored()
                draft.add_box(one.category, box, row.place, slack, **fields)
            except ValueError as error:
                draft.leave_out(one.category, row.place, str(error))


def as_number(text: object) -> float:
    """A number of a file; a DatasetError where it is none."""
    try:
        return float(number(str(text)))
    except ValueError as error:
        raise DatasetError(str(error), code="not-a-number", remedy="repair the file") from None


def size_in(width: object, height: object) -> tuple[int, int] | None:
    """A size that a file states; None where it states none."""
    sides = [int(str(side)) if str(side).isdecimal() and len(str(side)) < 10 else 0 for side in (width, height)]
    return (sides[0], sides[1]) if all(sides) else None


def folder_parts(pictures: Mapping[int, Picture]) -> dict[str, list[int]]:
    """Image ids by the part that a folder on the way to their picture is called by."""
    parts: dict[str, list[int]] = {}
    for image, picture in pictures.items():
        if name := part_in(PurePosixPath(picture.name)):
            parts.setdefault(PARTS[name], []).append(image)
    return parts


def part_in(path: PurePosixPath) -> str | None:
    """The part that a folder on the way to a file is called by: `train/metadata.jsonl`."""
    return next((name.casefold() for name in reversed(path.parent.parts) if name.casefold() in PARTS), None)
