"""Looking at capsules along an axis: the camera and the sun see by parallel rays."""

from __future__ import annotations

import math

import numpy as np

from wildbench.datasets.parksim.sdf import Array


def camera(azimuth: float, elevation: float) -> Array:
    """Return the rows right, up and towards the camera, for angles in radians."""
    ca, sa = round(math.cos(azimuth), 6), round(math.sin(azimuth), 6)
    ce, se = round(math.cos(elevation), 6), round(math.sin(elevation), 6)
    return np.array([[ca, 0.0, -sa], [-sa * se, ce, -ca * se], [sa * ce, se, ca * ce]])


def seen(capsules: Array, turn: Array) -> Array:
    """Return the capsules in the frame whose axes are the rows of ``turn``."""
    turned = capsules.copy()
    for first in (0, 3, 9):
        x, y, z = (capsules[:, first + n] for n in range(3))
        for row in range(3):
            # Written out, because a matrix product may fuse its multiply and add on some machines.
            turned[:, first + row] = (x * turn[row, 0] + y * turn[row, 1]) + z * turn[row, 2]
    return turned


def bounds(capsules: Array, bulge: float = 0.0) -> tuple[float, float, float, float]:
    """Return left, right, bottom, top of the capsules' outlines, metres; blending bulges by a share of its radius."""
    limits: list[float] = []
    for axis in (0, 1):
        a, b = capsules[:, axis], capsules[:, axis] + capsules[:, 3 + axis]
        ra, rb = capsules[:, 7], capsules[:, 7] + capsules[:, 8]
        n = capsules[:, 9 + axis]
        squeeze = np.sqrt(np.maximum(1.0 - n * n * (1.0 - 1.0 / (1.0 + capsules[:, 12]) ** 2), 0.0))
        rough = capsules[:, 14] + bulge * capsules[:, 13]
        limits.append(float(np.minimum(a - ra * squeeze - rough, b - rb * squeeze - rough).min()))
        limits.append(float(np.maximum(a + ra * squeeze + rough, b + rb * squeeze + rough).max()))
    return limits[0], limits[1], limits[2], limits[3]
