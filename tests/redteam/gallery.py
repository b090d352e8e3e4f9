"""Small pictures that a few lines can look at, for scores without a detector: bright rectangles on noise."""

import json
from pathlib import Path

import numpy as np

IMAGES, SIDE = 24, 96


def paint(folder: Path) -> None:
    """Pictures with one to three rectangles and their labels; lions are bright, zebras brighter."""
    import cv2

    noise = np.random.default_rng(5)
    images, boxes = [], []
    for number in range(1, IMAGES + 1):
        picture = noise.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
        for corner in ((4, 4), (52, 6), (20, 54))[: 1 + number % 3]:
            x, y = (int(v) for v in corner + noise.integers(0, 8, 2))
            width, height = (int(v) for v in noise.integers(14, 34, 2))
            category = int(noise.integers(1, 3))
            picture[y : y + height, x : x + width] = (150, 230)[category - 1] + noise.integers(-9, 9, 3)
            box = [x + float(noise.normal(0, 0.7)), y + float(noise.normal(0, 0.7)), width, height]
            entry = {"id": len(boxes) + 1, "image_id": number, "category_id": category}
            boxes.append(entry | {"bbox": [max(0.0, round(side, 2)) for side in box]})
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": SIDE, "height": SIDE})
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}]
    document = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "gallery.json").write_text(json.dumps(document))
