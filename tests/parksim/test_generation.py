"""Annotations and pictures as files."""

import hashlib
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from wildbench.categories import SPLITS
from wildbench.datasets.coco import canonical_json, read_coco
from wildbench.datasets.label_checks import validate
from wildbench.datasets.registry import load_dataset
from wildbench.parksim import fresh_scenes, pictures
from wildbench.parksim._composition import compose
from wildbench.parksim._generation import annotation_of, encode_jpeg, file_name, generate
from wildbench.parksim._planning import plan
from wildbench.resources import bundled

FEW = [one for one in plan() if one.location in (7, 15)][::5]


@pytest.fixture(scope="module")
def bundle() -> dict[str, dict[str, Any]]:
    return {split: read_coco(bundled(f"annotations/parksim/{split}.json")).coco for split in SPLITS}


def _every_annotation(bundle: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [annotation for coco in bundle.values() for annotation in coco["annotations"]]


def test_bundled_annotations_have_no_findings(bundle: dict[str, dict[str, Any]]) -> None:
    assert [validate(coco, None) for coco in bundle.values()] == [[], [], []]


def test_bundle_has_1309_instances_at_least_15_percent_small(bundle: dict[str, dict[str, Any]]) -> None:
    area = np.array([annotation["area"] for annotation in _every_annotation(bundle)])
    assert len(area) == 1309
    assert (area < 32**2).mean() >= 0.15
    assert (area >= 96**2).mean() >= 0.2
    for coco in bundle.values():
        assert {annotation["category_id"] for annotation in coco["annotations"]} == set(range(1, 14))


def test_splits_share_no_location(bundle: dict[str, dict[str, Any]]) -> None:
    places = [{image["location"] for image in coco["images"]} for coco in bundle.values()]
    assert sum(map(len, places)) == len(set.union(*places)) == 20


def test_boxes_and_areas_are_those_of_the_masks(bundle: dict[str, dict[str, Any]]) -> None:
    for annotation in _every_annotation(bundle):
        encoded = annotation["segmentation"]
        assert annotation["area"] == coco_mask.area(encoded)
        assert annotation["bbox"] == coco_mask.toBbox(encoded).tolist()


def test_masks_of_one_image_do_not_overlap(bundle: dict[str, dict[str, Any]]) -> None:
    by_image = defaultdict(list)
    for annotation in _every_annotation(bundle):
        by_image[annotation["image_id"]].append(annotation)
    for annotations in by_image.values():
        together = coco_mask.merge([one["segmentation"] for one in annotations])
        assert coco_mask.area(together) == sum(one["area"] for one in annotations)
        assert sorted(one["depth_order"] for one in annotations) == list(range(len(annotations)))


def test_every_instance_shows_60_pixels_and_a_quarter_of_itself(bundle: dict[str, dict[str, Any]]) -> None:
    for one in _every_annotation(bundle):
        assert one["area"] >= 60
        assert (1 - one["occlusion"]) * (1 - one["truncation"]) >= 0.2499


def test_some_images_give_the_bundled_annotations_again(bundle: dict[str, dict[str, Any]]) -> None:
    stored = defaultdict(list)
    for annotation in _every_annotation(bundle):
        stored[annotation["image_id"]].append({key: annotation[key] for key in annotation if key != "id"})
    for one in FEW:
        assert [annotation_of(one.number, sight) for sight in compose(one, pixels=False)[0]] == stored[one.number]


@pytest.mark.slow
def test_everything_gives_the_bundled_annotations_again_byte_for_byte() -> None:
    for split, coco in generate(workers=3).items():
        assert canonical_json(coco).encode() == bundled(f"annotations/parksim/{split}.json").read_bytes()


def test_another_process_with_other_threads_gives_the_same_annotations_and_pixels() -> None:
    script = (  # two locations, so that two threads have something to do
        "import hashlib, sys\n"
        "from wildbench.parksim._generation import annotation_of, composed, encode_jpeg\n"
        "from wildbench.parksim._planning import plan\n"
        "few = [one for one in plan() if one.location in (7, 15)][::12]\n"
        "done = {one.number: ([annotation_of(one.number, sight) for sight in seen], encode_jpeg(picture))\n"
        "        for one, seen, picture in composed(few, pixels=True, workers=int(sys.argv[1]))}\n"
        "print(hashlib.sha256(repr(sorted(done.items())).encode()).hexdigest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", script, threads],
            env={**os.environ, "NUMBA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "2")
    }
    assert len(digests) == 1


def test_rendering_resumes_and_trusts_no_half_written_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildbench.parksim._generation.plan", lambda seed: FEW[:3])
    calls: list[tuple[int, int]] = []

    def progress(task: str, done: int, total: int) -> None:
        calls.append((done, total))

    folder = pictures(tmp_path, progress)
    rendered = {path.name: path.read_bytes() for path in folder.glob("*.jpg")}
    assert sorted(rendered) == sorted(file_name(one) for one in FEW[:3])
    assert calls == [(0, 3), (1, 3), (2, 3), (3, 3)]

    assert pictures(tmp_path, progress) == folder
    assert len(calls) == 4  # complete: nothing is rendered again

    for interrupted in (False, True):
        if interrupted:
            (folder / "complete").unlink()
        (folder / file_name(FEW[1])).unlink()
        del calls[:]
        pictures(tmp_path, progress)
        assert calls == [(2, 3), (3, 3)]  # only the missing one
        assert {path.name: path.read_bytes() for path in folder.glob("*.jpg")} == rendered


def test_a_changed_picture_is_rendered_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildbench.parksim._generation.plan", lambda seed: FEW[:3])
    folder = pictures(tmp_path)
    first, second, third = (folder / file_name(one) for one in FEW[:3])
    rendered = first.read_bytes()

    first.write_bytes(second.read_bytes())
    assert pictures(tmp_path) == folder
    assert first.read_bytes() == rendered

    first.write_bytes(second.read_bytes())  # and the list with it
    listed = (folder / "complete").read_text()
    sha256 = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in (second, third)}
    (folder / "complete").write_text(listed.replace(listed.split()[0], sha256[second]))
    pictures(tmp_path)
    assert first.read_bytes() == rendered
    assert (folder / "complete").read_text() == listed


def test_packages_that_render_other_bytes_keep_their_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wildbench.parksim._generation.plan", lambda seed: FEW[:2])
    monkeypatch.setattr("wildbench.parksim._generation.JPEG_QUALITY", 89)
    folder = pictures(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(times) == 3
    pictures(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == times


def test_published_hashes_are_those_of_the_renderer() -> None:
    published = dict(line.split()[::-1] for line in bundled("annotations/parksim/SHA256SUMS").read_text().splitlines())
    assert set(published) == {file_name(one) for one in plan()}
    for one in FEW[:2]:
        assert hashlib.sha256(_jpeg(one)).hexdigest() == published[file_name(one)]


def test_new_scenes_are_of_the_same_cameras_and_of_other_animals() -> None:
    made = list(fresh_scenes(4711, "test", 2))
    test = load_dataset("parksim", split="test", with_images=False)
    assert {image["location"] for image, _, _ in made} <= {image["location"] for image in test.images}
    for image, annotations, pixels in made:
        assert pixels.shape == (image["height"], image["width"], 3)
        assert annotations
        assert {entry["image_id"] for entry in annotations} == {image["id"]}
    boxes = {tuple(entry["bbox"]) for _, annotations, _ in made for entry in annotations}
    assert not boxes & {tuple(entry["bbox"]) for entry in test.annotations}


def test_pictures_are_photographs_with_a_caption_strip() -> None:
    night = next(one for one in FEW if one.time_of_day == "night")
    day = next(one for one in FEW if one.time_of_day == "day" and one.weather == "clear")
    decoded = {one: cv2.imdecode(np.frombuffer(_jpeg(one), np.uint8), cv2.IMREAD_COLOR) for one in (night, day)}
    assert decoded[night].shape == decoded[day].shape == (384, 512, 3)
    spread = {one: float(np.ptp(picture.astype(int), axis=2).mean()) for one, picture in decoded.items()}
    assert spread[night] < 2 < 15 < spread[day]
    assert decoded[day][:360].std() > 20


def _jpeg(one: Any) -> bytes:
    picture = compose(one)[1]
    assert picture is not None
    return encode_jpeg(picture)


def test_pictures_that_are_there_need_no_renderer() -> None:
    load_dataset("parksim", split="val", limit=1)  # renders them, where they are not there
    script = (
        "import sys\n"
        "from wildbench.datasets.registry import load_dataset\n"
        "assert load_dataset('parksim', split='val', limit=1).images\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
