import pytest
from made_up_labels import found

from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.questions import answer, comparisons, operating_point
from wildbench.datasets.coco import Dataset

LION, ZEBRA, BIRD = 1, 2, 7


def detector(name: str, *results: dict[str, object]) -> NamedPredictions:
    return NamedPredictions(name, name, list(results))


DENSE = detector(
    "dense",
    found(11, LION, [10, 20, 100, 90], 0.9),  # box 1
    found(11, ZEBRA, [200, 30, 33, 44], 0.8),  # box 2
    found(12, LION, [50, 60, 20, 20], 0.7),  # a lion on box 3, a zebra
    found(12, BIRD, [100, 100, 60, 60], 0.9),  # box 4
    found(13, LION, [30, 30, 40, 40], 0.8),  # where no box is
    found(14, ZEBRA, [200, 200, 20, 20], 0.95),  # not labelled in this image
    found(15, LION, [100, 100, 20, 20], 0.9),  # one of the crowd
    found(14, LION, [5, 5, 50, 50], 0.7),  # box 5
    found(11, BIRD, [0, 200, 20, 20], 0.01),  # below the operating point
)


def test_the_operating_point_is_where_f1_is_largest(data: Dataset) -> None:
    by_hand = {}
    for score, right, judged in ((0.9, 2, 2), (0.8, 3, 4), (0.7, 4, 6), (0.01, 4, 7)):
        by_hand[score] = 2 * right / (judged + 5)
    assert operating_point(data, DENSE.results) == max(by_hand, key=lambda score: by_hand[score]) == 0.7
    assert operating_point(data, []) == 1.0


def test_every_detection_is_named(data: Dataset) -> None:
    names = ["correct", "correct", "classification", "correct", "background", "unscored", "unscored", "correct"]
    assert answer(data, [DENSE]).errors["dense"] == dict(enumerate(names))


@pytest.mark.parametrize(
    ("bbox", "category", "name"),
    [
        ([10, 20, 100, 90], LION, "duplicate"),
        ([10, 20, 100, 300], LION, "localization"),
        ([200, 30, 33, 160], LION, "both"),
        ([200, 30, 33, 50], LION, "classification"),
        ([250, 200, 9, 9], LION, "background"),
    ],
)
def test_errors_have_tides_names(data: Dataset, bbox: list[float], category: int, name: str) -> None:
    one = detector("one", found(11, LION, [10, 20, 100, 90], 0.9), found(11, category, bbox, 0.9))
    assert answer(data, [one]).errors["one"] == {0: "correct", 1: name}


def test_a_wrong_label_is_ranked_by_its_margin_over_the_boxes_own_category(data: Dataset) -> None:
    notes = answer(data, [DENSE]).boxes
    assert (notes[3].suggested, notes[3].wrong_label) == ("lion", 0.7)
    rival = detector("rival", *DENSE.results[:4], found(12, ZEBRA, [50, 60, 20, 20], 0.6))
    assert answer(data, [rival]).boxes[3].wrong_label == pytest.approx(0.1)
    surer = detector("surer", *DENSE.results[:4], found(12, ZEBRA, [50, 60, 20, 20], 0.75))
    assert answer(data, [surer]).boxes[3].suggested is None


def test_hardness_is_one_less_f1_of_the_image(data: Dataset) -> None:
    hardness = answer(data, [DENSE]).hardness
    assert hardness == {11: 0.0, 12: 0.5, 13: 1.0, 14: 0.0, 15: 0.0}
    nothing = answer(data, [DENSE, detector("nothing")]).hardness
    assert nothing == {11: 0.5, 12: 0.75, 13: 0.5, 14: 0.5, 15: 0.0}


def test_what_compression_forgot_is_counted_by_category_and_size(data: Dataset) -> None:
    pruned = detector("pruned", *(DENSE.results[place] for place in (1, 7)), found(12, ZEBRA, [50, 60, 20, 20], 0.9))
    answers = answer(data, [DENSE, pruned])
    assert {key for key, notes in answers.boxes.items() if notes.forgotten_by} == {1, 4}
    (comparison,) = comparisons(data, [DENSE, pruned], answers)
    rows = {row.part: (row.boxes, row.dense, row.compressed, row.forgotten, row.gained) for row in comparison.rows}
    assert rows == {
        "lion": (2, 2, 1, 1, 0),
        "zebra": (2, 1, 2, 0, 1),
        "bird": (1, 1, 0, 1, 0),
        "small": (1, 0, 1, 0, 1),
        "medium": (4, 4, 2, 2, 0),
        "all": (5, 4, 3, 2, 1),
    }
