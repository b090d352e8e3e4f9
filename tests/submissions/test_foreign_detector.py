"""A detector that nobody here wrote, on photographs that nobody rendered, by a manifest alone."""

import json
from pathlib import Path
from typing import Any

import cv2
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from wildbench.submissions.sandbox import Sandbox

EXAMPLE = Path(__file__).parents[2] / "docs" / "yolox_nano.manifest.json"


@pytest.fixture(scope="module")
def yolox_nano(wildlife_real: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = wildlife_real.parents[1] / "weights" / "yolox_nano.onnx"
    if not weights.is_file():
        pytest.skip(f"the YOLOX-Nano weights are not at {weights}")
    folder = tmp_path_factory.mktemp("yolox")
    (folder / "yolox_nano.onnx").write_bytes(weights.read_bytes())
    (folder / "yolox_nano.manifest.json").write_bytes(EXAMPLE.read_bytes())
    return folder / "yolox_nano.onnx"


def ap50(coco: dict[str, Any], results: list[dict[str, Any]], category: int) -> float:
    """By pycocotools, on one category."""
    truth = COCO()
    truth.dataset = coco
    truth.createIndex()
    judge = COCOeval(truth, truth.loadRes(results), "bbox")
    judge.params.catIds = [category]
    judge.evaluate()
    judge.accumulate()
    judge.summarize()
    return float(judge.stats[1])


def test_yolox_nano_finds_elephants_and_zebras(yolox_nano: Path, wildlife_real: Path) -> None:
    """About 0.77 and 0.89 were seen on these photographs at 416 pixels before this harness was there."""
    coco = json.loads((wildlife_real / "annotations" / "val.json").read_text())
    images = [image for image in coco["images"] if image["source"] == "hamoye"]
    kept = {image["id"] for image in images}
    boxes = [box for box in coco["annotations"] if box["image_id"] in kept]
    ids = {category["name"]: category["id"] for category in coco["categories"]}
    results = []
    with Sandbox(yolox_nano) as box:
        names = box.manifest.label_names
        for image in images:
            pixels = cv2.cvtColor(cv2.imread(str(wildlife_real / "images" / image["file_name"])), cv2.COLOR_BGR2RGB)
            found = box.predict(pixels).detections
            for (x1, y1, x2, y2), label, score in zip(found.boxes, found.labels, found.scores, strict=True):
                result = {"image_id": image["id"], "category_id": ids[names[int(label)]], "score": float(score)}
                results.append(result | {"bbox": [float(x1), float(y1), float(x2 - x1), float(y2 - y1)]})
    subset = {"images": images, "annotations": boxes, "categories": coco["categories"]}
    assert ap50(subset, results, ids["elephant"]) == pytest.approx(0.77, abs=0.01)
    assert ap50(subset, results, ids["zebra"]) == pytest.approx(0.89, abs=0.01)
