"""A small data set with every kind of thing in it."""

from pathlib import Path

import numpy as np
import pytest
from made_up_labels import box
from PIL import Image

from wildbench.datasets.coco import Dataset, read_coco, write_coco

WIDTH, HEIGHT = 333, 250  # thirds and such do not come back from shares of an image bit by bit


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """Five images: lions (1), zebras (2), birds (7); one empty, one partly labelled, one with a crowd."""
    grey = Image.fromarray(np.full((HEIGHT, WIDTH, 3), 120, dtype=np.uint8))
    images = []
    for number in (11, 12, 13, 14, 15):
        grey.save(tmp_path / f"{number}.jpg")
        entry = {"id": number, "file_name": f"{number}.jpg", "width": WIDTH, "height": HEIGHT, "time_of_day": "dusk"}
        images.append(entry | ({"annotated_categories": ["lion"]} if number == 14 else {}))
    annotations = [
        box(1, 11, 1, [10.1, 20.2, 100.3, 90.7], area=5000.5, occlusion=0.25, truncated=True),
        box(2, 11, 2, [200, 30, 33, 44], occlusion=0),
        box(3, 12, 2, [50.33, 60.77, 20, 20], truncated=False),
        box(4, 12, 7, [100, 100, 60, 60]),
        box(5, 14, 1, [5, 5, 50, 50], segmentation=[[5, 5, 55, 5, 55, 55]]),
        box(6, 15, 1, [0, 0, 300, 200], iscrowd=1),
    ]
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}, {"id": 7, "name": "bird"}]
    write_coco({"images": images, "categories": categories, "annotations": annotations}, tmp_path / "set.json")
    return read_coco(tmp_path / "set.json", tmp_path)
