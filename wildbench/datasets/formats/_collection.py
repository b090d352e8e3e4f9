"""A data set on its way in or out: COCO, its authors' parts, where its pictures lie, and what was found in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.label_checks import Finding

PARTS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
"""Names that authors give to a part, and ours."""

_ROLES = {"annotations", "images", "imageset", "jpegimages", "labels", "xml", "xmls"}


@dataclass(frozen=True)
class Collection:
    """Images and boxes of all parts together.

    Attributes:
        form: "voc", "yolo" or "coco".
        coco: COCO detection data of all parts.
        parts: Image ids by part, such as train and val; empty where nobody divided it.
        files: Where the picture of each `file_name` lies.
        findings: What was wrong; an error where something was left out, a warning where something was changed.
        notes: What was read in another way than it stands, or not read, with counts; no mistake of anybody.
        read: Boxes that stand in the label files, by category as we spell it, before any were left out.
    """

    form: str
    coco: dict[str, Any]
    parts: dict[str, list[int]]
    files: dict[str, Path]
    findings: list[Finding] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)

    def boxes_of(self) -> dict[int, list[dict[str, Any]]]:
        """Annotations by image id, in file order; every image has a list."""
        boxes: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self.coco["images"]}
        for annotation in self.coco["annotations"]:
            boxes[annotation["image_id"]].append(annotation)
        return boxes

    def boxes_by_category(self) -> dict[str, int]:
        """Boxes of each category, in the order of ids."""
        counts = Counter(annotation["category_id"] for annotation in self.coco["annotations"])
        return {category["name"]: counts[category["id"]] for category in self.coco["categories"]}


def mark_partial(coco: Mapping[str, Any], lost: Mapping[int, Iterable[str | None]]) -> None:
    """Write `annotated_categories` into images that have lost boxes, so that they are not scored for what was lost.

    Args:
        coco: COCO data; its images are changed.
        lost: By image id, the categories of its lost boxes; None for a box whose category is not known.

    Example:
        >>> coco = {"images": [{"id": 1}, {"id": 2}], "categories": [{"name": "lion"}, {"name": "zebra"}]}
        >>> mark_partial(coco, {1: {"lion"}, 2: {None}})
        >>> coco["images"]
        [{'id': 1, 'annotated_categories': ['zebra']}, {'id': 2, 'annotated_categories': []}]
    """
    names = [category["name"] for category in coco["categories"]]
    for image in coco["images"]:
        missing = set(lost.get(image["id"], ()))
        if missing:
            image["annotated_categories"] = [name for name in names if name not in missing and None not in missing]


def key_of(path: PurePosixPath) -> str:
    """What a picture and its label share: the path without the folders that tell the two apart, and without suffix.

    Example:
        >>> key_of(PurePosixPath("park/JPEGImages/night/a.JPG")), key_of(PurePosixPath("park/xml/night/A.xml"))
        ('park/night/a', 'park/night/a')
    """
    folders = [part for part in path.parent.parts if part.casefold() not in _ROLES]
    return "/".join([*folders, path.stem]).casefold()


def part_of(stem: str) -> str | None:
    """Which part a file's name says: `valid` is val, `instances_train2017` is train.

    Example:
        >>> part_of("Valid"), part_of("instances_train2017"), part_of("readme")
        ('val', 'train', None)
    """
    words = re.findall(r"[a-z]+", stem.casefold())
    named = {PARTS[word] for word in words if word in PARTS}
    return named.pop() if len(named) == 1 else None


def text_of(data: bytes) -> str:
    """Text in whatever encoding: UTF-8 or UTF-16 with a mark, UTF-8, else Latin-1, which reads any bytes."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
