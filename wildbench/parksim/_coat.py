"""Coats as procedural texture: a colour for every point of the standing drawing.

The point is taken back to the drawing before it is coloured, so stripes, patches and rosettes bend with the limbs.
Cells follow Worley, "A Cellular Texture Basis Function" (SIGGRAPH 1996). Colours are linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sin, sqrt

import numpy as np

from wildbench.parksim._kernels import kernel
from wildbench.parksim._sdf import Array, hash3, value_noise

PLAIN, PATCHES, STRIPES, SPOTS, ROSETTES, WRINKLES, SCALES, FEATHERS = range(8)


@dataclass(frozen=True)
class Coat:
    """The texture of a species."""

    pattern: int
    """One of the pattern numbers of this module."""
    size: tuple[float, float, float]
    """Typical size of a mark along x, y, z of the drawing, metres."""
    base: str
    """Ground colour."""
    mark: str
    """Colour of the marks."""
    core: str
    """Colour inside rosettes and of the second tone."""
    strength: float
    """Width of lines or size of spots, as a share of the mark."""
    fade: float
    """Marks vanish below this height of the drawing (metres), fully at 0.6 of it."""
    flows: tuple[tuple[float, ...], ...] = ()
    """[m, 8] stripe directions: centre (3), radius (1), stripes per metre along x, y, z, stripes at the centre;
    neighbours should count alike where they meet, or the stripes whorl.
    """
    paints: tuple[tuple[float | str, ...], ...] = ()
    """[p, 11] soft ellipsoids of colour: centre, radii, softness, colour, opacity."""


def linear(colour: str) -> tuple[float, float, float]:
    """Turn an sRGB hex colour into linear RGB.

    >>> linear("ffffff")
    (1.0, 1.0, 1.0)
    """
    channels = (int(colour[n : n + 2], 16) / 255.0 for n in (0, 2, 4))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return red, green, blue


def coat_tables(coat: Coat, pixel: float) -> tuple[Array, Array, Array]:
    """Pack a coat for the kernels: parameters [16], flows [m, 8], paints [p, 11]; ``pixel`` is a sample's metres."""
    head = [float(coat.pattern), *coat.size, coat.strength, coat.fade]
    parameters = np.array([*head, *linear(coat.base), *linear(coat.mark), *linear(coat.core), pixel])
    flows = np.array(coat.flows or [[0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0]])
    rows = [[*map(float, p[:7]), *linear(str(p[7])), float(p[8])] for p in coat.paints]
    paints = np.array(rows) if rows else np.zeros((0, 11))
    return parameters, flows, paints


@kernel
def smoothstep(low: float, high: float, x: float) -> float:
    """Rise smoothly from 0 at ``low`` to 1 at ``high``."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@kernel
def cells(x: float, y: float, z: float, jitter: float) -> tuple[float, float, float]:
    """Return the distances to the nearest and second-nearest cell centre, and the nearest cell's own number."""
    i0, j0, k0 = int(np.floor(x)), int(np.floor(y)), int(np.floor(z))
    first, second, own = 9.0, 9.0, 0.0
    for i in range(i0 - 1, i0 + 2):
        for j in range(j0 - 1, j0 + 2):
            for k in range(k0 - 1, k0 + 2):
                dx = i + 0.5 + jitter * (hash3(i, j, k) - 0.5) - x
                dy = j + 0.5 + jitter * (hash3(i + 57, j, k) - 0.5) - y
                dz = k + 0.5 + jitter * (hash3(i, j + 113, k) - 0.5) - z
                d = dx * dx + dy * dy + dz * dz
                if d < first:
                    second, first = first, d
                    own = hash3(i, j, k + 211)
                elif d < second:
                    second = d
    return sqrt(first), sqrt(second), own


@kernel
def stripe(x: float, y: float, z: float, flows: Array, shift: float) -> float:
    """Return how dark a stripe field is at a point, -1..1, its phase blended between the flows."""
    total, phase = 0.0, 0.0
    wobble = value_noise(x * 5.0 + shift, y * 5.0, z * 5.0) - 0.5
    for n in range(flows.shape[0]):
        dx, dy, dz = x - flows[n, 0], y - flows[n, 1], z - flows[n, 2]
        w = 1.0 / (1e-3 + (dx * dx + dy * dy + 0.3 * dz * dz) / (flows[n, 3] * flows[n, 3])) ** 3
        total += w
        phase += w * (dx * flows[n, 4] + dy * flows[n, 5] + dz * flows[n, 6] + flows[n, 7])
    return sin(2.0 * pi * (phase / total + 0.55 * wobble + shift))


@kernel
def mark_amount(p: Array, flows: Array, x: float, y: float, z: float, shift: float) -> tuple[float, float]:
    """Return how much of the mark colour and of the core colour a point carries, each 0..1."""
    pattern = int(p[0])
    u, v, w = x / p[1], y / p[2], z / p[3]
    keep = smoothstep(0.6 * p[5], p[5], y) if p[5] > 0.0 else 1.0
    mark, core = 0.0, 0.0
    if pattern == 1:
        wobble = 0.25 * (value_noise(3.0 * u, 3.0 * v, 3.0 * w) - 0.5)
        first, second, own = cells(u + wobble, v - wobble, w, 0.9)
        mark = keep * smoothstep(0.5 * p[4], p[4], second - first)
        core = smoothstep(0.0, 0.5, first) * 0.6 * own
    elif pattern == 2:
        s = stripe(x - shift, y, z, flows, shift)
        mark = smoothstep(-p[4] - 0.22, -p[4] + 0.22, s)
        core = smoothstep(-0.2, -0.9, s) * 0.25
    elif pattern == 3:
        first, second, own = cells(u, v, w, 0.9)
        mark = keep * smoothstep(p[4] * (0.7 + 0.6 * own), p[4] * (0.4 + 0.6 * own), first)
    elif pattern == 4:
        first, second, own = cells(u, v, w, 0.75)
        ring = smoothstep(p[4] - 0.14, p[4] - 0.03, first) * smoothstep(p[4] + 0.16, p[4] + 0.05, first)
        gaps = smoothstep(0.3, 0.5, value_noise(4.0 * u, 4.0 * v, 4.0 * w))
        mark = ring * gaps
        solid, _, own = cells(2.1 * u, 2.1 * v, 2.1 * w, 0.8)
        dots = smoothstep(0.40, 0.28, solid)
        mark = mark * keep + dots * (1.0 - keep)
        core = smoothstep(p[4], p[4] - 0.12, first) * keep
    elif pattern == 5:
        wide = abs(value_noise(u, v, w) - 0.5)
        fine = abs(value_noise(2.7 * u, 2.7 * v + 7.0, 2.7 * w) - 0.5)
        mark = 0.6 * smoothstep(0.10, 0.0, wide) + 0.4 * smoothstep(0.12, 0.0, fine)
        core = value_noise(0.35 * u, 0.35 * v, 0.35 * w) * 0.5
        seen = smoothstep(1.0, 3.0, p[2] / p[15])
        mark = seen * mark + (1.0 - seen) * 0.15
    elif pattern == 6:
        first, second, own = cells(u, v, w, 0.2)
        mark = smoothstep(p[4], 0.3 * p[4], second - first) * 0.8
        mark *= smoothstep(1.0, 3.0, p[2] / p[15])
        core = smoothstep(0.52, 0.62, value_noise(0.22 * u, 0.15 * v, 0.3 * w))
    else:
        core = 0.6 * value_noise(u, v, w)
        if pattern == 7:
            mark = smoothstep(0.55, 0.8, value_noise(2.0 * u, 6.0 * v, 6.0 * w)) * p[4]
    return mark, core


@kernel
def coat_colour(
    p: Array, flows: Array, paints: Array, x: float, y: float, z: float, shift: float
) -> tuple[float, float, float]:
    """Return the linear colour of the coat at one point of the drawing; ``shift`` moves the marks per individual."""
    mark, core = mark_amount(p, flows, x + shift, y, z, shift)
    r = p[6] + core * (p[12] - p[6])
    g = p[7] + core * (p[13] - p[7])
    b = p[8] + core * (p[14] - p[8])
    r += mark * (p[9] - r)
    g += mark * (p[10] - g)
    b += mark * (p[11] - b)
    fray = 0.35 * (value_noise(17.0 * x, 17.0 * y, 17.0 * z) - 0.5)
    for n in range(paints.shape[0]):
        q = paints[n]
        dx, dy, dz = (x - q[0]) / q[3], (y - q[1]) / q[4], (abs(z) - q[2]) / q[5]
        d = sqrt(dx * dx + dy * dy + dz * dz) + fray * q[6]
        w = q[10] * smoothstep(1.0 + q[6], 1.0 - q[6], d)
        r += w * (q[7] - r)
        g += w * (q[8] - g)
        b += w * (q[9] - b)
    return r, g, b
