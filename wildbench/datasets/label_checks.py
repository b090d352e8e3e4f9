"""What can be wrong with a COCO detection file, said precisely: a code, a place, a message, a remedy.

Boxes are judged first as a whole set: a file in another box form breaks every box in the same way, and one finding that
names the cause is worth more than thousands that name its effects.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from wildbench.categories import canonical
from wildbench.datasets.findings import WHOLE, Entry, Finding, Placed, has_error, off_by_one, place_of
from wildbench.datasets.image_files import is_file
from wildbench.datasets.masks import mask_extent, mask_problem
from wildbench.files import MOST_PIXELS

Boxes = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Rule = tuple[str, Callable[[Any], bool]]
"""What a value has to be, in words and as a test."""

_LARGEST = 2**53
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


def validate(coco: object, images_dir: Path | None = None, located: Mapping[str, str] | None = None) -> list[Finding]:
    """Look for everything that would make a number from this file doubtful.

    An entry that lacks a key, or has one of the wrong type, is reported for that alone.

    Args:
        coco: The parsed JSON.
        images_dir: Folder of the images; None leaves the files themselves unchecked.
        located: Where below it the pictures are whose `file_name` says something else.

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
    if not isinstance(coco, dict) or has_error(findings):
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
        broken = _wrong(findings)
        sound = [(place, entry) for place, entry in placed if place not in broken]
        findings += check_areas(sound)
        findings += check_masks(sound, image_of)
        findings += _check_doubled(sound)
        findings += _check_attributes(sound)
    findings += _check_sizes(images)
    findings += _check_partial_labels(images, placed, {category["id"]: category["name"] for _, category in categories})
    if images_dir is not None:
        findings += _check_files(images, images_dir, located or {})
    return findings + list(_check_values(coco, _wrong(findings)))


def _wrong(findings: Sequence[Finding]) -> set[str]:
    """Places with an error."""
    return {finding.place for finding in findings if finding.severity == "error"}


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
    annotations = coco.get("annotations")
    if isinstance(annotations, list) and all(isinstance(one, dict) and one.get("iscrowd") for one in annotations):
        message, remedy = "there is no box: no accuracy is defined", "check that this is the file with the labels"
        if annotations:
            message = "every box is a crowd (iscrowd 1): no accuracy is defined; tools that export masks write this"
            remedy = "set iscrowd to 0, where each is one animal"
        yield Finding("no-boxes", "annotations", message, remedy, "warning")


def _sound_entries(entries: Sequence[object], section: str, findings: list[Finding]) -> Iterator[Placed]:
    """Yield the entries that have every key in the right type; report the others."""
    for index, entry in enumerate(entries):
        place = place_of(section, index, entry)
        faults = list(_check_entry(entry, section, place))
        findings += faults
        if isinstance(entry, dict) and not has_error(faults):
            yield place, entry


def _check_entry(entry: object, section: str, place: str) -> Iterator[Finding]:
    if not isinstance(entry, dict):
        yield Finding("entry-type", place, "not an object", "make it an object with COCO's keys")
        return
    for key, (wanted, holds) in (_REQUIRED[section] | _OPTIONAL[section]).items():
        if key in entry and not holds(entry[key]):
            yield Finding("key-type", place, f'"{key}" is {entry[key]!r:.60}', f'"{key}" has to be {wanted}')
        elif key not in entry and key in _REQUIRED[section]:
            yield Finding("key-missing", place, f'no "{key}"', f'add "{key}": {wanted}')
    if section == "annotations" and "area" not in entry:
        message = 'no "area", so width × height decides what is small, medium and large'
        yield Finding("area-missing", place, message, 'add "area": pixels of the mask, or of the box', "warning")


def _repeated(entries: Sequence[Placed], key: Callable[[Entry], object]) -> Iterator[tuple[str, Entry, str]]:
    """Entries whose key an earlier one has already: place, entry, place of the first."""
    first: dict[object, str] = {}
    for place, entry in entries:
        other = first.setdefault(key(entry), place)
        if other != place:
            yield place, entry, other


def _check_repeated(
    images: Sequence[Placed], categories: Sequence[Placed], annotations: Sequence[Placed]
) -> Iterator[Finding]:
    for kind, entries in {"image": images, "category": categories, "annotation": annotations}.items():
        for place, entry, first in _repeated(entries, lambda entry: entry["id"]):
            message = f"id {entry['id']} is also that of {first}"
            yield Finding(f"{kind}-id-duplicate", place, message, "give each its own id")
    for place, entry, first in _repeated(categories, lambda entry: entry["name"]):
        message = f'name "{entry["name"]}" is also that of {first}'
        yield Finding("category-name-duplicate", place, message, "merge the two, or rename one")
    yield from _check_variants(categories)
    for place, entry, first in _repeated(images, lambda entry: entry["file_name"]):
        message = f'file "{entry["file_name"]}" is also that of {first}, so it is counted twice'
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
    animals = [(place, entry) for place, entry in annotations if not entry.get("iscrowd")]
    for place, _, other in _repeated(animals, lambda entry: (entry["image_id"], entry["category_id"], *entry["bbox"])):
        message = f"the same box of the same category as {other}: only one of them can be found"
        yield Finding("annotation-duplicate", place, message, "list each animal once", "warning")


def _check_attributes(annotations: Sequence[Placed]) -> Iterator[Finding]:
    """Report what other tools keep beside a box, and no COCO evaluation looks at."""
    for place, entry in annotations:
        attributes = entry.get("attributes")
        turn = attributes.get("rotation") if isinstance(attributes, dict) else None
        if isinstance(turn, int | float) and turn % 180:
            message = f"a box turned by {turn:g} degrees: the upright one is larger than the animal, or beside it"
            yield Finding("box-turned", place, message, "draw it upright, or around the animal", "warning")
    ignored = [place for place, entry in annotations if entry.get("ignore") and not entry.get("iscrowd")]
    if ignored:
        message = f"{len(ignored)} boxes have ignore 1, which COCO's evaluation does not look at: they are scored"
        yield Finding("ignore-unread", ignored[0], message, "set iscrowd to 1 to leave them out", "note")


def _ids(entries: Sequence[object]) -> set[int]:
    """Every id a section names, those of unsound entries too: a reference to one of them is not a second mistake."""
    return {entry["id"] for entry in entries if isinstance(entry, dict) and _is_integer(entry.get("id"))}


def _check_references(annotations: Sequence[Placed], images: set[int], categories: set[int]) -> Iterator[Finding]:
    for kind, known in (("image", images), ("category", categories)):
        hint = off_by_one({entry[f"{kind}_id"] for _, entry in annotations}, known)
        for place, entry in annotations:
            if entry[f"{kind}_id"] not in known:
                message = f"{kind}_id {entry[f'{kind}_id']} is not in the file{hint}"
                remedy = f"list the {kind}, or remove the annotation"
                yield Finding(f"annotation-unknown-{kind}", place, message, remedy)


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
                if problem := _not_json([key, value]):
                    yield Finding(
                        "value-not-json", place, f"{key!r} holds {problem}", "write it again, or leave it out"
                    )


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


def _check_sizes(images: Sequence[Placed]) -> Iterator[Finding]:
    for place, image in images:
        if image["width"] * image["height"] > MOST_PIXELS:
            message = f"{image['width']} x {image['height']}, more than {MOST_PIXELS:,} pixels"
            yield Finding("image-too-large", place, message, "leave it out, or store it smaller")


def _check_files(images: Sequence[Placed], folder: Path, located: Mapping[str, str]) -> Iterator[Finding]:
    for place, image in images:
        path = folder / located.get(image["file_name"], image["file_name"])
        if not is_file(path):  # a pipe, too, which would be waited for
            yield Finding("image-missing", place, f"no file {path}", "put it there, or name the folder by --images")
            continue
        try:
            with Image.open(path) as file:  # reads the header only
                size, turn = file.size, file.getexif().get(ExifTags.Base.Orientation, 1)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            yield Finding("image-unreadable", place, f"{path} is not an image", "replace the file")
        else:
            yield from _check_size(place, image, size, turn)


def _check_size(place: str, image: Entry, size: tuple[int, int], turn: int) -> Iterator[Finding]:
    if turn > 1 and size == (image["width"], image["height"]):
        message = f"EXIF orientation {turn}: nothing tells whether the boxes are of the turned picture"
        remedy = "look at the boxes; they are taken to be of the stored pixels"
        yield Finding("orientation-unsure", place, message, remedy, "warning")
    stated = image["width"], image["height"]
    message = "{} x {} stated, {} x {} in the file".format(*stated, *size)
    remedy = "state the size of the stored pixels"
    if turn >= 5 and size[::-1] == stated != size:
        message += ": the boxes are of the picture as its EXIF tag turns it"
        remedy = "store the picture upright, without the tag; wildbench does not turn pixels"
    if size != stated:
        yield Finding("image-size", place, message, remedy)


TOLERANCE = 1.0
"""Pixels a box may stick out of its image: rounding, not a mistake."""

FAR = 0.02
"""Share of the image's side from which on a box leaves it by more than rounding or resizing explains."""

FEW = 3
"""So few boxes outside their image are each reported, even where the whole set seems to be in another form."""

ROUNDING = 4.0
"""Pixels that a box or an area may be off for rounding, and for masks drawn coarsely."""

SET_FORMS = frozenset({"boxes-normalised", "boxes-xyxy", "boxes-transposed", "boxes-cxcywh"})
"""Codes that say in which other form all boxes are."""

_CONVERT = "convert to [x, y, width, height] in pixels"


def check_boxes(annotations: Sequence[Placed], image_of: Mapping[int, Entry]) -> Iterator[Finding]:
    """Report the form of the whole set where it is wrong, else each box that is."""
    finite = []
    for place, entry in annotations:
        if all(map(math.isfinite, entry["bbox"])):
            finite.append((place, entry))
        else:
            yield Finding("box-not-finite", place, f"bbox {entry['bbox']}", "measure the box again, or remove it")
    if not finite:
        return
    boxes = np.array([entry["bbox"] for _, entry in finite], dtype=np.float64)
    images = [image_of[entry["image_id"]] for _, entry in finite]
    sizes = np.array([[image["width"], image["height"]] for image in images], dtype=np.float64)
    areas = np.array([entry.get("area", math.nan) for _, entry in finite], dtype=np.float64)
    form = _form(boxes, sizes, areas)
    if form is not None:
        yield form
    places = [place for place, _ in finite]
    for code, broken, message, remedy, severity in _rules(boxes, sizes, form is None):
        for index in np.flatnonzero(broken):
            shown = "bbox [" + ", ".join(f"{value:g}" for value in boxes[index]) + "]"
            size = f"{sizes[index, 0]:g} x {sizes[index, 1]:g}"
            yield Finding(code, places[index], f"{shown} {message.format(size=size)}", remedy, severity)


Severity = Literal["error", "warning"]


def _rules(boxes: Boxes, sizes: Boxes, right_form: bool) -> Iterator[tuple[str, Flags, str, str, Severity]]:
    """Code, broken boxes, message, remedy and severity of each rule for a single box."""
    negative, zero = boxes[:, 2:].min(1) < 0, boxes[:, 2:].min(1) == 0
    yield "box-negative-side", negative, "has a negative side", "order the corners, then subtract", "error"
    empty = "has a side of 0, so that nothing can find it"
    yield "box-zero-side", zero, empty, "measure the box again, or remove it", "warning"
    outside, far = _outside(boxes, sizes) & ~negative, _outside(boxes, sizes, np.maximum(ROUNDING, sizes * FAR))
    if right_form or outside.sum() <= FEW:
        remedy = "clip the box to the image, or check the image's size"
        yield "box-outside-image", outside & far, "leaves its image of {size}", remedy, "error"
        yield "box-beyond-edge", outside & ~far, "leaves its image of {size} by little", remedy, "warning"
    if right_form:
        pixel = _in_first_pixel(boxes, sizes) & ~zero
        yield "box-normalised", pixel, "has every number in 0..1", _CONVERT, "error"


def _form(boxes: Boxes, sizes: Boxes, areas: Boxes) -> Finding | None:
    """Say which other form the whole set is in, by every sign of it."""
    where = f"annotations (all {len(boxes)} boxes)"
    normalised = _in_first_pixel(boxes, sizes).mean()
    if normalised >= 0.5:
        message = f"{normalised:.0%} of the boxes have every number in 0..1: they are normalised by the image size"
        return Finding("boxes-normalised", where, message, f"multiply by width and height, {_CONVERT}")
    out = f"{_outside(boxes, sizes).mean():.0%} of the boxes leave their image as x, y, width, height; as"
    if _looks_xyxy(boxes, sizes, areas):
        message = f"{out} x1, y1, x2, y2 they all fit"
        return Finding("boxes-xyxy", where, message, f"{_CONVERT}: [x1, y1, x2 - x1, y2 - y1]")
    if len(boxes) > FEW and _outside(boxes, sizes).mean() >= 0.1:
        if _fits(boxes, sizes[:, ::-1]):
            message = f"{out} y, x, height, width they all fit: that is their order, or the images' sizes are swapped"
            return Finding("boxes-transposed", where, message, "give x first, and width before height")
        if _fits(np.hstack([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, 2:]]), sizes):
            message = f"{out} centre x, centre y, width, height they all fit"
            return Finding("boxes-cxcywh", where, message, f"{_CONVERT}: [cx - width / 2, cy - height / 2, ...]")
    return None


def _fits(boxes: Boxes, sizes: Boxes) -> bool:
    """Whether the boxes, read in this way, are sound and stay in their images, but for a few."""
    return bool((~_outside(boxes, sizes) & (boxes[:, 2:] > 0).all(1)).mean() >= 0.98)


def _looks_xyxy(boxes: Boxes, sizes: Boxes, areas: Boxes) -> bool:
    """Whether nearly all boxes are sound corners, and too many stick out as sides or have the area of corners."""
    spans = boxes[:, 2:] - boxes[:, :2]
    corners = (spans > 0).all(1) & (boxes >= -TOLERANCE).all(1) & (boxes[:, 2:] <= sizes + TOLERANCE).all(1)
    if corners.mean() < 0.98:
        return False
    as_corners = np.isclose(areas, spans.prod(1), rtol=0.01).mean()
    as_sides = np.isclose(areas, boxes[:, 2:].prod(1), rtol=0.01).mean()
    return bool(_outside(boxes, sizes).mean() >= 0.1 or (as_corners >= 0.9 and as_sides < 0.1))


def _in_first_pixel(boxes: Boxes, sizes: Boxes) -> Flags:
    """Boxes that lie within the top left pixel, which no animal does."""
    return np.asarray(((boxes >= 0) & (boxes <= 1)).all(1) & (sizes > 4).all(1))


def _outside(boxes: Boxes, sizes: Boxes, by: Boxes | float = TOLERANCE) -> Flags:
    far = boxes[:, :2] + boxes[:, 2:]
    return np.asarray((boxes[:, :2] < -np.asarray(by)).any(1) | (far > sizes + by).any(1))


def check_masks(annotations: Sequence[Placed], image_of: Mapping[int, Entry]) -> Iterator[Finding]:
    """Report each mask that cannot be filled in, or is elsewhere than its box; an empty one is not a mistake."""
    for place, entry in annotations:
        if entry.get("segmentation"):
            image = image_of[entry["image_id"]]
            if problem := mask_problem(entry["segmentation"], image["height"], image["width"]):
                yield Finding("mask-invalid", place, f"segmentation: {problem}", "draw it again, or leave it out")
                continue
            extent = mask_extent(entry["segmentation"], image["height"], image["width"])
            if _differ(entry["bbox"], extent):
                message = f"bbox {entry['bbox']}, but the mask spans [" + ", ".join(f"{x:g}" for x in extent) + "]"
                yield Finding("mask-unlike-box", place, message, "measure the box on the mask", "warning")


def _differ(box: Sequence[float], other: Sequence[float]) -> bool:
    """Whether two boxes share less than half, by more than a few pixels' rounding."""
    (x, y, width, height), (left, top, across, down) = box, other
    far = max(abs(x - left), abs(y - top), abs(x + width - left - across), abs(y + height - top - down))
    common = max(0.0, min(x + width, left + across) - max(x, left))
    common *= max(0.0, min(y + height, top + down) - max(y, top))
    return far > ROUNDING and common < 0.5 * (width * height + across * down - common)


def check_areas(annotations: Sequence[Placed]) -> Iterator[Finding]:
    """Report each `area` that no mask within the box can have."""
    for place, entry in annotations:
        if "area" in entry and all(map(math.isfinite, entry["bbox"])) and min(entry["bbox"][2:]) > 0:
            area, box = entry["area"], entry["bbox"][2] * entry["bbox"][3]
            if area > 1.5 * box + ROUNDING**2 or (area < 1 and box > 4 * ROUNDING**2):
                message = f"area {area:g} in a box of {box:g} pixels"
                remedy = "give the mask's pixels, or width × height; it decides what is small, medium and large"
                yield Finding("area-unlike-box", place, message, remedy, "warning")
