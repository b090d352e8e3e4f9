"""Replicates of very many detections, counted in bins of rank and blocks of images instead of one by one.

The replicates of a figure are then a product of matrices, [replicate, block] by [block, bin]. Precision is looked at
where a bin ends. What that does to the figure is seen on the data set itself, where it is known exactly, and taken off
every replicate. Blocks of groups, dealt out at random, vary as the groups do (Efron and Tibshirani, 1993,
section 11.5).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.matching import AREAS, IGNORED, MAX_DETECTIONS, THRESHOLDS, TRUE, Matches, kernel
from wildbench.measures.uncertainty._reweighting import RECALL_POINTS

FROM = 1_000_000
"""Detections from which they are binned."""

BLOCKS = 500
"""Of groups, at most."""

BINS = 1000
"""Of rank, with equally many detections that find a box at the lowest threshold."""

Measured = tuple[Floats, Floats]
"""[replicate, category, area, threshold] precision, and [replicate, category, area, 3] recall."""


def binned(matches: Matches, blocks: Ints, weights: Floats) -> Measured:
    """Average precision and recall in each replicate; NaN where it has no such box.

    Args:
        matches: One detector's.
        blocks: [image]: the block of each image, numbered from 0.
        weights: float32 [replicate, block]: how often each stands in each replicate.
    """
    shape = (len(weights), len(matches.categories), len(AREAS))
    precision, recall = np.empty((*shape, len(THRESHOLDS))), np.empty((*shape, len(MAX_DETECTIONS)))
    count = _counter(blocks, weights)
    for category in range(len(matches.categories)):
        rows = slice(*matches.start[category : category + 2])
        outcome, image, place = matches.outcome[:, :, rows], matches.image[rows], matches.place[rows]
        for area in range(len(AREAS)):
            held = matches.boxes[(matches.boxes[:, 0] == category) & (matches.boxes[:, 1] == area), 2]
            boxes = count(held, np.zeros(len(held), dtype=np.int64), 1)[:, 0]
            edges = _bins(outcome[area, 0] == TRUE)
            found = np.zeros((len(MAX_DETECTIONS), len(weights)))
            ranked = boxes
            for level in range(len(THRESHOLDS)):
                true, ignored = outcome[area, level] == TRUE, outcome[area, level] == IGNORED
                if level == 0 or not np.array_equal(ignored, outcome[area, level - 1] == IGNORED):
                    ranked = count(image[~ignored], edges[~ignored], BINS)
                hits = count(image[true], edges[true], BINS)
                precision[:, category, area, level] = _sampled(hits, ranked, boxes, len(RECALL_POINTS))
                for column, most in enumerate(MAX_DETECTIONS[:-1]):
                    first = true & (place < most)
                    found[column] += count(image[first], np.zeros(int(first.sum()), dtype=np.int64), 1)[:, 0]
                found[-1] += hits.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                recall[:, category, area] = (found / (len(THRESHOLDS) * boxes)).T
            precision[boxes == 0, category, area] = recall[boxes == 0, category, area] = np.nan
    return precision, recall


def _counter(blocks: Ints, weights: Floats) -> Callable[[Ints, Ints, int], Floats]:
    many = weights.shape[1]

    def count(image: Ints, column: Ints, columns: int) -> Floats:
        """[replicate, column]: what stands in each column, by the weights of its images."""
        table = np.bincount(blocks[image] * columns + column, minlength=many * columns).reshape(many, columns)
        product: Floats = weights @ table.astype(np.float32)
        return product

    return count


def _bins(true: Flags) -> Ints:
    """The bin of each detection, in order of rank."""
    total = max(int(true.sum()), 1)
    before: Ints = np.cumsum(true) - true
    return np.asarray(np.minimum(before * BINS // total, BINS - 1))


@kernel
def _sampled(hits: Floats, ranked: Floats, boxes: Floats, points: int) -> Floats:
    """The mean, over the recall points, of the largest precision there or further on."""
    means = np.zeros(len(hits))
    for one in range(len(hits)):
        if boxes[one] == 0:
            continue
        true, seen = hits[one].sum(), ranked[one].sum()
        total = best = 0.0
        reached = int(true / boxes[one] * (points - 1) + 1e-6) + 1 if true > 0 else 0
        for column in range(hits.shape[1] - 1, -1, -1):
            if seen > 0:
                best = max(best, true / seen)
            true -= hits[one, column]
            seen -= ranked[one, column]
            before = int(true / boxes[one] * (points - 1) + 1e-6) + 1 if true > 0.5 else 0
            total += best * (reached - before)
            reached = before
        means[one] = total / points
    return means
