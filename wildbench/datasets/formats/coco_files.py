"""COCO files of one data set, put together: which picture is in which part, whatever its files call it."""

from __future__ import annotations

import contextlib
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from wildbench.datasets.coco import Dataset, read_coco, subset
from wildbench.datasets.findings import Finding, place_of
from wildbench.datasets.formats._collection import ALL, Box, Collection, exact, repaired, stored_outline
from wildbench.datasets.formats._form import MALFORMED, Folder, Form
from wildbench.datasets.formats._picture_files import part_of, turned_size
from wildbench.datasets.image_files import images_near
from wildbench.datasets.images import unreadable
from wildbench.errors import DatasetError
from wildbench.progress import Progress

ORDER = ("train", "val", "test")
"""A picture in several parts is kept in the last of them, where its labels are scored."""


def coco_files(folder: Folder) -> list[PurePosixPath]:
    """The JSON files with COCO's sections."""
    return [path for path in folder.named(".json") if _is_coco(folder.json(path))]


def _is_coco(document: object) -> bool:
    return isinstance(document, dict) and all(isinstance(document.get(key), list) for key in ("images", "annotations"))


def read_coco_folder(folder: Folder, progress: Progress) -> Collection:
    """Read every COCO file below a folder.

    `all.json` holds every part and the other files then say which images are of which part; without it the files are
    put together, and renumbered where their ids collide. A single file is not a part, unless its name says so. A
    picture is known by its path: pictures of one name in two folders are two.
    """
    paths = coco_files(folder)
    if not paths:
        raise DatasetError("no COCO file in it", code="no-labels", remedy="name the folder that holds the labels")
    findings: list[Finding] = []
    read: dict[str, Dataset] = {}
    for done, path in enumerate(paths, start=1):
        name = _part(path)
        if name in read:
            what = f"{path}: a second file for {name}"
            raise DatasetError(what, code="part-repeated", remedy="import one of them at a time")
        own = folder.images or images_near(folder.path / path)
        data = read_coco(folder.path / path, own, skip_unreadable=True, repair=partial(_turn_back, own))
        data = _without_unreadable(data, findings)
        turned = {one.place for one in data.warnings if one.code == "boxes-turned"}
        findings += [one for one in data.warnings if one.code != "orientation-unsure" or one.place not in turned]
        read[name] = _with_repaired_boxes(data if folder.count_ignored else _with_ignored(data, findings), findings)
        progress("read COCO files", done, len(paths))
    named, places = _named(read)
    whole = named.pop(ALL, None)
    one_part = len(read) == 1
    if whole is None:
        _drop_shared(named, findings)
        whole = _together(named, findings)
    _drop_root_category(whole, findings)
    ids = {image["file_name"]: image["id"] for image in whole["images"]}
    parts = {
        name: [ids[image["file_name"]] for image in coco["images"] if image["file_name"] in ids]
        for name, coco in named.items()
        if not one_part or part_of(name)
    }
    collection = Collection("coco", whole, parts, {name: places[name] for name in ids}, findings)
    collection.read.update(collection.boxes_by_category())
    return collection


def _without_unreadable(data: Dataset, findings: list[Finding]) -> Dataset:
    """Leave out images of which no whole picture comes, as from other forms; a DatasetError where one is missing."""
    faults = unreadable([data.image_path(image) for image in data.images])
    others = [error for error in faults.values() if error.code != "dataset/image-unreadable"]
    if others:
        raise others[0]
    message = "no whole picture (it cannot be decoded); left out with its boxes"
    gone = {image["id"]: str(image["file_name"]) for image in data.images if data.image_path(image) in faults}
    findings += [Finding("image-unreadable", name, message, "replace the file") for name in gone.values()]
    return replace(data, coco=subset(data.coco, {image["id"] for image in data.images} - gone.keys()))


def _part(path: PurePosixPath) -> str:
    """The part that a file is of: by its name, else by a folder it is in, else its name."""
    if path.stem == ALL:
        return ALL
    names = (path.stem, *reversed(path.parent.parts))
    return next((part for name in names if (part := part_of(name))), path.stem)


def _named(read: dict[str, Dataset]) -> tuple[dict[str, dict[str, Any]], dict[str, Path]]:
    """The COCO data of each file with `file_name`s that are unique among all, and where each picture is."""
    folders = {data.images_dir.absolute() for data in read.values()}
    base = Path(os.path.commonpath(folders))
    named: dict[str, dict[str, Any]] = {}
    places: dict[str, Path] = {}
    for part, data in read.items():
        images = []
        for image in data.images:
            place = data.image_path(image).absolute()
            name = Path(os.path.relpath(place, base)).as_posix()
            places[name] = place
            images.append({**image, "file_name": name})
        named[part] = {**data.coco, "images": images}
    return named, places


def _drop_shared(named: dict[str, dict[str, Any]], findings: list[Finding]) -> None:
    """Keep a picture that several files have in the last part alone."""
    parts: dict[str, list[str]] = defaultdict(list)
    for part in sorted(named, key=lambda part: ORDER.index(part) if part in ORDER else -1):
        for image in named[part]["images"]:
            parts[image["file_name"]].append(part)
    for name, several in parts.items():
        if len(set(several)) > 1:
            message = f"in {' and '.join(several)}; taken for {several[-1]} alone"
            findings.append(Finding("list-overlap", name, message, "an image belongs to one part", "warning"))
            for part in several[:-1]:
                coco = named[part]
                gone = {image["id"] for image in coco["images"] if image["file_name"] == name}
                for section, key in (("images", "id"), ("annotations", "image_id")):
                    coco[section] = [entry for entry in coco[section] if entry[key] not in gone]


def _together(named: dict[str, dict[str, Any]], findings: list[Finding]) -> dict[str, Any]:
    """One COCO dict of several, renumbered where ids collide, with the categories of all."""
    cocos = list(named.values())
    if any(coco["categories"] != cocos[0]["categories"] for coco in cocos):
        _merge_categories(cocos, findings)
    images = [image for coco in cocos for image in coco["images"]]
    annotations = [annotation for coco in cocos for annotation in coco["annotations"]]
    if any(len({entry["id"] for entry in entries}) < len(entries) for entries in (images, annotations)):
        message = f"ids of {len(cocos)} files collide; images and boxes are renumbered"
        findings.append(Finding("ids-renumbered", "all files", message, "give each image its own id", "warning"))
        images, annotations = [], []
        for coco in cocos:
            new = {image["id"]: len(images) + index for index, image in enumerate(coco["images"], start=1)}
            images += [{**image, "id": new[image["id"]]} for image in coco["images"]]
            for one in coco["annotations"]:
                annotations.append({**one, "id": len(annotations) + 1, "image_id": new[one["image_id"]]})
    return {**cocos[0], "images": images, "annotations": annotations}


def _merge_categories(cocos: list[dict[str, Any]], findings: list[Finding]) -> None:
    """Give all files the categories of all, by name, numbered from 1."""
    entries = {entry["name"]: entry for coco in reversed(cocos) for entry in coco["categories"]}
    names = list(dict.fromkeys(entry["name"] for coco in cocos for entry in coco["categories"]))
    merged = [{**entries[name], "id": index} for index, name in enumerate(names, start=1)]
    ids = {entry["name"]: entry["id"] for entry in merged}
    for coco in cocos:
        own = {entry["id"]: ids[entry["name"]] for entry in coco["categories"]}
        coco["annotations"] = [{**one, "category_id": own[one["category_id"]]} for one in coco["annotations"]]
        coco["categories"] = merged
    message = f"the files list different categories; put together by name, {len(names)} in all"
    findings.append(Finding("categories-merged", "categories", message, "list all of them in each file", "warning"))


def _drop_root_category(coco: dict[str, Any], findings: list[Finding]) -> None:
    """Roboflow lists the set itself as a category above all others; no box is of it."""
    used = {one["category_id"] for one in coco["annotations"]}
    above = {one.get("supercategory") for one in coco["categories"]}
    roots = [one for one in coco["categories"] if one["name"] in above and one["id"] not in used]
    roots = [one for one in roots if one.get("supercategory") in ("none", None, "")]
    if roots and len(roots) < len(coco["categories"]):
        coco["categories"] = [one for one in coco["categories"] if one not in roots]
        message = f"{', '.join(one['name'] for one in roots)}: above other categories, and no box is of it; left out"
        findings.append(Finding("category-root", "categories", message, "nothing to do", "note"))


def _turn_back(folder: Path, coco: dict[str, Any], located: Mapping[str, str]) -> list[Finding]:
    """Turn boxes of pictures whose size is stated as their EXIF tag turns them, back to the stored pixels."""
    findings = []
    turned: dict[int, tuple[int, int, int]] = {}
    for index, image in enumerate(coco["images"]):
        name = image.get("file_name") if isinstance(image, dict) else None
        seen = turned_size(folder / located.get(name, name)) if isinstance(name, str) else None
        if seen and (image.get("height"), image.get("width")) == seen[:2] and seen[0] != seen[1]:
            image["width"], image["height"] = seen[:2]
            turned |= {image["id"]: seen} if isinstance(image.get("id"), int) else {}
            message = f"boxes are of the picture as EXIF orientation {seen[2]} turns it; turned back"
            place = place_of("images", index, image)
            findings.append(Finding("boxes-turned", place, message, "store the picture upright", "warning"))
    for one in coco["annotations"] if turned else ():
        owner = one.get("image_id") if isinstance(one, dict) else None
        if isinstance(owner, int) and (sides := turned.get(owner)):
            with contextlib.suppress(*MALFORMED):  # validation says what is wrong
                _turn_annotation(one, sides)
    return findings


def _turn_annotation(one: dict[str, Any], sides: tuple[int, int, int]) -> None:
    """Turn a box and its outlines; run lengths and key points, which would have to be decoded, are left out."""
    x, y, width, height = one["bbox"]
    left, top, right, bottom = stored_outline([x, y, x + width, y + height], *sides)
    one["bbox"] = [min(left, right), min(top, bottom), abs(right - left), abs(bottom - top)]
    one.pop("keypoints", None)
    outlines = one.pop("segmentation", None)
    if isinstance(outlines, list):
        one["segmentation"] = [stored_outline(outline, *sides) for outline in outlines]


def _with_ignored(data: Dataset, findings: list[Finding]) -> Dataset:
    """Boxes with `ignore` as crowds, which count neither way; COCO's own evaluation does not look at the key."""
    ignored = [one for one in data.annotations if one.get("ignore") == 1 and not one["iscrowd"]]
    for one in ignored:
        one["iscrowd"] = 1
    if ignored:
        message = f"{len(ignored)} boxes with ignore 1 are made crowds, which count neither as found nor as missed"
        findings.append(Finding("boxes-ignored", "annotations", message, "or import with --count-ignored", "note"))
    return data


def _with_repaired_boxes(data: Dataset, findings: list[Finding]) -> Dataset:
    """Clip boxes to their images, and leave out those of which nothing is left, with their category in that image."""
    images = {image["id"]: image for image in data.images}
    names = {entry["id"]: entry["name"] for entry in data.categories}
    kept: list[dict[str, Any]] = []
    for index, one in enumerate(data.annotations):
        image, (x, y, width, height) = images[one["image_id"]], map(exact, one["bbox"])
        box: Box = (x, y, x + width, y + height)
        inside = min(x, y) >= 0 and box[2] <= image["width"] and box[3] <= image["height"]
        if inside and min(width, height) > 0:
            kept.append(one)
            continue
        sides, repairs = repaired(box, image["width"], image["height"], place_of("annotations", index, one))
        findings += repairs
        if sides is not None:
            same = one["area"] == one["bbox"][2] * one["bbox"][3]
            kept.append({**one, "bbox": sides, **({"area": sides[2] * sides[3]} if same else {})})
        else:
            listed = image.get("annotated_categories", list(names.values()))
            image["annotated_categories"] = [name for name in listed if name != names[one["category_id"]]]
    data.coco["annotations"] = kept
    return data


FORM = Form("coco", "COCO", frozenset({".json"}), lambda folder: bool(coco_files(folder)), read_coco_folder)
"""How such a folder is known and read; its files are written as they are kept."""
