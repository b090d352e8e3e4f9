"""Which detection finds which box: done once, so that a resampled set needs only new weights.

The rules are COCO's, as `pycocotools.cocoeval.COCOeval.evaluateImg` has them: at most 100 detections an image and
category by falling score, each taking the free box of its category that it overlaps most; boxes out of the area range
and crowds are ignored, and so is what matches them, and what matches nothing and is out of the range itself. Overlaps
are the engine's own. The choice among them is made here, because the engine hands its matches out as nested lists only:
for 40,000 detections that takes it 2.7 s, and this module a twentieth of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from hotcoco import mask as rle
from hotcoco import primitives

from wildbench.datasets.coco import Dataset
from wildbench.measures.matching._engine import AREAS, MAX_DETECTIONS, image_numbers, known_categories, what_counts

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function by numba, kept on disk, run without the interpreter's lock, exact (no fast mathematics).

    A kernel may call kernels of its own file only: numba looks at no other to see whether what it kept is stale.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersection over union from which a detection finds a box."""

FALSE, TRUE, IGNORED = 0, 1, 2
"""What becomes of a detection: a false positive, a true positive, or neither."""

Ints = npt.NDArray[np.int64]

Floats = npt.NDArray[np.float64]

Flags = npt.NDArray[np.bool_]

Outcomes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Matches:
    """One detector's detections on one data set and what became of each.

    Detections stand by category, then falling score, ties by image and then as they were given: the order in which COCO
    ranks them. Images are numbered from 0 in the order of their ids, categories too.

    Attributes:
        categories: Names of the data set's categories.
        images: Number of images.
        start: int64 [category + 1]: category `c` has detections `start[c]` to `start[c + 1] - 1`.
        image: int64 [detection].
        score: float64 [detection].
        place: int64 [detection]: rank from 0 among the detections of its image and category.
        outcome: uint8 [area, threshold, detection]: `FALSE`, `TRUE` or `IGNORED`; areas in the order of `AREAS`.
        overlap: float64 [detection]: with the box that it finds among all at the lowest threshold; 0 for none.
        boxes: int64 [box, 3]: category, area and image of each box to be found; a box is in "all" and in its size, a
            category that the detector does not know has none.
    """

    categories: tuple[str, ...]
    images: int
    start: Ints
    image: Ints
    score: Floats
    place: Ints
    outcome: Outcomes
    overlap: Floats
    boxes: Ints


def match(
    dataset: Dataset, results: list[dict[str, Any]], *, kind: str = "bbox", scored_categories: set[int] | None = None
) -> Matches:
    """Match detections with boxes.

    Args:
        dataset: Ground truth. Where an image carries `annotated_categories`, only those count in it.
        results: COCO results of its images and categories.
        kind: `bbox`, or `segm` where every detection and every box has a mask.
        scored_categories: Ids of the categories that the detector knows; None for all.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 4}], "categories": [{"id": 7, "name": "lion"}], "annotations": [
        ...     {"image_id": 4, "category_id": 7, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> found = [{"image_id": 4, "category_id": 7, "bbox": [9, 9, 40, 30], "score": 0.9}]
        >>> match(Dataset("tiny", None, coco, Path()), found).outcome[0, :, 0].tolist()
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    """
    truth, results = what_counts(dataset, results)
    known = {entry["id"] for entry in known_categories(dataset, scored_categories)}
    boxes = _ordered(dataset, [entry for entry in truth if entry["category_id"] in known])
    found = _ordered(dataset, [entry for entry in results if entry["category_id"] in known], most=MAX_DETECTIONS[-1])
    crowd = np.array([bool(entry["iscrowd"]) for entry in boxes.entries], dtype=np.bool_)
    ignored = crowd | _outside([entry["area"] for entry in boxes.entries])
    outside = _outside([entry["bbox"][2] * entry["bbox"][3] for entry in found.entries])
    outcome = np.where(outside, IGNORED, FALSE).astype(np.uint8)[:, None].repeat(len(THRESHOLDS), axis=1)
    shared = np.intersect1d(found.pair, boxes.pair)
    spans = np.stack([np.searchsorted(side.pair, shared + end) for side in (found, boxes) for end in (0, 1)], axis=1)
    overlaps = (_mask_overlaps if kind == "segm" else _box_overlaps)(dataset, found, boxes, crowd, spans)
    overlap = np.zeros(len(found.entries))
    _choose(overlaps, spans, ignored, crowd, THRESHOLDS, outcome, overlap)
    ranks = np.lexsort((-found.score, found.category))  # stable, as COCO's
    area, box = np.nonzero(~ignored)
    return Matches(
        categories=tuple(dataset.category_names),
        images=len(dataset.images),
        start=np.searchsorted(found.category[ranks], np.arange(len(dataset.categories) + 1)),
        image=found.image[ranks],
        score=found.score[ranks],
        place=found.place[ranks],
        outcome=np.ascontiguousarray(outcome[:, :, ranks]),
        overlap=overlap[ranks],
        boxes=np.stack([boxes.category[box], area, boxes.image[box]], axis=1),
    )


@dataclass(frozen=True)
class _Ordered:
    """Boxes or detections by category, image and, for detections, falling score; at most 100 detections a pair.

    Attributes:
        entries: In that order; otherwise as they were given.
        category: int64 [entry], from 0.
        image: int64 [entry], from 0.
        pair: int64 [entry]: number of the pair of category and image; rising.
        score: float64 [entry]; 0 for a box.
        place: int64 [entry]: rank from 0 within the pair.
    """

    entries: list[dict[str, Any]]
    category: Ints
    image: Ints
    pair: Ints
    score: Floats
    place: Ints


def _ordered(dataset: Dataset, entries: list[dict[str, Any]], most: int | None = None) -> _Ordered:
    """Put boxes, or with `most` the detections that COCO keeps, in order."""
    categories = {entry["id"]: number for number, entry in enumerate(dataset.categories)}
    images = {image_id: number - 1 for image_id, number in image_numbers(dataset).items()}
    category = np.array([categories[entry["category_id"]] for entry in entries], dtype=np.int64)
    image = np.array([images[entry["image_id"]] for entry in entries], dtype=np.int64)
    score = np.array([entry["score"] if most else 0 for entry in entries], dtype=np.float64)
    order = np.lexsort((-score, image, category))
    pair = (category * len(images) + image)[order]
    place = np.arange(len(order)) - np.searchsorted(pair, pair)
    if most:
        order, pair, place = (array[place < most] for array in (order, pair, place))
    return _Ordered([entries[i] for i in order], category[order], image[order], pair, score[order], place)


def _outside(area: list[float]) -> Flags:
    """[area range, entry]: whether an entry of this area in pixels is out of the range."""
    areas = np.array(area, dtype=np.float64)
    return np.array([(areas < low) | (areas > high) for low, high in AREAS.values()])


def _box_overlaps(_: Dataset, found: _Ordered, boxes: _Ordered, crowd: Flags, spans: Ints) -> Floats:
    """Overlaps of the detections with the boxes of their image and category, detection by detection, span by span."""
    mine, theirs = (
        np.array([entry["bbox"] for entry in side.entries], dtype=np.float64).reshape(-1, 4) for side in (found, boxes)
    )
    parts = [primitives.bbox_iou(mine[a:b], theirs[c:d], crowd[c:d]).ravel() for a, b, c, d in spans.tolist()]
    return np.concatenate([np.zeros(0), *parts])


def _mask_overlaps(dataset: Dataset, found: _Ordered, boxes: _Ordered, crowd: Flags, spans: Ints) -> Floats:
    sizes = {image["id"]: (image["height"], image["width"]) for image in dataset.images}

    def masks(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        runs = [rle.frPyObjects(entry["segmentation"], *sizes[entry["image_id"]]) for entry in entries]
        return [rle.merge(run) if isinstance(run, list) else run for run in runs]

    parts = [
        primitives.mask_iou(masks(found.entries[a:b]), masks(boxes.entries[c:d]), crowd[c:d]).ravel()
        for a, b, c, d in spans.tolist()
    ]
    return np.concatenate([np.zeros(0), *parts])


@kernel
def _choose(
    overlaps: Floats,
    spans: Ints,
    ignored: Flags,
    crowd: Flags,
    thresholds: Floats,
    outcome: Outcomes,
    overlap: Floats,
) -> None:
    """Let the detections of each pair of image and category choose their boxes, in turn."""
    free = np.empty(len(crowd), dtype=np.bool_)
    first = 0
    for first_found, end_found, first_box, end_box in spans:
        many = end_box - first_box
        table = overlaps[first : first + (end_found - first_found) * many].reshape(-1, many)
        first += table.size
        for area in range(len(ignored)):
            own = ignored[area, first_box:end_box]
            for level in range(len(thresholds)):
                least = min(thresholds[level], 1 - 1e-10)
                open_to = free[first_box:end_box]
                open_to[:] = True
                for row in range(len(table)):
                    box = _best(table[row], least, open_to, own, False)
                    if box < 0:
                        box = _best(table[row], least, open_to, own, True)
                    if box >= 0:
                        open_to[box] = crowd[first_box + box]
                        outcome[area, level, first_found + row] = IGNORED if own[box] else TRUE
                        if area == level == 0 and not own[box]:
                            overlap[first_found + row] = table[row, box]


@kernel
def _best(overlap: Floats, least: float, open_to: Flags, ignored: Flags, wanted: bool) -> int:
    """The box with the largest overlap, the last of equals; -1 where none reaches `least`."""
    best = -1
    for box in range(len(overlap)):
        if open_to[box] and ignored[box] == wanted and overlap[box] >= least:
            best, least = box, overlap[box]
    return best
