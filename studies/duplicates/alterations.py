"""What happens to a photograph on its way into another data set, and a duplicate check should survive."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from wildbench.datasets.images import Pixels

Alteration = Callable[[Pixels, np.random.Generator], Pixels]
"""From an image, and a generator for what is drawn by chance, to another version of it."""


def _jpeg(pixels: Pixels, generator: np.random.Generator, *, quality: int) -> Pixels:
    data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)


def _resize(pixels: Pixels, generator: np.random.Generator, *, factor: float) -> Pixels:
    return _uint8(cv2.resize(pixels, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))


def _squeeze(pixels: Pixels, generator: np.random.Generator, *, side: int) -> Pixels:
    return _uint8(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA))


def _crop(pixels: Pixels, generator: np.random.Generator, *, share: float) -> Pixels:
    """Take `share` off the width and off the height, wherever chance has it."""
    size = [round(side * (1 - share)) for side in pixels.shape[:2]]
    top, left = (int(generator.integers(0, whole - kept + 1)) for whole, kept in zip(pixels.shape, size, strict=False))
    return pixels[top : top + size[0], left : left + size[1]]


def _mirror(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    return pixels[:, ::-1]


def _quarter_turn(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    return np.rot90(pixels)


def _turn(pixels: Pixels, generator: np.random.Generator, *, degrees: float) -> Pixels:
    """Turn about the middle, with black corners."""
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    return _uint8(cv2.warpAffine(pixels, matrix, (width, height)))


def _tone(
    pixels: Pixels, generator: np.random.Generator, *, gain: float = 1, offset: float = 0, gamma: float = 1
) -> Pixels:
    """Change brightness (`offset`, a share of white), contrast about mid-grey (`gain`) and gamma, and clip."""
    tones = (np.linspace(0, 1, 256) ** gamma - 0.5) * gain + 0.5 + offset
    return _uint8((np.clip(tones, 0, 1) * 255).round()[pixels])


def _grey(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    return np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)


def _watermark(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Write across the middle, in white letters a tenth of the height tall."""
    marked = pixels.copy()
    height, width = pixels.shape[:2]
    place = (width // 20, round(height * 0.55))
    cv2.putText(marked, "SAMPLE PHOTO", place, cv2.FONT_HERSHEY_SIMPLEX, height / 220, (255,) * 3, max(2, height // 90))
    return marked


def _banner(pixels: Pixels, generator: np.random.Generator) -> Pixels:
    """Blacken the lowest tenth, as a caption strip does."""
    marked = pixels.copy()
    marked[round(len(marked) * 0.9) :] = 0
    return marked


def _all(*alterations: Alteration) -> Alteration:
    def altered(pixels: Pixels, generator: np.random.Generator) -> Pixels:
        for alteration in alterations:
            pixels = alteration(np.ascontiguousarray(pixels), generator)
        return pixels

    return altered


def _uint8(pixels: object) -> Pixels:
    return np.asarray(pixels, np.uint8)


ALTERATIONS: dict[str, Alteration] = {
    **{f"JPEG quality {quality}": partial(_jpeg, quality=quality) for quality in (90, 70, 50, 30)},
    **{f"resized to {factor}": partial(_resize, factor=factor) for factor in (0.5, 0.25)},
    "squeezed to 255 × 255": partial(_squeeze, side=255),
    **{f"cropped by {share:.0%}": partial(_crop, share=share) for share in (0.05, 0.1, 0.2, 0.3, 0.5)},
    "mirrored": _mirror,
    "turned by 90°": _quarter_turn,
    **{f"turned by {degrees}°": partial(_turn, degrees=degrees) for degrees in (3, 10, 30)},
    "brighter": partial(_tone, offset=0.2),
    "darker": partial(_tone, offset=-0.2),
    "contrast × 1.5": partial(_tone, gain=1.5),
    "contrast × 0.5": partial(_tone, gain=0.5),
    "gamma 0.5": partial(_tone, gamma=0.5),
    "gamma 2": partial(_tone, gamma=2),
    "grey": _grey,
    "watermark": _watermark,
    "caption strip": _banner,
    "mirrored, cropped by 20%, JPEG 50": _all(_mirror, partial(_crop, share=0.2), partial(_jpeg, quality=50)),
    "turned by 10°, cropped by 20%, darker": _all(
        partial(_turn, degrees=10), partial(_crop, share=0.2), partial(_tone, offset=-0.2)
    ),
}
"""By the name they have in the printed table."""
