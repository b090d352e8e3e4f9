"""Every figure has an interval that encloses it, or says why not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_reference import Coco, Results, random_set
from scoring import match, measure_accuracy
from test_reweighting import tied

from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.measures.uncertainty._bootstrap import SEED, estimate, groups_of, jackknife, resample
from wildbench.measures.uncertainty._intervals import REPLICATES, interval
from wildbench.scorecard import Accuracy, BoxAccuracy, Figure


def measure(coco: Coco, results: Results, **options: Any) -> Accuracy:
    data = Dataset("random", None, coco, Path())
    return measure_accuracy(data, results, **options)


def figures(accuracy: BoxAccuracy) -> Iterator[Figure]:
    for part in (accuracy, *accuracy.per_category.values()):
        yield from (value for value in vars(part).values() if isinstance(value, Figure))


def images(many: int, boxes: int, missed: int = 0, **more: Any) -> tuple[Coco, Results]:
    """Lions, `boxes` in each image, and a detector that finds them exactly but for the last `missed` images."""
    truth = [
        {"id": place + 1, "image_id": place // boxes + 1, "category_id": 1, "area": 1600.0, "iscrowd": 0}
        | {"bbox": [60.0 * (place % boxes), 5.0, 40.0, 40.0]}
        for place in range(many * boxes)
    ]
    found = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9 - place / 1e4}
        for place, entry in enumerate(truth)
        if entry["image_id"] <= many - missed
    ]
    entries = [{"id": key, "width": 600, "height": 90} | more for key in range(1, many + 1)]
    return {"images": entries, "categories": [{"id": 1, "name": "lion"}], "annotations": truth}, found


@pytest.mark.parametrize("seed", [*range(12), 100, 102])
def test_every_figure_has_an_interval_around_it_or_says_why_not(seed: int) -> None:
    accuracy = measure(*random_set(seed, masks=seed >= 100))
    for figure in (*figures(accuracy), *(figures(accuracy.masks) if accuracy.masks else ())):
        if figure.value is None:
            assert figure.interval is figure.caution is None
        elif figure.interval is None:
            assert figure.caution is not None
            assert "no interval" in figure.caution
        else:
            low, high = figure.interval
            assert 0 <= low <= figure.value <= high <= 1
            assert (low, high) == (round(low, 4), round(high, 4))


def test_the_interval_is_that_of_the_replicates() -> None:
    coco, results = tied(3)
    data = Dataset("random", None, coco, Path())
    matches, groups = [match(data, results)], groups_of(data)[1]
    drawn, without = resample(matches, groups), jackknife(matches, groups)
    boxes = [entry for entry in coco["annotations"] if entry["category_id"] == 2 and not entry["iscrowd"]]
    found = measure(coco, results).per_category["animal 2"].ap50
    choice = {"iou": 0.5, "category": "animal 2"}
    ends = interval(
        estimate(matches).ap(**choice)[0, 0], drawn.ap(**choice)[:, 0], without.ap(**choice)[:, 0], len(boxes)
    )
    assert ends is not None
    assert found.interval == pytest.approx(ends, abs=1e-4)
    assert found.n == len(boxes)


def test_a_perfect_detector_may_still_miss_what_was_not_seen() -> None:
    """Nothing varies; with n boxes found of n, Wilson's interval begins at n / (n + 1.96²)."""
    lion = measure(*images(20, 1)).per_category["lion"].ap
    assert lion.interval == (pytest.approx(20 / (20 + 1.959964**2), abs=1e-4), 1.0)
    assert lion.caution is None


def test_recall_of_single_boxes_spreads_as_a_share_does() -> None:
    """One box an image, 80 of 100 found: the standard error of recall is that of a share, sqrt(0.8 x 0.2 / 100)."""
    coco, results = images(100, 1, missed=20)
    data = Dataset("lions", None, coco, Path())
    matches, groups = [match(data, results)], groups_of(data)[1]
    assert resample(matches, groups).ar()[:, 0].std() == pytest.approx(0.04, rel=0.05)
    without = jackknife(matches, groups).ar()[:, 0]
    assert np.sqrt(99 / 100 * ((without - without.mean()) ** 2).sum()) == pytest.approx(0.04, rel=0.01)
    recall = measure(coco, results).ar_100
    assert recall.interval is not None
    assert np.diff(recall.interval) == pytest.approx(2 * 1.96 * 0.04, rel=0.1)


def test_few_boxes_are_said_to_be_few() -> None:
    assert measure(*images(4, 1)).ap.caution == "on 4 boxes: a hint, not a measurement"
    assert measure(*images(4, 5)).ap.caution == "all boxes are in 4 images: a hint, not a measurement"
    assert measure(*images(8, 5)).ap.caution == "only 8 images: the interval may be too short"


def test_all_boxes_in_one_group_leave_no_interval() -> None:
    one = measure(*images(1, 20)).ap
    assert (one.interval, one.caution) == (None, "all 20 boxes are in one of the images: no interval")
    accuracy = measure(*images(20, 1, location="well"))
    assert (accuracy.ap.interval, accuracy.ap.caution) == (
        None,
        "all 20 boxes are in one of the locations: no interval",
    )


def test_a_category_the_detector_does_not_know_has_no_interval_and_no_part_in_the_others() -> None:
    coco, results = tied(2)
    known = measure(coco, results, scored_categories={1})
    assert known.per_category["animal 2"].ap.interval is None
    assert known.ap.interval == known.per_category["animal 1"].ap.interval


def test_the_record_says_how() -> None:
    found = measure(*images(6, 2)).uncertainty
    assert found is not None
    assert (found.replicates, found.seed, found.level) == (REPLICATES, SEED, 0.95)
    assert (found.groups, found.number_of_groups) == ("images", 6)
    split = load_dataset("parksim", split="val", with_images=False)
    places = {image["location"] for image in split.images}
    found = measure(split.coco, []).uncertainty
    assert found is not None
    assert (found.groups, found.number_of_groups) == ("locations", len(places))


def test_boxes_of_two_images_far_apart_have_an_interval() -> None:
    """However many images there are, two that hold a category are not left out together."""
    coco, results = images(2100, 1)
    for entry in coco["annotations"]:
        entry["category_id"] = 2 if entry["image_id"] in (1, 1001) else 1
    coco["categories"].append({"id": 2, "name": "crocodile"})
    both = measure(coco, results).per_category["crocodile"].ap50
    assert (both.n, both.caution) == (2, "on 2 boxes: a hint, not a measurement")
    assert both.interval is not None


def test_the_same_detections_give_the_same_record() -> None:
    coco, results = random_set(7)
    first, again = measure(coco, results), measure(coco, results[::1])
    assert first.model_dump_json() == again.model_dump_json()
