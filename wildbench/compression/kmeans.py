"""k-means of numbers: Lloyd's algorithm on sorted values, where a step takes as long as finding k borders."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
MOST_STEPS = 1000


def kmeans(values: npt.NDArray[np.floating], k: int) -> Vector:
    """Centroids of numbers, started evenly between the least and the largest, as in Deep Compression.

    That start keeps centroids for the few large weights, which matter most (Han et al., 2016, section 3.2). Clusters of
    numbers are intervals, so that sums over them are differences of one cumulative sum: 40 million numbers take as long
    as sorting them. Nothing is drawn by chance.

    Args:
        values: [n] finite numbers, at least one, in any order.
        k: Largest number of centroids, at least one.

    Returns:
        float64 [at most k], ascending and distinct; those that no number is nearest to are left out.

    Example:
        >>> kmeans(np.array([3.0, 1.0, 9.0, 2.0]), 2).tolist()
        [2.0, 9.0]
    """
    ordered = np.sort(values)
    sums = np.concatenate([[0.0], np.cumsum(ordered, dtype=np.float64)])
    centroids = np.linspace(float(ordered[0]), float(ordered[-1]), k) if k > 1 else np.array([sums[-1] / len(ordered)])
    for _ in range(MOST_STEPS):
        ends = _ends(ordered, centroids)
        counts, totals = np.diff(ends), np.diff(sums[ends])
        moved = np.where(counts > 0, totals / np.maximum(counts, 1), centroids)
        if np.array_equal(moved, centroids):
            break
        centroids = moved
    used: Vector = np.unique(centroids[np.diff(_ends(ordered, centroids)) > 0])
    return used


def nearest(values: npt.NDArray[np.floating], centroids: Vector) -> npt.NDArray[np.int64]:
    """Index of the centroid nearest to each number; half-way between two, of the lesser.

    Args:
        values: Any shape.
        centroids: Ascending.

    Example:
        >>> nearest(np.array([[0.0, 2.6], [1.5, 9.0]]), np.array([1.0, 2.0, 3.0])).tolist()
        [[0, 2], [0, 2]]
    """
    borders = ((centroids[1:] + centroids[:-1]) / 2).astype(values.dtype)
    return np.searchsorted(borders, values, side="left")


def _ends(ordered: npt.NDArray[np.floating], centroids: Vector) -> npt.NDArray[np.int64]:
    """Where the numbers nearest to each centroid begin and end, [k + 1]."""
    borders = ((centroids[1:] + centroids[:-1]) / 2).astype(ordered.dtype)
    inside = np.searchsorted(ordered, borders, side="right")
    return np.concatenate([[0], inside, [len(ordered)]])
