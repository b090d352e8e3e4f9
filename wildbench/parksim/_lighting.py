"""Light on the traced surface: fur, sun with cast shadows, sky and bounce light, the camera's own infrared flash.

Shadows are the animal traced as the sun sees it. Nothing here feeds back into a mask.
"""

from __future__ import annotations

import math
from math import sqrt
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wildbench.parksim._coat import coat_colour, smoothstep
from wildbench.parksim._kernels import kernel
from wildbench.parksim._sdf import (
    TILE,
    Array,
    Indices,
    bounds,
    capsule_distance,
    gather,
    scene_distance,
    seen,
    trace,
    value_noise,
)
from wildbench.parksim._skeleton import Vector


class Sun(NamedTuple):
    """What the sun sees."""

    depth: Array
    """[h, w] metres towards the sun, nan where nothing stands."""
    frame: Array
    """[3, 3] rows are right, up and towards the sun, in the camera's frame."""
    origin: Array
    """Left, top and pixel size of the picture in metres."""


@kernel
def sunlit(sun: Sun, x: float, y: float, z: float, bias: float) -> float:
    """Return the share of sunlight that reaches a point of the camera's frame, from four texels of the sun's picture.

    An occluder must stand ``bias`` metres nearer to the sun.
    """
    lx = sun.frame[0, 0] * x + sun.frame[0, 1] * y + sun.frame[0, 2] * z
    ly = sun.frame[1, 0] * x + sun.frame[1, 1] * y + sun.frame[1, 2] * z
    lz = sun.frame[2, 0] * x + sun.frame[2, 1] * y + sun.frame[2, 2] * z
    u, v = (lx - sun.origin[0]) / sun.origin[2] - 0.5, (sun.origin[1] - ly) / sun.origin[2] - 0.5
    i, j = int(np.floor(u)), int(np.floor(v))
    fu, fv = u - i, v - j
    light = 0.0
    for dj in range(2):
        for di in range(2):
            weight = (fu if di else 1.0 - fu) * (fv if dj else 1.0 - fv)
            jj, ii = j + dj, i + di
            blocked = False
            if 0 <= jj < sun.depth.shape[0] and 0 <= ii < sun.depth.shape[1]:
                blocked = sun.depth[jj, ii] > lz + bias
            if not blocked:
                light += weight
    return light


@kernel
def ground_shadow(
    capsules: Array, sun: Sun, window: Vector, shape: tuple[int, int], up: Array, sun_share: float, size: float
) -> Array:
    """Return the share of light that the animal takes from the ground plane, seen by the camera.

    ``window`` is left, top and pixel of the shadow picture in metres, ``shape`` its height and width in pixels, ``up``
    the world's in the camera's frame, ``sun_share`` of the light on open ground is the sun's, ``size`` is the body's.
    """
    left, top, pixel = window
    height, width = shape
    dark = np.zeros((height, width))
    for j in range(height):
        y = top - (j + 0.5) * pixel
        z = -y * up[1] / max(up[2], 0.02)
        for i in range(width):
            x = left + (i + 0.5) * pixel
            direct = 0.0
            for s in range(5):
                dx, dz = (0.0, 0.012, -0.012, 0.0, 0.0)[s] * size, (0.0, 0.0, 0.0, 0.012, -0.012)[s] * size
                direct += 0.2 * (1.0 - sunlit(sun, x + dx, y, z + dz, 0.0))
            over = 0.0
            if abs(x) < size and abs(z) < size:
                for h in (0.05, 0.2):
                    d = scene_distance(capsules, capsules.shape[0], x, y + h * size * up[1], z + h * size * up[2])
                    over += 0.5 * smoothstep(1.1 * h * size, 0.0, d)
            dark[j, i] = 1.0 - (1.0 - sun_share * direct) * (1.0 - 0.75 * over * (1.0 - 0.6 * sun_share))
    return dark


def see_from_sun(capsules: Array, direction: Vector, scale: float, pixel: float) -> Sun:
    """Trace the animal along the sunlight; ``scale`` is its size in metres, ``pixel`` the camera's."""
    towards = np.array(direction)
    towards /= np.linalg.norm(towards)
    right = np.cross((0.0, 1.0, 0.0) if abs(towards[1]) < 0.95 else (0.0, 0.0, -1.0), towards)
    right /= np.linalg.norm(right)
    frame = np.array([right, np.cross(towards, right), towards])
    side = max(1.5 * pixel, scale / 90.0)
    turned = seen(capsules, frame)
    left, right_edge, bottom, top = bounds(turned, 0.35)
    width, height = math.ceil((right_edge - left) / side) + 2, math.ceil((top - bottom) / side) + 2
    left, top = left - side, top + side
    return Sun(trace(turned, left, top, side, width, height), frame, np.array([left, top, side]))


def draw_shadow(
    capsules: Array, sun: Sun, powers: tuple[float, float], up: Array, pixel: float, scale: float
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Draw the shadow on the ground, coarsely, and enlarge it to the sprite's pixels.

    ``powers`` are the irradiances of the sun (facing it) and of the sky, ``scale`` is the animal's size in metres.

    Returns:
        Share of light taken from the ground, and its left and top edge in pixels from the anchor.
    """
    direction = sun.frame[2]
    steep = max(float(direction @ up), 0.12)
    ends = np.concatenate([capsules[:, :3], capsules[:, :3] + capsules[:, 3:6]])
    feet = ends - np.outer(np.minimum(ends @ up / steep, 3.0 * scale), direction)
    reach = float((capsules[:, 7] + np.abs(capsules[:, 8])).max())
    flat = max(float(up[2]), 0.02)
    below = ends - np.outer(ends @ up, up)
    both = np.concatenate([feet, below])
    margin = reach + 0.25 * scale
    left, right = both[:, 0].min() - margin, both[:, 0].max() + margin
    bottom, top = both[:, 1].min() - 1.5 * margin * flat, both[:, 1].max() + 1.5 * margin * flat
    u, v = math.floor(left / pixel), math.ceil(top / pixel)
    step = max(1, math.ceil(scale / pixel / 90.0))
    width, height = math.ceil((right / pixel - u) / step) + 1, math.ceil((v - bottom / pixel) / step) + 1
    sun_power = powers[0] * max(float(direction @ up), 0.0)
    share = sun_power / (sun_power + powers[1] + 1e-9)
    window = (u * pixel, v * pixel, step * pixel)
    dark = ground_shadow(capsules, sun, window, (height, width), up, share, scale)
    soft = cv2.GaussianBlur(dark, (0, 0), 0.8 + 0.006 * scale / pixel / step)
    if step > 1:
        soft = cv2.resize(soft, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    return soft.astype(np.float32), (u, v)


class Skin(NamedTuple):
    """What an individual is made of."""

    rest: Array
    """[n, 3, 4] from the camera's frame back into the drawing, by capsule."""
    material_of: Indices
    """[n] row of ``materials`` by capsule; row 0 is the patterned coat."""
    materials: Array
    """[m, 5] linear colour, fur strength, gloss."""
    coat: Array
    """See `coat_tables`."""
    flows: Array
    """Stripe flows of the coat."""
    paints: Array
    """Painted regions of the coat."""
    size: float
    """Size of the body in metres."""
    tuft: float
    """Size of a tuft of hair in metres."""
    shift: float
    """Where the pattern of this individual starts."""
    brightness: float
    """Of the coat, about 1."""


class Surface(NamedTuple):
    """One visible point: where it is in the drawing, and what it is made of there."""

    x: float
    y: float
    z: float
    fur: float
    gloss: float


@kernel
def surface_normal(capsules: Array, count: int, x: float, y: float, z: float, h: float) -> tuple[float, float, float]:
    """Return the outward unit normal from four distances around the point."""
    a = scene_distance(capsules, count, x + h, y - h, z - h)
    b = scene_distance(capsules, count, x - h, y - h, z + h)
    c = scene_distance(capsules, count, x - h, y + h, z - h)
    d = scene_distance(capsules, count, x + h, y + h, z + h)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    norm = sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    return nx / norm, ny / norm, nz / norm


@kernel
def occlusion(capsules: Array, count: int, point: Array, normal: Array, up: Array, reach: float) -> float:
    """Return how open the sky around a point is, 0..1, from the distances met along its normal; the ground counts."""
    blocked, weight = 0.0, 1.0
    for n in range(2):
        h = reach * (0.25, 1.0)[n]
        x, y, z = point[0] + h * normal[0], point[1] + h * normal[1], point[2] + h * normal[2]
        d = min(scene_distance(capsules, count, x, y, z), y * up[1] + z * up[2])
        blocked += weight * max(h - d, 0.0) / h
        weight *= 0.8
    return max(1.0 - 0.75 * blocked / 1.2, 0.08)


@kernel
def surface_at(
    tile: Array, near: Indices, count: int, skin: Skin, x: float, y: float, z: float, shares: Array
) -> Surface:
    """Blend the capsules that meet at a point; fills ``shares`` with the share of each material."""
    closest = 1e9
    for n in range(count):
        closest = min(closest, capsule_distance(tile, n, x, y, z))
    shares[:] = 0.0
    total, qx, qy, qz = 0.0, 0.0, 0.0, 0.0
    for n in range(count):
        d = capsule_distance(tile, n, x, y, z) - closest
        spread = 0.3 * tile[n, 13] + 0.002 * skin.size
        if d >= spread:
            continue
        m = near[n]
        w = (1.0 - d / spread) ** 2
        total += w
        shares[skin.material_of[m]] += w
        qx += w * (skin.rest[m, 0, 0] * x + skin.rest[m, 0, 1] * y + skin.rest[m, 0, 2] * z + skin.rest[m, 0, 3])
        qy += w * (skin.rest[m, 1, 0] * x + skin.rest[m, 1, 1] * y + skin.rest[m, 1, 2] * z + skin.rest[m, 1, 3])
        qz += w * (skin.rest[m, 2, 0] * x + skin.rest[m, 2, 1] * y + skin.rest[m, 2, 2] * z + skin.rest[m, 2, 3])
    fur, gloss = 0.0, 0.0
    for m in range(shares.shape[0]):
        shares[m] /= total
        fur += shares[m] * skin.materials[m, 3]
        gloss += shares[m] * skin.materials[m, 4]
    return Surface(qx / total, qy / total, qz / total, fur, gloss)


@kernel
def albedo_at(skin: Skin, at: Surface, shares: Array, albedo: Array) -> None:
    """Write the linear colour of a point without its hair."""
    albedo[:] = 0.0
    for m in range(shares.shape[0]):
        if shares[m] <= 0.0:
            continue
        if m == 0:
            r, g, b = coat_colour(skin.coat, skin.flows, skin.paints, at.x, at.y, at.z, skin.shift)
        else:
            r, g, b = skin.materials[m, 0], skin.materials[m, 1], skin.materials[m, 2]
        albedo[0] += shares[m] * r
        albedo[1] += shares[m] * g
        albedo[2] += shares[m] * b


@kernel
def comb(skin: Skin, at: Surface, pixel: float, albedo: Array, normal: Array) -> None:
    """Streak colour and normal by hair; it lies backwards and down, so tufts are longer along the body than across."""
    f = 1.0 / max(skin.tuft, 0.8 * pixel)
    along, across = 0.6 * at.x + 0.8 * at.y, 0.8 * at.x - 0.6 * at.y
    strand = value_noise(along * f * 0.2 + 3.1, across * f, at.z * f)
    second = value_noise(along * f * 0.6 + 9.7, across * f * 1.7, at.z * f * 1.7 + 4.3)
    broad = value_noise(at.x * 3.0 / skin.size + 1.7, at.y * 7.0 / skin.size, at.z * 5.0 / skin.size)
    tone = (1.0 + at.fur * (0.9 * (strand - 0.5) + 0.5 * (second - 0.5))) * (0.84 + 0.32 * broad) * skin.brightness
    bend = 0.55 * at.fur
    nx, ny, nz = normal[0] + bend * (strand - 0.5), normal[1] + bend * (second - 0.5), normal[2] + 0.1 * bend
    norm = 1.0 / sqrt(nx * nx + ny * ny + nz * nz)
    normal[0], normal[1], normal[2] = nx * norm, ny * norm, nz * norm
    for c in range(3):
        albedo[c] *= tone


@kernel
def radiance(
    lights: Array,
    sun: Sun,
    up: Array,
    at: Surface,
    size: float,
    point: Array,
    normal: Array,
    opened: float,
    albedo: Array,
) -> None:
    """Turn the colour of a point into the light that it sends to the camera, in place."""
    nx, ny, nz = normal[0], normal[1], normal[2]
    towards = nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2]
    # Hair scatters light around the terminator; skin and horn do not.
    hairy = min(at.fur * 2.0, 1.0)
    wrap = 0.18 * hairy
    direct = max(towards + wrap, 0.0) / (1.0 + wrap)
    if direct > 0.0:
        # Where the sun grazes, neighbouring texels of its picture differ much in depth.
        bias = 0.01 * size + 1.2 * sun.origin[2] * (1.0 + 1.0 / max(towards, 0.2))
        direct *= sunlit(sun, point[0], point[1], point[2], bias)
    upward = ny * up[1] + nz * up[2]
    height = point[1] * up[1] + point[2] * up[2]
    sky = opened * (0.5 + 0.5 * upward)
    bounce = (0.35 + 0.65 * opened) * (0.5 - 0.5 * upward) * (0.55 + 0.45 * smoothstep(0.0, size, height))
    rim = (1.0 - max(nz, 0.15)) ** 3 * opened * hairy
    hx, hy, hz = lights[0, 0], lights[0, 1], lights[0, 2] + 1.0
    halfway = max((nx * hx + ny * hy + nz * hz) / (sqrt(hx * hx + hy * hy + hz * hz) + 1e-9), 0.0)
    shine = at.gloss * (halfway**24 * 0.9 + halfway**6 * 0.12) * min(direct * 4.0, 1.0)
    for c in range(3):
        light = direct * lights[1, c] + sky * lights[2, c] + bounce * lights[3, c]
        sheen = rim * (0.06 + 0.5 * albedo[c]) * (0.5 * lights[2, c] + 0.25 * direct * lights[1, c])
        glint = shine * lights[1, c] + at.gloss * 0.06 * sky * lights[2, c]
        albedo[c] = albedo[c] * light + sheen + glint


@kernel
def shade(capsules: Array, skin: Skin, depth: Array, window: Vector, sun: Sun, lights: Array, up: Array) -> Array:
    """Colour every traced pixel: linear RGB [h, w, 3] from a traced depth [h, w], nan outside.

    ``window`` is left, top and pixel of the picture in metres; ``lights`` [4, 3] is the direction to the sun, then the
    irradiance of sun, sky and ground; ``up`` [3] is the world's in the camera's frame.
    """
    left, top, pixel = window
    height, width = depth.shape
    rgb = np.zeros((height, width, 3))
    near, tile = np.empty(capsules.shape[0], np.int64), np.empty(capsules.shape)
    far, wide = np.empty(capsules.shape[0], np.int64), np.empty(capsules.shape)
    shares, normal, point = np.empty(skin.materials.shape[0]), np.empty(3), np.empty(3)
    reach = 0.16 * skin.size
    for v in range(0, height, TILE):
        for u in range(0, width, TILE):
            if np.all(np.isnan(depth[v : v + TILE, u : u + TILE])):
                continue
            middle_x, middle_y = left + (u + TILE / 2) * pixel, top - (v + TILE / 2) * pixel
            count = gather(capsules, middle_x, middle_y, 0.75 * TILE * pixel + 0.002 * skin.size, tile, near)
            many = gather(capsules, middle_x, middle_y, 0.75 * TILE * pixel + reach, wide, far)
            for j in range(v, min(v + TILE, height)):
                for i in range(u, min(u + TILE, width)):
                    x, y, z = left + (i + 0.5) * pixel, top - (j + 0.5) * pixel, depth[j, i]
                    if np.isnan(z):
                        continue
                    nx, ny, nz = surface_normal(tile, count, x, y, z, 0.6 * pixel + 0.0008 * skin.size)
                    normal[0], normal[1], normal[2] = nx, ny, max(nz, 0.02)
                    point[0], point[1], point[2] = x, y, z
                    opened = occlusion(wide, many, point, normal, up, reach)
                    at = surface_at(tile, near, count, skin, x, y, z, shares)
                    albedo_at(skin, at, shares, rgb[j, i])
                    comb(skin, at, pixel, rgb[j, i], normal)
                    radiance(lights, sun, up, at, skin.size, point, normal, opened, rgb[j, i])
    return rgb
