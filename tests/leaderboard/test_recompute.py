"""Curves against the engine of the field."""

import contextlib
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import load_dataset
from wildbench.leaderboard._recompute import measure_curves
from wildbench.leaderboard._results import Curves
from wildbench.measures.matching import Scored
from wildbench.resources import bundled


def test_curves_are_those_of_pycocotools() -> None:
    data = load_dataset("parksim", with_images=False)
    results = json.loads(bundled("baselines/scorecards/reference.predictions.json").read_text())
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = data.coco
        coco.createIndex()
        engine = COCOeval(coco, coco.loadRes(results), "bbox")
        engine.evaluate()
        engine.accumulate()
    precision = engine.eval["precision"][:, :, :, 0, 2]
    curves = measure_curves(Scored(data, Detections.from_coco(results)))
    for iou, step in (("0.50", 0), ("0.75", 5), ("0.90", 8)):
        drawn = np.zeros(101)
        drawn[: len(curves.by_iou[iou])] = np.array(curves.by_iou[iou]) / 1000
        assert drawn == pytest.approx(precision[step].mean(axis=1), abs=5.1e-4)
    for place, category in enumerate(data.categories):
        found = curves.per_category[category["name"]]
        assert np.array(found) / 1000 == pytest.approx(precision[0, : len(found), place], abs=5.1e-4)
        assert precision[0, len(found) :, place] == pytest.approx(0, abs=5.1e-4)
    assert Curves.from_bytes(curves.to_bytes(), "it") == curves


def test_a_category_without_a_box_has_no_curve() -> None:
    data = load_dataset("parksim", with_images=False, limit=1)
    curves = measure_curves(Scored(data, Detections.from_coco([])))
    there = {box["category_id"] for box in data.annotations}
    assert set(curves.per_category) == {entry["name"] for entry in data.categories if entry["id"] in there}
    assert not any(curves.per_category.values())
