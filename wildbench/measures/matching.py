"""What counts of labels and detections, and which detection finds which box: done once, and used by every measure.

The rules are COCO's, as `pycocotools.cocoeval.COCOeval.evaluateImg` has them: at most 100 detections an image and
category by falling score, each taking the free box of its category that it overlaps most; boxes out of the area range
and crowds are ignored, and so is what matches them, and what matches nothing and is out of the range itself. Overlaps
are the engine's own. The choice among them is made here, because the engine hands its matches out as nested lists only:
for 40,000 detections that takes it 2.7 s, and this module a twentieth of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple, TypeVar, cast

import hotcoco
import numba
import numpy as np
import numpy.typing as npt
from hotcoco import mask as rle
from hotcoco import primitives

from wildbench.datasets.coco import LARGE, SMALL, Columns, Dataset, Flags, Floats, Ints, Labels
from wildbench.datasets.predictions import Detections

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function by numba, kept on disk, run without the interpreter's lock, exact (no fast mathematics).

    A kernel may call kernels of its own file only: numba looks at no other to see whether what it kept is stale.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))


AREAS = {"all": (0.0, 1e10), "small": (0.0, SMALL), "medium": (SMALL, LARGE), "large": (LARGE, 1e10)}
"""COCO's area ranges in square pixels, both ends included; the order is that of the engine's arrays."""

MAX_DETECTIONS = (1, 10, 100)
"""Detections an image and category; the order is that of the engine's arrays."""

THRESHOLDS = np.linspace(0.5, 0.95, 10)
"""Intersection over union from which a detection finds a box."""

FALSE, TRUE, IGNORED = 0, 1, 2
"""What becomes of a detection: a false positive, a true positive, or neither."""

Sizes = Mapping[int, tuple[int, int]]

Outcomes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Matches:
    """One detector's detections on one data set and what became of each.

    Detections stand by category, then falling score, ties by image and then as they were given: the order in which COCO
    ranks them. Images are numbered from 0 in the order of their ids, categories too.

    """

    categories: tuple[str, ...]
    images: int
    start: Ints
    """[category + 1]: category `c` has detections `start[c]` to `start[c + 1] - 1`."""
    image: Ints
    score: Floats
    place: Ints
    """[detection]: rank from 0 among the detections of its image and category."""
    outcome: Outcomes
    """[area, threshold, detection]: `FALSE`, `TRUE` or `IGNORED`; areas in the order of `AREAS`."""
    overlap: Floats
    """[detection]: with the box that it finds among all at the lowest threshold; 0 for none."""
    boxes: Ints
    """[box, 3]: category, area and image of each box to be found in a category that the detector knows; a box is in
    "all" and in its size."""
    finding: Floats
    """[label]: the score of the detection that finds each box at the lowest threshold, whatever its size; -1 for none,
    and for a crowd. In the order of `Scored.known_labels`."""

    def held(self, area: str = "all", category: str | None = None) -> Flags:
        """Bool [box]: which boxes a figure is over."""
        of_category, of_area, _ = self.boxes.T
        chosen: Flags = of_area == list(AREAS).index(area)
        return chosen if category is None else chosen & (of_category == self.categories.index(category))


def match(
    labels: Labels, detections: Detections, *, image_ids: Ints, categories: dict[int, str], sizes: Sizes | None = None
) -> Matches:
    """Match detections with boxes that count, as `Scored.matches` asks; image and category ids rise.

    Masks are matched where `sizes` gives the height and width of each image, else boxes.
    """
    category_ids = np.array(list(categories), dtype=np.int64)
    boxes = _order(labels, image_ids, category_ids)
    found = _order(detections, image_ids, category_ids, detections.scores, most=MAX_DETECTIONS[-1])
    mine, theirs = detections[found.row], labels[boxes.row]
    ignored = theirs.crowd | _outside(theirs.areas)
    outside = _outside(mine.boxes[:, 2] * mine.boxes[:, 3])
    outcome = np.where(outside, IGNORED, FALSE).astype(np.uint8)[:, None].repeat(len(THRESHOLDS), axis=1)
    shared = np.intersect1d(found.pair, boxes.pair)
    spans = np.stack([np.searchsorted(side.pair, shared + end) for side in (found, boxes) for end in (0, 1)], axis=1)
    overlap, finder = np.zeros(len(mine)), np.full(len(theirs), -1)
    _choose(_overlaps(mine, theirs, spans, sizes), spans, ignored, theirs.crowd, THRESHOLDS, outcome, overlap, finder)
    finding = np.full(len(theirs), -1.0)
    finding[boxes.row[finder >= 0]] = mine.scores[finder[finder >= 0]]
    ranks = np.lexsort((-mine.scores, found.category))  # stable, as COCO's
    area, box = np.nonzero(~ignored)
    return Matches(
        categories=tuple(categories.values()),
        images=len(image_ids),
        start=np.searchsorted(found.category[ranks], np.arange(len(categories) + 1)),
        image=found.image[ranks],
        score=mine.scores[ranks],
        place=found.place[ranks],
        outcome=np.ascontiguousarray(outcome[:, :, ranks]),
        overlap=overlap[ranks],
        boxes=np.stack([boxes.category[box], area, boxes.image[box]], axis=1),
        finding=finding,
    )


ENGINE = f"hotcoco {hotcoco.__version__}"
"""The library that computed AP, with its version."""


@dataclass(frozen=True, eq=False)
class Scored:
    """One detector's detections on one data set, ready to be measured.

    Only what is exhaustively boxed in its image counts; categories that the detector does not know have no figure.
    Each part is made when it is first asked for, and once.

    Attributes:
        dataset: Ground truth.
        detections: Everything the detector said of its images, in the order in which ties are ranked.
        known: Ids of the categories that the detector knows; None for all.
        kind: `bbox`, or `segm` where every detection and every box has a mask.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 4, "width": 90, "height": 90}], "categories": [{"id": 7, "name": "lion"}],
        ...         "annotations": [{"id": 1, "image_id": 4, "category_id": 7, "bbox": [9, 9, 40, 40], "area": 1600,
        ...                          "iscrowd": 0}]}
        >>> found = Detections([4], [7], [[9, 9, 40, 30]], scores=[0.9])
        >>> Scored(Dataset("tiny", None, coco, Path()), found).matches.outcome[0, :, 0].tolist()
        [1, 1, 1, 1, 1, 1, 0, 0, 0, 0]
    """

    dataset: Dataset
    detections: Detections
    known: frozenset[int] | None = None
    kind: Literal["bbox", "segm"] = "bbox"

    @cached_property
    def labels(self) -> Labels:
        """The boxes that count, crowds too."""
        return self.dataset.scored(self.dataset.labels)

    @cached_property
    def counted(self) -> Detections:
        """The detections that count."""
        return self.dataset.scored(self.detections)

    @cached_property
    def categories(self) -> list[dict[str, Any]]:
        """Entries of the categories that the detector knows, by ascending id."""
        return [entry for entry in self.dataset.categories if self.known is None or entry["id"] in self.known]

    @cached_property
    def known_labels(self) -> Labels:
        """The boxes that count, of the categories that the detector knows."""
        return self.labels[np.isin(self.labels.category_ids, [entry["id"] for entry in self.categories])]

    @cached_property
    def known_detections(self) -> Detections:
        """The detections that count, of the categories that the detector knows."""
        return self.counted[np.isin(self.counted.category_ids, [entry["id"] for entry in self.categories])]

    @cached_property
    def image_ids(self) -> Ints:
        """int64 [image], rising: the engine numbers images from 1 in this order, matches from 0."""
        return np.array(sorted(image["id"] for image in self.dataset.images), dtype=np.int64)

    @cached_property
    def with_masks(self) -> Scored | None:
        """The same for masks; None where a detection or a box has none."""
        masks = self.dataset.labels.masks
        every = masks is not None and all(mask is not None for mask in masks)
        return replace(self, kind="segm") if every and self.detections.masks is not None else None

    @cached_property
    def engine(self) -> hotcoco.COCOeval:
        """The engine, with everything evaluated and accumulated.

        Its ids count from 1 in the order of the data set's own: pycocotools takes a match with annotation 0 for none.
        Those of boxes and detections are places in `labels` and `counted`.
        """
        labels, found = self.labels, self.counted
        entries = {image["id"]: image for image in self.dataset.images}
        numbers = {entry["id"]: number for number, entry in enumerate(self.dataset.categories, start=1)}
        category_ids = np.array(list(numbers), dtype=np.int64)
        masks = [None if rows.masks is None or self.kind == "bbox" else rows.masks.tolist() for rows in (labels, found)]
        image, category = (
            [np.searchsorted(ids, column) + 1 for column in columns]
            for ids, columns in (
                (self.image_ids, (labels.image_ids, found.image_ids)),
                (category_ids, (labels.category_ids, found.category_ids)),
            )
        )
        truth = hotcoco.COCO.from_arrays(
            [
                {"id": number, "width": entries[key]["width"], "height": entries[key]["height"]}
                for number, key in enumerate(self.image_ids.tolist(), start=1)
            ],
            [{"id": numbers[entry["id"]], "name": entry["name"]} for entry in self.dataset.categories],
            image[0],
            category[0],
            labels.boxes,
            ids=np.arange(1, len(labels) + 1),
            area=labels.areas,
            iscrowd=labels.crowd,
            segmentation=masks[0],
        )
        results = np.column_stack([image[1], found.boxes, found.scores, category[1]])
        engine = hotcoco.COCOeval(truth, truth.load_res(results, segmentation=masks[1]), self.kind)
        engine.params.cat_ids = [numbers[entry["id"]] for entry in self.categories]
        engine.evaluate()
        engine.accumulate()
        return engine

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """The engine's arrays: precision [threshold, recall point, category, area, most], recall without the points."""
        return self.engine.eval or {}

    @cached_property
    def matches(self) -> Matches:
        """What became of each detection, in the form that is drawn again."""
        sizes = {image["id"]: (image["height"], image["width"]) for image in self.dataset.images if self.kind == "segm"}
        return match(
            self.known_labels,
            self.known_detections,
            image_ids=self.image_ids,
            categories={entry["id"]: entry["name"] for entry in self.dataset.categories},
            sizes=sizes or None,
        )


class _Order(NamedTuple):
    """Boxes or detections by category, image and, for detections, falling score; int64 [box] each.

    `row` is where each was before, `pair` the number of its category and image, `place` its rank from 0 in the pair.
    """

    row: Ints
    category: Ints
    image: Ints
    pair: Ints
    place: Ints


def _order(
    rows: Columns, image_ids: Ints, category_ids: Ints, scores: Floats | None = None, most: int | None = None
) -> _Order:
    category, image = np.searchsorted(category_ids, rows.category_ids), np.searchsorted(image_ids, rows.image_ids)
    order = np.lexsort((image, category) if scores is None else (-scores, image, category))
    pair = (category * len(image_ids) + image)[order]
    place = np.arange(len(order)) - np.searchsorted(pair, pair)
    if most:
        order, pair, place = (array[place < most] for array in (order, pair, place))
    return _Order(order, category[order], image[order], pair, place)


def _outside(areas: Floats) -> Flags:
    """[area range, box]: whether a box of this area in pixels is out of the range."""
    return np.array([(areas < low) | (areas > high) for low, high in AREAS.values()])


def _overlaps(mine: Detections, theirs: Labels, spans: Ints, sizes: Sizes | None) -> Floats:
    """Overlaps of the detections with the boxes of their image and category, detection by detection, span by span."""
    parts = [np.zeros(0)]
    found, wanted = ([] if side.masks is None else side.masks.tolist() for side in (mine, theirs))
    for a, b, c, d in spans.tolist():
        if sizes is None:
            parts.append(primitives.bbox_iou(mine.boxes[a:b], theirs.boxes[c:d], theirs.crowd[c:d]).ravel())
        else:
            size = sizes[int(mine.image_ids[a])]
            pair = ([_run_lengths(mask, size) for mask in side] for side in (found[a:b], wanted[c:d]))
            parts.append(primitives.mask_iou(next(pair), next(pair), theirs.crowd[c:d]).ravel())
    return np.concatenate(parts)


def _run_lengths(segmentation: Any, size: tuple[int, int]) -> dict[str, Any]:  # noqa: ANN401 - JSON
    runs = rle.frPyObjects(segmentation, *size)
    return rle.merge(runs) if isinstance(runs, list) else runs


@kernel
def _choose(
    overlaps: Floats,
    spans: Ints,
    ignored: Flags,
    crowd: Flags,
    thresholds: Floats,
    outcome: Outcomes,
    overlap: Floats,
    finder: Ints,
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
                            finder[first_box + box] = first_found + row


@kernel
def _best(overlap: Floats, least: float, open_to: Flags, ignored: Flags, wanted: bool) -> int:
    """The box with the largest overlap, the last of equals; -1 where none reaches `least`."""
    best = -1
    for box in range(len(overlap)):
        if open_to[box] and ignored[box] == wanted and overlap[box] >= least:
            best, least = box, overlap[box]
    return best
