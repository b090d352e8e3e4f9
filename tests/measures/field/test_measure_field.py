"""The record: intervals, thresholds, slices, and what is said where there is nothing to say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.errors import WildbenchError
from wildbench.evaluation import score
from wildbench.measures.field import (
    OperatingPoint,
    best_f1,
    measure_field,
    operating_point,
    slice_values,
    stated_threshold,
)
from wildbench.measures.matching import Scored
from wildbench.measures.uncertainty import average_precision_50, blocks_of, groups_of, replay, resample
from wildbench.scorecard import FieldFigures

IMAGES = 120


@pytest.fixture(scope="module")
def scored() -> Scored:
    """A detector that is worse by night; a third of the images are empty, and four make a burst."""
    rng = np.random.default_rng(0)
    images, boxes, found = [], [], []
    for number in range(IMAGES):
        night = number % 2 == 1
        entry = {"id": number, "file_name": f"{number}.jpg", "width": 200, "height": 100, "seq_id": number // 4}
        images.append(entry | {"location": number // 8, "light": "night" if night else "day"})
        if number % 3:
            box = {"image_id": number, "category_id": 1, "bbox": [10, 10, 60, 40], "area": 2400, "iscrowd": 0}
            boxes.append(box | {"id": len(boxes) + 1})
            shift = 30 if night and rng.random() < 0.6 else 0
            found.append((number, [10 + shift, 10, 60, 40], rng.uniform(0.4, 1)))
        elif rng.random() < 0.4:
            found.append((number, [100, 10, 60, 40], rng.uniform(0, 0.8)))
    coco = {"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "zebra"}]}
    detections = Detections(*([row[part] for row in found] if part else [row[0] for row in found] for part in (0,)),
                            [1] * len(found), [row[1] for row in found], [row[2] for row in found])  # fmt: skip
    return Scored(Dataset("night", None, coco, Path()), detections)


@pytest.fixture(scope="module")
def seen(scored: Scored) -> FieldFigures:
    slices = slice_values(scored.dataset, ["light", "location"])
    return measure_field(scored, OperatingPoint(0.5, "given"), slices=slices, replicates=400)


def test_every_figure_has_an_interval_or_says_why_not(seen: FieldFigures) -> None:
    document = seen.model_dump()
    figures: list[dict[str, Any]] = []

    def walk(part: Any) -> None:
        if isinstance(part, dict) and "caution" in part:
            figures.append(part)
        elif isinstance(part, dict):
            for one in part.values():
                walk(one)

    walk(document)
    assert len(figures) > 60
    bare = [one for one in figures if one["interval"] is None and not (one["reason"] or one["caution"])]
    assert all(one["unit"] == "1" and one["n"] is None for one in bare)  # thresholds that were stated


def test_the_worst_slice_is_named_and_corrected(seen: FieldFigures) -> None:
    light = seen.slices["light"]
    assert (light.worst, light.drawn) == ("night", "locations")
    assert light.slices["night"].p_value is not None
    assert light.slices["night"].p_value < 0.01
    assert light.verdict.startswith("night is worse")
    places = seen.slices["location"]
    assert places.drawn == "images within locations"  # in one place there is only one location
    assert "no lower than chance" in places.verdict or "worse than the others" in places.verdict
    assert sum(one.images for one in places.slices.values()) + places.left_out == IMAGES


def test_a_slice_is_what_its_images_alone_give(scored: Scored, seen: FieldFigures) -> None:
    night = [image for image in scored.dataset.images if image["light"] == "night"]
    ids = {image["id"] for image in night}
    data = scored.dataset
    boxes = [one for one in data.annotations if one["image_id"] in ids]
    part = replace(data, coco=data.coco | {"images": night, "annotations": boxes})
    alone = Scored(part, scored.detections[np.isin(scored.detections.image_ids, list(ids))])
    figure = seen.slices["light"].slices["night"].ap50
    assert figure.value == pytest.approx(float(np.mean(alone.arrays["precision"][0, :, 0, 0, -1])), abs=1e-6)
    again = measure_field(alone, OperatingPoint(0.5, "given"), replicates=100).empty_filter.at_operating_point
    assert again
    assert again.recall.value == pytest.approx(seen.slices["light"].slices["night"].recall.value)


def test_a_narrow_draw_is_the_wide_one(scored: Scored) -> None:
    _, groups = groups_of(scored.dataset)
    narrow = replay(average_precision_50(scored.matches), groups, blocks_of(scored.matches, groups), replicates=70)
    wide = resample([scored.matches], groups, replicates=70)
    assert narrow.drawn[:, 0] == pytest.approx(wide.ap(iou=0.5)[:, 0])


def test_counts_follow_the_burst(scored: Scored, seen: FieldFigures) -> None:
    assert seen.by_sequence
    assert seen.by_sequence.exact.n == IMAGES // 4
    noticed = set((scored.detections.image_ids[scored.detections.scores >= 0.5] // 4).tolist())
    assert seen.by_sequence.events_found.value == len(noticed) / (IMAGES // 4)  # each burst has an animal
    assert seen.by_sequence.false_events.value is None


def test_a_threshold_is_never_chosen_on_what_is_reported(scored: Scored) -> None:
    assert operating_point(scored).threshold is None
    on_val = replace(scored, dataset=replace(scored.dataset, split="val"))
    assert operating_point(on_val) == OperatingPoint(best_f1(scored), "val")
    assert operating_point(on_val, manifest=0.3) == OperatingPoint(0.3, "manifest")
    assert operating_point(on_val, given=0.4, manifest=0.3) == OperatingPoint(0.4, "given")
    without = measure_field(scored, OperatingPoint(None, None), replicates=40)
    assert without.counts.error.value is None
    assert without.empty_filter.at_operating_point is None
    assert without.recall_threshold == without.empty_filter.at_recall["0.95"].threshold.value


def test_a_val_card_states_the_threshold_of_another_split(scored: Scored, tmp_path: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / "annotations").mkdir(exist_ok=True)
        coco = scored.dataset.coco | {"info": {"split": name}}
        (tmp_path / "annotations" / f"{name}.json").write_text(json.dumps(coco))
    (tmp_path / "found.json").write_text(json.dumps(scored.detections.to_coco()))
    cards = {}
    for name in ("train", "val"):
        dataset, out = tmp_path / "annotations" / f"{name}.json", tmp_path / f"{name}.json"
        cards[name] = score(tmp_path / "found.json", dataset=dataset, out=out)
    val = cards["val"].field
    assert val
    assert (val.operating_point.source, val.operating_point.threshold.value) == ("val", best_f1(scored))
    stated = stated_threshold(str(tmp_path / "val.json"), scored.dataset)
    assert stated == best_f1(scored)
    same = replace(scored.dataset, coco=scored.dataset.coco | {"info": {"split": "train"}})
    for wrong, data in ((tmp_path / "train.json", same), (1.5, scored.dataset)):
        with pytest.raises(WildbenchError) as error:
            stated_threshold(wrong, data)
        assert error.value.code == "scorecard/threshold"


def test_slices_come_from_fields_tables_and_training(scored: Scored, tmp_path: Path) -> None:
    table = tmp_path / "season.csv"
    table.write_text(
        "file_name,season\n" + "".join(f"{n}.jpg,{'dry' if n < 60 else 'wet'}\n" for n in range(IMAGES - 1))
    )
    data = scored.dataset
    half = replace(data, coco=data.coco | {"images": [image for image in data.images if image["location"] < 5]})
    values = slice_values(data, ["seen"], table, training=half)
    assert [values["season"][n] for n in (0, 60, IMAGES - 1)] == ["dry", "wet", None]
    assert [values["seen"][n] for n in (0, IMAGES - 1)] == ["seen", "unseen"]
    for number, colour in enumerate([(90, 90, 92), (90, 140, 40)]):
        Image.new("RGB", (200, 100), colour).save(tmp_path / f"{number}.jpg")
    lights = slice_values(replace(data, images_dir=tmp_path), ["infrared"])["infrared"]
    assert list(lights[:3]) == ["infrared", "colour", None]
    with pytest.raises(WildbenchError) as error:
        slice_values(data, ["weather"])
    assert error.value.code == "dataset/bad-group"
    table.write_text("season\ndry\n")
    with pytest.raises(WildbenchError) as error:
        slice_values(data, [], table)
    assert error.value.code == "dataset/slices-table"
