"""All images of a data set in one, which is what gets split."""

from __future__ import annotations

from pathlib import Path

from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import PARKS, load_dataset, names, parks_folder, splits_of
from wildbench.datasets.splits import pool
from wildbench.progress import Progress, silent


def load_whole(name_or_path: str | Path, *, images: Path | None = None, progress: Progress = silent) -> Dataset:
    """Load all splits of a registered data set as one, or a COCO detection JSON, with its images at hand.

    Raises:
        DatasetError: As `load_dataset`.
    """
    name = str(name_or_path)
    if name in (PARKS, f"{PARKS}-authors"):
        path = parks_folder() / "annotations" / "all.json"
        if not path.is_file():
            splits_of(name)  # says how to get it
        whole = load_dataset(path, images=images or parks_folder() / "images")
        return Dataset(PARKS, None, whole.coco, whole.images_dir)
    if name not in names():
        return load_dataset(name_or_path, images=images)
    parts = load_splits(name, images=images, progress=progress)
    return Dataset(name, None, pool(parts), parts[0].images_dir)


def load_splits(name: str, *, images: Path | None = None, progress: Progress = silent) -> list[Dataset]:
    """Load every split of a registered data set."""
    return [load_dataset(name, split=split, images=images, progress=progress) for split in splits_of(name)]
