"""What a sweep trains or calibrates on must not be what it scores."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from wildbench.compression.recipes import Data, Recipe
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError, RecipeError
from wildbench.files import sha256_of

REMEDY = "name other data by --train-on"


def check_apart(
    recipes: Iterable[Recipe], dataset: str, split: str, *, images: Path | None, training: str | None
) -> None:
    """Check that no recipe sees what is scored, nor parksim unasked where something else is scored.

    Args:
        recipes: Of a sweep; those that see no data are passed over.
        dataset: What is scored on.
        split: Of a registered data set.
        images: Folder of the images, of both where `training` is given.
        training: Instead of the recipes' data; None for these.

    Raises:
        RecipeError: A recipe would fall back to parksim.
        DatasetError: Labels or an image are in both; or one of the data sets cannot be read.
    """
    sources: dict[tuple[str, str], Recipe] = {}
    for recipe in (one for one in recipes if one.needs_data):
        sources.setdefault((training or recipe.data.dataset, recipe.data.split), recipe)
    for (source, part), recipe in sources.items():
        if training is None and source == Data().dataset != dataset:
            raise RecipeError(
                f"{recipe.place}: it would train or calibrate on {source}, and {dataset} is scored", remedy=REMEDY
            )
        seen = load_dataset(source, split=part, images=images if training else None)
        shared = _shared(seen, load_dataset(dataset, split=split, images=images))
        if shared:
            raise DatasetError(
                f"{recipe.place}: it would train or calibrate on {source}, of which {shared} scored", remedy=REMEDY
            )


def _shared(seen: Dataset, scored: Dataset) -> str | None:
    """What is in both, in words; an image is the same where its file's name and bytes are."""
    if seen.sha256 == scored.sha256:
        return "all labels are"
    there = {path.name: path for path in _paths(scored)}
    pairs = ((path, there[path.name]) for path in _paths(seen) if path.name in there)
    same = next((mine for mine, theirs in pairs if sha256_of(mine) == sha256_of(theirs)), None)
    return None if same is None else f"{same.name} is"


def _paths(data: Dataset) -> list[Path]:
    """Images that are there; what is missing is told by whoever opens it."""
    return [path for path in map(data.image_path, data.images) if path.is_file()]
