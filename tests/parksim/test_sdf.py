"""Distances, tracing, coverage, and the camera's frame."""

import math

import numpy as np
import pytest

from wildbench.parksim._sdf import (
    COLUMNS,
    bounds,
    camera,
    capsule_distance,
    coverage,
    gather,
    hash3,
    scene_distance,
    seen,
    trace,
    value_noise,
)

Point = tuple[float, float, float]


def capsule(
    a: Point,
    b: Point,
    radius_a: float,
    radius_b: float,
    normal: Point = (0.0, 0.0, 1.0),
    flat: float = 1.0,
    blend: float = 1e-6,
) -> list[float]:
    axis = np.subtract(b, a)
    span = float(axis @ axis)
    row = [
        *a,
        *axis,
        1.0 / span if span else 0.0,
        radius_a,
        radius_b - radius_a,
        *normal,
        1.0 / flat - 1.0,
        blend,
        0,
        1,
    ]
    assert len(row) == COLUMNS
    return row


def test_distance_to_a_sphere_and_to_a_cylinder_is_the_closed_form() -> None:
    points = np.random.default_rng(0).uniform(-2, 2, (200, 3))
    sphere = np.array([capsule((0.1, 0.2, 0.3), (0.1, 0.2, 0.3), 0.5, 0.5)])
    rod = np.array([capsule((-9.0, 0.0, 0.0), (9.0, 0.0, 0.0), 0.25, 0.25)])
    for x, y, z in points:
        assert capsule_distance(sphere, 0, x, y, z) == pytest.approx(
            np.linalg.norm([x - 0.1, y - 0.2, z - 0.3]) - 0.5, abs=1e-12
        )
        assert capsule_distance(rod, 0, x, y, z) == pytest.approx(np.hypot(y, z) - 0.25, abs=1e-12)


def test_radius_grows_evenly_along_a_cone() -> None:
    cone = np.array([capsule((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), 0.1, 0.3)])
    assert capsule_distance(cone, 0, 0.5, 1.0, 0.0) == pytest.approx(0.8, abs=1e-12)


def test_surface_of_a_flattened_sphere_is_an_ellipsoid() -> None:
    flat = np.array([capsule((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1.0, 1.0, flat=0.25)])
    directions = np.random.default_rng(1).normal(size=(100, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    for x, y, z in directions * (1.0, 1.0, 0.25):
        assert abs(capsule_distance(flat, 0, x, y, z)) < 1e-9
        assert capsule_distance(flat, 0, 1.1 * x, 1.1 * y, 1.1 * z) > 0.0
        assert capsule_distance(flat, 0, 0.9 * x, 0.9 * y, 0.9 * z) < 0.0


def test_smooth_union_bulges_by_at_most_a_quarter_of_its_blend_and_only_where_parts_meet() -> None:
    pair = np.array([capsule((x, 0.0, 0.0), (x, 0.0, 0.0), 0.5, 0.5, blend=0.4) for x in (-0.4, 0.4)])
    for x, y, z in np.random.default_rng(2).uniform(-1.5, 1.5, (300, 3)):
        parts = [capsule_distance(pair, n, x, y, z) for n in (0, 1)]
        union = scene_distance(pair, 2, x, y, z)
        assert min(parts) - 0.1 - 1e-12 <= union <= min(parts)
        if abs(parts[0] - parts[1]) >= 0.4:
            assert union == min(parts)


def test_trace_finds_the_visible_half_of_a_sphere() -> None:
    sphere = np.array([capsule((0.0, 0.0, 0.7), (0.0, 0.0, 0.7), 1.0, 1.0)])
    pixel = 0.02
    depth = trace(sphere, -1.3, 1.3, pixel, 130, 130)
    y, x = 1.3 - (np.arange(130)[:, None] + 0.5) * pixel, -1.3 + (np.arange(130) + 0.5) * pixel
    squared = x**2 + y**2
    inner, outer = squared < 0.98**2, squared > 1.02**2
    assert np.isnan(depth[outer]).all()
    np.testing.assert_allclose(depth[inner], 0.7 + np.sqrt(1.0 - squared[inner]), atol=0.03)


def test_tiles_lose_no_part_of_a_crowd() -> None:
    rng = np.random.default_rng(3)
    centres, radii = rng.uniform(-1, 1, (40, 3)), rng.uniform(0.03, 0.2, 40)
    crowd = np.array([capsule(tuple(c), tuple(c), r, r) for c, r in zip(centres, radii, strict=True)])
    depth = trace(crowd, -1.3, 1.3, 0.02, 130, 130)
    y, x = 1.3 - (np.arange(130)[:, None] + 0.5) * 0.02, -1.3 + (np.arange(130) + 0.5) * 0.02
    expected, gap = np.full((130, 130), -np.inf), np.full((130, 130), np.inf)
    for c, r in zip(centres, radii, strict=True):
        across = np.hypot(x - c[0], y - c[1])
        lift = np.sqrt(np.maximum(r**2 - across**2, 0.0))
        expected = np.maximum(expected, np.where(across < r, c[2] + lift, -np.inf))
        gap = np.minimum(gap, across - r)
    # The march stops a fifth of a pixel before the surface.
    assert np.isfinite(depth)[gap < 0.0].all()
    assert np.isnan(depth)[gap > 0.2 * 0.02].all()
    both = np.isfinite(depth) & np.isfinite(expected)
    assert (np.abs(depth[both] - expected[both]) < 0.03).mean() > 0.95


def test_coverage_of_a_disc_is_its_area() -> None:
    ball = np.array([capsule((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 10.3, 10.3)])
    depth = trace(ball, -12.0, 12.0, 1.0, 24, 24)
    alpha = coverage(ball, depth, -12.0, 12.0, 1.0)
    # The march stops a fifth of a pixel before the surface.
    assert 0.99 * np.pi * 10.3**2 < alpha.sum() < 1.01 * np.pi * 10.5**2
    assert set(np.unique(alpha)) <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_gather_keeps_exactly_what_is_near() -> None:
    row = np.array([capsule((x, 0.0, 0.0), (x, 0.0, 0.0), 0.1, 0.1) for x in (0.0, 1.0, 2.0)])
    near, tile = np.empty(3, np.int64), np.empty(row.shape)
    assert gather(row, 1.0, 0.0, 0.2, tile, near) == 1
    assert near[0] == 1
    np.testing.assert_array_equal(tile[0], row[1])


def test_noise_is_spread_over_the_unit_interval_and_continuous() -> None:
    lattice = np.array([hash3(i, j, k) for i in range(-8, 8) for j in range(-8, 8) for k in range(-8, 8)])
    assert 0.0 <= lattice.min() < 0.01
    assert 0.99 < lattice.max() < 1.0
    assert lattice.mean() == pytest.approx(0.5, abs=0.02)
    assert value_noise(3.0, -2.0, 5.0) == hash3(3, -2, 5)
    assert abs(value_noise(0.3, 0.4, 1.0 - 1e-9) - value_noise(0.3, 0.4, 1.0 + 1e-9)) < 1e-6


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
