"""How many altered copies the duplicate check finds, and how many it finds that are none."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from studies.duplicates.alterations import ALTERATIONS, Alteration
from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates import KINDS, Look, groups, look_at, pairs_among
from wildbench.datasets.images import decode
from wildbench.progress import Progress, silent


@dataclass(frozen=True)
class Recall:
    """What was found of one kind of altered copy.

    Attributes:
        alteration: Name of the alteration.
        copies: Copies made, one of each image.
        found: Copies that were paired with their original.
        as_photograph: Of these, how many were called the same photograph (or the same pixels).
        wrong: Pairs of a copy and an image that neither is its original nor shows the same as that.
    """

    alteration: str
    copies: int
    found: int
    as_photograph: int
    wrong: int


def audit_duplicates(
    dataset: Dataset, alterations: Mapping[str, Alteration] = ALTERATIONS, progress: Progress = silent
) -> list[Recall]:
    """Alter every image, write the copies as JPEG files, and look for pairs of a copy and an original.

    Images of one `location` count as showing the same, and so do those that are paired without any alteration.

    Args:
        dataset: The originals; all of them are searched for each copy.
        alterations: By name.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: An image that cannot be decoded.
    """
    paths = [dataset.image_path(image) for image in dataset.images]
    originals = look_at(paths, progress)
    honest = {(pair.a, pair.b) for pair in pairs_among(originals)}
    same_place = {
        (a, b)
        for (a, one), (b, other) in combinations(enumerate(dataset.images), 2)
        if "location" in one and one["location"] == other.get("location")
    }
    shown: dict[int, int] = {}
    for number, group in enumerate(groups(len(paths), honest | same_place)):
        shown |= dict.fromkeys(group, number)
    recalls = []
    for done, (name, alteration) in enumerate(alterations.items(), start=1):
        with TemporaryDirectory() as folder:
            copies = _altered(paths, name, alteration, Path(folder))
            recalls.append(_recall(name, originals, copies, shown))
        progress("alter and search", done, len(alterations))
    return recalls


def _altered(paths: Sequence[Path], name: str, alteration: Alteration, folder: Path) -> Sequence[Look]:
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    files = []
    for number, path in enumerate(paths):
        files.append(folder / f"{number}.jpg")
        pixels = alteration(np.ascontiguousarray(decode(path)), generator)
        Image.fromarray(np.ascontiguousarray(pixels)).save(files[-1], quality=90)
    return look_at(files)


def _recall(name: str, originals: Sequence[Look], copies: Sequence[Look], shown: Mapping[int, int]) -> Recall:
    count = len(originals)
    pairs = pairs_among([*originals, *copies], parts=[0] * count + [1] * count)
    own = {pair.a: pair.kind for pair in pairs if pair.b - count == pair.a}
    return Recall(
        alteration=name,
        copies=count,
        found=len(own),
        as_photograph=sum(kind != KINDS[-1] for kind in own.values()),
        wrong=sum(shown[pair.a] != shown[pair.b - count] for pair in pairs),
    )
