"""Data sets by name or by path: their cards, where their files are, and what is in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from wildbench.datasets.coco import Dataset, read_coco, size_of, subset
from wildbench.datasets.findings import Finding
from wildbench.datasets.image_files import images_near
from wildbench.datasets.image_groups import field_of
from wildbench.datasets.images import Pixels
from wildbench.datasets.splits import apply_split, changed_labels, pool, read_split
from wildbench.errors import DatasetError, first_problem
from wildbench.plugins import datasets
from wildbench.progress import Progress, silent
from wildbench.records import plain_toml
from wildbench.resources import bundled, cache_dir

CARD = "dataset.toml"

Scene = tuple[dict[str, Any], list[dict[str, Any]], Pixels]
"""COCO's image entry, its annotations, and pixels."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Images(_Table):
    """Where the pictures are of a data set whose labels come with its card; by default near the labels."""

    folder: str | None = Field(default=None, description="Relative to the card.")
    render: str | None = Field(
        default=None,
        description='"module:function", called as `function(cache, progress)`: makes or downloads the pictures below '
        "the folder `cache`, unless they are there, and returns their folder.",
    )
    fresh: str | None = Field(
        default=None,
        description='"module:function", called as `function(seed, split, count)`: yields new pictures, each '
        "as its COCO image entry, its annotations, and its pixels (uint8, H x W x 3, RGB).",
    )


class Fetched(_Table):
    """Where a data set is once it was fetched, and what fetches it."""

    folder: str = Field(description="Below the cache.")
    labels: str = Field(default="annotations/all.json", description="COCO file of all splits, relative to `folder`.")
    images: str = Field(default="images", description="Folder of the pictures, relative to `folder`.")
    split_file: str = Field(description="Beside the card where it is committed, else relative to `folder`.")
    fetch: str = Field(description='"module:function", called as `function(url, strict=, progress=)`: an ImportReport.')
    import_: str | None = Field(
        default=None,
        alias="import",
        description='"module:function", called as `function(path, form=, strict=, replace=, progress=)`.',
    )

    @property
    def place(self) -> Path:
        """The folder in the cache."""
        return cache_dir() / self.folder

    def read(self, images: Path | None = None, with_images: bool = True) -> Dataset:
        """All splits as one, with its images where they will be needed."""
        return read_coco(self.place / self.labels, (images or self.place / self.images) if with_images else None)


class Card(_Table):
    """A data set's card: the file `dataset.toml` in a folder of its own.

    Example:
        >>> card("parksim").splits
        {'train': 'train.json', 'val': 'val.json', 'test': 'test.json'}
    """

    title: str = Field(description="What it is, in one line.")
    licence: str = Field(description="Of pictures and labels.")
    source: str = Field(default="", description="Where it comes from, or what to cite.")
    shareable: bool = Field(default=False, description="Whether its pictures may be shown to anybody.")
    splits: dict[str, str] = Field(default={}, description="COCO file of each split, relative to the card.")
    images: Images = Images()
    fetched: Fetched | None = Field(default=None, description="Instead of splits and images, where it is downloaded.")


def names() -> tuple[str, ...]:
    """Names of the registered data sets."""
    return datasets.names()


def card(name: str) -> Card:
    """The card of a registered data set; a DatasetError where there is none, or it is malformed."""
    path = _folder(name) / CARD
    try:
        return Card.model_validate(plain_toml(path))
    except OSError as error:
        what = f"{path}: {error.strerror}"
        raise DatasetError(what, code="no-card", remedy="put the data set's card there") from error
    except ValueError as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise DatasetError(f"{path}: {problem}", code="bad-card", remedy="correct the card") from None


def _folder(name: str) -> Path:
    """Where the card is: what is registered is a folder, or a package with the card in it."""
    if name not in datasets:
        remedy = f"choose from {', '.join(names())}"
        raise DatasetError(f"no data set is called {name!r}", code="no-such-dataset", remedy=remedy)
    target = datasets.get(name)
    if isinstance(target, ModuleType):
        return Path(next(iter(target.__path__))) if hasattr(target, "__path__") else Path(str(target.__file__)).parent
    return Path(target) if Path(target).is_absolute() else bundled(str(target))


def call(target: str, *arguments: object, **options: object) -> Any:  # noqa: ANN401 - the card's field says what
    """Call the function that a card names as "module:function"."""
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)(*arguments, **options)


def fetched(name: str) -> Fetched:
    """How a data set is fetched; a DatasetError where it does not have to be."""
    own = card(name).fetched
    if own is None:
        others = ", ".join(name for name in names() if card(name).fetched)
        raise DatasetError(f"{name} is not fetched", code="not-fetchable", remedy=f"name one that is: {others}")
    return own


def load_dataset(
    name_or_path: Dataset | str | Path,
    *,
    split: str = "test",
    images: Path | str | None = None,
    limit: int | None = None,
    split_file: Path | str | None = None,
    skip_unreadable: bool = False,
    with_images: bool = True,
    progress: Progress = silent,
) -> Dataset:
    """Load one split of a registered data set, or a COCO detection JSON with any categories.

    Args:
        name_or_path: A registered name, or the path of a JSON file; a data set in memory is taken as it is.
        split: Split of a registered data set, or of `split_file`. A file without one is one split, whatever is asked.
        images: Folder of the images; by default the first of the file's own folder, `images/` in it, and `../images`
            that has them. Rendered images are made in `cache_dir()` on first use.
        limit: Keep only the first images.
        split_file: Which images of a file are in which split, as `data split` writes it.
        skip_unreadable: Leave out images that cannot be decoded, and those marked `corrupt`; a warning counts them.
        with_images: Whether pixels will be needed; False neither renders nor looks for files.
        progress: Called as `progress(task, done, total)` while rendering.

    Raises:
        DatasetError: Unknown name or split, no images, or a file that validation refuses.

    Example:
        >>> load_dataset("parksim", split="val", with_images=False, limit=3).category_names[:3]
        ['giraffe', 'person', 'zebra']
    """
    if limit is not None and limit < 1:
        raise DatasetError(f"limit {limit}", code="bad-limit", remedy="keep at least one image")
    folder = None if images is None else Path(images)
    if folder is not None and not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", code="no-image-folder", remedy="name the folder of the images")
    if isinstance(name_or_path, Dataset):
        return replace(name_or_path, images_dir=folder or name_or_path.images_dir).take(limit)
    name = str(name_or_path)
    if name in datasets:
        if split_file is not None:
            what = f"{name} has splits of its own"
            raise DatasetError(what, code="split-of-registered", remedy="name the JSON that the split file is of")
        data = _load_split(name, split, folder, with_images, progress)
        return (without_unreadable(data) if skip_unreadable else data).take(limit)
    path = Path(name_or_path)
    if path.is_dir():
        remedy = f"name the COCO JSON in it, or make one: wildbench data import {name} --out DIR"
        raise DatasetError(f"{name} is a folder", code="folder", remedy=remedy)
    if not path.is_file():
        remedy = f"name a COCO JSON, or a data set: {', '.join(names())}"
        raise DatasetError(f"{name}: no such file or data set", code="no-such-dataset", remedy=remedy)
    if folder is None and with_images:
        folder = images_near(path)
    data = read_coco(path, folder, skip_unreadable=skip_unreadable)
    if split_file is not None:
        rule = read_split(Path(split_file))
        data = replace(data, warnings=(*data.warnings, *changed_labels(rule, data.coco)))
        data = replace(data, split=split, coco=apply_split(data.coco, rule, split))
    return (without_unreadable(data) if skip_unreadable else data).take(limit)


def load_training(
    name_or_path: str | Path,
    split: str,
    *,
    split_file: Path | str | None = None,
    images: Path | str | None = None,
    progress: Progress = silent,
) -> Dataset:
    """Load what a detector is to learn from, as `load_dataset` does, unless it is the part that is tested.

    That is the part called test, else the last one of a split file.

    Raises:
        DatasetError: `tested-part`, or as `load_dataset`.

    Example:
        >>> load_training("parksim", "test")
        Traceback (most recent call last):
        wildbench.errors.DatasetError: parksim test is the tested part; train on another one
    """
    parts = list(read_split(Path(split_file)).parts) if split_file else [split] * (str(name_or_path) in datasets)
    tested = "test" if "test" in parts else parts[-1] if len(parts) > 1 else None
    if split == tested:
        what = f"{name_or_path} {split} is the tested part"
        raise DatasetError(what, code="tested-part", remedy="train on another one")
    return load_dataset(name_or_path, split=split, split_file=split_file, images=images, progress=progress)


def without_unreadable(data: Dataset) -> Dataset:
    """A data set without the images that cannot be decoded, or are marked `corrupt`."""
    from wildbench.datasets.images import unreadable  # loads OpenCV

    paths = {data.image_path(image): image["id"] for image in data.images}
    gone = {paths[path] for path in unreadable(paths)}
    gone |= {image["id"] for image in data.images if image.get("corrupt") is True}
    if not gone:
        return data
    message = f"{len(gone)} of {len(paths)} images cannot be decoded, or are marked corrupt; left out"
    found = Finding("images-skipped", "images", message, "replace the files", "warning")
    coco = subset(data.coco, {image["id"] for image in data.images} - gone)
    return replace(data, coco=coco, warnings=(*data.warnings, found))


def _load_split(name: str, split: str, images: Path | None, with_images: bool, progress: Progress) -> Dataset:
    if split not in splits_of(name):
        remedy = f"name one of: {', '.join(splits_of(name))}"
        raise DatasetError(f"{name} has no split {split!r}", code="no-such-split", remedy=remedy)
    own = card(name)
    if own.fetched is not None:
        whole = own.fetched.read(images, with_images)
        coco = apply_split(whole.coco, read_split(_split_file(name, own.fetched)), split, same_labels=True)
        return Dataset(name, split, coco, whole.images_dir)
    path = _folder(name) / own.splits[split]
    if images is None and with_images:
        if own.images.render:
            images = generate(name, progress)
        else:
            images = _folder(name) / own.images.folder if own.images.folder else images_near(path)
    return read_coco(path, images, name, split)


def generate(name: str, progress: Progress = silent) -> Path:
    """Render a data set into `cache_dir()`, unless it is there, and return the folder; a DatasetError for others."""
    render = card(name).images.render
    if render is None:
        raise DatasetError(f"{name} is not rendered", code="not-rendered", remedy="name a data set that is: parksim")
    folder: Path = call(render, cache_dir(), progress)
    return folder


def scene_maker(dataset: Dataset) -> Callable[[int, int], Iterable[Scene]] | None:
    """What makes new pictures as those of a data set, from a seed and their number; None where nothing can."""
    if dataset.split is None or dataset.name not in datasets:
        return None
    make = card(dataset.name).images.fresh
    return None if make is None else lambda seed, count: call(make, seed, dataset.split, count)


def is_shareable(name: str) -> bool:
    """Whether this is a registered data set whose pictures may be shown to anybody."""
    return name in datasets and card(name).shareable


def is_here(name: str) -> bool:
    """Whether a registered data set can be loaded without being fetched."""
    fetched = card(name).fetched
    if fetched is None:
        return True
    return (fetched.place / fetched.labels).is_file() and _split_file(name, fetched).is_file()


def splits_of(name: str) -> tuple[str, ...]:
    """Splits of a registered data set; a DatasetError where it has to be fetched first."""
    own = card(name)
    if own.fetched is None:
        return tuple(own.splits)
    _check_fetched(name, own.fetched)
    path = _split_file(name, own.fetched)
    if not path.is_file():
        what = f"{name}: the imported archive has no lists of its parts"
        raise DatasetError(what, code="no-split-file", remedy="load the same pictures by another name")
    return tuple(read_split(path).parts)


def parts_of(name: str, split_file: Path | None = None) -> tuple[str, ...]:
    """Parts of a registered data set, or of a file by its split file; without one, a file is one part, called all."""
    if split_file is not None:
        return tuple(read_split(split_file).parts)
    return splits_of(name) if name in datasets else ("all",)


def _check_fetched(name: str, fetched: Fetched) -> None:
    if not (fetched.place / fetched.labels).is_file():
        by_hand = ", or, with the archive at hand: wildbench data import PATH" if fetched.import_ else ""
        what = f"{name} is not here: its authors publish it for download"
        raise DatasetError(what, code="not-fetched", remedy=f"run: wildbench data fetch {name}{by_hand}")


def _split_file(name: str, fetched: Fetched) -> Path:
    """The split file beside the card, where there is one; else the one that the import wrote."""
    committed = _folder(name) / fetched.split_file
    return committed if committed.is_file() else fetched.place / fetched.split_file


def load_whole(
    name_or_path: str | Path,
    *,
    images: Path | None = None,
    skip_unreadable: bool = False,
    progress: Progress = silent,
) -> Dataset:
    """Load all splits of a registered data set as one, or a COCO detection JSON, with its images at hand."""
    name = str(name_or_path)
    if name not in datasets:
        return load_dataset(name_or_path, images=images, skip_unreadable=skip_unreadable)
    fetched = card(name).fetched
    if fetched is not None:
        _check_fetched(name, fetched)
        return replace(fetched.read(images), name=name)
    parts = load_splits(name, images=images, progress=progress)
    return Dataset(name, None, pool(parts), parts[0].images_dir)


def load_splits(name: str, *, images: Path | None = None, progress: Progress = silent) -> list[Dataset]:
    """Load every split of a registered data set."""
    return [load_dataset(name, split=split, images=images, progress=progress) for split in splits_of(name)]


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
    return [_info(name) for name in names()]


def _info(name: str) -> DatasetInfo:
    if not is_here(name):
        return DatasetInfo(name, f"{card(name).title}; to get it: wildbench data fetch {name}")
    parts = [load_dataset(name, split=split, with_images=False) for split in splits_of(name)]
    images, boxes = sum(len(part.images) for part in parts), sum(len(part.annotations) for part in parts)
    return DatasetInfo(name, card(name).title, splits_of(name), len(parts[0].categories), images, boxes)


def summary(name_or_path: str | Path, split_file: Path | None = None) -> dict[str, Any]:
    """Count a registered data set, split by split, or one COCO detection JSON, without its pixels.

    A split file says what the parts of a JSON are.

    Returns:
        `{"name", "splits": {split: counts}}` with the counts of `split_summary`; a file is one split, named "all".

    Raises:
        DatasetError: Unknown name, or a file that validation refuses.

    Example:
        >>> sum(split["boxes"] for split in summary("parksim")["splits"].values())
        1309
    """
    name = str(name_or_path)
    splits = parts_of(name, split_file)
    shared: dict[str, Any] = {"split_file": split_file, "with_images": False}
    counts = {split: split_summary(load_dataset(name_or_path, split=split, **shared)) for split in splits}
    return {"name": name, "splits": counts}


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
        "locations": _values(dataset.images, "location"),
        "time_of_day": _values(dataset.images, "time_of_day"),
        "weather": _values(dataset.images, "weather"),
    }


def _values(images: Iterable[dict[str, Any]], key: str) -> dict[str, int]:
    counts = Counter(value for image in images if (value := field_of(image, key)) is not None)
    return {value: counts[value] for value in sorted(counts)}
