"""What a file says of its images and boxes, as FiftyOne's fields; detections with a name and a field each."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codes import coded
from made_up_labels import box, found, results_file
from scoring import measure_accuracy

from wildbench.curation.review import bring_back, collect, lay_out, name_of
from wildbench.curation.samples import (
    GROUND_TRUTH,
    NamedPredictions,
    add_samples,
    box_attributes,
    dense_of,
    image_attributes,
    labels,
    read_named,
)
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.errors import PredictionsError
from wildbench.resources import bundled

pytestmark = pytest.mark.usefixtures("database")


def made(boxes: list[dict[str, Any]], image: dict[str, Any] | None = None, name: str = "tiny") -> Dataset:
    """One image with boxes that say these things."""
    annotations = [
        box(number, 1, 1, [10 * number, 10, 8, 9], area=72, iscrowd=0) | said for number, said in enumerate(boxes, 1)
    ]
    images = [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 70} | (image or {})]
    coco = {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": annotations}
    return Dataset(name, None, coco, Path())


def test_values_keep_their_type_or_are_text_that_nobody_edits() -> None:
    for boxes, kind, shown in (
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
    ):
        data = made(boxes)
        (attribute,) = [one for one in box_attributes(data) if one.key == "x"]
        assert (attribute.kind, attribute.exact) == (kind or str, kind is not None)
        values = [label["x"] for label in labels(data)[1] if "x" in label]
        assert [(type(value), value) for value in values] == [(type(value), value) for value in shown]
        assert collect(labels(data), data, author="A").changes == []


def test_text_that_stands_for_something_else_is_not_compared() -> None:
    data = made([{"x": 0, "y": 1}, {"x": "no"}])
    edited = labels(data)
    edited[1][0] |= {"x": "1", "y": 2}
    (change,) = collect(edited, data, author="A", reason="r").changes
    assert (change.old, change.new) == ({"y": 1}, {"y": 2})


def test_keys_that_have_another_meaning_in_fiftyone_or_in_the_review_get_a_prefix() -> None:
    names = ["label", "reason", "size", "tags", "bounding_box", "clean", "annotation_id"]
    data = made([dict.fromkeys([*names, "_id", "_cls", "a.b", "$c", ""], "ours") | {"coco_label": "x", "a_b": "x"}])
    fields = {one.key: one.field for one in box_attributes(data)}
    assert len(set(fields.values())) == len(fields)
    assert {key: fields[key] for key in ("coco_label", "a_b", "label", "a.b", "_id")} == {
        "coco_label": "coco_label", "a_b": "a_b", "label": "coco_label_2", "a.b": "a_b_2", "_id": "coco_id",
    }  # fmt: skip
    (label,) = labels(data)[1]
    assert (label["label"], label["annotation_id"]) == ("lion", 1)
    label["coco_reason"] = "said"
    (change,) = collect({1: [label]}, data, author="A", reason="r").changes
    assert (change.old, change.new, change.reason) == ({"reason": "ours"}, {"reason": "said"}, "r")


ODD = [
    {"difficult": 0, "truncated": 2, "tags": ["x"], "mixed": 1.5, "list": 1, "label": "ours", "reason": "ours"},
    {"difficult": "Unspecified", "truncated": True, "mixed": "a", "list": ["a"], "size": 4, "serial": 2**70},
    {"a.b": 0.5, "time of day": "dusk", "_cls": "ours", "clean": False, "to_dict": 1, "$x": 1, "none": None},
    {"pose": "", "parts": [], "index": 5, "confidence": "sure", "attributes": {"x": 1}, "nested": [{"a": 1}]},
]


def test_odd_words_of_a_file_come_back_unedited_and_an_edit_of_one_is_found() -> None:
    import fiftyone

    said = {"image_id": "abc", "_x": 1, "metadata": "m", "created_at": "noon", "tags": ["a"], "group": "g", "a.b": 2}
    data = made(ODD, said, "odd")
    lay_out(data, [], look=False, fresh=True)
    assert bring_back(data, author="A").changes == []
    sample = fiftyone.load_dataset(name_of(data)).first()
    assert {one.field: sample[one.field] for one in image_attributes(data)} == {
        "coco_image_id": "abc", "coco_x": 1, "coco_metadata": "m", "coco_created_at": "noon", "coco_tags": ["a"],
        "coco_group": "g", "a_b": 2,
    }  # fmt: skip
    assert (sample["image_id"], sample["metadata"].width) == (1, 90)
    sample.tags.append("looked at")
    for label in sample[GROUND_TRUTH].detections:
        label.tags.append("looked at")
    sample.save()
    assert bring_back(data, author="A").changes == []
    sample[GROUND_TRUTH].detections[0]["coco_label"] = "theirs"
    sample.save()
    (change,) = bring_back(data, author="A", reason="r").changes
    assert (change.annotation_id, change.old, change.new) == (1, {"label": "ours"}, {"label": "theirs"})
    schema = fiftyone.load_dataset(name_of(data)).label_schemas[GROUND_TRUTH]
    editable = {attribute["name"] for attribute in schema["attributes"]}
    assert {"coco_label", "coco_reason", "reason", "pose", "coco_to_dict"} <= editable
    assert not {"difficult", "truncated", "mixed", "list", "serial", "nested"} & editable


CARDS = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-tiny")]


def test_scorecards_bring_their_detections_and_their_parents() -> None:
    parksim = load_dataset("parksim", with_images=False)
    tiny, dense = read_named(CARDS[::-1], parksim)
    assert (tiny.name, tiny.field, tiny.same_labels) == ("reference-tiny", "reference_tiny", True)
    assert len(dense.detections) > 1000
    assert dense_of(tiny, [tiny, dense]) is dense


def test_without_a_parent_the_first_is_the_dense_one() -> None:
    first, second = (NamedPredictions(name, name, Detections.from_coco([])) for name in "ab")
    assert dense_of(first, [first, second]) is None
    assert dense_of(second, [first, second]) is first


def test_detections_that_were_exchanged_are_refused(data: Dataset, tmp_path: Path) -> None:
    card = Path(shutil.copy(CARDS[0], tmp_path))
    with pytest.raises(PredictionsError, check=coded("predictions/missing")):
        read_named([card], data)
    shutil.copy(CARDS[1].with_name("reference-tiny.predictions.json"), tmp_path / "reference.predictions.json")
    with pytest.raises(PredictionsError, check=coded("predictions/not-as-scored")):
        read_named([card], data)


def test_no_two_detectors_have_one_name_or_field(data: Dataset, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for stems, names, fields in (
        (["model_2", "model"], ["model_2", "model"], ["model_2", "model"]),
        (["model", "a/model", "model_2"], ["model", "model 2", "model_2 2"], ["model", "model_2", "model_2_2"]),
        (["a b", "a-b", "A b"], ["a b", "a-b 2", "A b 3"], ["a_b", "a_b_2", "a_b_3"]),
        (["clean", "3-bit", "time_of_day"], ["clean", "3-bit", "time_of_day"], ["d_clean", "d_3_bit", "d_time_of_day"]),
    ):
        results = [found(11, 1, [1, 1, 5, 5], 0.5)]
        named = read_named([results_file(tmp_path / f"{stem}.json", results) for stem in stems], data)
        assert [(one.name, one.field) for one in named] == list(zip(names, fields, strict=True))


def agree(data: Dataset, detections: Detections) -> None:
    """FiftyOne's COCO evaluation of all detections is ours."""
    import fiftyone

    samples = fiftyone.Dataset()
    add_samples(samples, data, [NamedPredictions("one", "one", detections)])
    options: dict[str, Any] = {"classes": data.category_names, "iscrowd": "iscrowd"}
    theirs = samples.evaluate_detections("one", gt_field=GROUND_TRUTH, method="coco", compute_mAP=True, **options)
    ours = measure_accuracy(data, detections)
    assert theirs.mAP() == pytest.approx(ours.ap.value, abs=1e-12)
    for name, figures in ours.per_category.items():
        if figures.ap.value is not None:
            assert theirs.mAP(classes=[name]) == pytest.approx(figures.ap.value, abs=1e-12)


def test_map_is_fiftyones() -> None:
    parksim = load_dataset("parksim", with_images=False)
    (one,) = read_named(CARDS[:1], parksim)
    data = parksim.take(10)
    agree(data, one.detections[np.isin(one.detections.image_ids, [image["id"] for image in data.images])])


def test_map_is_fiftyones_where_labels_are_partial(data: Dataset) -> None:
    unlisted = found(14, 2, [200, 200, 20, 20], 0.95)
    results = [found(11, 2, [200, 30, 33, 44], 0.8), found(12, 2, [50.33, 60.77, 20, 20], 0.7), unlisted]
    agree(data, Detections.from_coco(results))
