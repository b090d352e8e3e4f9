"""A population of images whose average precision is known, to see whether intervals hold it.

A detection of a box has a latent score and a latent overlap, both normal, with means that depend on the category and on
the box's size; a false alarm has a latent score of a normal distribution around 0. What scores enough is reported, so
that precision and recall at a score are integrals of normal distributions. Images and locations may share parts of
the latent values, of the number of boxes and of the false alarms (`studies.coverage.simulation`): that makes what is
drawn from one place alike, and changes nothing in the population as a whole.

The thirteen categories are those of parksim's test split by their number of boxes and of photographs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from wildbench.measures.matching import THRESHOLDS

Floats = npt.NDArray[np.float64]

GROUPS_PER_IMAGE = np.array([11, 27, 17, 10, 13, 15, 15, 11, 8, 10, 10, 15, 6]) / 168
BOXES_PER_GROUP = np.array([20, 35, 39, 30, 24, 15, 39, 15, 16, 29, 22, 24, 19]) / (168 * GROUPS_PER_IMAGE)
"""Of each category, as in parksim's test split: 327 boxes in 168 images, two categories with 15."""

SIZE_SHARE = np.array([0.21, 0.51, 0.28])
SIZE_SCORE = np.array([-1.0, 0.1, 0.6])
"""Of small, medium and large boxes: their share, and what their size adds to the latent score, and half of it to the
latent overlap."""

WORST = 0.4
"""Overlap of the worst detection of a box; one that overlaps less counts as a false alarm."""

REPORTED = 0.0
"""Latent score from which a detection is reported."""

SCORE_WITH_OVERLAP = 0.5
"""Correlation of the latent score of a box with its latent overlap."""


@dataclass(frozen=True)
class Detector:
    """How well a simulated detector does.

    Attributes:
        score: Mean latent score of the boxes of each category.
        overlap: Mean latent overlap; likewise.
        false_alarms: Mean number reported an image and category.
    """

    score: Floats
    overlap: Floats
    false_alarms: float

    @classmethod
    def of(cls, score: float, overlap: float, false_alarms: float) -> Detector:
        """A detector with these means over the categories, some of which it finds better than others."""
        unlike = np.cos(1 + 2.4 * np.arange(len(GROUPS_PER_IMAGE)))
        return cls(score + 0.6 * unlike, overlap + 0.3 * unlike, false_alarms)


@dataclass(frozen=True)
class Truth:
    """Figures of the population.

    Attributes:
        precision: [category, area, threshold]: average precision; areas are all, small, medium and large.
        recall: [category, area]: average recall with any number of detections an image.
    """

    precision: Floats
    recall: Floats


def truth(detector: Detector, points: int = 4001) -> Truth:
    """Integrate precision and recall over the latent score, from the best down to what is reported.

    Example:
        >>> figures = truth(Detector.of(3.0, 0.4, 0.5))
        >>> [round(float(figures.precision[:, 0, levels].mean()), 3) for levels in (slice(None), 0)]
        [0.468, 0.803]
    """
    score = np.linspace(12, REPORTED, points)
    alarms = detector.false_alarms * ndtr(-score) / ndtr(-REPORTED)
    shape = (len(GROUPS_PER_IMAGE), 1 + len(SIZE_SHARE), len(THRESHOLDS))
    precision, recall = np.empty(shape), np.empty(shape)
    for category, boxes in enumerate(GROUPS_PER_IMAGE * BOXES_PER_GROUP):
        surplus = score - (detector.score[category] + SIZE_SCORE[:, None])
        density = np.exp(-(surplus**2) / 2) / np.sqrt(2 * np.pi)
        overlap = detector.overlap[category] + SIZE_SCORE[:, None] / 2 + SCORE_WITH_OVERLAP * surplus
        for level, threshold in enumerate(THRESHOLDS):
            enough = ndtr((overlap - latent_overlap(threshold)) / np.sqrt(1 - SCORE_WITH_OVERLAP**2))
            true, near = _integral(density * enough, score), _integral(density * (1 - enough), score)
            for area, share in enumerate([SIZE_SHARE, *np.eye(len(SIZE_SHARE))]):
                found = share @ true
                reported = found + share @ near + alarms / boxes
                precision[category, area, level] = _sampled(found / np.maximum(reported, 1e-300), found)
                recall[category, area, level] = found[-1]
    return Truth(precision, recall.mean(axis=2))


def latent_overlap(overlap: float) -> float:
    """The normal variate that stands for an overlap between `WORST` and 1."""
    return float(ndtri((overlap - WORST) / (1 - WORST)))


def _integral(values: Floats, score: Floats) -> Floats:
    """Running integral along the last axis, from the first score down."""
    steps = (values[:, 1:] + values[:, :-1]) / 2 * (score[:-1] - score[1:])
    return np.pad(np.cumsum(steps, axis=1), ((0, 0), (1, 0)))


def _sampled(precision: Floats, recall: Floats) -> float:
    """COCO's mean, over 101 recall points, of the largest precision there or further on."""
    largest = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(largest[np.searchsorted(recall, np.linspace(0, 1, 101))].mean())
