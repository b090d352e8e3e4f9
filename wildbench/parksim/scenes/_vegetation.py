"""Plants as curved strokes: grass, reeds, bushes, acacias, broad-leaved trees, palms, ferns, lianas.

Every builder paints into a canvas at a place given in metres. Random numbers come from `Generator.random` and
`integers` alone and all geometry is basic double-precision arithmetic, because plants decide what of an animal shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wildbench.parksim._kernels import fractal_noise, turn
from wildbench.parksim.scenes._canvas import (
    HEIGHT,
    SCALE,
    STROKE_COLUMNS,
    WIDTH,
    Array,
    Camera,
    Canvas,
    Colour,
    paint_limb,
    paint_strokes,
)
from wildbench.parksim.scenes._ground import River

Rng = np.random.Generator


@dataclass(frozen=True)
class Foliage:
    """Leaf colours (linear RGB, mixed at random), leaf length in metres, and leaves for each covered canvas pixel."""

    colours: Sequence[Colour]
    leaf: float = 0.12
    density: float = 0.5


@dataclass(frozen=True)
class Spot:
    """A place on the ground, metres right and away, that something grows from."""

    x: float
    z: float


def _mixed(rng: Rng, colours: Sequence[Colour], count: int) -> Array:
    table = np.array(colours)
    first, second = rng.integers(0, len(table), count), rng.integers(0, len(table), count)
    share = rng.random(count)[:, None]
    return (table[first] * share + table[second] * (1.0 - share)) * (0.7 + 0.6 * rng.random(count))[:, None]


def grass(
    rng: Rng,
    canvas: Canvas,
    camera: Camera,
    *,
    count: int,
    tall: float,
    colours: Sequence[Colour],
    patches: float = 0.45,
    nearest: float = 1.6,
    farthest: float = 150.0,
    river: River | None = None,
    along: bool = False,
) -> None:
    """Paint grass `tall` metres high, in patches (0: everywhere, 1: nowhere), or as reeds `along` a river's banks."""
    top, bottom = camera.row(farthest), camera.row(nearest)
    share = rng.random(count)
    row = top + (bottom - top) * share * (0.55 + 0.45 * share)
    z = camera.height * camera.focal / (row - camera.horizon)
    x = (rng.random(count) - 0.5) * 1.1 * WIDTH * z / camera.focal
    seed = int(rng.integers(0, 1 << 30))
    where = fractal_noise(x * 0.7, z * 0.55, seed=seed, octaves=3)
    tuft = fractal_noise(x * 3.1, z * 2.7, seed=seed + 3, octaves=2)
    keep = where * 0.65 + tuft * 0.35 + (rng.random(count) - 0.5) * 0.12 > patches
    if river is not None:
        near, far = river.banks(x)
        wet = (z > near) & (z < far)
        margin = (np.abs(z - near) < 0.05 * near + 0.4) | (np.abs(z - far) < 0.05 * far + 0.4)
        keep &= margin & (tuft > 0.5) if along else ~wet
    x, z, where = x[keep], z[keep], where[keep]
    n = len(x)
    px, py = camera.project(x, np.zeros(n), z)
    metre = SCALE * camera.focal / z
    high = tall * metre * (0.35 + 0.75 * rng.random(n)) * (0.5 + where)
    lean = (rng.random(n) - 0.5) * 0.7 * high
    droop = lean * (1.0 + rng.random(n) * 0.9)
    strokes = np.zeros((n, STROKE_COLUMNS))
    strokes[:, 0:6] = np.stack([px, py, px + lean * 0.4, py - high * 0.6, px + droop, py - high], axis=1)
    strokes[:, 6] = np.maximum(1.0, 0.009 * metre * (0.6 + rng.random(n)))
    strokes[:, 7] = 0.6
    strokes[:, 8] = z
    strokes[:, 10:13] = _mixed(rng, colours, n)
    strokes[:, 13] = (rng.random(n) - 0.5) * 1.3
    strokes[:, 14] = 0.35 + 0.5 * rng.random(n)
    strokes[:, 15], strokes[:, 16] = 0.42, 1.0
    paint_strokes(canvas, strokes[np.argsort(-z, kind="stable")])


def leaves(
    rng: Rng, canvas: Canvas, camera: Camera, centre: Array, radius: Array, foliage: Foliage, *, solid: bool = True
) -> None:
    """Paint an ellipsoid of leaves in smaller clumps; `centre` and `radius` are x, y, z in metres."""
    metre = SCALE * camera.focal / centre[2]
    covered = metre * metre * radius[0] * radius[1] * 3.0
    size = max(2.2, foliage.leaf * metre)
    n = int(min(26000.0, foliage.density * covered / (size * 0.42) + 12.0))
    clumps = max(5, min(60, n // 90))
    cosine, sine = turn(rng, clumps)
    lift = rng.random(clumps) * 2.0 - 1.0
    flat = np.sqrt(1.0 - lift * lift)
    out = 0.45 + 0.5 * rng.random(clumps)
    middle = np.stack([flat * cosine * out, lift * out, flat * sine * out], axis=1)
    owner = rng.integers(0, clumps, n)
    cosine, sine = turn(rng, n)
    lift = rng.random(n) * 2.0 - 1.0
    flat = np.sqrt(1.0 - lift * lift)
    away = 0.22 + 0.24 * np.sqrt(rng.random(n))
    direction = np.stack([flat * cosine, lift, flat * sine], axis=1)
    local = middle[owner] + direction * away[:, None]
    points = centre + local * radius
    z = np.maximum(0.6, points[:, 2])
    px, py = camera.project(points[:, 0], points[:, 1], z)
    cosine, sine = turn(rng, n)
    length = size * (0.6 + 0.8 * rng.random(n))
    strokes = np.zeros((n, STROKE_COLUMNS))
    tip_x, tip_y = px + cosine * length, py + sine * length * 0.8 + length * 0.15
    strokes[:, 0:6] = np.stack([px, py, 0.5 * (px + tip_x), 0.5 * (py + tip_y) - 0.1 * length, tip_x, tip_y], axis=1)
    strokes[:, 6] = np.maximum(1.2, length * 0.42)
    strokes[:, 8] = z
    strokes[:, 9] = 1.0
    strokes[:, 10:13] = _mixed(rng, foliage.colours, n)
    strokes[:, 13] = direction[:, 0] * 0.75 + (rng.random(n) - 0.5) * 0.5
    strokes[:, 14] = direction[:, 1] * 0.7 + 0.3
    deep = np.minimum(1.0, np.maximum(0.0, 0.55 + 0.45 * local[:, 1])) * (
        0.5 + 0.5 * np.maximum(0.0, direction[:, 1] + 0.6)
    )
    strokes[:, 15] = 0.25 + 0.75 * deep
    strokes[:, 16] = np.minimum(1.0, strokes[:, 15] * 1.25)
    paint_strokes(canvas, strokes[np.argsort(-z, kind="stable")], solid=solid)


def bush(rng: Rng, canvas: Canvas, camera: Camera, spot: Spot, tall: float, foliage: Foliage) -> None:
    """Paint a bush `tall` metres high, a little wider than tall."""
    wide = tall * (0.55 + 0.5 * float(rng.random()))
    leaves(
        rng, canvas, camera, np.array([spot.x, tall * 0.48, spot.z]), np.array([wide, tall * 0.58, wide * 0.7]), foliage
    )


def _branch(
    rng: Rng, canvas: Canvas, camera: Camera, start: Array, end: Array, girth: tuple[float, float], bark: Colour
) -> None:
    """One limb between two points in metres, in two bent pieces."""
    bend = (start + end) * 0.5 + (rng.random(3) - 0.5) * 0.14 * np.abs(end - start).max()
    bend[2] = (start[2] + end[2]) * 0.5
    seed = int(rng.integers(0, 1 << 30))
    middle = 0.5 * (girth[0] + girth[1])
    for (a, ra), (b, rb) in (((start, girth[0]), (bend, middle)), ((bend, middle), (end, girth[1]))):
        (ax, bx), (ay, by) = camera.project(
            np.array([a[0], b[0]]), np.array([a[1], b[1]]), np.array([max(0.8, a[2]), max(0.8, b[2])])
        )
        metre = SCALE * camera.focal / max(0.8, float(a[2]))
        ends = (float(ax), float(ay), max(0.55, ra * metre), float(bx), float(by), max(0.5, rb * metre))
        paint_limb(canvas, ends, max(0.8, float(start[2])), bark, seed=seed)


def acacia(rng: Rng, canvas: Canvas, camera: Camera, spot: Spot, tall: float, foliage: Foliage, bark: Colour) -> None:
    """Paint an umbrella thorn: forked trunk, bare branches, flat canopy."""
    root = np.array([spot.x, 0.0, spot.z])
    fork = root + np.array([(float(rng.random()) - 0.5) * 0.12 * tall, tall * (0.3 + 0.14 * float(rng.random())), 0.0])
    _branch(rng, canvas, camera, root, fork, (0.035 * tall, 0.024 * tall), bark)
    pads = 6 + int(rng.integers(0, 4))
    spread = tall * (0.5 + 0.22 * float(rng.random()))
    for index in range(pads):
        side = ((index + 0.5) / pads - 0.5) * 2.0 + (float(rng.random()) - 0.5) * 0.25
        deep = (float(rng.random()) - 0.5) * spread * 0.9
        rise = tall * (0.93 - 0.16 * side * side - 0.06 * float(rng.random()))
        tip = root + np.array([side * spread * 0.85, rise, deep])
        _branch(rng, canvas, camera, fork, tip - np.array([0.0, 0.05 * tall, 0.0]), (0.018 * tall, 0.006 * tall), bark)
        radius = np.array([spread * (0.3 + 0.14 * float(rng.random())), tall * 0.055, spread * 0.35])
        leaves(rng, canvas, camera, tip, radius, foliage)


def broadleaf(
    rng: Rng, canvas: Canvas, camera: Camera, spot: Spot, tall: float, foliage: Foliage, bark: Colour, *, girth: float
) -> None:
    """Paint a round-crowned tree, trunk radius `girth` metres; of a near one only the trunk is in view."""
    root = np.array([spot.x, -0.05, spot.z])
    fork = root + np.array([(float(rng.random()) - 0.5) * 0.1 * tall, tall * 0.5, 0.0])
    _branch(rng, canvas, camera, root, fork, (girth, girth * 0.7), bark)
    if camera.project(np.zeros(1), np.array([tall * 0.45]), np.array([spot.z]))[1][0] < -0.25 * HEIGHT:
        return
    for _ in range(5 + int(rng.integers(0, 4))):
        cosine, sine = turn(rng, 1)
        reach = tall * (0.12 + 0.16 * float(rng.random()))
        tip = root + np.array([cosine[0] * reach, tall * (0.55 + 0.35 * float(rng.random())), sine[0] * reach * 0.6])
        _branch(rng, canvas, camera, fork, tip, (girth * 0.45, girth * 0.15), bark)
        wide = tall * (0.13 + 0.08 * float(rng.random()))
        leaves(rng, canvas, camera, tip, np.array([wide, wide * 0.75, wide]), foliage)


def fan(
    rng: Rng, canvas: Canvas, camera: Camera, crown: Array, reach: float, foliage: Foliage, *, fronds: int = 14
) -> None:
    """Paint arching fronds from a point: a fern on the ground, the crown of a palm on its trunk."""
    parts = 26
    cosine, sine = turn(rng, fronds)
    t = (np.arange(parts) + 1.0) / parts
    rows = []
    for index in range(fronds):
        long = reach * (0.7 + 0.5 * float(rng.random()))
        rise = 0.35 + 0.65 * float(rng.random())
        x = crown[0] + cosine[index] * long * t
        y = crown[1] + long * (rise * t - 0.95 * t * t)
        z = np.maximum(0.7, crown[2] + sine[index] * long * 0.6 * t)
        px, py = camera.project(x, y, z)
        metre = SCALE * camera.focal / z
        leaflet = 0.3 * long * metre * (1.0 - 0.75 * t) * 0.6
        for side in (-1.0, 1.0):
            s = np.zeros((parts, STROKE_COLUMNS))
            tip_x = px + cosine[index] * leaflet * 0.6 + side * leaflet * 0.35
            tip_y = py + leaflet * (0.45 - 0.45 * side * rise)
            s[:, 0:6] = np.stack([px, py, 0.5 * (px + tip_x), 0.5 * (py + tip_y), tip_x, tip_y], axis=1)
            s[:, 6] = np.maximum(1.2, leaflet * 0.24)
            s[:, 8], s[:, 9] = z, 1.0
            s[:, 10:13] = _mixed(rng, foliage.colours, parts)
            s[:, 13], s[:, 14] = cosine[index] * 0.5, 0.45 + 0.3 * side
            s[:, 15], s[:, 16] = 0.5, 0.9
            rows.append(s)
    strokes = np.concatenate(rows)
    paint_strokes(canvas, strokes[np.argsort(-strokes[:, 8], kind="stable")])


def palm(rng: Rng, canvas: Canvas, camera: Camera, spot: Spot, tall: float, foliage: Foliage, bark: Colour) -> None:
    """Paint a palm with a slim leaning trunk."""
    top = np.array([spot.x + (float(rng.random()) - 0.5) * 0.2 * tall, tall, spot.z])
    _branch(rng, canvas, camera, np.array([spot.x, 0.0, spot.z]), top, (0.022 * tall, 0.014 * tall), bark)
    fan(rng, canvas, camera, top, tall * 0.28, foliage, fronds=20)


def liana(rng: Rng, canvas: Canvas, camera: Camera, spot: Spot, colours: Sequence[Colour]) -> None:
    """Paint a few hanging stems from above the frame."""
    count = 4
    x = spot.x + (rng.random(count) - 0.5) * 0.8
    z = np.full(count, spot.z)
    px, py = camera.project(x, 1.2 + 2.4 * rng.random(count), z)
    strokes = np.zeros((count, STROKE_COLUMNS))
    sway = (rng.random(count) - 0.5) * 90.0
    strokes[:, 0:6] = np.stack([px + sway, np.full(count, -4.0), px - sway * 0.3, py * 0.5, px, py], axis=1)
    strokes[:, 6] = strokes[:, 7] = np.maximum(1.0, 0.018 * SCALE * camera.focal / z)
    strokes[:, 8] = z
    strokes[:, 10:13] = _mixed(rng, colours, count)
    strokes[:, 14], strokes[:, 15], strokes[:, 16] = 0.2, 0.6, 0.6
    paint_strokes(canvas, strokes)
