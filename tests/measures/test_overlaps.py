"""The mean IoU of the matches is that of pycocotools' matches, and its interval that of means of such numbers."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_reference import Coco, Results, pycocotools_run, random_set
from scoring import measure_accuracy, measure_errors

from wildbench.datasets.coco import Dataset
from wildbench.measures.accuracy import best_threshold
from wildbench.scorecard import Accuracy


def measure(coco: Coco, results: Results) -> Accuracy:
    return measure_accuracy(Dataset("x", None, coco, Path()), results)


def pairs(coco: Coco, results: Results, kind: str) -> tuple[list[tuple[float, float]], list[float], int]:
    """By pycocotools: score and IoU of each match at 0.5, scores of what finds nothing, and the number of boxes."""
    reference = pycocotools_run(coco, results, kind)
    matched, wrong, boxes = [], [], 0
    for record in reference.evalImgs:
        if record is None or record["aRng"] != reference.params.areaRng[0]:
            continue
        table = reference.ious[record["image_id"], record["category_id"]]
        # `ious` has the boxes in the order of the file, and the detections by falling score.
        place = {entry["id"]: at for at, entry in enumerate(reference._gts[record["image_id"], record["category_id"]])}
        boxes += sum(not ignored for ignored in record["gtIgnore"])
        for row, score in enumerate(record["dtScores"]):
            if record["dtIgnore"][0][row]:
                continue
            box = int(record["dtMatches"][0][row])
            if box:
                matched.append((score, float(table[row][place[box]])))
            else:
                wrong.append(score)
    return matched, wrong, boxes


def by_hand(coco: Coco, results: Results, kind: str = "bbox") -> tuple[float, int] | None:
    """Mean and number of the overlaps, with every threshold tried in turn."""
    matched, wrong, boxes = pairs(coco, results, kind)
    if not matched:
        return None

    def f1(threshold: float) -> float:
        found = sum(score >= threshold for score, _ in matched)
        return 2 * found / (found + sum(score >= threshold for score in wrong) + boxes)

    threshold = max({score for score, _ in matched} | set(wrong), key=lambda score: (f1(score), score))
    taken = [overlap for score, overlap in matched if score >= threshold]
    return math.fsum(taken) / len(taken), len(taken)


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_mean_of_pycocotools_matches(seed: int) -> None:
    coco, results = random_set(seed)
    found, expected = measure(coco, results).mean_iou50, by_hand(coco, results)
    assert found is not None
    assert (found.value, found.n) == ((None, 0) if expected is None else (pytest.approx(expected[0]), expected[1]))


@pytest.mark.parametrize("seed", range(100, 106))
def test_masks_have_their_own(seed: int) -> None:
    coco, results = random_set(seed, masks=True)
    masks, expected = measure(coco, results).masks, by_hand(coco, results, "segm")
    if masks is None or masks.mean_iou50 is None:
        assert not results
    else:
        assert masks.mean_iou50.value == (None if expected is None else pytest.approx(expected[0]))


@pytest.mark.parametrize("seed", range(12))
def test_the_threshold_is_that_of_the_image_scores(seed: int, tmp_path: Path) -> None:
    coco, results = random_set(seed)
    errors = measure_errors(Dataset("x", None, coco, Path()), results, images_file=tmp_path / "i.csv")
    matched, wrong, boxes = pairs(coco, results, "bbox")
    scores = np.array([score for score, _ in matched] + wrong)
    hits = np.arange(len(scores)) < len(matched)
    assert best_threshold(scores, hits, boxes) == errors.images.threshold.value


def lions(overlaps: list[float], **image: Any) -> tuple[Coco, Results]:
    """A lion an image, and a detection of this overlap with it."""
    images = [{"id": key, "width": 90, "height": 90} | image for key in range(1, len(overlaps) + 1)]
    truth = [
        {"id": key, "image_id": key, "category_id": 1, "bbox": [0.0, 0.0, 80.0, 80.0], "area": 6400.0, "iscrowd": 0}
        for key in range(1, len(overlaps) + 1)
    ]
    found = [
        {"image_id": key, "category_id": 1, "bbox": [0.0, 0.0, 80.0, 80.0 * overlap], "score": 0.9}
        for key, overlap in enumerate(overlaps, start=1)
    ]
    return {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": truth}, found


def test_what_is_not_found_takes_no_part() -> None:
    figure = measure(*lions([0.9, 0.7, 0.3])).mean_iou50
    assert figure is not None
    assert (figure.value, figure.n, figure.unit) == (pytest.approx(0.8), 2, "IoU")


def test_faint_detections_take_no_part() -> None:
    coco, results = lions([0.9] * 20)
    small = [entry | {"id": entry["id"] + 20, "bbox": [0.0, 0.0, 9.0, 9.0]} for entry in coco["annotations"]]
    coco["annotations"] += small
    one = results[0] | {"bbox": [0.0, 0.0, 9.0, 5.0], "score": 0.1}
    wrong = [one | {"bbox": [50.0 + step, 0.0, 9.0, 9.0], "score": 0.2} for step in range(9)]
    figure = measure(coco, [*results, *wrong, one]).mean_iou50
    assert figure is not None
    assert (figure.value, figure.n) == (pytest.approx(0.9), 20)


def test_the_interval_is_that_of_a_mean() -> None:
    """One match an image: 1.96 standard errors to either side, as for any mean of 200 independent numbers."""
    overlaps = np.random.default_rng(0).uniform(0.55, 0.95, 200)
    figure = measure(*lions(list(overlaps))).mean_iou50
    assert figure is not None
    assert figure.value == pytest.approx(overlaps.mean())
    assert figure.interval is not None
    half = 1.96 * overlaps.std(ddof=1) / math.sqrt(200)
    assert figure.interval[0] == pytest.approx(overlaps.mean() - half, abs=0.1 * half)
    assert figure.interval[1] == pytest.approx(overlaps.mean() + half, abs=0.1 * half)


def test_undefined_and_uncertain_are_said() -> None:
    coco, results = lions([0.9, 0.8])
    nothing, boxless = measure(coco, []).mean_iou50, measure(coco | {"annotations": []}, results).mean_iou50
    alone = measure(*lions([0.9, 0.8, 0.7], location="gate")).mean_iou50
    assert nothing is not None
    assert boxless is not None
    assert alone is not None
    assert (nothing.value, nothing.reason) == (None, "no detection finds a box")
    assert (boxless.value, boxless.reason) == (None, "no box in the split")
    assert (alone.interval, alone.caution) == (None, "all 3 matches are in one of the locations: no interval")
