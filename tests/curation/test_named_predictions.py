import shutil
from pathlib import Path

import pytest
from made_up_labels import found, results_file

from wildbench.curation.named_predictions import NamedPredictions, dense_of, read_named
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.errors import PredictionsError
from wildbench.resources import bundled


@pytest.fixture(scope="module")
def parksim() -> Dataset:
    return load_dataset("parksim", with_images=False)


CARDS = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-tiny")]


def test_scorecards_bring_their_detections_and_their_parents(parksim: Dataset) -> None:
    tiny, dense = read_named(CARDS[::-1], parksim)
    assert (tiny.name, tiny.field, tiny.same_labels) == ("reference-tiny", "reference_tiny", True)
    assert len(dense.results) > 1000
    assert dense_of(tiny, [tiny, dense]) is dense


def test_without_a_parent_the_first_is_the_dense_one() -> None:
    first, second = (NamedPredictions(name, name, []) for name in "ab")
    assert dense_of(first, [first, second]) is None
    assert dense_of(second, [first, second]) is first


def test_detections_that_were_exchanged_are_refused(parksim: Dataset, tmp_path: Path) -> None:
    card = shutil.copy(CARDS[0], tmp_path)
    with pytest.raises(PredictionsError, match="are not there"):
        read_named([Path(card)], parksim)
    shutil.copy(CARDS[1].with_name("reference-tiny.predictions.json"), tmp_path / "reference.predictions.json")
    with pytest.raises(PredictionsError, match=r"not the detections that reference\.json was made with"):
        read_named([Path(card)], parksim)


def test_results_files_have_fields_of_their_own(data: Dataset, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    paths = [results_file(folder / "time_of_day.json", [found(11, 1, [1, 1, 5, 5], 0.5)]) for folder in folders]
    assert [one.field for one in read_named(paths, data)] == ["d_time_of_day", "d_time_of_day_2"]


@pytest.mark.parametrize(
    ("stems", "names", "fields"),
    [
        (["model_2", "model"], ["model_2", "model"], ["model_2", "model"]),
        (["model", "a/model", "model_2"], ["model", "model 2", "model_2 2"], ["model", "model_2", "model_2_2"]),
        (["pruned_30", "pruned"], ["pruned_30", "pruned"], ["pruned_30", "pruned"]),
        (["a b", "a-b", "A b"], ["a b", "a-b 2", "A b 3"], ["a_b", "a_b_2", "a_b_3"]),
        (["clean", "image_id"], ["clean", "image_id"], ["d_clean", "d_image_id"]),
    ],
)
def test_no_two_detectors_have_one_name_or_field(
    data: Dataset, tmp_path: Path, stems: list[str], names: list[str], fields: list[str]
) -> None:
    (tmp_path / "a").mkdir()
    paths = [results_file(tmp_path / f"{stem}.json", [found(11, 1, [1, 1, 5, 5], 0.5)]) for stem in stems]
    named = read_named(paths, data)
    assert [(one.name, one.field) for one in named] == list(zip(names, fields, strict=True))
