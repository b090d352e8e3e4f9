"""How far AP falls from one set of images to another, and how much of that is chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from wildbench.datasets.coco import Flags, Floats, Ints
from wildbench.measures.matching import FALSE, TRUE, Matches, Scored
from wildbench.scorecard import Figure

REPLICATES = 100

CERTAIN = 4.0
"""Standard errors that chance is given: one honest detector in 30,000 is outside by chance alone."""


class Drop(NamedTuple):
    """AP over all categories together before and after, and the standard error of their difference."""

    before: float
    after: float
    error: float


@dataclass(frozen=True)
class Ranking:
    """Every detection of one detector by falling score, whatever its category.

    AP of this one ranking varies far less from one small set of images to the next than COCO's mean over categories,
    of which each has a few boxes there.
    """

    image: Ints
    hit: Flags  # [threshold, detection]
    wrong: Flags  # neither of both is what is ignored
    box_image: Ints
    images: int

    @classmethod
    def of(cls, matches: Matches) -> Ranking:
        """Rank what was matched."""
        order = np.argsort(-matches.score, kind="stable")
        outcome = matches.outcome[0][:, order]
        boxes = matches.boxes[matches.held(), 2]
        return cls(matches.image[order], outcome == TRUE, outcome == FALSE, boxes, matches.images)

    def ap(self, weights: Floats) -> float:
        """AP, mean over COCO's ten thresholds, with each image [image] counted so often."""
        boxes = weights[self.box_image].sum()
        if not boxes or not self.hit.shape[1]:
            return 0.0
        hits = np.cumsum(self.hit * weights[self.image], axis=1)
        wrong = np.cumsum(self.wrong * weights[self.image], axis=1)
        precision = hits / np.maximum(hits + wrong, 1e-9)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        return float((np.diff(hits, axis=1, prepend=0) * envelope).sum(axis=1).mean() / boxes)


def drop(before: Scored, after: Scored, *, paired: bool) -> Drop:
    """Compare one detector on two sets of images; where they are the same images altered, in pairs."""
    rankings = [Ranking.of(scored.matches) for scored in (before, after)]
    rng = np.random.default_rng(0)
    drawn = np.empty((REPLICATES, 2))
    for replicate in range(REPLICATES):
        weights = [rng.multinomial(one.images, np.full(one.images, 1 / one.images)) for one in rankings]
        if paired:
            weights[1] = weights[0]
        drawn[replicate] = [one.ap(weight.astype(np.float64)) for one, weight in zip(rankings, weights, strict=True)]
    whole = [one.ap(np.ones(one.images)) for one in rankings]
    return Drop(whole[0], whole[1], float((drawn[:, 0] - drawn[:, 1]).std(ddof=1)))


def coco_ap(scored: Scored) -> Figure:
    """AP as the record states it, without an interval."""
    precision = scored.arrays["precision"][:, :, :, 0, -1]
    boxes = int((~scored.labels.crowd).sum())
    defined = precision[precision > -1]
    if not defined.size:
        return Figure.undefined("AP", "no box in these images", boxes)
    return Figure(value=float(defined.mean()), unit="AP", n=boxes)
