"""What detectors' tools write, and what it is worth as COCO results."""

import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from typer.testing import CliRunner

from wildbench import read_scorecard, score
from wildbench.cli import app
from wildbench.datasets.coco import Dataset
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import Detections, read_predictions, results_bytes, tool_document
from wildbench.datasets.registry import load_dataset
from wildbench.errors import PredictionsError
from wildbench.resources import bundled

IMAGES = [
    {"id": 7, "file_name": "siteA/cam1/IMG_1.JPG", "width": 200, "height": 100},
    {"id": 8, "file_name": "siteA/cam2/IMG_1.JPG", "width": 200, "height": 100},
    {"id": 9, "file_name": "siteA/cam2/IMG_2.JPG", "width": 200, "height": 100},
]
COCO: dict[str, Any] = {
    "images": IMAGES,
    "categories": [{"id": 1, "name": "animal"}, {"id": 2, "name": "person"}],
    "annotations": [],
}
DATA = Dataset("three", None, COCO, Path())
SHARES = [0.1, 0.2, 0.3, 0.4]
PIXELS = [20.0, 20.0, 60.0, 40.0]


def read(tmp_path: Path, document: object) -> tuple[Detections, list[Finding]]:
    path, findings = tmp_path / "out.json", list[Finding]()
    path.write_text(json.dumps(document))
    return read_predictions(path, DATA, findings), findings


def rows(detections: Detections) -> list[tuple[int, int, list[float], float]]:
    return [
        (one["image_id"], one["category_id"], [round(side, 6) for side in one["bbox"]], one["score"])
        for one in detections.to_coco()
    ]


def test_megadetector(tmp_path: Path) -> None:
    document = {
        "info": {"format_version": "1.4"},
        "detection_categories": {"1": "animal", "2": "person", "3": "vehicle"},
        "images": [
            {
                "file": "D:\\2024\\siteA\\cam2\\IMG_1.JPG",
                "detections": [{"category": "1", "conf": 0.9, "bbox": SHARES}],
            },
            {"file": "siteA/cam1/IMG_1.JPG", "detections": [{"category": "3", "conf": 0.8, "bbox": SHARES}]},
            {"file": "siteA/cam2/IMG_2.JPG", "detections": None, "failure": "Failure image access"},
            {"file": "elsewhere.JPG", "detections": []},
        ],
    }
    detections, findings = read(tmp_path, document)
    assert rows(detections) == [(8, 1, PIXELS, 0.9)]
    assert {one.code for one in findings} == {
        "detections-failed",
        "detections-other-categories",
        "detections-other-images",
    }


def test_speciesnet(tmp_path: Path) -> None:
    detection = {"category": "2", "label": "human", "conf": 0.7, "bbox": SHARES}
    entries = [
        {"filepath": "C:\\photos\\siteA\\cam1\\IMG_1.JPG", "detections": [detection]},
        {"filepath": "C:\\photos\\siteA\\cam2\\IMG_1.JPG", "failures": ["DETECTOR"]},
    ]
    detections, findings = read(tmp_path, {"predictions": entries})
    assert rows(detections) == [(7, 2, PIXELS, 0.7)]
    assert [one.code for one in findings] == ["detections-failed", "category-synonyms"]


def test_pytorch_wildlife(tmp_path: Path) -> None:
    entry = {"img_id": "cam2/IMG_2.JPG", "bbox": [[20, 20, 80, 60]], "category": [0], "confidence": [0.6]}
    document = {"annotations": [entry], "categories": [{"id": 0, "name": "animal"}]}
    assert rows(read(tmp_path, document)[0]) == [(9, 1, PIXELS, 0.6)]


def test_results_by_file_name(tmp_path: Path) -> None:
    one = {"category_id": 1, "bbox": PIXELS, "score": 0.5}
    by_stem, _ = read(tmp_path, [one | {"image_id": "IMG_2"}])
    assert rows(by_stem) == [(9, 1, PIXELS, 0.5)]
    believed, findings = read(tmp_path, [one | {"image_id": 7, "file_name": "cam2/IMG_2.JPG"}])
    assert rows(believed) == [(9, 1, PIXELS, 0.5)]
    assert [finding.code for finding in findings] == ["detections-image-differs"]
    unsure, findings = read(tmp_path, [one | {"image_id": "IMG_1"}])  # there are two
    assert (len(unsure), [finding.code for finding in findings]) == (0, ["detections-other-images"])


def test_fiftyone(tmp_path: Path) -> None:
    box = {"label": 1, "bounding_box": SHARES, "confidence": 0.4}
    document = {"classes": ["animal", "person"], "labels": {"IMG_2": [box]}}
    assert rows(read(tmp_path, document)[0]) == [(9, 2, PIXELS, 0.4)]


def test_a_folder_of_yolo_texts(tmp_path: Path) -> None:
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "IMG_2.txt").write_text("1 0.25 0.4 0.3 0.4 0.75\n")
    with pytest.raises(PredictionsError, check=coded("predictions/no-category-names")):
        read_predictions(tmp_path / "labels", DATA)
    (tmp_path / "labels" / "classes.txt").write_text("animal\nperson\n")
    assert rows(read_predictions(tmp_path / "labels", DATA)) == [(9, 2, PIXELS, 0.75)]
    (tmp_path / "labels" / "IMG_2.txt").write_text("1 0.25 0.4 0.3 0.4\n")
    with pytest.raises(PredictionsError, check=coded("predictions/not-a-detection")):
        read_predictions(tmp_path / "labels", DATA)


def test_ids_that_are_texts_come_back_as_they_were(tmp_path: Path) -> None:
    images = [{"id": f"uuid-{n}", "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in range(3)]
    labels = [{"id": f"a{n}", "image_id": f"uuid-{n}", "category_id": 1, "bbox": PIXELS} for n in range(3)]
    document = {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "deer"}]}
    results = [{"image_id": f"uuid-{n}", "category_id": 1, "bbox": PIXELS, "score": 0.9} for n in (2, 0, 1)]
    (tmp_path / "labels.json").write_text(json.dumps(document))
    (tmp_path / "found.json").write_text(json.dumps(results))
    card = score(tmp_path / "found.json", dataset=tmp_path / "labels.json", out=tmp_path / "card.json")
    assert card.accuracy.ap.value == 1.0
    kept = json.loads((tmp_path / "card.predictions.json").read_text())
    assert sorted(one["image_id"] for one in kept) == ["uuid-0", "uuid-1", "uuid-2"]


def test_bytes_of_results_are_unchanged_where_ids_are(tmp_path: Path) -> None:
    detections = Detections([7, 8], [1, 1], [PIXELS, PIXELS], [0.5, 0.5])
    assert results_bytes(detections) == results_bytes(detections, {})


def test_detections_of_another_package(savanna: Path, tmp_path: Path) -> None:
    document = {"patrol": {"cam2/IMG_2.JPG": [["animal", 20, 20, 80, 60, 0.5]]}}
    assert rows(read(tmp_path, document)[0]) == [(9, 1, PIXELS, 0.5)]


def test_megadetectors_json_is_written_and_read_back_as_it_was(tmp_path: Path) -> None:
    data = load_dataset("parksim", with_images=False)
    kept = read_predictions(bundled("baselines/scorecards/reference.predictions.json"), data)
    failed = data.images[0]["id"]
    kept = kept[kept.image_ids != failed]
    document = tool_document("megadetector", kept, data, "reference", {failed: "cannot be decoded"})
    (tmp_path / "md.json").write_text(json.dumps(document))
    findings: list[Finding] = []
    failures: dict[int, str] = {}
    back = read_predictions(tmp_path / "md.json", data, findings, failures)
    assert results_bytes(back) == results_bytes(kept)
    assert (failures, [one.code for one in findings]) == ({failed: "cannot be decoded"}, ["detections-failed"])
    assert set(document) == {"info", "detection_categories", "images"}
    assert document["info"]["format_version"] == "1.4"
    assert document["images"][0] == {
        "file": data.images[0]["file_name"],
        "failure": "cannot be decoded",
        "detections": None,
    }
    for entry in document["images"][1:]:
        assert all(one["category"] in document["detection_categories"] for one in entry["detections"])


def test_a_form_that_is_only_read_is_not_written() -> None:
    data = Dataset("tiny", None, {"images": [], "annotations": [], "categories": []}, Path())
    with pytest.raises(PredictionsError, check=coded("predictions/no-such-form")):
        tool_document("speciesnet", Detections.from_coco([]), data, "x")


def test_a_scorecard_is_exported_for_other_tools(tmp_path: Path) -> None:
    card = bundled("baselines/scorecards/reference-tiny.json")
    result = CliRunner().invoke(app, ["export", str(card), "-o", str(tmp_path / "md.json")])
    assert result.exit_code == 0, result.output
    again = score(tmp_path / "md.json", dataset="parksim")
    assert again.accuracy.ap.value == read_scorecard(card).accuracy.ap.value
