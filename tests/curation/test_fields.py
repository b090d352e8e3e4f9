"""What a review makes of a file's own words, without FiftyOne: laid out as documents, and read back unedited."""

from pathlib import Path
from typing import Any

import pytest
from made_up_labels import box

from wildbench.curation.edits import collect
from wildbench.curation.fields import GROUND_TRUTH, box_attributes, image_attributes
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.questions import answer
from wildbench.curation.samples import Document, documents
from wildbench.datasets.coco import Dataset


def made(boxes: list[dict[str, Any]], image: dict[str, Any] | None = None) -> Dataset:
    """One image with boxes that say these things."""
    annotations = [
        box(number, 1, 1, [10 * number, 10, 8, 9], area=72, iscrowd=0) | said for number, said in enumerate(boxes, 1)
    ]
    images = [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 70} | (image or {})]
    coco = {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": annotations}
    return Dataset("tiny", None, coco, Path())


def laid_out(data: Dataset, *detectors: NamedPredictions) -> Document:
    (document,) = documents(data, detectors, answer(data, detectors))
    return document


@pytest.mark.parametrize(
    ("boxes", "kind", "shown"),
    [
        ([{"x": 0}, {"x": 0.25}], float, [0.0, 0.25]),
        ([{"x": 0}, {"x": 1}], int, [0, 1]),
        ([{"x": True}, {}, {"x": None}], bool, [True]),
        ([{"x": ["a"]}, {"x": []}], list, [["a"], []]),
        ([{"x": 0}, {"x": "Unspecified"}], None, ["0", "Unspecified"]),
        ([{"x": 2}, {"x": True}], None, ["2", "true"]),
        ([{"x": 0}, {"x": False}], None, ["0", "false"]),
        ([{"x": 1.5}, {"x": "a"}], None, ["1.5", "a"]),
        ([{"x": 1}, {"x": ["a"]}], None, ["1", '["a"]']),
        ([{"x": [1, 2]}], None, ["[1, 2]"]),
        ([{"x": {"é": 1}}], None, ['{"é": 1}']),
        ([{"x": 2**70}, {"x": 1}], None, [str(2**70), "1"]),
        ([{"x": 2**53 + 1}, {"x": 0.5}], None, [str(2**53 + 1), "0.5"]),
    ],
)
def test_values_keep_their_type_or_are_text_that_nobody_edits(
    boxes: list[dict[str, Any]], kind: type | None, shown: list[object]
) -> None:
    data = made(boxes)
    (found,) = [one for one in box_attributes(data) if one.key == "x"]
    assert (found.kind, found.kept) == (kind or str, kind is not None)
    document = laid_out(data)
    values = [label["x"] for label in document[GROUND_TRUTH]["detections"] if "x" in label]
    assert [(type(value), value) for value in values] == [(type(value), value) for value in shown]
    assert collect({1: document[GROUND_TRUTH]}, data, author="A").changes == []


def test_text_that_stands_for_something_else_is_not_compared() -> None:
    data = made([{"x": 0, "y": 1}, {"x": "no"}])
    labels = laid_out(data)[GROUND_TRUTH]
    labels["detections"][0] |= {"x": "1", "y": 2}
    (change,) = collect({1: labels}, data, author="A", reason="r").changes
    assert (change.old, change.new) == ({"y": 1}, {"y": 2})


def test_keys_that_have_another_meaning_in_fiftyone_or_in_the_review_get_a_prefix() -> None:
    names = [
        "label",
        "reason",
        "size",
        "tags",
        "bounding_box",
        "clean",
        "annotation_id",
        "_id",
        "_cls",
        "a.b",
        "$c",
        "",
    ]
    data = made([dict.fromkeys(names, "ours") | {"coco_label": "first", "a_b": "first", "pose": "Left"}])
    fields = {one.key: one.field for one in box_attributes(data)}
    assert len(set(fields.values())) == len(fields)
    assert {key: fields[key] for key in ("pose", "coco_label", "a_b", "label", "a.b", "_id")} == {
        "pose": "pose", "coco_label": "coco_label", "a_b": "a_b",
        "label": "coco_label_2", "a.b": "a_b_2", "_id": "coco_id",
    }  # fmt: skip
    labels = laid_out(data)[GROUND_TRUTH]
    (label,) = labels["detections"]
    assert (label["label"], label["annotation_id"], label["reason"], label["tags"]) == ("lion", 1, None, [])
    assert collect({1: labels}, data, author="A").changes == []
    label["coco_reason"] = "said"
    (change,) = collect({1: labels}, data, author="A", reason="r").changes
    assert (change.old, change.new, change.reason) == ({"reason": "ours"}, {"reason": "said"}, "r")


def test_what_an_image_says_does_not_displace_what_the_review_says() -> None:
    said = dict.fromkeys(
        ("image_id", "metadata", "created_at", "_x", "filepath", "group", "ground_truth", "coco_group", "one"), "abc"
    )
    data = made([{}], said | {"source": "camera"})
    one = NamedPredictions("one", "d_one", [])
    document = laid_out(data, one)
    assert document["image_id"] == 1
    assert document["metadata"] == {"_cls": "ImageMetadata", "width": 90, "height": 70}
    assert document["source"] == "camera"
    assert {entry.field for entry in image_attributes(data)} <= document.keys()
    assert sum(value == "abc" for value in document.values()) == len(said)
    assert collect({document["image_id"]: document[GROUND_TRUTH]}, data, author="A").changes == []


def test_a_removed_box_is_recorded_whole() -> None:
    mask = [[10, 10, 18, 10, 18, 19]]
    data = made([{"segmentation": mask, "pose": "Left", "area": 36.5}])
    (change,) = collect({1: {"detections": []}}, data, author="A", reason="r").changes
    assert change.new is None
    assert change.old == {
        "category": "lion", "bbox": [10, 10, 8, 9], "area": 36.5, "iscrowd": 0, "pose": "Left", "segmentation": mask
    }  # fmt: skip
