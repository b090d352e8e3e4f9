"""Average precision and recall, as pycocotools computes them to the last bit, by hotcoco; and mean IoU of the matches.

Reference: Lin et al., "Microsoft COCO: Common Objects in Context", 2014, and `pycocotools.cocoeval.COCOeval`. Ten
thresholds of intersection over union, 0.50:0.05:0.95; 101 recall points; at most 1, 10 or 100 detections an image and
category; small up to 32² square pixels, medium up to 96², large above.

Some papers report one "IoU@0.5" and do not say which detections it is over. Here it is the mean over the matches at IoU
0.5, among the detections at or above the score where F1 over the split is best. It says nothing of boxes that are not
found, and a detector that gives up its hard boxes gains by it: read it beside AP, never alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.matching import AREAS, IGNORED, MAX_DETECTIONS, THRESHOLDS, TRUE, Scored
from wildbench.measures.uncertainty import (
    CHUNK,
    REPLICATES,
    Uncertainty,
    blocks_of,
    draw,
    interval,
    measure_uncertainty,
)
from wildbench.scorecard import Accuracy, BoxAccuracy, Figure, PerCategory

_THRESHOLD = {0.5: 0, 0.75: 5}

LEAST = float(THRESHOLDS[0])
"""IoU of a match."""


def measure_accuracy(scored: Scored, *, predictions_file: str, predictions_sha256: str) -> Accuracy:
    """Score detections against a data set.

    Where an image carries `annotated_categories`, it takes part for those alone: its detections and its boxes of other
    categories are left out, as if each category were scored on the images that list it. An average over categories is
    over those with at least one box that is no crowd. `n` of a figure is the number of such boxes it is over.

    Masks are scored where every detection and every box has one. As in pycocotools, a detection's size is then still
    that of its box.

    Args:
        scored: Detections on a data set.
        predictions_file: Name of the file that keeps the detections.
        predictions_sha256: Its hash.

    Example:
        >>> coco = {"images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}],
        ...     "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}], "annotations": [
        ...         {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> from pathlib import Path
        >>> from wildbench.datasets.coco import Dataset
        >>> from wildbench.datasets.predictions import Detections
        >>> scored = Scored(Dataset("tiny", None, coco, Path()), Detections([1], [1], [[9, 9, 40, 30]], scores=[0.9]))
        >>> accuracy = measure_accuracy(scored, predictions_file="p.json", predictions_sha256="")
        >>> round(accuracy.ap.value, 9), accuracy.per_category["bird"].ap.reason
        (0.6, 'no box of bird in the split')
    """
    uncertainty = measure_uncertainty(scored)
    boxes = _box_accuracy(scored, uncertainty)
    of_masks = scored.with_masks
    known = {entry["id"] for entry in scored.categories}
    return Accuracy(
        **{name: getattr(boxes, name) for name in BoxAccuracy.model_fields},
        masks=_box_accuracy(of_masks, measure_uncertainty(of_masks)) if of_masks else None,
        unknown_categories=[entry["name"] for entry in scored.dataset.categories if entry["id"] not in known],
        uncertainty=uncertainty.record(),
        predictions_file=predictions_file,
        predictions_sha256=predictions_sha256,
        detections=len(scored.detections),
    )


def _box_accuracy(scored: Scored, uncertainty: Uncertainty) -> BoxAccuracy:
    names = [entry["name"] for entry in scored.categories]
    curves = _Curves(scored.arrays["precision"], scored.arrays["recall"], _count(scored), names, uncertainty)
    per_category = {
        name: _category(curves, names.index(name)) if name in names else _unknown(name)
        for name in scored.dataset.category_names
    }
    sizes = [area for area in AREAS if area != "all"]
    of_sizes: dict[str, Any] = {
        f"{unit.lower()}_{area}": curves.figure(unit, area=area) for unit in ("AP", "AR") for area in sizes
    }
    return BoxAccuracy(
        ap=curves.figure("AP"),
        ap50=curves.figure("AP", iou=0.5),
        ap75=curves.figure("AP", iou=0.75),
        ar_1=curves.figure("AR", most=1),
        ar_10=curves.figure("AR", most=10),
        ar_100=curves.figure("AR"),
        **of_sizes,
        per_category=per_category,
        mean_iou50=mean_iou(uncertainty),
    )


@dataclass(frozen=True)
class _Curves:
    """The engine's arrays, -1 where undefined, and the boxes they are over."""

    precision: Floats  # [threshold, recall point, category, area, max detections]
    recall: Floats  # [threshold, category, area, max detections]
    boxes: Ints  # [category, area]: boxes that are no crowds
    names: list[str]
    uncertainty: Uncertainty

    def figure(
        self, unit: str, *, area: str = "all", iou: float | None = None, most: int = 100, only: int | None = None
    ) -> Figure:
        """AP or AR as `COCOeval.summarize` takes it: the mean of what is defined, of all categories or of one."""
        thresholds = slice(None) if iou is None else slice(_THRESHOLD[iou], _THRESHOLD[iou] + 1)
        categories = slice(None) if only is None else slice(only, only + 1)
        size, limit = list(AREAS).index(area), MAX_DETECTIONS.index(most)
        if unit == "AP":
            values = self.precision[thresholds, :, categories, size, limit]
        else:
            values = self.recall[thresholds, categories, size, limit]
        defined = values[values > -1]
        kind = "box" if area == "all" else f"{area} box"
        name = None if only is None else self.names[only]
        of = "" if only is None else f" of {name}"
        boxes = int(self.boxes[categories, size].sum())
        if not defined.size:
            return Figure.undefined(unit, f"no {kind}{of} in the split", boxes)
        figure = Figure(value=float(np.mean(defined)), unit=unit, n=boxes)
        return self.uncertainty.complete(figure, area=area, iou=iou, most=most, category=name)


def _category(curves: _Curves, only: int) -> PerCategory:
    return PerCategory(
        ap=curves.figure("AP", only=only),
        ap50=curves.figure("AP", iou=0.5, only=only),
        ap75=curves.figure("AP", iou=0.75, only=only),
        ar_100=curves.figure("AR", only=only),
    )


def _unknown(name: str) -> PerCategory:
    reason = f"the detector does not know {name}"
    precision, recall = Figure.undefined("AP", reason), Figure.undefined("AR", reason)
    return PerCategory(ap=precision, ap50=precision, ap75=precision, ar_100=recall)


def _count(scored: Scored) -> Ints:
    """[category, area]: boxes that are no crowds."""
    labels = scored.labels[~scored.labels.crowd]
    known = np.array([entry["id"] for entry in scored.categories], dtype=np.int64)
    of = (known[:, None] == labels.category_ids).astype(np.int64)
    within = np.array([(low <= labels.areas) & (labels.areas <= high) for low, high in AREAS.values()], dtype=np.int64)
    return np.asarray(of @ within.T)


def mean_iou(uncertainty: Uncertainty) -> Figure:
    """Mean IoU of a detector's matches at IoU 0.5, with its interval.

    A match has an IoU between 0.5 and 1. Mapped to 0..1 their mean varies no more than a share does, so the interval
    is that of a share, mapped back. The threshold stays in the replicates. `n` is the number of matches.
    """
    matches, groups = uncertainty.matches, uncertainty.group
    found, counts = matches.outcome[0, 0] == TRUE, matches.outcome[0, 0] != IGNORED
    boxes = int((matches.boxes[:, 1] == 0).sum())
    threshold = best_threshold(matches.score[counts], found[counts], boxes)
    if threshold is None:
        return Figure.undefined("IoU", "no detection finds a box" if boxes else "no box in the split", 0)
    taken = found & (matches.score >= threshold)
    image, overlap = matches.image[taken], matches.overlap[taken]
    mapped = (overlap - LEAST) / (1 - LEAST)
    drawn = _redrawn(_sums(groups[image], mapped, groups))
    blocks = blocks_of(matches, groups)
    parts = _sums(blocks[image], mapped, blocks)
    ends = interval(float(mapped.mean()), drawn, _ratio(parts.sum(axis=0) - parts), len(mapped))
    figure = Figure(value=float(overlap.mean()), unit="IoU", n=len(overlap))
    low_high = ends and (LEAST + (1 - LEAST) * ends[0], LEAST + (1 - LEAST) * ends[1])
    return uncertainty.with_interval(figure, low_high, len(overlap), image, "matches")


def best_threshold(scores: Floats, hits: Flags, boxes: int) -> float | None:
    """The score from which on F1 is best, the highest of several; None where nothing is found.

    Args:
        scores: [detection], in any order; `hits` says whether each finds a box.
        hits: See `scores`.
        boxes: How many there are to be found.

    Example:
        >>> best_threshold(np.array([0.9, 0.1, 0.8, 0.8]), np.array([True, False, False, True]), 2)
        0.8
    """
    order = np.argsort(-scores, kind="stable")
    falling, found = scores[order], np.cumsum(hits[order])
    if not len(found) or not found[-1]:
        return None
    f1 = 2 * found / (np.arange(1, len(found) + 1) + boxes)
    last = np.append(falling[1:] < falling[:-1], True)  # all detections of one score come in together
    return float(falling[int(np.argmax(np.where(last, f1, -1.0)))])


def _sums(group: Ints, values: Floats, groups: Ints) -> Floats:
    """[group, 2]: sum and number of the values of each group."""
    many = int(groups.max(initial=0)) + 1
    return np.stack([np.bincount(group, values, many), np.bincount(group, minlength=many)], axis=1)


def _redrawn(sums: Floats) -> Floats:
    """[replicate]: the mean on each drawn set; NaN where one has no match."""
    many = len(sums)
    rows = [min(CHUNK, REPLICATES - first) for first in range(0, REPLICATES, CHUNK)]
    return _ratio(np.concatenate([draw(chunk, some, many, many) @ sums for chunk, some in enumerate(rows)]))


def _ratio(sums: Floats) -> Floats:
    total, count = sums.T
    return np.where(count > 0.5, total / np.maximum(count, 1), np.nan)
