import numpy as np

from wildbench.parksim._animal import extend, reduce, sampled

NAN = np.nan


def test_every_covered_pixel_keeps_a_ray_to_be_coloured() -> None:
    depth = np.where(np.random.default_rng(0).random((30, 36)) < 0.3, 1.0, NAN)
    for finer in (2, 3):
        kept = ~np.isnan(sampled(depth, finer))
        blocks = (30 // finer, finer, 36 // finer, finer)
        covered = ~np.isnan(depth).reshape(blocks).all((1, 3))
        np.testing.assert_array_equal(kept.reshape(blocks).any((1, 3)), covered)
        assert kept.sum() < (~np.isnan(depth)).sum()


def test_reduce_averages_colour_counts_coverage_and_keeps_the_nearest() -> None:
    depth = np.array([[1.0, NAN], [3.0, 2.0]])
    coloured = np.array([[1.0, NAN], [NAN, 2.0]])
    rgb = np.array([[[0.2] * 3, [9.0] * 3], [[9.0] * 3, [0.4] * 3]])
    colour, alpha, nearest = reduce(rgb, coloured, depth, 2)
    np.testing.assert_allclose(colour, [[[0.3] * 3]])
    assert (alpha.item(), nearest.item()) == (0.75, 3.0)


def test_extend_gives_the_fringe_the_mean_of_its_neighbours() -> None:
    depth = np.full((3, 4), NAN)
    depth[1, 1], depth[2, 1] = 5.0, 7.0
    rgb = np.zeros((3, 4, 3))
    rgb[1, 1], rgb[2, 1] = 0.2, 0.6
    colour, deep = extend(rgb, depth)
    np.testing.assert_allclose(colour[1, 2], 0.4)
    np.testing.assert_allclose(colour[1, 1], 0.2)
    assert (deep[1, 2], deep[0, 0], deep[1, 3]) == (7.0, 5.0, -np.inf)
