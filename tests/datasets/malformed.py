"""Files that lie: each made from one honest pair of files by one mutation, with what wildbench has to say about it.

The table in docs/findings.md is printed from here: `python tests/datasets/malformed.py` (with what two other
evaluators do with the same files, as they are installed).
"""

# ruff: noqa: E501 - a file a line is how the table is read

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

Json = Any
Entry = dict[str, Any]
WIDTH, HEIGHT = 200, 150


def honest() -> tuple[dict[str, Any], list[Entry]]:
    """Ten images with three animals each, all in other places; and a fair detector's detections of most of them."""
    rng = np.random.default_rng(7)
    categories = [{"id": key, "name": name} for key, name in enumerate(("lion", "zebra", "giraffe", "bird"), start=1)]
    images = [{"id": key, "file_name": f"{key}.jpg", "width": WIDTH, "height": HEIGHT} for key in range(11, 21)]
    labels: list[Entry] = []
    found: list[Entry] = []
    for image in images:
        for corner in ((4, 6), (110, 8), (60, 80)):
            x, y = (int(value) for value in corner + rng.integers(0, 14, 2))
            width, height = (int(value) for value in rng.integers(24, 56, 2))
            box = [x, y, width, height]
            category = 1 + len(labels) % 4
            labels.append(
                {
                    "id": len(labels) + 1,
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": box,
                    "area": width * height,
                    "iscrowd": 0,
                    "segmentation": [[x, y, x + width, y, x + width, y + height, x, y + height]],
                }
            )
            near = (np.array(box) + rng.normal(0, 1.5, 4)).round(2).tolist()
            keys = {"image_id": image["id"], "category_id": category}
            found.append(keys | {"bbox": near, "score": round(float(rng.uniform(0.55, 0.95)), 3)})
            junk = [float(value) for value in (*rng.integers(0, 100, 2), *rng.integers(10, 50, 2))]
            other = {"image_id": image["id"], "category_id": int(rng.integers(1, 5))}
            found.append(other | {"bbox": junk, "score": round(float(rng.uniform(0.05, 0.4)), 3)})
    return {"images": images, "categories": categories, "annotations": labels}, found


Which = Literal["labels", "detections"]


@dataclass(frozen=True)
class Lie:
    """One malformed file.

    Attributes:
        name: What is wrong with it, in words.
        which: Which of the two files.
        code: The finding that names it.
        severity: Of that finding.
        place: Where, as the finding says it.
        change: Takes the honest JSON, returns the lying one, or the bytes of the file.
        also: What follows from it.
    """

    name: str
    which: Which
    code: str
    severity: Literal["error", "warning", "note"]
    place: str
    change: Callable[[Json], Json | bytes]
    also: tuple[str, ...] = ()


def edit(change: Callable[[Json], object]) -> Callable[[Json], Json]:
    """A mutation that changes the JSON in place."""

    def changed(document: Json) -> Json:
        change(document)
        return document

    return changed


def boxes(form: Callable[[float, float, float, float], list[float]]) -> Callable[[Json], Json]:
    """Every box of a file in another form."""

    def changed(document: Json) -> Json:
        for entry in document["annotations"] if isinstance(document, dict) else document:
            entry["bbox"] = [float(value) for value in form(*entry["bbox"])]
        return document

    return changed


def entries(key: str, value: Callable[[Entry], object]) -> Callable[[Json], Json]:
    """One key of every annotation or detection."""

    def changed(document: Json) -> Json:
        for entry in document["annotations"] if isinstance(document, dict) else document:
            entry[key] = value(entry)
        return document

    return changed


def one(section: str, **values: object) -> Callable[[Json], Json]:
    """The third entry of a section with other values."""
    return edit(lambda document: document[section][2].update(values))


def third(**values: object) -> Callable[[Json], Json]:
    """The third detection with other values."""
    return edit(lambda document: document[2].update(values))


def raw(text: Callable[[str], str | bytes]) -> Callable[[Json], bytes]:
    """The file's text, changed."""

    def changed(document: Json) -> bytes:
        written = text(json.dumps(document))
        return written if isinstance(written, bytes) else written.encode()

    return changed


def xyxy(x: float, y: float, w: float, h: float) -> list[float]:
    return [x, y, x + w, y + h]


def cxcywh(x: float, y: float, w: float, h: float) -> list[float]:
    return [x + w / 2, y + h / 2, w, h]


def shares(x: float, y: float, w: float, h: float) -> list[float]:
    return [x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT]


def rle_of_wrong_size(document: Json) -> None:
    document["annotations"][2]["segmentation"] = {"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]}


def text_ids(document: Json) -> None:
    for image in document["images"]:
        image["id"] = str(image["id"])
    for entry in document["annotations"]:
        entry["image_id"] = str(entry["image_id"])


def relative(document: Json) -> None:
    entry = document["annotations"][2]
    entry["bbox_relative"] = shares(*entry.pop("bbox"))


IMAGE, CATEGORY, BOX = "images[2] (id 13)", "categories[2] (id 3)", "annotations[2] (id 3)"
ALL, EVERY, FILE = "annotations (all 30 boxes)", "all 60 detections", "the file"
NAN, INF = float("nan"), float("inf")


LIES = [
    # the file
    Lie("empty file", "labels", "not-json", "error", FILE, raw(lambda text: "")),
    Lie("cut short", "labels", "not-json", "error", FILE, raw(lambda text: text[:-40])),
    Lie("UTF-16", "labels", "json-encoding", "warning", FILE, raw(lambda text: text.encode("utf-16"))),
    Lie("byte-order mark", "labels", "json-encoding", "warning", FILE, raw(lambda text: "\ufeff" + text)),
    Lie("not UTF-8", "labels", "not-json", "error", FILE, raw(lambda text: text.replace("lion", "\xe4").encode("latin-1"))),
    Lie("a key twice in an object", "labels", "json-key-duplicate", "error", FILE, raw(lambda text: text.replace('"name": "lion"', '"name": "lion", "name": "cat"'))),
    Lie("an integer of 5,000 digits", "labels", "not-json", "error", FILE, raw(lambda text: text.replace('"area": ', '"area": ' + "9" * 5000, 1))),
    Lie("nested 100,000 deep", "labels", "not-json", "error", FILE, raw(lambda text: "[" * 100_000)),
    Lie("detections in the labels' place", "labels", "not-coco", "error", FILE, lambda _: honest()[1]),
    Lie("a single number", "labels", "not-coco", "error", FILE, lambda _: 3),
    Lie("null", "labels", "not-coco", "error", FILE, lambda _: None),
    # sections
    Lie("no images", "labels", "section-missing", "error", "images", edit(lambda d: d.pop("images"))),
    Lie("images as an object", "labels", "section-missing", "error", "images", edit(lambda d: d.update(images={"11": d["images"][0]}))),
    Lie("annotations null", "labels", "section-missing", "error", "annotations", edit(lambda d: d.update(annotations=None))),
    Lie("empty list of images", "labels", "section-empty", "error", "images", edit(lambda d: d["images"].clear())),
    Lie("empty list of categories", "labels", "section-empty", "error", "categories", edit(lambda d: d["categories"].clear())),
    Lie("empty list of annotations", "labels", "no-boxes", "warning", "annotations", edit(lambda d: d["annotations"].clear())),
    Lie("every box a crowd", "labels", "no-boxes", "warning", "annotations", entries("iscrowd", lambda _: 1)),
    # dialects
    Lie("image ids as texts", "labels", "ids-numbered", "note", "images", edit(text_ids)),
    Lie("a placeholder for an empty image", "labels", "image-empty", "note", "annotations", one("annotations", bbox=[], area=0)),
    Lie("a species without a box", "labels", "species-without-box", "warning", "annotations", one("annotations", bbox=None, area=None)),
    Lie("shares under a key of their own", "labels", "boxes-relative", "note", "annotations", edit(relative)),
    Lie("ignore 1", "labels", "ignore-unread", "note", BOX, one("annotations", ignore=1)),
    Lie("a turned box", "labels", "box-turned", "warning", BOX, one("annotations", attributes={"rotation": 45.0})),
    # entries
    Lie("an annotation as a list", "labels", "entry-type", "error", "annotations[2]", edit(lambda d: d["annotations"].__setitem__(2, [1, 2, 3, 4]))),
    Lie("box without its image", "labels", "key-missing", "error", BOX, edit(lambda d: d["annotations"][2].pop("image_id"))),
    Lie("box missing", "labels", "key-missing", "error", BOX, edit(lambda d: d["annotations"][2].pop("bbox"))),
    Lie("box null", "labels", "key-type", "error", BOX, one("annotations", bbox=None)),
    Lie("box of three numbers", "labels", "key-type", "error", BOX, one("annotations", bbox=[1, 2, 3])),
    Lie("box as an object", "labels", "key-type", "error", BOX, one("annotations", bbox={"x": 1, "y": 2, "w": 3, "h": 4})),
    Lie("box of texts", "labels", "key-type", "error", BOX, one("annotations", bbox=["1", "2", "3", "4"])),
    Lie("image id as a text", "labels", "key-type", "error", BOX, one("annotations", image_id="11")),
    Lie("category id true", "labels", "key-type", "error", BOX, one("annotations", category_id=True)),
    Lie("category id 1.0", "labels", "key-type", "error", BOX, one("annotations", category_id=1.0)),
    Lie("coordinate 10^400", "labels", "key-type", "error", BOX, one("annotations", bbox=[10**400, 2, 3, 4])),
    Lie("iscrowd 2", "labels", "key-type", "error", BOX, one("annotations", iscrowd=2)),
    Lie("iscrowd null", "labels", "value-null", "warning", "annotations", one("annotations", iscrowd=None)),
    Lie("area negative", "labels", "key-type", "error", BOX, one("annotations", area=-40)),
    Lie("image width 0", "labels", "key-type", "error", IMAGE, one("images", width=0)),
    Lie("image height as a text", "labels", "key-type", "error", IMAGE, one("images", height="150")),
    Lie("category without a name", "labels", "key-missing", "error", CATEGORY, edit(lambda d: d["categories"][2].pop("name"))),
    Lie("annotated_categories as a text", "labels", "key-type", "error", IMAGE, one("images", annotated_categories="lion")),
    Lie("annotated_categories misspelt", "labels", "annotated-category-unknown", "error", IMAGE, one("images", annotated_categories=["lion", "zebra", "giraffe", "bird", "lino"])),
    Lie("box of a category that its image does not list", "labels", "box-not-scored", "warning", "annotations[6] (id 7)", one("images", annotated_categories=["lion", "zebra", "bird"])),
    Lie("NaN under another key", "labels", "value-not-json", "error", IMAGE, one("images", gps=[NAN, 1])),
    # ids
    Lie("image id twice", "labels", "image-id-duplicate", "error", "images[10] (id 11)", edit(lambda d: d["images"].append(d["images"][0] | {"file_name": "b.jpg"}))),
    Lie("category id twice", "labels", "category-id-duplicate", "error", "categories[4] (id 1)", edit(lambda d: d["categories"].append({"id": 1, "name": "eland"}))),
    Lie("annotation id twice", "labels", "annotation-id-duplicate", "warning", "annotations[2] (id 1)", one("annotations", id=1)),
    Lie("annotation id 0", "labels", "annotation-id-zero", "warning", "annotations[2] (id 0)", one("annotations", id=0)),
    Lie("category ids count from 0", "labels", "annotation-unknown-category", "error", "annotations[0] (id 1)", entries("category_id", lambda e: e["category_id"] - 1)),
    Lie("image ids one too high", "labels", "annotation-unknown-image", "error", "annotations[27] (id 28)", entries("image_id", lambda e: e["image_id"] + 1)),
    Lie("annotation of an unknown category", "labels", "annotation-unknown-category", "error", BOX, one("annotations", category_id=99)),
    Lie("orphan annotation: its image is not listed", "labels", "annotation-unknown-image", "error", BOX, one("annotations", image_id=99)),
    Lie("one category under two ids", "labels", "category-name-duplicate", "error", CATEGORY, one("categories", name="lion")),
    Lie("one category in two spellings", "labels", "category-name-variant", "warning", CATEGORY, one("categories", name="Lion ")),
    Lie("one file under two image ids", "labels", "image-file-duplicate", "warning", IMAGE, one("images", file_name="11.jpg")),
    Lie("every animal listed twice", "labels", "annotation-duplicate", "warning", "annotations[30] (id 31)", edit(lambda d: d["annotations"].extend(e | {"id": e["id"] + 30} for e in list(d["annotations"])))),
    # boxes
    Lie("negative side", "labels", "box-negative-side", "error", BOX, one("annotations", bbox=[90, 90, -20, 30])),
    Lie("zero side", "labels", "box-zero-side", "warning", BOX, one("annotations", bbox=[90, 90, 0, 30], segmentation=[])),
    Lie("NaN in a box", "labels", "box-not-finite", "error", BOX, one("annotations", bbox=[NAN, 90, 20, 30])),
    Lie("infinity in a box", "labels", "box-not-finite", "error", BOX, one("annotations", bbox=[90, 90, INF, 30])),
    Lie("1e999 in a box", "labels", "box-not-finite", "error", "annotations[0] (id 1)", raw(lambda text: text.replace('"bbox": [', '"bbox": [1e999, 1, 1, 1], "was": [', 1))),
    Lie("box beyond its image's edge by little", "labels", "box-beyond-edge", "warning", BOX, one("annotations", bbox=[190, 120, 12, 30], area=360, segmentation=[])),
    Lie("box outside its image", "labels", "box-outside-image", "error", BOX, one("annotations", bbox=[190, 140, 40, 30])),
    Lie("all boxes as corners", "labels", "boxes-xyxy", "error", ALL, boxes(xyxy)),
    Lie("all boxes from their centre", "labels", "boxes-cxcywh", "error", ALL, boxes(cxcywh)),
    Lie("all boxes y before x", "labels", "boxes-transposed", "error", ALL, boxes(lambda x, y, w, h: [y, x, h, w])),
    Lie("width and height of all images swapped", "labels", "boxes-transposed", "error", ALL, edit(lambda d: [image.update(width=HEIGHT, height=WIDTH) for image in d["images"]])),
    Lie("all boxes in shares of the image", "labels", "boxes-normalised", "error", ALL, boxes(shares)),
    Lie("one box in shares of the image", "labels", "box-normalised", "error", BOX, one("annotations", bbox=[0.2, 0.3, 0.1, 0.4])),
    Lie("boxes of another image size, too large", "labels", "box-outside-image", "error", "annotations[1] (id 2)", boxes(lambda x, y, w, h: [2 * x, 2 * y, 2 * w, 2 * h]), ("mask-unlike-box",)),
    Lie("boxes of another image size, too small", "labels", "mask-unlike-box", "warning", "annotations[0] (id 1)", boxes(lambda x, y, w, h: [x / 2, y / 2, w / 2, h / 2]), ("area-unlike-box", "detections-rescaled")),
    Lie("area of another unit", "labels", "area-unlike-box", "warning", BOX, one("annotations", area=0.02)),
    Lie("area larger than the box", "labels", "area-unlike-box", "warning", BOX, one("annotations", area=30000)),
    Lie("area missing", "labels", "area-missing", "warning", BOX, edit(lambda d: d["annotations"][2].pop("area"))),
    # masks
    Lie("RLE of a turned image", "labels", "mask-invalid", "error", BOX, edit(rle_of_wrong_size)),
    Lie("polygon of two points", "labels", "mask-invalid", "error", BOX, one("annotations", segmentation=[[1, 2, 3, 4]])),
    Lie("mask elsewhere than its box", "labels", "mask-unlike-box", "warning", BOX, one("annotations", segmentation=[[1, 1, 30, 1, 30, 30]])),
    # detections: the file
    Lie("detections cut short", "detections", "not-json", "error", FILE, raw(lambda text: text[:-30])),
    Lie("detections in UTF-16", "detections", "json-encoding", "warning", FILE, raw(lambda text: text.encode("utf-16"))),
    Lie("a key twice in a detection", "detections", "json-key-duplicate", "error", FILE, raw(lambda text: text.replace('"score"', '"score": 1, "score"', 1))),
    Lie("labels in the detections' place", "detections", "not-results", "error", FILE, lambda _: honest()[0]),
    Lie("detections under a key", "detections", "not-results", "error", FILE, lambda d: {"predictions": d}),
    Lie("a detection as a list", "detections", "entry-type", "error", "[2]", edit(lambda d: d.__setitem__(2, [11, 1, 2, 3, 4, 0.5]))),
    Lie("not one detection", "detections", "no-detections", "note", FILE, edit(lambda d: d.clear())),
    # detections: one
    Lie("detection without a score", "detections", "key-missing", "error", "[2]", edit(lambda d: d[2].pop("score"))),
    Lie("score null", "detections", "key-type", "error", "[2]", third(score=None)),
    Lie("score as a text", "detections", "key-type", "error", "[2]", third(score="0.9")),
    Lie("score above 1", "detections", "score-range", "error", "[2]", third(score=1.2)),
    Lie("score negative", "detections", "score-range", "error", "[2]", third(score=-0.1)),
    Lie("score NaN", "detections", "score-range", "error", "[2]", third(score=NAN)),
    Lie("scores in percent", "detections", "score-range", "error", "[0]", entries("score", lambda e: 100 * e["score"])),
    Lie("scores as logits", "detections", "score-range", "error", "[1]", entries("score", lambda e: float(np.log(e["score"] / (1 - e["score"]))))),
    Lie("image id of a detection as a text", "detections", "key-type", "error", "[2]", third(image_id="11")),
    Lie("category name for its id", "detections", "key-type", "error", "[2]", third(category_id="lion")),
    Lie("detection in an unknown image", "detections", "detection-unknown-image", "error", "[2]", third(image_id=99)),
    Lie("detection of an unknown category", "detections", "detection-unknown-category", "error", "[2]", third(category_id=99)),
    Lie("labels count from 0", "detections", "detection-unknown-category", "error", "[0]", entries("category_id", lambda e: e["category_id"] - 1)),
    Lie("detections of another split", "detections", "detection-unknown-image", "error", "[0]", entries("image_id", lambda e: e["image_id"] + 100)),
    Lie("detection with a negative side", "detections", "box-negative-side", "error", "[2]", third(bbox=[90, 90, -20, 30])),
    Lie("NaN in a detection", "detections", "box-not-finite", "error", "[2]", third(bbox=[NAN, 90, 20, 30])),
    Lie("infinity in a detection", "detections", "box-not-finite", "error", "[2]", third(bbox=[90, 90, INF, 30])),
    Lie("coordinate 10^400 in a detection", "detections", "box-not-finite", "error", "[2]", third(bbox=[10**400, 2, 3, 4])),
    Lie("detection of three numbers", "detections", "key-type", "error", "[2]", third(bbox=[1, 2, 3])),
    Lie("mask for one detection only", "detections", "mask-missing", "error", "[0]", third(segmentation=[[1, 2, 11, 2, 11, 22]])),
    Lie("mask of a turned image", "detections", "mask-invalid", "error", "[0]", entries("segmentation", lambda _: {"size": [WIDTH, HEIGHT], "counts": [WIDTH * HEIGHT]})),
    # detections: all
    Lie("detections as corners", "detections", "detections-xyxy", "warning", EVERY, boxes(xyxy)),
    Lie("detections from their centre", "detections", "detections-cxcywh", "warning", EVERY, boxes(cxcywh)),
    Lie("detections y before x", "detections", "detections-transposed", "warning", EVERY, boxes(lambda x, y, w, h: [y, x, h, w])),
    Lie("detections as corners, y before x", "detections", "detections-yxyx", "warning", EVERY, boxes(lambda x, y, w, h: [y, x, y + h, x + w])),
    Lie("detections in shares of the image", "detections", "detections-normalised", "warning", EVERY, boxes(shares)),
    Lie("corners in shares of the image", "detections", "detections-normalised-xyxy", "warning", EVERY, boxes(lambda x, y, w, h: shares(*xyxy(x, y, w, h)))),
    Lie("centres in shares of the image", "detections", "detections-normalised-cxcywh", "warning", EVERY, boxes(lambda x, y, w, h: shares(*cxcywh(x, y, w, h)))),
    Lie("detections in pixels of a padded input of 640", "detections", "detections-rescaled", "warning", EVERY, boxes(lambda x, y, w, h: [v * 640 / WIDTH for v in (x, y, w, h)])),
    Lie("detections in pixels of a stretched input of 320", "detections", "detections-rescaled", "warning", EVERY, boxes(lambda x, y, w, h: [320 * v for v in shares(x, y, w, h)])),
    Lie("detections at half size", "detections", "detections-rescaled", "warning", EVERY, boxes(lambda x, y, w, h: [v / 2 for v in (x, y, w, h)])),
    Lie("detections of pictures mirrored left for right", "detections", "detections-mirrored-x", "warning", EVERY, boxes(lambda x, y, w, h: [WIDTH - x - w, y, w, h])),
    Lie("detections with y from the bottom", "detections", "detections-mirrored-y", "warning", EVERY, boxes(lambda x, y, w, h: [x, HEIGHT - y - h, w, h])),
    Lie("detections far outside their images", "detections", "detections-outside-image", "warning", EVERY, boxes(lambda x, y, w, h: [x + 900, y, w, h])),
    Lie("labels shifted by the background", "detections", "detections-labels-shifted", "warning", "all 46 detections", lambda d: [e | {"category_id": e["category_id"] + 1} for e in d if e["category_id"] < 4]),
    Lie("category ids in the order of the alphabet", "detections", "detections-labels-permuted", "warning", EVERY, entries("category_id", lambda e: {1: 3, 2: 4, 3: 2, 4: 1}[e["category_id"]])),
    Lie("two categories swapped", "detections", "detections-labels-permuted", "warning", EVERY, entries("category_id", lambda e: {1: 3, 3: 1}.get(e["category_id"], e["category_id"]))),
    Lie("every detection of one category", "detections", "detections-one-category", "note", EVERY, entries("category_id", lambda _: 1)),
    Lie("image ids one too low", "detections", "detections-images-shifted", "warning", "all 54 detections", lambda d: [e | {"image_id": e["image_id"] - 1} for e in d if e["image_id"] > 11]),
    Lie("distances for scores", "detections", "scores-reversed", "warning", EVERY, entries("score", lambda e: 1 - e["score"])),
    Lie("every detection twice", "detections", "detections-duplicate", "warning", "all 120 detections", lambda d: d + d),
    Lie("every detection twice, a thousandth of a pixel apart", "detections", "detections-duplicate", "warning", "all 120 detections", lambda d: d + [e | {"bbox": [e["bbox"][0] + 0.001, *e["bbox"][1:]]} for e in d]),
    Lie("every detection twice, at 0.999 of the score", "detections", "detections-duplicate", "warning", "all 120 detections", lambda d: d + [e | {"score": e["score"] * 0.999} for e in d]),
    Lie("one detection twice", "detections", "detections-duplicate", "note", "all 61 detections", lambda d: d + d[:1]),
    Lie("the second half of the images missing", "detections", "detections-cut-short", "warning", "all 30 detections", lambda d: [e for e in d if e["image_id"] < 16]),
    Lie("every second image missing", "detections", "images-without-detections", "warning", "all 30 detections", lambda d: [e for e in d if e["image_id"] % 2]),
    Lie("an image missing here and there", "detections", "images-without-detections", "note", "all 48 detections", lambda d: [e for e in d if e["image_id"] not in (12, 17)]),
    Lie("every score the same", "detections", "scores-all-equal", "note", EVERY, entries("score", lambda _: 0.5)),
    Lie("more than 100 detections of a category in an image", "detections", "detections-beyond-limit", "note", "all 180 detections", lambda d: d + [d[0] | {"score": round(0.001 + n / 10000, 5)} for n in range(120)]),
]  # fmt: skip
"""Every file, in the order of the page."""


def spoilt(lie: Lie, folder: Path) -> tuple[Path, Path]:
    """Write the honest pair with one of the two spoilt: labels, detections."""
    labels, found = honest()
    documents: dict[str, Any] = {"labels": labels, "detections": found}
    documents[lie.which] = lie.change(copy.deepcopy(documents[lie.which]))
    paths = {}
    for which, document in documents.items():
        paths[which] = folder / f"{which}.json"
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        paths[which].write_bytes(data)
    return paths["labels"], paths["detections"]
