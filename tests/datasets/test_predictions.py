import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wildbench.datasets.coco import Dataset
from wildbench.datasets.masks import encode_mask
from wildbench.datasets.predictions import (
    Detections,
    _read_plain,
    read_predictions,
    results_bytes,
    write_predictions,
)
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
POLYGON = [[1, 2, 11, 2, 11, 22]]


def written(folder: Path, value: object) -> Path:
    path = folder / "p.json"
    path.write_text(json.dumps(value))
    return path


def refused(path: Path) -> PredictionsError:
    with pytest.raises(PredictionsError) as caught:
        read_predictions(path, DATA)
    assert caught.value.remedy
    return caught.value


def test_sound_results_are_read_as_they_stand(tmp_path: Path) -> None:
    masks = ({"segmentation": encode_mask(np.ones((40, 60), np.uint8))}, {"segmentation": POLYGON})
    sides = ({"bbox": [-3, -2.5, 100, 200]}, {"bbox": [5, 5, 0, 0]})
    for sound in ({}, {"score": 0}, {"score": 1}, *sides, *masks):
        results = [GOOD | sound, GOOD | sound | {"image_id": 7}]
        assert read_predictions(written(tmp_path, results), DATA).to_coco() == results
    assert read_predictions(written(tmp_path, [GOOD | {"id": 9, "area": 4}]), DATA).to_coco() == [GOOD]
    assert len(read_predictions(written(tmp_path, []), DATA)) == 0


FAULTS: list[tuple[dict[str, Any], str, str]] = [
    ({"image_id": 4}, "detection-unknown-image", "image_id 4"),
    ({"image_id": "3"}, "key-type", "image_id '3'"),
    ({"image_id": True}, "key-type", "image_id True"),
    ({"image_id": [3]}, "key-type", "image_id [3]"),
    ({"category_id": 2}, "detection-unknown-category", "category_id 2"),
    ({"category_id": 5.5}, "key-type", "category_id 5.5"),
    ({"bbox": [1, 2, 3]}, "key-type", "bbox [1, 2, 3]"),
    ({"bbox": None}, "key-type", "bbox"),
    ({"bbox": [1, 2, "3", 4]}, "key-type", "bbox"),
    ({"bbox": [1, 2, float("nan"), 4]}, "box-not-finite", "bbox [1, 2, nan, 4]"),
    ({"bbox": [1, float("-inf"), 3, 4]}, "box-not-finite", "bbox [1, -inf, 3, 4]"),
    ({"bbox": [10, 2, -4, 4]}, "box-negative-side", "bbox [10, 2, -4, 4]"),
    ({"score": float("nan")}, "score-range", "score nan"),
    ({"score": 1.5}, "score-range", "score 1.5"),
    ({"score": -0.1}, "score-range", "score -0.1"),
    ({"score": "0.9"}, "key-type", "score '0.9'"),
]


def test_each_fault_is_named_with_its_code_and_its_place(tmp_path: Path) -> None:
    for change, code, value in FAULTS:
        path = written(tmp_path, [GOOD, GOOD | change])
        error = refused(path)
        assert error.code == f"predictions/{code}"
        assert str(error).startswith(f"{path}: [1]: ")
        assert value in error.what
    wrong_size = [GOOD | {"segmentation": {"size": [60, 40], "counts": [2400]}}]
    assert refused(written(tmp_path, wrong_size)).code == "predictions/mask-invalid"
    for key in GOOD:
        result = {other: value for other, value in GOOD.items() if other != key}
        error = refused(written(tmp_path, [result, result]))
        assert error.code == "predictions/key-missing"
        assert "[0]" in error.what
        assert key in error.what


def test_masks_for_some_detections_only_are_refused(tmp_path: Path) -> None:
    error = refused(written(tmp_path, [GOOD | {"segmentation": POLYGON}, GOOD]))
    assert error.code == "predictions/mask-missing"
    with pytest.raises(PredictionsError) as caught:
        Detections.from_coco([GOOD | {"segmentation": POLYGON}, GOOD])
    assert caught.value.code == "predictions/mask-missing"


def test_another_kind_of_file_is_one_line(tmp_path: Path) -> None:
    for value in ({"images": []}, "text", 3):
        assert refused(written(tmp_path, value)).code == "predictions/not-results"
    for entry in ([1, 2, 3], "a"):
        assert refused(written(tmp_path, [entry])).code == "predictions/entry-type"
    assert str(tmp_path / "absent.json") in str(refused(tmp_path / "absent.json"))
    (tmp_path / "half.json").write_text('[{"image_id": 3,')
    assert str(tmp_path / "half.json") in str(refused(tmp_path / "half.json"))


def test_writing_sorts_by_image_and_score_and_keeps_ties_in_order(tmp_path: Path) -> None:
    results = [
        GOOD | {"image_id": 7, "score": 0.5, "bbox": [1, 0, 1, 1]},
        GOOD | {"image_id": 3, "score": 0.1, "bbox": [2, 0, 1, 1]},
        GOOD | {"image_id": 7, "score": 0.9, "bbox": [3, 0, 1, 1]},
        GOOD | {"image_id": 7, "score": 0.5, "bbox": [0, 0, 1, 1]},
    ]
    path = tmp_path / "p.json"
    path.write_bytes(results_bytes(Detections.from_coco(results)))
    assert [result["bbox"][0] for result in json.loads(path.read_text())] == [2, 3, 1, 0]
    assert path.read_text().splitlines()[1] == (
        '{"bbox": [2.0, 0.0, 1.0, 1.0], "category_id": 5, "image_id": 3, "score": 0.1},'
    )
    assert results_bytes(read_predictions(path, DATA)) == path.read_bytes()
    assert results_bytes(Detections.from_coco([])) == b"[]\n"


def test_numbers_are_written_in_full() -> None:
    score = float(np.float32(0.1))
    result = GOOD | {"score": score, "bbox": [1 / 3, np.pi, 1e-7, 123456.789012345]}
    assert json.loads(results_bytes(Detections.from_coco([result]))) == [result]


def test_detections_are_columns_that_agree() -> None:
    found = Detections.from_coco([GOOD, GOOD | {"image_id": 7}, GOOD | {"score": 0.75}])
    assert repr(found) == "Detections(3 boxes in 2 images)"
    assert found[found.scores > 0.5].to_coco() == [GOOD | {"score": 0.75}]
    assert found[np.array([2, 0])].scores.tolist() == [0.75, 0.25]
    assert found[:1].xyxy.tolist() == [[1, 2.5, 11, 22.5]]
    assert found.of_image(7).to_coco() == [GOOD | {"image_id": 7}]
    assert Detections.concatenate([found[:0], found[:1], found[1:]]).to_coco() == found.to_coco()
    assert len(Detections.concatenate([])) == 0
    masked = Detections.from_coco([GOOD | {"segmentation": POLYGON}])
    assert masked.to_coco() == Detections.concatenate([found[:0], masked]).to_coco()
    frame = found.to_frame()
    assert list(frame.columns) == ["image_id", "category_id", "score", "x", "y", "width", "height"]
    assert len(frame) == 3
    with pytest.raises(ValueError, match="read-only"):
        found.scores[0] = 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"scores": [0.5, 0.5]}, "columns-differ"),
        ({"boxes": [[1, 2, 3]]}, "columns-differ"),
        ({"boxes": [[1, 2, 3, np.nan]]}, "box-not-finite"),
        ({"boxes": [[1, 2, -3, 4]]}, "box-negative-side"),
        ({"scores": [1.5]}, "score-range"),
        ({"scores": [np.nan]}, "score-range"),
    ],
)
def test_columns_that_cannot_be_scored_are_refused(change: dict[str, Any], code: str) -> None:
    columns: dict[str, Any] = {"image_ids": [3], "category_ids": [5], "boxes": [[1, 2, 3, 4]], "scores": [0.5]}
    with pytest.raises(PredictionsError) as caught:
        Detections(**columns | change)
    assert caught.value.code == f"predictions/{code}"


def test_plain_results_are_read_by_columns_as_they_are_one_by_one(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    boxes = random.normal(0, 10.0 ** random.integers(-7, 7, (300, 4))).tolist()
    boxes = [[x, y, abs(width), abs(height)] for x, y, width, height in boxes]
    scores = (random.random(300) ** 8).tolist()
    results = [GOOD | {"bbox": box, "score": score} for box, score in zip(boxes, scores, strict=True)]
    for text in (json.dumps(results), json.dumps(results, indent=3), json.dumps(results, separators=(",", ":"))):
        path = tmp_path / "p.json"
        path.write_text(text)
        by_columns = _read_plain(path, DATA)
        assert by_columns is not None
        assert by_columns.to_coco() == results == read_predictions(path, DATA).to_coco()


@pytest.mark.parametrize("text", ["[]", "[{}]", "{}", "", "[", "[1]", '[{"image_id": 3', "[null]", "\xff"])
def test_what_is_not_plain_is_left_to_the_reader_that_says_why(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(text, encoding="latin-1")
    assert _read_plain(path, DATA) is None
    for change in ({"image_id": 4}, {"score": 2}, {"bbox": [1, 2, 3]}, {"bbox": [1, 2, None, 4]}, {"score": None}):
        assert _read_plain(written(tmp_path, [GOOD, GOOD | change]), DATA) is None
    twice = json.dumps([GOOD, GOOD])[:-2] + ', "score": 0.5}]'
    path.write_text(twice)
    assert _read_plain(path, DATA) is None


def test_a_results_file_has_the_bytes_that_json_gives() -> None:
    random = np.random.default_rng(2)
    for masks in (None, [POLYGON] * 40):
        boxes = random.normal(0, 10.0 ** random.integers(-9, 18, (40, 4)))
        boxes[:, 2:] = np.abs(boxes[:, 2:])
        detections = Detections([3] * 40, [5] * 40, boxes, scores=np.sort(random.random(40))[::-1], masks=masks)
        for originals in ({}, {3: "north/a.jpg"}):
            entries = [one | {"image_id": originals.get(3, 3)} for one in detections.to_coco()]
            expected = "[\n" + ",\n".join(json.dumps(one, sort_keys=True) for one in entries) + "\n]\n"
            assert results_bytes(detections, originals) == expected.encode()


def test_columns_keep_what_results_say(tmp_path: Path) -> None:
    detections = Detections([7, 3], [1, 5], [[1, 2, 3.25, 4], [0, 0, 9, 9]], scores=[0.5, 0.25])
    path = tmp_path / "p.parquet"
    write_predictions(detections, path)
    assert read_predictions(path, DATA).to_coco() == detections[[1, 0]].to_coco()
    masked = Detections([7], [1], [[1, 2, 3, 4]], scores=[0.5], masks=[POLYGON])
    write_predictions(masked, path)
    assert read_predictions(path, DATA).to_coco() == masked.to_coco()
    write_predictions(Detections([7], [2], [[1, 2, 3, 4]], scores=[0.5]), path)
    assert refused(path).code == "predictions/detection-unknown-category"
    path.write_bytes(path.read_bytes()[:-5])
    assert refused(path).code == "predictions/not-parquet"
