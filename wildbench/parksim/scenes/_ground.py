"""The ground under a location: soil, dry and green patches, a river, and the far land up to the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wildbench.parksim._kernels import fractal, fractal_noise, kernel, value_noise
from wildbench.parksim.scenes._canvas import HEIGHT, SCALE, WIDTH, Array, Buffers, Camera, Canvas, Colour, Mask


@dataclass(frozen=True)
class River:
    """Water between `near` and `far` metres, its banks winding by `wind` metres, in direction `slant`."""

    near: float
    far: float
    wind: float
    slant: float
    seed: int

    def banks(self, x: Array) -> tuple[Array, Array]:
        """Distances of the near and the far bank at `x` metres to the right."""
        bend = (fractal_noise(x * 0.06, x * 0.0, seed=self.seed, octaves=3) - 0.5) * 2.0 * self.wind
        edge = (fractal_noise(x * 0.9, x * 0.0, seed=self.seed + 1, octaves=3) - 0.5) * 0.12 * self.near
        shift = bend + x * self.slant
        return np.maximum(2.0, self.near + shift + edge), np.maximum(3.0, self.far + shift * 1.3)

    def holds(self, x: Array, z: Array) -> Mask:
        """Whether the points are under water."""
        near, far = self.banks(x)
        return np.asarray((z > near) & (z < far))


@dataclass(frozen=True)
class Soil:
    """Colours (linear RGB) of a ground and how much of it is overgrown, 0..1."""

    bare: Colour
    dark: Colour
    growth: Colour
    cover: float
    litter: float = 0.0


@kernel
def _paint_ground(buffers: Buffers, camera: Colour, palette: Array, cover: float, litter: float, seed: int) -> None:
    albedo, normal, shade, depth, _ = buffers
    rows, columns = depth.shape
    height, focal, horizon = camera
    scale = focal * 2.0
    for row in range(rows):
        below = row + 0.5 - horizon * 2.0
        if below <= 0.25:
            continue
        z = height * scale / below
        step = z / scale
        for column in range(columns):
            x = (column + 0.5 - columns * 0.5) * step
            large = fractal(x * 0.22, z * 0.16, seed, 4)
            medium = fractal(x * 1.3, z * 0.9, seed + 31, 3)
            fade = 1.0 / (1.0 + (step * 9.0) * (step * 9.0))
            fine = 0.5 + (fractal(x * 7.0, z * 7.0, seed + 57, 4) - 0.5) * fade
            grain = value_noise(column * 0.71 + 0.3 * row, row * 0.93, seed + 71)
            growth = min(1.0, max(0.0, (large - 1.0 + cover) * 4.0 + (medium - 0.5) * 2.0 + 0.5))
            dark = min(1.0, max(0.0, (medium - 0.35) * 1.8 + (fine - 0.5) * 1.2))
            tone = 0.62 + 0.42 * fine + 0.24 * grain + 0.22 * (medium - 0.5)
            fleck = value_noise(x * 19.0, z * 13.0, seed + 91)
            for channel in range(3):
                base = palette[0, channel] * (1.0 - dark) + palette[1, channel] * dark
                base = base * (1.0 - growth) + palette[2, channel] * growth
                if fleck < litter * 0.55 * fade:
                    base = base * 0.55 + palette[3, channel] * (0.3 + 1.6 * fleck)
                albedo[row, column, channel] = base * tone
            bump = fractal(x * 5.0 + 0.06, z * 5.0, seed + 57, 3) - fractal(x * 5.0 - 0.06, z * 5.0, seed + 57, 3)
            pitch = fractal(x * 5.0, z * 5.0 + 0.06, seed + 57, 3) - fractal(x * 5.0, z * 5.0 - 0.06, seed + 57, 3)
            normal[row, column, 0] = -bump * 4.5 * fade
            normal[row, column, 1] = 0.93 - abs(pitch) * 2.5 * fade
            shade[row, column] = 0.8 + 0.2 * fine
            depth[row, column] = z


def paint_ground(canvas: Canvas, camera: Camera, soil: Soil, *, seed: int) -> None:
    """Paint flat ground in perspective from the horizon down."""
    leaf = tuple(0.5 * (a + b) for a, b in zip(soil.bare, soil.growth, strict=True))
    palette = np.array([soil.bare, soil.dark, soil.growth, leaf])
    eye = (camera.height, camera.focal, camera.horizon)
    _paint_ground(canvas.buffers, eye, palette, soil.cover, soil.litter, seed)


def flood(canvas: Canvas, camera: Camera, river: River) -> None:
    """Turn the river's part of the ground to water and darken its wet banks."""
    ground = np.isfinite(canvas.depth) & np.isinf(canvas.front) & (canvas.depth < 2000)
    z = np.where(ground, canvas.depth, 1.0).astype(np.float64)
    columns = np.arange(WIDTH * SCALE) + 0.5 - WIDTH * SCALE / 2
    x = columns[None, :] * z / (camera.focal * SCALE)
    near, far = river.banks(x)
    canvas.water |= ground & (z > near) & (z < far)
    damp = np.clip(1.0 - np.minimum(np.abs(near - z), np.abs(far - z)) / (0.09 * z + 0.25), 0.0, 1.0) * ground
    canvas.albedo *= (1.0 - 0.6 * damp)[..., None].astype(np.float32)


def paint_ridge(
    canvas: Canvas, camera: Camera, distance: float, *, tall: float, rough: float, colour: Colour, seed: int
) -> None:
    """Paint a mountain range: `tall` image pixels above the horizon, `distance` metres away."""
    columns = np.arange(WIDTH * SCALE, dtype=np.float64)
    profile = fractal_noise(columns * rough / 1000.0, columns * 0.0 + seed % 17, seed=seed, octaves=6)
    profile = np.maximum(0.0, profile * 1.9 - 0.55) * tall * SCALE
    crest = np.maximum(0.0, camera.horizon * SCALE - profile)
    rows = np.arange(HEIGHT * SCALE, dtype=np.float64)[:, None]
    inside = (rows >= crest[None, :]) & (rows < camera.horizon * SCALE + 1) & np.isinf(canvas.front)
    grid_x, grid_y = np.broadcast_arrays(columns[None, :] * 0.02, rows * 0.05)
    part = slice(max(0, int(crest.min())), int(camera.horizon * SCALE) + 2)
    relief = fractal_noise(grid_x[part] + grid_y[part] * 0.4, grid_y[part], seed=seed + 5, octaves=5)
    chosen = inside[part]
    canvas.depth[part][chosen] = distance
    canvas.shade[part][chosen] = 0.9
    canvas.albedo[part][chosen] = (np.array(colour) * (0.55 + 0.9 * relief[..., None])).astype(np.float32)[chosen]
    slope = np.stack([(relief - 0.5) * 2.0, 0.55 + (relief - 0.5)], axis=-1).astype(np.float32)
    canvas.normal[part][chosen] = slope[chosen]
