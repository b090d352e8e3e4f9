"""Signed-distance field of tapered, flattened capsules, and the march through it.

Everything here decides masks, so it is float64 with only ``+ - * / sqrt min max``: bit for bit the same everywhere.

The round cone and the polynomial smooth minimum follow Inigo Quilez, "Distance functions" (iquilezles.org).
A flattened capsule is his first-order ellipsoid bound, applied to the vector from the nearest axis point.
"""

from __future__ import annotations

import math
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from wildbench.parksim._kernels import kernel

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Columns of one capsule: a (0:3), b - a (3:6), 1/|b - a|^2 (6), radius at a (7), growth of the radius to b (8),
# flattening axis (9:12), 1/flatness - 1 (12), blend radius (13), roughness amplitude (14) and frequency (15).
COLUMNS = 16
TILE = 8
STEPS = 72


@kernel
def hash3(i: int, j: int, k: int) -> float:
    """Return a repeatable number in [0, 1) for an integer lattice point."""
    h = (i * 374761393 + j * 668265263 + k * 2147483647 + 974634777) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return float((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@kernel
def value_noise(x: float, y: float, z: float) -> float:
    """Return smooth lattice noise in [0, 1] at one point."""
    i, j, k = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    u, v, w = x - i, y - j, z - k
    u, v, w = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v), w * w * (3.0 - 2.0 * w)
    a = hash3(i, j, k) * (1.0 - u) + hash3(i + 1, j, k) * u
    b = hash3(i, j + 1, k) * (1.0 - u) + hash3(i + 1, j + 1, k) * u
    c = hash3(i, j, k + 1) * (1.0 - u) + hash3(i + 1, j, k + 1) * u
    d = hash3(i, j + 1, k + 1) * (1.0 - u) + hash3(i + 1, j + 1, k + 1) * u
    return (a * (1.0 - v) + b * v) * (1.0 - w) + (c * (1.0 - v) + d * v) * w


@kernel
def capsule_distance(c: Array, n: int, x: float, y: float, z: float) -> float:
    """Return the signed distance (metres) of a point to capsule ``n``."""
    vx, vy, vz = x - c[n, 0], y - c[n, 1], z - c[n, 2]
    t = (vx * c[n, 3] + vy * c[n, 4] + vz * c[n, 5]) * c[n, 6]
    t = min(max(t, 0.0), 1.0)
    vx -= t * c[n, 3]
    vy -= t * c[n, 4]
    vz -= t * c[n, 5]
    radius = c[n, 7] + t * c[n, 8]
    squared = vx * vx + vy * vy + vz * vz
    squeeze = c[n, 12]
    if squeeze == 0.0:
        distance: float = sqrt(squared) - radius
        return distance
    nx, ny, nz = c[n, 9], c[n, 10], c[n, 11]
    # With s the part of v along the flattening axis and f = 1 + squeeze, the axis is stretched by f once, then twice.
    s = vx * nx + vy * ny + vz * nz
    f = (1.0 + squeeze) * (1.0 + squeeze)
    once = sqrt(squared + s * s * (f - 1.0))
    twice = sqrt(squared + s * s * (f * f - 1.0))
    distance = (once - radius) * (once + 1e-9) / (twice + 1e-9)
    return distance


@kernel
def scene_distance(c: Array, count: int, x: float, y: float, z: float) -> float:
    """Return the signed distance to the smooth union of the first ``count`` capsules, rough where they are rough."""
    best, softness = 1e9, 1e9
    for n in range(count):
        d = capsule_distance(c, n, x, y, z)
        amplitude = c[n, 14]
        if amplitude > 0.0 and abs(d) < 2.0 * amplitude:
            # Locks hang down, so they are longer than wide.
            f = c[n, 15]
            d += amplitude * (1.0 - 2.0 * value_noise(x * f + 31.7, 0.4 * y * f + 11.3, z * f + 57.1))
        # The harder of two parts decides how they blend, so no part reaches beyond its own blend radius.
        k = min(c[n, 13], softness)
        h = k - abs(best - d)
        if d < best:
            best, softness = d, c[n, 13]
        if h > 0.0:
            best -= h * h / (4.0 * k)
    return best


@kernel
def gather(capsules: Array, x: float, y: float, reach: float, tile: Array, near: Indices) -> int:
    """Copy the capsules whose outline comes within ``reach`` of (x, y) into ``tile``; return how many.

    Beyond 0.8 of its blend radius a capsule moves the surface by less than a hundredth of that radius.
    """
    count = 0
    for n in range(capsules.shape[0]):
        vx, vy = x - capsules[n, 0], y - capsules[n, 1]
        ax, ay = capsules[n, 3], capsules[n, 4]
        t = min(max((vx * ax + vy * ay) / (ax * ax + ay * ay + 1e-12), 0.0), 1.0)
        vx -= t * ax
        vy -= t * ay
        limit = max(capsules[n, 7], capsules[n, 7] + capsules[n, 8]) + 0.8 * capsules[n, 13] + capsules[n, 14] + reach
        if vx * vx + vy * vy < limit * limit:
            near[count] = n
            for m in range(COLUMNS):
                tile[count, m] = capsules[n, m]
            count += 1
    return count


@kernel
def depth_range(c: Array, count: int) -> tuple[float, float]:
    """Return the nearest and the farthest depth that the first ``count`` capsules can reach."""
    front, back = -1e9, 1e9
    for n in range(count):
        size = max(c[n, 7], c[n, 7] + c[n, 8]) + 0.25 * c[n, 13] + c[n, 14]
        front = max(front, max(c[n, 2], c[n, 2] + c[n, 5]) + size)
        back = min(back, min(c[n, 2], c[n, 2] + c[n, 5]) - size)
    return front, back


@kernel
def march(c: Array, count: int, x: float, y: float, front: float, back: float, pixel: float) -> float:
    """Return the depth where the ray at (x, y) first meets the surface, or nan."""
    z = front
    for _ in range(STEPS):
        d = scene_distance(c, count, x, y, z)
        if d < 0.2 * pixel:
            return z
        z -= max(0.9 * d, 0.3 * pixel)
        if z < back:
            return np.nan
    return np.nan


@kernel
def trace(capsules: Array, left: float, top: float, pixel: float, width: int, height: int) -> Array:
    """March one ray through the centre of every pixel, and return the surface's depth [height, width], nan if missed.

    ``capsules`` are [n, 16] in the camera's frame (x right, y up, z towards the camera); all lengths are metres.
    """
    depth = np.full((height, width), np.nan)
    near, tile = np.empty(capsules.shape[0], np.int64), np.empty(capsules.shape)
    reach = 0.75 * TILE * pixel
    for v in range(0, height, TILE):
        for u in range(0, width, TILE):
            middle_x, middle_y = left + (u + TILE / 2) * pixel, top - (v + TILE / 2) * pixel
            count = gather(capsules, middle_x, middle_y, reach, tile, near)
            if count == 0:
                continue
            front, back = depth_range(tile, count)
            for j in range(v, min(v + TILE, height)):
                y = top - (j + 0.5) * pixel
                for i in range(u, min(u + TILE, width)):
                    depth[j, i] = march(tile, count, left + (i + 0.5) * pixel, y, front, back, pixel)
    return depth


@kernel
def coverage(capsules: Array, depth: Array, left: float, top: float, pixel: float) -> Array:
    """Return how much of each pixel the animal covers, from four rays in the pixels along an outline."""
    height, width = depth.shape
    alpha = np.zeros((height, width))
    near, tile = np.empty(capsules.shape[0], np.int64), np.empty(capsules.shape)
    for j in range(height):
        for i in range(width):
            hit = not np.isnan(depth[j, i])
            edge = False
            for v in range(max(j - 1, 0), min(j + 2, height)):
                for u in range(max(i - 1, 0), min(i + 2, width)):
                    edge = edge or np.isnan(depth[v, u]) == hit
            if not edge:
                alpha[j, i] = 1.0 if hit else 0.0
                continue
            x, y = left + (i + 0.5) * pixel, top - (j + 0.5) * pixel
            count = gather(capsules, x, y, pixel, tile, near)
            front, back = depth_range(tile, count)
            hits = 0
            for s in range(4):
                dx, dy = (0.25 if s % 2 else -0.25) * pixel, (0.25 if s // 2 else -0.25) * pixel
                if count > 0 and not np.isnan(march(tile, count, x + dx, y + dy, front, back, pixel)):
                    hits += 1
            alpha[j, i] = 0.25 * hits
    return alpha


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
