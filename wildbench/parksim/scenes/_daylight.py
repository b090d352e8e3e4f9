"""From a painted location to the stored picture; decides colour, never a mask.

Sun and sky at day and dusk, the infrared flash at night; then rain, dust, the lens, the sensor and the caption strip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from wildbench.parksim._kernels import fractal_noise, kernel
from wildbench.parksim.scenes._canvas import HEIGHT, SCALE, WIDTH, Array, Buffers, Camera, Floats, Mask
from wildbench.parksim.scenes._locations import Scene

Triple = tuple[float, float, float]
FLASH_REACH = 9.0
STRIP = 12


@dataclass(frozen=True)
class Daylight:
    """The light of one image, linear RGB."""

    direction: Triple
    """Unit vector to the sun: x right, y up, z towards the camera."""
    sun: Triple
    """Irradiance of the sun; at night, of the flash."""
    sky: Triple
    """Irradiance from above; `ground` from below."""
    ground: Triple
    zenith: Triple
    """Colour of the sky overhead; `glow` at the horizon."""
    glow: Triple
    fog: Triple
    """Colour that distance fades to, by `density` per metre."""
    density: float
    clouds: float
    """0 (none) to 1 (overcast)."""
    infrared: bool
    """A night picture by the camera's own flash."""
    seed: int
    """Of clouds and dapples."""


def scaled(colour: Triple, factor: float) -> Triple:
    """A colour brighter or darker by a factor."""
    return (colour[0] * factor, colour[1] * factor, colour[2] * factor)


def daylight(time_of_day: str, weather: str, *, seed: int, forest: bool) -> Daylight:
    """The light at "day", "dusk" or "night" in "clear", "haze", "dust" or "rain"."""
    rng = np.random.Generator(np.random.PCG64([seed, 3]))
    side = rng.random() * 2.0 - 1.0
    low = time_of_day == "dusk"
    rise = np.radians(9.0 + 10.0 * rng.random() if low else 38.0 + 34.0 * rng.random())
    swing = side * (1.25 if low else 1.9)
    direction = (float(np.cos(rise) * np.sin(swing)), float(np.sin(rise)), float(np.cos(rise) * np.cos(swing)))
    density = {"clear": 0.00016, "haze": 0.007, "dust": 0.012, "rain": 0.006}[weather] * (3.0 if forest else 1.0)
    if time_of_day == "night":
        dark = (0.004, 0.004, 0.004)
        veil = {"clear": 0.01, "haze": 0.05, "dust": 0.06, "rain": 0.035}[weather]
        return Daylight((0.08, 0.12, 0.99), (3.2, 3.2, 3.2), dark, dark, dark, scaled(dark, 2.0), (veil, veil, veil),
                        density * 2.0, 0.0, True, seed)  # fmt: skip
    clouds = {"clear": 0.15 + 0.4 * rng.random(), "haze": 0.5, "dust": 0.3, "rain": 1.0}[weather]
    if low:
        sun, sky, glow, zenith = (2.6, 1.25, 0.5), (0.3, 0.32, 0.42), (1.25, 0.62, 0.28), (0.22, 0.28, 0.48)
    else:
        sun, sky, glow, zenith = (2.7, 2.45, 2.1), (0.42, 0.52, 0.68), (0.85, 0.93, 1.0), (0.25, 0.45, 0.85)
    fog = glow if low else (0.72, 0.78, 0.84)
    if weather == "rain":
        sun, sky = scaled(sun, 0.16), ((0.75, 0.8, 0.86) if not low else (0.5, 0.46, 0.46))
        zenith = glow = (0.6, 0.64, 0.68) if not low else (0.42, 0.36, 0.36)
        fog = scaled(glow, 0.9)
    elif weather == "haze":
        sun, zenith, fog = scaled(sun, 0.6), scaled(glow, 0.85), scaled(glow, 0.9)
    elif weather == "dust":
        sun, glow, fog = (sun[0] * 0.8, sun[1] * 0.7, sun[2] * 0.5), (0.85, 0.66, 0.42), (0.72, 0.53, 0.33)
        zenith = (0.6, 0.55, 0.45)
    if forest:
        fog = (fog[0] * 0.3, fog[1] * 0.36, fog[2] * 0.28)
        sky = (sky[0] * 0.55, sky[1] * 0.66, sky[2] * 0.5)
    up = direction[1]
    bounce = (0.22 * sun[0] * up + 0.05, 0.17 * sun[1] * up + 0.05, 0.1 * sun[2] * up + 0.04)
    return Daylight(direction, sun, sky, bounce, zenith, glow, fog, density, clouds, False, seed)


def flash(distance: float) -> float:
    """Brightness of the infrared flash at a distance in metres, 1 close by."""
    return 1.0 / (1.0 + (distance / FLASH_REACH) ** 2)


def _clouds(light: Daylight, horizon: float) -> Floats:
    """Cloud cover [h, w] of the sky, 0..1, thinner towards the horizon."""
    rows, columns = np.mgrid[0:HEIGHT:2, 0:WIDTH:2].astype(np.float64)
    lift = np.maximum(horizon - rows, 3.0)
    noise = fractal_noise((columns - WIDTH / 2) / lift * 2.2, 260.0 / lift, seed=light.seed % 9973, octaves=5)
    cover = np.clip((noise - 0.78 + 0.5 * light.clouds) * 4.0, 0.0, 1.0)
    return _enlarged(cover * np.clip(lift / 25.0, 0.0, 1.0))


def _enlarged(half: Array) -> Floats:
    """A field computed at half size, brought to the size of the image."""
    return np.asarray(cv2.resize(half.astype(np.float32), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR))


def _ground(camera: Camera) -> tuple[Array, Array]:
    """Metres right and away of the ground at every second pixel."""
    rows, columns = np.mgrid[0:HEIGHT:2, 0:WIDTH:2].astype(np.float64)
    z = camera.height * camera.focal / np.maximum(rows + 0.5 - camera.horizon, 0.4)
    return (columns - WIDTH / 2) * z / camera.focal, z


def sunlit(scene: Scene, light: Daylight) -> Floats:
    """Share of the sun that reaches the ground at each image pixel [h, w]: shadows of crowns and trunks, dapples."""
    camera = scene.location.camera
    shadow = np.zeros((HEIGHT, WIDTH), np.float32)
    sx, sy, sz = light.direction
    for x, z, tall, wide in scene.crowns:
        length = min(tall / max(sy, 0.1), 30.0)
        tip = (x - sx * length, z + sz * length)
        if tip[1] < 1.5 or z < 1.5:
            continue
        ends = [_on_ground(camera, x, z), _on_ground(camera, *tip)]
        metre = camera.focal / tip[1]
        radius = (int(wide * metre * 16), max(8, int(wide * camera.height * metre / tip[1] * 16)))
        if scene.location.habitat != "forest" and radius[0] < 16 * 4000:
            cv2.ellipse(shadow, ends[1], radius, 0, 0, 360, 0.8, -1, cv2.LINE_AA, 4)
        cv2.line(shadow, ends[0], ends[1], 0.8, max(1, int(0.035 * tall * camera.focal / z)), cv2.LINE_AA, 4)
    shadow = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 2.2), np.float32)
    x, z = _ground(camera)
    drift = light.seed % 977
    gaps = fractal_noise(x * 1.6 + drift, z * 1.6, seed=scene.location.number + 400, octaves=4)
    if scene.location.habitat == "forest":
        broad = fractal_noise(x * 0.35 + drift, z * 0.35, seed=scene.location.number + 500, octaves=2)
        light_share = np.clip((gaps * 0.5 + broad * 0.5 - 0.46) * 8.0, 0.06, 1.0)
        return _enlarged(light_share) * (1.0 - shadow)
    return np.asarray(1.0 - shadow * _enlarged(np.clip(1.5 - gaps, 0.5, 1.0)), np.float32)


def _on_ground(camera: Camera, x: float, z: float) -> tuple[int, int]:
    """Image position of a ground point in sixteenths of a pixel, kept within what OpenCV can draw."""
    column = WIDTH / 2 + camera.focal * x / z
    return int(np.clip(column, -2000, 2500) * 16), int(np.clip(camera.row(z), -2000, 2500) * 16)


@kernel
def _shade(
    buffers: Buffers,
    open_sun: Floats,
    clouds: Floats,
    camera: Triple,
    colours: Array,
    direction: Triple,
    settings: tuple[float, float, float, float],
) -> Floats:
    albedo, normal, ao, depth, _ = buffers
    rows, columns = depth.shape
    out = np.empty((rows, columns, 3), np.float32)
    density, infrared, reach, shade_above = settings
    height, focal, horizon = camera
    sx, sy, sz = direction
    for row in range(rows):
        lift = min(1.0, max(0.0, (horizon * 2.0 - row) / 520.0))
        ground_z = height * focal * 2.0 / max(0.5, row + 0.5 - horizon * 2.0)
        for column in range(columns):
            d = depth[row, column]
            if d > 1.0e8:
                cover = clouds[row // 2, column // 2]
                ramp = np.sqrt(lift)
                for channel in range(3):
                    base = colours[4, channel] * (1.0 - ramp) + colours[3, channel] * ramp
                    cloud = 0.55 * colours[4, channel] + 0.5 * colours[1, channel] + 0.12 * colours[0, channel]
                    out[row, column, channel] = base * (1.0 - 0.8 * cover) + cloud * 0.8 * cover
                continue
            nx, ny = normal[row, column, 0], normal[row, column, 1]
            nz = np.sqrt(max(0.04, 1.0 - nx * nx - ny * ny))
            facing = max(0.0, (nx * sx + ny * sy + nz * sz) * 0.85 + 0.15)
            shadow = 1.0
            if d < 200.0:
                lying = min(1.0, max(0.0, 2.6 - 1.5 * ground_z / d))
                shadow = 1.0 - lying * (1.0 - open_sun[row // 2, column // 2]) - (1.0 - lying) * shade_above
            up = min(1.0, max(0.0, 0.5 + 0.5 * ny))
            occluded = ao[row, column]
            fade = 1.0 - np.exp(-density * d)
            if infrared > 0.5:
                r, g = albedo[row, column, 0], albedo[row, column, 1]
                leafy = 0.5 + 1.3 * max(0.0, g - 0.85 * r) / (g + 0.02)
                tone = (0.55 * r + 0.45 * g) * leafy * (0.35 + 0.65 * nz) * occluded
                tone *= colours[0, 0] / (1.0 + (d / reach) * (d / reach))
                for channel in range(3):
                    out[row, column, channel] = tone * (1.0 - fade) + colours[5, channel] * fade
                continue
            for channel in range(3):
                ambient = (colours[1, channel] * up + colours[2, channel] * (1.0 - up)) * occluded
                direct = colours[0, channel] * facing * shadow * (0.35 + 0.65 * occluded)
                lit = albedo[row, column, channel] * (ambient + direct)
                out[row, column, channel] = lit * (1.0 - fade) + colours[5, channel] * fade
    return out


def shade(scene: Scene, light: Daylight, open_sun: Floats) -> Floats:
    """Light the whole location: linear RGB [768, 1024, 3], water still without its reflection."""
    camera = scene.location.camera
    colours = np.array([light.sun, light.sky, light.ground, light.zenith, light.glow, light.fog])
    clouds = _clouds(light, camera.horizon)
    eye = (camera.height, camera.focal, camera.horizon)
    settings = (light.density, float(light.infrared), FLASH_REACH, 0.6 if scene.location.habitat == "forest" else 0.0)
    return _shade(scene.canvas.buffers, open_sun, clouds, eye, colours, light.direction, settings)


@kernel
def _reflect(
    picture: Floats, water: Mask, covered: Mask, wave: Floats, body: Array, horizon: float, infrared: bool
) -> None:
    rows, columns = water.shape
    for column in range(columns):
        shore = -1
        for row in range(rows):
            if not water[row, column]:
                continue
            if shore < 0:
                shore = row
            if covered[row, column]:
                continue
            ripple = wave[row // 2, column // 2] - 0.5
            near = (row - horizon) / (rows - horizon)
            mirror = int(2 * shore - row - 1 + ripple * (6.0 + 70.0 * near))
            mirror = min(max(mirror, 0), max(0, shore - 1))
            other = min(max(column + int(ripple * (4.0 + 34.0 * near)), 0), columns - 1)
            share = (0.8 - 0.5 * near) * (0.25 if infrared else 1.0)
            glint = max(0.0, ripple - 0.12) * 0.9
            for channel in range(3):
                deep = body[channel] * (0.75 + 0.9 * ripple) * (1.0 - share)
                picture[row, column, channel] = picture[mirror, other, channel] * share * (1.0 + glint) + deep


def reflect(scene: Scene, light: Daylight, picture: Floats, covered: Mask) -> None:
    """Fill the water of a lit picture, in place, with the mirrored far bank and ripples; `covered` marks animals."""
    if not scene.canvas.water.any():
        return
    camera = scene.location.camera
    x, z = _ground(camera)
    wave = _enlarged(fractal_noise(x * 0.9 + light.seed % 311, z * 3.2, seed=light.seed % 7919, octaves=4))
    ambient = np.array(light.sky) + 0.35 * np.array(light.sun)
    body = ambient * np.array((0.12, 0.105, 0.07)) * (0.02 if light.infrared else 1.0)
    _reflect(picture, scene.canvas.water, covered, wave, body, camera.horizon * SCALE, light.infrared)


@lru_cache(maxsize=1)
def _vignette() -> Floats:
    """Squared distance from the middle, [h, w, 1], 1 in the corners."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    square = ((x - WIDTH / 2) / WIDTH * 2) ** 2 + ((y - HEIGHT / 2) / HEIGHT * 2) ** 2
    return np.asarray(square[..., None] / 2.0, np.float32)


def _blurred(picture: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)


def _rain(picture: Floats, rng: np.random.Generator, infrared: bool) -> Floats:
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


def _dust(picture: Floats, light: Daylight, rng: np.random.Generator) -> Floats:
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


def _exposed(picture: Floats, light: Daylight) -> Floats:
    """Auto-exposure, a filmic curve and the sRGB transfer function; result in 0..1."""
    luminance = picture @ np.array([0.25, 0.6, 0.15], np.float32)
    key = float(np.mean(luminance[::4, ::4]))
    aim = 0.15 if light.infrared else 0.22
    gain = np.float32(min(3.2, max(0.45, (aim / max(key, 1e-3)) ** 0.75)))
    exposed = picture * gain
    curve = exposed * (2.51 * exposed + 0.03) / (exposed * (2.43 * exposed + 0.59) + 0.14)
    return np.power(np.clip(curve, 0.0, 1.0), np.float32(1 / 2.2), dtype=np.float32)


def photograph(picture: Floats, light: Daylight, weather: str, *, seed: int, caption: str) -> NDArray[np.uint8]:
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
