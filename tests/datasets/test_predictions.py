import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wildbench.datasets.coco import Dataset
from wildbench.datasets.masks import encode_mask
from wildbench.datasets.predictions import read_predictions, write_predictions
from wildbench.errors import PredictionsError

DATA = Dataset(
    "tiny",
    None,
    {
        "images": [{"id": key, "file_name": f"{key}.jpg", "width": 60, "height": 40} for key in (7, 3)],
        "categories": [{"id": 1, "name": "lion"}, {"id": 5, "name": "zebra"}],
        "annotations": [],
    },
    Path(),
)
GOOD: dict[str, Any] = {"image_id": 3, "category_id": 5, "bbox": [1, 2.5, 10, 20], "score": 0.25}


def written(folder: Path, value: object) -> Path:
    path = folder / "p.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    "sound",
    [
        {},
        {"score": 0},
        {"score": 1},
        {"bbox": [-3, -2.5, 100, 200]},
        {"bbox": [5, 5, 0, 0]},
        {"id": 9, "area": 4},
        {"segmentation": encode_mask(np.ones((40, 60), np.uint8))},
        {"segmentation": [[1, 2, 11, 2, 11, 22]]},
    ],
)
def test_sound_results_are_read_as_they_stand(tmp_path: Path, sound: dict[str, Any]) -> None:
    results = [GOOD | sound, GOOD | sound | {"image_id": 7}]
    assert read_predictions(written(tmp_path, results), DATA) == results


def test_no_detections_are_a_result(tmp_path: Path) -> None:
    assert read_predictions(written(tmp_path, []), DATA) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"image_id": 4}, "image_id 4 is not in tiny"),
        ({"image_id": "3"}, "image_id '3', which is no integer"),
        ({"image_id": True}, "image_id True"),
        ({"image_id": [3]}, "image_id [3]"),
        ({"category_id": 2}, "category_id 2 is not in tiny"),
        ({"category_id": 5.5}, "category_id 5.5"),
        ({"bbox": [1, 2, 3]}, "bbox [1, 2, 3]"),
        ({"bbox": None}, "bbox None"),
        ({"bbox": [1, 2, "3", 4]}, "bbox"),
        ({"bbox": [1, 2, float("nan"), 4]}, "bbox [1, 2, nan, 4]"),
        ({"bbox": [1, float("-inf"), 3, 4]}, "bbox [1, -inf, 3, 4]"),
        ({"bbox": [10, 2, -4, 4]}, "negative side"),
        ({"score": float("nan")}, "score nan"),
        ({"score": 1.5}, "score 1.5"),
        ({"score": -0.1}, "score -0.1"),
        ({"score": "0.9"}, "score '0.9'"),
        ({"segmentation": {"size": [60, 40], "counts": [2400]}}, "segmentation: RLE of size [60, 40]"),
    ],
)
def test_each_fault_is_named_with_its_place(tmp_path: Path, change: dict[str, Any], problem: str) -> None:
    path = written(tmp_path, [GOOD, GOOD | change] if "segmentation" not in change else [GOOD | change])
    with pytest.raises(PredictionsError) as caught:
        read_predictions(path, DATA)
    place = 0 if "segmentation" in change else 1
    assert str(caught.value).startswith(f"{path}: [{place}]: ")
    assert problem in caught.value.what
    assert caught.value.remedy


@pytest.mark.parametrize("key", list(GOOD))
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    result = {other: value for other, value in GOOD.items() if other != key}
    with pytest.raises(PredictionsError, match=rf"\[0\]: no {key} \[key-missing, the first of 2 errors\]"):
        read_predictions(written(tmp_path, [result, result]), DATA)


def test_masks_for_some_detections_only_are_refused(tmp_path: Path) -> None:
    masked = GOOD | {"segmentation": [[1, 2, 11, 2, 11, 22]]}
    with pytest.raises(PredictionsError, match=r"\[1\]: no segmentation"):
        read_predictions(written(tmp_path, [masked, GOOD]), DATA)


@pytest.mark.parametrize("value", [{"images": []}, "text", 3, [[1, 2, 3]], ["a"]])
def test_another_kind_of_json_is_one_line(tmp_path: Path, value: object) -> None:
    with pytest.raises(PredictionsError, match="image_id"):
        read_predictions(written(tmp_path, value), DATA)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(PredictionsError, match=r"absent\.json: No such file"):
        read_predictions(tmp_path / "absent.json", DATA)
    (tmp_path / "half.json").write_text('[{"image_id": 3,')
    with pytest.raises(PredictionsError, match=r"half\.json: not JSON"):
        read_predictions(tmp_path / "half.json", DATA)


def test_writing_sorts_by_image_and_score_and_keeps_ties_in_order(tmp_path: Path) -> None:
    results = [
        GOOD | {"image_id": 7, "score": 0.5, "bbox": [1, 0, 1, 1]},
        GOOD | {"image_id": 3, "score": 0.1, "bbox": [2, 0, 1, 1]},
        GOOD | {"image_id": 7, "score": 0.9, "bbox": [3, 0, 1, 1]},
        GOOD | {"image_id": 7, "score": 0.5, "bbox": [0, 0, 1, 1]},
    ]
    path = tmp_path / "new" / "p.json"
    digest = write_predictions(results, path)
    assert [result["bbox"][0] for result in json.loads(path.read_text())] == [2, 3, 1, 0]
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert len(path.read_text().splitlines()) == 6
    again = [dict(reversed(result.items())) for result in results]
    assert write_predictions(again, tmp_path / "again.json") == digest


def test_numbers_are_written_in_full(tmp_path: Path) -> None:
    score = float(np.float32(0.1))
    result = GOOD | {"score": score, "bbox": [1 / 3, np.pi, 1e-7, 123456.789012345]}
    write_predictions([result], tmp_path / "p.json")
    assert json.loads((tmp_path / "p.json").read_text()) == [result]


def test_nothing_found_is_an_empty_list(tmp_path: Path) -> None:
    write_predictions([], tmp_path / "p.json")
    assert read_predictions(tmp_path / "p.json", DATA) == []


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_predictions([GOOD | {"score": float("nan")}], tmp_path / "p.json")
    assert list(tmp_path.iterdir()) == []
