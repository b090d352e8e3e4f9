"""Split files: which images of a data set are in which part, and the hash of the labels that were split."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from wildbench.datasets.coco import Dataset, coco_sha256, read_json
from wildbench.errors import DatasetError, first_problem
from wildbench.files import write_atomically
from wildbench.records import read_version

FORMAT_VERSION = 1
"""Version of the file. A reader takes this one and refuses newer ones."""


class Split(BaseModel):
    """One way of dividing a data set into parts, as a small file that can be committed.

    An image may be in no part, never in two.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = FORMAT_VERSION
    name: str = Field(description="`authors`, `wildbench-v1`, ...")
    dataset: str = Field(description="Name of the data set that was split.")
    sha256: str = Field(description="Hash of its canonical COCO JSON, all parts in one.")
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
    """Record a division of these very labels.

    Args:
        coco: All images of the data set, as `read_coco` gives them.
        parts: Image ids of each part.
        name: Name of the split.
        dataset: Name of the data set.
        method: How it was decided, in words.
        seed: Seed of the method, where it has one.

    Raises:
        DatasetError: An id that is no image, or is in two parts.

    Example:
        >>> coco = {"images": [{"id": 1}, {"id": 2}], "annotations": [{"id": 1, "image_id": 2}], "categories": []}
        >>> split = make_split(coco, {"train": [1], "test": [2]}, name="authors", dataset="parks", method="published")
        >>> [image["id"] for image in apply_split(coco, split, "test")["images"]]
        [2]
    """
    known = {image["id"] for image in coco["images"]}
    listed = {part: sorted(images) for part, images in parts.items()}
    unknown = [image for images in listed.values() for image in images if image not in known]
    if unknown:
        raise DatasetError(f"{dataset} has no image {unknown[0]}", remedy="split the images that it has")
    try:
        return Split(name=name, dataset=dataset, sha256=coco_sha256(coco), method=method, seed=seed, parts=listed)
    except ValidationError as error:
        raise DatasetError(f"split {name}: {first_problem(error)}", remedy="put an image into one part") from None


def ids_of_files(coco: Mapping[str, Any], lists: Mapping[str, Iterable[str]]) -> dict[str, list[int]]:
    """Turn lists of file names, such as an archive's own train and valid lists, into image ids.

    Raises:
        DatasetError: A name that is no `file_name` of the data set.

    Example:
        >>> ids_of_files({"images": [{"id": 7, "file_name": "train/a.jpg"}]}, {"train": ["train/a.jpg"]})
        {'train': [7]}
    """
    known = {image["file_name"] for image in coco["images"]}
    sets = {part: set(names) for part, names in lists.items()}
    unknown = sorted(set().union(*sets.values()) - known)
    if unknown:
        raise DatasetError(f"no image named {unknown[0]}", remedy="list names as the data set's file_name has them")
    return {
        part: [image["id"] for image in coco["images"] if image["file_name"] in names] for part, names in sets.items()
    }


def apply_split(coco: Mapping[str, Any], split: Split, part: str) -> dict[str, Any]:
    """Take one part: its images and their annotations, in the order they have; everything else as it is.

    Raises:
        DatasetError: No such part, or the labels are not those that were split.
    """
    if part not in split.parts:
        raise DatasetError(f"split {split.name} has no part {part!r}", remedy=f"name one of: {', '.join(split.parts)}")
    found = coco_sha256(coco)
    if found != split.sha256:
        raise DatasetError(
            f"split {split.name} is of {split.dataset} with SHA-256 {split.sha256}, but this one has {found}",
            remedy="use the labels that were split, or split the new ones (wildbench data split)",
        )
    kept = set(split.parts[part])
    return {
        **coco,
        "images": [image for image in coco["images"] if image["id"] in kept],
        "annotations": [annotation for annotation in coco["annotations"] if annotation["image_id"] in kept],
    }


def pool(parts: Sequence[Dataset]) -> dict[str, Any]:
    """Put the parts of a data set together again, in the order given: what a split file is the hash of.

    Besides images, annotations and categories, only sections in which all parts agree are kept.

    Raises:
        DatasetError: Parts with different categories, or with an id in common.
    """
    first = parts[0].coco
    for data in parts[1:]:
        if data.coco["categories"] != first["categories"]:
            raise DatasetError(
                f"{data.name} has other categories than {parts[0].name}", remedy="pool files with the same categories"
            )
    pooled = {key: value for key, value in first.items() if all(data.coco.get(key) == value for data in parts)}
    for section in ("images", "annotations"):
        pooled[section] = [entry for data in parts for entry in data.coco[section]]
        twice = [number for number, uses in Counter(entry["id"] for entry in pooled[section]).items() if uses > 1]
        if twice:
            raise DatasetError(
                f"{section} of {' and '.join(data.name for data in parts)} share the id {twice[0]}",
                remedy="give every entry an id of its own",
            )
    return pooled


def write_split(split: Split, path: Path) -> None:
    """Write a split file atomically: a key a line, a part a line."""
    record = split.model_dump()
    parts = ",\n".join(f"  {json.dumps(part)}: {json.dumps(images)}" for part, images in record.pop("parts").items())
    keys = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in record.items()]
    text = ",\n".join([*keys, f'"parts": {{\n{parts}\n}}'])
    write_atomically(path, f"{{\n{text}\n}}\n".encode())


def read_split(path: Path) -> Split:
    """Read a split file of this format version or an older one.

    Raises:
        DatasetError: The file is missing, damaged, no split, or written by a newer wildbench.
    """
    return read_version(
        read_json(path),
        Split,
        FORMAT_VERSION,
        path=path,
        error=DatasetError,
        no_record=("not a split file", "name a file that data split wrote"),
        again="write it again by wildbench data split",
        strict=True,
    )
