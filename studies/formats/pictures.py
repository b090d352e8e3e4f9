"""The pictures on which every artifact is tried: four of parksim's, in sizes and proportions that differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from wildbench.datasets.registry import load_whole
from wildbench.progress import Progress, silent

SIZES = {349: (640, 480), 470: (500, 375), 547: (333, 500), 556: (1024, 600)}
"""Width and height by the image's id in parksim: 4:3 twice, once larger and once smaller than the original, upright,
and wide; a letterbox rounds a side of the last two. All have much contrast: random networks are silent on calm ones."""


def write_pictures(folder: Path, progress: Progress = silent) -> list[Path]:
    """Write the pictures as PNG, cropped about their middle and resized, and return their paths."""
    paths = {number: folder / f"{number}_{width}x{height}.png" for number, (width, height) in SIZES.items()}
    if not all(path.exists() for path in paths.values()):
        folder.mkdir(parents=True, exist_ok=True)
        data = load_whole("parksim", progress=progress)
        names = {image["id"]: image["file_name"] for image in data.images}
        for number, path in paths.items():
            with Image.open(data.images_dir / names[number]) as picture:
                ImageOps.fit(picture.convert("RGB"), SIZES[number], Image.Resampling.BICUBIC).save(path)
    return list(paths.values())


def read_picture(path: Path) -> npt.NDArray[np.uint8]:
    """A picture as uint8, H x W x 3, RGB."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))
