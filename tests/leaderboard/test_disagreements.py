"""Which images are shown: counted by hand on a data set made up for it."""

import base64
import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from wildbench.datasets.coco import Dataset
from wildbench.leaderboard.page._disagreements import WIDTH, overlap, pictures

SIZE = (960, 640)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    images = [{"id": i, "file_name": f"{i}.png", "width": SIZE[0], "height": SIZE[1]} for i in range(1, 7)]
    for image in images:
        Image.new("RGB", SIZE, (40 * image["id"], 90, 30)).save(tmp_path / image["file_name"])
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}]
    label = {"id": 1, "image_id": 4, "category_id": 1, "bbox": [96, 64, 96, 64], "area": 6144, "iscrowd": 0}
    return Dataset("made up", None, {"images": images, "categories": categories, "annotations": [label]}, tmp_path)


def found(image: int, x: float, score: float = 0.9, category: int = 1) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": [x, 64, 96, 64], "score": score}


def test_the_images_with_most_differences_come_first(data: Dataset) -> None:
    dense = [found(1, 0), found(2, 0), found(4, 96), found(4, 400), found(6, 10)]
    compressed = [
        found(1, 8),  # the same lion, a little aside
        found(2, 0, category=2),  # another category: two differences
        found(4, 96),  # one of two lions lost: one difference
        found(5, 300),  # one more: one difference
        found(6, 10, score=0.2),  # below its threshold: one difference
    ]
    shown = pictures(data, dense, compressed, (0.5, 0.5))
    assert [picture.file_name for picture in shown] == ["2.png", "4.png", "5.png"]
    assert [(seen.category, seen.alone) for seen in shown[1].dense] == [("lion", False), ("lion", True)]
    assert [(seen.category, seen.alone) for seen in shown[1].compressed] == [("lion", False)]
    assert [seen.box for seen in shown[1].labels] == [(0.1, 0.1, 0.1, 0.1)]
    assert shown[1].labels[0].score is None
    assert [seen.alone for seen in shown[2].compressed] == [True]


def test_each_detection_is_paired_once_and_with_the_nearest(data: Dataset) -> None:
    (picture,) = pictures(data, [found(1, 0), found(1, 30)], [found(1, 29)], (0.0, 0.0))
    assert [seen.alone for seen in picture.dense] == [True, False]


def test_who_agrees_has_no_pictures(data: Dataset) -> None:
    assert pictures(data, [found(1, 0)], [found(1, 0)], (0.5, 0.5)) == []


def test_a_picture_is_small_and_the_same_each_time(data: Dataset) -> None:
    one, two = (pictures(data, [found(4, 0)], [], (0.5, 0.5)) for _ in range(2))
    assert one == two
    stored = Image.open(io.BytesIO(base64.b64decode(one[0].jpeg.split(",")[1])))
    assert stored.size == (WIDTH, 320)
    assert (one[0].width, one[0].height) == SIZE


def test_overlap_of_boxes_apart_and_of_none() -> None:
    assert overlap([0, 0, 1, 1], [2, 2, 1, 1]) == 0
    assert overlap([0, 0, 0, 0], [0, 0, 0, 0]) == 0
