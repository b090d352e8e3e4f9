"""What makes up a camera location before any light falls on it: buffers, and the kernels that paint into them.

Everything is painted at twice the image's resolution. `front` holds the distance of things that can hide an animal; it
decides masks, so its kernels use basic double-precision arithmetic only. The other buffers only ever decide colour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wildbench.parksim._kernels import fractal, kernel, value_noise

Floats = NDArray[np.float32]
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Colour = tuple[float, float, float]
Buffers = tuple[Floats, Floats, Floats, Floats, Floats]
Box = tuple[float, float, float, float]
Limb = tuple[float, float, float, float, float, float]
WIDTH, HEIGHT = 512, 384
SCALE = 2
STROKE_COLUMNS = 17  # x0 y0 xc yc x1 y1 | width0 width1 | depth | leaf | r g b | nx ny | shade0 shade1


@dataclass(frozen=True)
class Camera:
    """A level camera `height` metres above flat ground; focal length in pixels, the horizon as an image row."""

    height: float
    focal: float
    horizon: float

    def row(self, distance: float) -> float:
        """Image row where the ground at `distance` metres is seen.

        Example:
            >>> Camera(height=1.0, focal=400.0, horizon=150.0).row(4.0)
            250.0
        """
        return self.horizon + self.height * self.focal / distance

    def project(self, x: Array, y: Array, z: Array) -> tuple[Array, Array]:
        """Canvas columns and rows of points `x` metres right, `y` metres up, `z` metres away."""
        scale = SCALE * self.focal / z
        return SCALE * WIDTH / 2 + scale * x, SCALE * self.horizon + scale * (self.height - y)


@dataclass
class Canvas:
    """The buffers of one location, [768, 1024] each: `depth` in metres (inf: sky), `front` (inf: hides nothing)."""

    albedo: Floats
    normal: Floats
    shade: Floats
    depth: Floats
    front: Floats
    water: Mask

    @classmethod
    def empty(cls) -> Canvas:
        """A canvas of nothing but sky."""
        size = (HEIGHT * SCALE, WIDTH * SCALE)
        return cls(
            albedo=np.zeros((*size, 3), np.float32),
            normal=np.zeros((*size, 2), np.float32),
            shade=np.ones(size, np.float32),
            depth=np.full(size, np.inf, np.float32),
            front=np.full(size, np.inf, np.float32),
            water=np.zeros(size, np.bool_),
        )

    @property
    def buffers(self) -> Buffers:
        """What the kernels paint into: albedo, normal, shade, depth and front."""
        return self.albedo, self.normal, self.shade, self.depth, self.front


@kernel
def _paint_strokes(buffers: Buffers, strokes: Array, solid: bool) -> None:
    albedo, normal, shade, depth, front = buffers
    rows, columns = front.shape
    for index in range(strokes.shape[0]):
        s = strokes[index]
        x0, y0, xc, yc, x1, y1 = s[0], s[1], s[2], s[3], s[4], s[5]
        span_x, span_y = abs(xc - x0) + abs(x1 - xc), abs(yc - y0) + abs(y1 - yc)
        upright = span_y >= span_x
        steps = int(max(span_x, span_y)) + 1
        if steps > 3000:
            continue
        away = np.float32(s[8])
        for step in range(steps + 1):
            t = step / steps
            a, b, c = (1.0 - t) * (1.0 - t), 2.0 * t * (1.0 - t), t * t
            x, y = a * x0 + b * xc + c * x1, a * y0 + b * yc + c * y1
            width = s[6] * (1.0 - t) + s[7] * t
            if s[9] > 0.5:
                width = s[6] * 4.0 * t * (1.0 - t)
            light = s[15] * (1.0 - t) + s[16] * t
            middle = x if upright else y
            low = int(np.floor(middle - width * 0.5 + 0.5))
            high = max(low + 1, int(np.floor(middle + width * 0.5 + 0.5)))
            for k in range(low, high):
                column = k if upright else int(np.floor(x))
                row = int(np.floor(y)) if upright else k
                if column < 0 or row < 0 or column >= columns or row >= rows:
                    continue
                if away > front[row, column]:
                    continue
                if solid:
                    front[row, column] = away
                depth[row, column] = away
                for channel in range(3):
                    albedo[row, column, channel] = s[10 + channel]
                normal[row, column, 0], normal[row, column, 1] = s[13], s[14]
                shade[row, column] = light


def paint_strokes(canvas: Canvas, strokes: Array, *, solid: bool = True) -> None:
    """Paint curved strokes (grass blades, leaves, twigs) where nothing nearer is; solid ones can hide an animal.

    `strokes` is [n, 17]: three points of a quadratic curve (canvas pixels), two widths, distance in metres, 1 for the
    outline of a leaf or 0 for a taper, colour, the normal's x and y, the light at the base and at the tip.
    """
    if len(strokes):
        _paint_strokes(canvas.buffers, np.ascontiguousarray(strokes), solid)


@kernel
def _paint_limb(buffers: Buffers, ends: Limb, away: float, colour: Colour, seed: int, grain: float) -> None:
    albedo, normal, shade, depth, front = buffers
    rows, columns = front.shape
    x0, y0, r0, x1, y1, r1 = ends
    reach = max(r0, r1) + 1.0
    left = max(0, int(min(x0, x1) - reach))
    right = min(columns, int(max(x0, x1) + reach) + 1)
    top = max(0, int(min(y0, y1) - reach))
    bottom = min(rows, int(max(y0, y1) + reach) + 1)
    dx, dy = x1 - x0, y1 - y0
    square = dx * dx + dy * dy + 1e-9
    length = np.sqrt(square)
    distance = np.float32(away)
    for row in range(top, bottom):
        for column in range(left, right):
            px, py = column + 0.5 - x0, row + 0.5 - y0
            t = min(1.0, max(0.0, (px * dx + py * dy) / square))
            qx, qy = px - t * dx, py - t * dy
            radius = r0 + (r1 - r0) * t
            knots = value_noise(t * length / (2.0 * radius + 2.0), x0, seed)
            radius *= 0.86 + 0.28 * knots
            if qx * qx + qy * qy > radius * radius or distance > front[row, column]:
                continue
            side = min(1.0, max(-1.0, (px * dy - py * dx) / (length * radius)))
            bark = fractal(side * (1.0 + 0.6 * side * side) * grain, t * length / radius * 0.55, seed + 7, 4)
            ridge = fractal(side * grain * 2.2, t * length / radius * 0.3, seed + 19, 2)
            tone = 0.45 + 0.75 * bark + 0.35 * (ridge - 0.5)
            front[row, column] = distance
            depth[row, column] = distance
            for channel in range(3):
                albedo[row, column, channel] = colour[channel] * tone
            normal[row, column, 0] = side * (-dy / length) + 1.2 * (bark - 0.5)
            normal[row, column, 1] = side * (dx / length) * -1.0 + 0.5 * (ridge - 0.5)
            shade[row, column] = 0.35 + 0.65 * np.sqrt(max(0.0, 1.0 - side * side))


def paint_limb(canvas: Canvas, ends: Limb, distance: float, colour: Colour, *, seed: int, grain: float = 5.0) -> None:
    """Paint a trunk, branch or log: a tapered capsule with bark, `ends` = x0 y0 r0 x1 y1 r1 in canvas pixels."""
    _paint_limb(canvas.buffers, ends, distance, colour, seed, grain)


@kernel
def _paint_rock(buffers: Buffers, box: Box, away: float, colour: Colour, seed: int, tall: float) -> None:
    albedo, normal, shade, depth, front = buffers
    rows, columns = front.shape
    centre_x, base_y, half_w, high = box
    left = max(0, int(centre_x - half_w * 1.3))
    right = min(columns, int(centre_x + half_w * 1.3) + 1)
    top = max(0, int(base_y - high * 1.3))
    bottom = min(rows, int(base_y + high * 0.12) + 1)
    distance = np.float32(away)
    for row in range(top, bottom):
        for column in range(left, right):
            u = (column + 0.5 - centre_x) / half_w
            v = (base_y - row - 0.5) / high
            bump = fractal(u * 1.7 + 40.0, v * 1.7 + seed % 97, seed, 4)
            facet = value_noise(u * 2.3 + 11.0, v * 2.3, seed + 3)
            narrow = 1.0 + tall * max(0.0, v) * 1.4
            shape = u * u * narrow * narrow + v * v + (bump - 0.5) * 0.75
            edge = 1.0 if v > 0.0 else 1.0 + v * 6.0
            if shape > edge or distance > front[row, column]:
                continue
            front[row, column] = distance
            depth[row, column] = distance
            fine = fractal(u * 9.0 + 3.0, v * 9.0, seed + 5, 3)
            tone = 0.55 + 0.5 * bump + 0.45 * (fine - 0.5)
            for channel in range(3):
                albedo[row, column, channel] = colour[channel] * tone
            normal[row, column, 0] = u * 0.7 + (facet - 0.5) * 1.1 + (fine - 0.5) * 0.5
            normal[row, column, 1] = v * 0.75 + (bump - 0.5) * 1.2
            shade[row, column] = 0.4 + 0.6 * min(1.0, max(0.0, v * 2.0 + 0.15))


def paint_rock(canvas: Canvas, box: Box, distance: float, colour: Colour, *, seed: int, tall: float = 0.0) -> None:
    """Paint a boulder, or with `tall` 1 a termite mound; `box` = centre x, base y, half width, height in pixels."""
    _paint_rock(canvas.buffers, box, distance, colour, seed, tall)
