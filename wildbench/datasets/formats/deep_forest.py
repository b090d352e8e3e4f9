"""A CSV with a row a box: `image_path, xmin, ymin, xmax, ymax, label`, as DeepForest and many scripts write it."""

from __future__ import annotations

from collections.abc import Iterator

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, as_number, gathered, part_in
from wildbench.datasets.formats._picture_files import part_of
from wildbench.progress import Progress

CORNERS = ("xmin", "ymin", "xmax", "ymax")
PICTURE = ("image_path", "filename", "file_name", "image")
LABEL = ("label", "class", "category", "species")


def _columns(headings: set[str]) -> tuple[str, str] | None:
    """The columns of a picture's name and of its category; None where the table is another."""
    picture = next((name for name in PICTURE if name in headings), None)
    label = next((name for name in LABEL if name in headings), None)
    return (picture, label) if picture and label and set(CORNERS) <= headings else None


def _knows(folder: Folder) -> bool:
    return any(_columns(folder.headings(path)) for path in folder.named(".csv"))


def _rows(folder: Folder) -> Iterator[Row]:
    for path in folder.named(".csv"):
        if columns := _columns(folder.headings(path)):
            for number, cells in enumerate(folder.rows(path), start=2):
                row = Row(cells[columns[0]], f"{path}: line {number}", part=part_of(path.stem) or part_in(path))
                corners = [cells[key] for key in CORNERS]
                if any(cells[key] not in ("", "0", "0.0") for key in CORNERS):  # all 0: an empty picture
                    left, top, right, bottom = map(as_number, corners)
                    row.boxes.append(LabelledBox(cells[columns[1]], (left, top, right, bottom)))
                yield row


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("deep-forest", folder, _rows(folder), progress)


FORM = Form("deep-forest", "a CSV of corners", frozenset({".csv"}), _knows, _read)
"""How such a folder is known and read."""
