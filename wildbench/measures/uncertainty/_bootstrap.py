"""Bootstrap replicates of average precision and recall: what the figures would be on other images like these.

Reference: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 6 and 11; Field and Welsh,
"Bootstrapping clustered data", 2007, for drawing whole locations. Every detector is given the same drawn images, so
that a difference of two columns is the difference on one drawn set.

    kind, groups = groups_of(dataset)
    drawn = resample([Scored(dataset, a).matches, Scored(dataset, b).matches], groups)
    difference = drawn.ap(iou=0.5)[:, 0] - drawn.ap(iou=0.5)[:, 1]        # one for each replicate
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal
from weakref import WeakKeyDictionary

import numba
import numpy as np

from wildbench import scorecard
from wildbench.datasets.coco import Dataset, Floats, Ints
from wildbench.datasets.image_groups import field_of
from wildbench.environment import usable_cpus
from wildbench.measures.matching import AREAS, MAX_DETECTIONS, THRESHOLDS, Matches, Scored
from wildbench.measures.uncertainty._coarse import BLOCKS, FROM, binned
from wildbench.measures.uncertainty._intervals import LEVEL, REPLICATES, Interval, caution, interval
from wildbench.measures.uncertainty._reweighting import RECALL_POINTS, Layout, Numbers, lay_out, reweighted
from wildbench.scorecard import Figure

Kind = Literal["images", "locations"]
"""What is drawn."""

SEED = 2102_02896
"""Of every draw, unless another is given; the number of the paper that the benchmark answers."""

CHUNK = 32
"""Replicates drawn from one seed: part of the result, because chunk k is drawn from the seeds (seed, k)."""

_MOST_LEFT_OUT = 1000
"""Groups left out one at a time, at most: the time to leave out each grows with the square of the number of images."""

_MEMORY = 2**30
"""Bytes that the threads may take together; one thread may take more."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """Figures of several detectors on several weighted versions of one data set; NaN where one has no such box.

    Attributes:
        categories: Names of the categories.
        precision: float64 [detector, replicate, category, area, threshold]: average precision.
        recall: float64 [detector, replicate, category, area, 3]: average recall with at most 1, 10, 100 detections.
    """

    categories: tuple[str, ...]
    precision: Floats
    recall: Floats

    def ap(self, *, area: str = "all", iou: float | None = None, category: str | None = None) -> Floats:
        """Average precision as COCO averages it, float64 [replicate, detector].

        Args:
            area: A key of `AREAS`.
            iou: One threshold; None for the mean over all ten.
            category: One category; None for the mean over those with boxes.
        """
        levels = slice(None) if iou is None else [int(np.abs(THRESHOLDS - iou).argmin())]
        return self._mean(self.precision[:, :, :, list(AREAS).index(area), levels].mean(axis=3), category)

    def ar(self, *, area: str = "all", most: int = 100, category: str | None = None) -> Floats:
        """Average recall with at most 1, 10 or 100 detections an image and category; as `ap` otherwise."""
        return self._mean(self.recall[:, :, :, list(AREAS).index(area), MAX_DETECTIONS.index(most)], category)

    def _mean(self, values: Floats, category: str | None) -> Floats:
        if category is not None:
            return values[:, :, self.categories.index(category)].T
        defined = ~np.isnan(values)
        count = defined.sum(axis=2)
        total = np.where(defined, values, 0.0).sum(axis=2)
        return np.where(count, total / np.maximum(count, 1), np.nan).T


def groups_of(dataset: Dataset) -> tuple[Kind, Ints]:
    """What is drawn, and the number of each image's group, int64 [image], by rising id.

    Locations are drawn where every image has one, because images of a location are alike; otherwise images.

    Example:
        >>> from pathlib import Path
        >>> images = [{"id": 2, "location": "gate"}, {"id": 1, "location": "well"}, {"id": 3, "location": "gate"}]
        >>> groups_of(Dataset("tiny", None, {"images": images}, Path()))
        ('locations', array([1, 0, 0]))
    """
    images = sorted(dataset.images, key=lambda image: image["id"])
    locations = [field_of(image, "location") for image in images]
    if not images or None in locations:
        return "images", np.arange(len(images))
    return "locations", np.unique([str(one) for one in locations], return_inverse=True)[1]


def estimate(matches: Sequence[Matches]) -> Replicates:
    """The figures on the data set itself, as one replicate."""
    return _replay(matches, lambda chunk: np.ones((1, matches[0].images), dtype=np.int32), 1)


def resample(
    matches: Sequence[Matches],
    groups: Ints,
    *,
    replicates: int = REPLICATES,
    seed: int = SEED,
    draws: int | None = None,
) -> Replicates:
    """Draw groups of images with replacement, and measure every detector on what was drawn.

    Args:
        matches: One for each detector, on one data set.
        groups: [image]: the group of each image, numbered from 0.
        replicates: How often a set is drawn. The first ones do not depend on how many there are.
        seed: Same seed, same bits, whatever the number of threads.
        draws: Groups in a drawn set; None for as many as there are.

    Example:
        >>> from pathlib import Path
        >>> from wildbench.datasets.predictions import Detections
        >>> from wildbench.measures.matching import Scored
        >>> box = {"category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}
        >>> coco = {"images": [{"id": 1}, {"id": 2}], "categories": [{"id": 1, "name": "lion"}],
        ...         "annotations": [box | {"image_id": 1}, box | {"image_id": 2}]}
        >>> found = Detections([1], [1], [[9, 9, 40, 40]], scores=[0.9])
        >>> data = Dataset("tiny", None, coco, Path())
        >>> drawn = resample([Scored(data, found).matches], groups_of(data)[1], replicates=100)
        >>> sorted({round(float(ap), 2) for ap in drawn.ap(iou=0.5)[:, 0]})
        [0.0, 0.5, 1.0]
    """
    many = int(groups.max(initial=0)) + 1
    size = many if draws is None else draws

    if _very_many(matches):
        blocks = blocks_of(matches[0], groups, BLOCKS)
        parts = int(blocks.max(initial=0)) + 1
        wanted = parts if draws is None else round(draws * parts / many)
        return _binned(matches, blocks, draw(0, replicates, parts, wanted, seed))

    def weights(chunk: int) -> Numbers:
        rows = min(CHUNK, replicates - chunk * CHUNK)
        return np.ascontiguousarray(draw(chunk, rows, many, size, seed)[:, groups], dtype=np.int32)

    return _replay(matches, weights, replicates)


def draw(chunk: int, rows: int, many: int, size: int, seed: int = SEED) -> Ints:
    """How often each of `many` groups is drawn, `size` at a time, in the first `rows` replicates of a chunk.

    Example:
        >>> draw(0, 3, many=4, size=4).sum(axis=1)
        array([4, 4, 4])
    """
    drawn = np.random.default_rng([seed, chunk]).integers(many, size=(rows, size))
    counts = np.bincount((drawn + np.arange(rows)[:, None] * many).ravel(), minlength=rows * many)
    return counts.reshape(rows, many)


def jackknife(matches: Sequence[Matches], groups: Ints, *, most: int = _MOST_LEFT_OUT) -> Replicates:
    """The figures without each group in turn: replicate `g` lacks group `g`.

    Of more than `most` groups, `most` blocks of them are left out in turn (Efron and Tibshirani, 1993, section 11.5).
    The blocks follow from the boxes alone, so that detectors that know the same categories share them.
    """
    very_many = _very_many(matches)
    blocks = blocks_of(matches[0], groups, min(most, BLOCKS) if very_many else most)
    many = int(blocks.max(initial=0)) + 1
    if very_many:
        return _binned(matches, blocks, 1 - np.eye(many, dtype=np.int64))

    def weights(chunk: int) -> Numbers:
        rows = np.arange(chunk * CHUNK, min((chunk + 1) * CHUNK, many))
        return np.asarray(blocks != rows[:, None], dtype=np.int32)

    return _replay(matches, weights, many)


def blocks_of(matches: Matches, groups: Ints, most: int = _MOST_LEFT_OUT) -> Ints:
    """[image]: its block; groups are dealt out in random order, but those that hold something rare before all others.

    So two images that hold all of a category, or all of its boxes of a size, come to stand in two blocks: left out
    together, they would leave nothing to measure.
    """
    many = int(groups.max(initial=0)) + 1
    if many <= most:
        return groups
    category, area, image = matches.boxes.T
    kind, group = np.unique(np.stack([category * len(AREAS) + area, groups[image]]), axis=1)
    held_by = np.bincount(kind)
    rank = np.empty_like(held_by)
    rank[np.argsort(held_by, kind="stable")] = np.arange(len(held_by))
    rarest = np.full(many, len(held_by))
    np.minimum.at(rarest, group, rank[kind])
    block = np.empty(many, dtype=np.int64)
    block[np.lexsort((np.random.default_rng(SEED).permutation(many), rarest))] = np.arange(many) % most
    return block[groups]


@dataclass(frozen=True, eq=False)
class Replay:
    """Any figures of one data set, drawn as AP is drawn: float64, NaN where undefined.

    Attributes:
        whole: [figure]: on the data set itself.
        drawn: [replicate, figure]: on the drawn sets.
        without: [group, figure]: without each group in turn, or blocks of them.
    """

    whole: Floats
    drawn: Floats
    without: Floats


def replay(measure: Callable[[Ints], Floats], groups: Ints, blocks: Ints, *, replicates: int = REPLICATES) -> Replay:
    """Measure the sets that `resample` and `jackknife` measure, by any function of how often each image stands in them.

    Args:
        measure: From weights, int64 [row, image], to figures, float64 [row, figure].
        groups: [image]: the group of each image, numbered from 0.
        blocks: [image]: as `blocks_of` deals the groups out.
        replicates: How often a set is drawn.

    Example:
        >>> images = np.arange(10)
        >>> shown = replay(lambda weights: weights @ np.eye(10)[:, :1] / 10, images, images, replicates=100)
        >>> shown.whole.tolist(), shown.drawn.shape, shown.without.sum().round(9).tolist()
        ([0.1], (100, 1), 0.9)
    """
    many, parts = int(groups.max(initial=0)) + 1, int(blocks.max(initial=0)) + 1
    chunks = range(-(-replicates // CHUNK))
    left = [np.arange(first, min(first + CHUNK, parts)) for first in range(0, parts, CHUNK)]

    def drawn(chunk: int) -> Floats:
        rows = min(CHUNK, replicates - chunk * CHUNK)
        return measure(draw(chunk, rows, many, many)[:, groups])

    whole = measure(np.ones((1, len(groups)), dtype=np.int64))[0]
    with ThreadPoolExecutor(usable_cpus()) as threads:
        samples = np.concatenate(list(threads.map(drawn, chunks)))
        without = np.concatenate([measure((blocks != some[:, None]).astype(np.int64)) for some in left])
    return Replay(whole, samples, without)


def average_precision_50(matches: Matches) -> Callable[[Ints], Floats]:
    """AP50 as a function for `replay`, over the categories with boxes: 40 times as fast as all that AP looks at."""
    layout = lay_out(replace(matches, outcome=matches.outcome[:1, :1], boxes=matches.boxes[matches.boxes[:, 1] == 0]))
    categories = len(matches.categories)

    def measure(weights: Ints) -> Floats:
        precision = np.empty((len(weights), categories, 1, 1))
        recall = np.empty((len(weights), categories, 1, len(MAX_DETECTIONS)))
        reweighted(layout, np.ascontiguousarray(weights, dtype=np.int32), RECALL_POINTS, precision, recall)
        values, many = np.nan_to_num(precision).sum(axis=(1, 2, 3)), (~np.isnan(precision)).sum(axis=(1, 2, 3))
        return np.where(many > 0, values / np.maximum(many, 1), np.nan)[:, None]

    return measure


def _replay(matches: Sequence[Matches], weights: Callable[[int], Numbers], replicates: int) -> Replicates:
    """Measure every detector under each chunk of weights; threads share the chunks, and none sees another's."""
    shape = (len(matches), replicates, len(matches[0].categories), len(AREAS))
    precision, recall = np.empty((*shape, len(THRESHOLDS))), np.empty((*shape, len(MAX_DETECTIONS)))
    layouts = [_layout(one) for one in matches]

    def measure(chunk: int) -> None:
        rows, weight = slice(chunk * CHUNK, (chunk + 1) * CHUNK), weights(chunk)
        for detector, layout in enumerate(layouts):
            reweighted(layout, weight, RECALL_POINTS, precision[detector, rows], recall[detector, rows])

    with ThreadPoolExecutor(_threads(matches)) as threads:
        list(threads.map(measure, range(-(-replicates // CHUNK))))
    return Replicates(matches[0].categories, precision, recall)


def _very_many(matches: Sequence[Matches]) -> bool:
    return max(len(one.image) for one in matches) >= FROM


def _binned(matches: Sequence[Matches], blocks: Ints, weights: Ints) -> Replicates:
    """Measure every detector under weights, [replicate, block], by bins; what these do to the figures is taken off."""
    exact = estimate(matches)
    ones = np.ones((1, weights.shape[1]), dtype=np.int64)
    with ThreadPoolExecutor(usable_cpus()) as threads:
        parts = np.array_split(np.concatenate([ones, weights]).astype(np.float32), usable_cpus())
        pieces = [list(threads.map(partial(binned, one, blocks), parts)) for one in matches]
    sides = [[np.concatenate(side) for side in zip(*piece, strict=True)] for piece in pieces]
    precision, recall = (np.stack(side) for side in zip(*sides, strict=True))
    return Replicates(
        matches[0].categories,
        precision[:, 1:] + (exact.precision - precision[:, :1]),
        recall[:, 1:] + (exact.recall - recall[:, :1]),
    )


_LAYOUTS: WeakKeyDictionary[Matches, Layout] = WeakKeyDictionary()


def _layout(matches: Matches) -> Layout:
    """Made once for drawing and for leaving out."""
    if matches not in _LAYOUTS:
        _LAYOUTS[matches] = lay_out(matches)
    return _LAYOUTS[matches]


def _threads(matches: Sequence[Matches]) -> int:
    """As many as there are processors, and memory for the running sums and weights of each."""
    widest = max(int(np.diff(one.start).max(initial=0)) for one in matches)
    each = CHUNK * (4 * widest + 20 * matches[0].images)
    return max(1, min(usable_cpus(), _MEMORY // max(each, 1)))


METHOD = "bootstrap: centre corrected for bias, Student's t, Wilson's ends"


@dataclass(frozen=True, eq=False)
class Uncertainty:
    """One detector's replicates on one data set."""

    matches: Matches
    kind: Kind
    group: Ints
    """[image]: the group of each image, numbered from 0."""
    drawn: Replicates
    without: Replicates
    """Without each group in turn, or blocks of them where there are very many."""

    @property
    def groups(self) -> int:
        return len(set(self.group.tolist()))

    def complete(self, figure: Figure, *, area: str, iou: float | None, most: int, category: str | None) -> Figure:
        """An AP or AR with its interval and what to know about it."""
        assert figure.value is not None
        drawn, without = (
            side.ap(area=area, iou=iou, category=category)
            if figure.unit == "AP"
            else side.ar(area=area, most=most, category=category)
            for side in (self.drawn, self.without)
        )
        category_index, _, image = self.matches.boxes[self.matches.held(area, category)].T
        categories = len(set(category_index.tolist()))
        ends = interval(figure.value, drawn[:, 0], without[:, 0], len(image), categories=categories)
        return self.with_interval(figure, ends, len(image), image, "boxes")

    def with_interval(self, figure: Figure, ends: Interval | None, n: int, image: Ints, kind: str) -> Figure:
        """A figure over that many boxes or matches, in these images, with its interval and what to know about it."""
        if ends is None:
            return figure.model_copy(update={"caution": f"all {n} {kind} are in one of the {self.kind}: no interval"})
        message = caution(n, len(set(image.tolist())), self.groups, self.kind)
        return figure.model_copy(update={"interval": rounded(*ends), "caution": message})

    def record(self) -> scorecard.Uncertainty:
        """What a scorecard says of its intervals."""
        return scorecard.Uncertainty(
            method=METHOD,
            level=LEVEL,
            replicates=self.drawn.precision.shape[1],
            seed=SEED,
            groups=self.kind,
            number_of_groups=self.groups,
            engine=f"numba {numba.__version__}",
        )


def measure_uncertainty(scored: Scored) -> Uncertainty:
    """Draw the data set again and again."""
    kind, groups = groups_of(scored.dataset)
    return Uncertainty(
        matches=scored.matches,
        kind=kind,
        group=groups,
        drawn=resample([scored.matches], groups, replicates=REPLICATES),
        without=jackknife([scored.matches], groups),
    )


def rounded(low: float, high: float) -> tuple[float, float]:
    """Rounded outwards to a hundredth of a point of AP, far less than the seed makes of them.

    Example:
        >>> rounded(0.41236, 0.51231)
        (0.4123, 0.5124)
    """
    return math.floor(low * 10**4) / 10**4, math.ceil(high * 10**4 - 1e-9) / 10**4
