"""Scorecards against a baseline, from the detections that lie beside them."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import wildbench
from wildbench.comparison import Comparison, compare
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError, PredictionsError, ScorecardError
from wildbench.evaluation import score
from wildbench.resources import bundled

REPLICATES = 400
CARDS = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-tiny")]


@pytest.fixture(scope="module")
def results() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bundled("baselines/scorecards/reference.predictions.json").read_text())
    return found


def card(folder: Path, name: str, results: list[dict[str, Any]], **options: Any) -> Path:
    """A scorecard of these detections on parksim test."""
    predictions, path = folder / f"{name}.json", folder / "cards" / f"{name}.json"
    predictions.write_text(json.dumps(results))
    score(predictions, **{"dataset": "parksim", "out": path, **options})
    return path


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory, results: list[dict[str, Any]]) -> dict[str, Path]:
    """The reference; one that forgets two of three lions and impalas; one that only says so with another score."""
    folder = tmp_path_factory.mktemp("cards")
    forgotten = {entry["id"] for entry in load_dataset("parksim", with_images=False).categories} & {5, 7}
    kept = [one for place, one in enumerate(results) if one["category_id"] not in forgotten or place % 3 == 0]
    return {
        "reference": card(folder, "reference", results),
        "forgetful": card(folder, "forgetful", kept),
        "timid": card(folder, "timid", [one | {"score": one["score"] / 2} for one in results]),
    }


@pytest.fixture(scope="module")
def comparison(cards: dict[str, Path]) -> Comparison:
    return compare(list(cards.values()), replicates=REPLICATES)


def test_values_are_those_of_the_scorecards(comparison: Comparison, cards: dict[str, Path]) -> None:
    for row, name in zip(comparison.rows, ("forgetful", "timid"), strict=True):
        for path, side in ((cards["reference"], "baseline"), (cards[name], "value")):
            accuracy = json.loads(path.read_text())["accuracy"]
            for figure, change in (row.overall | row.sizes).items():
                assert getattr(change, side) == pytest.approx(accuracy[figure]["value"], abs=1e-12)
                assert change.n == accuracy[figure]["n"]
            for category, changes in row.per_category.items():
                for figure, change in changes.items():
                    assert getattr(change, side) == pytest.approx(
                        accuracy["per_category"][category][figure]["value"], abs=1e-12
                    )


def test_what_is_forgotten_is_found(comparison: Comparison) -> None:
    forgetful = comparison.rows[0]
    assert forgetful.overall["ap"].verdict.startswith("worse by ")
    worse = {name for name, figures in forgetful.per_category.items() if figures["ap50"].verdict.startswith("worse")}
    assert "lion" in worse <= {"lion", "impala"}  # 39 impalas at five locations may be too few for a correction by 26
    assert forgetful.per_category["zebra"]["ap"].verdict.startswith("the same on 30 boxes; ")
    assert forgetful.per_category["gorilla"]["ap"].caution == "no interval: all 20 boxes are in one of the locations"
    assert forgetful.per_category["zebra"]["ap"].comparisons == 2 * 12


def test_the_order_of_the_detections_alone_matters(comparison: Comparison) -> None:
    timid = comparison.rows[1]
    for change in (timid.overall | timid.sizes).values():
        assert change.verdict.startswith(f"the same on {change.n} boxes; ")
        assert (change.difference, change.p_value) == (0, 1)
        assert change.smallest is not None
        assert change.smallest > 0
    assert timid.errors is not None
    assert comparison.baseline_errors is not None
    assert timid.errors.calibration.ece != comparison.baseline_errors.calibration.ece


def test_more_rows_take_more_to_convince(cards: dict[str, Path], comparison: Comparison) -> None:
    alone = compare([cards["reference"], cards["forgetful"]], replicates=REPLICATES).rows[0]
    among = comparison.rows[0]
    assert among.overall["ap"].interval == alone.overall["ap"].interval
    assert among.overall["ap"].p_value == pytest.approx(2 * alone.overall["ap"].p_value)


def test_the_same_question_has_the_same_answer(cards: dict[str, Path], comparison: Comparison, tmp_path: Path) -> None:
    comparison.write(tmp_path / "a.json")
    compare(list(cards.values()), replicates=REPLICATES).write(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert Comparison.model_validate_json((tmp_path / "a.json").read_text()) == comparison


def test_a_failed_audit_is_named(cards: dict[str, Path], comparison: Comparison, tmp_path: Path) -> None:
    assert comparison.failed_audits == {}
    data = load_dataset("parksim", with_images=False)
    labels = [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9} for entry in data.annotations
    ]
    copied = card(tmp_path, "copied", labels)
    failed = compare([cards["reference"], copied], replicates=100).failed_audits
    assert {name: list(audits) for name, audits in failed.items()} == {"copied": ["exact-boxes"]}


def test_a_smaller_difference_takes_more_images(comparison: Comparison) -> None:
    needed = [counts[0] for counts in comparison.groups_needed.values() if counts[0] is not None]
    assert len(needed) == 4
    assert needed == sorted(set(needed), reverse=True)


def test_the_bundled_compressed_reference_is_not_distinguishable() -> None:
    found = compare(CARDS).rows[0].overall["ap"]
    assert found.verdict.startswith("not distinguishable on 327 boxes; ")
    assert found.caution == "only 5 locations: the interval may be too short"


def test_one_card_compares_with_nothing() -> None:
    with pytest.raises(ScorecardError) as error:
        compare(CARDS[:1])
    assert error.value.code == "scorecard/too-few"


def test_cards_of_other_labels_do_not_compare(
    tmp_path: Path, results: list[dict[str, Any]], cards: dict[str, Path]
) -> None:
    few = card(tmp_path, "few", results, limit=20)
    with pytest.raises(ScorecardError) as error:
        compare([cards["reference"], few])
    assert error.value.code == "scorecard/other-labels"


def test_edited_detections_are_refused(tmp_path: Path, cards: dict[str, Path]) -> None:
    shutil.copytree(cards["timid"].parent, tmp_path, dirs_exist_ok=True)
    kept = tmp_path / "timid.predictions.json"
    kept.write_text(kept.read_text() + " ")
    with pytest.raises(PredictionsError) as error:
        compare([tmp_path / "reference.json", tmp_path / "timid.json"])
    assert error.value.code == "predictions/not-as-scored"
    kept.unlink()
    with pytest.raises(PredictionsError) as error:
        compare([tmp_path / "reference.json", tmp_path / "timid.json"])
    assert error.value.code == "predictions/missing"
    assert str(kept) in error.value.what


def test_a_file_s_labels_have_to_be_named_and_unchanged(tmp_path: Path, results: list[dict[str, Any]]) -> None:
    labels = tmp_path / "labels.json"
    shutil.copy(bundled("annotations/parksim/test.json"), labels)
    cards = [card(tmp_path, name, results, dataset=labels) for name in ("a", "b")]
    with pytest.raises(DatasetError) as error:
        compare(cards)
    assert error.value.code == "dataset/not-named"
    assert (
        compare(cards, dataset=labels, replicates=50).rows[0].overall["ap"].verdict.startswith("the same on 327 boxes")
    )
    coco = json.loads(labels.read_text())
    coco["annotations"].pop()
    labels.write_text(json.dumps(coco))
    with pytest.raises(DatasetError) as error:
        compare(cards, dataset=labels)
    assert error.value.code == "dataset/other-labels"


def test_a_difference_is_more_than_nothing_and_no_more_than_all(cards: dict[str, Path]) -> None:
    for wanted in (0, -0.1, float("nan"), float("inf"), 1.5):
        with pytest.raises(ScorecardError) as error:
            compare(list(cards.values()), differences=[wanted])
        assert error.value.code == "scorecard/difference-range"


def test_detections_are_looked_for_beside_the_card_alone(tmp_path: Path, cards: dict[str, Path]) -> None:
    elsewhere = json.loads(cards["timid"].read_text())
    elsewhere["accuracy"]["predictions_file"] = "../timid.predictions.json"
    (tmp_path / "a.json").write_text(json.dumps(elsewhere))
    with pytest.raises(ScorecardError) as error:
        compare([cards["reference"], tmp_path / "a.json"])
    assert error.value.code == "scorecard/damaged"
    assert "accuracy.predictions_file" in error.value.what


def herd(folder: Path, many: int) -> Path:
    """Labels of two lions and two zebras in each of so many images."""
    animals = [
        {"image_id": number, "category_id": category, "bbox": [x, 10, 40, 40], "area": 1600, "iscrowd": 0}
        for number in range(1, many + 1)
        for category, x in ((1, 10), (1, 60), (2, 110), (2, 160))
    ]
    coco = {
        "images": [{"id": id_, "file_name": f"{id_}.jpg", "width": 220, "height": 60} for id_ in range(1, many + 1)],
        "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}],
        "annotations": [{"id": place} | animal for place, animal in enumerate(animals, start=1)],
    }
    path = folder / "herd.json"
    path.write_text(json.dumps(coco))
    return path


def found(labels: Path, categories: set[int]) -> list[dict[str, Any]]:
    """Every animal of these categories."""
    return [
        {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9}
        for entry in json.loads(labels.read_text())["annotations"]
        if entry["category_id"] in categories
    ]


def test_what_is_lost_on_every_image_is_lost(tmp_path: Path) -> None:
    labels = herd(tmp_path, 12)
    cards = [
        card(tmp_path, name, found(labels, categories), dataset=labels)
        for name, categories in (("all", {1, 2}), ("lions", {1}), ("none", set()))
    ]
    comparison = compare(cards, dataset=labels, replicates=REPLICATES)
    lions, none = comparison.rows
    assert none.overall["ap"].verdict == "worse by 100.0 points on 48 boxes"
    assert lions.per_category["zebra"]["ap50"].verdict.startswith("worse by ")
    assert lions.per_category["lion"]["ap50"].verdict.startswith("the same on 24 boxes; ")
    assert lions.per_category["lion"]["ap50"].caution is None
    assert lions.overall["ap"].verdict.startswith("worse by 50.0 points")


def test_few_images_are_called_images(tmp_path: Path) -> None:
    labels = herd(tmp_path, 8)
    cards = [card(tmp_path, name, found(labels, {1, 2}), dataset=labels) for name in ("a", "b")]
    row = compare(cards, dataset=labels, replicates=50).rows[0]
    assert row.overall["ap"].caution == "only 8 images: the interval may be too short"


def test_detectors_of_one_name_are_told_apart_by_their_files(tmp_path: Path, cards: dict[str, Path]) -> None:
    renamed = json.loads(cards["timid"].read_text())
    renamed["submission"]["name"] = "reference"
    folder = tmp_path / "cards"
    shutil.copytree(cards["timid"].parent, folder)
    (folder / "timid.json").write_text(json.dumps(renamed))
    comparison = compare([folder / "reference.json", folder / "timid.json"], replicates=50)
    assert (comparison.baseline, comparison.rows[0].name) == ("reference", "timid")


def test_a_comparison_shows_itself_in_a_line_and_a_table() -> None:
    cards = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-tiny")]
    comparison = wildbench.compare(cards, replicates=200)
    assert repr(comparison) == "Comparison(reference-tiny against reference on 327 boxes of parksim test)"
    frame = comparison.to_frame()
    assert frame.loc[("reference-tiny", "ap"), "difference"] == comparison.rows[0].overall["ap"].difference
    assert "ap50 lion" in frame.index.get_level_values(1)
    assert "verdict" in comparison._repr_html_()
