"""Each detection meets the box that pycocotools gives it."""

import copy
from pathlib import Path

import numpy as np
import pytest
from coco_reference import Coco, Results, pycocotools_run, random_set
from scoring import match

from wildbench.datasets.coco import Dataset
from wildbench.measures.matching import FALSE, IGNORED, TRUE, Matches


def own(coco: Coco, results: Results, kind: str = "bbox") -> Matches:
    return match(Dataset("random", None, copy.deepcopy(coco), Path()), results, kind=kind)


def assert_matches(matches: Matches, coco: Coco, results: Results, kind: str = "bbox") -> None:
    """Compare what became of every detection, and the number of boxes, with each image's record by pycocotools."""
    reference = pycocotools_run(coco, results, kind)
    images = sorted(image["id"] for image in coco["images"])
    boxes = np.zeros((len(coco["categories"]), 4, len(images)), dtype=int)
    np.add.at(boxes, tuple(matches.boxes.T), 1)
    records = iter(reference.evalImgs)
    compared = 0
    for category in range(len(coco["categories"])):
        span = slice(matches.start[category], matches.start[category + 1])
        for area in range(4):
            for image in range(len(images)):
                record = next(records)
                here = matches.image[span] == image
                if record is None:
                    assert not here.any()
                    assert boxes[category, area, image] == 0
                    continue
                expected = np.where(record["dtMatches"] > 0, TRUE, FALSE)
                expected[record["dtIgnore"].astype(bool)] = IGNORED
                assert (matches.outcome[area, :, span][:, here] == expected).all()
                assert (matches.score[span][here] == record["dtScores"]).all()
                assert (matches.place[span][here] == np.arange(here.sum())).all()
                assert boxes[category, area, image] == np.count_nonzero(record["gtIgnore"] == 0)
                compared += 1
        assert (np.diff(matches.score[span]) <= 0).all()
    assert compared or not (coco["annotations"] or results)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_are_matched_as_by_pycocotools(seed: int) -> None:
    coco, results = random_set(seed)
    assert_matches(own(coco, results), coco, results)


@pytest.mark.parametrize("seed", range(100, 110))
def test_masks_are_matched_as_by_pycocotools(seed: int) -> None:
    coco, results = random_set(seed, masks=True)
    assert_matches(own(coco, results, "segm"), coco, results, "segm")


def test_what_is_not_boxed_exhaustively_takes_no_part() -> None:
    coco, results = random_set(3)
    names = sorted(category["name"] for category in coco["categories"])
    for image in coco["images"]:
        image["annotated_categories"] = names[:1]
    listed = {entry["id"] for entry in coco["categories"] if entry["name"] == names[0]}
    expected = copy.deepcopy(coco)
    expected["annotations"] = [entry for entry in coco["annotations"] if entry["category_id"] in listed]
    assert_matches(own(coco, results), expected, [entry for entry in results if entry["category_id"] in listed])


def test_a_category_that_the_detector_does_not_know_has_nothing_to_find() -> None:
    coco, results = random_set(3)
    known = {coco["annotations"][0]["category_id"]}
    matches = match(Dataset("random", None, coco, Path()), results, scored_categories=known)
    order = sorted(entry["id"] for entry in coco["categories"])
    assert set(matches.boxes[:, 0]) == {order.index(category) for category in known}
    assert {int(category) for category in np.flatnonzero(np.diff(matches.start))} <= set(matches.boxes[:, 0])
