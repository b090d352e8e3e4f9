"""A photograph as it could also have been taken: mirrored, from a little nearer, stored again; its boxes moved along.

Size and shape of the picture stay, so that whatever took the photograph takes this. Positions are drawn again,
so that memorised boxes are off, whichever way the photograph is recognised.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import Pixels

CUT = (0.08, 0.16)
"""Share of either side that is cut off."""

QUALITY = (80, 95)
"""Of the JPEG that it is stored as."""

WHOLE = 0.98
"""Share of a box that is still in the picture, from which it counts as before."""

Window = tuple[float, float, float]
"""Left and top of what is kept, and its size: shares of either side."""


def alter(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Window]:
    """Alter one image, uint8 [height, width, 3]; its boxes follow by `moved` from the window that is returned too."""
    height, width = pixels.shape[:2]
    keep = 1 - rng.uniform(*CUT)
    left, top = (round(side * rng.uniform(0, 1 - keep)) for side in (width, height))
    wide, high = round(width * keep), round(height * keep)
    kept = pixels[top : top + high, left : left + wide][:, ::-1]
    resized = cv2.resize(np.ascontiguousarray(kept), (width, height), interpolation=cv2.INTER_LINEAR)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))]
    _, encoded = cv2.imencode(".jpg", resized[..., ::-1], quality)
    stored = cv2.imdecode(encoded, cv2.IMREAD_COLOR_RGB)
    return np.asarray(stored, dtype=np.uint8), (left / width, top / height, keep)


def moved(data: Dataset, windows: dict[int, Window]) -> tuple[Dataset, Dataset]:
    """The labels of some images before and after: what is cut by the new edge is ignored in both.

    Args:
        data: Has those images.
        windows: By image id, as `alter` drew them.
    """
    before: list[dict[str, Any]] = []
    after: list[dict[str, Any]] = []
    images = [image for image in data.images if image["id"] in windows]
    for image in images:
        left, top, keep = windows[image["id"]]
        for entry in data.boxes(image["id"]):
            width, height = image["width"], image["height"]
            x, y, wide, high = entry["bbox"]
            ends = [(x / width - left) / keep, ((x + wide) / width - left) / keep]
            x1, x2 = (1 - min(max(end, 0.0), 1.0) for end in reversed(ends))
            y1, y2 = (min(max((end / height - top) / keep, 0.0), 1.0) for end in (y, y + high))
            seen = (x2 - x1) * (y2 - y1) * width * height * keep * keep
            whole = seen >= WHOLE * wide * high
            plain = {key: value for key, value in entry.items() if key != "segmentation"}
            before.append(plain | {"iscrowd": int(entry["iscrowd"] or not whole)})
            box = [x1 * width, y1 * height, (x2 - x1) * width, (y2 - y1) * height]
            if seen > 0:
                after.append(before[-1] | {"bbox": box, "area": entry["area"] / keep**2})
    made = ({**data.coco, "images": images, "annotations": entries} for entries in (before, after))
    first, second = (Dataset(data.name, data.split, coco, data.images_dir) for coco in made)
    return first, second
