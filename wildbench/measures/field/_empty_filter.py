"""The empty filter: which images may be thrown away, because nothing in them looks like an animal.

An image's score is that of its best detection, whatever its category: the filter keeps an image from a threshold on.
Recall is the share of the images with an animal that are kept, and false alarms the share of the images without one
that are kept too. Beery et al., "Efficient Pipeline for Camera Trap Image Review", 2019, and every user of MegaDetector
after them, work so.

    screen = empty_filter(scored)
    threshold, recall, alarms = screen.at_recalls([0.95])     # how many empty images stay with 95 % of the animals
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.matching import Scored

Weights = npt.NDArray[np.integer]
"""[row, image]: how often each image stands in each drawn set."""

RECALLS = (0.90, 0.95, 0.96, 0.99)
"""Shares of the images with an animal that people ask a filter to keep."""

THRESHOLDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Scores at which a record says what a filter does."""


class Curve(NamedTuple):
    """What a filter does at every threshold at which it does something else; thresholds fall, shares rise."""

    thresholds: Floats
    recall: Floats
    alarms: Floats


@dataclass(frozen=True, eq=False)
class EmptyFilter:
    """One detector as an empty filter; arrays [image], in the order of rising ids.

    Attributes:
        score: Of the best detection; 0 where there is none.
        animal: Whether there is a box, or a crowd, of a category that the detector knows.
        judged: Whether the image takes part: one that is boxed for none of those categories does not.
        hard: Whether an image without such a box may hold another animal: it has a box of a category that the detector
            does not know, or is not boxed for every category.
    """

    score: Floats
    animal: Flags
    judged: Flags
    hard: Flags

    @property
    def with_animals(self) -> int:
        """Images with an animal."""
        return int((self.animal & self.judged).sum())

    @property
    def empty(self) -> int:
        """Images without one, hard negatives too."""
        return int((~self.animal & self.judged).sum())

    @property
    def hard_negatives(self) -> int:
        """Images without one that may hold an animal of another category."""
        return int((~self.animal & self.judged & self.hard).sum())

    def at_thresholds(self, thresholds: Sequence[float], weights: Weights | None = None) -> tuple[Floats, Floats]:
        """Recall and false alarms at each threshold, float64 [row, threshold], 0..1; NaN where there is no such image.

        Args:
            thresholds: Images are kept from here on, itself too.
            weights: [row, image]; None for every image once.
        """
        kept = self.score[:, None] >= np.asarray(thresholds)
        return _share(kept, self.animal & self.judged, weights), _share(kept, ~self.animal & self.judged, weights)

    def at_recalls(
        self, recalls: Sequence[float] | Floats = RECALLS, weights: Weights | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """The highest threshold that keeps so many of the animals, and the recall and false alarms there.

        float64 [row, recall] each; NaN where there is no such image. A threshold of 0 keeps everything. Recalls may be
        [row, recall] too: others for every drawn set.
        """
        thresholds, animals, others = self._steps(weights)
        needed = animals[:, -1:] * np.asarray(recalls)
        step = (animals[:, :, None] < needed[:, None] - 1e-9).sum(axis=1)
        with np.errstate(invalid="ignore"):
            kept, alarms = (
                np.take_along_axis(counts, step.clip(max=counts.shape[1] - 1), axis=1) / counts[:, -1:]
                for counts in (animals, others)
            )
        chosen = np.where(animals[:, -1:] > 0, thresholds[step.clip(max=len(thresholds) - 1)], np.nan)
        return chosen, kept, np.where(animals[:, -1:] > 0, alarms, np.nan)

    def at_alarms(self, alarms: Floats, weights: Weights | None = None) -> tuple[Floats, Floats, Floats]:
        """The lowest threshold that keeps no more of the images without an animal; as `at_recalls` otherwise.

        A threshold of infinity keeps nothing.
        """
        thresholds, animals, others = self._steps(weights)
        step = (others[:, :, None] <= (others[:, -1:] * np.asarray(alarms) + 1e-9)[:, None]).sum(axis=1)
        thresholds = np.append(np.inf, thresholds)
        with np.errstate(invalid="ignore"):
            kept, wrong = (
                np.take_along_axis(np.pad(counts, ((0, 0), (1, 0))), step, axis=1) / counts[:, -1:]
                for counts in (animals, others)
            )
        return np.where(others[:, -1:] > 0, thresholds[step], np.nan), kept, wrong

    def curve(self) -> Curve:
        """Recall and false alarms at every score of an image; NaN where there is no such image."""
        thresholds, animals, others = self._steps(None)
        with np.errstate(invalid="ignore"):
            return Curve(thresholds, animals[0] / animals[0, -1], others[0] / others[0, -1])

    def _steps(self, weights: Weights | None) -> tuple[Floats, Floats, Floats]:
        """Every score of an image, falling to 0, and how many images with and without an animal are kept there."""
        thresholds = np.unique(np.append(self.score[self.judged], 0.0))[::-1]
        counts = []
        for taken in (self.animal & self.judged, ~self.animal & self.judged):
            images = np.flatnonzero(taken)
            images = images[np.argsort(-self.score[images], kind="stable")]
            each = _ones(weights, self.score)[:, images].cumsum(axis=1)
            until = np.searchsorted(-self.score[images], -thresholds, side="right")
            counts.append(np.pad(each, ((0, 0), (1, 0)))[:, until].astype(np.float64))
        return thresholds, counts[0], counts[1]


def empty_filter(scored: Scored) -> EmptyFilter:
    """Look at a detector as an empty filter.

    Only what is exhaustively boxed counts, and only the categories that the detector knows.

    Example:
        >>> from pathlib import Path
        >>> from wildbench.datasets.coco import Dataset
        >>> from wildbench.datasets.predictions import Detections
        >>> coco = {"images": [{"id": 1}, {"id": 2}, {"id": 3}], "categories": [{"id": 1, "name": "lion"}],
        ...     "annotations": [{"image_id": 2, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> found = Detections([1, 2], [1, 1], [[9, 9, 40, 40], [0, 0, 5, 5]], scores=[0.3, 0.6])
        >>> screen = empty_filter(Scored(Dataset("tiny", None, coco, Path()), found))
        >>> [shares.tolist() for shares in screen.at_thresholds([0.2, 0.5])]
        [[[1.0, 1.0]], [[0.5, 0.0]]]
    """
    known = {entry["id"] for entry in scored.categories}
    images = sorted(scored.dataset.images, key=lambda image: image["id"])
    listed = [scored.dataset.scored_categories(image) for image in images]
    every = len(scored.dataset.categories)
    score = np.zeros(len(images))
    np.maximum.at(score, _place(scored, scored.known_detections.image_ids), scored.known_detections.scores)
    return EmptyFilter(
        score=score,
        animal=_some(scored, scored.known_labels.image_ids),
        judged=np.array([bool(known & categories) for categories in listed], dtype=np.bool_),
        hard=np.array([len(categories) < every for categories in listed], dtype=np.bool_)
        | _some(scored, scored.dataset.labels.image_ids),
    )


def _place(scored: Scored, image_ids: Ints) -> Ints:
    return np.searchsorted(scored.image_ids, image_ids)


def _some(scored: Scored, image_ids: Ints) -> Flags:
    """[image]: whether it is among these."""
    return np.isin(scored.image_ids, image_ids)


def _ones(weights: Weights | None, images: Floats | Flags) -> Weights:
    return np.ones((1, len(images)), dtype=np.int64) if weights is None else weights


def _share(kept: Flags, taken: Flags, weights: Weights | None) -> Floats:
    """[row, threshold]: the share of the images taken that are kept."""
    drawn = _ones(weights, taken)[:, taken].astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.asarray(drawn @ kept[taken].astype(np.float64) / drawn.sum(axis=1, keepdims=True))
