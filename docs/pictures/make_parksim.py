"""Make the pictures of parksim: `python docs/pictures/make_parksim.py`, some seconds once numba has compiled.

parksim-animals.jpg shows the thirteen categories on neutral ground; parksim-scenes.jpg for each category the scene that
shows it best, and three at night, with boxes.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wildbench.categories import CATEGORIES, SPLITS
from wildbench.datasets.registry import load_dataset
from wildbench.parksim._animal import Individual, Light, View, render_animal
from wildbench.parksim._composition import compose
from wildbench.parksim._planning import ImagePlan, plan
from wildbench.parksim.scenes import HEIGHT, WIDTH
from wildbench.pictures import save_jpeg

Light64 = NDArray[np.float64]
SHEET_WIDTH, PANEL_HEIGHT, ELEVATION = 1920, 400, 0.13
ROWS = (("elephant", "giraffe", "buffalo", "zebra"), ("lion", "leopard", "hyena", "crocodile"),
        ("person", "gorilla", "monkey", "impala", "bird"))  # fmt: skip
EVENING = Light((-0.5183, 0.5615, 0.6447), (2.7, 2.3, 1.75), (0.5, 0.58, 0.72), (0.36, 0.27, 0.16))
# age, sex, posture, seed, azimuth, metres right of the middle, metres behind
CAST: dict[str, tuple[tuple[str, str, str, int, float, float, float], ...]] = {
    "elephant": (("adult", "male", "standing", 2, 0.55, 0.35, 0.0),
                 ("juvenile", "female", "walking", 9, 0.25, -2.2, -1.2)),
    "giraffe": (("adult", "male", "standing", 4, 0.45, 0.9, 0.0), ("adult", "female", "browsing", 5, 2.5, -1.6, 1.0)),
    "buffalo": (("adult", "male", "standing", 11, 0.75, 0.0, 0.0),),
    "zebra": (("adult", "female", "standing", 6, 0.6, 0.25, 0.0), ("adult", "male", "grazing", 8, 2.2, -0.75, 1.6)),
    "lion": (("adult", "male", "standing", 14, 0.7, 0.35, 0.0), ("adult", "female", "lying", 3, 2.2, -0.75, 1.0)),
    "leopard": (("adult", "male", "stalking", 7, 0.65, 0.0, 0.0),),
    "hyena": (("adult", "female", "standing", 4, 0.45, 0.0, 0.0),),
    "crocodile": (("adult", "male", "gaping", 6, 0.9, 0.2, 0.0),),
    "person": (("adult", "female", "walking", 12, 0.9, 0.35, 0.0), ("adult", "male", "standing", 5, 0.9, -0.45, 0.4)),
    "gorilla": (("adult", "male", "walking", 3, 0.6, 0.1, 0.0),),
    "monkey": (("adult", "male", "sitting", 8, 0.8, 0.12, 0.0),
               ("juvenile", "female", "standing", 3, 1.9, -0.22, -0.2)),
    "impala": (("adult", "male", "standing", 7, 0.6, 0.2, 0.0), ("adult", "female", "grazing", 4, 2.0, -0.45, 0.9)),
    "bird": (("adult", "male", "standing", 32, 0.6, 0.35, 0.0), ("adult", "male", "walking", 33, 0.5, -0.8, 0.2),
             ("adult", "female", "pecking", 34, 0.3, -0.35, -0.9)),
}  # fmt: skip
METRES = {
    "elephant": 4.4, "giraffe": 5.6, "buffalo": 2.3, "zebra": 2.5, "lion": 2.0, "leopard": 1.35, "hyena": 1.45,
    "crocodile": 2.3, "person": 2.2, "gorilla": 1.85, "monkey": 0.85, "impala": 2.05, "bird": 2.7,
}  # fmt: skip


def animals() -> Image.Image:
    """The thirteen categories on neutral ground, one panel each; 1920 x 1200 pixels."""
    rows = [np.concatenate([_panel(name, SHEET_WIDTH // len(names)) for name in names], axis=1) for names in ROWS]
    sheet = Image.fromarray(np.concatenate(rows))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(26)
    for v, names in enumerate(ROWS):
        for u, name in enumerate(names):
            corner = (u * SHEET_WIDTH // len(names) + 18, v * PANEL_HEIGHT + 12)
            draw.text(corner, name, font=font, fill=(58, 48, 38))
    return sheet


def _panel(name: str, width: int) -> NDArray[np.uint8]:
    scale = 0.86 * PANEL_HEIGHT / METRES[name]
    picture = _backdrop(width)
    for age, sex, posture, seed, azimuth, right, behind in sorted(CAST[name], key=lambda one: -one[6]):
        sprite = render_animal(Individual(name, age, sex, posture, seed), View(azimuth, ELEVATION, scale), EVENING)
        x = round(width / 2 + right * scale - sprite.anchor[0])
        y = round(0.87 * PANEL_HEIGHT - behind * math.sin(ELEVATION) * scale - sprite.anchor[1])
        _blend(
            picture,
            np.zeros((*sprite.shadow.shape, 3)),
            sprite.shadow,
            x + sprite.shadow_offset[0],
            y + sprite.shadow_offset[1],
        )
        _blend(picture, sprite.rgb.astype(np.float64), sprite.alpha, x, y)
    return _developed(picture)


def _backdrop(width: int) -> Light64:
    v, u = np.mgrid[:PANEL_HEIGHT, :width] / np.array([PANEL_HEIGHT, width]).reshape(2, 1, 1)
    horizon = 1.0 / (1.0 + np.exp(-(v - 0.62) * 22.0))[..., None]
    wall = np.array([1.55, 1.40, 1.15]) * (0.75 + 0.35 * v[..., None])
    floor = np.array([1.02, 0.84, 0.58]) * (0.85 + 0.25 * v[..., None])
    vignette = 1.0 - 0.35 * ((u - 0.5) ** 2 + (v - 0.55) ** 2)[..., None]
    backdrop: Light64 = (wall * (1.0 - horizon) + floor * horizon) * vignette
    return backdrop


def _blend(picture: Light64, colour: Light64, alpha: NDArray[np.float32], x: int, y: int) -> None:
    height, width = alpha.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + height, picture.shape[0]), min(x + width, picture.shape[1])
    if bottom <= top or right <= left:
        return
    share = alpha[top - y : bottom - y, left - x : right - x, None]
    under = picture[top:bottom, left:right]
    picture[top:bottom, left:right] = under * (1.0 - share) + colour[top - y : bottom - y, left - x : right - x] * share


def _developed(picture: Light64) -> NDArray[np.uint8]:
    exposed = 0.62 * picture
    film = exposed * (1.0 + exposed / 6.0) / (1.0 + 0.42 * exposed)
    curve = np.where(film < 0.0031308, 12.92 * film, 1.055 * np.maximum(film, 1e-6) ** (1 / 2.4) - 0.055)
    result: NDArray[np.uint8] = (np.clip(curve, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return result


Annotation = dict[str, Any]

Picture = NDArray[np.uint8]


def scenes() -> Image.Image:
    """A grid of scenes with boxes, one chosen for each category and three at night; 2048 x 1536 pixels."""
    shown: dict[int, list[Annotation]] = defaultdict(list)
    for split in SPLITS:
        for annotation in load_dataset("parksim", split=split, with_images=False).annotations:
            shown[annotation["image_id"]].append(annotation)
    images = [one for one in plan() if one.number in shown]
    tiles = [_best(images, shown, name, night=False) for name in CATEGORIES]
    tiles += [_best(images, shown, name, night=True) for name in ("leopard", "elephant", "zebra")]
    return Image.fromarray(np.vstack([np.hstack(tiles[start : start + 4]) for start in range(0, len(tiles), 4)]))


def _best(images: list[ImagePlan], shown: dict[int, list[Annotation]], name: str, *, night: bool) -> Picture:
    """The clearest of the pictures that hold this species and no other, with its boxes."""
    fitting = [
        one
        for one in images
        if {guest.individual.species for guest in one.guests} == {name} and (one.time_of_day == "night") == night
    ]
    best = max(fitting, key=lambda one: (one.weather == "clear") + sum(map(_clarity, shown[one.number])))
    picture = compose(best)[1]
    assert picture is not None
    for annotation in shown[best.number]:
        _draw(picture, annotation)
    return picture


def _clarity(annotation: Annotation) -> float:
    """High for a large, whole animal that nothing hides; a picture is worth the sum over its animals."""
    share = min(1.0, float(annotation["area"]) / (0.12 * WIDTH * HEIGHT))
    clarity: float = share * (1.0 - 2.0 * annotation["occlusion"]) * (1.0 - 6.0 * annotation["truncation"])
    return clarity


def _draw(picture: Picture, annotation: Annotation) -> None:
    x, y, width, height = annotation["bbox"]
    name = CATEGORIES[annotation["category_id"] - 1]
    cv2.rectangle(picture, (x, y), (x + width - 1, y + height - 1), (255, 214, 64), 1)
    row = max(11, y - 4)
    for colour, thick in (((20, 20, 20), 3), ((255, 214, 64), 1)):
        cv2.putText(picture, name, (x + 1, row), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour, thick, cv2.LINE_AA)


def main(folder: Path) -> None:
    """Write both pictures into a folder."""
    save_jpeg(animals(), folder / "parksim-animals.jpg")
    save_jpeg(scenes(), folder / "parksim-scenes.jpg")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
