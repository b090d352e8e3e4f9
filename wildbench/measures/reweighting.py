"""Average precision and recall of a data set in which each image stands a given number of times.

Matching does not change with the number of copies of an image, so nothing is matched again: ranks and counts are added
up with weights. Precision matters only where a detection is a true positive, so at a threshold only those are visited,
and the few detections that count at some thresholds and not at others; all others are in one running sum that the ten
thresholds share. Detections of one image with one score come again in turn, t1 t2 t1 t2, where the image stands twice;
otherwise copies stand together, and precision is largest after the last of them.

The result is that of `pycocotools.cocoeval.COCOeval.accumulate` on the set with its images duplicated in place, to
rounding. The loops are numba's: a running sum, a few thousand events and a running maximum stay in the processor's
nearest cache, where an array library makes a pass through memory of each step for every threshold and replicate.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wildbench.measures.engine import AREAS, MAX_DETECTIONS
from wildbench.measures.kernels import kernel
from wildbench.measures.matching import IGNORED, THRESHOLDS, TRUE, Flags, Floats, Ints, Matches

RECALL_POINTS = np.linspace(0, 1, 101)
"""Where COCO samples the precision."""

_EPS = float(np.spacing(1))
"""Added to the denominator of a precision, as COCO does."""

Numbers = npt.NDArray[np.int32]
Places = npt.NDArray[np.uint32]  # unsigned, because numba then need not look for negative ones: twice as fast


class Layout(NamedTuple):
    """Matches in the order in which the sums run.

    Attributes:
        ranked_span: [area, category, 2]: first and end, in the next.
        ranked: Image of each detection that counts at the highest threshold, by area, category and rank.
        event_span: [area, threshold, category, 2]: first and end, in the next five.
        image: Image of each event, the last in rank first. An event is a detection that is a true positive, or that
            counts at this threshold and not at the highest, or the other way round.
        rank: How many of the ranked detections have come when the event has.
        true: 1 for a true positive.
        more: 1 where the event counts and is not among the ranked, -1 where it is and does not count.
        run: Its run of detections of one image with one score; -1 where it stands alone.
        run_rank: [area, run, 2]: how many of the ranked detections come before the run, and until its end.
        held_span: [area, category, 2]: first and end, in the next two.
        held_image: Images with boxes of a category and area.
        held: [., 4]: those boxes, and the detections that find one, summed over the thresholds, among the first 1, 10
            and 100 of the image.
    """

    ranked_span: Ints
    ranked: Places
    event_span: Ints
    image: Places
    rank: Places
    true: Numbers
    more: Numbers
    run: Numbers
    run_rank: Places
    held_span: Ints
    held_image: Places
    held: Numbers


def lay_out(matches: Matches) -> Layout:
    """Put matches in the order in which the sums run."""
    ignored, true = matches.outcome == IGNORED, matches.outcome == TRUE
    counts = ~ignored[:, -1]
    before = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    start = before[:, matches.start]
    rank = before[:, 1:] - np.repeat(start[:, :-1], np.diff(matches.start), axis=1)
    area, level, one = (index[::-1] for index in np.nonzero(true | (ignored != ignored[:, -1:])))
    run, run_rank = _runs(matches, counts, rank)
    held_span, held_image, held = _held(matches, true)
    return Layout(
        ranked_span=_pairs(start + (np.cumsum(before[:, -1]) - before[:, -1])[:, None]),
        ranked=matches.image[np.nonzero(counts)[1]].astype(np.uint32),
        event_span=_event_span(matches, area, level, one),
        image=matches.image[one].astype(np.uint32),
        rank=rank[area, one].astype(np.uint32),
        true=true[area, level, one].astype(np.int32),
        more=np.where(ignored[area, level, one], 0, 1).astype(np.int32) - counts[area, one],
        run=run[one],
        run_rank=run_rank,
        held_span=held_span,
        held_image=held_image,
        held=held,
    )


def _event_span(matches: Matches, area: Ints, level: Ints, one: Ints) -> Ints:
    """First and end of the events of each area, threshold and category; events stand in falling order."""
    wide = len(matches.image) + 1
    rising = ((area * len(THRESHOLDS) + level) * wide + one)[::-1]
    segments = np.arange(len(AREAS) * len(THRESHOLDS)).reshape(len(AREAS), -1, 1) * wide
    start = len(one) - np.searchsorted(rising, segments + matches.start)
    return np.ascontiguousarray(_pairs(start)[..., ::-1])


def _pairs(edges: Ints) -> Ints:
    """[..., n + 1] edges as [..., n, 2] firsts and ends."""
    return np.ascontiguousarray(np.stack([edges[..., :-1], edges[..., 1:]], axis=-1))


def _runs(matches: Matches, counts: Flags, rank: Ints) -> tuple[Numbers, Places]:
    """Number the runs of several detections of one image with one score, and say which ranks they take."""
    many = len(matches.image)
    new = np.ones(many, dtype=np.bool_)
    new[1:] = (np.diff(matches.image) != 0) | (np.diff(matches.score) != 0)
    new[matches.start[:-1][np.diff(matches.start) > 0]] = True
    first = np.flatnonzero(new)
    last = np.append(first, many)[1:] - 1
    several = last > first
    number = np.where(several, np.cumsum(several) - 1, -1).astype(np.int32)
    before = rank[:, first[several]] - counts[:, first[several]]
    span = np.stack([before, rank[:, last[several]]], axis=2)
    return number[np.cumsum(new) - 1], np.ascontiguousarray(span, dtype=np.uint32)


def _held(matches: Matches, true: Flags) -> tuple[Ints, Places, Numbers]:
    """Count boxes and found boxes by category, area and image."""
    areas, images = len(AREAS), matches.images
    category = np.repeat(np.arange(len(matches.categories)), np.diff(matches.start))
    area, _, one = np.nonzero(true)
    categories = len(matches.categories)
    of_box = (matches.boxes[:, 1] * categories + matches.boxes[:, 0]) * images + matches.boxes[:, 2]
    of_found = (area * categories + category[one]) * images + matches.image[one]
    places, index = np.unique(of_box, return_inverse=True)
    held = np.zeros((len(places), 1 + len(MAX_DETECTIONS)), dtype=np.int32)
    np.add.at(held[:, 0], index, 1)
    for column, most in enumerate(MAX_DETECTIONS, start=1):
        np.add.at(held[:, column], np.searchsorted(places, of_found[matches.place[one] < most]), 1)
    edges = np.searchsorted(places, np.arange(areas * categories + 1) * images)
    return _pairs(edges).reshape(areas, categories, 2), (places % images).astype(np.uint32), held


@kernel
def reweighted(layout: Layout, weights: Numbers, recall_points: Floats, precision: Floats, recall: Floats) -> None:
    """Fill in the figures of each replicate.

    Args:
        layout: One detector's matches.
        weights: [replicate, image]: how often each image stands in each replicate.
        recall_points: `RECALL_POINTS`.
        precision: Filled: [replicate, category, area, threshold], average precision; NaN where there is no box.
        recall: Filled: [replicate, category, area, 3], average recall with at most 1, 10 and 100 detections; likewise.
    """
    replicates, categories, areas, levels = precision.shape
    for category in range(categories):
        for area in range(areas):
            first, end = layout.held_span[area, category]
            held_image, held = layout.held_image[first:end], layout.held[first:end]
            first, end = layout.ranked_span[area, category]
            ranked = layout.ranked[first:end]
            seen = np.zeros(len(ranked) + 1, dtype=np.int32)
            for replicate in range(replicates):
                weight = weights[replicate]
                sums = _sums(held_image, held, weight)
                if sums[0] == 0:
                    precision[replicate, category, area] = np.nan
                    recall[replicate, category, area] = np.nan
                    continue
                recall[replicate, category, area] = sums[1:] / (levels * sums[0])
                reached = _reached(sums[0], recall_points)
                _running_sum(weight, ranked, seen)
                for level in range(levels):
                    first, end = layout.event_span[area, level, category]
                    total = _sampled(
                        layout.image[first:end],
                        layout.rank[first:end],
                        layout.true[first:end],
                        layout.more[first:end],
                        layout.run[first:end],
                        layout.run_rank[area],
                        weight,
                        seen,
                        reached,
                    )
                    precision[replicate, category, area, level] = total / len(recall_points)


@kernel
def _sums(images: Places, held: Numbers, weight: Numbers) -> Ints:
    sums = np.zeros(held.shape[1], dtype=np.int64)
    for index in range(len(images)):
        for column in range(held.shape[1]):
            sums[column] += weight[images[index]] * held[index, column]
    return sums


@kernel
def _running_sum(weight: Numbers, ranked: Places, seen: Numbers) -> None:
    total = np.int32(0)
    for index in range(len(ranked)):
        total += weight[ranked[index]]
        seen[index + 1] = total


@kernel
def _reached(boxes: int, recall_points: Floats) -> Numbers:
    """How many recall points are reached with k of the boxes found, k = 0 ... boxes; the point 0 needs one as well."""
    reached = np.zeros(boxes + 1, dtype=np.int32)
    point = 0
    for found in range(1, boxes + 1):
        while point < len(recall_points) and found / boxes >= recall_points[point]:
            point += 1
        reached[found] = point
    return reached


@kernel
def _sampled(
    image: Places,
    rank: Places,
    is_true: Numbers,
    is_more: Numbers,
    run: Numbers,
    run_rank: Places,
    weight: Numbers,
    seen: Numbers,
    reached: Numbers,
) -> float:
    """Sum, over the recall points, of the largest precision there or further on; from the last event to the first."""
    true = more = np.int32(0)
    for event in range(len(image)):
        true += weight[image[event]] * is_true[event]
        more += weight[image[event]] * is_more[event]
    total = best = 0.0
    end = 0
    for event in range(len(image)):
        times = weight[image[event]]
        if run[event] >= 0 and times > 1:
            if event < end:
                continue  # came with the first of its run
            end = event + 1
            while end < len(image) and run[end] == run[event]:
                end += 1
            total, best = _in_turn(
                rank[event:end],
                is_true[event:end],
                is_more[event:end],
                run_rank[run[event]],
                times,
                true,
                more,
                seen,
                reached,
                total,
                best,
            )
            true -= np.int32(times * is_true[event:end].sum())
            more -= np.int32(times * is_more[event:end].sum())
        else:
            best = max(best, true / (seen[rank[event]] + more + _EPS))
            left = np.int32(true - times * is_true[event])
            total += best * (reached[np.uint32(true)] - reached[np.uint32(left)])
            true = left
            more -= np.int32(times * is_more[event])
    return total


@kernel
def _in_turn(
    rank: Places,
    is_true: Numbers,
    is_more: Numbers,
    span: Places,
    times: np.int32,
    true: np.int32,
    more: np.int32,
    seen: Numbers,
    reached: Numbers,
    total: float,
    best: float,
) -> tuple[float, float]:
    """The same for a run of events that comes `times` times in turn; `true` and `more` are those at its end."""
    before, length = np.int64(span[0]), np.int64(span[1]) - np.int64(span[0])
    more -= times * is_more.sum()
    for copy in range(times - 1, -1, -1):
        count = seen[before] + copy * length + more + (copy + 1) * is_more.sum()
        for event in range(len(rank)):
            best = max(best, true / (count + np.int64(rank[event]) - before + _EPS))
            left = true - is_true[event]
            total += best * (reached[true] - reached[left])
            true = left
            count -= is_more[event]
    return total, best
