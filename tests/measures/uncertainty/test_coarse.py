"""Bins and blocks, against replicates that are counted one by one."""

from pathlib import Path

import numpy as np
import pytest

from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.measures.matching import Matches, Scored
from wildbench.measures.uncertainty import _bootstrap, _coarse
from wildbench.measures.uncertainty._bootstrap import estimate, jackknife, resample


@pytest.fixture(scope="module")
def many() -> Matches:
    """2,000 images with 6,000 boxes of two categories, and 16,000 detections; a third of them on boxes."""
    random = np.random.default_rng(1)
    images = [{"id": key, "width": 640, "height": 480, "file_name": f"{key}"} for key in range(1, 2001)]
    count = 6000
    boxes = np.hstack([random.uniform(0, 400, (count, 2)), random.uniform(12, 200, (count, 2))])
    image_ids, category_ids = random.integers(1, 2001, count), random.integers(1, 3, count)
    annotations = [
        {"id": at, "image_id": int(image), "category_id": int(kind), "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for at, (image, kind, box) in enumerate(zip(image_ids, category_ids, boxes.tolist(), strict=True), start=1)
    ]
    near = random.integers(0, count, 6000)
    jittered = np.abs(boxes[near] + random.normal(0, 6, (6000, 4)))
    noise = np.hstack([random.uniform(0, 400, (10_000, 2)), random.uniform(12, 200, (10_000, 2))])
    found = Detections(
        np.r_[image_ids[near], random.integers(1, 2001, 10_000)],
        np.r_[category_ids[near], random.integers(1, 3, 10_000)],
        np.vstack([jittered, noise]),
        scores=np.r_[random.beta(3, 2, 6000), random.beta(2, 3, 10_000)],
    )
    coco = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
    }
    return Scored(Dataset("many", None, coco, Path()), found).matches


@pytest.mark.parametrize("locations", [60, 2000])
def test_replicates_spread_as_those_counted_one_by_one(
    many: Matches, locations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = np.arange(2000) % locations
    exact, left = resample([many], groups, replicates=600), jackknife([many], groups)
    monkeypatch.setattr(_bootstrap, "FROM", 1)
    coarse, coarse_left = resample([many], groups, replicates=600), jackknife([many], groups)
    for iou in (None, 0.5, 0.75):
        ours, theirs = coarse.ap(iou=iou)[:, 0], exact.ap(iou=iou)[:, 0]
        assert ours.std() == pytest.approx(theirs.std(), rel=0.12)
        assert abs(ours.mean() - theirs.mean()) < 0.35 * theirs.std()
        spread, true = (one.ap(iou=iou)[:, 0].std() * np.sqrt(len(one.ap())) for one in (coarse_left, left))
        assert spread == pytest.approx(true, rel=0.25)
    assert coarse.ar()[:, 0].std() == pytest.approx(exact.ar()[:, 0].std(), rel=0.12)


def test_without_weights_bins_give_nearly_the_figure_itself(many: Matches) -> None:
    precision, recall = _coarse.binned(many, np.arange(2000) % 60, np.ones((1, 60), np.float32))
    exact = estimate([many])
    np.testing.assert_allclose(precision, exact.precision[0], atol=0.004)
    np.testing.assert_allclose(recall, exact.recall[0], atol=1e-6)
