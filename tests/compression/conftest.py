"""Data that small detectors can be trained on in seconds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wildbench.datasets.coco import Dataset


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    """Six pictures of 128 x 96 with a zebra (red) or a lion (blue) as a rectangle, with its mask."""
    random = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, 7):
        pixels = random.integers(90, 150, (96, 128, 3), np.uint8)
        x, y, w, h = (int(random.integers(low, high)) for low, high in ((2, 60), (2, 40), (24, 60), (24, 50)))
        pixels[y : y + h, x : x + w] = (220, 40, 40) if number % 2 else (40, 60, 220)
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 96})
        corners = [x, y, x + w, y, x + w, y + h, x, y + h]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 2 - number % 2, "bbox": [x, y, w, h], "area": w * h}
            | {"iscrowd": 0, "segmentation": [corners]}
        )
    categories = [{"id": 1, "name": "zebra"}, {"id": 2, "name": "lion"}]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    return Dataset("pictures", "train", coco, tmp_path)
