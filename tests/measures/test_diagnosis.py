"""Each kind of error against its closed form; calibration against a count by hand; each image against its boxes."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_reference import Coco, Results, pycocotools_run, random_set
from scoring import measure_errors

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled
from wildbench.scorecard import Errors

BOX, FAR, THIRD = [100, 100, 90, 90], [600, 600, 40, 40], [100, 100, 90, 270]
"""A box, one elsewhere, and one that overlaps the first by a third."""

A, B = 1, 2
HALF, WHOLE = 51 / 101, 1.0
"""COCO's AP where half of the boxes are found without a mistake (51 of 101 recall points), and where all are."""


def coco_of(*boxes: tuple[int, int, list[int]], crowds: tuple[tuple[int, int, list[int]], ...] = ()) -> Coco:
    entries = [(*box, 0) for box in boxes] + [(*box, 1) for box in crowds]
    return {
        "images": [{"id": key, "file_name": f"{key}.jpg", "width": 900, "height": 900} for key in (1, 2)],
        "categories": [{"id": A, "name": "lion"}, {"id": B, "name": "bird"}],
        "annotations": [
            {"id": n, "image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": crowd}
            for n, (i, c, b, crowd) in enumerate(entries, start=1)
        ],
    }


def found(*detections: tuple[int, int, list[int], float]) -> Results:
    return [{"image_id": i, "category_id": c, "bbox": b, "score": s} for i, c, b, s in detections]


def explain(coco: Coco, results: Results, folder: Path, **options: Any) -> Errors:
    data = Dataset("tiny", None, coco, Path())
    return measure_errors(data, results, images_file=folder / "images.csv", **options)


CLOSED_FORMS: dict[str, tuple[Coco, Results, dict[str, tuple[int, float]], float, float | None]] = {
    "a box found askew is mended": (coco_of((1, A, BOX)), found((1, A, THIRD, 0.9)), {"loc": (1, WHOLE)}, 0, None),
    "of two askew the better is mended, the other vanishes": (
        coco_of((1, A, BOX)), found((1, A, THIRD, 0.9), (1, A, THIRD, 0.8)), {"loc": (2, WHOLE)}, 0, None,
    ),
    "askew on a box that is found already gains nothing": (
        coco_of((1, A, BOX), (2, A, BOX)),
        found((1, A, BOX, 0.9), (1, A, THIRD, 0.8)),
        {"loc": (1, 0), "miss": (1, WHOLE - HALF)}, 0, WHOLE - HALF,
    ),
    "a wrong name is changed: both categories gain": (
        coco_of((1, A, BOX), (2, A, BOX), (1, B, FAR)),
        found((2, A, BOX, 0.7), (1, B, BOX, 0.9), (1, B, FAR, 0.8)),
        {"cls": (1, (WHOLE - HALF) / 2 + 0.5 / 2)}, 0.5 / 2, (WHOLE - HALF) / 2,
    ),
    "a wrong name on a box that is found is dropped": (
        coco_of((1, A, BOX), (1, B, FAR)),
        found((1, A, BOX, 0.95), (1, B, BOX, 0.9), (1, B, FAR, 0.8)),
        {"cls": (1, 0.5 / 2)}, 0.5 / 2, 0,
    ),
    "a wrong name askew is dropped": (
        coco_of((1, A, BOX), (2, A, BOX), (1, B, FAR)),
        found((2, A, BOX, 0.7), (1, B, THIRD, 0.9), (1, B, FAR, 0.8)),
        {"both": (1, 0.5 / 2), "miss": (1, (WHOLE - HALF) / 2)}, 0.5 / 2, (WHOLE - HALF) / 2,
    ),
    "a second detection is dropped": (
        coco_of((1, A, BOX), (2, A, BOX)),
        found((1, A, BOX, 0.9), (1, A, BOX, 0.8), (2, A, BOX, 0.7)),
        {"dup": (1, WHOLE - (51 + 50 * 2 / 3) / 101)}, WHOLE - (51 + 50 * 2 / 3) / 101, 0,
    ),
    "a detection on background is dropped": (
        coco_of((1, A, BOX)), found((1, A, FAR, 0.9), (1, A, BOX, 0.8)), {"bkg": (1, 0.5)}, 0.5, 0,
    ),
    "a missed box is taken out": (
        coco_of((1, A, BOX), (2, A, BOX)), found((1, A, BOX, 0.9)), {"miss": (1, WHOLE - HALF)}, 0, WHOLE - HALF,
    ),
    "a missed box is taken out, not found with the best score": (
        coco_of((1, A, BOX), (2, A, BOX)),
        found((1, A, FAR, 0.95), (1, A, BOX, 0.9)),
        {"bkg": (1, HALF / 2), "miss": (1, (WHOLE - HALF) / 2)}, HALF / 2, (WHOLE - HALF) / 2,
    ),
    "a detection in a crowd is no error": (
        coco_of((1, A, BOX), crowds=((1, A, FAR),)), found((1, A, FAR, 0.9), (1, A, BOX, 0.8)), {}, 0, 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOSED_FORMS)
def test_each_kind_of_error_costs_what_it_costs(case: str, tmp_path: Path) -> None:
    coco, results, expected, false_positives, false_negatives = CLOSED_FORMS[case]
    errors = explain(coco, results, tmp_path)
    for kind, error in errors.tide.items():
        count, gain = expected.get(kind, (0, 0))
        assert error.count == count, kind
        assert error.gain.value == pytest.approx(gain, abs=1e-12), kind
        assert error.gain.n == sum(not entry["iscrowd"] for entry in coco["annotations"])
    assert errors.false_positives.value == pytest.approx(false_positives, abs=1e-12)
    if false_negatives is None:
        assert errors.false_negatives.value is None
    else:
        assert errors.false_negatives.value == pytest.approx(false_negatives, abs=1e-12)


TIDECV = {
    "cls": (2799, 2.260596), "loc": (2019, 1.579615), "both": (2572, 0.161126), "dup": (727, 1.180555),
    "bkg": (8369, 0.767480), "miss": (5, 1.192860),
}  # fmt: skip
"""What tidecv 1.0.1 prints for the bundled reference's detections in parksim's test split: errors, points of AP50.

Its own AP50 of them is 82.6277, COCO's is 82.6196: it rounds recall differently, hence the tolerance.
"""


def test_the_reference_detector_s_errors_are_those_of_tidecv(tmp_path: Path) -> None:
    data = load_dataset("parksim", with_images=False)
    results = read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data).to_coco()
    errors = measure_errors(data, results, images_file=tmp_path / "i.csv")
    for kind, (count, points) in TIDECV.items():
        assert errors.tide[kind].count == count
        assert errors.tide[kind].gain.value == pytest.approx(points / 100, abs=1e-4)
    assert errors.false_positives.value == pytest.approx(0.130311, abs=1e-3)
    assert errors.false_negatives.value == pytest.approx(0.034243, abs=1e-4)


def test_what_a_category_would_gain_that_is_not_found_at_all_is_null_and_not_0(tmp_path: Path) -> None:
    errors = explain(coco_of((1, A, BOX), (1, B, FAR)), found((1, A, BOX, 0.9)), tmp_path)
    assert errors.unfound == ["bird"]
    assert errors.tide["miss"].count == 1
    for gain in (errors.tide["miss"].gain, errors.false_negatives):
        assert (gain.value, gain.reason, gain.n) == (None, "not one box is found of: bird", 2)
    assert errors.tide["bkg"].gain.value == errors.false_positives.value == 0.0


def test_a_detector_that_finds_nothing_is_not_told_that_it_could_gain_nothing(tmp_path: Path) -> None:
    errors = explain(coco_of((1, A, BOX), (1, B, FAR)), [], tmp_path)
    assert (errors.tide["miss"].count, errors.tide["miss"].gain.value, errors.false_negatives.value) == (2, None, None)
    assert errors.false_negatives.reason == "not one box is found of: lion, bird"


def test_without_boxes_nothing_can_be_gained(tmp_path: Path) -> None:
    errors = explain(coco_of(), found((1, A, BOX, 0.9)), tmp_path)
    assert errors.tide["bkg"].count == 1
    assert {error.gain.reason for error in errors.tide.values()} == {"no box in the split"}
    assert errors.images.worst[0].f1 == 0.0
    assert errors.images.worst[0].ap50 is None


def test_without_detections_scores_are_undefined(tmp_path: Path) -> None:
    errors = explain(coco_of((1, A, BOX)), [], tmp_path)
    assert errors.calibration.ece.reason == errors.calibration.mce.reason == "no detection"
    assert errors.images.threshold.reason == "no detection finds a box"
    assert errors.tide["miss"].count == 1
    assert [(image.image_id, image.missed, image.f1) for image in errors.images.worst] == [(1, 1, 0.0)]
    assert errors.images.mean_f1.value == 0.0
    assert errors.images.without_error.value == 1


def test_categories_that_do_not_count_are_left_out(tmp_path: Path) -> None:
    results = found((1, A, BOX, 0.9), (1, B, FAR, 0.8), (2, B, FAR, 0.7))
    coco = coco_of((1, A, BOX))
    coco["images"][0]["annotated_categories"] = ["lion"]
    coco["images"][1]["annotated_categories"] = []
    assert explain(coco, results, tmp_path).tide["bkg"].count == 0
    whole = coco_of((1, A, BOX), (2, B, BOX))
    assert explain(whole, results, tmp_path).tide["bkg"].count == 2
    known = explain(whole, results, tmp_path, scored_categories={A})
    assert {kind: error.count for kind, error in known.tide.items() if error.count} == {}
    assert known.tide["miss"].gain.n == 1


def by_hand(hits: list[tuple[float, bool]]) -> tuple[float, float]:
    """ECE and the largest error, from a loop over ten bins."""
    gaps, weights = [], []
    for number in range(10):
        inside = [(s, hit) for s, hit in hits if min(int(s * 10), 9) == number]
        if inside:
            gaps.append(abs(sum(s for s, _ in inside) - sum(hit for _, hit in inside)) / len(inside))
            weights.append(len(inside) / len(hits))
    return sum(gap * weight for gap, weight in zip(gaps, weights, strict=True)), max(gaps)


def test_calibration_by_hand(tmp_path: Path) -> None:
    """0.95 and 1.0 find, 0.91 does not; 0.25 finds: |0.9533 - 2/3| over three of four, |0.25 - 1| over one."""
    coco = coco_of((1, A, BOX), (2, A, BOX), (2, B, FAR))
    results = found((1, A, BOX, 0.95), (2, A, BOX, 1.0), (1, A, FAR, 0.91), (2, B, FAR, 0.25))
    calibration = explain(coco, results, tmp_path).calibration
    assert calibration.ece.value == pytest.approx(0.75 * (2.86 / 3 - 2 / 3) + 0.25 * 0.75, abs=1e-12)
    assert calibration.mce.value == pytest.approx(0.75, abs=1e-12)
    assert calibration.ece.n == 4
    filled = [(part.low, part.detections, part.precision) for part in calibration.bins if part.detections]
    assert filled == [(0.2, 1, 1.0), (0.9, 3, pytest.approx(2 / 3))]
    assert all(part.score is None and part.precision is None for part in calibration.bins if not part.detections)


def pycocotools_hits(coco: Coco, results: Results) -> list[tuple[int, float, bool]]:
    """Image, score, and whether it finds a box at IoU 0.5, of every detection that counts, by pycocotools."""
    run = pycocotools_run(coco, results)
    cells = [cell for cell in run.evalImgs if cell and cell["aRng"] == [0, 1e10]]
    return [
        (cell["image_id"], score, bool(cell["dtMatches"][0][place]))
        for cell in cells
        for place, score in enumerate(cell["dtScores"])
        if not cell["dtIgnore"][0][place]
    ]


@pytest.mark.parametrize("seed", range(12))
def test_random_sets_agree_with_pycocotools_matches(seed: int, tmp_path: Path) -> None:
    coco, results = random_set(seed)
    hits = pycocotools_hits(coco, results)
    errors = explain(coco, results, tmp_path)
    boxes = sum(not entry["iscrowd"] for entry in coco["annotations"])
    wrong = sum(not hit for _, _, hit in hits)
    assert sum(error.count for kind, error in errors.tide.items() if kind != "miss") == wrong
    assert errors.calibration.ece.n == len(hits)
    if hits:
        ece, largest = by_hand([(score, hit) for _, score, hit in hits])
        assert errors.calibration.ece.value == pytest.approx(ece, abs=1e-9)
        assert errors.calibration.mce.value == pytest.approx(largest, abs=1e-9)
    if any(hit for _, _, hit in hits):
        best = max({score for _, score, _ in hits}, key=lambda least: (f1_from(hits, least, boxes), least))
        assert errors.images.threshold.value == best


def f1_from(hits: list[tuple[int, float, bool]], least: float, boxes: int) -> float:
    taken = [hit for _, score, hit in hits if score >= least]
    return 2 * sum(taken) / (len(taken) + boxes)


def test_every_image_has_a_row_that_adds_up(tmp_path: Path) -> None:
    data = load_dataset("parksim", with_images=False)
    results = read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data).to_coco()
    file = tmp_path / "images.csv"
    images = measure_errors(data, results, images_file=file).images
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert images.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert [row["file_name"] for row in rows] == [image["file_name"] for image in data.images]
    assert images.threshold.value is not None
    hits = [hit for hit in pycocotools_hits(data.coco, results) if hit[1] >= images.threshold.value]
    for row in rows:
        own = [hit for image_id, _, hit in hits if image_id == int(row["image_id"])]
        counted = (int(row["found"]), int(row["wrong"]), int(row["missed"]))
        assert counted == (sum(own), len(own) - sum(own), len(data.boxes(int(row["image_id"]))) - sum(own))
        assert row["f1"] == ("" if not sum(counted) else f"{2 * counted[0] / (sum(counted) + counted[0]):.6g}")
    assert images.mean_f1.value == pytest.approx(np.mean([float(row["f1"]) for row in rows if row["f1"]]), abs=1e-5)
    assert images.without_error.value == sum(row["wrong"] == row["missed"] == "0" for row in rows)
    mistakes = [int(row["wrong"]) + int(row["missed"]) for row in rows]
    assert [image.wrong + image.missed for image in images.worst] == sorted(mistakes, reverse=True)[:10]


def test_an_image_s_ap_is_that_of_pycocotools_on_it_alone(tmp_path: Path) -> None:
    """Of one category, as pycocotools averages over categories and this figure pools them."""
    coco, results = random_set(3)
    for entry in (*coco["annotations"], *results):
        entry["category_id"] = coco["categories"][0]["id"]
    explain(coco, results, tmp_path)
    for row in csv.DictReader((tmp_path / "images.csv").read_text().splitlines()):
        alone = pycocotools_run(coco, results, images=[int(row["image_id"])]).stats[1]
        assert (float(row["ap50"]) if row["ap50"] else -1) == pytest.approx(alone, abs=1e-5)
