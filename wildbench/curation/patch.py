"""Corrections to labels as a file: boxes added, changed and removed, each with who did it and why.

A patch is made for one version of a data set and says so by its hash, and it holds the old value of whatever it
changes. So a person can read it before it is applied, and it cannot be applied to what it was not made for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from hotcoco import primitives
from pydantic import Field, model_validator

from wildbench.datasets.coco import Dataset, canonical_json, read_json
from wildbench.datasets.label_checks import validate
from wildbench.errors import DatasetError
from wildbench.files import write_atomically
from wildbench.records import read_version
from wildbench.scorecard import Record

FORMAT_VERSION = 1
SAME_BOX, SAME_ANIMAL = 0.5, 0.9
"""Intersection over union from which boxes that two patches add are one, and from which any two boxes of a category are
one animal's: animals that hide each other overlap less, a box that is drawn or added twice overlaps more."""

FIXED = frozenset({"id", "image_id", "category_id", "area", "segmentation"})
"""Keys of an annotation that no patch sets: `category` stands for its id, and area and mask follow from the box."""

OUTLINE = frozenset({"area", "segmentation"})
"""Those of them that the record of a removed box holds nevertheless."""


class Change(Record):
    """One box added (`old` is null), removed (`new` is null) or changed (both hold the keys that differ)."""

    annotation_id: int | None = Field(description="Id of the box; null for one that is added.")
    image_id: int
    file_name: str = Field(description="The image, for the reader, and to make sure that the id still means it.")
    old: dict[str, Any] | None = Field(
        description="`category`, `bbox` and attributes, as they were; of a box that is removed all, and its outline."
    )
    new: dict[str, Any] | None = Field(description="The same, as they are to be.")
    author: str
    reason: str

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if (self.annotation_id is None) != (self.old is None):
            raise ValueError("a box that is added has neither annotation_id nor old, any other has both")
        for one, other, what in ((self.old, self.new, "added"), (self.new, self.old, "removed")):
            if one is None and not {"category", "bbox"} <= (other or {}).keys():
                raise ValueError(f"a box that is {what} needs category and bbox")
        if self.old is not None and self.new is not None:
            if self.old.keys() != self.new.keys():
                raise ValueError("old and new name different keys")
            if canonical_json(self.old) == canonical_json(self.new):
                raise ValueError("old and new are the same: nothing is changed")
        if not (self.author.strip() and self.reason.strip()):
            raise ValueError("author and reason must not be blank")
        for values in (self.old or {}, self.new or {}):
            _check_values(values, FIXED if self.new is not None else FIXED - OUTLINE)
        return self


def _check_values(values: Mapping[str, Any], fixed: frozenset[str]) -> None:
    box = values.get("bbox", [0, 0, 0, 0])
    if not (isinstance(box, list) and len(box) == 4 and all(type(number) in (int, float) for number in box)):
        raise ValueError("bbox has to be four numbers [x, y, width, height]")
    if not isinstance(values.get("category", ""), str):
        raise ValueError("category has to be a name")
    if fixed & values.keys():
        raise ValueError(f"{', '.join(sorted(fixed & values.keys()))} cannot be patched")


class Patch(Record):
    """Changes to one version of one data set."""

    format_version: int = FORMAT_VERSION
    dataset: str = Field(description="Name of the data set.")
    split: str | None = None
    dataset_sha256: str = Field(description="Hash of the canonical COCO JSON that the changes were made to.")
    changes: list[Change]

    def write(self, path: Path) -> None:
        """Write the patch to `path`, a change a line."""
        write_atomically(path, canonical_json(self.model_dump(mode="json")).encode())


def read_patch(path: Path) -> Patch:
    """Read a patch of this format version or an older one.

    Raises:
        DatasetError: The file is missing, damaged, no patch, or written by a newer wildbench.
    """
    no_record, again = ("not a label patch", "give a file that review wrote"), "bring the edits back again"
    document = read_json(path)
    return read_version(
        document, Patch, FORMAT_VERSION, path=path, error=DatasetError, no_record=no_record, again=again
    )


def read_patches(paths: Sequence[Path]) -> dict[str, Patch]:
    """Read patches that are to be applied together, by path.

    Raises:
        DatasetError: One of them cannot be read, or is named twice.
    """
    for place, path in enumerate(paths):
        if path.resolve() in {other.resolve() for other in paths[:place]}:
            raise DatasetError(f"{path}: named twice", code="patch-named-twice", remedy="name each patch once")
    return {str(path): read_patch(path) for path in paths}


def described(annotation: dict[str, Any], category: str, *, whole: bool = False) -> dict[str, Any]:
    """What a patch can say of a box: its category by name, its `bbox`, and its attributes; area and mask if `whole`.

    Example:
        >>> described({"id": 5, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 0}, "lion")
        {'bbox': [1, 2, 3, 4], 'iscrowd': 0, 'category': 'lion'}
    """
    left_out = FIXED - OUTLINE if whole else FIXED
    return {key: value for key, value in annotation.items() if key not in left_out} | {"category": category}


def conflicts(data: Dataset, patches: Mapping[str, Patch], *, rebase: bool = False) -> list[str]:
    """List what keeps patches from being applied together, one line each.

    Args:
        data: The labels to be corrected.
        patches: By the name that messages use.
        rebase: Accept labels that have changed since the patches were made, where no box of theirs has.
    """
    problems = [
        f"{name}: made for labels {patch.dataset_sha256[:12]}, but these are {data.sha256[:12]}: "
        "the data set has changed (--rebase looks box by box)"
        for name, patch in patches.items()
        if patch.dataset_sha256 != data.sha256 and not rebase
    ]
    names = {category["id"]: category["name"] for category in data.categories}
    files = {image["id"]: str(image["file_name"]) for image in data.images}
    boxes = {entry["id"]: entry for entry in data.annotations}
    taken: dict[int, str] = {}
    for name, change in _changes(patches):
        where = f"{name}: {_place(change)}"
        unknown = {values["category"] for values in (change.old, change.new) if values and "category" in values}
        problems += [f"{where}: no category {category!r} here" for category in sorted(unknown - set(names.values()))]
        if files.get(change.image_id) != change.file_name:
            problems.append(f"{where}: image {change.image_id} is {files.get(change.image_id, 'gone')}")
        if change.annotation_id is not None:
            entry = boxes.get(change.annotation_id)
            problems += [f"{where}: {problem}" for problem in _box_problems(change, entry, names)]
            if change.annotation_id in taken:
                problems.append(f"{where}: {taken[change.annotation_id]} has a change to this box too")
            taken[change.annotation_id] = name
    return [*problems, *_added_twice(data, patches)]


def apply(data: Dataset, patches: Mapping[str, Patch], *, rebase: bool = False) -> dict[str, Any]:
    """Apply patches together: COCO JSON, which leaves `data` as it is.

    A box that moves or changes its size loses its mask, and its area becomes width × height. New boxes stand at the
    end, with ids that follow the largest.

    Raises:
        DatasetError: There are conflicts, or the result is not a sound data set.
    """
    problems = conflicts(data, patches, rebase=rebase)
    if problems:
        what = f"{problems[0]} (the first of {len(problems)} conflicts)"
        raise DatasetError(what, code="patch-conflict", remedy="mend the patch")
    ids = {category["name"]: category["id"] for category in data.categories}
    boxes = {entry["id"]: dict(entry) for entry in data.annotations}
    following = max(boxes, default=0) + 1
    for _, change in _changes(patches):
        if change.annotation_id is None:
            box = {"id": following, "image_id": change.image_id, "iscrowd": 0}
            following += 1
        else:
            box = boxes.pop(change.annotation_id) if change.new is None else boxes[change.annotation_id]
        if change.new is not None:
            boxes[box["id"]] = _changed(box, change.new, ids)
    coco = data.coco | {"annotations": list(boxes.values())}
    errors = [finding for finding in validate(coco) if finding.severity == "error"]
    if errors:
        what = f"after the patch, {errors[0].place}: {errors[0].message}"
        raise DatasetError(what, code="patch-unsound", remedy="mend the patch")
    return coco


def _changes(patches: Mapping[str, Patch]) -> Iterator[tuple[str, Change]]:
    return ((name, change) for name, patch in patches.items() for change in patch.changes)


def _place(change: Change) -> str:
    box = "new box" if change.annotation_id is None else f"box {change.annotation_id}"
    return f"{box} of {change.file_name}"


def _box_problems(change: Change, entry: dict[str, Any] | None, names: dict[int, str]) -> Iterator[str]:
    """How a box differs from what the patch says it was."""
    if entry is None:
        yield "the box is gone"
    elif entry["image_id"] != change.image_id:
        yield f"the box is on image {entry['image_id']} now"
    else:
        now = described(entry, names[entry["category_id"]], whole=True)
        for key, value in (change.old or {}).items():
            if now.get(key) != value:
                yield f"{key} is {json.dumps(now.get(key))}, not {json.dumps(value)}: somebody else has changed it"


def _added_twice(data: Dataset, patches: Mapping[str, Patch]) -> Iterator[str]:
    """Added boxes that stand where another added one stands, or one of the labels as the patches leave them."""
    names = {category["id"]: category["name"] for category in data.categories}
    standing = {box["id"]: (box["image_id"], names[box["category_id"]], box["bbox"]) for box in data.annotations}
    for _, change in _changes(patches):
        number = change.annotation_id
        if number is not None and number in standing:
            image, category, bbox = standing.pop(number)
            if change.new is not None:
                standing[number] = image, change.new.get("category", category), change.new.get("bbox", bbox)
    others: list[tuple[int, str, list[float], str | None, str]]
    others = [(*box, None, f"box {number} is there already, of the same category") for number, box in standing.items()]
    for name, change in _changes(patches):
        if change.old is not None or change.new is None:
            continue
        category, bbox = change.new["category"], change.new["bbox"]
        for image, other_category, other_bbox, source, problem in others:
            overlap = primitives.bbox_iou([bbox], [other_bbox], [False])[0][0] if image == change.image_id else 0
            if overlap >= SAME_BOX:
                if source not in (None, name):
                    yield f"{name}: {_place(change)}: {source} adds a box there too"
                elif overlap >= SAME_ANIMAL and category == other_category:
                    yield f"{name}: {_place(change)}: {problem}"
        problem = "the same patch adds a box of this category there twice"
        others.append((change.image_id, category, bbox, name, problem))


def _changed(box: dict[str, Any], values: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """A box with new values; a value of null removes its key."""
    changed = {key: value for key, value in (box | values).items() if value is not None and key != "category"}
    if "category" in values:
        changed["category_id"] = ids[values["category"]]
    if "bbox" in values:
        changed.pop("segmentation", None)
        changed["area"] = values["bbox"][2] * values["bbox"][3]
    return changed
