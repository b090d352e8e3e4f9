"""Counts of a data set as plain data: by category, size, time of day, weather and location, split by split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wildbench.datasets.coco import Dataset, size_of
from wildbench.datasets.registry import load_dataset, names, splits_of


def summary(name_or_path: str | Path) -> dict[str, Any]:
    """Count a registered data set, split by split, or one COCO detection JSON.

    Args:
        name_or_path: A registered name, or the path of a JSON file. Pixels are neither rendered nor read.

    Returns:
        `{"name", "splits": {split: counts}}` with the counts of `split_summary`; a file is one split, named "all".

    Raises:
        DatasetError: Unknown name, or a file that validation refuses.

    Example:
        >>> sum(split["boxes"] for split in summary("parksim")["splits"].values())
        1309
    """
    name = str(name_or_path)
    if name in names():
        splits = {split: load_dataset(name, split=split, with_images=False) for split in splits_of(name)}
    else:
        splits = {"all": load_dataset(name_or_path, with_images=False)}
    return {"name": name, "splits": {split: split_summary(data) for split, data in splits.items()}}


def split_summary(dataset: Dataset) -> dict[str, Any]:
    """Count one split.

    Returns:
        `images`, `empty_images`, `boxes`; `categories` (name to boxes, in id order); `sizes` (boxes that are small,
        medium and large by COCO's bounds); `locations`, `time_of_day` and `weather` (value to images; empty where not
        recorded).
    """
    names = {category["id"]: category["name"] for category in dataset.categories}
    boxes = Counter(names[annotation["category_id"]] for annotation in dataset.annotations)
    sizes = Counter(size_of(annotation["area"]) for annotation in dataset.annotations)
    filled = {annotation["image_id"] for annotation in dataset.annotations}
    return {
        "images": len(dataset.images),
        "empty_images": sum(image["id"] not in filled for image in dataset.images),
        "boxes": len(dataset.annotations),
        "categories": {name: boxes[name] for name in dataset.category_names},
        "sizes": {size: sizes[size] for size in ("small", "medium", "large")},
        **{key: _values(dataset.images, source) for key, source in _RECORDED.items()},
    }


_RECORDED = {"locations": "location", "time_of_day": "time_of_day", "weather": "weather"}


def _values(images: Iterable[dict[str, Any]], key: str) -> dict[str, int]:
    counts = Counter(image[key] for image in images if key in image)
    return {str(value): counts[value] for value in sorted(counts)}
