"""Filling FiftyOne's database: the way wildbench does it beside FiftyOne's own."""

import time
from pathlib import Path
from typing import Any

from wildbench.curation.database import running
from wildbench.curation.named_predictions import NamedPredictions
from wildbench.curation.questions import Answers
from wildbench.datasets.coco import Dataset

IMAGES, DETECTIONS = 400, 20


def made_up() -> tuple[Dataset, NamedPredictions]:
    """Images with two boxes and some detections each."""
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, IMAGES + 1)]
    boxes: list[dict[str, Any]] = [
        {"id": 2 * i + k, "image_id": i, "category_id": 1, "bbox": [9.5, 9, 50, 60], "area": 3000, "iscrowd": 0}
        for i in range(1, IMAGES + 1)
        for k in (0, 1)
    ]
    coco = {"images": images, "categories": [{"id": 1, "name": "lion"}], "annotations": boxes}
    results = [
        {"image_id": i, "category_id": 1, "bbox": [9, 9, 50, 60], "score": 0.5}
        for i in range(1, IMAGES + 1)
        for _ in range(DETECTIONS)
    ]
    return Dataset("made up", None, coco, Path("/")), NamedPredictions("one", "one", results)


def test_images_are_written_many_times_faster_than_by_add_samples(tmp_path: Path) -> None:
    data, one = made_up()
    with running(tmp_path):
        import fiftyone

        from wildbench.curation.samples import add_samples

        answers = Answers({}, {"one": dict.fromkeys(range(len(one.results)), "correct")}, {}, {})
        ours, theirs = fiftyone.Dataset(), fiftyone.Dataset()
        start = time.perf_counter()
        add_samples(ours, data, [one], answers, kept={})
        middle = time.perf_counter()
        theirs.add_samples([sample.copy() for sample in ours.limit(IMAGES // 10)])
        end = time.perf_counter()
    assert (end - middle) * 10 / (middle - start) > 3
