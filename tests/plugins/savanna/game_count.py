"""A form of labels: `game.tsv` with a line for each animal, its picture, its name and its corners in pixels."""

from collections.abc import Iterator

from wildbench.datasets.formats import Collection, Folder, Form, LabelledBox, Row, gathered
from wildbench.progress import Progress


def rows(folder: Folder) -> Iterator[Row]:
    for path in folder.named(".tsv"):
        for number, line in enumerate(folder.text(path).splitlines(), start=1):
            picture, name, *corners = line.split("\t")
            left, top, right, bottom = map(float, corners)
            yield Row(picture, f"{path}: line {number}", [LabelledBox(name, (left, top, right, bottom))])


def read(folder: Folder, progress: Progress) -> Collection:
    return gathered("game-count", folder, rows(folder), progress)


FORM = Form("game-count", "game counts", frozenset({".tsv"}), lambda folder: bool(folder.named(".tsv")), read)
