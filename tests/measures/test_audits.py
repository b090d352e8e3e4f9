"""Audits: detectors that look at the pictures pass, whatever knows the labels by heart does not."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from wildbench.datasets.coco import Dataset, Labels
from wildbench.datasets.images import decode
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.measures.audits import alter, audit_exact, run_audits
from wildbench.measures.audits._alteration import moved
from wildbench.measures.matching import Scored
from wildbench.scorecard import Audit, Figure

COLOURS = {1: (220, 30, 30), 2: (30, 30, 220)}
Pixels = np.ndarray
Detect = Callable[[int, Pixels], Detections]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Red and blue rectangles on grey, boxed by a hand that is off by a pixel or so."""
    folder, rng = tmp_path_factory.mktemp("rectangles"), np.random.default_rng(0)
    images, annotations = [], []
    for number in range(1, 49):
        picture = rng.integers(90, 140, (96, 128, 3), dtype=np.uint8)
        for column in (0, 64):
            category = int(rng.integers(1, 3))
            wide, high = rng.integers(20, 40, 2).tolist()
            x, y = column + int(rng.integers(4, 60 - wide)), int(rng.integers(4, 92 - high))
            picture[y : y + high, x : x + wide] = COLOURS[category]
            left, top, right, low = rng.uniform(-1, 1, 4).tolist()
            box = [x + left, y + top, wide + right - left, high + low - top]
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": category, "iscrowd": 0}
            annotations.append(entry | {"bbox": box, "area": box[2] * box[3]})
        cv2.imwrite(str(folder / f"{number}.png"), picture[..., ::-1])
        images.append({"id": number, "file_name": f"{number}.png", "width": 128, "height": 96})
    categories = [{"id": 1, "name": "red"}, {"id": 2, "name": "blue"}]
    coco = {"images": images, "annotations": annotations, "categories": categories}
    return Dataset("rectangles", None, coco, folder)


def look(image_id: int, pixels: Pixels) -> Detections:
    """Find what is red or blue."""
    boxes, categories = [], []
    for category, colour in COLOURS.items():
        near = np.abs(pixels.astype(int) - colour).sum(axis=2) < 150
        count, _, regions, _ = cv2.connectedComponentsWithStats(near.astype(np.uint8))
        for region in regions[1:count]:
            if region[4] > 60:
                boxes.append(region[:4])
                categories.append(category)
    many = len(boxes)
    return Detections(
        np.full(many, image_id), categories, np.reshape(boxes, (-1, 4)), scores=np.linspace(0.9, 0.8, many)
    )


def remember(data: Dataset, otherwise: Detect | None = None, jitter: float = 0.0) -> Detect:
    """Answer with the labels of the stored picture that is nearest; the stored ones alone where `otherwise` looks."""
    keys = np.array([_key(decode(data.image_path(image))) for image in data.images])
    rng = np.random.default_rng(1)

    def detect(image_id: int, pixels: Pixels) -> Detections:
        far = np.abs(keys - _key(pixels)).mean(axis=1)
        if otherwise and far.min() > 1:
            return otherwise(image_id, pixels)
        known = data.labels.of_image(data.images[int(far.argmin())]["id"])
        boxes = known.boxes + rng.uniform(-jitter, jitter, known.boxes.shape)
        return Detections(np.full(len(known), image_id), known.category_ids, boxes, scores=np.full(len(known), 0.95))

    return detect


def _key(pixels: Pixels) -> np.ndarray:
    return cv2.resize(pixels, (8, 8), interpolation=cv2.INTER_AREA).astype(float).ravel()


def scored(data: Dataset, detect: Detect) -> Scored:
    parts = [detect(image["id"], decode(data.image_path(image))) for image in data.images]
    return Scored(data, Detections.concatenate(parts))


def test_a_detector_that_looks_passes(data: Dataset) -> None:
    found = scored(data, look)
    assert found.matches.overlap.mean() > 0.85
    assert audit_exact(found).passed
    altered, fresh = run_audits(look, found, seed=3)
    assert altered.passed
    assert abs(altered.measured.value) < 0.1
    assert altered.evidence["ap_scored"].value > 0.5
    assert altered.measured.n == 24
    assert fresh.passed is None
    assert fresh.measured is None


@pytest.mark.parametrize("jitter", [0.0, 0.4])
@pytest.mark.parametrize("otherwise", [None, lambda image_id, pixels: look(image_id, pixels)[:1]])
def test_labels_by_heart_fail(data: Dataset, otherwise: Detect | None, jitter: float) -> None:
    """A table, and a table beside a detector that finds half."""
    detect = remember(data, otherwise, jitter)
    found = scored(data, detect)
    assert audit_exact(found).failed == (jitter == 0)
    assert run_audits(detect, found, seed=3)[0].failed


def test_one_seed_is_one_audit(data: Dataset) -> None:
    found = scored(data, look)

    def figures(seed: int | None) -> tuple[int | None, dict[str, float | None]]:
        audit = run_audits(look, found, seed=seed)[0]
        return audit.seed, {name: one.value for name, one in audit.evidence.items() if name != "time"}

    assert figures(3) == figures(3)
    assert figures(3) != figures(4)
    seed, drawn = figures(None)
    assert figures(seed) == (seed, drawn)
    assert figures(None)[0] != seed


def test_few_images_tell_nothing(data: Dataset) -> None:
    few = data.take(8)
    found = scored(few, remember(few))
    assert audit_exact(found).passed is None
    assert [audit.passed for audit in run_audits(look, found)] == [None, None]


def test_boxes_follow_their_picture(data: Dataset) -> None:
    rng = np.random.default_rng(5)
    for image in data.images[:10]:
        pixels, window = alter(decode(data.image_path(image)), rng)
        before, after = moved(data, {image["id"]: window})
        assert pixels.shape == (96, 128, 3)
        assert len(before.annotations) == 2
        whole = Labels.from_coco([entry for entry in after.annotations if not entry["iscrowd"]])
        again = Scored(after, look(image["id"], pixels)).matches
        assert (again.overlap > 0.8).sum() >= len(whole)
        assert [one["iscrowd"] for one in before.annotations if one["id"] in whole.ids] == [0] * len(whole)


def test_a_table_of_parksim_finds_nothing_in_new_scenes() -> None:
    data = load_dataset("parksim", split="test", limit=40)
    detect = remember(data)
    fresh = run_audits(detect, scored(data, detect), seed=11)[1]
    assert fresh.failed
    assert fresh.evidence["ap_scored"].value == 1
    assert fresh.evidence["ap_audited"].value < 0.1
    assert fresh.measured.n == 10


def test_categories_that_the_detector_does_not_know_are_left_out(data: Dataset) -> None:
    def reds(image_id: int, pixels: Pixels) -> Detections:
        found = look(image_id, pixels)
        return found[found.category_ids == 1]

    found = replace(scored(data, reds), known=frozenset([1]))
    altered = run_audits(reds, found, seed=3)[0]
    assert altered.passed
    assert altered.evidence["pooled_ap_scored"].value > 0.5


def test_a_verdict_is_that_of_its_figures() -> None:
    figure = Figure(value=0.5, unit="AP", n=3)
    with pytest.raises(ValidationError):
        Audit(name="a", passed=True, measured=figure, bound=0.4, explanation="")
    assert Audit(name="a", passed=False, measured=figure, bound=0.4, explanation="").failed
