"""The score from which a detector's detections are taken: stated by its makers or user, or chosen on other images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from wildbench.datasets.coco import Dataset
from wildbench.errors import ScorecardError
from wildbench.measures.accuracy import best_threshold
from wildbench.measures.matching import IGNORED, TRUE, Scored
from wildbench.scorecard import read_scorecard

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
    best = best_f1(scored) if may_choose(scored.dataset) else None
    return OperatingPoint(best, None if best is None else "val")


def may_choose(data: Dataset) -> bool:
    """Whether a threshold may be chosen on these images: they are a split for it, by their own name or their file's.

    Example:
        >>> [may_choose(Dataset("park/val", split, {}, Path())) for split in (None, "test")]
        [True, False]
    """
    return (data.split or data.name.rpartition("/")[2]) == CHOOSES_ON


def stated_threshold(stated: float | Path | str | None, data: Dataset) -> float | None:
    """A threshold as a user states it: a number in 0..1, or a scorecard of other images, where its best F1 counts.

    Raises:
        ScorecardError: `threshold`: outside 0..1, or of a card that was scored on these images or finds nothing;
            and as `read_scorecard`.
    """
    if stated is None:
        return None
    try:
        value = float(stated)  # type: ignore[arg-type] # a path is none
    except (TypeError, ValueError):
        return _of_card(Path(stated), data)  # type: ignore[arg-type]
    if not 0 <= value <= 1:
        what = f"a threshold of {value:g}"
        raise ScorecardError(what, code="threshold", remedy="give a score in 0..1, or a scorecard of the val split")
    return value


def _of_card(path: Path, data: Dataset) -> float:
    card = read_scorecard(path)
    if card.dataset.sha256 == data.sha256 and not may_choose(data):
        what = f"{path} was scored on the images that are reported"
        raise ScorecardError(what, code="threshold", remedy="name a scorecard of the val split, or a number")
    best = card.errors.images.threshold
    if best.value is None:
        raise ScorecardError(f"{path}: {best.reason}", code="threshold", remedy="name another, or a number")
    return best.value


def best_f1(scored: Scored) -> float | None:
    """The threshold from which on F1 is best at IoU 0.5; None where nothing is found."""
    outcome = scored.matches.outcome[0, 0]
    counts = outcome != IGNORED
    boxes = int((~scored.known_labels.crowd).sum())
    return best_threshold(scored.matches.score[counts], outcome[counts] == TRUE, boxes)
