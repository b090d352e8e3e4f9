"""CVAT's own XML, "CVAT for images 1.1": every picture with boxes, outlines, ellipses and run lengths, in pixels.

A turned box is kept as its four corners, and the upright box around them is the box.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from xml.etree import ElementTree
from xml.parsers import expat

from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._collection import Collection
from wildbench.datasets.formats._form import Folder, Form, LabelledBox, Row, gathered, part_in, size_in
from wildbench.datasets.formats._picture_files import MOST_TEXT
from wildbench.datasets.formats.voc import is_cvat, parse_xml
from wildbench.errors import DatasetError
from wildbench.files import read_bounded
from wildbench.progress import Progress

_BOXED = {"box", "polygon", "ellipse", "mask", "polyline"}


def _files(folder: Folder) -> list[PurePosixPath]:
    return [path for path in folder.named(".xml") if is_cvat(folder.path / path)]


def turned_corners(
    x: float, y: float, width: float, height: float, degrees: float, about: tuple[float, float]
) -> list[float]:
    """The corners of a box that is turned clockwise about a point: x and y of each in turn, in thousandths.

    Example:
        >>> turned_corners(0, 0, 4, 2, 90, (2, 1))
        [3.0, -1.0, 3.0, 3.0, 1.0, 3.0, 1.0, -1.0]
    """
    sine, cosine = math.sin(math.radians(degrees)), math.cos(math.radians(degrees))
    corners = [(x, y), (x + width, y), (x + width, y + height), (x, y + height)]
    turned = [
        (
            about[0] + (a - about[0]) * cosine - (b - about[1]) * sine,
            about[1] + (a - about[0]) * sine + (b - about[1]) * cosine,
        )
        for a, b in corners
    ]
    return [round(value, 3) for point in turned for value in point]


def around(points: Sequence[float]) -> tuple[float, float, float, float]:
    """The upright box around points, as corners."""
    across, down = points[::2], points[1::2]
    return min(across), min(down), max(across), max(down)


def _box(shape: ElementTree.Element) -> LabelledBox:
    name, kind = shape.get("label", ""), shape.tag
    turn = float(shape.get("rotation") or 0)

    def sides(*keys: str) -> list[float]:
        return [float(shape.attrib[key]) for key in keys]

    if kind == "mask":
        left, top, width, height = sides("left", "top", "width", "height")
        return LabelledBox(name, (left, top, left + width, top + height))
    if kind in ("polygon", "polyline"):
        points = [float(value) for point in shape.attrib["points"].split(";") for value in point.split(",")]
        outline = {"segmentation": [points]} if kind == "polygon" and len(points) > 4 else {}
        return LabelledBox(name, around(points), fields=outline)
    if kind == "ellipse":
        x, y, across, down = sides("cx", "cy", "rx", "ry")
        angle = math.radians(turn)
        half = math.hypot(across * math.cos(angle), down * math.sin(angle))
        other = math.hypot(across * math.sin(angle), down * math.cos(angle))
        return LabelledBox(name, (x - half, y - other, x + half, y + other))
    left, top, right, bottom = sides("xtl", "ytl", "xbr", "ybr")
    if not turn % 360:
        return LabelledBox(name, (left, top, right, bottom))
    corners = turned_corners(left, top, right - left, bottom - top, turn, ((left + right) / 2, (top + bottom) / 2))
    return LabelledBox(name, around(corners), fields={"segmentation": [corners], "rotation": turn})


def _rows(folder: Folder, findings: list[Finding]) -> Iterator[Row]:
    turned = 0
    for path in _files(folder):
        try:
            root = parse_xml(read_bounded(folder.path / path, MOST_TEXT), str(path))
        except OSError as error:
            what, remedy = f"{path}: {error.strerror}", "export it in several parts"
            raise DatasetError(what, code="text-unreadable", remedy=remedy) from None
        except expat.ExpatError as error:
            raise DatasetError(f"{path}: not XML ({error})", code="not-xml", remedy="export it again") from None
        images = root.findall("image")
        if not images and root.find("track") is not None:
            remedy = 'export the task as "CVAT for images 1.1"'
            raise DatasetError(f"{path}: tracks of a video", code="cvat-video", remedy=remedy)
        for image in images:
            place = f"{path}: image {image.get('id')}"
            part = (image.get("subset") or "").casefold() or part_in(PurePosixPath(image.get("name", "")))
            row = Row(image.get("name", ""), place, part=part, size=size_in(image.get("width"), image.get("height")))
            row.boxes = [_box(shape) for shape in image if shape.tag in _BOXED]
            boxed = {box.category for box in row.boxes}
            row.unboxed = {shape.get("label", "") for shape in image if shape.tag in ("tag", "points")} - boxed
            turned += sum("rotation" in box.fields for box in row.boxes)
            yield row
    if turned:
        findings.append(turned_note(turned))


def turned_note(count: int) -> Finding:
    """A note that boxes are turned, and that the upright ones around them are taken."""
    message = f"{count} boxes are turned: the upright ones around them are taken, and their corners kept"
    return Finding("box-from-outline", "annotations", message, "look at the boxes", "note")


def _read(folder: Folder, progress: Progress) -> Collection:
    findings: list[Finding] = []
    collection = gathered("cvat", folder, _rows(folder, findings), progress)
    collection.findings.extend(findings)
    return collection


FORM = Form("cvat", "CVAT XML", frozenset({".xml"}), lambda folder: bool(_files(folder)), _read)
"""How such a folder is known and read."""
