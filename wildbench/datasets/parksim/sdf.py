"""Signed-distance field of tapered, flattened capsules, and the march through it.

Everything here decides masks, so it is float64 with only ``+ - * / sqrt min max``: bit for bit the same on every machine.

The round cone and the polynomial smooth minimum follow Inigo Quilez, "Distance functions" (iquilezles.org).
A flattened capsule is his first-order ellipsoid bound, applied to the vector from the nearest axis point.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

# Columns of one capsule: a (0:3), b - a (3:6), 1/|b - a|^2 (6), radius at a (7), growth of the radius to b (8),
# flattening axis (9:12), 1/flatness - 1 (12), blend radius (13), roughness amplitude (14) and frequency (15).
COLUMNS = 16
TILE = 8
STEPS = 72


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def hash3(i: int, j: int, k: int) -> float:
    """Return a repeatable number in [0, 1) for an integer lattice point."""
    h = (i * 374761393 + j * 668265263 + k * 2147483647 + 974634777) & 0xFFFFFFFF
    h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
    h = ((h ^ (h >> 16)) * 2246822519) & 0xFFFFFFFF
    return float((h ^ (h >> 15)) & 0xFFFFFF) / 16777216.0


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
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


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def capsule_distance(capsule: Array, x: float, y: float, z: float) -> float:
    """Return the signed distance (metres) of a point to one capsule."""
    vx, vy, vz = x - capsule[0], y - capsule[1], z - capsule[2]
    t = (vx * capsule[3] + vy * capsule[4] + vz * capsule[5]) * capsule[6]
    t = min(max(t, 0.0), 1.0)
    vx -= t * capsule[3]
    vy -= t * capsule[4]
    vz -= t * capsule[5]
    radius = capsule[7] + t * capsule[8]
    squeeze = capsule[12]
    if squeeze == 0.0:
        return np.sqrt(vx * vx + vy * vy + vz * vz) - radius
    nx, ny, nz = capsule[9], capsule[10], capsule[11]
    s = (vx * nx + vy * ny + vz * nz) * squeeze
    vx += s * nx
    vy += s * ny
    vz += s * nz
    length = np.sqrt(vx * vx + vy * vy + vz * vz)
    s = (vx * nx + vy * ny + vz * nz) * squeeze
    vx += s * nx
    vy += s * ny
    vz += s * nz
    return (length - radius) * (length + 1e-9) / (np.sqrt(vx * vx + vy * vy + vz * vz) + 1e-9)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def scene_distance(capsules: Array, near: Indices, count: int, x: float, y: float, z: float) -> float:
    """Return the smooth union of the first ``count`` capsules listed in ``near``."""
    best = 1e9
    for n in range(count):
        capsule = capsules[near[n]]
        d = capsule_distance(capsule, x, y, z)
        if capsule[14] > 0.0 and d < 3.0 * capsule[14]:
            f = capsule[15]
            d += capsule[14] * (1.0 - 2.0 * value_noise(x * f + 31.7, y * f + 11.3, z * f + 57.1))
        k = capsule[13]
        h = k - abs(best - d)
        best = min(best, d)
        if h > 0.0:
            best -= h * h / (4.0 * k)
    return best


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def capsules_near(capsules: Array, x: float, y: float, reach: float, near: Indices) -> int:
    """List the capsules whose outline on the image plane comes within ``reach`` of (x, y); return how many."""
    count = 0
    for n in range(capsules.shape[0]):
        c = capsules[n]
        vx, vy = x - c[0], y - c[1]
        span = c[3] * c[3] + c[4] * c[4]
        t = min(max((vx * c[3] + vy * c[4]) / (span + 1e-12), 0.0), 1.0)
        vx -= t * c[3]
        vy -= t * c[4]
        stretch = max(1.0, 1.0 / (1.0 + c[12]))
        limit = max(c[7], c[7] + c[8]) * stretch + c[13] + c[14] + reach
        if vx * vx + vy * vy < limit * limit:
            near[count] = n
            count += 1
    return count


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def depth_range(capsules: Array, near: Indices, count: int) -> tuple[float, float]:
    """Return the nearest and the farthest depth that the listed capsules can reach."""
    front, back = -1e9, 1e9
    for n in range(count):
        c = capsules[near[n]]
        size = max(c[7], c[7] + c[8]) * max(1.0, 1.0 / (1.0 + c[12])) + c[13] + c[14]
        front = max(front, max(c[2], c[2] + c[5]) + size)
        back = min(back, min(c[2], c[2] + c[5]) - size)
    return front, back


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def march(
    capsules: Array, near: Indices, count: int, x: float, y: float, front: float, back: float, pixel: float
) -> float:
    """Return the depth where the ray at (x, y) first meets the surface, or nan."""
    z = front
    for _ in range(STEPS):
        d = scene_distance(capsules, near, count, x, y, z)
        if d < 0.12 * pixel:
            return z
        z -= max(0.85 * d, 0.2 * pixel)
        if z < back:
            return np.nan
    return np.nan


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def trace(capsules: Array, left: float, top: float, pixel: float, width: int, height: int) -> Array:
    """March one ray through the centre of every pixel.

    Args:
        capsules: [n, 16] in the camera's frame (x right, y up, z towards the camera), metres.
        left: x of the image's left edge.
        top: y of the image's top edge.
        pixel: side of a pixel in metres.
        width: pixels across.
        height: pixels down.

    Returns:
        [height, width] depth of the surface (metres towards the camera), nan where the ray misses.
    """
    depth = np.full((height, width), np.nan)
    near = np.empty(capsules.shape[0], np.int64)
    reach = 0.75 * TILE * pixel
    for v in range(0, height, TILE):
        for u in range(0, width, TILE):
            count = capsules_near(capsules, left + (u + TILE / 2) * pixel, top - (v + TILE / 2) * pixel, reach, near)
            if count == 0:
                continue
            front, back = depth_range(capsules, near, count)
            for j in range(v, min(v + TILE, height)):
                y = top - (j + 0.5) * pixel
                for i in range(u, min(u + TILE, width)):
                    depth[j, i] = march(capsules, near, count, left + (i + 0.5) * pixel, y, front, back, pixel)
    return depth


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def coverage(capsules: Array, depth: Array, left: float, top: float, pixel: float) -> Array:
    """Return how much of each pixel the animal covers, from four rays in the pixels along an outline."""
    height, width = depth.shape
    alpha = np.zeros((height, width))
    near = np.empty(capsules.shape[0], np.int64)
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
            count = capsules_near(capsules, x, y, pixel, near)
            front, back = depth_range(capsules, near, count)
            hits = 0
            for s in range(4):
                dx, dy = (0.25 if s % 2 else -0.25) * pixel, (0.25 if s // 2 else -0.25) * pixel
                if count > 0 and not np.isnan(march(capsules, near, count, x + dx, y + dy, front, back, pixel)):
                    hits += 1
            alpha[j, i] = 0.25 * hits
    return alpha
