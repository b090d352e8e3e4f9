"""Open Images' CSV: a row a box, corners in shares of the picture; groups (`IsGroupOf`) are crowds.

Reference: Kuznetsova et al., "The Open Images Dataset V4", 2020; storage.googleapis.com/openimages/web/download.html.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath

from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, as_number, gathered, part_in
from wildbench.datasets.formats._picture_files import part_of
from wildbench.progress import Progress

CORNERS = ("XMin", "YMin", "XMax", "YMax")


def _tables(folder: Folder) -> list[PurePosixPath]:
    return [path for path in folder.named(".csv") if {"ImageID", "LabelName", *CORNERS} <= folder.headings(path)]


def _knows(folder: Folder) -> bool:
    return bool(_tables(folder))


def _names(folder: Folder) -> dict[str, str]:
    """What the labels' numbers, such as /m/0898b, mean: two columns, with or without headings."""
    names: dict[str, str] = {}
    for path in folder.named(".csv"):
        if "class" in path.stem.casefold():
            lines = [line.split(",", 1) for line in folder.text(path).splitlines()]
            names |= {line[0].strip(): line[1].strip().strip('"') for line in lines if len(line) == 2}
    return names


def _rows(folder: Folder) -> Iterator[Row]:
    names = _names(folder)
    for path in _tables(folder):
        for number, row in enumerate(folder.rows(path), start=2):
            made = Row(row["ImageID"], f"{path}: line {number}", part=part_of(path.stem) or part_in(path))
            left, top, right, bottom = (as_number(row[key]) for key in CORNERS)
            crowd = {"iscrowd": 1} if row.get("IsGroupOf") in ("1", "true", "True") else {}
            name = names.get(row["LabelName"], row["LabelName"])
            made.boxes.append(LabelledBox(name, (left, top, right, bottom), shares=True, fields=crowd))
            yield made


def _read(folder: Folder, progress: Progress) -> Collection:
    return gathered("open-images", folder, _rows(folder), progress)


FORM = Form("open-images", "Open Images CSV", frozenset({".csv"}), _knows, _read)
"""How such a folder is known and read."""
