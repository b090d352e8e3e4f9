"""Patterns and colours of coats."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from wildbench.parksim._coat import PATCHES, PLAIN, Coat, cells, coat_colour, coat_tables, linear, smoothstep
from wildbench.parksim._sdf import hash3
from wildbench.parksim.species import KINDS

Floats = NDArray[np.float64]
Point = tuple[float, float, float]


def colour(coat: Coat, point: Point, shift: float = 0.0) -> tuple[float, float, float]:
    return coat_colour(*coat_tables(coat, 0.001), *point, shift)


def flank(species: str, count: int = 1500) -> Floats:
    """How light random points on the flank are."""
    kind = KINDS[species][0]
    low, high = np.array([-0.4, 0.75, 0.2]), np.array([0.4, 1.2, 0.3])
    points = np.random.default_rng(0).uniform(low, high, (count, 3))
    lightness: Floats = np.array([colour(kind.coat, (x, y, z)) for x, y, z in points]).mean(1)
    return lightness


def test_linear_follows_the_srgb_standard() -> None:
    assert linear("000000") == (0.0, 0.0, 0.0)
    assert linear("808080")[0] == pytest.approx(0.2158605, abs=1e-6)


def test_smoothstep_works_in_both_directions() -> None:
    assert [smoothstep(0.0, 2.0, x) for x in (-1.0, 0.0, 1.0, 2.0, 3.0)] == [0.0, 0.0, 0.5, 1.0, 1.0]
    assert smoothstep(1.0, 0.0, 0.25) == pytest.approx(1.0 - smoothstep(0.0, 1.0, 0.25))


def test_cells_find_the_two_nearest_centres() -> None:
    for x, y, z in np.random.default_rng(1).uniform(-3, 3, (50, 3)):
        i0, j0, k0 = (int(np.floor(c)) for c in (x, y, z))
        every = []
        for di, dj, dk in product(range(-2, 3), repeat=3):
            i, j, k = i0 + di, j0 + dj, k0 + dk
            jitter = np.array([hash3(i, j, k), hash3(i + 57, j, k), hash3(i, j + 113, k)]) - 0.5
            every.append(np.linalg.norm(np.array([i, j, k]) + 0.5 + 0.3 * jitter - (x, y, z)))
        every.sort()
        assert cells(x, y, z, 0.3)[:2] == pytest.approx((every[0], every[1]), abs=1e-9)


def test_zebra_is_about_half_black_with_little_between() -> None:
    light = flank("zebra")
    dark, pale = (light < 0.1).mean(), (light > 0.5).mean()
    assert 0.3 < dark < 0.7
    assert 0.3 < pale < 0.7
    assert dark + pale > 0.75


def test_leopard_marks_are_a_minority_on_a_tawny_ground() -> None:
    assert 0.1 < (flank("leopard") < 0.1).mean() < 0.5


def test_shift_moves_marks_but_not_painted_regions() -> None:
    coat = Coat(PATCHES, (0.3, 0.3, 0.3), "dcc59a", "7c4826", "e8d2a4", 0.16, 0.0)
    points = np.random.default_rng(2).uniform(-1, 1, (200, 3))
    assert any(colour(coat, p) != colour(coat, p, 1.37) for p in points)
    paint = (0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 0.3, "102030", 1.0)
    painted = Coat(PLAIN, (1.0, 1.0, 1.0), "ffffff", "ffffff", "ffffff", 0.0, 0.0, paints=(paint,))
    for p in points:
        assert colour(painted, p, 1.37) == pytest.approx(linear("102030"))


def test_patches_fade_towards_the_feet() -> None:
    coat = Coat(PATCHES, (0.3, 0.3, 0.3), "ffffff", "000000", "ffffff", 0.16, 1.0)
    points = np.random.default_rng(3).uniform(-1, 1, (200, 3))
    high = [colour(coat, (x, 1.5 + abs(y), z))[0] for x, y, z in points]
    low = [colour(coat, (x, 0.3 * abs(y), z))[0] for x, y, z in points]
    assert np.mean(high) < 0.6
    assert min(low) > 0.99
