"""Whether a detector answers the same pixels alike, and in the same time: small audits as MLPerf Inference has them.

The pass shows each image once, in an order that nobody knows before. A few are shown twice more among later ones: as
they are, and with their lowest bits changed. A detector cannot tell which of its answers are scored. One that keeps its
answers is faster the second time (MLPerf's TEST04), one that counts its calls answers differently, and one that knows
the images by their bits does not know them any more. Reddi et al., *MLPerf Inference Benchmark*, 2020.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wildbench.scorecard import Audit, Figure

if TYPE_CHECKING:
    from wildbench.submissions.process import Answer, Detections

Image = npt.NDArray[np.uint8]

MOST_REPEATED = 8
"""Images that are shown again; a twentieth of a small split."""

LEAST_TIMES = 4
"""Fewer images than this tell nothing of the time."""

NEIGHBOURS = 4
"""Calls before and after one, whose median is the machine's speed at that moment."""

FASTER = 1.7
"""How many times as fast a second answer may be, in the median."""

STRICT, LOOSE = 0.01, 0.25
"""Share of what is detected, by score, that may differ: for the same pixels, and with other lowest bits. Of 18 honest
detectors, most of them compressed, on 10 images each none was above 0 and 0.007."""

COMPARED = 100
"""Detections of an image, the best ones."""

LEAST_SCORE = 1.0
"""Sum of the scores of all detections that are compared; less tells nothing."""


@dataclass(frozen=True)
class Showing:
    """One image as it is shown once.

    Attributes:
        path: Of its file.
        place: In the data set.
        seed: Of what its lowest bits are changed by; None where its pixels are those of the file.
        mirrored: Left for right.
        scored: Whether the answer is scored and timed.
        shape: Height and width; 0 until it was shown.
    """

    path: Path
    place: int
    seed: int | None = None
    mirrored: bool = False
    scored: bool = False
    shape: tuple[int, int] = field(default=(0, 0), compare=False)

    def of(self, pixels: Image) -> Image:
        """The pixels of the file as they are shown."""
        if self.seed is None:
            return pixels
        changed = pixels[:, ::-1] if self.mirrored else pixels
        flips = np.random.default_rng(self.seed).integers(0, 2, changed.shape, np.uint8)
        return np.ascontiguousarray(changed ^ flips)

    def unscored(self) -> Showing:
        """A picture as hard as this one that is not scored: mirrored, with other lowest bits."""
        return replace(self, seed=secrets.randbits(32), mirrored=True, scored=False)


def order(paths: Sequence[Path]) -> list[Showing]:
    """What to show, in a secret order: each image once for the score, and a few of them twice more afterwards.

    Example:
        >>> showings = order([Path(f"{number}.png") for number in range(200)])
        >>> sum(showing.scored for showing in showings), len(showings)
        (200, 216)
    """
    random = secrets.SystemRandom()
    turns = {Showing(path, place, scored=True): random.random() for place, path in enumerate(paths)}
    for again in random.sample(list(turns), min(MOST_REPEATED, math.ceil(len(paths) / 20))):
        for seed in (None, secrets.randbits(32)):
            turns[replace(again, seed=seed, scored=False)] = random.uniform(turns[again], 1)
    return sorted(turns, key=turns.__getitem__)


def audit_repetition(showings: Sequence[Showing], answers: Sequence[Answer]) -> list[Audit]:
    """Compare the answers to images that were shown again with the first ones.

    Args:
        showings: As `order` gives them.
        answers: To each of them.
    """
    first = {showing.place: turn for turn, showing in enumerate(showings) if showing.scored}
    others = [turn for turn, showing in enumerate(showings) if not showing.scored]
    pairs = [(first[showings[turn].place], turn) for turn in others]
    again = [pair for pair in pairs if showings[pair[1]].seed is None]
    changed = [pair for pair in pairs if showings[pair[1]].seed is not None]
    seconds = [answer.seconds for answer in answers]
    found = [answer.detections for answer in answers]
    return [
        _alike("same-pixels", [(found[a], found[b]) for a, b in again], STRICT, pixels=1, score=0.01),
        _alike("lowest-bits", [(found[a], found[b]) for a, b in changed], LOOSE, pixels=None, score=0.25),
        _answer_times(seconds, again),
    ]


def _alike(
    name: str, pairs: Sequence[tuple[Detections, Detections]], bound: float, *, pixels: float | None, score: float
) -> Audit:
    shares = [difference(a, b, pixels=pixels, score=score) for a, b in pairs]
    total = sum(weight for _, weight in shares)
    told = total >= LEAST_SCORE
    value = sum(lost for lost, _ in shares) / total if told else None
    same = sum(_identical(a, b) for a, b in pairs)
    why = f"the scores of all detections in them sum to {total:.2f}, too little to compare"
    return Audit(
        name=name,
        passed=None if value is None else value <= bound,
        measured=Figure.undefined("1", why, len(pairs))
        if value is None
        else Figure(value=value, unit="1", n=len(pairs)),
        bound=bound,
        evidence={"identical": Figure(value=same, unit="images", n=len(pairs))},
        explanation="Share of the detections, by score, that differ when images are shown again "
        + ("as they are." if pixels else "with other lowest bits."),
    )


def _answer_times(seconds: Sequence[float], again: Sequence[tuple[int, int]]) -> Audit:
    """A second time is held against the first one, and against the machine's speed at that moment."""
    ratios = []
    for before, turn in again:
        near = [*seconds[max(0, turn - NEIGHBOURS) : turn], *seconds[turn + 1 : turn + 1 + NEIGHBOURS]]
        ratios.append(min(seconds[before], median(near)) / seconds[turn])
    told = len(ratios) >= LEAST_TIMES
    why = f"{len(ratios)} images were shown again, {LEAST_TIMES} tell something of the time"
    measured = (
        Figure(value=median(ratios), unit="1", n=len(ratios)) if told else Figure.undefined("1", why, len(ratios))
    )
    return Audit(
        name="answer-times",
        passed=median(ratios) <= FASTER if told else None,
        measured=measured,
        bound=FASTER,
        explanation="How many times as fast the same pixels are answered when they are shown again, in the median.",
    )


def difference(a: Detections, b: Detections, *, pixels: float | None, score: float) -> tuple[float, float]:
    """What of two answers has no counterpart in the other, and all there is, by score.

    Args:
        a: One answer.
        b: Another, for an image of the same size.
        pixels: By how much each side of a counterpart may differ; None where an IoU of 0.5 is enough.
        score: By how much its score may differ.
    """
    lost = sum(_without_counterpart(*pair, pixels, score) for pair in ((a, b), (b, a)))
    return lost, float(sum(one.scores[_surest(one)].sum() for one in (a, b)))


def _without_counterpart(a: Detections, b: Detections, pixels: float | None, score: float) -> float:
    """Sum of the scores of the surest detections of one answer that have no counterpart in the other."""
    mine, theirs = _surest(a), _best(b, 3 * COMPARED)
    if not len(theirs):
        return float(a.scores[mine].sum())
    ours, others = a.boxes[mine, None], b.boxes[None, theirs]
    near = _iou(ours, others) >= 0.5 if pixels is None else np.abs(ours - others).max(-1) <= pixels
    scores = np.abs(a.scores[mine, None] - b.scores[None, theirs]) <= score
    alike = near & scores & (a.labels[mine, None] == b.labels[None, theirs])
    return float(a.scores[mine][~alike.any(1)].sum())


def _surest(detections: Detections) -> npt.NDArray[np.intp]:
    """Those that have half the score of the surest one, at least."""
    best = _best(detections, COMPARED)
    return np.asarray(best[detections.scores[best] >= detections.scores.max(initial=0) / 2])


def _best(detections: Detections, most: int) -> npt.NDArray[np.intp]:
    return np.argsort(-detections.scores, kind="stable")[:most]


def _iou(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    inside = np.clip(sides, 0, None).prod(-1)
    areas = [(one[..., 2:] - one[..., :2]).prod(-1) for one in (a, b)]
    return np.asarray(inside / np.maximum(areas[0] + areas[1] - inside, 1e-9), np.float32)


def _identical(a: Detections, b: Detections) -> bool:
    return all(np.array_equal(getattr(a, part), getattr(b, part)) for part in ("boxes", "labels", "scores"))
