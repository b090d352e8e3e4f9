"""Lloyd's algorithm on sorted values: the same centroids as scipy's, and no worse than any split of a few."""

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from wildbench.compression.coding._share import kmeans, nearest


def distortion(values: NDArray[np.float64], centroids: NDArray[np.float64]) -> float:
    return float(((values - centroids[nearest(values, centroids)]) ** 2).sum())


@pytest.mark.parametrize("k", [1, 2, 5, 9])
@pytest.mark.parametrize("seed", range(2))
def test_the_centroids_of_scipy_from_the_same_start(k: int, seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal(2000)
    start = np.linspace(values.min(), values.max(), k)[:, None] if k > 1 else np.array([[0.0]])
    reference, index = kmeans2(values[:, None], start, iter=1000, minit="matrix", missing="raise")
    assert kmeans(values, k) == pytest.approx(np.sort(reference[:, 0]), abs=1e-12)
    assert distortion(values, kmeans(values, k)) == pytest.approx(float(((values - reference[index, 0]) ** 2).sum()))


def test_the_best_of_all_splits_where_clusters_are_clear() -> None:
    values = np.array([0.0, 0.1, 0.3, 5.0, 5.2, 9.0, 9.3, 9.4])
    splits = [np.split(values, at) for at in combinations(range(1, 8), 2)]
    best = min(sum(float(((part - part.mean()) ** 2).sum()) for part in parts) for parts in splits)
    assert distortion(values, kmeans(values, 3)) == pytest.approx(best)


def test_every_centroid_is_the_mean_of_what_is_nearest() -> None:
    values = np.random.default_rng(5).laplace(size=5000).astype(np.float32)
    centroids = kmeans(values, 31)
    index = nearest(values, centroids)
    assert [float(values[index == at].mean(dtype=np.float64)) for at in range(len(centroids))] == pytest.approx(
        centroids.tolist()
    )
    brute = np.abs(values[:, None].astype(np.float64) - centroids).argmin(1)
    assert (np.abs(values - centroids[index]) <= np.abs(values - centroids[brute]) + 1e-6).all()


def test_fewer_values_than_centroids() -> None:
    assert kmeans(np.array([2.0, 2.0, 2.0]), 4).tolist() == [2.0]
    assert kmeans(np.array([1.0, 2.0, 5.0]), 9).tolist() == [1.0, 2.0, 5.0]
    assert kmeans(np.array([7.0]), 1).tolist() == [7.0]


def test_the_order_does_not_matter() -> None:
    values = np.random.default_rng(1).standard_normal(300)
    assert kmeans(values[::-1], 8).tolist() == kmeans(values, 8).tolist()
