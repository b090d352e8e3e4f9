import math

import numpy as np
import pytest

from wildbench.parksim._sdf import bounds, camera, seen


def test_camera_sees_the_head_at_the_right_then_coming_then_from_above() -> None:
    forward, up, right = np.eye(3)
    np.testing.assert_allclose(camera(0.0, 0.0) @ forward, (1, 0, 0), atol=1e-6)
    np.testing.assert_allclose(camera(0.0, 0.0) @ right, (0, 0, 1), atol=1e-6)
    np.testing.assert_allclose(camera(math.pi / 2, 0.0) @ forward, (0, 0, 1), atol=1e-6)
    np.testing.assert_allclose(camera(0.3, math.pi / 2) @ up, (0, 0, 1), atol=1e-6)


@pytest.mark.parametrize(("azimuth", "elevation"), [(0.3, 0.1), (2.5, 0.7), (-1.2, 1.4)])
def test_camera_is_a_right_handed_frame(azimuth: float, elevation: float) -> None:
    frame = camera(azimuth, elevation)
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-5)
    assert np.linalg.det(frame) == pytest.approx(1.0, abs=1e-5)


def test_seen_turns_places_axes_and_normals_but_no_sizes() -> None:
    capsules = np.random.default_rng(0).uniform(-1, 1, (5, 16))
    turn = camera(0.7, 0.4)
    turned = seen(capsules, turn)
    for first in (0, 3, 9):
        np.testing.assert_allclose(turned[:, first : first + 3], capsules[:, first : first + 3] @ turn.T, atol=1e-12)
    np.testing.assert_array_equal(turned[:, [6, 7, 8, 12, 13, 14, 15]], capsules[:, [6, 7, 8, 12, 13, 14, 15]])


def test_bounds_of_a_cone_and_of_a_disc_seen_from_its_edge() -> None:
    cone = [0.0, 1.0, 0.0, 2.0, 0.0, 0.0, 0.25, 0.5, -0.3, 0.0, 0.0, 1.0, 0.0, 0.1, 0.0, 1.0]
    assert bounds(np.array([cone])) == pytest.approx((-0.5, 2.2, 0.5, 1.5))
    disc = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 9.0, 0.1, 0.0, 1.0]
    assert bounds(np.array([disc])) == pytest.approx((-1.0, 1.0, -0.1, 0.1))
