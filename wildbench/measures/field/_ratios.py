"""Figures that are one sum over images by another: drawn sets weigh the images, and nothing is counted again."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.field._empty_filter import EmptyFilter, Weights
from wildbench.measures.matching import Scored

SHARES = {"<0.5": (0.0, 0.005), "0.5-2": (0.005, 0.02), "2-10": (0.02, 0.1), ">10": (0.1, np.inf)}
"""A box's share of its picture, in percent: name, least, and what it stays below."""

_EDGES = (0.0, 16.0, 32.0, 64.0, 128.0, np.inf)
SIDES = dict(zip(("<16", "16-32", "32-64", "64-128", ">128"), pairwise(_EDGES), strict=True))
"""The side of a square as large as the box, in pixels of the stored picture: name, least, and what it stays below."""


@dataclass(frozen=True, eq=False)
class Ratios:
    """Several figures; column k is the sum of `parts` by the sum of `whole`.

    Attributes:
        names: [figure].
        parts: float64 [image, figure], images in the order of rising ids.
        whole: float64 [image, figure].

    Example:
        >>> found = Ratios(("near",), np.array([[1.0], [0.0]]), np.array([[1.0], [3.0]]))
        >>> found(None).tolist(), found(np.array([[2, 1]])).tolist()
        ([[0.25]], [[0.4]])
    """

    names: tuple[str, ...]
    parts: Floats
    whole: Floats

    def __call__(self, weights: Weights | None) -> Floats:
        """float64 [row, figure]; NaN where a drawn set has none.

        Args:
            weights: [row, image]; None for every image once.
        """
        drawn = np.ones((1, len(self.parts))) if weights is None else weights.astype(np.float64)
        whole = drawn @ self.whole
        return np.asarray(np.where(whole > 0, drawn @ self.parts / np.where(whole > 0, whole, 1), np.nan))

    @property
    def n(self) -> Ints:
        """[figure]: what each is over."""
        return np.asarray(self.whole.sum(axis=0), dtype=np.int64)


def recall_by_size(scored: Scored, threshold: float, *, by: str = "share") -> Ratios:
    """The share of the boxes that a detection from the threshold on finds at IoU 0.5, by size.

    Args:
        scored: Detections on a data set.
        threshold: Score from which a detection counts.
        by: "share" for `SHARES` of the picture, "side" for `SIDES` in pixels.
    """
    bins = size_bins(scored, by)
    image = np.searchsorted(scored.image_ids, scored.known_labels.image_ids)
    within = np.stack(list(bins.values()), axis=1) & ~scored.known_labels.crowd[:, None]
    found = within & (scored.matches.finding >= threshold)[:, None]
    whole, parts = np.zeros((2, len(scored.image_ids), len(bins)))
    np.add.at(whole, image, within)
    np.add.at(parts, image, found)
    return Ratios(tuple(bins), parts, whole)


def size_bins(scored: Scored, by: str) -> dict[str, Flags]:
    """Whether each of `Scored.known_labels` is of a size, by the size's name, as `recall_by_size` tells them apart."""
    labels = scored.known_labels
    area = labels.boxes[:, 2] * labels.boxes[:, 3]
    if by == "share":
        frames = {image["id"]: image["width"] * image["height"] for image in scored.dataset.images}
        bins, size = SHARES, area / np.array([frames[key] for key in labels.image_ids.tolist()], dtype=np.float64)
    else:
        bins, size = SIDES, np.sqrt(area)
    return {name: (low <= size) & (size < high) for name, (low, high) in bins.items()}


COUNTS = ("error", "bias", "exact")
"""Mean of |detected - there|, mean of detected - there, and share of the images in which both are the same."""


def counts(scored: Scored, screen: EmptyFilter, threshold: float) -> Ratios:
    """How well animals are counted image by image: `COUNTS`, over the images that take part and hold no crowd."""
    there, detected, whole = _numbers(scored, screen, threshold)
    return counted(detected - there, whole)


def counts_by_sequence(scored: Scored, screen: EmptyFilter, threshold: float, sequence: Ints) -> Ratios:
    """How well animals are counted in a burst, where the largest number in one picture counts; and which it notices.

    `COUNTS` over sequences, then "found", the share of the sequences with an animal in which one is detected in some
    picture, and "false", the share of the others in which something is. A sequence weighs as its first image does.

    Args:
        scored: Detections on a data set.
        screen: The same as an empty filter.
        threshold: Score from which a detection counts.
        sequence: [image]: the number of its sequence, from 0.
    """
    return counted_by_sequence(*_numbers(scored, screen, threshold), screen, threshold, sequence)


def counted_by_sequence(
    there: Floats, detected: Floats, taken: Flags, screen: EmptyFilter, threshold: float, sequence: Ints
) -> Ratios:
    """The same from numbers [image]: animals, detections, and whether the image is counted."""
    many = int(sequence.max(initial=-1)) + 1
    most, seen, animal, kept = np.zeros((4, many))
    for to, values in ((most, there), (seen, detected), (animal, screen.animal), (kept, screen.score >= threshold)):
        np.maximum.at(to, sequence, values * screen.judged)
    whole, judged = np.ones(many, dtype=np.bool_), np.zeros(many, dtype=np.bool_)
    np.logical_and.at(whole, sequence, taken | ~screen.judged)
    np.logical_or.at(judged, sequence, screen.judged)
    of_sequence = counted(seen - most, whole & judged)
    with_animal, without = judged & (animal > 0), judged & (animal == 0)
    parts = np.column_stack([of_sequence.parts, kept * with_animal, kept * without])
    totals = np.column_stack([of_sequence.whole, with_animal, without])
    first = np.unique(sequence, return_index=True)[1]
    spread = np.zeros((2, len(sequence), parts.shape[1]))
    spread[:, first] = parts, totals
    return Ratios((*COUNTS, "found", "false"), *spread)


def counted(errors: Floats, taken: Flags) -> Ratios:
    """`COUNTS` from detections less animals, [image], over the images that are taken."""
    parts = np.stack([np.abs(errors), errors, errors == 0], axis=1) * taken[:, None]
    return Ratios(COUNTS, parts, np.repeat(taken[:, None].astype(np.float64), len(COUNTS), axis=1))


def _numbers(scored: Scored, screen: EmptyFilter, threshold: float) -> tuple[Floats, Floats, Flags]:
    """[image]: animals, detections from the threshold on, and whether the image is counted."""
    labels, found, many = scored.known_labels, scored.known_detections, len(scored.image_ids)

    def number(image_ids: Ints) -> Floats:
        return np.bincount(np.searchsorted(scored.image_ids, image_ids), minlength=many).astype(np.float64)

    crowded = number(labels.image_ids[labels.crowd]) > 0
    detected = number(found.image_ids[found.scores >= threshold])
    return number(labels.image_ids[~labels.crowd]), detected, screen.judged & ~crowded
