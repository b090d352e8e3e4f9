"""A weighted set scores as the set with its images duplicated, by pycocotools."""

import copy
from pathlib import Path

import numpy as np
import pytest
from coco_reference import Coco, Results, pycocotools_run, random_set
from scoring import match

from wildbench.datasets.coco import Dataset
from wildbench.measures.uncertainty._reweighting import RECALL_POINTS, lay_out, reweighted

AREAS, LEVELS, LIMITS = 4, 10, 3


def weighted(coco: Coco, results: Results, weights: np.ndarray, kind: str = "bbox") -> tuple[np.ndarray, np.ndarray]:
    """Average precision and recall under rows of weights; images in the order of their ids."""
    layout = lay_out(match(Dataset("random", None, coco, Path()), results, kind=kind))
    shape = (len(weights), len(coco["categories"]), AREAS)
    precision, recall = np.empty((*shape, LEVELS)), np.empty((*shape, LIMITS))
    reweighted(layout, weights.astype(np.int32), RECALL_POINTS, precision, recall)
    return precision, recall


def duplicated(coco: Coco, results: Results, weight: np.ndarray) -> tuple[Coco, Results]:
    """The set with each image as often as its weight says, copies next to each other under ids of their own."""
    images, annotations, found = [], [], []
    for image, times in zip(sorted(coco["images"], key=lambda image: image["id"]), weight, strict=True):
        for _ in range(times):
            own = {"image_id": len(images) + 1}
            images.append(image | {"id": len(images) + 1})
            for entry in coco["annotations"]:
                if entry["image_id"] == image["id"]:
                    annotations.append(copy.deepcopy(entry) | own | {"id": len(annotations) + 1})
            found += [copy.deepcopy(entry) | own for entry in results if entry["image_id"] == image["id"]]
    return coco | {"images": images, "annotations": annotations}, found


def by_brute_force(coco: Coco, results: Results, weight: np.ndarray, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """[category, area, threshold] and [category, area, limit], as `weighted` for one row."""
    if not weight.any():
        shape = (len(coco["categories"]), AREAS)
        return np.full((*shape, LEVELS), np.nan), np.full((*shape, LIMITS), np.nan)
    arrays = pycocotools_run(*duplicated(coco, results, weight), kind).eval
    precision, recall = (np.where(arrays[name] < 0, np.nan, arrays[name]) for name in ("precision", "recall"))
    return precision[..., 2].mean(axis=1).transpose(1, 2, 0), recall.mean(axis=0)


def assert_equal_by_brute_force(coco: Coco, results: Results, weights: np.ndarray, kind: str = "bbox") -> None:
    precision, recall = weighted(coco, results, weights, kind)
    for row, weight in enumerate(weights):
        expected = by_brute_force(coco, results, weight, kind)
        np.testing.assert_allclose(precision[row], expected[0], rtol=0, atol=1e-12)
        np.testing.assert_allclose(recall[row], expected[1], rtol=0, atol=1e-12)


def drawn(coco: Coco, seed: int, rows: int = 3) -> np.ndarray:
    many = len(coco["images"])
    return np.random.default_rng(seed).multinomial(many, [1 / many] * many, size=rows)


@pytest.mark.parametrize("seed", range(40))
def test_boxes_score_as_the_duplicated_set_does(seed: int) -> None:
    coco, results = random_set(seed)
    ones = np.ones((1, len(coco["images"])), dtype=int)
    assert_equal_by_brute_force(coco, results, np.concatenate([ones, 3 * ones, drawn(coco, seed)]))


@pytest.mark.parametrize("seed", range(100, 110))
def test_masks_score_as_the_duplicated_set_does(seed: int) -> None:
    coco, results = random_set(seed, masks=True)
    assert_equal_by_brute_force(coco, results, drawn(coco, seed, rows=2), "segm")


def tied(seed: int) -> tuple[Coco, Results]:
    """Few images with many boxes, and scores of one decimal: runs of equal scores within images and between them."""
    rng = np.random.default_rng(seed)
    coco: Coco = {
        "images": [{"id": key, "file_name": f"{key}.jpg", "width": 200, "height": 200} for key in range(1, 7)],
        "categories": [{"id": key, "name": f"animal {key}"} for key in (1, 2)],
        "annotations": [],
    }
    results: Results = []
    for image_id in range(1, 7):
        for place in range(9):
            x, y, side = 65.0 * (place % 3), 65.0 * (place // 3), float(rng.choice([20, 32, 50]))
            entry = {"image_id": image_id, "category_id": int(rng.integers(1, 3)), "bbox": [x, y, side, side]}
            if rng.random() < 0.7:
                crowd = int(rng.random() < 0.1)
                own = entry | {"id": len(coco["annotations"]) + 1, "area": side * side, "iscrowd": crowd}
                coco["annotations"].append(own)
            for _ in range(int(rng.integers(0, 4))):
                box = [x + rng.normal(0, 2), y + rng.normal(0, 2), side * rng.uniform(0.8, 1.2), side]
                results.append(entry | {"bbox": box, "score": round(float(rng.uniform(0.1, 0.4)), 1)})
    return coco, results


@pytest.mark.parametrize("seed", range(12))
def test_equal_scores_come_again_in_turn(seed: int) -> None:
    coco, results = tied(seed)
    assert_equal_by_brute_force(coco, results, np.random.default_rng(seed).integers(0, 5, (4, 6)))


def test_a_category_without_boxes_in_a_replicate_is_undefined_there() -> None:
    coco, results = tied(0)
    coco["annotations"] = [
        entry for entry in coco["annotations"] if entry["image_id"] == 1 or entry["category_id"] == 2
    ]
    precision, recall = weighted(coco, results, np.array([[0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]]))
    assert np.isnan(precision[0, 0]).all()
    assert np.isnan(recall[0, 0]).all()
    assert not np.isnan(precision[1, 0, 0]).any()
    assert not np.isnan(precision[0, 1, 0]).any()
