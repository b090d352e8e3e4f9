"""What the pipeline decides itself: which categories are scored, where files go."""

import json
from pathlib import Path

import numpy as np
import pytest

import wildbench
from wildbench.datasets.coco import Dataset
from wildbench.errors import DatasetError, OutputError, SubmissionError
from wildbench.evaluation import _unscored, detections_of
from wildbench.evaluator import default_card, known_categories
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Detections


def dataset(*names: str) -> Dataset:
    categories = [{"id": 10 * place, "name": name} for place, name in enumerate(names, start=1)]
    return Dataset("park", None, {"images": [], "annotations": [], "categories": categories}, Path())


def manifest(*names: str, **keys: object) -> Manifest:
    return Manifest.model_validate({"name": "m", "detector": {"name": "d"}, "categories": list(names), **keys})


def test_categories_are_matched_by_name_whatever_their_case_or_alias() -> None:
    found = known_categories(manifest("car", "Zebra", "hyna").label_names, dataset("hyena", "zebra", "lion"), "m")
    assert found == {2: 20, 3: 10}


def test_a_category_map_names_the_pairs_and_drops_the_rest() -> None:
    mapped = manifest("cat", "zebra", category_map={"cat": "lion"})
    assert known_categories(mapped.label_names, dataset("zebra", "lion"), "m") == {1: 20}


def test_no_category_in_common_is_refused() -> None:
    with pytest.raises(SubmissionError) as error:
        known_categories({1: "car"}, dataset("lion"), "m")
    assert error.value.code == "submission/no-common-category"


def test_a_detector_of_animals_is_told_what_it_can_be_scored_on() -> None:
    with pytest.raises(SubmissionError) as error:
        known_categories({1: "animal"}, dataset("zebra", "lion"), "m")
    assert error.value.code == "submission/no-common-category"
    assert "category_map" not in error.value.remedy


def test_a_note_says_what_was_left_out_where_it_is_most() -> None:
    document = manifest("animal", "person", "vehicle")
    [note] = _unscored(document, {1: 30.0, 3: 10.0}, kept=20.0)
    assert note.startswith("warning unscored-categories: 'animal', 'vehicle': not in the data set; 67 %")
    assert _unscored(document, {1: 3.0}, kept=20.0) == []
    assert _unscored(document, {}, kept=0.0) == []


def test_two_categories_of_one_name_are_refused() -> None:
    with pytest.raises(DatasetError) as error:
        known_categories({1: "hyena"}, dataset("hyena", "hyna"), "m")
    assert error.value.code == "dataset/category-name-variant"


def test_detections_become_results_in_cocos_form_without_unknown_labels() -> None:
    found = Detections(
        np.array([[1, 2, 11, 22], [0, 0, 5, 5]], np.float32), np.array([2, 1]), np.array([0.5, 0.9], np.float32)
    )
    assert detections_of(7, found, {2: 30}).to_coco() == [
        {"image_id": 7, "category_id": 30, "bbox": [1.0, 2.0, 10.0, 20.0], "score": 0.5}
    ]


def test_masks_travel_with_their_detections() -> None:
    mask = np.zeros((1, 4, 6), np.uint8)
    mask[0, 1:3, 2:5] = 1
    found = Detections(np.array([[2, 1, 5, 3]], np.float32), np.array([1]), np.array([1], np.float32), mask)
    [result] = detections_of(1, found, {1: 1}).to_coco()
    assert result["segmentation"]["size"] == [4, 6]


def results_file(folder: Path) -> tuple[Path, Path]:
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}],
        "categories": [{"id": 1, "name": "lion"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}],
    }
    (folder / "herd.json").write_text(json.dumps(coco))
    results = [{"image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "score": 0.5}]
    predictions = folder / "a.predictions.json"
    predictions.write_text(json.dumps(results))
    return predictions, folder / "herd.json"


@pytest.mark.parametrize("out", ["a.json", "a.predictions.json"])
def test_scoring_never_replaces_the_predictions_it_scores(out: str, tmp_path: Path) -> None:
    predictions, coco = results_file(tmp_path)
    before = predictions.read_bytes()
    with pytest.raises(OutputError) as error:
        wildbench.score(predictions, dataset=coco, out=tmp_path / out)
    assert error.value.code == "output/replaces-input"
    assert predictions.read_bytes() == before


def test_the_default_card_of_kept_detections_is_another_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, coco = results_file(tmp_path)
    (tmp_path / "scorecards").mkdir()
    predictions.rename(tmp_path / "scorecards" / predictions.name)
    monkeypatch.chdir(tmp_path)
    kept = Path("scorecards") / predictions.name
    wildbench.score(kept, dataset=coco, out=default_card(kept))
    assert sorted(path.name for path in (tmp_path / "scorecards").iterdir()) == [
        "a.predictions.json",
        "a.score.images.csv",
        "a.score.json",
        "a.score.predictions.json",
    ]


def test_nothing_is_written_where_nobody_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictions, coco = results_file(tmp_path)
    written = wildbench.score(predictions, dataset=coco, out=tmp_path / "out" / "a.score.json")
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    assert wildbench.score(predictions, dataset=coco) == written
    assert sorted(tmp_path.rglob("*")) == before


def test_a_place_that_cannot_be_written_is_named_before_anything_runs(tmp_path: Path) -> None:
    predictions, coco = results_file(tmp_path)
    with pytest.raises(OutputError) as error:
        wildbench.score(predictions, dataset=coco, out=tmp_path)
    assert error.value.code == "output/folder"
    with pytest.raises(OutputError) as error:
        wildbench.score(predictions, dataset=coco, out=coco / "card.json")
    assert error.value.code == "output/not-writable"


def test_a_submission_s_card_has_its_name() -> None:
    assert default_card(Path("models/a.b.pt")) == Path("scorecards/a.b.json")
