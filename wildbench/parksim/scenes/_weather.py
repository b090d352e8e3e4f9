"""What stands between the scene and the stored picture: rain, dust, the lens, the sensor, the caption strip."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from wildbench.parksim.noise import fractal_noise
from wildbench.parksim.scenes._canvas import HEIGHT, WIDTH
from wildbench.parksim.scenes._daylight import Daylight

STRIP = 12
Picture = NDArray[np.float32]


@lru_cache(maxsize=1)
def _vignette() -> NDArray[np.float32]:
    """Squared distance from the middle, [h, w, 1], 1 in the corners."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    square = ((x - WIDTH / 2) / WIDTH * 2) ** 2 + ((y - HEIGHT / 2) / HEIGHT * 2) ** 2
    return np.asarray(square[..., None] / 2.0, np.float32)


def _blurred(picture: Picture, sigma: float) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _rain(picture: Picture, rng: np.random.Generator, infrared: bool) -> Picture:
    """Add falling streaks; close to the flash they are bright and blurred."""
    layer = np.zeros((HEIGHT, WIDTH), np.float32)
    tilt = (rng.random() - 0.5) * 0.35
    for size, count in ((1, 220), (2, 14)):
        for x, y, stretch, bright in rng.random((count, 4)):
            long = (9.0 + 16.0 * stretch) * size
            start = (int(x * WIDTH * 16), int((y * 1.1 - 0.1) * HEIGHT * 16))
            end = (int(start[0] + tilt * long * 16), int(start[1] + long * 16))
            cv2.line(layer, start, end, 0.25 + 0.5 * bright, size, cv2.LINE_AA, 4)
    return picture + _blurred(layer, 0.8)[..., None] * np.float32(0.4 if infrared else 0.22)


def _dust(picture: Picture, light: Daylight, rng: np.random.Generator) -> Picture:
    """Drifting dust clouds near the ground, and flecks that the flash lights up."""
    y, x = np.mgrid[0 : HEIGHT // 8, 0 : WIDTH // 8].astype(np.float64)
    drift = fractal_noise(x * 0.07 + rng.random() * 50.0, y * 0.16, seed=light.seed % 5003, octaves=3)
    veil = np.clip((drift - 0.42) * 1.5, 0.0, 0.42).astype(np.float32)
    veil = np.asarray(cv2.resize(veil, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), np.float32)[..., None]
    picture = picture * (1.0 - veil) + np.array(light.fog, np.float32) * veil * np.float32(0.8)
    if light.infrared:
        flecks = np.zeros((HEIGHT, WIDTH), np.float32)
        for fx, fy, size in rng.random((40, 3)):
            cv2.circle(flecks, (int(fx * WIDTH), int(fy * HEIGHT)), 1 + int(size * 4), 0.25 * (1.2 - size), -1)
        picture = picture + _blurred(flecks, 1.6)[..., None]
    return picture


def _exposed(picture: Picture, light: Daylight) -> Picture:
    """Auto-exposure, a filmic curve and the sRGB transfer function; result in 0..1."""
    luminance = picture @ np.array([0.25, 0.6, 0.15], np.float32)
    key = float(np.mean(luminance[::4, ::4]))
    aim = 0.15 if light.infrared else 0.22
    gain = np.float32(min(3.2, max(0.45, (aim / max(key, 1e-3)) ** 0.75)))
    exposed = picture * gain
    curve = exposed * (2.51 * exposed + 0.03) / (exposed * (2.43 * exposed + 0.59) + 0.14)
    return np.power(np.clip(curve, 0.0, 1.0), np.float32(1 / 2.2), dtype=np.float32)


def photograph(picture: Picture, light: Daylight, weather: str, *, seed: int, caption: str) -> NDArray[np.uint8]:
    """Turn linear light [384, 512, 3] into the stored RGB picture with its caption strip."""
    rng = np.random.Generator(np.random.PCG64([seed, 5]))
    if weather == "rain":
        picture = _rain(picture, rng, light.infrared)
    elif weather == "dust":
        picture = _dust(picture, light, rng)
    fall = 1.0 - _vignette() * np.float32(0.75 if light.infrared else 0.28)
    if light.infrared:
        mono = picture @ np.array([0.4, 0.4, 0.2], np.float32)
        picture = np.repeat(mono[..., None], 3, axis=2)
    tone = _exposed(picture * fall, light)
    blur = 0.75 if light.infrared else 0.45 + 0.25 * rng.random()
    tone = _blurred(tone, blur)
    grain = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)[..., None]
    strength = 0.024 if light.infrared else 0.008 + 0.008 * rng.random()
    tone = tone + grain * np.float32(strength) * (1.15 - 0.6 * tone)
    if not light.infrared:
        tint = 1.0 + (rng.random(3, dtype=np.float32) - np.float32(0.5)) * np.float32(0.05)
        tone = tone * tint
    stored: NDArray[np.uint8] = np.clip(tone * 255.0 + 0.5, 0, 255).astype(np.uint8)
    stored[HEIGHT - STRIP :] = 12
    cv2.putText(stored, caption, (6, HEIGHT - 3), cv2.FONT_HERSHEY_SIMPLEX, 0.3, (200, 200, 200), 1, cv2.LINE_AA)
    return stored
