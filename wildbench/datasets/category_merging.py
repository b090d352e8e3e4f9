"""Several categories scored as one: labels of species by a detector that says "animal", or whatever a person merges."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wildbench.categories import canonical
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.errors import DatasetError

GENERIC = ("animal", "wildlife", "object")
"""What detectors call animals that they do not tell apart."""

SAME_PLACE = 0.5
"""IoU from which two boxes that only their categories told apart are one."""

Merge = Mapping[str, Sequence[str]]
"""Names of categories by the name they get together."""


def parse_merge(stated: Iterable[str]) -> dict[str, list[str]]:
    """Read `NAME=ONE,OTHER,...`; `*` stands for every category.

    Raises:
        DatasetError: `bad-merge`: a name without others.

    Example:
        >>> parse_merge(["animal=zebra, lion", "bird=*"])
        {'animal': ['zebra', 'lion'], 'bird': ['*']}
    """
    merge: dict[str, list[str]] = {}
    for one in stated:
        name, _, members = one.partition("=")
        merge[name.strip()] = [member.strip() for member in members.split(",") if member.strip()]
        if not name.strip() or not merge[name.strip()]:
            raise DatasetError(f"--merge {one}", code="bad-merge", remedy="say --merge animal=zebra,lion")
    return merge


def merged(data: Dataset, merge: Merge) -> Dataset:
    """A data set in which some categories are one; it keeps the id of the first, and knows what it is made of.

    An image that is boxed for some of them only is not scored for the one.

    Raises:
        DatasetError: `unknown-category`, or `category-merged-twice`.

    Example:
        >>> from pathlib import Path
        >>> categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}]
        >>> coco = {"images": [], "annotations": [], "categories": categories}
        >>> merged(Dataset("d", None, coco, Path()), {"animal": ["*"]}).categories
        [{'id': 1, 'name': 'animal', 'members': {1: 'lion', 2: 'bird'}}]
    """
    into = _targets(data, merge)
    new: dict[str, dict[str, Any]] = {}
    for entry in data.categories:
        name = into.get(entry["name"], entry["name"])
        if name in new:
            new[name]["members"][entry["id"]] = entry["name"]
        else:
            members = {"members": {entry["id"]: entry["name"]}} if entry["name"] in into else {}
            new[name] = {"id": entry["id"], "name": name, **members}
    own = {old: entry["id"] for entry in new.values() for old in entry.get("members", {entry["id"]: ""})}
    annotations = [{**one, "category_id": own[one["category_id"]]} for one in data.annotations]
    images = [_with_merged_names(image, new) for image in data.images]
    coco = {**data.coco, "images": images, "annotations": annotations, "categories": list(new.values())}
    return replace(data, coco=coco, unmerged=data)


def into_merged(detections: Detections, data: Dataset) -> Detections:
    """Detections by the categories of an unmerged data set, by those of the merged one; see `suppressed`."""
    ids = np.array([data.merged_ids[one] for one in detections.category_ids.tolist()], dtype=np.int64)
    return suppressed(replace(detections, category_ids=ids), detections.category_ids)


def _targets(data: Dataset, merge: Merge) -> dict[str, str]:
    """The new name of each category that is merged."""
    names = {canonical(entry["name"]): entry["name"] for entry in data.categories}
    into: dict[str, str] = {}
    for name, members in merge.items():
        for member in names if "*" in members else map(canonical, members):
            if member not in names:
                what = f"{data.name} has no category {member!r}"
                raise DatasetError(what, code="unknown-category", remedy=f"name some of: {', '.join(names.values())}")
            if into.setdefault(names[member], name) != name:
                what = f"{member!r} would be merged into {into[names[member]]!r} and {name!r}"
                raise DatasetError(what, code="category-merged-twice", remedy="merge it into one")
    return into


def _with_merged_names(image: dict[str, Any], new: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """An image's list of boxed categories; a merged one is on it where all that it is made of are."""
    listed = image.get("annotated_categories")
    if listed is None:
        return image
    whole = [name for name, entry in new.items() if set(entry.get("members", {0: name}).values()) <= set(listed)]
    return {**image, "annotated_categories": whole}


def by_kind(names: Iterable[str], data: Dataset) -> dict[str, list[str]] | None:
    """What to merge so that a detector which tells no species apart can be scored on labels of species.

    Everything that it does not name itself, such as person, becomes what it calls an animal.

    Returns:
        None where it knows a species, or the data set has its word for animals.

    Example:
        >>> from pathlib import Path
        >>> coco = {"categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "person"}]}
        >>> by_kind(["animal", "person", "vehicle"], Dataset("d", None, coco, Path()))
        {'animal': ['lion']}
    """
    spoken = {canonical(name) for name in names}
    known = {canonical(entry["name"]): entry["name"] for entry in data.categories}
    word = next((name for name in GENERIC if name in spoken), None)
    species = [name for key, name in known.items() if key not in spoken]
    if word is None or word in known or (spoken & known.keys()) - {"person", "vehicle", "human"} or not species:
        return None
    return {word: species}


def suppressed(detections: Detections, originals: np.ndarray[Any, Any]) -> Detections:
    """Detections of merged categories without those that only their first category told from a better one.

    `originals` are their categories before, int64 [n].
    """
    order = np.argsort(-detections.scores, kind="stable")
    gone = np.zeros(len(detections), dtype=np.bool_)
    groups: dict[tuple[int, int], list[int]] = {}
    for at in order.tolist():
        key = int(detections.image_ids[at]), int(detections.category_ids[at])
        better = groups.setdefault(key, [])
        others = [one for one in better if originals[one] != originals[at]]
        if others and _overlap(detections.xyxy[others], detections.xyxy[at]).max() >= SAME_PLACE:
            gone[at] = True
        else:
            better.append(at)
    return detections[~gone]


def _overlap(boxes: np.ndarray[Any, Any], box: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Intersection over union of several boxes with one, as corners."""
    sides = np.clip(np.minimum(boxes[:, 2:], box[2:]) - np.maximum(boxes[:, :2], box[:2]), 0, None)
    common = sides.prod(1)
    union = (boxes[:, 2:] - boxes[:, :2]).prod(1) + (box[2:] - box[:2]).prod() - common
    return np.asarray(common / np.where(union > 0, union, 1.0))
