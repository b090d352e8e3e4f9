"""One Pascal VOC annotation file, read without trusting it: no document type, so no entities, and 4 MiB at most."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from wildbench.datasets.corners import number
from wildbench.errors import DatasetError

LARGEST = 4 << 20
"""Bytes of the largest file that is read; thousands of boxes fit."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_FLAGS = ("difficult", "truncated", "occluded")
_READ = {"name", "bndbox", "pose", *_FLAGS}


class Malformed(Exception):
    """The file is no XML, or no annotation."""


@dataclass(frozen=True)
class VocObject:
    """An `object` element.

    Attributes:
        place: Which object of which file.
        name: As it stands.
        corners: xmin, ymin, xmax, ymax as they stand: pixels counted from 1, both ends inside the box.
        problem: Why there are no corners, where there are none.
        fields: `difficult`, `truncated`, `occluded` and `pose`, where they are given.
    """

    place: str
    name: str
    corners: tuple[Decimal, Decimal, Decimal, Decimal] | None
    problem: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class VocFile:
    """An annotation file: what it says of its picture, and its objects.

    Attributes:
        name: Its path below the folder that was read.
        filename: Of the picture; empty where it does not say.
        size: Width and height; None where it does not say.
        objects: In the file's order.
        unread: Elements of objects that are not read, with counts.
        latin: Whether it is no UTF-8 although it says so, or says nothing; it was then read as Latin-1.
    """

    name: str
    filename: str
    size: tuple[int, int] | None
    objects: list[VocObject]
    unread: Counter[str] = field(default_factory=Counter)
    latin: bool = False


def read_voc_xml(path: Path, name: str) -> VocFile:
    """Read one file.

    Args:
        path: The file.
        name: How to call it in messages.

    Raises:
        Malformed: No XML, or its root is not `annotation`.
        DatasetError: It is hostile: it has a document type, or is far too large.
    """
    if path.stat().st_size > LARGEST:
        raise DatasetError(f"{name}: more than {LARGEST:,} bytes of XML", remedy="take the file out, and look at it")
    data = path.read_bytes()
    try:
        root, latin = _parse(data, name), False
    except expat.ExpatError as error:
        try:
            root, latin = _parse(data, name, "iso-8859-1"), True
        except expat.ExpatError:
            raise Malformed(f"not XML ({error})") from None
        if data.isascii():
            raise Malformed(f"not XML ({error})") from None
    if root.tag != "annotation":
        raise Malformed(f"its root is <{root.tag[:40]}>, not <annotation>")
    unread: Counter[str] = Counter()
    objects = []
    for index, element in enumerate(root.findall("object"), start=1):
        objects.append(_object(element, f"{name}: object {index}"))
        unread.update(child.tag for child in element if child.tag not in _READ)
    return VocFile(name, _text(root, "filename"), _size(root), objects, unread, latin)


def _parse(data: bytes, name: str, encoding: str | None = None) -> ElementTree.Element:
    """Build the tree by expat, which hands over a document type before any entity of it is read."""

    def refuse(*_: object) -> None:
        remedy = "annotations need none, and entities can fill a memory: take the file out, and look at it"
        raise DatasetError(f"{name}: has a document type (<!DOCTYPE ...>)", remedy=remedy)

    builder = ElementTree.TreeBuilder()
    parser = expat.ParserCreate(encoding)
    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: builder.start(tag, attributes) and None
    parser.EndElementHandler = lambda tag: builder.end(tag) and None
    parser.CharacterDataHandler = lambda text: builder.data(text)
    parser.Parse(data, True)
    root = builder.close()
    assert root is not None  # expat refuses a document without a root
    return root


def _object(element: ElementTree.Element, place: str) -> VocObject:
    fields: dict[str, Any] = {}
    for flag in _FLAGS:
        text = _text(element, flag)
        if text:
            fields[flag] = int(text) if text in ("0", "1") else text
    if pose := _text(element, "pose"):
        fields["pose"] = pose
    box = element.find("bndbox")
    corners, problem = None, "no bndbox"
    if box is not None:
        try:
            left, top, right, bottom = (number(_text(box, corner)) for corner in _CORNERS)
            corners, problem = (left, top, right, bottom), ""
        except ValueError as error:
            problem = str(error)
    return VocObject(place, _text(element, "name"), corners, problem, fields)


def _size(root: ElementTree.Element) -> tuple[int, int] | None:
    size = root.find("size")
    if size is None:
        return None
    width, height = _text(size, "width"), _text(size, "height")
    return (int(width), int(height)) if width.isdecimal() and height.isdecimal() and len(width + height) < 20 else None


def _text(element: ElementTree.Element, tag: str) -> str:
    return " ".join((element.findtext(tag) or "").split())
