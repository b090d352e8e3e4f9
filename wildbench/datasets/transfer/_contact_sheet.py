"""Some pictures of a data set on one sheet, with their boxes: whether the two belong together is seen at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from PIL import Image

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.pictures import colour, draw_boxes

MOST = 24
_ACROSS, _WIDTH, _HEIGHT = 6, 300, 225


def contact_sheet(dataset: Dataset) -> Image.Image:
    """Up to 24 pictures with their boxes, evenly spaced: of those that have some, and of others where these are few.

    Raises:
        DatasetError: A picture cannot be decoded.

    Example:
        >>> from pathlib import Path
        >>> contact_sheet(Dataset("none", None, {"images": [], "annotations": [], "categories": []}, Path())).size
        (1800, 225)
    """
    boxed = [image for image in dataset.images if dataset.boxes(image["id"])]
    empty = [image for image in dataset.images if not dataset.boxes(image["id"])]
    chosen = _spaced(boxed, MOST)
    chosen += _spaced(empty, MOST - len(chosen))
    rows = max(1, -(-len(chosen) // _ACROSS))
    sheet = Image.new("RGB", (_ACROSS * _WIDTH, rows * _HEIGHT), (24, 24, 24))
    for place, image in enumerate(chosen):
        sheet.paste(_cell(dataset, image), (place % _ACROSS * _WIDTH, place // _ACROSS * _HEIGHT))
    return sheet


def _spaced(images: Sequence[dict[str, Any]], most: int) -> list[dict[str, Any]]:
    count = min(most, len(images))
    return [images[place * len(images) // count] for place in range(count)]


def _cell(dataset: Dataset, image: dict[str, Any]) -> Image.Image:
    """A picture made to fit, its boxes, and the end of its name."""
    pixels = decode(dataset.image_path(image))
    height, width = pixels.shape[:2]
    factor = min((_WIDTH - 6) / width, (_HEIGHT - 28) / height)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = np.full((size[1], _WIDTH - 6, 3), 24, np.uint8)
    small[:, : size[0]] = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    names = {entry["id"]: entry["name"] for entry in dataset.categories}
    colours = {number: colour(place) for place, number in enumerate(names)}
    drawn = []
    for box in dataset.boxes(image["id"]):
        x, y, across, down = (side * factor for side in box["bbox"])
        kind = box["category_id"]
        drawn.append(((x, y, across, down), names[kind] + " (crowd)" * bool(box["iscrowd"]), colours[kind]))
    return draw_boxes(small, drawn, caption=str(image["file_name"])[-38:])
