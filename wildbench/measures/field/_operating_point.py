"""The score from which a detector's detections are taken: stated by its makers or user, or chosen on other images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wildbench.measures.accuracy import best_threshold
from wildbench.measures.matching import IGNORED, TRUE, Scored

Source = Literal["given", "manifest", "val"]

CHOOSES_ON = "val"
"""The split on which a threshold may be chosen: never on the one that is reported."""


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold and where it comes from; both None where nobody says one."""

    threshold: float | None
    source: Source | None


def operating_point(scored: Scored, *, given: float | None = None, manifest: float | None = None) -> OperatingPoint:
    """Which threshold to take: what the user gives, else the manifest's, else on val the one with the best F1 there.

    Args:
        scored: Detections on a data set.
        given: By the user, 0..1.
        manifest: By the submission's manifest, 0..1.
    """
    if given is not None:
        return OperatingPoint(given, "given")
    if manifest is not None:
        return OperatingPoint(manifest, "manifest")
    best = best_f1(scored) if scored.dataset.split == CHOOSES_ON else None
    return OperatingPoint(best, None if best is None else "val")


def best_f1(scored: Scored) -> float | None:
    """The threshold from which on F1 is best at IoU 0.5; None where nothing is found."""
    outcome = scored.matches.outcome[0, 0]
    counts = outcome != IGNORED
    boxes = int((~scored.known_labels.crowd).sum())
    return best_threshold(scored.matches.score[counts], outcome[counts] == TRUE, boxes)
