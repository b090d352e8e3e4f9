"""A real detector's detections, written down wrongly in every way: each is seen through."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from scoring import suspect

from wildbench.datasets._readings import agreeing, check_namings, confusion, overlap, pairs
from wildbench.datasets.coco import Dataset
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import Detections, read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled

W, H = 512, 384

Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("parksim", with_images=False)


@pytest.fixture(scope="module")
def results(data: Dataset) -> Results:
    return read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data).to_coco()


def padded(x: float, y: float, w: float, h: float, size: int = 416) -> list[float]:
    """Pixels of a square input with the picture in its middle."""
    scale = size / W
    return [x * scale, y * scale + (size - H * scale) / 2, w * scale, h * scale]


FORMS: dict[str, tuple[str, Callable[[float, float, float, float], list[float]]]] = {
    "corners": ("detections-xyxy", lambda x, y, w, h: [x, y, x + w, y + h]),
    "centres": ("detections-cxcywh", lambda x, y, w, h: [x + w / 2, y + h / 2, w, h]),
    "y first": ("detections-transposed", lambda x, y, w, h: [y, x, h, w]),
    "corners, y first": ("detections-yxyx", lambda x, y, w, h: [y, x, y + h, x + w]),
    "shares": ("detections-normalised", lambda x, y, w, h: [x / W, y / H, w / W, h / H]),
    "half size": ("detections-rescaled", lambda x, y, w, h: [x / 2, y / 2, w / 2, h / 2]),
    "a quarter more": ("detections-rescaled", lambda x, y, w, h: [1.25 * x, 1.25 * y, 1.25 * w, 1.25 * h]),
    "stretched to 320": (
        "detections-rescaled",
        lambda x, y, w, h: [320 * x / W, 320 * y / H, 320 * w / W, 320 * h / H],
    ),
    "padded to 416": ("detections-rescaled", padded),
    "left for right": ("detections-mirrored-x", lambda x, y, w, h: [W - x - w, y, w, h]),
    "top for bottom": ("detections-mirrored-y", lambda x, y, w, h: [x, H - y - h, w, h]),
}


def alarms(results: Results, data: Dataset) -> list[str]:
    return [finding.code for finding in suspect(results, data) if finding.severity == "warning"]


@pytest.mark.parametrize("name", FORMS)
def test_another_form_is_seen_through(name: str, data: Dataset, results: Results) -> None:
    code, form = FORMS[name]
    lying = [result | {"bbox": [float(value) for value in form(*result["bbox"])]} for result in results]
    assert alarms(lying, data) == [code]


@pytest.mark.parametrize("step", [1, -1])
def test_shifted_labels_are_seen_through(step: int, data: Dataset, results: Results) -> None:
    lying = [result | {"category_id": result["category_id"] + step} for result in results]
    known = {category["id"] for category in data.categories}
    assert alarms([entry for entry in lying if entry["category_id"] in known], data) == ["detections-labels-shifted"]


@pytest.mark.parametrize("step", [1, -1])
def test_shifted_images_are_seen_through(step: int, data: Dataset, results: Results) -> None:
    lying = [result | {"image_id": result["image_id"] + step} for result in results]
    known = {image["id"] for image in data.images}
    assert alarms([entry for entry in lying if entry["image_id"] in known], data) == ["detections-images-shifted"]


def test_reversed_scores_are_seen_through(data: Dataset, results: Results) -> None:
    assert alarms([result | {"score": 1 - result["score"]} for result in results], data) == ["scores-reversed"]


PARTLY: dict[str, tuple[str, Callable[[float, float, float, float], list[float]]]] = {
    "y first": ("boxes-partly-transposed", lambda x, y, w, h: [y, x, h, w]),
    "y first, in shares": ("boxes-partly-transposed", lambda x, y, w, h: [y / H * W, x / W * H, h / H * W, w / W * H]),
    "a quarter to the right": ("boxes-partly-turned", lambda x, y, w, h: [H - y - h, x, h, w]),
    "a quarter to the left": ("boxes-partly-turned", lambda x, y, w, h: [y, W - x - w, h, w]),
    "upside down": ("boxes-partly-turned", lambda x, y, w, h: [W - x - w, H - y - h, w, h]),
    "shares of a turned picture": (
        "boxes-partly-turned",
        lambda x, y, w, h: [(H - y - h) / H * W, x / W * H, h / H * W, w / W * H],
    ),
}


@pytest.mark.parametrize("name", PARTLY)
def test_images_whose_boxes_are_turned_are_named(name: str, data: Dataset, results: Results) -> None:
    code, form = PARTLY[name]
    lying = [
        one | {"bbox": [float(side) for side in form(*one["bbox"])]} if one["image_id"] % 3 == 0 else one
        for one in results
    ]
    assert alarms(lying, data) == [code]


def test_the_evidence_is_given_in_numbers(data: Dataset, results: Results) -> None:
    lying = [result | {"bbox": FORMS["corners"][1](*result["bbox"])} for result in results]
    (finding,) = suspect(lying, data)
    assert finding.message.startswith("read as [x1, y1, x2, y2] the boxes agree with 83% of the 327 labels at IoU 0.5")
    assert "as they are ([x, y, width, height]) with" in finding.message


def test_a_category_that_is_taken_for_the_next_is_a_mistake_of_the_detector(data: Dataset) -> None:
    """One confused category is no shift of all labels."""
    coco = copy.deepcopy(data.coco)
    coco["annotations"] = [entry for entry in coco["annotations"] if entry["category_id"] == 3]
    some = Dataset("zebras", None, coco, data.images_dir)
    found = [
        {"image_id": entry["image_id"], "category_id": 4, "bbox": entry["bbox"], "score": 0.9}
        for entry in coco["annotations"]
    ]
    assert alarms(found, some) == []


def test_detections_of_images_far_away_agree_by_chance(data: Dataset, results: Results) -> None:
    ids = [image["id"] for image in data.images]
    moved = {before: ids[(place + len(ids) // 2) % len(ids)] for place, before in enumerate(ids)}
    findings = suspect([result | {"image_id": moved[result["image_id"]]} for result in results], data)
    assert [(finding.code, finding.severity) for finding in findings] == [("agreement-by-chance", "note")]


def of(boxes: object, image: object, category: object, score: object = None) -> Detections:
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    scores = np.ones(len(boxes)) if score is None else np.asarray(score, dtype=float)
    return Detections(np.asarray(image), np.asarray(category), boxes, scores)


def test_overlap_is_that_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    boxes, others = rng.uniform(0, 40, (2, 200, 4))
    expected = [coco_mask.iou([box], [other], [0])[0, 0] for box, other in zip(boxes, others, strict=True)]
    assert overlap(boxes, others) == pytest.approx(expected, abs=1e-12)


def test_boxes_without_area_overlap_nothing() -> None:
    flat = np.array([[1.0, 1, 0, 5], [1, 1, -3, -3]])
    assert overlap(flat, flat).tolist() == [0.0, 0.0]


def slow_pairs(labels: Detections, detections: Detections) -> set[tuple[int, int]]:
    """The same, image by image."""
    found = set()
    for image in set(labels.image_ids.tolist()):
        wanted = np.flatnonzero(labels.image_ids == image)
        offered = np.flatnonzero(detections.image_ids == image)
        best = offered[np.argsort(-detections.scores[offered], kind="stable")][: len(wanted)]
        found |= {
            (int(d), int(w)) for d in best for w in wanted if detections.category_ids[d] == labels.category_ids[w]
        }  # fmt: skip
    return found


@pytest.mark.parametrize("seed", range(20))
def test_each_image_offers_as_many_detections_as_it_has_labels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = of(rng.uniform(0, 9, (12, 4)), rng.integers(0, 5, 12), rng.integers(0, 3, 12))
    count = int(rng.integers(0, 60))
    detections = of(
        rng.uniform(0, 9, (count, 4)), rng.integers(-1, 7, count), rng.integers(-1, 4, count), rng.random(count)
    )
    found, wanted = pairs(labels, detections)
    assert len(found) == len(set(zip(found.tolist(), wanted.tolist(), strict=True)))
    assert set(zip(found.tolist(), wanted.tolist(), strict=True)) == slow_pairs(labels, detections)


def test_a_flood_of_low_scores_agrees_with_no_more_labels() -> None:
    labels = of([[0, 0, 10, 10]], [0], [0])
    junk = of([[0, 0, 10, 10], [50, 50, 9, 9]], [0, 0], [0, 0], [0.1, 0.9])
    assert agreeing(labels, junk.boxes, pairs(labels, junk)).tolist() == [False]
    best = of(junk.boxes, [0, 0], [0, 0], [0.9, 0.1])
    assert agreeing(labels, best.boxes, pairs(labels, best)).tolist() == [True]


def test_without_labels_nothing_agrees() -> None:
    none = of([], [], [])
    some = of([[0, 0, 10, 10]], [0], [0])
    assert agreeing(none, some.boxes, pairs(none, some)).tolist() == []
    assert agreeing(some, none.boxes, pairs(some, none)).tolist() == [False]


NAMES = ["lion", "zebra", "giraffe", "bird", "eland"]

LION, ZEBRA, GIRAFFE, BIRD, ELAND = range(5)


def judged(*calls: tuple[int, int, int]) -> list[Finding]:
    """What is said of so many labels of a category that are called another (-1: not found), each in its own image."""
    pairs = [(meant, called) for meant, called, count in calls for _ in range(count)]
    box = np.array([[10.0, 10, 50, 50]])
    place = np.arange(len(pairs))
    meant, called = (np.array(side) for side in zip(*pairs, strict=True))
    labels = Detections(place, meant, box.repeat(len(pairs), 0), np.ones(len(pairs)))
    hit = called >= 0
    return list(
        check_namings(labels, Detections(place[hit], called[hit], labels.boxes[hit], np.ones(hit.sum())), NAMES)
    )


def test_two_that_have_each_other_s_name() -> None:
    calls = [(LION, ZEBRA, 9), (LION, LION, 1), (ZEBRA, LION, 8), (ZEBRA, -1, 2), (BIRD, BIRD, 30)]
    (finding,) = judged(*calls)
    assert (finding.code, finding.severity) == ("detections-labels-permuted", "warning")
    assert all(figure in finding.message for figure in ("85%", "20 labels", "IoU 0.5", "with 5%"))


def test_names_that_do_not_go_round_count_where_they_are_most_of_what_is_found() -> None:
    calls = [(LION, ZEBRA, 9), (ZEBRA, GIRAFFE, 9), (GIRAFFE, BIRD, 9)]
    assert [finding.code for finding in judged(*calls)] == ["detections-labels-permuted"]
    assert judged(*calls, (ELAND, ELAND, 28)) == []


HONEST = {
    "all right": [(LION, LION, 20), (ZEBRA, ZEBRA, 20)],
    "one way": [(LION, ZEBRA, 20), (ZEBRA, ZEBRA, 5), (BIRD, BIRD, 1)],
    "one way, and the other half the time": [(LION, ZEBRA, 20), (ZEBRA, ZEBRA, 10), (ZEBRA, LION, 10)],
    "four in five both ways": [(LION, ZEBRA, 80), (LION, LION, 20), (ZEBRA, LION, 80), (ZEBRA, ZEBRA, 20)],
    "a handful": [(LION, ZEBRA, 5), (ZEBRA, LION, 5)],
    "hardly found": [(LION, ZEBRA, 6), (LION, -1, 94), (ZEBRA, LION, 6), (ZEBRA, -1, 94)],
    "many names each": [
        (meant, called, 7) for meant in range(5) for called in range(5) if meant != called
    ],
    "one category alone": [(LION, LION, 20), (ZEBRA, -1, 20)],
}  # fmt: skip


@pytest.mark.parametrize("case", HONEST)
def test_honest_confusion_is_no_mistake(case: str) -> None:
    assert judged(*HONEST[case]) == []


def test_one_name_for_all_is_noted_and_a_detector_of_one_category_is_not() -> None:
    (finding,) = judged((LION, ZEBRA, 20), (ZEBRA, ZEBRA, 5), (BIRD, ZEBRA, 10), (BIRD, -1, 5))
    assert (finding.code, finding.severity) == ("detections-one-category", "note")
    assert "agree with 88% of the 40 labels at IoU 0.5, as they are with 12%" in finding.message
    assert judged((ZEBRA, ZEBRA, 20), (LION, ZEBRA, 20), (BIRD, -1, 30)) == []


def test_a_label_counts_once_for_each_name_it_is_given() -> None:
    labels = Detections(np.zeros(3, dtype=int), np.array([0, 1, 1]), np.array([[10.0, 10, 50, 50]] * 3), np.ones(3))
    detections = Detections(labels.image_ids, np.array([1, 1, 0]), labels.boxes, np.ones(3))
    counts = confusion(labels, detections, 2)
    assert (counts.table.tolist(), counts.found.tolist(), counts.labels.tolist()) == ([[1, 2], [1, 2]], [1, 2], [1, 2])


@pytest.mark.parametrize("order", ["random", "of the alphabet"])
def test_a_real_detector_s_names_in_another_order_are_seen_through(order: str, data: Dataset) -> None:
    results = read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data).to_coco()
    ids = [entry["id"] for entry in sorted(data.categories, key=lambda entry: str(entry["name"]))]
    if order == "random":
        random.Random(1).shuffle(ids)
    named = dict(zip((entry["id"] for entry in data.categories), ids, strict=True))
    findings = suspect([entry | {"category_id": named[entry["category_id"]]} for entry in results], data)
    assert [finding.code for finding in findings] == ["detections-labels-permuted"]
