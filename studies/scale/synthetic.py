"""Images that are ids alone, their boxes, and a detector that finds some of them and invents others, in no time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wildbench.datasets.coco import Floats
from wildbench.datasets.predictions import Detections
from wildbench.distributed import Images, Job, Row

CATEGORIES = {1: "zebra", 2: "lion", 3: "elephant"}
PER_LOCATION = 500
WIDTH, HEIGHT = 1280, 960


def boxes_of(place: int) -> tuple[list[int], Floats]:
    """Categories and boxes of the image at a place: every second image is empty, others have one to three."""
    random = np.random.default_rng([1, place])
    count = 0 if place % 2 else int(random.integers(1, 4))
    corners, sides = random.uniform(0, 700, (count, 2)), random.uniform(16, 250, (count, 2))
    return random.integers(1, len(CATEGORIES) + 1, count).tolist(), np.hstack([corners, sides]).round(1)


def write_labels(path: Path, count: int) -> None:
    """Write the labels, line by line."""
    with path.open("w", encoding="utf-8") as file:
        file.write('{"categories": [')
        file.write(", ".join(json.dumps({"id": key, "name": name}) for key, name in CATEGORIES.items()))
        file.write('],\n"images": [\n')
        for place in range(count):
            image = {"id": place + 1, "file_name": f"{place:08}.jpg", "width": WIDTH, "height": HEIGHT}
            image["location"] = f"L{place // PER_LOCATION}"
            file.write(json.dumps(image) + (",\n" if place < count - 1 else '],\n"annotations": [\n'))
        number = 0
        for place in range(count):
            for category, box in zip(*boxes_of(place), strict=True):
                number += 1
                entry = {"id": number, "image_id": place + 1, "category_id": category, "bbox": box.tolist()}
                file.write((",\n" if number > 1 else "") + json.dumps(entry | {"area": box[2] * box[3], "iscrowd": 0}))
        file.write("]}\n")


def job_of(count: int, detector: int) -> tuple[Job, Images]:
    """The job of the detector with this number."""
    images = Images(np.arange(1, count + 1), [f"{place:08}.jpg" for place in range(count)], {})
    labels = {key: key for key in CATEGORIES}
    return Job(f"noise-{detector}", f"{detector}", "synthetic", count, images.sha256, labels, CATEGORIES), images


def answers(detector: int, places: Iterator[int]) -> Iterator[Row]:
    """Each box moved a little, or missed, and one or two that are not there."""
    for place in places:
        random = np.random.default_rng([2, detector, place])
        categories, boxes = boxes_of(place)
        seen = random.random(len(boxes)) > 0.15
        moved = np.abs(boxes[seen] + random.normal(0, 6, (int(seen.sum()), 4)))
        false = int(random.integers(1, 3))
        invented = random.uniform(16, 400, (false, 4))
        scores = np.r_[random.beta(4, 2, len(moved)), random.beta(1.5, 5, false)]
        kinds = np.r_[np.array(categories, dtype=np.int64)[seen], random.integers(1, len(CATEGORIES) + 1, false)]
        everything = np.vstack([moved, invented]).round(2)
        yield Row(place, Detections(np.full(len(kinds), place + 1), kinds, everything, scores=scores.round(6)))
