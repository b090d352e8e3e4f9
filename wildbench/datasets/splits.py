"""Splits: which images of a data set are in which part, as small files, and how to divide one well.

A good split gives every part its share of every category, of every box size, and of empty images, and never divides
near-duplicates.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wildbench.datasets.coco import Dataset, coco_sha256, read_json, size_of, subset
from wildbench.datasets.findings import Finding
from wildbench.datasets.image_groups import BY, field_of, together_by
from wildbench.errors import DatasetError, first_problem
from wildbench.files import write_atomically
from wildbench.progress import Progress, silent
from wildbench.records import read_version
from wildbench.text import counted

FORMAT_VERSION = 1
"""Version of the file. A reader takes this one and refuses newer ones."""


class Split(BaseModel):
    """A way of dividing a data set into parts, as a file to commit; an image may be in no part, never in two."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    name: str = Field(description="`authors`, `wildbench-v1`, ...")
    dataset: str = Field(description="Name of the data set that was split.")
    sha256: str = Field(description="Hash of its images' ids and file names; of the labels where it has no other.")
    labels_sha256: str | None = Field(None, description="Hash of the canonical COCO JSON that was split.")
    method: str = Field(description="How it was decided which image goes where, in words.")
    seed: int | None = Field(description="Seed of the method; null where it has none.")
    parts: dict[str, list[int]] = Field(description="Image ids of each part, ascending.")

    @model_validator(mode="after")
    def _in_one_part_only(self) -> Self:
        uses = Counter(image for part in self.parts.values() for image in part)
        twice = [image for image, count in uses.items() if count > 1]
        if twice:
            raise ValueError(f"image {twice[0]} is listed twice")
        return self


def make_split(
    coco: Mapping[str, Any],
    parts: Mapping[str, Iterable[int]],
    *,
    name: str,
    dataset: str,
    method: str,
    seed: int | None = None,
) -> Split:
    """Record a division of these very labels: `parts` has the image ids of each part, the rest is as in `Split`.

    Raises:
        DatasetError: An id without an image, or in two parts.

    Example:
        >>> images = [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}]
        >>> coco = {"images": images, "annotations": [{"id": 1, "image_id": 2}], "categories": []}
        >>> split = make_split(coco, {"train": [1], "test": [2]}, name="authors", dataset="parks", method="published")
        >>> [image["id"] for image in apply_split(coco, split, "test")["images"]]
        [2]
    """
    known = {image["id"] for image in coco["images"]}
    listed = {part: sorted(images) for part, images in parts.items()}
    unknown = [image for images in listed.values() for image in images if image not in known]
    if unknown:
        what = f"{dataset} has no image {unknown[0]}"
        raise DatasetError(what, code="no-such-image", remedy="split the images that it has")
    try:
        return Split(
            name=name,
            dataset=dataset,
            sha256=images_sha256(coco),
            labels_sha256=coco_sha256(coco),
            method=method,
            seed=seed,
            parts=listed,
        )
    except ValidationError as error:
        what = f"split {name}: {first_problem(error)}"
        raise DatasetError(what, code="bad-split", remedy="put an image into one part") from None


def apply_split(coco: Mapping[str, Any], split: Split, part: str, *, same_labels: bool = False) -> dict[str, Any]:
    """Take one part: its images and their annotations, in the order they have; everything else as it is.

    `same_labels` refuses labels that were corrected since.

    Raises:
        DatasetError: No such part, or the images, or the labels, are not those that were split.
    """
    if part not in split.parts:
        what = f"split {split.name} has no part {part!r}"
        raise DatasetError(what, code="no-such-part", remedy=f"name one of: {', '.join(split.parts)}")
    known = {image["id"] for image in coco["images"]}
    own = split.labels_sha256 is None or images_sha256(coco) == split.sha256
    if not own or not known.issuperset(image for images in split.parts.values() for image in images):
        what = f"split {split.name} is of other images than these: of {split.dataset}"
        remedy = "use the images that were split, or split these (wildbench data split)"
        raise DatasetError(what, code="split-of-other-images", remedy=remedy)
    if same_labels and changed_labels(split, coco):
        what = f"split {split.name} is of other labels of {split.dataset} than these"
        remedy = "use the labels that were split, or split the new ones (wildbench data split)"
        raise DatasetError(what, code="split-of-other-labels", remedy=remedy)
    return subset(coco, set(split.parts[part]))


def pool(parts: Sequence[Dataset]) -> dict[str, Any]:
    """Put the parts of a data set together again, in the order given: what a split file is the hash of.

    Besides images, annotations and categories, only sections in which all parts agree are kept.

    Raises:
        DatasetError: Parts with different categories, or with an id in common.
    """
    first = parts[0].coco
    for data in parts[1:]:
        if data.coco["categories"] != first["categories"]:
            what = f"{data.name} has other categories than {parts[0].name}"
            raise DatasetError(what, code="categories-differ", remedy="pool files with the same categories")
    pooled = {key: value for key, value in first.items() if all(data.coco.get(key) == value for data in parts)}
    for section in ("images", "annotations"):
        pooled[section] = [entry for data in parts for entry in data.coco[section]]
        twice = [number for number, uses in Counter(entry["id"] for entry in pooled[section]).items() if uses > 1]
        if twice:
            what = f"{section} of {' and '.join(data.name for data in parts)} share the id {twice[0]}"
            raise DatasetError(what, code="ids-shared", remedy="give every entry an id of its own")
    return pooled


def changed_labels(split: Split, coco: Mapping[str, Any]) -> list[Finding]:
    """A note where labels were corrected since they were split."""
    if coco_sha256(coco) == (split.labels_sha256 or split.sha256):
        return []
    message = "labels were corrected since they were split; the images are the same"
    return [Finding("split-labels-changed", split.name, message, "nothing to do", "note")]


def images_sha256(coco: Mapping[str, Any]) -> str:
    """SHA-256 of the ids and names of images, in hexadecimal, whatever their order.

    Example:
        >>> images = [{"id": 2, "file_name": "b.jpg"}, {"id": 1, "file_name": "a.jpg"}]
        >>> images_sha256({"images": images}) == images_sha256({"images": images[::-1], "annotations": []})
        True
    """
    named = sorted([image["id"], str(image["file_name"])] for image in coco["images"])
    return hashlib.sha256(json.dumps(named, ensure_ascii=False).encode()).hexdigest()


def write_split(split: Split, path: Path) -> None:
    """Write a split file atomically, with one line for each key and each part."""
    record = split.model_dump()
    parts = ",\n".join(f"  {json.dumps(part)}: {json.dumps(images)}" for part, images in record.pop("parts").items())
    keys = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in record.items()]
    text = ",\n".join([*keys, f'"parts": {{\n{parts}\n}}'])
    write_atomically(path, f"{{\n{text}\n}}\n".encode())


def read_split(path: Path) -> Split:
    """Read a split file; a DatasetError where it is missing, damaged, no split, or written by a newer wildbench."""
    no_record = ("not a split file", "name a file that data split wrote")
    again = "write it again by wildbench data split"
    document = read_json(path)
    return read_version(
        document, Split, FORMAT_VERSION, path=path, error=DatasetError, no_record=no_record, again=again, strict=True
    )


SHARES = {"train": 0.60, "val": 0.15, "test": 0.25}
"""A quarter for the test: of 1309 boxes in 13 categories, some 15 are left there for the rarest."""

METHOD = (
    "iterative stratification over the boxes of each category and size, empty images and all images;"
    " near-duplicates and pictures of one location or sequence kept together"
)

_EXCHANGED = 100
"""This many of the largest groups are tried in each other's places; small ones fit anywhere at once."""

Counts = npt.NDArray[np.int64]


def stratified_split(
    dataset: Dataset,
    *,
    name: str = "wildbench-v1",
    seed: int = 0,
    shares: Mapping[str, float] = SHARES,
    together: Sequence[Sequence[int]] | None = None,
    progress: Progress = silent,
) -> Split:
    """Split a data set whose images are at hand: train, val and test by default, near-duplicates never apart.

    Args:
        dataset: All its images.
        name: Of the split.
        seed: Decides between parts and between images that are equally good.
        shares: What each part gets of everything.
        together: Groups of image ids that stay in one part; by default `kept_together` finds them.
        progress: Called as `progress(task, done, total)`.

    Raises:
        DatasetError: An image that cannot be decoded, or a part that would have no image.
    """
    together = kept_together(dataset, progress) if together is None else together
    parts = stratify(dataset.coco, together, shares=shares, seed=seed)
    _check_parts(dataset, parts, together)
    return make_split(dataset.coco, parts, name=name, dataset=dataset.name, method=METHOD, seed=seed)


def _check_parts(dataset: Dataset, parts: Mapping[str, Sequence[int]], together: Sequence[Sequence[int]]) -> None:
    """Refuse parts without images, and name the largest group, which is what leaves none for them."""
    bare = [part for part, ids in parts.items() if not ids]
    if not bare:
        return
    count = len(dataset.images)
    what = f"{dataset.name}: {' and '.join(bare)} would have no image"
    largest: Sequence[int] = max(together, key=len, default=())
    group = set(largest)
    if len(group) < 2:
        what = f"{what}: it has {counted(count, 'image')} in all"
        raise DatasetError(what, code="empty-part", remedy="add images, or do not split it")
    members = [image for image in dataset.images if image["id"] in group]
    locations = list(dict.fromkeys(filter(None, (field_of(image, "location") for image in members))))
    which = f"location {locations[0]!r}" if len(locations) == 1 else f"{members[0]['file_name']!r} among them"
    remedy = "add images of other places; correct location where they are not of one, and leave out copies"
    what = f"{what}: {len(group)} of {count} images, {which}, stay together"
    raise DatasetError(what, code="empty-part", remedy=remedy)


def kept_together(
    dataset: Dataset, progress: Progress = silent, *, by: Sequence[str] = BY, duplicates: bool = True
) -> list[list[int]]:
    """Group the image ids of a data set: images that show the same, where asked for, and those that share a key.

    `by` names fields of images, or `folder:N`; what nobody recorded keeps nothing together.
    """
    from wildbench.datasets.duplicates import find_pairs, groups  # here, because OpenCV loads slowly

    images = sorted(dataset.images, key=_key)  # the pairs that are found may depend on the order
    paths = [dataset.image_path(image) for image in images]
    together = together_by(images, by)
    if duplicates:
        known = {image: number for number, group in enumerate(groups(len(images), together)) for image in group}
        parts = [known[number] for number in range(len(images))]
        pairs = find_pairs(paths, parts=parts, connecting=True, progress=progress)
        together += [(pair.a, pair.b) for pair in pairs]
    return [[images[number]["id"] for number in group] for group in groups(len(images), together)]


def stratify(
    coco: Mapping[str, Any],
    together: Iterable[Sequence[int]] = (),
    *,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> dict[str, list[int]]:
    """Divide images by iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011), over groups.

    The label (a category, a box size, "empty", or just being an image) with the fewest left to give out is next. Its
    groups, the fullest first, each go to the part that still wants most of it, and among those to the one that wants
    most images. A part wants its share of each label, and the last part at least one box of each category, so that a
    rare one is tested. A few large groups, such as camera locations, cannot be given out well one by one; so the
    largest are then moved and exchanged as long as that brings the parts nearer to what they want. The order of images
    and boxes in the file does not matter.

    Args:
        coco: COCO detection data with `area` and `iscrowd`; crowds are not counted.
        together: Groups of image ids, disjoint, that stay in one part; an image in none is a group by itself.
        shares: What each part gets of everything; the last is the one that is tested.
        seed: Decides where the rules leave a choice.

    Returns:
        Image ids by part, ascending.

    Example:
        >>> images = [{"id": number, "file_name": f"{number}.jpg"} for number in range(8)]
        >>> parts = stratify({"images": images, "annotations": [], "categories": []}, shares={"a": 0.75, "b": 0.25})
        >>> {part: len(ids) for part, ids in parts.items()}
        {'a': 6, 'b': 2}
    """
    units = _units(coco, together)
    counts = _counts(coco, units)
    wanted = np.outer(list(shares.values()), counts.sum(axis=0))
    categories = slice(0, len(coco["categories"]))
    wanted[-1, categories] = np.maximum(wanted[-1, categories], counts[:, categories].sum(axis=0) > 0)
    part_of = _give_out(counts, wanted, np.random.default_rng(seed))
    _exchange(counts, wanted, part_of)
    return {
        part: sorted(image for unit, where in zip(units, part_of, strict=True) if where == number for image in unit)
        for number, part in enumerate(shares)
    }


def _give_out(counts: Counts, wanted: npt.NDArray[np.float64], generator: np.random.Generator) -> npt.NDArray[np.intp]:
    """The part of each unit, by iterative stratification."""
    wanted = wanted.copy()
    chance = generator.permutation(len(counts))
    part_of = np.full(len(counts), -1)
    while (part_of < 0).any():
        remaining = counts * (part_of < 0)[:, None]
        totals = remaining.sum(axis=0)
        label = int(np.where(totals > 0, totals, totals.max() + 1).argmin())
        for unit in sorted(np.flatnonzero(remaining[:, label]), key=lambda unit: (-counts[unit, label], chance[unit])):
            ties = generator.random(len(wanted))
            part = np.lexsort((ties, wanted[:, -1], wanted[:, label]))[-1]
            part_of[unit] = part
            wanted[part] -= counts[unit]
    return part_of


def _exchange(counts: Counts, wanted: npt.NDArray[np.float64], part_of: npt.NDArray[np.intp]) -> None:
    """Move the largest groups, or two at a time, while the sum over labels of relative errors falls; in place."""
    large = list(np.argsort(-counts[:, -1], kind="stable")[:_EXCHANGED])
    scale = 1 / np.maximum(counts.sum(axis=0), 1)
    error = np.stack([counts[part_of == part].sum(axis=0) for part in range(len(wanted))]) - wanted

    def improves(unit: np.intp, target: int, other: np.intp | None = None) -> bool:
        """Put a unit into a part, and another one into its place, if that is better."""
        source = part_of[unit]
        if source == target:
            return False
        moved = counts[unit] - (0 if other is None else counts[other])
        after = np.stack([error[source] - moved, error[target] + moved])
        if ((np.abs(error[[source, target]]) - np.abs(after)) * scale).sum() < 1e-9:
            return False
        error[[source, target]] = after
        part_of[unit] = target
        if other is not None:
            part_of[other] = source
        return True

    while any(
        [
            *[improves(unit, part) for unit in large for part in range(len(wanted))],
            *[improves(one, int(part_of[other]), other) for one, other in combinations(large, 2)],
        ]
    ):
        pass


def imbalance(coco: Mapping[str, Any], parts: Mapping[str, Sequence[int]], shares: Mapping[str, float]) -> float:
    """How far a division is from its shares: half the sum over parts of |share - wanted share|, averaged over labels.

    0 where every part has its share of every label, 1 at most; labels are those of `stratify`.
    """
    counts = _counts(coco, [parts[part] for part in shares])
    counts = counts[:, counts.sum(axis=0) > 0]
    actual = counts / counts.sum(axis=0)
    return float(np.abs(actual - np.array(list(shares.values()))[:, None]).sum(axis=0).mean() / 2)


def random_split(
    coco: Mapping[str, Any],
    together: Iterable[Sequence[int]] = (),
    *,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
) -> dict[str, list[int]]:
    """Divide groups without looking at them, for comparison: in an order of chance, one part after another."""
    units = _units(coco, together)
    bounds = np.cumsum(list(shares.values())) * sum(map(len, units))
    parts: dict[str, list[int]] = {part: [] for part in shares}
    done = 0
    for unit in np.random.default_rng(seed).permutation(len(units)):
        parts[list(shares)[min(int(np.searchsorted(bounds, done, side="right")), len(shares) - 1)]] += units[unit]
        done += len(units[unit])
    return parts


def _units(coco: Mapping[str, Any], together: Iterable[Sequence[int]]) -> list[list[int]]:
    """Every image in one group, in an order that is that of file names alone."""
    place = {image["id"]: number for number, image in enumerate(sorted(coco["images"], key=_key))}
    grouped = [sorted(group, key=place.__getitem__) for group in together if group]
    alone = place.keys() - {image for group in grouped for image in group}
    return sorted([*grouped, *([image] for image in alone)], key=lambda group: place[group[0]])


def _key(image: Mapping[str, Any]) -> tuple[str, int]:
    return image["file_name"], image["id"]


def _counts(coco: Mapping[str, Any], units: Sequence[Sequence[int]]) -> Counts:
    """What each unit has [units, labels]: boxes by category and by size, empty images, images."""
    categories = sorted(category["id"] for category in coco["categories"])
    labels = {label: number for number, label in enumerate([*categories, "small", "medium", "large"])}
    boxes: dict[int, Counter[int | str]] = {image["id"]: Counter() for image in coco["images"]}
    for annotation in coco["annotations"]:
        if not annotation["iscrowd"]:
            boxes[annotation["image_id"]].update([annotation["category_id"], size_of(annotation["area"])])
    counts = np.zeros((len(units), len(labels) + 2), np.int64)
    for number, unit in enumerate(units):
        for image in unit:
            for label, count in boxes[image].items():
                counts[number, labels[label]] += count
            counts[number, -2:] += (not boxes[image], 1)
    return counts
