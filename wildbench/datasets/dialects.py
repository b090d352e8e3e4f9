"""COCO as others write it, made plain: ids that are texts, images without sizes, annotations without a box.

References: the COCO Camera Traps format (lila.science/coco-camera-traps), in which an annotation without `bbox` says
that a species is in the image, or, by a category such as "empty", that nothing is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from wildbench.datasets.findings import Entry, Finding, place_of

EMPTY = frozenset({"empty", "blank", "none", "no animal", "nothing"})
"""Categories that say that an image has no animal."""

LARGEST_ID = 2**53
"""Larger integers are not the same in every reader of JSON."""

Size = Callable[[str], tuple[int, int] | None]
"""Width and height of the picture of a `file_name`; None where it cannot be read."""

SECTIONS = ("images", "categories", "annotations")


def plain(coco: Mapping[str, Any], size: Size) -> tuple[dict[str, Any], list[Finding]]:
    """Make COCO data plain; what is wrong in another way stays, for validation to report.

    Args:
        coco: Parsed JSON with lists of images, categories and annotations.
        size: Asked for the size of images that state none.

    Returns:
        New data, and a finding for each thing that was read as something else.

    Example:
        >>> coco = {"images": [{"id": "a7", "file_name": "a.jpg"}], "categories": [{"id": 0, "name": "empty"},
        ...         {"id": 1, "name": "deer"}], "annotations": [{"id": "x", "image_id": "a7", "category_id": 0}]}
        >>> made, findings = plain(coco, lambda name: (96, 72))
        >>> made["images"], made["annotations"], [one.code for one in findings]
        ([{'id': 1, 'file_name': 'a.jpg', 'original_id': 'a7', 'width': 96, 'height': 72}], [], \
['ids-numbered', 'ids-numbered', 'image-size-unstated', 'image-empty'])
    """
    if not all(_is_flat(entry) for section in SECTIONS for entry in _entries(coco, section)):
        return dict(coco), []  # validation says what is wrong
    made = {**coco, **{section: [_copy(entry) for entry in coco[section]] for section in SECTIONS}}
    findings = [
        *_number(made),
        *_sizes(made, size),
        *_relative(made),
        *_without_box(made),
        *_nulls(made),
        *_not_numbers(made),
    ]
    return made, findings


def _is_flat(entry: Mapping[str, Any]) -> bool:
    return not any(isinstance(entry.get(key), list | dict) for key in ("id", "image_id", "category_id"))


def _copy(entry: object) -> Any:  # noqa: ANN401 - whatever the file holds
    return dict(entry) if isinstance(entry, dict) else entry


def _entries(coco: Mapping[str, Any], section: str) -> list[Entry]:
    return [entry for entry in coco[section] if isinstance(entry, dict)]


def _is_id(value: object) -> bool:
    return type(value) is int and abs(value) < LARGEST_ID


def _number(coco: dict[str, Any]) -> Iterator[Finding]:
    """Number images, categories and annotations from 1 where their ids are texts or too large; keep what they were."""
    for section, reference in (("images", "image_id"), ("categories", "category_id")):
        entries = _entries(coco, section)
        stated = [entry.get("id") for entry in entries]
        keys = [id_key(value) for value in stated]
        if all(map(_is_id, stated)) or None in keys or len(set(keys)) < len(keys):
            continue
        numbers = {key: index for index, key in enumerate(keys, start=1)}
        for entry, value in zip(entries, stated, strict=True):
            entry |= {"id": numbers[id_key(value)], "original_id": value}
        for entry in _entries(coco, "annotations"):
            entry[reference] = numbers.get(id_key(entry.get(reference)), entry.get(reference))
        yield _numbered(section, len(numbers), f"such as {next(one for one in stated if not _is_id(one))!r:.50}")
    entries = _entries(coco, "annotations")
    own = [entry.get("id") for entry in entries]
    if not all(map(_is_id, own)):
        for index, entry in enumerate(entries, start=1):
            entry["id"] = index
        yield _numbered("annotations", len(entries), "which mean nothing else")
    elif len(set(own)) < len(own):
        yield from _repeated(entries)


def id_key(value: object) -> str | None:
    """What two ids that mean the same have in common: 7, 7.0 and "7"."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else None


def _numbered(section: str, count: int, which: str) -> Finding:
    message = f"ids that are no integers below 2^53, {which}: numbered 1 to {count}"
    remedy = "nothing to do: predictions may name images by either id" if section == "images" else "nothing to do"
    return Finding("ids-numbered", section, message, remedy, "note")


def _repeated(entries: Sequence[Entry]) -> Iterator[Finding]:
    """Renumber annotations where an id occurs twice, which says nothing of the box."""
    first: dict[object, str] = {}
    for index, entry in enumerate(entries):
        place = place_of("annotations", index, entry)
        if (other := first.setdefault(entry["id"], place)) != place:
            message = f"id {entry['id']} is also that of {other}; annotations are renumbered"
            yield Finding("annotation-id-duplicate", place, message, "give each its own id", "warning")
    for index, entry in enumerate(entries, start=1):
        entry["id"] = index


def _sizes(coco: dict[str, Any], size: Size) -> Iterator[Finding]:
    """Read the sizes of images that state none from their files."""
    for index, image in enumerate(coco["images"]):
        if isinstance(image, dict) and not image.get("width") and not image.get("height"):
            name = image.get("file_name")
            measured = size(name) if isinstance(name, str) else None
            if measured is not None:
                image["width"], image["height"] = measured
                message = f"no width and height; its file has {measured[0]} x {measured[1]}"
                remedy = "state them, so that labels can be read without pictures"
                yield Finding("image-size-unstated", place_of("images", index, image), message, remedy, "warning")


def _relative(coco: dict[str, Any]) -> Iterator[Finding]:
    """Boxes in shares of the image, under a key of their own."""
    sizes = {image.get("id"): (image.get("width"), image.get("height")) for image in _entries(coco, "images")}
    count = 0
    for entry in _entries(coco, "annotations"):
        shares, (width, height) = entry.get("bbox_relative"), sizes.get(entry.get("image_id"), (None, None))
        if not isinstance(shares, list) or len(shares) != 4 or not all(isinstance(one, int | float) for one in shares):
            continue
        if not entry.get("bbox") and all(isinstance(side, int | float) and side for side in (width, height)):
            entry["bbox"] = [shares[0] * width, shares[1] * height, shares[2] * width, shares[3] * height]
            count += 1
    if count:
        message = f"{count} boxes are given as bbox_relative only, in shares of the image; read as pixels"
        yield Finding("boxes-relative", "annotations", message, "nothing to do", "note")


def _without_box(coco: dict[str, Any]) -> Iterator[Finding]:
    """Annotations of whole images: nothing is there, or a species whose animals nobody boxed."""
    names = {entry.get("id"): str(entry.get("name")) for entry in _entries(coco, "categories")}
    empty = {key for key, name in names.items() if name.strip().casefold() in EMPTY}
    unboxed: dict[Any, set[str]] = defaultdict(set)
    placeholders, boxes = 0, []
    for entry in coco["annotations"]:
        if not isinstance(entry, dict) or entry.get("bbox"):
            boxes.append(entry)
        elif entry.get("category_id") in empty or (entry.get("bbox") == [] and not entry.get("area")):
            placeholders += 1
        elif entry.get("category_id") in names and entry.get("bbox") is None and not entry.get("area"):
            unboxed[entry.get("image_id")].add(names[entry["category_id"]])
        else:
            boxes.append(entry)
    coco["annotations"] = boxes
    used = {entry.get("category_id") for entry in boxes if isinstance(entry, dict)}
    coco["categories"] = [
        one for one in coco["categories"] if not isinstance(one, dict) or one.get("id") not in empty - used
    ]
    if placeholders:
        message = f"{placeholders} annotations without a box say that their image is empty"
        yield Finding("image-empty", "annotations", message, "nothing to do", "note")
    if unboxed:
        _restrict(coco, unboxed)
        message = f"{len(unboxed)} images name a species without a box: they are not scored for it"
        yield Finding("species-without-box", "annotations", message, "box its animals, to score them", "warning")


def _restrict(coco: dict[str, Any], unboxed: Mapping[Any, set[str]]) -> None:
    """Leave species that an image has without a box out of what is scored in it."""
    every = [str(entry.get("name")) for entry in _entries(coco, "categories")]
    for image in _entries(coco, "images"):
        if lost := unboxed.get(image.get("id")):
            listed = image.get("annotated_categories", every)
            if not isinstance(listed, list):
                continue  # validation says so
            image["annotated_categories"] = [name for name in listed if name not in lost]


def _nulls(coco: dict[str, Any]) -> Iterator[Finding]:
    """Keys that are there and null, which means that they are not."""
    count = 0
    for entry in _entries(coco, "annotations"):
        for key in ("area", "iscrowd", "segmentation"):
            if key in entry and entry[key] is None:
                del entry[key]
                count += key != "segmentation"
    if count:
        message = f"area or iscrowd is null {count} times; read as width × height, and as no crowd"
        yield Finding("value-null", "annotations", message, "leave the key out, or give it a value", "warning")


def _not_numbers(coco: dict[str, Any]) -> Iterator[Finding]:
    """Drop what pandas writes for a field of an image that nobody recorded."""
    dropped = []
    for index, image in enumerate(coco["images"]):
        for key in [key for key, value in image.items() if value != value] if isinstance(image, dict) else ():
            if key not in ("id", "file_name"):
                del image[key]
                dropped.append(f"{place_of('images', index, image)}: {key}")
    if dropped:
        message = f"{len(dropped)} fields hold NaN, which JSON does not have: taken as not recorded"
        yield Finding("value-not-json", dropped[0], message, "write null, or leave it out", "warning")
