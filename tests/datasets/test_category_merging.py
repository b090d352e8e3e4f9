"""Categories scored as one, in labels and in detections."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codes import coded

from wildbench import score
from wildbench.comparison import compare
from wildbench.datasets.category_merging import by_kind, grouping_of, merged, read_names, regrouped
from wildbench.datasets.coco import Dataset
from wildbench.datasets.predictions import Detections, suppressed
from wildbench.errors import DatasetError, ScorecardError
from wildbench.leaderboard.add import add
from wildbench.leaderboard.build import build
from wildbench.leaderboard.verify import verify
from wildbench.scorecard import Grouping

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
            "bbox": [10 * n, 10, 30, 30],
            "area": 900,
            "iscrowd": 0,
        }
        for n in range(6)
    ],
}
DATA = Dataset("tiny", None, COCO, Path())
ONE = Grouping(merge={"animal": ["*"]})


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
    together = score(tmp_path / "found.json", dataset=tmp_path / "labels.json", grouping=ONE)
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
    card = score(tmp_path / "found.json", **asked, grouping=Grouping(known=["lion"]))
    assert (card.accuracy.ap.value, card.accuracy.unknown_categories) == (1.0, ["zebra", "person"])


def named(tmp_path: Path, *names: str) -> Path:
    """Detections of every labelled box, as MegaDetector writes them, by these names of the three categories."""
    document: dict[str, Any] = {"detection_categories": dict(zip("123", names, strict=True)), "images": []}
    for image in COCO["images"]:
        own = [one for one in COCO["annotations"] if one["image_id"] == image["id"]]
        document["images"].append(
            {
                "file": image["file_name"],
                "detections": [
                    {"category": str(one["category_id"]), "conf": 0.9, "bbox": [side / 100 for side in one["bbox"]]}
                    for one in own
                ],
            }
        )
    (tmp_path / "labels.json").write_text(json.dumps(COCO))
    (tmp_path / "named.json").write_text(json.dumps(document))
    return tmp_path / "named.json"


def test_scientific_names_and_synonyms_are_read_and_said(tmp_path: Path) -> None:
    card = score(named(tmp_path, "Panthera leo", "equus_quagga", "human"), dataset=tmp_path / "labels.json")
    assert card.accuracy.ap.value == 1.0
    assert [note.split(":")[0] for note in card.notes if "synonyms" in note] == ["note category-synonyms"]


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("csv", "from,to\nbig cat,lion\nstriped horse,zebra\n"),
        ("csv", "big cat, lion\nstriped horse, zebra\n"),
        ("json", '{"big cat": "lion", "striped horse": "zebra"}'),
        ("toml", '"big cat" = "lion"\n"striped horse" = "zebra"\n'),
    ],
)
def test_a_map_says_what_names_mean(suffix: str, text: str, tmp_path: Path) -> None:
    table = tmp_path / f"names.{suffix}"
    table.write_text(text)
    found = named(tmp_path, "big cat", "striped horse", "person")
    card = score(found, dataset=tmp_path / "labels.json", grouping=grouping_of(names=table))
    assert (card.accuracy.ap.value, card.dataset.sha256) == (1.0, DATA.sha256)


@pytest.mark.parametrize("text", ["", "lion", "[1]", "lion,\n"])
def test_a_map_without_pairs_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "names.csv").write_text(text)
    with pytest.raises(DatasetError, check=coded("dataset/bad-map")):
        read_names(tmp_path / "names.csv")


def test_a_map_of_the_labels_own_names_merges_them() -> None:
    data, _ = regrouped(DATA, Grouping(names={"lion": "zebra"}))
    assert [(entry["name"], entry.get("members")) for entry in data.categories] == [
        ("zebra", {1: "lion", 2: "zebra"}),
        ("person", None),
    ]
    every, _ = regrouped(DATA, Grouping(names={"animal": "*"}))
    assert every.category_names == ["animal"]


def test_two_names_of_one_category_are_one_box(tmp_path: Path) -> None:
    found = named(tmp_path, "lion", "zebra", "person")
    document = json.loads(found.read_text())
    document["detection_categories"]["4"] = "simba"
    for image in document["images"]:
        lions = [one for one in image["detections"] if one["category"] == "1"]
        image["detections"] += [one | {"category": "4", "conf": 0.8} for one in lions]
    found.write_text(json.dumps(document))
    card = score(
        found, dataset=tmp_path / "labels.json", grouping=Grouping(names={"simba": "lion"}), out=tmp_path / "c"
    )
    assert len(json.loads((tmp_path / "c.predictions.json").read_text())) == len(COCO["annotations"])
    assert card.accuracy.ap.value == 1.0


def cards(tmp_path: Path) -> list[Path]:
    """The same boxes, once by species and once as animals and persons."""
    made = [tmp_path / "species.json", tmp_path / "animals.json"]
    score(named(tmp_path, "lion", "zebra", "person"), dataset=tmp_path / "labels.json", out=made[0])
    score(named(tmp_path, "animal", "animal", "person"), dataset=tmp_path / "labels.json", out=made[1])
    return made


def test_cards_of_other_categories_compare_where_they_are_merged(tmp_path: Path) -> None:
    species, animals = cards(tmp_path)
    labels = tmp_path / "labels.json"
    with pytest.raises(ScorecardError, check=coded("scorecard/other-labels")):
        compare([species, animals], dataset=labels)
    coarse = Grouping(merge={"animal": ["lion", "zebra"]})
    change = compare([species, animals], dataset=labels, grouping=coarse, replicates=20).rows[0].overall["ap"]
    assert (change.baseline, change.value, change.n) == (1.0, 1.0, 6)
    seen = compare([species, species], dataset=labels, grouping=Grouping(known=["lion"]), replicates=20)
    assert (seen.boxes, seen.categories_left_out) == (2, ["person", "zebra"])
    with pytest.raises(DatasetError, check=coded("dataset/categories-finer")):
        compare([species, animals], dataset=labels, grouping=Grouping(known=["lion"]))


def test_a_board_merges_again_what_a_card_was_scored_by(tmp_path: Path) -> None:
    _, animals = cards(tmp_path)
    add(animals, tmp_path / "board", datasets=[tmp_path / "labels.json"])
    build(tmp_path / "board")
    assert verify(tmp_path / "board", datasets=[tmp_path / "labels.json"]) == []
