"""A folder of YOLO's text files, one for each picture: `class x_centre y_centre width height confidence`, in shares.

Classes are the data set's categories in the order of their ids, from 0, unless `classes.txt` lies in the folder.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wildbench.datasets.outputs._tool_output import Found, Output, in_folder
from wildbench.errors import PredictionsError
from wildbench.files import read_bounded

NAMES, MOST_BYTES = "classes.txt", 64 << 20


def _knows(path: Any) -> bool:  # noqa: ANN401 - a path, or a document
    return in_folder(path) and any(path.rglob("*.txt"))


def _read(path: Path) -> Iterator[Found]:
    listed = [one for one in sorted(path.rglob(NAMES)) if one.is_file()]
    if not listed:
        remedy = f"put {NAMES} in it, with a name on each line in the order of the classes"
        raise PredictionsError(f"{path}: nothing names the classes", code="no-category-names", remedy=remedy)
    names = [line.strip() for line in _lines(listed[0]) if line.strip()]
    for file in sorted(path.rglob("*.txt")):
        if file.name != NAMES and file.is_file():
            lines = [line.split() for line in _lines(file)]
            boxes = [_box(f"{file}: line {at}", words, names) for at, words in enumerate(lines, start=1) if words]
            yield Found(file.stem, tuple(boxes), shares=True)


def _lines(file: Path) -> list[str]:
    try:
        return read_bounded(file, MOST_BYTES).decode("utf-8", "replace").splitlines()
    except OSError as error:
        what = f"{file}: {error.strerror}"
        raise PredictionsError(what, code="file-unreadable", remedy="take the file out, and look at it") from None


def _box(place: str, words: list[str], names: list[str]) -> tuple[str, float, float, float, float, float]:
    try:
        name = names[int(words[0])]
        x, y, width, height, score = map(float, words[1:])
    except (ValueError, IndexError):
        remedy = "give class, centre, sides and confidence (Ultralytics: save_txt and save_conf)"
        raise PredictionsError(f"{place}: {' '.join(words)[:60]!r}", code="not-a-detection", remedy=remedy) from None
    return name, x - width / 2, y - height / 2, width, height, score


OUTPUT = Output("YOLO's text files", _knows, _read)
"""How such a folder is known and read."""
