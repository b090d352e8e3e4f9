"""What a file says of its images and boxes, as fields that FiftyOne takes: names, types and values."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from wildbench.curation.patch import FIXED
from wildbench.datasets.coco import Dataset

GROUND_TRUTH = "ground_truth"
"""The field of the labels."""

SUMMARIES = {"wrong_label": float, "missing_box": float, "hardness": float, "forgotten": int, "group": int}
"""Fields of an image that hold answers about it."""

NOTES = {"annotation_id": int, "size": str, "found_by": list, "forgotten_by": list, "wrong_label": float}
NOTES |= {"suggested": str, "reason": str}
"""Fields of a box that are ours."""

_FIFTYONES = """
    STRICT add_field add_implied_field add_labels attributes bounding_box cascade_save clean clear_field collection_name
    compare_indexes compute_metadata confidence copy copy_with_new_id create_index created_at dataset dataset_id delete
    delete_attribute drop_collection ensure_indexes export_mask fancy_repr field_names field_to_mongo field_to_python
    filename filepath from_dict from_doc from_frame from_json from_mask get_attribute_value get_field get_field_schema
    get_mask get_media_key get_text_score has_attribute has_field has_mask id import_mask in_dataset in_db index
    instance_id iter_attributes iter_fields label last_modified_at list_indexes mask mask_path media_reference
    media_type merge merge_field_schema metadata modify my_metaclass objects pk register_delete_rule reload save
    select_related set_attribute_value set_field switch_collection switch_db tags to_dbref to_dict to_json to_mongo
    to_mongo_dict to_polyline to_segmentation to_shapely update update_fields validate
"""

RESERVED = frozenset({*_FIFTYONES.split(), GROUND_TRUTH, "image_id", "licence", *SUMMARIES, *NOTES})
"""Names that FiftyOne's images and labels have, methods too, and those of our fields: a file's own get a prefix."""

_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Attribute:
    """One key of a file's entries, as a field.

    Attributes:
        key: In the file.
        field: In FiftyOne.
        kind: Type of its values there: bool, int, float, str, or list of texts.
        kept: Whether every value comes back as it was. Otherwise it is shown as text, not edited and not compared.
    """

    key: str
    field: str
    kind: type
    kept: bool

    def shown(self, value: object) -> object:
        """A value as FiftyOne gets it."""
        if self.kept:
            return float(value) if self.kind is float and isinstance(value, int) else value
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def box_attributes(data: Dataset) -> list[Attribute]:
    """What the file says of its boxes beside place and category: occlusion, truncation, iscrowd."""
    return attributes(data.annotations, FIXED | {"bbox"})


def image_attributes(data: Dataset) -> list[Attribute]:
    """What the file says of its images beside file, size and licence."""
    return attributes(data.images, {"id", "file_name", "width", "height", "license"})


def attributes(entries: list[dict[str, Any]], without: Container[str]) -> list[Attribute]:
    """Name and type of everything that entries say, by their first mention.

    Whole numbers beside fractions are fractions, if none loses a digit by that; what else differs in type, what
    MongoDB has no type for, and what is nested is text.

    Example:
        >>> for found in attributes([{"occlusion": 0, "pose": "Left"}, {"occlusion": 0.5, "label": 3}], {"id"}):
        ...     print(found)
        Attribute(key='occlusion', field='occlusion', kind=<class 'float'>, kept=True)
        Attribute(key='pose', field='pose', kind=<class 'str'>, kept=True)
        Attribute(key='label', field='coco_label', kind=<class 'int'>, kept=True)
    """
    values: dict[str, list[Any]] = {}
    for entry in entries:
        for key, value in entry.items():
            if value is not None and key not in without:
                values.setdefault(key, []).append(value)
    fields: dict[str, str] = {}
    for key in values:
        fields[key] = _field(key, {*values, *fields.values()} - {key})
    kinds = {key: _kind(found) for key, found in values.items()}
    return [Attribute(key, fields[key], kind or str, kind is not None) for key, kind in kinds.items()]


def _kind(values: list[Any]) -> type | None:
    """The type that holds all of the values as they are; None if there is none."""
    types = {type(value) for value in values}
    if types == {int} and not all(value in _INT64 for value in values):
        return None
    if types == {int, float}:
        return float if all(float(value) == value for value in values) else None
    if types == {list} and not all(isinstance(part, str) for value in values for part in value):
        return None
    return types.pop() if len(types) == 1 and types <= {bool, int, float, str, list} else None


def _field(key: str, taken: Container[str]) -> str:
    """A name that MongoDB and FiftyOne take for a field, and that neither they nor others use."""
    field = re.sub(r"[.$\0]", "_", key)
    if not field or field.startswith("_") or field in RESERVED:
        field = f"coco_{field.strip('_')}"
    return next(name for name in numbered(field, "_") if name not in taken)


def numbered(name: str, between: str) -> Iterator[str]:
    """A name, and the same with 2, 3, ... behind it.

    Example:
        >>> from itertools import islice
        >>> list(islice(numbered("pruned", "_"), 3))
        ['pruned', 'pruned_2', 'pruned_3']
    """
    yield name
    yield from (f"{name}{between}{number}" for number in count(2))
