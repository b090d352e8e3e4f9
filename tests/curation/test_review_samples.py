"""A file's own words in FiftyOne itself: what nobody edits comes back, however the file puts it."""

from pathlib import Path

import fiftyone
import pytest
from fiftyone.core.odm import DatasetSampleDocument
from made_up_labels import box

from wildbench.curation.fields import GROUND_TRUTH, RESERVED
from wildbench.curation.review import bring_back, lay_out, name_of
from wildbench.datasets.coco import Dataset

pytestmark = pytest.mark.usefixtures("database")

BOXES = [
    {"difficult": 0, "truncated": 2, "tags": ["x"], "mixed": 1.5, "list": 1, "label": "ours", "reason": "ours"},
    {"difficult": "Unspecified", "truncated": True, "mixed": "a", "list": ["a"], "size": 4, "serial": 2**70},
    {"a.b": 0.5, "time of day": "dusk", "_cls": "ours", "clean": False, "to_dict": 1, "$x": 1, "none": None},
    {"pose": "", "parts": [], "index": 5, "confidence": "sure", "attributes": {"x": 1}, "nested": [{"a": 1}]},
]


def test_odd_words_of_a_file_come_back_unedited_and_an_edit_of_one_is_found() -> None:
    said = {"image_id": "abc", "_x": 1, "metadata": "m", "created_at": "noon", "tags": ["a"], "group": "g", "a.b": 2}
    annotations = [
        box(number, 1, 1, [10 * number, 10, 8, 9], area=72, iscrowd=0) | more for number, more in enumerate(BOXES, 1)
    ]
    images = [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 70} | said]
    coco = {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": annotations}
    data = Dataset("odd", None, coco, Path())
    lay_out(data, [], look=False, fresh=True)
    assert bring_back(data, author="A").changes == []
    sample = fiftyone.load_dataset(name_of(data)).first()
    assert (sample["image_id"], sample["coco_image_id"], sample["coco_x"]) == (1, "abc", 1)
    sample.tags.append("looked at")
    sample.save()
    assert bring_back(data, author="A").changes == []
    for label in sample[GROUND_TRUTH].detections:
        label.tags.append("looked at")
    sample[GROUND_TRUTH].detections[0]["coco_label"] = "theirs"
    sample.save()
    (change,) = bring_back(data, author="A", reason="r").changes
    assert (change.annotation_id, change.old, change.new) == (1, {"label": "ours"}, {"label": "theirs"})
    schema = fiftyone.load_dataset(name_of(data)).label_schemas[GROUND_TRUTH]
    editable = {attribute["name"] for attribute in schema["attributes"]}
    assert {"coco_label", "coco_reason", "reason", "pose", "coco_to_dict"} <= editable
    assert not {"difficult", "truncated", "mixed", "list", "serial", "nested"} & editable


def test_every_name_that_fiftyone_uses_is_reserved() -> None:
    used = {*dir(fiftyone.Sample), *dir(fiftyone.Detection), *dir(DatasetSampleDocument)}
    used |= {*fiftyone.Detection._fields, *fiftyone.Dataset().get_field_schema()}
    assert {name for name in used if not name.startswith("_")} <= RESERVED
