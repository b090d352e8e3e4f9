"""Counts of data sets: of all that are registered, and of one by category, size, time of day, weather and location."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wildbench.datasets.coco import Dataset, size_of
from wildbench.datasets.registry import card, is_here, load_dataset, names, splits_of


@dataclass(frozen=True)
class DatasetInfo:
    """A row of `wildbench data list`; counts are over all splits, and None where the data set has to be fetched."""

    name: str
    title: str
    splits: tuple[str, ...] = ()
    categories: int | None = None
    images: int | None = None
    boxes: int | None = None


def registered() -> list[DatasetInfo]:
    """Describe every registered data set."""
    infos = []
    for name in names():
        if not is_here(name):
            infos.append(DatasetInfo(name, f"{card(name).title}; to get it: wildbench data fetch {name}"))
            continue
        splits = splits_of(name)
        parts = [load_dataset(name, split=split, with_images=False) for split in splits]
        categories = len(parts[0].categories)
        images, boxes = sum(len(part.images) for part in parts), sum(len(part.annotations) for part in parts)
        infos.append(DatasetInfo(name, card(name).title, splits, categories, images, boxes))
    return infos


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
