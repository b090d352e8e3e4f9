"""The data set as files: COCO annotations and JPEGs, both from one pass over the plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import cv2
import numpy as np
from hotcoco import mask as rle
from numpy.typing import NDArray

from wildbench.categories import CATEGORIES, SPLITS
from wildbench.files import write_atomically
from wildbench.parksim._composition import Seen, compose
from wildbench.parksim._planning import ImagePlan, plan
from wildbench.parksim.scenes import HEIGHT, WIDTH
from wildbench.progress import Progress, silent

JPEG_QUALITY = 90
Record = dict[str, Any]
Pixels = NDArray[np.uint8]
Composed = tuple[ImagePlan, list[Seen], Pixels | None]


def generate(seed: int = 0, *, workers: int = 2) -> dict[str, Record]:
    """Make the annotations of every split: the same seed gives the same annotations on every machine.

    Args:
        seed: The whole plan follows from it; the bundled annotations are those of seed 0.
        workers: Threads that compose images; the result does not depend on it.

    Returns:
        Split name ("train", "val", "test") to COCO detection data. Boxes are xywh in pixels, from the visible pixels.
    """
    images = plan(seed)
    seen = {one.number: sights for one, sights, _ in composed(images, pixels=False, workers=workers)}
    splits = {split: _coco(split, seed) for split in SPLITS}
    number = 0
    for one in images:
        coco = splits[one.split]
        coco["images"].append(_image_record(one))
        for sight in seen[one.number]:
            number += 1
            coco["annotations"].append({"id": number, **annotation_of(one.number, sight)})
    return splits


def render(folder: Path, progress: Progress = silent, *, seed: int = 0, workers: int = 2) -> list[str]:
    """Render the pictures missing from a folder and return the names of all: about 90 seconds on two cores."""
    images = plan(seed)
    missing = [one for one in images if not (folder / file_name(one)).is_file()]
    done = len(images) - len(missing)
    progress("render parksim", done, len(images))
    for one, _, picture in composed(missing, pixels=True, workers=workers):
        assert picture is not None
        write_atomically(folder / file_name(one), encode_jpeg(picture))
        done += 1
        progress("render parksim", done, len(images))
    return [file_name(one) for one in images]


def picture_of(name: str, seed: int) -> bytes:
    """The JPEG of one picture by its file's name, rendered; nothing where the plan has none."""
    chosen = [one for one in plan(seed) if file_name(one) == name]
    return b"".join(
        encode_jpeg(picture) for *_, picture in composed(chosen, pixels=True, workers=1) if picture is not None
    )


def fresh_scenes(
    seed: int, split: str, count: int, *, workers: int = 2
) -> Iterator[tuple[Record, list[Record], Pixels]]:
    """Render scenes with animals before a split's cameras: image entry, annotations without ids, and RGB pixels.

    Args:
        seed: The plan follows from it; every seed has other animals in other places.
        split: "train", "val" or "test".
        count: How many, of about 150 in a split.
        workers: Threads that compose images.
    """
    planned = [one for one in plan(seed) if one.split == split and one.guests] if count else []
    for one, sights, picture in composed(planned[:count], pixels=True, workers=workers):
        assert picture is not None
        stored = cv2.imdecode(np.frombuffer(encode_jpeg(picture), np.uint8), cv2.IMREAD_COLOR_RGB)
        annotations = [annotation_of(one.number, sight) for sight in sights]
        yield _image_record(one), annotations, np.asarray(stored, dtype=np.uint8)


def file_name(image: ImagePlan) -> str:
    """The name of an image's file."""
    return f"{image.location:02d}_{image.number:04d}.jpg"


def encode_jpeg(picture: Pixels) -> bytes:
    """JPEG of an RGB picture."""
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return encoded.tobytes()


def composed(images: Iterable[ImagePlan], *, pixels: bool, workers: int) -> Iterator[Composed]:
    """Compose images on threads, one location per thread at a time; yields them as they finish, in no fixed order."""
    by_place = sorted(images, key=lambda one: one.location)
    places = [list(group) for _, group in groupby(by_place, key=lambda one: one.location)]
    done: SimpleQueue[Composed | None] = SimpleQueue()

    def work(place: list[ImagePlan]) -> None:
        try:
            for one in place:
                done.put((one, *compose(one, pixels=pixels)))
        finally:
            done.put(None)

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(work, place) for place in places]
        try:
            unfinished = len(places)
            while unfinished:
                item = done.get()
                if item is None:
                    unfinished -= 1
                else:
                    yield item
        finally:
            for future in futures:
                future.cancel()
        for future in futures:
            future.result()


def _coco(split: str, seed: int) -> Record:
    return {
        "info": {"description": f"parksim {split}: rendered camera-trap pictures", "seed": seed, "version": "1.0"},
        "licenses": [{"id": 1, "name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"}],
        "categories": [{"id": number, "name": name} for number, name in enumerate(CATEGORIES, start=1)],
        "images": [],
        "annotations": [],
    }


def _image_record(image: ImagePlan) -> Record:
    return {
        "id": image.number,
        "file_name": file_name(image),
        "width": WIDTH,
        "height": HEIGHT,
        "license": 1,
        "location": image.location,
        "time_of_day": image.time_of_day,
        "weather": image.weather,
    }


def annotation_of(image: int, sight: Seen) -> Record:
    """COCO annotation, still without its id, of what is visible of one animal."""
    rows, columns = np.flatnonzero(sight.mask.any(axis=1)), np.flatnonzero(sight.mask.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    runs = rle.encode(np.asfortranarray(sight.mask.astype(np.uint8)))
    return {
        "image_id": image,
        "category_id": CATEGORIES.index(sight.category) + 1,
        "bbox": [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1],
        "area": int(sight.mask.sum()),
        "segmentation": {"size": [HEIGHT, WIDTH], "counts": runs["counts"].decode("ascii")},
        "iscrowd": 0,
        "occlusion": sight.occlusion,
        "truncation": sight.truncation,
        "depth_order": sight.depth_order,
    }
