import numpy as np
import pytest
from pycocotools import mask as coco_mask

from wildbench.datasets.detection_checks._other_readings import Located, agreeing, overlap, pairs


def of(boxes: object, image: object, category: object, score: object = None) -> Located:
    boxes = np.asarray(boxes, dtype=float).reshape(-1, 4)
    scores = np.ones(len(boxes)) if score is None else np.asarray(score, dtype=float)
    return Located(boxes, np.asarray(image, dtype=np.int64), np.asarray(category, dtype=np.int64), scores)


def test_overlap_is_that_of_pycocotools() -> None:
    rng = np.random.default_rng(0)
    boxes, others = rng.uniform(0, 40, (2, 200, 4))
    expected = [coco_mask.iou([box], [other], [0])[0, 0] for box, other in zip(boxes, others, strict=True)]
    assert overlap(boxes, others) == pytest.approx(expected, abs=1e-12)


def test_boxes_without_area_overlap_nothing() -> None:
    flat = np.array([[1.0, 1, 0, 5], [1, 1, -3, -3]])
    assert overlap(flat, flat).tolist() == [0.0, 0.0]


def slow_pairs(labels: Located, detections: Located) -> set[tuple[int, int]]:
    """The same, image by image."""
    found = set()
    for image in set(labels.image.tolist()):
        wanted = np.flatnonzero(labels.image == image)
        offered = np.flatnonzero(detections.image == image)
        best = offered[np.argsort(-detections.score[offered], kind="stable")][: len(wanted)]
        found |= {
            (int(d), int(w)) for d in best for w in wanted if detections.category[d] == labels.category[w]
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
