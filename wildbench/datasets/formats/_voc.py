"""Pascal VOC to COCO: whatever folders the files are in, and nothing left out without a finding.

VOC's corners count pixels from 1 and both belong to the box (Everingham and Winn, *The PASCAL Visual Object Classes
Challenge 2012 Development Kit*, section on annotation; its devkit computes areas as `xmax - xmin + 1`), so that
`x = xmin - 1`, `width = xmax - xmin + 1`. Boxes are of the stored pixels, as `wildbench.datasets.images.decode` gives
them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from wildbench.categories import canonical
from wildbench.datasets.formats._collection import (
    EXACT,
    LEFT_OUT,
    UNKNOWN_LEFT_OUT,
    Box,
    Collection,
    mark_partial,
    number,
    repaired,
    stored_box,
)
from wildbench.datasets.formats._picture_files import (
    SUFFIXES,
    Picture,
    look_at,
    pair,
    read_parts,
    short_names,
    text_of,
)
from wildbench.datasets.label_checks import Finding
from wildbench.errors import DatasetError
from wildbench.progress import Progress
from wildbench.text import counted

LARGEST = 4 << 20
"""Bytes of the largest file that is read; thousands of boxes fit."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")

_FLAGS = ("difficult", "truncated", "occluded")

_READ = {"name", "bndbox", "pose", *_FLAGS}


class Malformed(Exception):
    """The file is not XML, or not an annotation."""


@dataclass(frozen=True)
class VocObject:
    """An `object` element.

    Attributes:
        place: Which object of which file.
        name: As in the file.
        corners: xmin, ymin, xmax, ymax as in the file: pixels counted from 1, both ends inside the box.
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
        latin: Whether it claims to be UTF-8, is not, and was read as Latin-1.
    """

    name: str
    filename: str
    size: tuple[int, int] | None
    objects: list[VocObject]
    unread: Counter[str] = field(default_factory=Counter)
    latin: bool = False


def read_voc_xml(path: Path, name: str) -> VocFile:
    """Read one file.

    Raises:
        Malformed: No XML, or its root is not `annotation`.
        DatasetError: It is hostile: it has a document type, or is far too large.
    """
    if path.stat().st_size > LARGEST:
        remedy = "take the file out, and look at it"
        raise DatasetError(f"{name}: more than {LARGEST:,} bytes of XML", code="xml-too-large", remedy=remedy)
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
        raise DatasetError(f"{name}: has a document type (<!DOCTYPE ...>)", code="xml-doctype", remedy=remedy)

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


_MASKS = {"segmentationclass", "segmentationobject"}
"""Folders of the development kit that hold masks, not photographs."""


def read_voc(folder: Path, files: Sequence[PurePosixPath], progress: Progress, known: Sequence[str] = ()) -> Collection:
    """Read every annotation file and picture below a folder.

    Categories are those of `labels.txt`, in its order, where there is one (hotcoco's convention); else the `known` ones
    and then what else occurs. Images are numbered from 1 in the order of their names, boxes likewise.

    Raises:
        DatasetError: A hostile file.
    """
    seen = [path for path in files if path.suffix.casefold() in SUFFIXES]
    masks = [path for path in seen if _MASKS.intersection(map(str.casefold, path.parent.parts))]
    pictures, findings = look_at(folder, [path for path in seen if path not in masks], progress)
    notes = Counter({"segmentation mask not read": len(masks)} if masks else {})
    labels = list(_read_files(folder, files, progress, findings))
    pairs = pair({label.name: label.filename for label in labels}, pictures, findings)
    _left_out(labels, pictures, pairs, findings)
    listed = _listed_categories(folder, files)
    by_name = {label.name: label for label in labels}
    named = short_names([picture for picture in pictures if picture.name in pairs])
    images: list[dict[str, Any]] = []
    boxes: list[tuple[int, str, dict[str, Any]]] = []
    lost: dict[int, set[str | None]] = {}
    for image_id, (name, picture) in enumerate(sorted(named.items()), start=1):
        images.append({"id": image_id, "file_name": name, "width": picture.width, "height": picture.height})
        label = by_name[pairs[picture.name]]
        lost[image_id] = set()
        boxes += [(image_id, *box) for box in _boxes(label, picture, bool(listed), findings, notes, lost[image_id])]
    _count_from_zero(labels, findings)
    categories = _categories(Counter(name for _, name, _ in boxes), listed or known, findings)
    ids = {category["name"]: category["id"] for category in categories}
    annotations = [
        {"id": index, "image_id": image, "category_id": ids[name], **fields}
        for index, (image, name, fields) in enumerate(boxes, start=1)
    ]
    coco = {"images": images, "categories": categories, "annotations": annotations}
    mark_partial(coco, lost)
    parts = read_parts(folder, files, {image["file_name"]: image["id"] for image in images}, findings)
    places = {name: picture.path for name, picture in named.items()}
    read = Counter(one.name if listed else canonical(one.name) for label in labels for one in label.objects)
    return Collection("voc", coco, parts, places, findings, notes, read)


def _read_files(
    folder: Path, files: Sequence[PurePosixPath], progress: Progress, findings: list[Finding]
) -> Iterator[VocFile]:
    paths = [path for path in files if path.suffix.casefold() == ".xml"]
    for done, path in enumerate(paths, start=1):
        progress("read annotations", done, len(paths))
        try:
            label = read_voc_xml(folder / path, str(path))
        except Malformed as error:
            findings.append(Finding("xml-malformed", str(path), f"{error}; left out", "repair the file"))
            continue
        if label.latin:
            message = "not in the encoding that it states; read as Latin-1"
            findings.append(Finding("xml-encoding", label.name, message, "save it as UTF-8", "warning"))
        yield label


def _listed_categories(folder: Path, files: Sequence[PurePosixPath]) -> list[str]:
    lists = [path for path in files if path.name.casefold() == "labels.txt"]
    lines = text_of((folder / lists[0]).read_bytes()).splitlines() if lists else []
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _categories(counts: Counter[str], known: Sequence[str], findings: list[Finding]) -> list[dict[str, Any]]:
    """Number the categories: the known ones, then what else occurs, which is reported where any are known."""
    others = sorted(set(counts) - set(known))
    for name in others if known else ():
        boxes = counted(counts[name], "box")
        message = f'{boxes} of "{name}", which is not one of the {len(known)} categories; kept as one more'
        remedy = "rename them in the annotation files, if it is another spelling"
        findings.append(Finding("category-unknown", name, message, remedy, "warning"))
    return [{"id": index, "name": name} for index, name in enumerate([*known, *others], start=1)]


def _boxes(
    label: VocFile,
    picture: Picture,
    exact_names: bool,
    findings: list[Finding],
    notes: Counter[str],
    lost: set[str | None],
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield category and fields of each box that can be kept, in stored pixels; `lost` gets the others' categories."""
    turned = _check_size(label, picture, findings)
    notes.update({f"element not read: {tag}": count for tag, count in label.unread.items()})
    for one in label.objects:
        name = one.name if exact_names else canonical(one.name)
        if one.corners is None or not one.name:
            message = f"{one.problem or 'no name'}; {LEFT_OUT if one.name else UNKNOWN_LEFT_OUT}"
            lost.add(name or None)
            findings.append(Finding("box-unreadable", one.place, message, "label it again"))
            continue
        box = _from_one(one, findings)
        if turned:
            box = stored_box(box, picture.width, picture.height, picture.orientation)
        sides, repairs = repaired(box, picture.width, picture.height, one.place)
        findings += repairs
        if sides is None:
            lost.add(name)
            continue
        if name != one.name:
            notes[f"{one.name} read as {name}"] += 1
        yield name, {"bbox": sides, "area": sides[2] * sides[3], "iscrowd": 0, **one.fields}


def _from_one(one: VocObject, findings: list[Finding]) -> Box:
    """Corners from 1, both inside, as left, top, right, bottom from 0; swapped where they are the wrong way round."""
    assert one.corners is not None
    left, top, right, bottom = one.corners
    if _inverted(left, right) or _inverted(top, bottom):
        shown = ", ".join(str(value) for value in one.corners)
        message = f"corners {shown} are the wrong way round; swapped"
        findings.append(Finding("box-inverted", one.place, message, "order the corners", "warning"))
    if _inverted(left, right):
        left, right = right, left
    if _inverted(top, bottom):
        top, bottom = bottom, top
    with localcontext(EXACT):
        return left - 1, top - 1, right, bottom


def _inverted(low: Decimal, high: Decimal) -> bool:
    """Whether two ends, both inside, are the wrong way round; half a pixel from 5 on ends at 4.5, and is not."""
    whole = low == low.to_integral_value() and high == high.to_integral_value()
    return high < low if whole else high < low - 1


def _check_size(label: VocFile, picture: Picture, findings: list[Finding]) -> bool:
    """Compare the stated size with the real one, as stored and as EXIF turns it; True where boxes have to be turned."""
    real, turned = (picture.width, picture.height), picture.orientation >= 5
    if turned and label.size == real[::-1] != real:
        message = f"boxes are of the picture as EXIF orientation {picture.orientation} turns it; turned back"
        findings.append(Finding("boxes-turned", label.name, message, "store the picture upright", "warning"))
        return True
    unsure = picture.orientation > 1 and (label.size is None or not turned or real[0] == real[1])
    if unsure:
        message = f"EXIF orientation {picture.orientation}: nothing tells whether the boxes are of the turned picture"
        remedy = "look at the boxes; they are taken to be of the stored pixels"
        findings.append(Finding("orientation-unsure", label.name, message, remedy, "warning"))
    if label.size is not None and label.size != real:
        stated = f"{label.size[0]} x {label.size[1]}"
        message = f"states {stated}, the picture has {real[0]} x {real[1]}; boxes are kept, not scaled"
        findings.append(Finding("size-differs", label.name, message, "look at the boxes of this picture", "warning"))
    return False


def _left_out(
    labels: Sequence[VocFile], pictures: Sequence[Picture], pairs: dict[str, str], findings: list[Finding]
) -> None:
    """Report pictures without labels, and how many boxes go with labels without a picture."""
    used = set(pairs.values())
    for label in labels:
        if label.name not in used:
            message = f"{counted(len(label.objects), 'box')} left out with it"
            findings.append(Finding("label-unused", label.name, message, "see what was found about its picture"))
    for picture in pictures:
        if picture.name not in pairs:
            message = "no label file, so it cannot be told from an empty image; left out"
            remedy = "label it; a file without boxes says that it is empty"
            findings.append(Finding("picture-unlabelled", picture.name, message, remedy))


def _count_from_zero(labels: Sequence[VocFile], findings: list[Finding]) -> None:
    """A corner at 0 cannot be counted from 1; many of them say that the labelling tool counted from 0."""
    boxes = [one.corners for label in labels for one in label.objects if one.corners is not None]
    zeros = sum(0 in box[:2] for box in boxes)
    if zeros:
        message = f"{zeros} of {len(boxes)} boxes have xmin or ymin 0, which a count from 1 does not have"
        remedy = "if the tool counted from 0, every box is one pixel too far left and up"
        findings.append(Finding("boxes-from-zero", "all annotation files", message, remedy, "warning"))
