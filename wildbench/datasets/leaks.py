"""Leaks: images in different parts of a data set that show the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates import Pair, find_pairs
from wildbench.errors import DatasetError
from wildbench.progress import Progress, silent


@dataclass(frozen=True)
class Place:
    """Where an image stands: its part, its `file_name`, and its file."""

    part: str
    file_name: str
    path: Path


@dataclass(frozen=True)
class Leak:
    """Two images of different parts, and why they are taken for the same."""

    a: Place
    b: Place
    pair: Pair


@dataclass(frozen=True)
class LeakReport:
    """What was found in the parts of a data set.

    Attributes:
        images: Number of images by part.
        leaks: Pairs across parts, strongest first.
        shared_locations: Values of `location` that occur in more than one part.
    """

    images: dict[str, int]
    leaks: list[Leak]
    shared_locations: list[str]


def find_leaks(parts: Sequence[Dataset], progress: Progress = silent) -> LeakReport:
    """Look for images of different parts that show the same (`duplicates.find_pairs`), and for shared locations.

    Args:
        parts: The parts, images at hand. A part is called by its split, or by its name where it has none.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: Fewer than two parts, two of one name, or an image that cannot be decoded.
    """
    names = [part.split or part.name for part in parts]
    if len(parts) < 2:
        raise DatasetError(
            f"{' '.join(names)} is one part, which cannot leak", remedy="name the other parts' files, or a --split-file"
        )
    if len(set(names)) < len(names):
        raise DatasetError(f"two parts are called {max(names, key=names.count)}", remedy="rename one of the files")
    places = [
        Place(name, str(image["file_name"]), part.image_path(image))
        for name, part in zip(names, parts, strict=True)
        for image in part.images
    ]
    numbers = [names.index(place.part) for place in places]
    pairs = find_pairs([place.path for place in places], parts=numbers, progress=progress)
    locations = [{str(image["location"]) for image in part.images if "location" in image} for part in parts]
    return LeakReport(
        images={name: len(part.images) for name, part in zip(names, parts, strict=True)},
        leaks=[Leak(places[pair.a], places[pair.b], pair) for pair in pairs],
        shared_locations=sorted(
            place for place in set().union(*locations) if sum(place in one for one in locations) > 1
        ),
    )
