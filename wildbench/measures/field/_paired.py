"""Two detectors as a ranger sees them: what changes at the parent's threshold, and which of the child's is like it.

Everything is drawn together, image by image, so that what both get wrong in the same pictures cancels out. The child's
threshold is chosen again in every drawn set: its interval, and those of what it costs, say how far these images tell.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.field._empty_filter import EmptyFilter, empty_filter
from wildbench.measures.field._ratios import size_bins
from wildbench.measures.matching import Scored
from wildbench.measures.uncertainty import (
    REPLICATES,
    Interval,
    Kind,
    Replay,
    blocks_of,
    caution,
    difference,
    difference_interval,
    groups_of,
    replay,
    spread_of,
)
from wildbench.scorecard import Record

USUAL = 0.2
"""The threshold of a parent for which nobody states one: MegaDetector's users begin there."""


class Shift(Record):
    """One figure of the child beside the parent's: a share, 0..1."""

    n: int = Field(description="Images or boxes it is over.")
    baseline: float | None
    value: float | None
    difference: float | None = Field(description="value less baseline.")
    interval: Interval | None = Field(description="95 % interval of the difference, paired.")
    caution: str | None = Field(description="What to know of the interval, or why there is none.")

    @property
    def sign(self) -> int:
        """1 where it is shown to be above the parent's, -1 where below, 0 where these images cannot tell."""
        low, high = self.interval or (0.0, 0.0)
        return (low > 0) - (high < 0)


class Filtering(Record):
    """The child's empty filter and its boxes at one threshold, beside the parent's at the parent's."""

    threshold: float
    recall: Shift = Field(description="Share of the images with an animal that are kept.")
    boxes: Shift = Field(description="Share of the boxes that are found, at IoU 0.5.")
    false_alarms: Shift = Field(description="Share of the images without an animal that are kept.")


class SliceShift(Record):
    """Images of one place, time or kind, at the parent's threshold."""

    images: int
    recall: Shift
    false_alarms: Shift


class FieldChange(Record):
    """The child in place of the parent."""

    threshold: float = Field(description="The parent's.")
    threshold_source: str = Field(description="Who says so: given, manifest, val; usual where nobody does.")
    with_animals: int
    empty: int = Field(description="Images that take part and have no box of a category that both know.")
    hard_negatives: int = Field(description="Of these, those that may hold an animal of another category.")
    kept: Filtering = Field(description="At the parent's threshold.")
    times: float | None = Field(description="False alarms of the child at it, by those of the parent.")
    times_interval: Interval | None
    matched: Filtering | None = Field(
        description="At the child's threshold that keeps as many images with animals; null where there is none."
    )
    matched_interval: Interval | None = Field(description="Of that threshold.")
    quiet: Filtering | None = Field(
        description="At the child's threshold that keeps no more images without one; null where there is none."
    )
    quiet_interval: Interval | None = Field(description="Of that threshold.")
    by_share: dict[str, Shift] = Field(description="Recall of boxes by their share of the picture, in percent.")
    by_side: dict[str, Shift] = Field(description="By the side of a square as large as the box, in pixels.")
    slices: dict[str, dict[str, SliceShift]] = Field(default_factory=dict, description="By field of the images.")

    def note(self) -> str | None:
        """What the images without an animal are, where they are no true empties."""
        if not self.hard_negatives:
            return None
        which = "all" if self.hard_negatives == self.empty else f"{self.hard_negatives:,}"
        what = f"false alarms are counted on {self.empty:,} images without a box of the categories that both know"
        return f"{what}; {which} of them may hold other animals: hard negatives, not true empties"

    def sentence(self) -> str:
        """What to do with the threshold, in one line."""
        alarms, recall = self.kept.false_alarms, self.kept.recall
        kept = f"keep {self.threshold:.2f}"
        counted = f"{_thousand(alarms.baseline)} to {_thousand(alarms.value)} per 1,000"
        shares = f"{_percent(recall.baseline)} to {_percent(recall.value)} %"
        if not (alarms.sign or recall.sign):
            return f"{kept}: these images show no change of false alarms ({counted}) or of animals found ({shares})"
        words = []
        if alarms.sign:
            how = "rise" if alarms.sign > 0 else "fall"
            by = f" {self.times:.1f} times" if self.times and self.times > 1 else ""
            words.append(f"false alarms {how}{by} ({counted})")
        if recall.sign:
            words.append(f"animals found {'rise' if recall.sign > 0 else 'fall'} ({shares})")
        told = f"{kept} and {' and '.join(words)}"
        options = []
        if self.matched:
            cost = _thousand(self.matched.false_alarms.value)
            own = _thousandths(self.matched.threshold, math.floor)
            options.append(f"{own} for as many animals ({cost} false alarms per 1,000)")
        if self.quiet and alarms.sign > 0:
            found = _percent(self.quiet.recall.value)
            options.append(
                f"{_thousandths(self.quiet.threshold, math.ceil)} for as few false alarms ({found} % of the animals)"
            )
        return f"{told}; use {' or '.join(options)}" if options else f"{told}; no other threshold mends that"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _thousand(value: float | None) -> str:
    return "-" if value is None else f"{1000 * value:.0f}"


def _thousandths(threshold: float, rounded: Callable[[float], int]) -> str:
    """A threshold in at most three decimals: rounded down, what it keeps stays, and rounded up, what it drops."""
    return f"{rounded(round(1000 * threshold, 6)) / 1000:.3g}"


def field_change(
    parent: Scored,
    child: Scored,
    threshold: float,
    *,
    source: str = "given",
    slices: Mapping[str, Sequence[str | None]] | None = None,
    replicates: int = REPLICATES,
) -> FieldChange:
    """Put a child in place of its parent.

    Args:
        parent: Its detections on a data set.
        child: The other's on the same, scored on the same categories.
        threshold: The parent's, 0..1.
        source: Who says so.
        slices: By field: what it says of every image, in the order of rising ids.
        replicates: How often the data set is drawn.

    Example:
        >>> from pathlib import Path
        >>> from wildbench.datasets.coco import Dataset
        >>> from wildbench.datasets.predictions import Detections
        >>> box = {"category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}
        >>> images = [{"id": number, "width": 90, "height": 90} for number in range(40)]
        >>> coco = {"images": images, "categories": [{"id": 1, "name": "lion"}],
        ...     "annotations": [box | {"id": number, "image_id": number} for number in range(20)]}
        >>> def found(alarms):
        ...     scores = [0.9] * 20 + [0.3] * alarms
        ...     return Detections(range(20 + alarms), [1] * (20 + alarms), [[9, 9, 40, 40]] * (20 + alarms), scores)
        >>> data = Dataset("tiny", None, coco, Path())
        >>> field_change(Scored(data, found(2)), Scored(data, found(12)), 0.2, replicates=200).sentence()
        'keep 0.20 and false alarms rise 6.0 times (100 to 600 per 1,000); use 0.9 for as many animals \
(0 false alarms per 1,000) or 0.9 for as few false alarms (100.0 % of the animals)'
    """
    pair = _Pair.of(parent, child, threshold, slices or {})
    drawn = pair.drawn(replicates)
    matched, quiet = (drawn["threshold", at] for at in (MATCHED, QUIET))
    can_match, can_be_quiet = (0 < own.whole[1] <= 1 for own in (matched, quiet))
    times, times_interval = _times(drawn["false_alarms", KEPT], pair.screens[0].empty)
    return FieldChange(
        threshold=threshold,
        threshold_source=source,
        with_animals=pair.screens[0].with_animals,
        empty=pair.screens[0].empty,
        hard_negatives=pair.screens[0].hard_negatives,
        kept=pair.filtering(drawn, KEPT),
        times=times,
        times_interval=times_interval,
        matched=pair.filtering(drawn, MATCHED) if can_match else None,
        matched_interval=_chosen_interval(matched) if can_match else None,
        quiet=pair.filtering(drawn, QUIET) if can_be_quiet else None,
        quiet_interval=_chosen_interval(quiet) if can_be_quiet else None,
        by_share=pair.of_size(drawn, "share"),
        by_side=pair.of_size(drawn, "side"),
        slices={
            field: {name: pair.slice_shift(drawn, field, name) for name in masks} for field, masks in pair.masks.items()
        },
    )


KEPT, MATCHED, QUIET = "kept", "matched", "quiet"
"""The child at the parent's threshold, and where it finds as many animals or raises as few false alarms."""

BEYOND = 1.01
"""Stands for a threshold that keeps nothing."""

Pairs = Mapping[tuple[str, str], Floats]
"""[row, 2]: the parent's figure and the child's."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Parent and child on one data set."""

    screens: tuple[EmptyFilter, EmptyFilter]
    finding: tuple[Floats, Floats]
    """[box]: the score of the detection that finds each box that is no crowd; -1 for none."""
    image: Ints
    """[box]: where it stands."""
    sizes: Mapping[tuple[str, str], Flags]
    """[box]: whether it is of this size."""
    masks: Mapping[str, Mapping[str, Flags]]
    """[image]: by field and value."""
    threshold: float
    kind: Kind
    groups: Ints
    blocks: Ints

    @classmethod
    def of(cls, parent: Scored, child: Scored, threshold: float, slices: Mapping[str, Sequence[str | None]]) -> _Pair:
        kind, groups = groups_of(parent.dataset)
        screens, single = (empty_filter(parent), empty_filter(child)), ~parent.known_labels.crowd
        sizes = {(by, name): mask[single] for by in ("share", "side") for name, mask in size_bins(parent, by).items()}
        return cls(
            screens=screens,
            finding=(parent.matches.finding[single], child.matches.finding[single]),
            image=np.searchsorted(parent.image_ids, parent.known_labels.image_ids[single]),
            sizes=sizes,
            masks={field: _masks(values, screens[0].judged) for field, values in slices.items()},
            threshold=threshold,
            kind=kind,
            groups=groups,
            blocks=blocks_of(parent.matches, groups),
        )

    def measure(self, weights: Ints) -> Pairs:
        """Every figure, under weights [row, image]."""
        kept = [screen.at_thresholds([self.threshold], weights) for screen in self.screens]
        recalls, falses = ([share[side][:, 0] for share in kept] for side in (0, 1))
        boxes = [self._found(weights, self.finding[side] >= self.threshold) for side in (0, 1)]
        figures = {("recall", KEPT): recalls, ("false_alarms", KEPT): falses, ("boxes", KEPT): boxes}
        child = self.screens[1]
        for at, own in (
            (MATCHED, child.at_recalls(kept[0][0], weights)),
            (QUIET, child.at_alarms(kept[0][1], weights)),
        ):
            chosen, recall, alarms = (column[:, 0] for column in own)
            figures["threshold", at] = [np.full(len(weights), self.threshold), np.minimum(chosen, BEYOND)]
            figures["recall", at] = [recalls[0], recall]
            figures["false_alarms", at] = [falses[0], alarms]
            figures["boxes", at] = [boxes[0], self._found(weights, self.finding[1] >= chosen[:, None])]
        for key, mask in self.sizes.items():
            figures[key] = [self._found(weights, self.finding[side] >= self.threshold, mask) for side in (0, 1)]
        for field, masks in self.masks.items():
            for name, mask in masks.items():
                inside = [screen.at_thresholds([self.threshold], weights * mask) for screen in self.screens]
                for part, what in enumerate(("recall", "false_alarms")):
                    figures[f"{what} {field}", name] = [share[part][:, 0] for share in inside]
        return {key: np.stack(sides, axis=1) for key, sides in figures.items()}

    def _found(self, weights: Ints, found: Flags, of: Flags | None = None) -> Floats:
        """[row]: the share of the boxes, or of those of one size, that are found."""
        each = weights[:, self.image] if of is None else weights[:, self.image] * of
        many = each.sum(axis=1)
        return np.where(many > 0, (each * found).sum(axis=1) / np.maximum(many, 1), np.nan)

    def drawn(self, replicates: int) -> dict[tuple[str, str], Replay]:
        """Every figure on the data set, on drawn ones, and without each group."""
        keys: list[tuple[str, str]] = []

        def measure(weights: Ints) -> Floats:
            figures = self.measure(weights)
            keys[:] = figures
            return np.concatenate(list(figures.values()), axis=1)

        every = replay(measure, self.groups, self.blocks, replicates=replicates)
        sides = [
            (every.whole[first:end], every.drawn[:, first:end], every.without[:, first:end])
            for first, end in zip(range(0, 2 * len(keys), 2), range(2, 2 * len(keys) + 1, 2), strict=True)
        ]
        return {key: Replay(*side) for key, side in zip(keys, sides, strict=True)}

    def shift(self, drawn: Replay, images: Ints) -> Shift:
        """One figure, which is over something in each of `images`."""
        n = len(images)
        values = [None if value != value else float(value) for value in drawn.whole]
        found = difference(drawn.whole, drawn.drawn, drawn.without, boxes=max(n, 1))
        why: str | None = f"no interval: all {n} are in one of the {self.kind}" if n else "there are none"
        if found is not None:
            why = caution(n, len(np.unique(images)), len(np.unique(self.groups)), self.kind)
        return Shift(
            n=n,
            baseline=values[0],
            value=values[1],
            difference=None if found is None else found.value,
            interval=None if found is None else found.interval,
            caution=why,
        )

    def filtering(self, drawn: Mapping[tuple[str, str], Replay], at: str) -> Filtering:
        animal, empty = self._images()
        return Filtering(
            threshold=self.threshold if at == KEPT else float(drawn["threshold", at].whole[1]),
            recall=self.shift(drawn["recall", at], animal),
            boxes=self.shift(drawn["boxes", at], self.image),
            false_alarms=self.shift(drawn["false_alarms", at], empty),
        )

    def of_size(self, drawn: Mapping[tuple[str, str], Replay], by: str) -> dict[str, Shift]:
        """Recall at the parent's threshold by size."""
        return {
            name: self.shift(drawn[key, name], self.image[mask])
            for (key, name), mask in self.sizes.items()
            if key == by
        }

    def slice_shift(self, drawn: Mapping[tuple[str, str], Replay], field: str, name: str) -> SliceShift:
        mask = self.masks[field][name]
        animal, empty = (images[mask[images]] for images in self._images())
        return SliceShift(
            images=int(mask.sum()),
            recall=self.shift(drawn[f"recall {field}", name], animal),
            false_alarms=self.shift(drawn[f"false_alarms {field}", name], empty),
        )

    def _images(self) -> tuple[Ints, Ints]:
        """Those with an animal, and those without."""
        screen = self.screens[0]
        return np.flatnonzero(screen.judged & screen.animal), np.flatnonzero(screen.judged & ~screen.animal)


def _masks(values: Sequence[str | None], judged: Flags) -> dict[str, Flags]:
    """[image]: by value, the images with it that take part; no value without any."""
    said = np.array([one or "" for one in values])
    return {name: judged & (said == name) for name in np.unique(said[judged & (said != "")]).tolist()}


def _times(alarms: Replay, empty: int) -> tuple[float | None, Interval | None]:
    """The child's false alarms by the parent's, drawn as the logarithm; half an alarm more for both in drawn sets."""
    baseline, value = alarms.whole
    if not baseline > 0:
        return None, None
    drawn, without = (
        np.log((side[:, 1] * empty + 0.5) / (side[:, 0] * empty + 0.5)) for side in (alarms.drawn, alarms.without)
    )
    middle = math.log(value / baseline if value > 0 else 0.5 / (baseline * empty + 0.5))
    spread = spread_of(middle, drawn, without)
    if spread is None:
        return value / baseline, None
    unseen = spread_of(0.0, np.zeros(2), np.zeros(2), boxes=empty)  # what no image showed may still differ
    margin = max(spread.margin(), math.log1p(unseen.margin() / baseline) if unseen else 0.0)
    low, high = (math.exp(middle + side * margin) for side in (-1, 1))
    return value / baseline, (low if value > 0 else 0.0, high)


def _chosen_interval(chosen: Replay) -> Interval | None:
    value, drawn, without = chosen.whole[1], chosen.drawn[:, 1], chosen.without[:, 1]
    ends = difference_interval(float(value), drawn, without)
    return ends and (max(ends[0], 0.0), min(ends[1], 1.0))
