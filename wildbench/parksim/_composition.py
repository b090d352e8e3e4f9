"""One image from its plan: background, animals far to near with their shadows, what hides them, weather, camera.

Placement and masks are settled first, from geometry alone; colour follows and never feeds back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from wildbench.parksim._animal import Light, Sprite, View, height_m, render_animal
from wildbench.parksim._kernels import kernel
from wildbench.parksim._planning import FRAME_BOTTOM, HABITS, Guest, ImagePlan
from wildbench.parksim.scenes import (
    HEIGHT,
    WIDTH,
    Daylight,
    Floats,
    Mask,
    Scene,
    daylight,
    flash,
    paint_location,
    photograph,
    reflect,
    scaled,
    shade,
    sunlit,
)

MIN_PIXELS = 60
MIN_VISIBLE = 0.25
TRIES = 5
CROWDING = 4000  # silhouette in pixels


class Place(NamedTuple):
    """Where a sprite goes: its top left pixel, its distance in metres, and the row of the waterline if it wades."""

    left: int
    top: int
    distance: float
    waterline: int


@dataclass(frozen=True)
class Placed:
    """A guest with its sprite and its place."""

    guest: Guest
    sprite: Sprite
    place: Place


@dataclass(frozen=True)
class Seen:
    """What is visible of one animal: mask [384, 512], share hidden, share outside the frame, rank from the camera."""

    category: str
    mask: Mask
    occlusion: float
    truncation: float
    depth_order: int


@kernel
def _nearer(front: Floats, x: int, y: int, away: np.float32) -> int:
    """How many of a pixel's four canvas pixels show something nearer."""
    count = 0
    for dy in range(2):
        for dx in range(2):
            if front[2 * y + dy, 2 * x + dx] < away:
                count += 1
    return count


@kernel
def _claim(
    owner: NDArray[np.int16], front: Floats, mask: Mask, place: Place, number: int, step: int
) -> tuple[int, int]:
    """Give an animal the pixels nothing nearer hides; count those inside the frame and those it owns afterwards."""
    rows, columns = mask.shape
    left, top, distance, waterline = place
    away = np.float32(distance)
    inside, visible = 0, 0
    for row in range(0, rows, step):
        y = top + row
        if y < 0 or y >= FRAME_BOTTOM:
            continue
        for column in range(0, columns, step):
            x = left + column
            if x < 0 or x >= WIDTH or not mask[row, column]:
                continue
            inside += 1
            if y >= waterline:
                continue
            if _nearer(front, x, y, away) > 2 or (number < 0 and owner[y, x] != 0):
                continue
            visible += 1
            if number > 0:
                owner[y, x] = number
    return inside, visible


@kernel
def _blend(
    picture: Floats, covered: Mask, front: Floats, rgb: Floats, alpha: Floats, place: Place, haze: Floats, fade: float
) -> None:
    rows, columns = alpha.shape
    left, top, distance, waterline = place
    away = np.float32(distance)
    for row in range(rows):
        y = top + row
        if y < 0 or y >= HEIGHT or y >= waterline:
            continue
        for column in range(columns):
            x = left + column
            share = alpha[row, column]
            if x < 0 or x >= WIDTH or share <= 0.0:
                continue
            for dy in range(2):
                for dx in range(2):
                    if front[2 * y + dy, 2 * x + dx] < away:
                        continue
                    if share > 0.5:
                        covered[2 * y + dy, 2 * x + dx] = True
                    for channel in range(3):
                        own = rgb[row, column, channel] * (1.0 - fade) + haze[channel] * fade
                        was = picture[2 * y + dy, 2 * x + dx, channel]
                        picture[2 * y + dy, 2 * x + dx, channel] = was * (1.0 - share) + own * share


@kernel
def _darken(
    picture: Floats, front: Floats, shadow: Floats, left: int, top: int, distance: float, strength: float
) -> None:
    rows, columns = shadow.shape
    near = np.float32(distance * 0.85 - 0.5)
    for row in range(rows):
        y = top + row
        if y < 0 or y >= HEIGHT:
            continue
        for column in range(columns):
            x = left + column
            if x < 0 or x >= WIDTH or shadow[row, column] <= 0.0:
                continue
            factor = 1.0 - shadow[row, column] * strength
            for dy in range(2):
                for dx in range(2):
                    if front[2 * y + dy, 2 * x + dx] > near:
                        for channel in range(3):
                            picture[2 * y + dy, 2 * x + dx, channel] *= factor


def _sprite(guest: Guest, scene: Scene, light: Daylight) -> Sprite:
    """Render one guest in the light that falls where it stands."""
    distance = scene.location.camera.focal / guest.scale
    elevation = round(float(np.arctan2(scene.location.camera.height, distance)), 6)
    share = 0.5 * flash(distance) if light.infrared else 0.6 if scene.location.habitat == "forest" else 1.0
    lamp = Light(light.direction, scaled(light.sun, share), light.sky, light.ground, light.infrared)
    return render_animal(guest.individual, View(guest.azimuth, elevation, guest.scale), lamp)


def _put(scene: Scene, guest: Guest, sprite: Sprite, column: float) -> Placed:
    """Stand a sprite on the ground at an image column."""
    camera = scene.location.camera
    distance = camera.focal / guest.scale
    row = camera.row(distance)
    left, top = int(np.floor(column - sprite.anchor[0] + 0.5)), int(np.floor(row - sprite.anchor[1] + 0.5))
    waterline = HEIGHT
    if not scene.location.dry((column - WIDTH / 2) / guest.scale, distance):
        high = height_m(guest.individual)
        sunk = 0.4 * high if guest.individual.species == "crocodile" else min(0.45, 0.25 * high)
        waterline = int(np.floor(row - sunk * guest.scale + 0.5))
    return Placed(guest, sprite, Place(left, top, round(distance * guest.gap, 6), waterline))


def _arranged(scene: Scene, sprites: list[tuple[Guest, Sprite]], seed: int, attempt: int) -> list[Placed]:
    """Try columns for each animal, nearest first, until it shows the share drawn for it; keep the best otherwise."""
    rng = np.random.Generator(np.random.PCG64([seed, 11, attempt]))
    taken = np.zeros((HEIGHT, WIDTH), np.int16)
    front = scene.canvas.front
    placed: list[Placed] = []
    spread = min(1.2 * WIDTH, 150.0 + 60.0 * len(sprites) + 90.0 * attempt)
    for guest, sprite in sorted(sprites, key=lambda pair: -pair[0].scale):
        hidden, cut = float(rng.random()), float(rng.random())
        wanted = 0.4 + 1.2 * hidden if hidden < 0.45 and not attempt else 0.97
        edge = 0.5 + 2.5 * cut if cut < 0.16 and not attempt else 0.97
        reach = spread if edge > 0.9 else 2.2 * WIDTH
        whole = int(sprite.mask[::2, ::2].sum())
        best: tuple[float, Placed] | None = None
        for _ in range(16):
            middle = guest.column if attempt < TRIES else 0.5 * WIDTH
            column = middle + (float(rng.random()) - 0.5) * reach
            candidate = _put(scene, guest, sprite, column)
            inside, visible = _claim(taken, front, sprite.mask, candidate.place, -1, 2)
            shown, within = min(0.97, visible / max(1, inside)), min(0.97, inside / max(1, whole))
            score = -abs(shown - wanted) - 1.5 * abs(within - edge)
            if candidate.place.waterline < HEIGHT and not HABITS[guest.individual.species].wades:
                score -= 0.6
            if best is None or score > best[0]:
                best = (score, candidate)
            if score > -0.05:
                break
        assert best is not None
        _claim(taken, front, sprite.mask, best[1].place, 1, 1)
        placed.append(best[1])
    return placed[::-1]


def _seen(scene: Scene, placed: list[Placed]) -> list[Seen]:
    """Masks of the visible pixels, far to near."""
    owner = np.zeros((HEIGHT, WIDTH), np.int16)
    front = scene.canvas.front
    insides = [
        _claim(owner, front, one.sprite.mask, one.place, number, 1)[0] for number, one in enumerate(placed, start=1)
    ]
    result = []
    for number, (one, inside) in enumerate(zip(placed, insides, strict=True), start=1):
        mask = owner == number
        visible, whole = int(mask.sum()), int(one.sprite.mask.sum())
        occlusion = round(1.0 - visible / max(1, inside), 4)
        truncation = round(1.0 - inside / max(1, whole), 4)
        result.append(Seen(one.guest.individual.species, mask, occlusion, truncation, len(placed) - number))
    return result


def _enough(seen: Seen, placed: Placed) -> bool:
    visible = int(seen.mask.sum())
    return visible >= MIN_PIXELS and visible >= MIN_VISIBLE * int(placed.sprite.mask.sum())


def _moved(guest: Guest, sprite: Sprite, short: bool, scene: Scene) -> Guest:
    """Move one of a group that found no room: back if it fills the frame, else nearer, into a gap in the plants."""
    if int(sprite.mask.sum()) > CROWDING:
        return replace(guest, scale=round(guest.scale * 0.8, 6))
    if not short:
        return guest
    camera = scene.location.camera
    nearest = (FRAME_BOTTOM - 6 - camera.horizon) / camera.height
    return replace(guest, scale=round(min(nearest, guest.scale * 1.2), 6), gap=round(guest.gap * 0.8, 6))


def settle(plan: ImagePlan, scene: Scene, light: Daylight) -> tuple[list[Placed], list[Seen]]:
    """Find places where every animal of the plan is visible; one that is not comes nearer until it is."""
    sprites = [(guest, _sprite(guest, scene, light)) for guest in plan.guests]
    for attempt in range(30 * TRIES):
        placed = _arranged(scene, sprites, plan.seed, attempt)
        seen = _seen(scene, placed)
        short = [one.guest for one, sight in zip(placed, seen, strict=True) if not _enough(sight, one)]
        if not short:
            return placed, seen
        if attempt % TRIES == TRIES - 1:
            moved = [_moved(guest, sprite, guest in short, scene) for guest, sprite in sprites]
            sprites = [
                (new, sprite if new.scale == old.scale else _sprite(new, scene, light))
                for new, (old, sprite) in zip(moved, sprites, strict=True)
            ]
    raise AssertionError(f"image {plan.number} has no place for {short}")


def paint(plan: ImagePlan, scene: Scene, light: Daylight, placed: list[Placed]) -> NDArray[np.uint8]:
    """Render the stored picture, RGB [384, 512, 3]."""
    front = scene.canvas.front
    picture = shade(scene, light, sunlit(scene, light))
    covered = np.zeros(front.shape, np.bool_)
    haze = np.array(light.fog, np.float32)
    sun = light.sun[1] * max(0.2, light.direction[1])
    strength = 0.35 if light.infrared else min(0.85, sun / (sun + 0.6 * light.sky[1]))
    for one in placed:
        if one.place.waterline == HEIGHT:
            right, down = one.sprite.shadow_offset
            left, top = one.place.left + right, one.place.top + down
            _darken(picture, front, one.sprite.shadow, left, top, one.place.distance, strength)
    for one in placed:
        fade = float(1.0 - np.exp(-light.density * one.place.distance))
        _blend(picture, covered, front, one.sprite.rgb, one.sprite.alpha, one.place, haze, fade)
    reflect(scene, light, picture, covered)
    small = np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.float32)
    return photograph(small, light, plan.weather, seed=plan.seed, caption=_caption(plan))


def _caption(plan: ImagePlan) -> str:
    """Date, hour and temperature as a camera prints them; the hour agrees with the light."""
    hour = {"day": 9 + plan.seed % 7, "dusk": 18, "night": (20 + plan.seed % 9) % 24}[plan.time_of_day]
    date = f"2019-{1 + plan.seed // 7 % 12:02d}-{1 + plan.seed // 97 % 28:02d}"
    warmth = {"day": 27, "dusk": 22, "night": 16}[plan.time_of_day] + plan.seed // 31 % 6
    return f"PARKSIM  {date}  {hour:02d}:{plan.seed // 11 % 60:02d}  {warmth}C"


def compose(plan: ImagePlan, *, pixels: bool = True) -> tuple[list[Seen], NDArray[np.uint8] | None]:
    """Compose one image: what is visible of each animal, far to near, and the picture if wanted."""
    scene = paint_location(plan.location)
    forest = scene.location.habitat == "forest"
    light = daylight(plan.time_of_day, plan.weather, seed=plan.seed, forest=forest)
    placed, seen = settle(plan, scene, light)
    return seen, paint(plan, scene, light, placed) if pixels else None
