"""A data set of coloured rectangles that a small network learns in seconds."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wildbench.datasets.coco import Dataset

COLOURS = {1: (220, 40, 40), 2: (40, 60, 220)}


@pytest.fixture
def rectangles(tmp_path: Path) -> Dataset:
    """Eight pictures of 64 x 64 with a red (1) or blue (2) rectangle; the last one is empty."""
    random = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number in range(1, 9):
        pixels = random.integers(90, 150, (64, 64, 3), np.uint8)
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        if number < 8:
            category = 1 + number % 2
            x, y = (int(v) for v in random.integers(2, 28, 2))
            w, h = (int(v) for v in random.integers(20, 34, 2))
            pixels[y : y + h, x : x + w] = COLOURS[category]
            corners = [x, y, x + w, y, x + w, y + h, x, y + h]
            annotations.append(
                {"id": number, "image_id": number, "category_id": 10 * category, "bbox": [x, y, w, h]}
                | {"area": w * h, "iscrowd": 0, "segmentation": [corners]}
            )
        cv2.imwrite(str(tmp_path / f"{number}.png"), pixels[..., ::-1])
    categories = [{"id": 10, "name": "red"}, {"id": 20, "name": "blue"}]
    return Dataset(
        "rectangles", "train", {"images": images, "annotations": annotations, "categories": categories}, tmp_path
    )
