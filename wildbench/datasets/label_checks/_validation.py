"""What can be wrong with a COCO detection file, said precisely: a code, a place, a message, a remedy."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from wildbench.categories import canonical
from wildbench.datasets.label_checks._boxes import SET_FORMS, check_areas, check_boxes, check_masks
from wildbench.datasets.label_checks._findings import WHOLE, Entry, Finding, Placed, off_by_one, place_of, repeated

__all__ = ["Finding", "validate"]

Rule = tuple[str, Callable[[Any], bool]]
"""What a value has to be, in words and as a test."""

_LARGEST = 2**53
_EXIF_ORIENTATION = 0x0112
_HALF_A_CHARACTER = re.compile(r"[\ud800-\udfff]")  # JSON can escape one, UTF-8 cannot hold it


def _is_integer(value: object) -> bool:
    return type(value) is int and abs(value) < _LARGEST


def _is_number(value: object) -> bool:
    return isinstance(value, float) or _is_integer(value)


_INTEGER: Rule = ("an integer", _is_integer)
_POSITIVE: Rule = ("a positive integer", lambda value: _is_integer(value) and value > 0)
_TEXT: Rule = ("a text", lambda value: isinstance(value, str) and value != "")
_BOX: Rule = (
    "four numbers [x, y, width, height]",
    lambda value: isinstance(value, list) and len(value) == 4 and all(map(_is_number, value)),
)
_AREA: Rule = ("a finite number of at least 0", lambda value: _is_number(value) and 0 <= value < _LARGEST)
_FLAG: Rule = ("0 or 1", lambda value: type(value) in (int, bool) and value in (0, 1))
_NAMES: Rule = (
    "a list of category names",
    lambda value: isinstance(value, list) and all(isinstance(name, str) for name in value),
)

_REQUIRED: dict[str, dict[str, Rule]] = {
    "images": {"id": _INTEGER, "file_name": _TEXT, "width": _POSITIVE, "height": _POSITIVE},
    "categories": {"id": _INTEGER, "name": _TEXT},
    "annotations": {"id": _INTEGER, "image_id": _INTEGER, "category_id": _INTEGER, "bbox": _BOX},
}
_OPTIONAL: dict[str, dict[str, Rule]] = {
    "images": {"annotated_categories": _NAMES},
    "categories": {},
    "annotations": {"area": _AREA, "iscrowd": _FLAG},
}


def validate(coco: object, images_dir: Path | None = None) -> list[Finding]:
    """Look for everything that would make a number from this file doubtful.

    An entry that lacks a key, or has one of the wrong type, is reported for that alone.

    Args:
        coco: The parsed JSON.
        images_dir: Folder of the images; None leaves the files themselves unchecked.

    Returns:
        Findings; none for a file that can be trusted.

    Example:
        >>> box = {"id": 1, "image_id": 7, "category_id": 1, "bbox": [4, 4, -2, 3], "area": 6, "iscrowd": 0}
        >>> coco = {"images": [{"id": 7, "file_name": "a.jpg", "width": 9, "height": 9}],
        ...         "categories": [{"id": 1, "name": "lion"}], "annotations": [box]}
        >>> [(finding.code, finding.place) for finding in validate(coco)]
        [('box-negative-side', 'annotations[0] (id 1)')]
    """
    findings = list(_check_sections(coco))
    if any(finding.severity == "error" for finding in findings) or not isinstance(coco, dict):
        return findings
    images, categories, annotations = (
        list(_sound_entries(coco[section], section, findings)) for section in ("images", "categories", "annotations")
    )
    findings += _check_repeated(images, categories, annotations)
    findings += _check_references(annotations, _ids(coco["images"]), _ids(coco["categories"]))
    image_of = {image["id"]: image for _, image in images}
    placed = [(place, entry) for place, entry in annotations if entry["image_id"] in image_of]
    findings += check_boxes(placed, image_of)
    if not any(finding.code in SET_FORMS for finding in findings):  # else every box is wrong in the same way
        broken = {finding.place for finding in findings if finding.severity == "error"}
        sound = [(place, entry) for place, entry in placed if place not in broken]
        findings += check_areas(sound)
        findings += check_masks(sound, image_of)
        findings += _check_doubled(sound)
    findings += _check_partial_labels(images, placed, {category["id"]: category["name"] for _, category in categories})
    if images_dir is not None:
        findings += _check_files(images, images_dir)
    wrong = {finding.place for finding in findings if finding.severity == "error"}
    return findings + list(_check_values(coco, wrong))


def _check_sections(coco: object) -> Iterator[Finding]:
    if not isinstance(coco, dict):
        yield Finding("not-coco", WHOLE, "not a JSON object", "name a COCO detection JSON, not a results list")
        return
    for section in _REQUIRED:
        if not isinstance(coco.get(section), list):
            message = "missing" if section not in coco else "not a list"
            yield Finding("section-missing", section, message, "give images, annotations and categories as lists")
        elif not coco[section] and section != "annotations":
            yield Finding("section-empty", section, "empty", f"list the {section}; there is nothing to score")
    if isinstance(coco.get("annotations"), list) and not any(map(_is_scored, coco["annotations"])):
        message = "every box is a crowd, or there is none: no accuracy is defined"
        yield Finding("no-boxes", "annotations", message, "check that this is the file with the labels", "warning")


def _is_scored(entry: object) -> bool:
    return not isinstance(entry, dict) or not entry.get("iscrowd")


def _sound_entries(entries: Sequence[object], section: str, findings: list[Finding]) -> Iterator[Placed]:
    """Yield the entries that have every key in the right type; report the others."""
    for index, entry in enumerate(entries):
        place = place_of(section, index, entry)
        faults = list(_check_entry(entry, section, place))
        findings += faults
        if isinstance(entry, dict) and not any(fault.severity == "error" for fault in faults):
            yield place, entry


def _check_entry(entry: object, section: str, place: str) -> Iterator[Finding]:
    if not isinstance(entry, dict):
        yield Finding("entry-type", place, "not an object", "make it an object with COCO's keys")
        return
    for key, (wanted, holds) in (_REQUIRED[section] | _OPTIONAL[section]).items():
        if key in entry and not holds(entry[key]):
            shown = repr(entry[key])[:60]
            yield Finding("key-type", place, f'"{key}" is {shown}', f'"{key}" has to be {wanted}')
        elif key not in entry and key in _REQUIRED[section]:
            yield Finding("key-missing", place, f'no "{key}"', f'add "{key}": {wanted}')
    if section == "annotations" and "area" not in entry:
        message = 'no "area", so width × height decides what is small, medium and large'
        yield Finding("area-missing", place, message, 'add "area": pixels of the mask, or of the box', "warning")


def _check_repeated(
    images: Sequence[Placed], categories: Sequence[Placed], annotations: Sequence[Placed]
) -> Iterator[Finding]:
    sections = {"image": images, "category": categories, "annotation": annotations}
    for kind, entries in sections.items():
        for place, value, first in repeated(entries, "id"):
            yield Finding(f"{kind}-id-duplicate", place, f"id {value} is also that of {first}", "give each its own id")
    for place, value, first in repeated(categories, "name"):
        message = f'name "{value}" is also that of {first}'
        yield Finding("category-name-duplicate", place, message, "merge the two, or rename one")
    yield from _check_variants(categories)
    for place, value, first in repeated(images, "file_name"):
        message = f'file "{value}" is also that of {first}, so it is counted twice'
        yield Finding("image-file-duplicate", place, message, "list each file once", "warning")
    for place, entry in annotations:
        if entry["id"] == 0:
            message = "id 0, which pycocotools mistakes for a missed box; wildbench does not, so AP can differ from it"
            yield Finding("annotation-id-zero", place, message, "number annotations from 1", "warning")


def _check_variants(categories: Sequence[Placed]) -> Iterator[Finding]:
    """Report names that a detector's labels cannot tell apart."""
    first: dict[str, tuple[str, str]] = {}
    for place, entry in categories:
        name, other = first.setdefault(canonical(entry["name"]), (entry["name"], place))
        if name != entry["name"]:
            message = f'name "{entry["name"]}" is "{name}" of {other} but for case, space or a known alias'
            yield Finding("category-name-variant", place, message, "merge the two, or rename one", "warning")


def _check_doubled(annotations: Sequence[Placed]) -> Iterator[Finding]:
    """Report boxes that stand twice: only one of the two can be found."""
    first: dict[tuple[Any, ...], str] = {}
    for place, entry in annotations:
        if not entry.get("iscrowd"):
            other = first.setdefault((entry["image_id"], entry["category_id"], *entry["bbox"]), place)
            if other != place:
                message = f"the same box of the same category as {other}: only one of them can be found"
                yield Finding("annotation-duplicate", place, message, "list each animal once", "warning")


def _ids(entries: Sequence[object]) -> set[int]:
    """Every id a section names, those of unsound entries too: a reference to one of them is not a second mistake."""
    return {entry["id"] for entry in entries if isinstance(entry, dict) and _is_integer(entry.get("id"))}


def _check_references(annotations: Sequence[Placed], images: set[int], categories: set[int]) -> Iterator[Finding]:
    for kind, known in (("image", images), ("category", categories)):
        hint = off_by_one({entry[f"{kind}_id"] for _, entry in annotations}, known)
        for place, entry in annotations:
            value = entry[f"{kind}_id"]
            if value not in known:
                message = f"{kind}_id {value} is not in the file{hint}"
                yield Finding(
                    f"annotation-unknown-{kind}", place, message, f"list the {kind}, or remove the annotation"
                )


def _check_partial_labels(
    images: Sequence[Placed], annotations: Sequence[Placed], names: dict[int, str]
) -> Iterator[Finding]:
    listed: dict[int, list[str]] = {}
    for place, image in images:
        if "annotated_categories" in image:
            listed[image["id"]] = image["annotated_categories"]
            for name in sorted(set(image["annotated_categories"]) - set(names.values())):
                message = f'annotated_categories names "{name}", which is not a category of the file'
                yield Finding("annotated-category-unknown", place, message, "use the names under categories")
    for place, entry in annotations:
        name = names.get(entry["category_id"])
        if name is not None and name not in listed.get(entry["image_id"], [name]):
            message = f"a {name}, which its image does not list under annotated_categories: it is not scored"
            yield Finding("box-not-scored", place, message, "list the category, if all of it is boxed there", "warning")


def _check_values(coco: Entry, wrong: set[str]) -> Iterator[Finding]:
    """Report what no JSON file can hold, under any key, at each place that nothing else is wrong with."""
    for section, content in coco.items():
        entries = content if isinstance(content, list) else [content]
        for index, entry in enumerate(entries):
            place = place_of(section, index, entry) if entries is content else section
            if place in wrong:
                continue
            for key, value in entry.items() if isinstance(entry, dict) else [(section, entry)]:
                problem = _not_json([key, value])
                if problem:
                    yield Finding("value-not-json", place, f"{key!r} holds {problem}", "write it anew, or leave it out")


def _not_json(value: object) -> str | None:
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting += [*value, *value.values()]
        elif isinstance(value, list):
            waiting += value
        elif isinstance(value, float) and not math.isfinite(value):
            return f"{value}, which JSON does not have"
        elif isinstance(value, str) and _HALF_A_CHARACTER.search(value):
            return f"half a character, in {value!r:.60}"
    return None


def _check_files(images: Sequence[Placed], folder: Path) -> Iterator[Finding]:
    for place, image in images:
        path = folder / image["file_name"]
        try:
            with Image.open(path) as file:  # reads the header only
                size, turned = file.size, file.getexif().get(_EXIF_ORIENTATION, 1) >= 5
        except (UnidentifiedImageError, Image.DecompressionBombError):
            yield Finding("image-unreadable", place, f"{path} is not an image", "replace the file")
        except (OSError, ValueError):  # a ValueError where the name has a NUL in it
            yield Finding("image-missing", place, f"no file {path}", "put it there, or name the folder by --images")
        else:
            yield from _check_size(place, image, size, turned)


def _check_size(place: str, image: Entry, size: tuple[int, int], turned: bool) -> Iterator[Finding]:
    if size == (image["width"], image["height"]):
        return
    stated = f"{image['width']} x {image['height']} stated"
    message, remedy = f"{stated}, {size[0]} x {size[1]} in the file", "state the size of the stored pixels"
    if turned and size[::-1] == (image["width"], image["height"]):
        message += ": the boxes are of the picture as its EXIF tag turns it"
        remedy = "store the picture upright, without the tag; wildbench does not turn pixels"
    yield Finding("image-size", place, message, remedy)
