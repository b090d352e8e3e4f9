"""Boxes that are the labels themselves: a detector measures an animal to a pixel or two, a copy to a thousandth."""

from __future__ import annotations

import math

import numpy as np

from wildbench.measures.audits._drop import CERTAIN
from wildbench.measures.matching import AREAS, TRUE, Scored
from wildbench.scorecard import Audit, Figure

EXACT = 0.995
"""IoU from which a box is the label: a box of 100 pixels is met to an eighth of a pixel at each side."""

SHARE = 0.1
"""Of the labels that an honest detector may meet so, before chance: the most that was seen is in studies/audits."""

LEAST = 20
"""Boxes below which a share tells nothing."""


def audit_exact(scored: Scored) -> Audit:
    """Count the labels that a detection of their category repeats."""
    matches = scored.matches
    boxes = int(matches.held().sum())
    if boxes < LEAST:
        why = f"only {boxes} boxes: a share of them tells nothing"
        return Audit(name="exact-boxes", passed=None, explanation=why)
    exact = int(np.sum((matches.outcome[0, 0] == TRUE) & (matches.overlap >= EXACT)))
    share, bound = exact / boxes, SHARE + CERTAIN * math.sqrt(SHARE * (1 - SHARE) / boxes)
    found = int(np.sum(matches.outcome[list(AREAS).index("all"), 0] == TRUE))
    return Audit(
        name="exact-boxes",
        passed=share <= bound,
        measured=Figure(value=share, unit="1", n=boxes),
        bound=bound,
        evidence={"found": Figure(value=found / boxes, unit="1", n=boxes)},
        explanation=(
            f"{exact} of {boxes} labels are met with an IoU of {EXACT} or more, as copies of labels are"
            if share > bound
            else f"{exact} of {boxes} labels are met with an IoU of {EXACT} or more: no more than detectors do"
        ),
    )
