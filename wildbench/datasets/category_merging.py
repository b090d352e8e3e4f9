"""Several categories scored as one: labels of species by a detector that says "animal", or whatever a person merges."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.categories import GENERIC, KINDS, canonical
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections, suppressed
from wildbench.errors import DatasetError
from wildbench.files import read_bounded
from wildbench.records import MOST_TOML
from wildbench.scorecard import Grouping

ALL = "*"
"""Every category, where categories are named to be merged."""

Merge = Mapping[str, Sequence[str]]
"""Names of categories by the name they get together."""


def grouping_of(
    merge: Iterable[str] = (), names: Path | None = None, known: str | None = None, *, class_agnostic: bool = False
) -> Grouping | None:
    """What a person states of categories; None where nothing is.

    Args:
        merge: `NAME=ONE,OTHER,...` each; `*` stands for every category.
        names: A file of names and what each is read as; see `read_names`.
        known: Categories that the detector can tell, with commas between.
        class_agnostic: All categories are one.

    Raises:
        DatasetError: `bad-merge`: a name without others; or what `read_names` raises.

    Example:
        >>> grouping_of(["animal=zebra, lion"], known="animal").model_dump(exclude_defaults=True)
        {'merge': {'animal': ['zebra', 'lion']}, 'known': ['animal']}
    """
    stated: dict[str, list[str]] = {GENERIC[0]: [ALL]} if class_agnostic else {}
    for one in merge:
        name, _, members = one.partition("=")
        stated[name.strip()] = _listed(members)
        if not name.strip() or not stated[name.strip()]:
            raise DatasetError(f"--merge {one}", code="bad-merge", remedy="say --merge animal=zebra,lion")
    grouping = Grouping(
        merge=stated, names=read_names(names) if names else {}, known=_listed(known) if known is not None else None
    )
    return None if grouping == Grouping() else grouping


def _listed(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def read_names(path: Path) -> dict[str, str]:
    """Names and what each is read as: a JSON or TOML file of pairs, or a CSV of two columns, with or without headings.

    Raises:
        DatasetError: `bad-map`.
    """
    try:
        text = read_bounded(path, MOST_TOML).decode("utf-8-sig")
        if path.suffix.casefold() == ".json":
            pairs = json.loads(text)
        elif path.suffix.casefold() == ".toml":
            pairs = tomllib.loads(text)
        else:
            rows = [row for row in csv.reader(text.splitlines()) if any(row)]
            headed = bool(rows) and tuple(map(canonical, rows[0])) in {("from", "to"), ("source", "target")}
            pairs = {row[0].strip(): row[1].strip() for row in rows[headed:]}
        if not isinstance(pairs, dict) or not pairs or not all(isinstance(one, str) and one for one in pairs.values()):
            raise ValueError("no pairs of names")
    except (OSError, ValueError, IndexError, RecursionError) as error:
        what = f"{path}: {getattr(error, 'strerror', None) or error}"
        remedy = "give a name and what it is read as on each line, such as Panthera leo,lion"
        raise DatasetError(what, code="bad-map", remedy=remedy) from None
    return pairs


def regrouped(data: Dataset, grouping: Grouping | None = None, spoken: Iterable[str] = ()) -> tuple[Dataset, list[str]]:
    """A data set with the categories that are scored, and a note where a detector's own decide them.

    Args:
        data: As its file has it.
        grouping: What a person, or the record of an earlier scoring, states.
        spoken: What the detector calls things.

    Raises:
        DatasetError: `unknown-category`, or `category-merged-twice`.
    """
    notes: list[str] = []
    if grouping is None and (kinds := by_kind(spoken, data)):
        ((word, species),) = kinds.items()
        what = f"it tells no species apart, so {len(species)} categories are scored as {word!r}"
        grouping, notes = Grouping(merge=kinds), [f"note categories-merged: {what}; --merge merges others"]
    if grouping is None:
        return data, []
    merge = _with_names(grouping, data)
    data = replace(merged(data, merge) if merge else data, grouping=grouping)
    data.known_ids  # noqa: B018 - refuses names that are not there
    return data, notes


def _with_names(grouping: Grouping, data: Dataset) -> Merge:
    """What is merged, and the data set's own names that are read as another."""
    own = {canonical(name): name for name in data.category_names}
    merge = {name: list(members) for name, members in grouping.merge.items()}
    for name, other in grouping.names.items():
        if other == ALL:
            merge[name] = [ALL]
        elif canonical(name) in own and canonical(name) != canonical(other):
            merge.setdefault(other, []).append(name)
    return {name: [*members, *({name} & {*own.values()} - {*members})] for name, members in merge.items()}


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
        new.setdefault(name, {"id": entry["id"], "name": name})
        if name in into.values():
            new[name].setdefault("members", {})[entry["id"]] = entry["name"]
    own = {old: entry["id"] for entry in new.values() for old in entry.get("members", {entry["id"]: ""})}
    annotations = [{**one, "category_id": own[one["category_id"]]} for one in data.annotations]
    images = [_with_merged_names(image, new) for image in data.images]
    coco = {**data.coco, "images": images, "annotations": annotations, "categories": list(new.values())}
    return replace(data, coco=coco, unmerged=data)


def into_merged(detections: Detections, data: Dataset) -> Detections:
    """Detections by the categories of an unmerged data set, by those of the merged one; see `suppressed`."""
    ids = np.array([data.merged_ids[one] for one in detections.category_ids.tolist()], dtype=np.int64)
    return suppressed(replace(detections, category_ids=ids), detections.category_ids)


def onto(detections: Detections, scored_on: Dataset, data: Dataset) -> Detections:
    """Detections by the categories they were scored on, by those of another grouping of the same data set.

    Raises:
        DatasetError: `categories-finer`: what was one category then would be several now.
    """
    if scored_on.sha256 == data.sha256:
        return detections
    now = data.merged_ids
    for entry in scored_on.categories:
        if len({now[one] for one in entry.get("members", [entry["id"]])}) > 1:
            what = f"{entry['name']} was scored as one category and would be several"
            raise DatasetError(what, code="categories-finer", remedy="merge at least what was merged then")
    return into_merged(detections, data)


def _targets(data: Dataset, merge: Merge) -> dict[str, str]:
    """The new name of each category that is merged."""
    names = {canonical(entry["name"]): entry["name"] for entry in data.categories}
    into: dict[str, str] = {}
    for name, members in merge.items():
        for member in names if ALL in members else map(canonical, members):
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
    spoken, own = {canonical(name) for name in names}, data.names()
    word = next((name for name in GENERIC if name in spoken), None)
    named = {own.find(name) for name in spoken}
    species = [entry["name"] for entry in data.categories if entry["id"] not in named]
    knows_one = any(own.find(name) is not None for name in spoken - KINDS)
    if word is None or own.find(word) is not None or knows_one or not species:
        return None
    return {word: species}
