"""A made-up herd, and detectors that differ in the scores of what they see in images without an animal."""

import json
from pathlib import Path

import numpy as np

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.evaluation import score

BOX, FOUND = [10, 10, 40, 40], [12, 10, 40, 40]


def herd(images: int = 120, locations: int = 30, categories: int = 1) -> Dataset:
    """Two thirds with a lion; those of a location are alike in nothing."""
    coco = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100, "location": n % locations, "time": n % 2}
            for n in range(images)
        ],
        "categories": [{"id": 1 + n, "name": name} for n, name in enumerate(("lion", "rhino")[:categories])],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "bbox": BOX, "area": 1600, "iscrowd": 0}
            for n in range(images)
            if n % 3
        ],
    }
    return Dataset("herd", None, coco, Path())


def detections(data: Dataset, seed: int, shift: float = 0.0) -> Detections:
    """Scores of the animal images around 0.6, of the others around 0.1 and the shift."""
    rng = np.random.default_rng(seed)
    animal = np.array([image["id"] % 3 > 0 for image in data.images])
    scores = np.where(animal, 0.6, 0.1 + shift) + rng.normal(0, 0.12, len(animal))
    many = len(animal)
    return Detections(np.arange(many), [1] * many, [FOUND] * many, scores=scores.clip(0, 1).round(3))


def cards_of(folder: Path, **shifts: float) -> list[Path]:
    """A scorecard for each name, by the shift of its scores; the data set is `herd.json` in the folder."""
    data = herd()
    (folder / "herd.json").write_text(json.dumps(data.coco))
    for name, shift in shifts.items():
        (folder / f"{name}.json").write_text(json.dumps(detections(data, 1, shift).to_coco()))
        score(folder / f"{name}.json", dataset=folder / "herd.json", out=folder / "cards" / f"{name}.json")
    return [folder / "cards" / f"{name}.json" for name in shifts]
