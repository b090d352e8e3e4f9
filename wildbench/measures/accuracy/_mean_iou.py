"""Mean IoU of the matches: how closely the boxes are met that are found at all.

Some papers report one "IoU@0.5" beside or instead of AP, such as the 0.72 of Frühwirth, "Structured Filter Pruning
applied to Mask R-CNN", 2024, and do not say which detections it is over. Here a match is a true positive of COCO at IoU
0.5 (`measures.matching`: at most 100 detections an image and category, crowds left out), among the detections at or
above the score where F1 over the split is best: without a threshold the mean would depend on how many faint detections
a detector hands out. It is the mean over matches, not over categories.

It says nothing of boxes that are not found, and a detector that gives up its hard boxes gains by it: it is read beside
AP, never alone.
"""

from __future__ import annotations

import numpy as np

from wildbench.measures.matching import IGNORED, THRESHOLDS, TRUE, Flags, Floats, Ints
from wildbench.measures.uncertainty import CHUNK, REPLICATES, Uncertainty, blocks_of, caution, draw, interval, rounded
from wildbench.scorecard import Figure

LEAST = float(THRESHOLDS[0])
"""IoU of a match."""


def mean_iou(uncertainty: Uncertainty) -> Figure:
    """Mean IoU of a detector's matches at IoU 0.5, with its interval.

    A match has an IoU between 0.5 and 1. Mapped to 0..1 their mean varies no more than a share does, so that the
    interval is that of `measures.intervals.interval`, mapped back. The threshold stays in the replicates.

    Args:
        uncertainty: The detector's matches, and the groups that are drawn.

    Returns:
        Unit IoU; `n` is the number of matches. Undefined where there is none.
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
    if ends is None:
        told = f"all {len(overlap)} matches are in one of the {uncertainty.kind}: no interval"
        return figure.model_copy(update={"caution": told})
    low, high = rounded(*(LEAST + (1 - LEAST) * end for end in ends))
    told_if = caution(len(overlap), len(set(image.tolist())), uncertainty.groups, uncertainty.kind)
    return figure.model_copy(update={"interval": (low, high), "caution": told_if})


def best_threshold(scores: Floats, hits: Flags, boxes: int) -> float | None:
    """The score from which on F1 over all detections is best; the highest of them; None where nothing is found.

    Args:
        scores: [detection], in any order.
        hits: [detection]: whether it finds a box.
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
