"""Whether boxes are what COCO says they are: `[x, y, width, height]` in pixels, inside their image.

Boxes are judged first as a whole set: a file in another box form breaks every box in the same way, and one finding that
names the cause is worth more than thousands that name its effects.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from wildbench.datasets.label_checks._findings import Entry, Finding, Placed
from wildbench.datasets.masks import mask_extent, mask_problem

TOLERANCE = 1.0
"""Pixels a box may stick out of its image: rounding, not a mistake."""

FEW = 3
"""So few boxes outside their image are each reported, even where the whole set seems to be in another form."""

ROUNDING = 4.0
"""Pixels that a box or an area may be off for rounding, and for masks drawn coarsely."""

SET_FORMS = frozenset({"boxes-normalised", "boxes-xyxy", "boxes-transposed", "boxes-cxcywh"})
"""Codes that say in which other form all boxes are."""

_CONVERT = "convert to [x, y, width, height] in pixels"
Boxes = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


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
    for code, broken, message, remedy in _rules(boxes, sizes, form is None):
        for index in np.flatnonzero(broken):
            shown = "bbox [" + ", ".join(f"{value:g}" for value in boxes[index]) + "]"
            size = f"{sizes[index, 0]:g} x {sizes[index, 1]:g}"
            yield Finding(code, places[index], f"{shown} {message.format(size=size)}", remedy)


def _rules(boxes: Boxes, sizes: Boxes, right_form: bool) -> Iterator[tuple[str, Flags, str, str]]:
    """Code, broken boxes, message and remedy of each rule for a single box."""
    shortest = boxes[:, 2:].min(1)
    negative, zero = shortest < 0, shortest == 0
    yield "box-negative-side", negative, "has a negative side", "order the corners, then subtract"
    yield "box-zero-side", zero, "has a side of 0", "measure the box again, or remove it"
    outside = _outside(boxes, sizes) & ~negative
    if right_form or outside.sum() <= FEW:
        remedy = "clip the box to the image, or check the image's size"
        yield "box-outside-image", outside, "leaves its image of {size}", remedy
    if right_form:
        yield "box-normalised", _in_first_pixel(boxes, sizes) & ~zero, "has every number in 0..1", _CONVERT


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


def _outside(boxes: Boxes, sizes: Boxes) -> Flags:
    far = boxes[:, :2] + boxes[:, 2:]
    return np.asarray((boxes[:, :2] < -TOLERANCE).any(1) | (far > sizes + TOLERANCE).any(1))


def check_masks(annotations: Sequence[Placed], image_of: Mapping[int, Entry]) -> Iterator[Finding]:
    """Report each mask that cannot be filled in, or is elsewhere than its box; an empty one is not a mistake."""
    for place, entry in annotations:
        if entry.get("segmentation"):
            image = image_of[entry["image_id"]]
            problem = mask_problem(entry["segmentation"], image["height"], image["width"])
            if problem:
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
