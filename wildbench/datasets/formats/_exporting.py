"""A data set written as VOC, YOLO or COCO, with a report of what the form cannot hold.

hotcoco exports too, but rounds: its VOC boxes are whole pixels and its YOLO shares have six digits; it knows no split
lists and writes no pictures. These read back as the same numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal, localcontext
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from wildbench.datasets.coco import Dataset
from wildbench.datasets.formats._collection import EXACT, Collection, NewFolder, copy_images, exact, write_coco_folder
from wildbench.datasets.formats._yolo import config_text, label_lines
from wildbench.errors import DatasetError
from wildbench.progress import Progress, silent

Lost = Counter[str]
"""What a form cannot hold, with the number of entries that have it."""

_FIELDS = {"id", "image_id", "category_id", "bbox", "area", "iscrowd"}
_VOC_FIELDS = ("pose", "truncated", "difficult", "occluded")


def export_dataset(parts: list[Dataset], form: str, out: Path, *, progress: Progress = silent) -> Lost:
    """Write a data set with its pictures.

    Args:
        parts: Its splits, or the one data set that a file is.
        form: "voc", "yolo" or "coco".
        out: Folder to write; it appears whole or not at all.
        progress: Called during long work.

    Returns:
        What the form cannot hold; empty where importing the folder gives the same COCO data.

    Raises:
        DatasetError: No such form, splits that have ids in common, or images that the form cannot tell apart.
        OutputError: `out` is taken or cannot be written.
    """
    if form not in _WRITERS:
        raise DatasetError(f"no form {form!r}", code="no-such-form", remedy=f"name one of: {', '.join(_WRITERS)}")
    collection = _collected(parts)
    lost = Counter() if form == "coco" else _lost(collection, form)
    with NewFolder(out) as new:
        lost += _WRITERS[form](collection, new, progress)
    return lost


def _collected(parts: list[Dataset]) -> Collection:
    images = [image for part in parts for image in part.images]
    annotations = [annotation for part in parts for annotation in part.annotations]
    if any(len({entry["id"] for entry in entries}) < len(entries) for entries in (images, annotations)):
        what = "the splits have ids in common"
        raise DatasetError(what, code="ids-shared", remedy="export one --split at a time")
    coco = {**parts[0].coco, "images": images, "annotations": annotations}
    ids = {part.split: [image["id"] for image in part.images] for part in parts if part.split is not None}
    files = {image["file_name"]: part.image_path(image) for part in parts for image in part.images}
    return Collection("coco", coco, ids, files)


def _lost(collection: Collection, form: str) -> Lost:
    """Name what VOC, or YOLO, does not hold."""
    coco, boxes = collection.coco, collection.boxes_of()
    held = _FIELDS | (set(_VOC_FIELDS) if form == "voc" else set())
    lost: Lost = Counter()
    for section in coco.keys() - {"images", "annotations", "categories"}:
        lost[section] += 1
    for image in coco["images"]:
        lost.update(f"images: {key}" for key in image.keys() - {"id", "file_name", "width", "height"})
    for category in coco["categories"]:
        lost.update(f"categories: {key}" for key in category.keys() - {"id", "name"})
    for one in coco["annotations"]:
        lost.update(f"annotations: {key}" for key in one.keys() - held)
        lost["annotations: area (width × height is taken)"] += one["area"] != one["bbox"][2] * one["bbox"][3]
    crowds = sum(bool(one["iscrowd"]) for one in coco["annotations"])
    lost["annotations: iscrowd (left out)" if form == "yolo" else "annotations: iscrowd (difficult instead)"] += crowds
    ordered = sorted(coco["images"], key=lambda image: str(image["file_name"]))
    orders = {
        "images": [image["id"] for image in ordered],
        "categories": sorted(category["id"] for category in coco["categories"]),
        "annotations": [one["id"] for image in ordered for one in boxes[image["id"]]],
    }
    for section, ids in orders.items():
        if ids != list(range(1, len(ids) + 1)):
            lost[f"{section}: id (numbered anew)"] += len(ids)
    return +lost


def _label_places(collection: Collection, suffix: str) -> dict[str, PurePosixPath]:
    """Where the label file of each image goes.

    Raises:
        DatasetError: Two images differ in suffix or case only, or a name leads elsewhere.
    """
    names = [image["file_name"] for image in collection.coco["images"]]
    places = {name: PurePosixPath(name).with_suffix(suffix) for name in names}
    seen: dict[str, str] = {}
    for name, place in places.items():
        key = str(place).casefold()
        if key in seen:
            what = f"{seen[key]} and {name} would share a label file"
            raise DatasetError(what, code="label-file-shared", remedy="rename one, or take coco")
        seen[key] = name
    return places


def _write_lists(collection: Collection, out: Path, line: Callable[[str], str]) -> None:
    names = {image["id"]: image["file_name"] for image in collection.coco["images"]}
    for part, ids in collection.parts.items():
        (out / f"{part}.txt").write_text("".join(f"{line(names[key])}\n" for key in ids), encoding="utf-8")


def _category_names(collection: Collection) -> list[str]:
    return [one["name"] for one in sorted(collection.coco["categories"], key=lambda category: int(category["id"]))]


def _write_coco(collection: Collection, out: Path, progress: Progress) -> Lost:
    write_coco_folder(collection, out, progress)
    return Counter()


def _write_yolo(collection: Collection, out: Path, progress: Progress) -> Lost:
    places = _label_places(collection, ".txt")
    copy_images(collection, out / "images", progress)
    moved, boxes = 0, collection.boxes_of()
    classes = {key: index for index, key in enumerate(sorted(one["id"] for one in collection.coco["categories"]))}
    for image in collection.coco["images"]:
        text, count = label_lines(image, boxes[image["id"]], classes)
        _write(out / "labels" / places[image["file_name"]], text.encode())
        moved += count
    parts = list(collection.parts)
    _write(out / "data.yaml", config_text(_category_names(collection), parts).encode())
    _write_lists(collection, out, lambda name: f"./images/{name}")
    return +Counter({"annotations: bbox (finer than 1e-30 pixels, or outside the image)": moved})


def _write_voc(collection: Collection, out: Path, progress: Progress) -> Lost:
    places = _label_places(collection, ".xml")
    copy_images(collection, out / "images", progress)
    names = {category["id"]: category["name"] for category in collection.coco["categories"]}
    boxes = collection.boxes_of()
    for image in collection.coco["images"]:
        _write(out / "annotations" / places[image["file_name"]], _voc_xml(image, boxes[image["id"]], names))
    _write(out / "labels.txt", "".join(f"{name}\n" for name in _category_names(collection)).encode())
    _write_lists(collection, out, lambda name: str(PurePosixPath(name).with_suffix("")))
    return Counter()


_WRITERS = {"voc": _write_voc, "yolo": _write_yolo, "coco": _write_coco}


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _voc_xml(image: dict[str, Any], boxes: list[dict[str, Any]], names: dict[int, str]) -> bytes:
    root = ElementTree.Element("annotation")
    _add(root, "filename", PurePosixPath(image["file_name"]).name)
    size = ElementTree.SubElement(root, "size")
    for key, value in (("width", image["width"]), ("height", image["height"]), ("depth", 3)):
        _add(size, key, value)
    for one in boxes:
        element = ElementTree.SubElement(root, "object")
        _add(element, "name", names[one["category_id"]])
        for key in _VOC_FIELDS:
            if key in one or (key == "difficult" and one["iscrowd"]):
                _add(element, key, one.get(key, 1))
        corners = ElementTree.SubElement(element, "bndbox")
        x, y, width, height = map(exact, one["bbox"])
        with localcontext(EXACT):
            values = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
        for key, value in values.items():
            _add(corners, key, _digits(value))
    ElementTree.indent(root)
    return b'<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode").encode()


def _add(parent: ElementTree.Element, tag: str, value: object) -> None:
    ElementTree.SubElement(parent, tag).text = str(value)


def _digits(value: Decimal) -> str:
    """Without exponent, and without a fraction where there is none: other readers take `12`, not `12.0`."""
    return str(int(value)) if value == value.to_integral_value() else f"{value:f}"
