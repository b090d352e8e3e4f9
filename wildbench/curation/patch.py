"""Corrections to labels as a file: boxes added, changed and removed, each with who did it and why.

A patch is made for one version of a data set and says so by its hash, and it holds the old value of whatever it
changes. So it can be read by a person before it is applied, and it cannot be applied to what it was not made for.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
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
"""Version of the file. A reader takes this one and older ones, and refuses newer ones."""

SAME_BOX = 0.5
"""Intersection over union from which two boxes that two patches add are taken for one."""

SAME_ANIMAL = 0.9
"""Intersection over union from which two boxes of a category are one animal's, whoever drew them.

Animals that hide each other overlap less; a box that is drawn twice, or added twice, overlaps more.
"""

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
    author: str = Field(min_length=1)
    reason: str = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.annotation_id is None) != (self.old is None):
            raise ValueError("a box that is added has neither annotation_id nor old, any other has both")
        if self.old is None and not {"category", "bbox"} <= (self.new or {}).keys():
            raise ValueError("a box that is added needs category and bbox")
        if self.new is None and not {"category", "bbox"} <= (self.old or {}).keys():
            raise ValueError("a box that is removed needs category and bbox, as they were")
        if self.old is not None and self.new is not None:
            if self.old.keys() != self.new.keys():
                raise ValueError("old and new name different keys")
            if canonical_json(self.old) == canonical_json(self.new):
                raise ValueError("old and new are the same: nothing is changed")
        return self

    @model_validator(mode="after")
    def _sound(self) -> Self:
        if not (self.author.strip() and self.reason.strip()):
            raise ValueError("author and reason may not be blank")
        for values in (self.old or {}, self.new or {}):
            if "bbox" in values and not _is_box(values["bbox"]):
                raise ValueError("bbox has to be four numbers [x, y, width, height]")
            if not isinstance(values.get("category", ""), str):
                raise ValueError("category has to be a name")
        fixed = (FIXED if self.new is not None else FIXED - OUTLINE) & {*(self.old or {}), *(self.new or {})}
        if fixed:
            raise ValueError(f"{', '.join(sorted(fixed))} cannot be patched")
        return self


def _is_box(value: object) -> bool:
    numbers = isinstance(value, list) and all(type(number) in (int, float) for number in value)
    return isinstance(value, list) and numbers and len(value) == 4


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
    return read_version(
        read_json(path),
        Patch,
        FORMAT_VERSION,
        path=path,
        error=DatasetError,
        no_record=("not a label patch", "give a file that review wrote"),
        again="have it written again",
    )


def read_patches(paths: Sequence[Path]) -> dict[str, Patch]:
    """Read patches that are to be applied together.

    Returns:
        By path.

    Raises:
        DatasetError: One of them cannot be read, or is named twice.
    """
    for place, path in enumerate(paths):
        if path.resolve() in {other.resolve() for other in paths[:place]}:
            raise DatasetError(f"{path}: named twice", remedy="name each patch once")
    return {str(path): read_patch(path) for path in paths}


def described(annotation: dict[str, Any], category: str, *, whole: bool = False) -> dict[str, Any]:
    """What a patch can say of a box: its category by name, its `bbox`, and its attributes; area and mask if `whole`.

    Example:
        >>> described({"id": 5, "image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "iscrowd": 0}, "lion")
        {'bbox': [1, 2, 3, 4], 'iscrowd': 0, 'category': 'lion'}
    """
    left_out = FIXED - OUTLINE if whole else FIXED
    return {key: value for key, value in annotation.items() if key not in left_out} | {"category": category}


def conflicts(data: Dataset, patches: dict[str, Patch], *, rebase: bool = False) -> list[str]:
    """What keeps patches from being applied together, a line each; none if nothing does.

    Args:
        data: The labels they are to be applied to.
        patches: By the name they are spoken of.
        rebase: Take labels that have changed since the patches were made, where no box of theirs has.
    """
    found = []
    for name, patch in patches.items():
        if patch.dataset_sha256 != data.sha256 and not rebase:
            found.append(
                f"{name}: made for labels {patch.dataset_sha256[:12]}, but these are {data.sha256[:12]}: "
                "the data set has changed (--rebase looks box by box)"
            )
    names = {category["id"]: category["name"] for category in data.categories}
    files = {image["id"]: str(image["file_name"]) for image in data.images}
    boxes = {entry["id"]: entry for entry in data.annotations}
    taken: dict[int, str] = {}
    for name, change in _changes(patches):
        where = f"{name}: {_place(change)}"
        unknown = {values["category"] for values in (change.old, change.new) if values and "category" in values}
        found += [f"{where}: no category {category!r} here" for category in sorted(unknown - set(names.values()))]
        if files.get(change.image_id) != change.file_name:
            found.append(f"{where}: image {change.image_id} is {files.get(change.image_id, 'gone')}")
        if change.annotation_id is not None and change.old is not None:
            entry = boxes.get(change.annotation_id)
            found += [f"{where}: {problem}" for problem in _box_problems(change, entry, names)]
            if change.annotation_id in taken:
                found.append(f"{where}: {taken[change.annotation_id]} has a change to this box too")
            taken[change.annotation_id] = name
    return found + list(_added_twice(data, patches))


def apply(data: Dataset, patches: dict[str, Patch], *, rebase: bool = False) -> dict[str, Any]:
    """The labels with all patches applied.

    A box that moves or changes its size loses its mask, and its area becomes width × height. New boxes stand at the
    end, with ids that follow the largest.

    Args:
        data: The labels.
        patches: By the name they are spoken of.
        rebase: As in `conflicts`.

    Returns:
        COCO JSON; `data` is unchanged.

    Raises:
        DatasetError: There are conflicts, or the result is no sound data set.
    """
    problems = conflicts(data, patches, rebase=rebase)
    if problems:
        raise DatasetError(f"{problems[0]} (the first of {len(problems)} conflicts)", remedy="mend the patch")
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
        raise DatasetError(f"after the patch, {errors[0].place}: {errors[0].message}", remedy="mend the patch")
    return coco


def _changes(patches: dict[str, Patch]) -> Iterator[tuple[str, Change]]:
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


def _added_twice(data: Dataset, patches: dict[str, Patch]) -> Iterator[str]:
    """Boxes that stand where another box of theirs, or of the labels as the patches leave them, stands already."""
    there = _left(data, patches)
    added: list[tuple[str, Change]] = []
    for name, change in _changes(patches):
        if change.old is not None or change.new is None:
            continue
        category, bbox = change.new["category"], change.new["bbox"]
        where = f"{name}: {_place(change)}"
        for number, (image, other_category, other_bbox) in there.items():
            if (image, other_category) == (change.image_id, category) and _overlap(bbox, other_bbox) >= SAME_ANIMAL:
                yield f"{where}: box {number} is there already, of the same category"
        for other_name, other in added:
            other_new = other.new or {}
            if other.image_id != change.image_id:
                continue
            overlap = _overlap(bbox, other_new["bbox"])
            if name != other_name and overlap >= SAME_BOX:
                yield f"{where}: {other_name} adds a box there too"
            elif name == other_name and other_new["category"] == category and overlap >= SAME_ANIMAL:
                yield f"{where}: the same patch adds a box of this category there twice"
        added.append((name, change))


def _left(data: Dataset, patches: dict[str, Patch]) -> dict[int, tuple[int, str, list[float]]]:
    """Image, category and place of each box of the data set, by id, once patches have moved and removed theirs."""
    names = {category["id"]: category["name"] for category in data.categories}
    images = {change.image_id for _, change in _changes(patches) if change.old is None}
    boxes = {
        entry["id"]: (entry["image_id"], names[entry["category_id"]], entry["bbox"])
        for entry in data.annotations
        if entry["image_id"] in images
    }
    for _, change in _changes(patches):
        box = boxes.pop(change.annotation_id, None) if change.annotation_id is not None else None
        if box is not None and change.annotation_id is not None and change.new is not None:
            image, category, bbox = box
            values = change.new
            boxes[change.annotation_id] = (image, values.get("category", category), values.get("bbox", bbox))
    return boxes


def _overlap(one: list[float], other: list[float]) -> float:
    return float(primitives.bbox_iou([one], [other], [False])[0][0])


def _changed(box: dict[str, Any], values: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """A box with new values; what is null is taken off."""
    changed = {key: value for key, value in (box | values).items() if value is not None and key != "category"}
    if "category" in values:
        changed["category_id"] = ids[values["category"]]
    if "bbox" in values:
        changed.pop("segmentation", None)
        changed["area"] = values["bbox"][2] * values["bbox"][3]
    return changed
