"""AP of one detector on resampled images, kept beside its card: what ranking needs, without matching again."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from wildbench.datasets.coco import Dataset
from wildbench.errors import ScorecardError
from wildbench.measures.intervals import REPLICATES, Floats


@dataclass(frozen=True, eq=False)
class Samples:
    """AP of one detector; NaN where no box was drawn. Draw `k` is of the same images for every detector.

    Attributes:
        whole: float64 [1]: on the data set.
        drawn: float64 [replicate]: on resampled sets.
        without: float64 [group]: without each group of images in turn.
    """

    whole: Floats
    drawn: Floats
    without: Floats

    def to_bytes(self) -> bytes:
        """As a .npy file: the figure, the replicates, then the rest in one row."""
        file = io.BytesIO()
        np.save(file, np.concatenate([self.whole, self.drawn, self.without]).astype("<f8"), allow_pickle=False)
        return file.getvalue()


def measure_samples(data: Dataset, results: list[dict[str, Any]], scored: set[int] | None) -> Samples:
    """Draw the data set again and again.

    Args:
        data: Ground truth.
        results: COCO results of its images and categories.
        scored: Ids of the categories that the detector knows; None for all.
    """
    # here, because they load a compiler, which reading samples does without
    from wildbench.measures.bootstrap import estimate
    from wildbench.measures.uncertainty import measure_uncertainty

    found = measure_uncertainty(data, results, scored_categories=scored)
    return Samples(estimate([found.matches]).ap()[0], found.drawn.ap()[:, 0], found.without.ap()[:, 0])


def samples_from(stored: bytes, where: str, replicates: int = REPLICATES) -> Samples:
    """Read what `to_bytes` wrote.

    Args:
        stored: The file.
        where: Its name, for the message.
        replicates: How many there are.

    Raises:
        ScorecardError: It is no such file.

    Example:
        >>> one = Samples(np.array([0.5]), np.array([0.4, 0.6]), np.array([0.5, 0.5, 0.4]))
        >>> samples_from(one.to_bytes(), "a.npy", replicates=2).without.tolist()
        [0.5, 0.5, 0.4]
    """
    try:
        values = np.load(io.BytesIO(stored), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        values = np.zeros(0)
    if values.ndim != 1 or values.dtype != np.dtype("<f8") or len(values) < 1 + replicates:
        raise ScorecardError(f"{where}: damaged, or of another version", remedy="restore it from version control")
    return Samples(values[:1], values[1 : 1 + replicates], values[1 + replicates :])
