"""A real detector's detections, written down wrongly in every way: each is seen through."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from scoring import suspect

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import read_predictions
from wildbench.datasets.registry import load_dataset
from wildbench.resources import bundled

W, H = 512, 384
Results = list[dict[str, Any]]


@pytest.fixture(scope="module")
def data() -> Dataset:
    return load_dataset("parksim", with_images=False)


@pytest.fixture(scope="module")
def results(data: Dataset) -> Results:
    return read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data).to_coco()


def padded(x: float, y: float, w: float, h: float, size: int = 416) -> list[float]:
    """Pixels of a square input with the picture in its middle."""
    scale = size / W
    return [x * scale, y * scale + (size - H * scale) / 2, w * scale, h * scale]


FORMS: dict[str, tuple[str, Callable[[float, float, float, float], list[float]]]] = {
    "corners": ("detections-xyxy", lambda x, y, w, h: [x, y, x + w, y + h]),
    "centres": ("detections-cxcywh", lambda x, y, w, h: [x + w / 2, y + h / 2, w, h]),
    "y first": ("detections-transposed", lambda x, y, w, h: [y, x, h, w]),
    "corners, y first": ("detections-yxyx", lambda x, y, w, h: [y, x, y + h, x + w]),
    "shares": ("detections-normalised", lambda x, y, w, h: [x / W, y / H, w / W, h / H]),
    "half size": ("detections-rescaled", lambda x, y, w, h: [x / 2, y / 2, w / 2, h / 2]),
    "a quarter more": ("detections-rescaled", lambda x, y, w, h: [1.25 * x, 1.25 * y, 1.25 * w, 1.25 * h]),
    "stretched to 320": (
        "detections-rescaled",
        lambda x, y, w, h: [320 * x / W, 320 * y / H, 320 * w / W, 320 * h / H],
    ),
    "padded to 416": ("detections-rescaled", padded),
    "left for right": ("detections-mirrored-x", lambda x, y, w, h: [W - x - w, y, w, h]),
    "top for bottom": ("detections-mirrored-y", lambda x, y, w, h: [x, H - y - h, w, h]),
}


def alarms(results: Results, data: Dataset) -> list[str]:
    return [finding.code for finding in suspect(results, data) if finding.severity == "warning"]


@pytest.mark.parametrize("name", FORMS)
def test_another_form_is_seen_through(name: str, data: Dataset, results: Results) -> None:
    code, form = FORMS[name]
    lying = [result | {"bbox": [float(value) for value in form(*result["bbox"])]} for result in results]
    assert alarms(lying, data) == [code]


@pytest.mark.parametrize("step", [1, -1])
def test_shifted_labels_are_seen_through(step: int, data: Dataset, results: Results) -> None:
    lying = [result | {"category_id": result["category_id"] + step} for result in results]
    known = {category["id"] for category in data.categories}
    assert alarms([entry for entry in lying if entry["category_id"] in known], data) == ["detections-labels-shifted"]


@pytest.mark.parametrize("step", [1, -1])
def test_shifted_images_are_seen_through(step: int, data: Dataset, results: Results) -> None:
    lying = [result | {"image_id": result["image_id"] + step} for result in results]
    known = {image["id"] for image in data.images}
    assert alarms([entry for entry in lying if entry["image_id"] in known], data) == ["detections-images-shifted"]


def test_reversed_scores_are_seen_through(data: Dataset, results: Results) -> None:
    assert alarms([result | {"score": 1 - result["score"]} for result in results], data) == ["scores-reversed"]


def test_the_evidence_is_given_in_numbers(data: Dataset, results: Results) -> None:
    lying = [result | {"bbox": FORMS["corners"][1](*result["bbox"])} for result in results]
    (finding,) = suspect(lying, data)
    assert finding.message.startswith("read as [x1, y1, x2, y2] the boxes agree with 83% of the 327 labels at IoU 0.5")
    assert "as they are ([x, y, width, height]) with" in finding.message


def test_a_category_that_is_taken_for_the_next_is_a_mistake_of_the_detector(data: Dataset) -> None:
    """One confused category is no shift of all labels."""
    coco = copy.deepcopy(data.coco)
    coco["annotations"] = [entry for entry in coco["annotations"] if entry["category_id"] == 3]
    some = Dataset("zebras", None, coco, data.images_dir)
    found = [
        {"image_id": entry["image_id"], "category_id": 4, "bbox": entry["bbox"], "score": 0.9}
        for entry in coco["annotations"]
    ]
    assert alarms(found, some) == []


def test_detections_of_images_far_away_agree_by_chance(data: Dataset, results: Results) -> None:
    ids = [image["id"] for image in data.images]
    moved = {before: ids[(place + len(ids) // 2) % len(ids)] for place, before in enumerate(ids)}
    findings = suspect([result | {"image_id": moved[result["image_id"]]} for result in results], data)
    assert [(finding.code, finding.severity) for finding in findings] == [("agreement-by-chance", "note")]
