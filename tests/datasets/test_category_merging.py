"""Categories scored as one, in labels and in detections."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codes import coded

from wildbench import score
from wildbench.datasets.category_merging import by_kind, merged, suppressed
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections
from wildbench.errors import DatasetError

NAMES = ("lion", "zebra", "person")
PLAIN = {"area": 900, "iscrowd": 0}
COCO: dict[str, Any] = {
    "images": [{"id": n, "file_name": f"{n}.jpg", "width": 100, "height": 100} for n in (1, 2)],
    "categories": [{"id": n, "name": name} for n, name in enumerate(NAMES, start=1)],
    "annotations": [
        {
            "id": n,
            "image_id": 1 + n % 2,
            "category_id": 1 + n % 3,
            "bbox": [5 * n, 10, 30, 30],
            "area": 900,
            "iscrowd": 0,
        }
        for n in range(6)
    ],
}
DATA = Dataset("tiny", None, COCO, Path())


def test_the_merged_category_keeps_the_first_id_and_knows_its_members() -> None:
    data = merged(DATA, {"animal": ["Zebra", "lion"]})
    assert [(entry["id"], entry["name"]) for entry in data.categories] == [(1, "animal"), (3, "person")]
    assert data.merged_ids == {1: 1, 2: 1, 3: 3}
    assert [one["category_id"] for one in data.annotations] == [1, 1, 3, 1, 1, 3]
    assert DATA.annotations[1]["category_id"] == 2


def test_an_image_boxed_for_some_members_is_not_scored_for_the_whole() -> None:
    images = [COCO["images"][0] | {"annotated_categories": ["lion", "person"]}, COCO["images"][1]]
    data = merged(Dataset("tiny", None, {**COCO, "images": images}, Path()), {"animal": ["lion", "zebra"]})
    assert [data.scored_categories(image) for image in data.images] == [{3}, {1, 3}]


@pytest.mark.parametrize(
    ("merge", "code"),
    [({"a": ["tiger"]}, "unknown-category"), ({"a": ["lion"], "b": ["lion"]}, "category-merged-twice")],
)
def test_what_cannot_be_merged(merge: dict[str, list[str]], code: str) -> None:
    with pytest.raises(DatasetError, check=coded(f"dataset/{code}")):
        merged(DATA, merge)


def test_a_detector_of_animals_decides_what_is_merged() -> None:
    assert by_kind(["animal", "person", "vehicle"], DATA) == {"animal": ["lion", "zebra"]}
    assert by_kind(["lion", "zebra"], DATA) is None
    assert by_kind(["animal", "lion"], DATA) is None
    assert by_kind(["car"], DATA) is None


def test_a_box_that_two_categories_share_is_one_after_merging() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9], [50, 50, 10, 10]]
    detections = Detections([1] * 4, [1] * 4, boxes, [0.9, 0.8, 0.7, 0.6])
    kept = suppressed(detections, np.array([1, 2, 1, 2]))
    assert kept.scores.tolist() == [0.9, 0.7, 0.6]  # two of one category were kept by the detector itself


def found(category: int) -> list[dict[str, Any]]:
    return [
        {"image_id": one["image_id"], "category_id": category, "bbox": one["bbox"], "score": 0.9}
        for one in COCO["annotations"]
    ]


def test_scores_of_categories_as_one(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(COCO))
    (tmp_path / "found.json").write_text(json.dumps(found(1)))
    alone = score(tmp_path / "found.json", dataset=tmp_path / "labels.json").accuracy
    assert alone.ap50.value is not None
    assert alone.ap50.value < 0.5
    together = score(tmp_path / "found.json", dataset=tmp_path / "labels.json", class_agnostic=True)
    assert (together.accuracy.ap.value, together.dataset.categories) == (1.0, ["animal"])


def test_megadetector_is_scored_on_species_by_itself(tmp_path: Path) -> None:
    names = {1: "animal", 2: "animal", 3: "person"}
    document: dict[str, Any] = {"detection_categories": {"1": "animal", "2": "person"}, "images": []}
    for image in COCO["images"]:
        own = [one for one in COCO["annotations"] if one["image_id"] == image["id"]]
        detections = [
            {"category": "1" if names[one["category_id"]] == "animal" else "2", "conf": 0.9}
            | {"bbox": [side / 100 for side in one["bbox"]]}
            for one in own
        ]
        document["images"].append({"file": f"x/{image['file_name']}", "detections": detections})
    (tmp_path / "labels.json").write_text(json.dumps(COCO))
    (tmp_path / "md.json").write_text(json.dumps(document))
    card = score(tmp_path / "md.json", dataset=tmp_path / "labels.json")
    assert (card.accuracy.ap50.value, card.dataset.categories) == (1.0, ["animal", "person"])
    assert any(note.startswith("note categories-merged") for note in card.notes)


def test_what_a_file_of_detections_does_not_know_is_null(tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(json.dumps(COCO))
    lions = [one for one in COCO["annotations"] if one["category_id"] == 1]
    results = [{"score": 0.9} | {key: one[key] for key in ("image_id", "category_id", "bbox")} for one in lions]
    (tmp_path / "found.json").write_text(json.dumps(results))
    asked = {"dataset": tmp_path / "labels.json"}
    assert score(tmp_path / "found.json", **asked).accuracy.ap.value == pytest.approx(1 / 3)
    card = score(tmp_path / "found.json", **asked, known=["lion"])
    assert (card.accuracy.ap.value, card.accuracy.unknown_categories) == (1.0, ["zebra", "person"])
