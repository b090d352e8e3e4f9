"""Animals by their size, and counts, one by one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coco_reference import random_set

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.measures.field import SHARES, SIDES, counts, counts_by_sequence, empty_filter, recall_by_size
from wildbench.measures.matching import Scored


def iou(one: Any, other: Any) -> float:
    sides = [min(one[a] + one[a + 2], other[a] + other[a + 2]) - max(one[a], other[a]) for a in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    return float(shared / (one[2] * one[3] + other[2] * other[3] - shared))


def found_boxes(scored: Scored, threshold: float) -> set[int]:
    """Ids of the boxes that are found, as COCO's greedy matching has it at IoU 0.5, by loops."""
    taken: set[int] = set()
    detections = sorted(
        (one for one in scored.detections.to_coco() if one["score"] >= threshold), key=lambda one: -one["score"]
    )
    ranks: dict[tuple[int, int], int] = {}
    for one in detections:
        pair = one["image_id"], one["category_id"]
        ranks[pair] = ranks.get(pair, 0) + 1
        if ranks[pair] > 100:
            continue
        open_to = [
            (iou(one["bbox"], box["bbox"]), box["id"])
            for box in scored.dataset.annotations
            if (box["image_id"], box["category_id"]) == pair and box["id"] not in taken and not box["iscrowd"]
        ]
        best = max(open_to, default=(0.0, -1))
        if best[0] >= 0.5:
            taken.add(best[1])
    return taken


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("by", ["share", "side"])
def test_recall_by_size_is_that_of_loops(seed: int, by: str) -> None:
    coco, results = random_set(seed)
    scored = Scored(Dataset("random", None, coco, Path()), Detections.from_coco(results))
    pictures = {image["id"]: image["width"] * image["height"] for image in coco["images"]}
    found = found_boxes(scored, 0.3)
    measured = recall_by_size(scored, 0.3, by=by)
    for place, (low, high) in enumerate((SHARES if by == "share" else SIDES).values()):
        boxes = []
        for one in coco["annotations"]:
            area = one["bbox"][2] * one["bbox"][3]
            size = area / pictures[one["image_id"]] if by == "share" else area**0.5
            if low <= size < high and not one["iscrowd"]:
                boxes.append(one["id"])
        assert measured.n[place] == len(boxes)
        if boxes:
            assert measured(None)[0, place] == pytest.approx(len(found.intersection(boxes)) / len(boxes))
        else:
            assert np.isnan(measured(None)[0, place])


def herd() -> Scored:
    """Three bursts: two zebras of which three are seen, one that is missed, and an empty one with a false alarm."""
    images = [{"id": n, "width": 100, "height": 100, "seq_id": "aabbcc"[n]} for n in range(6)]
    boxes = [(0, 0), (0, 50), (1, 0), (2, 0)]
    coco = {
        "images": images,
        "categories": [{"id": 1, "name": "zebra"}],
        "annotations": [
            {"id": n, "image_id": image, "category_id": 1, "bbox": [x, 0, 40, 40], "area": 1600, "iscrowd": 0}
            for n, (image, x) in enumerate(boxes, start=1)
        ],
    }
    seen = [(0, 0.9), (0, 0.8), (0, 0.7), (1, 0.9), (2, 0.1), (5, 0.6)]
    found = Detections(
        [image for image, _ in seen], [1] * 6, [[10 * n, 0, 40, 40] for n in range(6)], [score for _, score in seen]
    )
    return Scored(Dataset("herd", None, coco, Path()), found)


def test_counts_are_those_of_a_ranger() -> None:
    scored = herd()
    table = counts(scored, empty_filter(scored), 0.5)
    assert dict(zip(table.names, table(None)[0], strict=True)) == pytest.approx(
        {"error": 3 / 6, "bias": 1 / 6, "exact": 3 / 6}  # one too many, one missed, one that is nothing
    )
    table = counts_by_sequence(scored, empty_filter(scored), 0.5, np.array([0, 0, 1, 1, 2, 2]))
    assert dict(zip(table.names, table(None)[0], strict=True)) == pytest.approx(
        {"error": 1, "bias": 1 / 3, "exact": 0, "found": 1 / 2, "false": 1}
    )
    without = table(np.array([[0, 0, 1, 1, 1, 1]]))[0]
    assert dict(zip(table.names, without, strict=True))["found"] == 0
