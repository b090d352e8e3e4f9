import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded

from wildbench.datasets.coco import Dataset, canonical_json, read_coco, write_coco
from wildbench.errors import DatasetError

COCO: dict[str, Any] = {
    "info": {"description": "Löwen"},
    "images": [
        {"id": 9, "file_name": "night/9.jpg", "width": 60, "height": 40, "annotated_categories": ["zebra"]},
        {"id": 2, "file_name": "2.jpg", "width": 60, "height": 40},
    ],
    "categories": [{"id": 5, "name": "zebra"}, {"id": 1, "name": "lion"}],
    "annotations": [
        {"id": 4, "image_id": 9, "category_id": 5, "bbox": [1, 2, 10, 20]},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 2, 30, 20], "area": 400, "iscrowd": 1},
        {"id": 8, "image_id": 9, "category_id": 5, "bbox": [30, 2, 10, 20], "area": 150.5, "iscrowd": 0},
    ],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "serengeti" / "annotations" / "val.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(COCO))
    return path


def test_a_file_is_read_in_its_own_order(path: Path) -> None:
    data = read_coco(path)
    assert [image["id"] for image in data.images] == [9, 2]
    assert [annotation["id"] for annotation in data.annotations] == [4, 3, 8]
    assert data.category_names == ["lion", "zebra"]
    assert [annotation["id"] for annotation in data.boxes(9)] == [4, 8]
    assert data.boxes(77) == []
    assert data.image_path(data.images[0]) == path.parent / "night" / "9.jpg"
    assert (data.name, data.split) == ("serengeti/val", None)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_a_number_that_cannot_be_written_again_is_refused(path: Path, number: str) -> None:
    path.write_text(path.read_text().replace('"2.jpg"', f'"2.jpg", "lens": {{"f": {number}}}'))
    with pytest.raises(DatasetError, check=coded("dataset/value-not-json")):
        read_coco(path)


def test_area_and_crowd_are_filled_in_and_nothing_else_changes(path: Path) -> None:
    data = read_coco(path)
    assert data.annotations[0] == COCO["annotations"][0] | {"area": 200, "iscrowd": 0}
    assert data.annotations[1:] == COCO["annotations"][1:]
    assert data.images == COCO["images"]


def test_partial_labels(path: Path) -> None:
    data = read_coco(path)
    assert data.partial_labels
    assert [data.scored_categories(image) for image in data.images] == [{5}, {1, 5}]
    assert not data.take(None).coco["images"][1].get("annotated_categories")


def test_take_keeps_the_first_images_and_their_boxes(path: Path) -> None:
    data = read_coco(path)
    first = data.take(1)
    assert [image["id"] for image in first.images] == [9]
    assert [annotation["id"] for annotation in first.annotations] == [4, 8]
    assert first.categories == data.categories
    assert first.sha256 != data.sha256
    assert data.take(None) is data
    assert data.take(5).sha256 == data.sha256
    assert len(data.images) == 2


def test_the_record_counts_what_is_scored(path: Path) -> None:
    record = read_coco(path, name="serengeti", split="val").take(1).record(limit=1)
    assert (record.name, record.split, record.images, record.boxes, record.limit) == ("serengeti", "val", 1, 2, 1)
    assert read_coco(path).record().boxes == 2  # one of the three is a crowd
    assert record.categories == ["lion", "zebra"]
    assert record.partial_labels


def test_writing_is_canonical_and_its_hash_is_the_data_sets(path: Path, tmp_path: Path) -> None:
    data = read_coco(path)
    shuffled = {key: data.coco[key] for key in reversed(data.coco)}
    shuffled["images"] = [dict(reversed(image.items())) for image in shuffled["images"]]
    write_coco(shuffled, tmp_path / "new" / "copy.json")
    text = (tmp_path / "new" / "copy.json").read_bytes()
    assert text.decode() == canonical_json(data.coco)
    assert hashlib.sha256(text).hexdigest() == data.sha256
    assert read_coco(tmp_path / "new" / "copy.json").coco == data.coco
    assert "Löwen" in text.decode()
    assert len(text.decode().splitlines()) == 2 + 1 + 3 * 2 + 2 + 2 + 3  # braces, info, brackets, entries


@pytest.mark.parametrize(("key", "value"), [("bbox", [1, 2, 10, 21]), ("image_id", 2)])
def test_the_hash_is_of_every_value(path: Path, key: str, value: object) -> None:
    before = read_coco(path).sha256
    changed = copy.deepcopy(COCO)
    changed["annotations"][0][key] = value
    path.write_text(json.dumps(changed))
    assert read_coco(path).sha256 != before


def test_nan_is_never_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's own
        write_coco({"images": [float("nan")]}, tmp_path / "a.json")
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_names_the_first_error_and_counts_the_rest(path: Path) -> None:
    broken = copy.deepcopy(COCO)
    broken["annotations"][1]["bbox"] = [1, 2, -30, 20]
    broken["annotations"][2]["category_id"] = 6
    path.write_text(json.dumps(broken))
    with pytest.raises(DatasetError) as caught:
        read_coco(path)
    message = str(caught.value)
    assert "\n" not in message
    assert f"{path}: annotations[2] (id 8): category_id 6 is not in the file" in message
    assert "(the first of 2 errors)" in message
    assert "list the category" in message


def test_warnings_do_not_refuse(path: Path) -> None:
    partly = copy.deepcopy(COCO)
    partly["images"][0]["annotated_categories"] = ["lion"]
    path.write_text(json.dumps(partly))
    assert len(read_coco(path).annotations) == 3


def test_missing_images_refuse_where_a_folder_is_given(path: Path) -> None:
    with pytest.raises(DatasetError, check=coded("dataset/image-missing")) as caught:
        read_coco(path, path.parent)
    assert str(path.parent / "night" / "9.jpg") in str(caught.value)


@pytest.mark.parametrize("text", ["{", "", "\xff", '{"images": ' + "9" * 5000 + "}", "[" * 100_000])
def test_what_is_not_json_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(DatasetError, check=coded("dataset/not-json")):
        read_coco(path)


@pytest.mark.parametrize("text", ["null", "3", '"images"', "[]"])
def test_what_is_no_object_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DatasetError, check=coded("dataset/not-coco")):
        read_coco(tmp_path / "a.json")


def test_what_is_odd_stays_with_the_data_set(path: Path) -> None:
    odd = copy.deepcopy(COCO)
    odd["images"][0]["annotated_categories"] = ["lion"]
    path.write_text("\ufeff" + json.dumps(odd), encoding="utf-8")
    data = read_coco(path)
    assert next(finding.code for finding in data.warnings) == "json-encoding"
    assert {finding.severity for finding in data.take(1).warnings} == {"warning"}
    assert len(data.warnings) > 1


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, check=coded("dataset/file-unreadable")) as caught:
        read_coco(tmp_path / "absent.json")
    assert str(tmp_path / "absent.json") in str(caught.value)


def test_a_data_set_cannot_be_rebound(path: Path) -> None:
    data: Dataset = read_coco(path)
    with pytest.raises(AttributeError):
        data.name = "other"  # type: ignore[misc]
