"""Pictures with enough in them to be told apart: soft light, and some hundred shapes and lines."""

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

Photograph = npt.NDArray[np.uint8]


def photograph(seed: int, height: int = 240, width: int = 320) -> Photograph:
    """One picture, uint8 [height, width, 3]; the same for the same seed."""
    generator = np.random.default_rng(seed)
    light = generator.uniform(40, 215, (5, 6, 3)).astype(np.float32)
    canvas = cv2.resize(light, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(120):
        x, y = int(generator.integers(0, width)), int(generator.integers(0, height))
        colour = tuple(float(value) for value in generator.uniform(0, 255, 3))
        if generator.random() < 0.5:
            axes = (int(generator.integers(3, 18)), int(generator.integers(3, 18)))
            cv2.ellipse(canvas, (x, y), axes, float(generator.uniform(0, 180)), 0, 360, colour, -1)
        else:
            end = (x + int(generator.integers(-40, 40)), y + int(generator.integers(-40, 40)))
            cv2.line(canvas, (x, y), end, colour, int(generator.integers(1, 5)))
    grain = generator.normal(0, 3, canvas.shape)
    return np.clip(canvas + grain, 0, 255).astype(np.uint8)


def save(pixels: Photograph, path: Path) -> Path:
    """Write a JPEG of quality 90."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, quality=90)
    return path
