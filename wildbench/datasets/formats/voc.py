"""Pascal VOC to COCO and back: whatever folders the files are in, and nothing left out without a finding.

VOC's corners count pixels from 1 and both belong to the box (Everingham and Winn, *The PASCAL Visual Object Classes
Challenge 2012 Development Kit*, section on annotation; its devkit computes areas as `xmax - xmin + 1`), so that
`x = xmin - 1`, `width = xmax - xmin + 1`. Boxes are of the stored pixels.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal, localcontext
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

from wildbench.categories import canonical
from wildbench.datasets.findings import Finding
from wildbench.datasets.formats._collection import EXACT, Box, Collection, Draft, Number, exact, number, stored_box
from wildbench.datasets.formats._form import Folder, Form, folder_parts
from wildbench.datasets.formats._picture_files import (
    Picture,
    check_size,
    look_at,
    pair,
    read_parts,
    short_names,
    text_of,
)
from wildbench.errors import DatasetError
from wildbench.progress import Progress
from wildbench.text import counted

LARGEST = 4 << 20
"""Bytes of the largest file that is read; thousands of boxes fit."""

FIELDS = ("pose", "truncated", "difficult", "occluded")
"""What VOC holds of an object besides its name and its box."""

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_READ = {"name", "bndbox", *FIELDS}


def _read_xml(path: Path, name: str) -> tuple[ElementTree.Element, bool]:
    """The root of one file, and whether it had to be read as Latin-1; a ValueError where it is no annotation.

    A DatasetError says that it is hostile: it has a document type, or is far too large.
    """
    if path.stat().st_size > LARGEST:
        remedy = "take the file out, and look at it"
        raise DatasetError(f"{name}: more than {LARGEST:,} bytes of XML", code="xml-too-large", remedy=remedy)
    data = path.read_bytes()
    try:
        root, latin = parse_xml(data, name), False
    except expat.ExpatError as error:
        try:
            root, latin = parse_xml(data, name, "iso-8859-1"), True
        except expat.ExpatError:
            raise ValueError(f"not XML ({error})") from None
        if data.isascii():
            raise ValueError(f"not XML ({error})") from None
    if root.tag != "annotation":
        raise ValueError(f"its root is <{root.tag[:40]}>, not <annotation>")
    return root, latin


def is_cvat(path: Path) -> bool:
    """Whether an XML file is CVAT's own, with every picture in it."""
    with path.open("rb") as file:
        return re.search(rb"<annotations[\s>]", file.read(1 << 12)) is not None


def parse_xml(data: bytes, name: str, encoding: str | None = None) -> ElementTree.Element:
    """Build the tree by expat, which hands over a document type before any entity of it is read.

    Raises:
        DatasetError: `xml-doctype`.
        expat.ExpatError: It is no XML.
    """

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


def _corners_of(element: ElementTree.Element) -> tuple[Decimal, ...] | str:
    """Left, top, right and bottom counted from 1, both ends inside the box; or why there are none."""
    box = element.find("bndbox")
    if box is None:
        return "no bndbox"
    try:
        return tuple(number(_text(box, corner)) for corner in _CORNERS)
    except ValueError as error:
        return str(error)


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


def read_voc(folder: Folder, progress: Progress) -> Collection:
    """Read every annotation file and picture below a folder.

    Categories are those of `labels.txt`, in its order, where there is one (hotcoco's convention); else the `known` ones
    and then what else occurs. Images are numbered from 1 in the order of their names, boxes likewise.
    """
    files, seen = folder.files, folder.pictures
    masks = {path for path in seen if _MASKS.intersection(map(str.casefold, path.parent.parts))}
    pictures, findings = look_at(folder.path, [path for path in seen if path not in masks], progress)
    notes = Counter({"segmentation mask not read": len(masks)} if masks else {})
    draft = Draft("voc", findings, notes, count_ignored=folder.count_ignored)
    labels = dict(_read_files(folder.path, files, progress, findings))
    pairs = pair({name: _text(root, "filename") for name, root in labels.items()}, pictures, findings)
    _left_out(labels, pictures, pairs, findings)
    listed = _listed_categories(folder.path, files)
    named = short_names([picture for picture in pictures if picture.name in pairs])
    for name, picture in sorted(named.items()):
        draft.add_image(name, picture)
        _add_boxes(draft, pairs[picture.name], labels[pairs[picture.name]], picture, bool(listed))
    _count_from_zero(labels.values(), findings)
    names = _categories(Counter(name for _, name, _ in draft.boxes), listed or folder.known, findings)
    stated = [_text(element, "name") for root in labels.values() for element in root.findall("object")]
    draft.read.update(stated if listed else map(canonical, stated))
    parts = read_parts(folder.path, files, draft.ids, findings)
    return draft.collection(names, parts or folder_parts({draft.ids[name]: one for name, one in named.items()}))


def _read_files(
    folder: Path, files: Sequence[PurePosixPath], progress: Progress, findings: list[Finding]
) -> Iterator[tuple[str, ElementTree.Element]]:
    paths = [path for path in files if path.suffix.casefold() == ".xml"]
    for done, path in enumerate(paths, start=1):
        progress("read annotations", done, len(paths))
        try:
            root, latin = _read_xml(folder / path, str(path))
        except (ValueError, LookupError) as error:  # a LookupError where no encoding has the name it states
            findings.append(Finding("xml-malformed", str(path), f"{error}; left out", "repair the file"))
            continue
        if latin:
            message = "not in the encoding that it states; read as Latin-1"
            findings.append(Finding("xml-encoding", str(path), message, "save it as UTF-8", "warning"))
        yield str(path), root


def _listed_categories(folder: Path, files: Sequence[PurePosixPath]) -> list[str]:
    lists = [path for path in files if path.name.casefold() == "labels.txt"]
    lines = text_of(folder / lists[0]).splitlines() if lists else []
    return list(dict.fromkeys(line.strip() for line in lines if line.strip()))


def _categories(counts: Counter[str], known: Sequence[str], findings: list[Finding]) -> list[str]:
    """The known categories, then what else occurs, which is reported where any are known."""
    others = sorted(set(counts) - set(known))
    for name in others if known else ():
        boxes = counted(counts[name], "box")
        message = f'{boxes} of "{name}", which is not one of the {len(known)} categories; kept as one more'
        remedy = "rename them in the annotation files, if it is another spelling"
        findings.append(Finding("category-unknown", name, message, remedy, "warning"))
    return [*known, *others]


def _add_boxes(draft: Draft, label: str, root: ElementTree.Element, picture: Picture, exact_names: bool) -> None:
    turned = check_size(label, _size(root), picture, draft.findings)
    for index, element in enumerate(root.findall("object"), start=1):
        draft.notes.update(f"element not read: {child.tag}" for child in element if child.tag not in _READ)
        place, stated, corners = f"{label}: object {index}", _text(element, "name"), _corners_of(element)
        name = stated if exact_names else canonical(stated)
        if isinstance(corners, str) or not stated:
            draft.leave_out(name, place, corners if isinstance(corners, str) else "no name")
            continue
        box = _from_one(corners, place, draft.findings)
        if turned:
            box = stored_box(box, picture.width, picture.height, picture.orientation)
        fields: dict[str, Any] = {key: text for key in FIELDS if (text := _text(element, key))}
        fields |= {key: int(text) for key, text in fields.items() if text in ("0", "1") and key != "pose"}
        if fields.get("difficult") == 1:
            fields |= draft.ignored()
        if (turn := _turn_of(element)) % 180:
            message = f"a box turned by {turn:g} degrees: the upright one is larger than the animal, or beside it"
            remedy = "draw it upright, or around the animal"
            draft.findings.append(Finding("box-turned", place, message, remedy, "warning"))
        if draft.add_box(name, box, place, **fields) and name != stated:
            draft.notes[f"{stated} read as {name}"] += 1


def _turn_of(element: ElementTree.Element) -> float:
    """Degrees that CVAT says a box is turned by, among its attributes; 0 where it does not."""
    for one in element.iterfind("attributes/attribute"):
        if _text(one, "name") == "rotation":
            with contextlib.suppress(ValueError):
                return float(number(_text(one, "value")))
    return 0.0


def _from_one(corners: tuple[Decimal, ...], place: str, findings: list[Finding]) -> Box:
    """Corners from 1, both inside, as left, top, right, bottom from 0; swapped where they are the wrong way round."""
    left, top, right, bottom = corners
    across, down = _inverted(left, right), _inverted(top, bottom)
    if across or down:
        message = f"corners {', '.join(map(str, corners))} are the wrong way round; swapped"
        findings.append(Finding("box-inverted", place, message, "order the corners", "warning"))
    left, right = (right, left) if across else (left, right)
    top, bottom = (bottom, top) if down else (top, bottom)
    with localcontext(EXACT):
        return left - 1, top - 1, right, bottom


def _inverted(low: Decimal, high: Decimal) -> bool:
    """Whether two ends, both inside, are the wrong way round; half a pixel from 5 on ends at 4.5, and is not."""
    whole = low == low.to_integral_value() and high == high.to_integral_value()
    return high < low if whole else high < low - 1


def _left_out(
    labels: Mapping[str, ElementTree.Element],
    pictures: Sequence[Picture],
    pairs: Mapping[str, str],
    findings: list[Finding],
) -> None:
    """Report pictures without labels, and how many boxes go with labels without a picture."""
    used = set(pairs.values())
    for label, root in labels.items():
        if label not in used:
            message = f"{counted(len(root.findall('object')), 'box')} left out with it"
            findings.append(Finding("label-unused", label, message, "see what was found about its picture"))
    for picture in pictures:
        if picture.name not in pairs:
            message = "no label file, so it cannot be told from an empty image; left out"
            remedy = "label it; a file without boxes says that it is empty"
            findings.append(Finding("picture-unlabelled", picture.name, message, remedy))


def _count_from_zero(roots: Iterable[ElementTree.Element], findings: list[Finding]) -> None:
    """A corner at 0 cannot be counted from 1; many of them say that the labelling tool counted from 0."""
    corners = [_corners_of(element) for root in roots for element in root.findall("object")]
    boxes = [box for box in corners if not isinstance(box, str)]
    zeros = sum(0 in box[:2] for box in boxes)
    if zeros:
        message = f"{zeros} of {len(boxes)} boxes have xmin or ymin 0, which a count from 1 does not have"
        remedy = "if the tool counted from 0, every box is one pixel too far left and up"
        findings.append(Finding("boxes-from-zero", "all annotation files", message, remedy, "warning"))


def voc_files(collection: Collection, lost: Counter[str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each file beside the pictures; `lost` counts what is written as something else."""
    names, boxes = collection.names, collection.boxes_of()
    for image in collection.coco["images"]:
        own = boxes[image["id"]]
        unlike = [one for one in own if bool(one["iscrowd"]) != (one.get("difficult") == 1)]
        lost["annotations: iscrowd (difficult instead)"] += len(unlike)
        yield f"annotations/{PurePosixPath(image['file_name']).with_suffix('.xml')}", _xml(image, own, names)
    yield "labels.txt", "".join(f"{name}\n" for name in names.values())
    for part, listed in collection.lists():
        yield f"{part}.txt", "".join(f"{PurePosixPath(name).with_suffix('')}\n" for name in listed)


def _xml(image: dict[str, Any], boxes: list[dict[str, Any]], names: dict[int, str]) -> str:
    root = ElementTree.Element("annotation")
    _add(root, {"filename": PurePosixPath(image["file_name"]).name})
    size = {"width": image["width"], "height": image["height"], "depth": 3}
    _add(ElementTree.SubElement(root, "size"), size)
    for one in boxes:
        element = ElementTree.SubElement(root, "object")
        given = {key: one.get(key, 1) for key in FIELDS if key in one or (key == "difficult" and one["iscrowd"])}
        _add(element, {"name": names[one["category_id"]], **given})
        _add(ElementTree.SubElement(element, "bndbox"), dict(zip(_CORNERS, _corners(one["bbox"]), strict=True)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode")


def _add(parent: ElementTree.Element, texts: dict[str, object]) -> None:
    for tag, text in texts.items():
        ElementTree.SubElement(parent, tag).text = str(text)


def _corners(bbox: Sequence[Number]) -> Iterator[str]:
    """Without exponent, and without a fraction where there is none: other readers take `12`, not `12.0`."""
    x, y, width, height = map(exact, bbox)
    with localcontext(EXACT):
        corners = x + 1, y + 1, x + width, y + height
    for value in corners:
        yield str(int(value)) if value == value.to_integral_value() else f"{value:f}"


FORM = Form(
    "voc",
    "Pascal VOC",
    frozenset({".xml", ".txt"}),
    lambda folder: any(not is_cvat(folder.path / path) for path in folder.named(".xml")),
    read_voc,
    voc_files,
    FIELDS,
)
"""How such a folder is known, read and written."""
