"""Average precision and recall of a data set in which each image stands a given number of times.

Matching does not change with the number of copies of an image, so nothing is matched again: ranks and counts are added
up with weights. Precision matters only where a detection is a true positive, so at a threshold only those are visited,
and the few detections that count at some thresholds and not at others; all others are in one running sum that the ten
thresholds share. Detections of one image with one score come again in turn, t1 t2 t1 t2, where the image stands twice;
otherwise copies stand together, and precision is largest after the last of them.

The result is that of `pycocotools.cocoeval.COCOeval.accumulate` on the set with its images duplicated in place, to
rounding. The loops are numba's, because their sums then stay in the processor's nearest cache.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.matching import IGNORED, MAX_DETECTIONS, TRUE, Matches, kernel

RECALL_POINTS = np.linspace(0, 1, 101)
"""Where COCO samples the precision."""

_EPS = float(np.spacing(1))
"""Added to the denominator of a precision, as COCO does."""

Numbers = npt.NDArray[np.int32]
Places = npt.NDArray[np.uint32]  # unsigned, because numba then need not look for negative ones: twice as fast


class Layout(NamedTuple):
    """Matches in the order in which the sums run; a span is a first and an end in the fields after it.

    An event is a detection that is a true positive, or that counts at this threshold and not at the highest, or the
    other way round; events stand the last in rank first.
    """

    ranked_span: Ints  # [area, category, 2]
    ranked: Places  # image of each detection that counts at the highest threshold, by area, category and rank
    event_span: Ints  # [area, threshold, category, 2], in the next five
    image: Places  # of each event
    rank: Places  # how many of the ranked detections have come when the event has
    true: Numbers  # 1 for a true positive
    more: Numbers  # 1 where the event counts and is not among the ranked, -1 where it is and does not count
    run: Places  # its run of detections of one image with one score
    in_turn: Flags  # [area, threshold, category]: whether any run of several holds an event
    run_rank: Places  # [area, run, 2]: how many of the ranked detections come before the run, and until its end
    held_span: Ints  # [area, category, 2], in the next two
    held_image: Places  # images with boxes of a category and area
    held: Numbers  # [., 4]: those boxes, and detections that find one, over all thresholds, of the first 1, 10 and 100


def lay_out(matches: Matches) -> Layout:
    """Put matches in the order in which the sums run."""
    ignored, true = matches.outcome == IGNORED, matches.outcome == TRUE
    counts = ~ignored[:, -1]
    before = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    start = before[:, matches.start]
    rank = before[:, 1:] - np.repeat(start[:, :-1], np.diff(matches.start), axis=1)
    area, level, one = (index[::-1] for index in np.nonzero(true | (ignored != ignored[:, -1:])))
    run, length, run_rank = _runs(matches, counts, rank)
    event_span = _event_span(matches, area, level, one)
    several = np.pad(np.cumsum(length[run[one]] > 1), (1, 0))
    held_span, held_image, held = _held(matches, true)
    return Layout(
        ranked_span=_pairs(start + (np.cumsum(before[:, -1]) - before[:, -1])[:, None]),
        ranked=matches.image[np.nonzero(counts)[1]].astype(np.uint32),
        event_span=event_span,
        image=matches.image[one].astype(np.uint32),
        rank=rank[area, one].astype(np.uint32),
        true=true[area, level, one].astype(np.int32),
        more=np.where(ignored[area, level, one], 0, 1).astype(np.int32) - counts[area, one],
        run=run[one].astype(np.uint32),
        in_turn=several[event_span[..., 1]] > several[event_span[..., 0]],
        run_rank=run_rank,
        held_span=held_span,
        held_image=held_image,
        held=held,
    )


def _event_span(matches: Matches, area: Ints, level: Ints, one: Ints) -> Ints:
    """First and end of the events of each area, threshold and category; events stand in falling order."""
    wide = len(matches.image) + 1
    areas, levels, _ = matches.outcome.shape
    rising = ((area * levels + level) * wide + one)[::-1]
    segments = np.arange(areas * levels).reshape(areas, -1, 1) * wide
    start = len(one) - np.searchsorted(rising, segments + matches.start)
    return np.ascontiguousarray(_pairs(start)[..., ::-1])


def _pairs(edges: Ints) -> Ints:
    """[..., n + 1] edges as [..., n, 2] firsts and ends."""
    return np.ascontiguousarray(np.stack([edges[..., :-1], edges[..., 1:]], axis=-1))


def _runs(matches: Matches, counts: Flags, rank: Ints) -> tuple[Ints, Ints, Places]:
    """The run (of one image with one score) of each detection, each run's length, and `Layout.run_rank`."""
    many = len(matches.image)
    new = np.ones(many, dtype=np.bool_)
    new[1:] = (np.diff(matches.image) != 0) | (np.diff(matches.score) != 0)
    new[matches.start[:-1][np.diff(matches.start) > 0]] = True
    first = np.flatnonzero(new)
    last = np.append(first, many)[1:] - 1
    span = np.stack([rank[:, first] - counts[:, first], rank[:, last]], axis=2)
    return np.cumsum(new) - 1, last - first + 1, np.ascontiguousarray(span, dtype=np.uint32)


def _held(matches: Matches, true: Flags) -> tuple[Ints, Places, Numbers]:
    """Count boxes and found boxes by category, area and image."""
    areas, images = len(matches.outcome), matches.images
    category = np.repeat(np.arange(len(matches.categories)), np.diff(matches.start))
    area, _, one = np.nonzero(true)
    categories = len(matches.categories)
    of_box = (matches.boxes[:, 1] * categories + matches.boxes[:, 0]) * images + matches.boxes[:, 2]
    of_found = (area * categories + category[one]) * images + matches.image[one]
    places, index = np.unique(of_box, return_inverse=True)
    held = np.zeros((len(places), 1 + len(MAX_DETECTIONS)), dtype=np.int32)
    held[:, 0] = np.bincount(index, minlength=len(places))
    for column, most in enumerate(MAX_DETECTIONS, start=1):
        found, times = np.unique(of_found[matches.place[one] < most], return_counts=True)
        held[np.searchsorted(places, found), column] = times  # in order: much faster than one by one
    edges = np.searchsorted(places, np.arange(areas * categories + 1) * images)
    return _pairs(edges).reshape(areas, categories, 2), (places % images).astype(np.uint32), held


@kernel
def reweighted(layout: Layout, weights: Numbers, recall_points: Floats, precision: Floats, recall: Floats) -> None:
    """Fill in the figures of each replicate; NaN where there is no box.

    Args:
        layout: One detector's matches.
        weights: [replicate, image]: how often each image stands in each replicate.
        recall_points: `RECALL_POINTS`.
        precision: [replicate, category, area, threshold]: average precision.
        recall: [replicate, category, area, 3]: average recall with at most 1, 10 and 100 detections.
    """
    replicates, categories, areas, levels = precision.shape
    for category in range(categories):
        for area in range(areas):
            first, end = layout.held_span[area, category]
            sums = _sums(layout.held_image[first:end], layout.held[first:end], weights)
            reached = _reached(sums[:, 0], recall_points)
            first, end = layout.ranked_span[area, category]
            seen = _running_sums(layout.ranked[first:end], weights)
            runs = layout.run_rank[area]
            for level in range(levels):
                first, end = layout.event_span[area, level, category]
                image, rank = layout.image[first:end], layout.rank[first:end]
                true, more, run = layout.true[first:end], layout.more[first:end], layout.run[first:end]
                for one in range(replicates):
                    weight, before, points = weights[one], seen[one], reached[one]
                    if layout.in_turn[area, level, category]:
                        total = _sampled_in_turn(image, rank, true, more, run, runs, weight, before, points)
                    else:
                        total = _sampled(image, rank, true, more, weight, before, points)
                    precision[one, category, area, level] = total / len(recall_points)
            for one in range(replicates):
                if sums[one, 0]:
                    recall[one, category, area] = sums[one, 1:] / (levels * sums[one, 0])
                else:
                    precision[one, category, area] = recall[one, category, area] = np.nan


@kernel
def _sums(image: Places, held: Numbers, weights: Numbers) -> Numbers:
    """[replicate, 4]: boxes and found boxes of each replicate."""
    sums = np.zeros((len(weights), held.shape[1]), dtype=np.int32)
    for one in range(len(weights)):
        for index in range(len(image)):
            for column in range(held.shape[1]):
                sums[one, column] += weights[one, image[index]] * held[index, column]
    return sums


@kernel
def _running_sums(ranked: Places, weights: Numbers) -> Numbers:
    """[replicate, rank]: how many detections come before each rank."""
    seen = np.zeros((len(weights), len(ranked) + 1), dtype=np.int32)
    for one in range(len(weights)):
        total = np.int32(0)
        for index in range(len(ranked)):
            total += weights[one, ranked[index]]
            seen[one, index + 1] = total
    return seen


@kernel
def _reached(boxes: Numbers, recall_points: Floats) -> Numbers:
    """[replicate, k]: how many recall points are reached with k boxes found; the point 0 needs one as well."""
    reached = np.zeros((len(boxes), boxes.max() + 1), dtype=np.int32)
    for one in range(len(boxes)):
        point = 0
        for found in range(1, boxes[one] + 1):
            while point < len(recall_points) and found / boxes[one] >= recall_points[point]:
                point += 1
            reached[one, found] = point
    return reached


@kernel
def _sampled(
    image: Places, rank: Places, is_true: Numbers, is_more: Numbers, weight: Numbers, seen: Numbers, reached: Numbers
) -> float:
    """Sum, over the recall points, of the largest precision there or further on; from the last event to the first."""
    true, more = _weighted(image, is_true, weight), _weighted(image, is_more, weight)
    total = best = 0.0
    for event in range(len(image)):
        times = weight[image[event]]
        best = max(best, true / (seen[rank[event]] + more + _EPS))
        left = np.int32(true - times * is_true[event])
        total += best * (reached[np.uint32(true)] - reached[np.uint32(left)])
        true = left
        more -= np.int32(times * is_more[event])
    return total


@kernel
def _sampled_in_turn(
    image: Places,
    rank: Places,
    is_true: Numbers,
    is_more: Numbers,
    run: Places,
    run_rank: Places,
    weight: Numbers,
    seen: Numbers,
    reached: Numbers,
) -> float:
    """The same where some detections of one image have one score: what is in such a run comes again in turn."""
    true, more = _weighted(image, is_true, weight), _weighted(image, is_more, weight)
    total = best = 0.0
    end = 0
    while end < len(image):
        first, end = end, end + 1
        while end < len(image) and run[end] == run[first]:
            end += 1
        times, own_more = weight[image[first]], is_more[first:end].sum()
        before, after = np.int64(run_rank[run[first], 0]), np.int64(run_rank[run[first], 1])
        more -= times * own_more
        for copy in range(times - 1, -1, -1):
            count = seen[before] + copy * (after - before) + more + (copy + 1) * own_more
            for event in range(first, end):
                best = max(best, true / (count + np.int64(rank[event]) - before + _EPS))
                left = true - is_true[event]
                total += best * (reached[true] - reached[left])
                true = left
                count -= is_more[event]
    return total


@kernel
def _weighted(image: Places, values: Numbers, weight: Numbers) -> np.int32:
    total = np.int32(0)
    for event in range(len(image)):
        total += weight[image[event]] * values[event]
    return total
