"""Boxes drawn on photographs."""

from __future__ import annotations

import colorsys
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from wildbench.files import write_atomically

VEGA_LITE = "6.4"
"""The Vega-Lite that charts are written for."""

Drawn = tuple[tuple[float, float, float, float], str, tuple[int, int, int]]
"""A box as x, y, width, height in pixels, its label, and its colour."""


def colour(index: int) -> tuple[int, int, int]:
    """A colour for a category; neighbouring indices differ in hue by the golden angle."""
    red, green, blue = colorsys.hsv_to_rgb(index * 0.381966 % 1.0, 0.75, 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


def draw_boxes(image: np.ndarray, boxes: Sequence[Drawn], *, caption: str = "") -> Image.Image:
    """Draw labelled boxes, and a caption bar below.

    Args:
        image: uint8 pixels, H x W x 3, RGB.
        boxes: Where they are, what they are called, and their colours.
        caption: One line under the picture; no bar where empty.

    Example:
        >>> draw_boxes(np.zeros((50, 80, 3), np.uint8), [((5, 20, 30, 20), "lion 0.9", (255, 0, 0))]).size
        (80, 50)
    """
    bar = 22 if caption else 0
    canvas = Image.new("RGB", (image.shape[1], image.shape[0] + bar), (24, 24, 24))
    canvas.paste(Image.fromarray(image))
    draw = ImageDraw.Draw(canvas)
    font = ImageFont.load_default(13)
    for (x, y, width, height), label, rgb in boxes:
        draw.rectangle((x, y, x + width, y + height), outline=rgb, width=2)
        left, top, right, bottom = draw.textbbox((x + 3, max(0, y - 17)), label, font=font)
        draw.rectangle((left - 3, top - 2, right + 3, bottom + 2), fill=rgb)
        draw.text((x + 3, max(0, y - 17)), label, fill=(0, 0, 0), font=font)
    if caption:
        draw.text((6, image.shape[0] + 3), caption, fill=(235, 235, 235), font=font)
    return canvas


def side_by_side(panels: Sequence[Image.Image], gap: int = 6) -> Image.Image:
    """Put pictures of one height next to each other."""
    width = sum(panel.width for panel in panels) + gap * (len(panels) - 1)
    sheet = Image.new("RGB", (width, max(panel.height for panel in panels)), (24, 24, 24))
    x = 0
    for panel in panels:
        sheet.paste(panel, (x, 0))
        x += panel.width + gap
    return sheet


def save_jpeg(picture: Image.Image, path: Path) -> None:
    """Write a picture as JPEG, whole or not at all."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90)
    write_atomically(path, buffer.getvalue())


def svg(spec: dict[str, Any]) -> bytes:
    """Draw a Vega-Lite specification."""
    import vl_convert

    return vl_convert.vegalite_to_svg(spec, vl_version=VEGA_LITE).encode()
