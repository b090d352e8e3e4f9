"""Contact sheet: the thirteen species on neutral ground, one panel each."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from wildbench.files import write_atomically
from wildbench.parksim._animal import Individual, Light, View, render_animal

Picture = NDArray[np.float64]
WIDTH, PANEL_HEIGHT, ELEVATION = 1920, 400, 0.13
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


def render_contact_sheet(path: Path | str) -> Path:
    """Write the contact sheet.

    Args:
        path: Where the PNG goes.

    Returns:
        The path.
    """
    rows = [np.concatenate([_panel(name, WIDTH // len(names)) for name in names], axis=1) for names in ROWS]
    image = Image.fromarray(np.concatenate(rows))
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(26)
    for v, names in enumerate(ROWS):
        for u, name in enumerate(names):
            corner = (u * WIDTH // len(names) + 18, v * PANEL_HEIGHT + 12)
            draw.text(corner, name, font=font, fill=(58, 48, 38))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    write_atomically(Path(path), stream.getvalue())
    return Path(path)


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


def _backdrop(width: int) -> Picture:
    v, u = np.mgrid[:PANEL_HEIGHT, :width] / np.array([PANEL_HEIGHT, width]).reshape(2, 1, 1)
    horizon = 1.0 / (1.0 + np.exp(-(v - 0.62) * 22.0))[..., None]
    wall = np.array([1.55, 1.40, 1.15]) * (0.75 + 0.35 * v[..., None])
    floor = np.array([1.02, 0.84, 0.58]) * (0.85 + 0.25 * v[..., None])
    vignette = 1.0 - 0.35 * ((u - 0.5) ** 2 + (v - 0.55) ** 2)[..., None]
    backdrop: Picture = (wall * (1.0 - horizon) + floor * horizon) * vignette
    return backdrop


def _blend(picture: Picture, colour: Picture, alpha: NDArray[np.float32], x: int, y: int) -> None:
    height, width = alpha.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + height, picture.shape[0]), min(x + width, picture.shape[1])
    if bottom <= top or right <= left:
        return
    share = alpha[top - y : bottom - y, left - x : right - x, None]
    under = picture[top:bottom, left:right]
    picture[top:bottom, left:right] = under * (1.0 - share) + colour[top - y : bottom - y, left - x : right - x] * share


def _developed(picture: Picture) -> NDArray[np.uint8]:
    exposed = 0.62 * picture
    film = exposed * (1.0 + exposed / 6.0) / (1.0 + 0.42 * exposed)
    curve = np.where(film < 0.0031308, 12.92 * film, 1.055 * np.maximum(film, 1e-6) ** (1 / 2.4) - 0.055)
    result: NDArray[np.uint8] = (np.clip(curve, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return result
