"""Data sets by name or by path, and where their files are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wildbench.categories import SPLITS
from wildbench.datasets.coco import Dataset, normalised, read_coco, read_json
from wildbench.datasets.splits import apply_split, pool, read_split
from wildbench.errors import DatasetError
from wildbench.parksim import is_complete, pictures_folder
from wildbench.progress import Progress, silent
from wildbench.resources import bundled, cache_dir

PARKS = "parks"

_DESCRIPTIONS = {
    "parksim": "thirteen animals before twenty trail cameras, rendered by wildbench itself",
    PARKS: "the paper's photographs, split anew without near-duplicates (wildbench-v1)",
    f"{PARKS}-authors": "the paper's photographs, split as its authors did",
}

_PARKS_SPLITS = {PARKS: "wildbench-v1", f"{PARKS}-authors": "authors"}
"""Which split file of the imported photographs a name stands for."""


@dataclass(frozen=True)
class DatasetInfo:
    """What `wildbench data list` tells of a registered data set; counts are over all splits.

    Categories, images and boxes are None where the data set has to be fetched first.
    """

    name: str
    description: str
    splits: tuple[str, ...]
    categories: int | None = None
    images: int | None = None
    boxes: int | None = None


def names() -> tuple[str, ...]:
    """Names of the registered data sets."""
    return tuple(_DESCRIPTIONS)


def registered() -> list[DatasetInfo]:
    """Describe every data set that has a name."""
    infos = []
    for name, description in _DESCRIPTIONS.items():
        if not is_here(name):
            infos.append(DatasetInfo(name, f"{description}; to get it: wildbench data fetch {PARKS}", ()))
            continue
        splits = splits_of(name)
        parts = [load_dataset(name, split=split, with_images=False) for split in splits]
        infos.append(
            DatasetInfo(
                name=name,
                description=description,
                splits=splits,
                categories=len(parts[0].categories),
                images=sum(len(part.images) for part in parts),
                boxes=sum(len(part.annotations) for part in parts),
            )
        )
    return infos


def load_dataset(
    name_or_path: str | Path,
    *,
    split: str = "test",
    images: Path | str | None = None,
    limit: int | None = None,
    with_images: bool = True,
    progress: Progress = silent,
) -> Dataset:
    """Load one split of a registered data set, or a COCO detection JSON with any categories.

    Args:
        name_or_path: A registered name, or the path of a JSON file.
        split: Split of a registered data set. A file is one split, so for a file this says nothing.
        images: Folder of the images; by default the first of the file's own folder, `images/` in it, and `../images`
            that has them. Those of parksim are rendered into `cache_dir()` on first use.
        limit: Keep only the first images.
        with_images: Whether pixels will be needed; False neither renders nor looks for files.
        progress: Called as `progress(task, done, total)` while rendering.

    Raises:
        DatasetError: Unknown name or split, no images, or a file that validation refuses.

    Example:
        >>> load_dataset("parksim", split="val", with_images=False, limit=3).category_names[:3]
        ['giraffe', 'person', 'zebra']
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"limit {limit}", remedy="keep at least one image")
    folder = None if images is None else Path(images)
    if folder is not None and not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", remedy="name the folder of the images")
    name = str(name_or_path)
    if name in _PARKS_SPLITS:
        return _parks(name, split, folder, with_images).take(limit)
    if name in _DESCRIPTIONS:
        path = _annotations(name, split)
        if folder is None and with_images:
            folder = generate(name, progress)
        return read_coco(path, folder, name, split).take(limit)
    path = Path(name_or_path)
    if not path.is_file():
        known = ", ".join(names())
        raise DatasetError(f"{name}: no such file or data set", remedy=f"name a COCO JSON, or a data set: {known}")
    if folder is None and with_images:
        folder = images_near(path)
    return read_coco(path, folder).take(limit)


def images_near(path: Path) -> Path:
    """Find the folder of a COCO file's images: its own folder, `images/` in it, or `../images`.

    Raises:
        DatasetError: The file's first image is in none of them.
    """
    coco = read_json(path)
    listed = coco.get("images") if isinstance(coco, dict) else None
    first = listed[0].get("file_name") if isinstance(listed, list) and listed and isinstance(listed[0], dict) else None
    if not isinstance(first, str):
        return path.parent  # validation says what is wrong with the list
    own = normalised(path).parent
    folders = [own, own / "images", own.parent / "images"]
    for folder in folders:
        if (folder / first).is_file():
            return folder
    raise DatasetError(
        f"{path}: its image {first} is in none of {', '.join(map(str, folders))}", remedy="name the folder by --images"
    )


def generate(name: str, progress: Progress = silent) -> Path:
    """Render a data set into `cache_dir()`, unless it is there already, and return the folder of its images.

    Raises:
        DatasetError: No such data set.
    """
    if name != "parksim":
        raise DatasetError(f"{name}: nothing to render by that name", remedy="name parksim")
    if is_complete(pictures := pictures_folder(cache_dir())):
        return pictures
    from wildbench.parksim import render  # numba loads slowly

    return render(cache_dir(), partial(progress, f"render {name}"))


def parks_folder() -> Path:
    """Where the imported photographs are: `annotations/`, `images/` and `splits/`."""
    return cache_dir() / PARKS


def is_here(name: str) -> bool:
    """Whether a registered data set can be loaded without being fetched."""
    if name not in _PARKS_SPLITS:
        return True
    return (parks_folder() / "annotations" / "all.json").is_file() and _split_file(name).is_file()


def splits_of(name: str) -> tuple[str, ...]:
    """Splits of a registered data set.

    Raises:
        DatasetError: It has to be fetched first.
    """
    if name not in _PARKS_SPLITS:
        return SPLITS
    if is_here(name):
        return tuple(read_split(_split_file(name)).parts)
    if (parks_folder() / "annotations").is_dir():
        raise DatasetError(f"{name}: the imported archive had no lists of its parts", remedy=f"use {PARKS}")
    raise DatasetError(
        f"{name} is not here: its authors publish it for download",
        remedy=f"run: wildbench data fetch {PARKS}, or, with the archive at hand: wildbench data import PATH",
    )


def _split_file(name: str) -> Path:
    """The split file that comes with wildbench, where there is one; else the one that the import wrote."""
    path = f"splits/{_PARKS_SPLITS[name]}.json"
    committed = bundled(f"annotations/{PARKS}/{path}")
    return committed if committed.is_file() else parks_folder() / path


def _parks(name: str, split: str, images: Path | None, with_images: bool) -> Dataset:
    _check_split(name, split)
    folder = (images or parks_folder() / "images") if with_images else None
    whole = read_coco(parks_folder() / "annotations" / "all.json", folder)
    return Dataset(name, split, apply_split(whole.coco, read_split(_split_file(name)), split), whole.images_dir)


def _check_split(name: str, split: str) -> None:
    if split not in splits_of(name):
        raise DatasetError(f"{name} has no split {split!r}", remedy=f"name one of: {', '.join(splits_of(name))}")


def _annotations(name: str, split: str) -> Path:
    _check_split(name, split)
    return bundled(f"annotations/{name}/{split}.json")


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
