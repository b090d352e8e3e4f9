"""Normals, occlusion and sunlight on the surface."""

import numpy as np
import pytest

from wildbench.parksim._lighting import occlusion, see_from_sun, sunlit, surface_normal

BALL = np.array([[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0, 1e-6, 0.0, 1.0]])
UP = np.array([0.0, 1.0, 0.0])


def test_normal_of_a_ball_points_away_from_its_middle() -> None:
    for direction in np.random.default_rng(0).normal(size=(50, 3)):
        n = direction / np.linalg.norm(direction)
        x, y, z = (0.0, 2.0, 0.0) + 0.5 * n
        assert surface_normal(BALL, 1, x, y, z, 1e-4) == pytest.approx(tuple(n), abs=1e-3)


def test_sky_is_open_over_a_ball_and_closed_between_two() -> None:
    top = np.array([0.0, 2.5, 0.0])
    assert occlusion(BALL, 1, top, UP, UP, 0.4) == pytest.approx(1.0)
    pair = np.concatenate([BALL, BALL])
    pair[1, 1] = 3.1
    assert occlusion(pair, 2, top, UP, UP, 0.4) < 0.6


def test_ground_closes_half_of_the_sky_under_a_ball() -> None:
    low = BALL.copy()
    low[0, 1] = 0.55
    assert occlusion(low, 1, np.array([0.0, 0.05, 0.0]), -UP, UP, 0.4) < 0.6


def test_a_ball_darkens_what_lies_behind_it_from_the_sun() -> None:
    sun = see_from_sun(BALL, (0.6, 0.8, 0.0), 1.0, 0.01)
    assert sunlit(sun, -0.9, 0.8, 0.0, 0.0) == 0.0
    assert sunlit(sun, 0.9, 3.2, 0.0, 0.0) == 1.0
    assert sunlit(sun, 0.0, 2.0, 1.0, 0.0) == 1.0
    offsets = np.linspace(0.4, 0.6, 41)
    edge = [sunlit(sun, -0.9, 0.8, float(offset), 0.0) for offset in offsets]
    assert edge == sorted(edge)
    assert 0.45 < offsets[np.searchsorted(edge, 0.5)] < 0.55
