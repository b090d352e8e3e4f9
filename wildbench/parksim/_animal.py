"""An individual animal as the camera sees it.

    sprite = render_animal(Individual("zebra", "adult", "female", "grazing", 7), View(0.4, 0.12, 90.0), DAYLIGHT)

The camera is orthographic: animals are small against their distance. Masks are the same on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from wildbench.parksim._coat import coat_tables, linear
from wildbench.parksim._lighting import Skin, draw_shadow, see_from_sun, shade
from wildbench.parksim._sdf import Array, bounds, camera, coverage, seen, trace
from wildbench.parksim._skeleton import Body, Kind, Pose, Vector, posed, stride
from wildbench.parksim.species import kind_of

Floats = NDArray[np.float32]
# The flash sits a hand's breadth above the lens.
FLASH: Vector = (0.12, 0.1, 0.98)


@dataclass(frozen=True)
class Individual:
    """One animal of one of the thirteen categories."""

    species: str
    age: str
    """Either "adult" or "juvenile"."""
    sex: str
    """Either "female" or "male"; decides about manes, horns and tusks."""
    posture: str
    """One of `postures(species)`."""
    seed: int
    """Varies size, coat, stride and where the head looks; of a bird, the seed modulo 16 decides the kind."""


def postures(species: str) -> tuple[str, ...]:
    """Return what a species can be seen doing."""
    return tuple(kind_of(species, 0).postures)


def height_m(individual: Individual) -> float:
    """Return the standing height in metres."""
    return _size(individual)[1]


def length_m(individual: Individual) -> float:
    """Return the length from snout to tail while standing, in metres."""
    return _size(individual)[0]


def body_of(individual: Individual) -> Body:
    """Pose an individual in the world (x forward, y up, z to its right, metres, ground at 0)."""
    kind = kind_of(individual.species, individual.seed)
    posture = kind.postures[individual.posture]
    random = np.random.Generator(np.random.PCG64(individual.seed))
    size, look, nod, phase, sway = (round(float(number), 6) for number in random.random(5))
    pose: dict[str, Vector] = dict(posture.turns)
    for bone, angles in stride(posture, phase).items():
        pose[bone] = angles
    yaw = posture.look * (2.0 * look - 1.0)
    for bone, share in (("neck1", 0.35), ("neck2", 0.3), ("head", 0.35)):
        own = pose.get(bone, (0.0, 0.0, 0.0))
        pose[bone] = (round(own[0] + 6.0 * (nod - 0.5), 4), round(own[1] + share * yaw, 4), own[2])
    for bone in ("tail1", "tail2", "tail3"):
        own = pose.get(bone, (0.0, 0.0, 0.0))
        pose[bone] = (own[0], round(own[1] + posture.sway * (2.0 * sway - 1.0), 4), own[2])
    return _pose(kind, individual, pose, 0.94 + 0.12 * size, posture.level)


def _pose(kind: Kind, individual: Individual, pose: Pose, size: float, level: bool) -> Body:
    scale: dict[str, Vector] = dict(kind.juvenile) if individual.age == "juvenile" else {}
    if individual.sex == "female":
        for bone, own in kind.female.items():
            was = scale.get(bone, (1.0, 1.0, 1.0))
            scale[bone] = (own[0] * was[0], own[1] * was[1], own[2] * was[2])
    whole = scale.get("", (1.0, 1.0, 1.0))
    scale[""] = (round(whole[0] * size, 6), round(whole[1] * size, 6), round(whole[2] * size, 6))
    return posed(kind.figure, pose, scale, {individual.age, individual.sex}, level)


@lru_cache(maxsize=4096)
def _size(individual: Individual) -> tuple[float, float]:
    kind = kind_of(individual.species, individual.seed)
    size = round(float(np.random.Generator(np.random.PCG64(individual.seed)).random()), 6)
    level = next(iter(kind.postures.values())).level
    box = bounds(_pose(kind, individual, {}, 0.94 + 0.12 * size, level).capsules)
    return round(box[1] - box[0], 4), round(box[3] - box[2], 4)


def sampled(depth: Array, finer: int) -> Array:
    """Keep every other ray for colouring, and every ray of pixels that would otherwise have none."""
    if finer == 1:
        return depth
    rows, columns = np.indices(depth.shape)
    sample = (rows + columns) % 2 == 0
    height, width = depth.shape[0] // finer, depth.shape[1] // finer
    chosen = (sample & ~np.isnan(depth)).reshape(height, finer, width, finer).any((1, 3))
    sample |= ~chosen.repeat(finer, 0).repeat(finer, 1)
    return np.where(sample, depth, np.nan)


def reduce(rgb: Array, coloured_depth: Array, depth: Array, finer: int) -> tuple[Array, Array, Array]:
    """Average the rays of each pixel; return colour, coverage and the nearest depth."""
    height, width = depth.shape[0] // finer, depth.shape[1] // finer
    coloured = ~np.isnan(coloured_depth)
    count = coloured.reshape(height, finer, width, finer).sum((1, 3))
    total = (rgb * coloured[..., None]).reshape(height, finer, width, finer, 3).sum((1, 3))
    hit = ~np.isnan(depth)
    nearest = np.where(hit, depth, -np.inf).reshape(height, finer, width, finer).max((1, 3))
    alpha = hit.reshape(height, finer, width, finer).mean((1, 3))
    return total / np.maximum(count, 1)[..., None], alpha, nearest


def extend(rgb: Array, depth: Array) -> tuple[Array, Array]:
    """Give the pixels just outside the outline the mean colour and the nearest depth of their neighbours."""
    hit = ~np.isnan(depth)
    total, count = (
        cv2.filter2D(field, -1, np.ones((3, 3)), borderType=cv2.BORDER_CONSTANT)
        for field in (np.where(hit[..., None], rgb, 0.0), hit.astype(np.float64))
    )
    nearest = maximum_filter(np.where(hit, depth, -np.inf), 3, mode="constant", cval=-np.inf)
    filled = np.where(hit[..., None], rgb, total / np.maximum(count, 1.0)[..., None])
    return filled, np.where(hit, depth, nearest)


@dataclass(frozen=True)
class View:
    """Where the camera stands."""

    azimuth: float
    """Radians; 0 sees the animal's right side, its head at the right, pi / 2 has the head towards the camera."""
    elevation: float
    """Radians that the camera looks down."""
    pixels_per_metre: float


@dataclass(frozen=True)
class Light:
    """What lights the animal: irradiances of sun and sky, and what the ground throws back, linear RGB."""

    direction: Vector
    """Unit vector to the sun: x right, y up, z towards the camera."""
    sun: Vector
    sky: Vector
    ground: Vector
    infrared: bool = False
    """Whether the camera's own flash lights the night: monochrome, with eye shine."""


@dataclass(frozen=True)
class Sprite:
    """A rendered animal."""

    rgb: Floats
    """[h, w, 3] linear light, not premultiplied."""
    mask: NDArray[np.bool_]
    """[h, w] the pixels it owns: ``alpha >= 0.5``."""
    alpha: Floats
    """[h, w] antialiased coverage."""
    depth: Floats
    """[h, w] metres towards the camera from the anchor, nan outside."""
    anchor: tuple[float, float]
    """The ground point under its body, x and y in pixels of the sprite."""
    shadow: Floats
    """[hs, ws] share of light it takes from the ground plane."""
    shadow_offset: tuple[int, int]
    """The shadow's top left corner, x and y in pixels of the sprite."""


def render_animal(individual: Individual, view: View, light: Light) -> Sprite:
    """Render one animal; the sprite is cropped to it, with a pixel around it."""
    body = body_of(individual)
    turn = camera(view.azimuth, view.elevation)
    capsules = seen(body.capsules, turn)
    extent = bounds(capsules, 0.35)
    size = (length_m(individual), height_m(individual))
    tall = size[1] * view.pixels_per_metre
    finer = 3 if tall < 50.0 else 2 if tall < 120.0 else 1
    pixel = round(1.0 / view.pixels_per_metre, 9)
    left, top = math.floor(extent[0] / pixel) - 1, math.ceil(extent[3] / pixel) + 1
    width, height = math.ceil(extent[1] / pixel) + 1 - left, top - math.floor(extent[2] / pixel) + 1
    window = (left * pixel, top * pixel, pixel / finer)
    depth = trace(capsules, *window, width * finer, height * finer)
    up = turn[:, 1].copy()
    scale = max(size) * 0.75
    sun = see_from_sun(capsules, FLASH if light.infrared else light.direction, scale, pixel)
    coloured = sampled(depth, finer)
    skin = _skin(individual, body, turn, scale, pixel / finer, light.infrared)
    rgb = shade(capsules, skin, coloured, window, sun, _lights(light), up)
    if light.infrared:
        rgb[:] = 0.55 * rgb[..., :1] + 0.35 * rgb[..., 1:2] + 0.1 * rgb[..., 2:]
        shine = kind_of(individual.species, individual.seed).eye_shine * sum(light.sun) / 3.0
        _eye_shine(rgb, coloured, capsules, body.materials, window, shine)
    if finer > 1:
        rgb, alpha, depth = reduce(rgb, coloured, depth, finer)
    else:
        alpha = coverage(capsules, depth, *window)
        rgb, depth = extend(rgb, depth)
    powers = (0.0 if light.infrared else sum(light.sun), sum(light.sky))
    shadow, (u, v) = draw_shadow(capsules, sun, powers, up, pixel, scale)
    depth[alpha <= 0.0] = np.nan
    colour, cover, near = (field.astype(np.float32) for field in (rgb, alpha, depth))
    return Sprite(colour, alpha >= 0.5, cover, near, (float(-left), float(top)), shadow, (u - left, top - v))


def _lights(light: Light) -> Array:
    if light.infrared:
        flash = sum(light.sun) / 3.0
        ambient = sum(light.sky) / 3.0
        return np.array([(0.05, 0.06, 0.997), (flash,) * 3, (ambient,) * 3, (sum(light.ground) / 3.0,) * 3])
    return np.array([light.direction, light.sun, light.sky, light.ground])


def _skin(individual: Individual, body: Body, turn: Array, scale: float, pixel: float, infrared: bool) -> Skin:
    kind = kind_of(individual.species, individual.seed)
    random = np.random.Generator(np.random.PCG64(individual.seed + 1_000_003))
    names = ["coat", *(name for name in kind.materials if name != "coat")]
    table = []
    for name in names:
        colour, fur, gloss = kind.materials[name]
        if name in kind.variants:
            colour = kind.variants[name][int(random.random() * len(kind.variants[name]))]
        table.append([*linear(colour), fur, gloss])
    materials = np.array(table)
    rest = body.rest.copy()
    rest[:, :, :3] = body.rest[:, :, :3] @ turn.T
    parameters, flows, paints = coat_tables(kind.coat, pixel)
    if "coat" in kind.variants:
        parameters[6:15] = np.concatenate([materials[0, :3], materials[0, :3], 0.8 * materials[0, :3]])
    if infrared:
        # Dark fur and cloth reflect near infrared better than light.
        for colours in (parameters[6:15], paints[:, 7:10], materials[:, :3]):
            colours[:] = 0.04 + 0.45 * colours
    material_of = np.array([names.index(name) for name in body.materials])
    shift, brightness = 3.0 * random.random(), 0.88 + 0.24 * random.random()
    return Skin(rest, material_of, materials, parameters, flows, paints, scale, kind.tuft, shift, brightness)


def _eye_shine(
    rgb: Array, depth: Array, capsules: Array, materials: tuple[str, ...], window: Vector, shine: float
) -> None:
    left, top, pixel = window
    height, width = depth.shape
    for n, name in enumerate(materials):
        if name != "eye":
            continue
        x, y, z, radius = capsules[n, 0], capsules[n, 1], capsules[n, 2], capsules[n, 7]
        u, v = (x - left) / pixel - 0.5, (top - y) / pixel - 0.5
        i, j = min(max(round(u), 0), width - 1), min(max(round(v), 0), height - 1)
        if not depth[j, i] < z + 1.6 * radius:
            continue
        spread = max(0.8 * radius / pixel, 0.9)
        vs, us = np.mgrid[:height, :width]
        glow = np.exp(-((us - u) ** 2 + (vs - v) ** 2) / (2.0 * spread**2))
        rgb += (2.2 * shine * glow)[..., None]
