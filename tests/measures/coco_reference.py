"""What accuracy is compared with: pycocotools itself, and sets that are hard to score."""

import contextlib
import copy
import io
from typing import Any

import numpy as np
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

Coco = dict[str, Any]
Results = list[dict[str, Any]]
HEIGHT, WIDTH = 150, 200


def pycocotools_run(
    coco: Coco,
    results: Results,
    kind: str = "bbox",
    *,
    categories: list[int] | None = None,
    images: list[int] | None = None,
) -> COCOeval:
    """Score with pycocotools, on all or on some categories and images."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(coco)
        truth.createIndex()
        if results:
            found = truth.loadRes(copy.deepcopy(results))
        else:  # loadRes looks at the first result
            found = COCO()
            found.dataset = truth.dataset | {"annotations": []}
            found.createIndex()
        reference = COCOeval(truth, found, kind)
        reference.params.catIds = categories or reference.params.catIds
        reference.params.imgIds = images or reference.params.imgIds
        reference.evaluate()
        reference.accumulate()
        reference.summarize()
    return reference


def random_set(seed: int, *, masks: bool = False) -> tuple[Coco, Results]:
    """Ground truth and detections with ties, crowds, empty images and categories, and up to 160 detections an image."""
    rng = np.random.default_rng(seed)
    digits = int(rng.choice([0, 1, 6]))  # whole pixels make equal overlaps, and areas at the very borders of the ranges
    category_ids = [int(number) for number in rng.choice(90, int(rng.integers(1, 7)), replace=False)]
    image_ids = [int(number) for number in rng.choice(5000, int(rng.integers(1, 9)), replace=False)]
    truth: list[dict[str, Any]] = []
    results: Results = []
    for image_id in image_ids:
        own = []
        for _ in range(int(rng.choice([0, 1, 3, 12]))):
            box = _random_box(rng, digits)
            own.append(
                {
                    "id": len(truth) + len(own) + 1,
                    "image_id": image_id,
                    "category_id": int(rng.choice(category_ids[: max(1, len(category_ids) - 1)])),
                    "bbox": box,
                    "area": float(rng.choice([box[2] * box[3], 0.7 * box[2] * box[3], 1024.0, 9216.0])),
                    "iscrowd": int(rng.random() < 0.15),
                }
            )
        truth += own
        results += _random_results(rng, image_id, own, category_ids, digits)
    rng.shuffle(results)
    if masks:
        for entry in truth:
            entry["segmentation"] = (
                _random_rle(rng, entry["bbox"]) if entry["iscrowd"] else _polygon(rng, entry["bbox"])
            )
        for entry in results:
            drawn = _polygon if min(entry["bbox"][2:]) > 0 and rng.random() < 0.5 else _random_rle
            entry["segmentation"] = drawn(rng, entry["bbox"])
    images = [{"id": key, "file_name": f"{key}.jpg", "width": WIDTH, "height": HEIGHT} for key in image_ids]
    categories = [{"id": key, "name": f"animal {key}"} for key in category_ids]
    return {"images": images, "annotations": truth, "categories": categories}, results


def _random_box(rng: np.random.Generator, digits: int) -> list[float]:
    sides = np.exp(rng.uniform(0, np.log(140), 2))
    corner = rng.uniform(0, 1, 2) * ([WIDTH, HEIGHT] - sides)
    return [round(float(value), digits) for value in (*corner, *np.maximum(sides, 1))]


def _random_results(
    rng: np.random.Generator, image_id: int, truth: Results, category_ids: list[int], digits: int
) -> Results:
    """Detections near the boxes and anywhere; scores coarse, fine, float32 or all equal."""
    scores = [
        lambda: round(float(rng.random()), 1),
        lambda: float(rng.random()),
        lambda: float(np.float32(rng.random())),
        lambda: 0.5,
    ]
    score = scores[int(rng.integers(len(scores)))]
    results = []
    for _ in range(int(rng.choice([0, 4, 20, 160]))):
        box, category = _random_box(rng, digits), int(rng.choice(category_ids))
        if truth and rng.random() < 0.8:
            near = truth[int(rng.integers(len(truth)))]
            moved = np.array(near["bbox"]) + rng.normal(0, rng.choice([0.0, 1.0, 6.0]), 4)
            box, category = [round(float(value), digits) for value in moved], near["category_id"]
        box = [*box[:2], max(box[2], 0.0), max(box[3], 0.0)]
        results.append({"image_id": image_id, "category_id": category, "bbox": box, "score": score()})
    return results


def _polygon(rng: np.random.Generator, box: list[float]) -> list[list[float]]:
    angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
    centre, radius = np.array(box[:2]) + np.array(box[2:]) / 2, np.array(box[2:]) / 2
    points = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
    return [[float(value) for value in points.reshape(-1)]]


def _random_rle(rng: np.random.Generator, box: list[float]) -> dict[str, Any]:
    """A box with holes, run-length encoded."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    left, top, width, height = (max(round(value), 0) for value in box)
    mask[top : top + height, left : left + width] = 1
    mask &= (rng.random(mask.shape) > rng.choice([0, 0.3])).astype(np.uint8)
    encoded = rle.encode(np.asfortranarray(mask))
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}
