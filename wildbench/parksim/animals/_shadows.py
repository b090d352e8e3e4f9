"""Shadows: the animal traced as the sun sees it, on itself and on the ground."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wildbench.parksim.anatomy import Array, Vector, bounds, scene_distance, seen, smoothstep, trace
from wildbench.parksim.compiled import kernel


class Sun(NamedTuple):
    """What the sun sees.

    Attributes:
        depth: [h, w] metres towards the sun, nan where nothing stands.
        frame: [3, 3] rows are right, up and towards the sun, in the camera's frame.
        origin: left, top and pixel size of the picture in metres.
    """

    depth: Array
    frame: Array
    origin: Array


@kernel
def sunlit(sun: Sun, x: float, y: float, z: float, bias: float) -> float:
    """Return the share of sunlight that reaches a point, by four looks into the sun's own depth picture.

    Args:
        sun: What the sun sees.
        x: Camera frame.
        y: Camera frame.
        z: Camera frame.
        bias: Metres by which an occluder must stand nearer to the sun.
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
    capsules: Array,
    sun: Sun,
    left: float,
    top: float,
    pixel: float,
    width: int,
    height: int,
    up: Array,
    sun_share: float,
    size: float,
) -> Array:
    """Return the share of light that the animal takes from the ground plane, seen by the camera.

    Args:
        capsules: [n, 16] in the camera's frame.
        sun: What the sun sees.
        left: Left edge of the shadow picture, metres.
        top: Top edge of the shadow picture, metres.
        pixel: Metres per pixel.
        width: Pixels across.
        height: Pixels down.
        up: The world's up in the camera's frame.
        sun_share: Share of the light on open ground that comes from the sun.
        size: Body size in metres.
    """
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
    capsules: Array,
    sun: Sun,
    powers: tuple[float, float],
    up: Array,
    pixel: float,
    scale: float,
    corner: tuple[int, int],
) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """Draw the shadow on the ground, coarsely, and enlarge it to the sprite's pixels.

    Args:
        capsules: [n, 16] in the camera's frame.
        sun: What the sun sees.
        powers: Irradiance of the sun (facing it) and of the sky.
        up: The world's up in the camera's frame.
        pixel: Metres per pixel.
        scale: Size of the animal in metres.
        corner: Sprite's left and top edge in pixels from the anchor.

    Returns:
        Share of light taken from the ground, and its top left corner in pixels of the sprite.
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
    dark = ground_shadow(capsules, sun, u * pixel, v * pixel, step * pixel, width, height, up, share, scale)
    soft = cv2.GaussianBlur(dark, (0, 0), 0.8 + 0.006 * scale / pixel / step)
    if step > 1:
        soft = cv2.resize(soft, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    return soft.astype(np.float32), (u - corner[0], corner[1] - v)
