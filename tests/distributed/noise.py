"""A detector of noise over image ids: what a shard's process is in these tests, and runs by itself."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from wildbench.datasets.predictions import Detections
from wildbench.distributed import Images, Job, Row, Shard, run_shard

CATEGORIES = {1: "zebra", 2: "lion"}


def job(count: int, submission: str = "aa") -> tuple[Job, Images]:
    images = Images(np.arange(10, 10 + count), [f"{place:06}.jpg" for place in range(count)], {})
    return Job("noise.onnx", submission, "synthetic", count, images.sha256, {1: 1, 2: 2}, CATEGORIES), images


def answer(images: Images, place: int) -> Row:
    """Up to four boxes, the same whenever it is asked."""
    random = np.random.default_rng(place)
    count = int(random.integers(0, 5))
    boxes = random.uniform(1, 90, (count, 4)).round(3)
    ids, category_ids = np.full(count, images.ids[place]), random.integers(1, 3, count)
    return Row(place, Detections(ids, category_ids, boxes, scores=random.random(count)), f"{place:064x}")


def worker(images: Images, places: Iterator[int]) -> Iterator[Row]:
    for place in places:
        yield answer(images, place)


if __name__ == "__main__":
    folder, shard, count = sys.argv[1:]
    mine, pictures = job(int(count))
    run_shard(mine, pictures, Path(folder), [lambda places: worker(pictures, places)], shard=Shard.parse(shard))
