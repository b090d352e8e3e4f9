"""Names that categories were given for each other's, and honest confusion."""

import random

import numpy as np
import pytest
from scoring import suspect

from wildbench.datasets.coco import Dataset
from wildbench.datasets.detection_checks._other_readings import Located, check_namings, confusion
from wildbench.datasets.label_checks._findings import Finding
from wildbench.datasets.predictions import read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled

NAMES = ["lion", "zebra", "giraffe", "bird", "eland"]
LION, ZEBRA, GIRAFFE, BIRD, ELAND = range(5)


def judged(*calls: tuple[int, int, int]) -> list[Finding]:
    """What is said of so many labels of a category that are called another (-1: not found), each in its own image."""
    pairs = [(meant, called) for meant, called, count in calls for _ in range(count)]
    box = np.array([[10.0, 10, 50, 50]])
    place = np.arange(len(pairs))
    meant, called = (np.array(side) for side in zip(*pairs, strict=True))
    labels = Located(box.repeat(len(pairs), 0), place, meant, np.ones(len(pairs)))
    hit = called >= 0
    return list(check_namings(labels, Located(labels.boxes[hit], place[hit], called[hit], np.ones(hit.sum())), NAMES))


def test_two_that_have_each_other_s_name() -> None:
    calls = [(LION, ZEBRA, 9), (LION, LION, 1), (ZEBRA, LION, 8), (ZEBRA, -1, 2), (BIRD, BIRD, 30)]
    (finding,) = judged(*calls)
    assert (finding.code, finding.severity) == ("detections-labels-permuted", "warning")
    assert finding.message == (
        "with zebra taken for lion, lion taken for zebra the boxes agree with 85% of the 20 labels of these categories "
        "at IoU 0.5, as they are with 5%"
    )


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
    labels = Located(np.array([[10.0, 10, 50, 50]] * 3), np.zeros(3, dtype=int), np.array([0, 1, 1]), np.ones(3))
    detections = Located(labels.boxes, labels.image, np.array([1, 1, 0]), np.ones(3))
    counts = confusion(labels, detections, 2)
    assert (counts.table.tolist(), counts.found.tolist(), counts.labels.tolist()) == ([[1, 2], [1, 2]], [1, 2], [1, 2])


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("parksim", with_images=False)


@pytest.mark.parametrize("order", ["random", "of the alphabet"])
def test_a_real_detector_s_names_in_another_order_are_seen_through(order: str, data: Dataset) -> None:
    results = read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data).to_coco()
    ids = [entry["id"] for entry in sorted(data.categories, key=lambda entry: str(entry["name"]))]
    if order == "random":
        random.Random(1).shuffle(ids)
    named = dict(zip((entry["id"] for entry in data.categories), ids, strict=True))
    findings = suspect([entry | {"category_id": named[entry["category_id"]]} for entry in results], data)
    assert [finding.code for finding in findings] == ["detections-labels-permuted"]
