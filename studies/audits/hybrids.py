"""An honest network that answers some pictures with stored labels: from which share on do the audits show it?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from studies.audits.suspects import stored_labels
from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import Pixels, decode
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import Scene, scene_maker
from wildbench.measures.audits import Detect, audit_altered, audit_exact, audit_fresh
from wildbench.measures.matching import Scored
from wildbench.progress import Progress

SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7)
"""Of the pictures whose labels are stored."""

DRAWS = 10
"""Choices of these pictures for each share."""

JITTERS = (0.0, 0.03)
"""How far stored corners are off, as a share of the box's sides."""

PICTURES = 42
"""A quarter of 168, as `evaluate` shows."""


class Share(NamedTuple):
    """What became of one share and jitter: AP, and how many of the draws each audit failed."""

    share: float
    jitter: float
    ap: float
    failed: dict[str, int]
    caught: int


def shares(data: Dataset, look: Detect, known: frozenset[int], seed: int, progress: Progress) -> Iterator[Share]:
    """Measure every share. The network looks once at each picture, whoever else asks.

    Args:
        data: A data set that can make new scenes.
        look: The honest network.
        known: Its categories.
        seed: Of the audits and of what is stored.
        progress: Called as `progress(task, done, total)`.
    """
    seen: dict[tuple[int, int], Detections] = {}

    def remembered(image_id: int, pixels: Pixels) -> Detections:
        key = image_id, hash(pixels.tobytes())
        if key not in seen:
            seen[key] = look(image_id, pixels)
        return seen[key]

    make = scene_maker(data)
    assert make
    scenes = list(make(seed, PICTURES))
    own = {image["id"]: look(image["id"], decode(data.image_path(image))) for image in data.images}
    for jitter in JITTERS:
        for share in SHARES:
            if share or not jitter:
                yield _measure(data, own, remembered, known, seed, scenes, share, jitter)
                progress("shares", round(100 * share), 100)


def _measure(
    data: Dataset,
    own: dict[int, Detections],
    look: Detect,
    known: frozenset[int],
    seed: int,
    scenes: list[Scene],
    share: float,
    jitter: float,
) -> Share:
    """The mean over the draws; the pictures of the audits are the same for all of them."""
    rng = np.random.default_rng(seed)
    failed: Counter[str] = Counter()
    caught, aps = 0, []
    for _ in range(DRAWS if share else 1):
        stored = set(rng.choice(list(own), round(share * len(own)), replace=False).tolist())
        answers = [stored_labels(data, one, one, jitter, rng) if one in stored else found for one, found in own.items()]
        scored = Scored(data, Detections.concatenate(answers), known)
        audits = [
            audit_exact(scored),
            audit_altered(look, scored, seed, PICTURES),
            audit_fresh(look, scored, seed, lambda: scenes),
        ]
        failed.update(audit.name for audit in audits if audit.failed)
        caught += any(audit.failed for audit in audits)
        aps.append(audits[-1].evidence["ap_scored"].value or 0)
    return Share(share, jitter, float(np.mean(aps)), dict(failed), caught)
