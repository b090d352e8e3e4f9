import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded

from wildbench.categories import SPLITS
from wildbench.datasets.coco import Dataset, canonical_json
from wildbench.datasets.registry import load_dataset
from wildbench.datasets.splits import apply_split, make_split, pool, read_split, write_split
from wildbench.errors import DatasetError
from wildbench.resources import bundled

COCO: dict[str, Any] = {
    "info": {"description": "four images"},
    "images": [
        {"id": 9, "file_name": "b/9.jpg", "width": 60, "height": 40},
        {"id": 2, "file_name": "a/2.jpg", "width": 60, "height": 40},
        {"id": 5, "file_name": "a/5.jpg", "width": 60, "height": 40},
        {"id": 7, "file_name": "b/7.jpg", "width": 60, "height": 40},
    ],
    "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}],
    "annotations": [
        {"id": 4, "image_id": 9, "category_id": 2, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0},
        {"id": 3, "image_id": 2, "category_id": 1, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0},
        {"id": 8, "image_id": 9, "category_id": 2, "bbox": [30, 2, 10, 20], "area": 200, "iscrowd": 1},
    ],
}


def made(parts: dict[str, list[int]] | None = None, **more: Any) -> Any:
    parts = {"train": [9, 2], "valid": [7]} if parts is None else parts
    return make_split(COCO, parts, **({"name": "authors", "dataset": "parks", "method": "published"} | more))


def test_a_part_holds_its_images_and_their_boxes_in_the_order_of_the_data_set() -> None:
    train = apply_split(COCO, made(), "train")
    assert [image["id"] for image in train["images"]] == [9, 2]
    assert [annotation["id"] for annotation in train["annotations"]] == [4, 3, 8]
    assert train["categories"] == COCO["categories"]
    valid = apply_split(COCO, made(), "valid")
    assert ([image["id"] for image in valid["images"]], valid["annotations"]) == ([7], [])


def test_the_hash_is_of_the_canonical_json() -> None:
    assert made().sha256 == hashlib.sha256(canonical_json(COCO).encode()).hexdigest()


def test_a_split_file_is_written_the_same_and_read_back(tmp_path: Path) -> None:
    split = made({"test": [5], "train": [2, 9]}, method='by "hand", nach Löwen', seed=3)
    write_split(split, tmp_path / "a" / "split.json")
    assert read_split(tmp_path / "a" / "split.json") == split
    assert json.loads((tmp_path / "a" / "split.json").read_text()) == split.model_dump()
    assert list(split.parts) == list(read_split(tmp_path / "a" / "split.json").parts) == ["test", "train"]
    assert len((tmp_path / "a" / "split.json").read_text().splitlines()) == 12


def test_a_changed_data_set_is_refused_in_one_line() -> None:
    split = made()
    for change in ("box", "image", "order"):
        changed = copy.deepcopy(COCO)
        if change == "box":
            changed["annotations"][1]["bbox"][0] += 1
        elif change == "image":
            changed["images"].pop()
        else:
            changed["images"].reverse()
        sha256 = hashlib.sha256(canonical_json(changed).encode()).hexdigest()
        with pytest.raises(DatasetError, check=coded("dataset/split-of-other-labels")) as refusal:
            apply_split(changed, split, "train")
        for word in ("authors", "parks", split.sha256, sha256):
            assert word in str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_a_part_that_is_not_there_is_named() -> None:
    with pytest.raises(DatasetError, check=coded("dataset/no-such-part", text="train, valid")):
        apply_split(COCO, made(), "test")


def test_an_impossible_division_is_refused() -> None:
    for parts in ({"train": [2], "test": [2]}, {"train": [2, 2]}):
        with pytest.raises(DatasetError, check=coded("dataset/bad-split", text="image 2")):
            made(parts)
    with pytest.raises(DatasetError, check=coded("dataset/no-such-image", text="44")):
        made({"train": [2], "test": [44]})


def test_a_file_that_is_not_a_split_is_refused(tmp_path: Path) -> None:
    whole = {"format_version": 1, "name": "x", "dataset": "d", "sha256": "", "method": "", "seed": None}
    texts = {
        "[1, 2]": "no-format-version",
        "{}": "no-format-version",
        "{": "not-json",
        '{"format_version": 2}': "newer-format",
        '{"format_version": 1, "name": "x"}': "damaged",
        json.dumps(whole | {"parts": {"a": [1], "b": [1]}}): "damaged",
        json.dumps(whole | {"parts": {"a": ["1"]}}): "damaged",
    }
    path = tmp_path / "split.json"
    for text, code in texts.items():
        path.write_text(text)
        with pytest.raises(DatasetError, check=coded(f"dataset/{code}", text=str(path))):
            read_split(path)
    with pytest.raises(DatasetError, check=coded("dataset/file-unreadable", text="none.json")):
        read_split(tmp_path / "none.json")


def test_parts_are_pooled_in_order_with_what_they_agree_on() -> None:
    whole = Dataset("d", None, COCO, Path())
    split = made({"a": [9, 2], "b": [5, 7]})
    parts = [Dataset(part, None, apply_split(COCO, split, part), Path()) for part in split.parts]
    assert pool(parts) == COCO == pool([whole])
    parts[1].coco["info"] = {"description": "another"}
    assert pool(parts) == {key: value for key, value in COCO.items() if key != "info"}
    with pytest.raises(DatasetError, check=coded("dataset/ids-shared", text="id 9")):
        pool([whole, whole])
    with pytest.raises(DatasetError, check=coded("dataset/categories-differ")):
        pool([parts[0], Dataset("b", None, COCO | {"categories": []}, Path())])


def test_parksim_s_split_file_gives_back_its_committed_files() -> None:
    parts = {part: load_dataset("parksim", split=part, with_images=False) for part in SPLITS}
    split = read_split(bundled("annotations/parksim/splits/by-location.json"))
    assert list(split.parts) == list(SPLITS)
    for part in SPLITS:
        given = apply_split(pool(list(parts.values())), split, part)
        committed = json.loads(bundled(f"annotations/parksim/{part}.json").read_text())
        assert given | {"info": committed["info"]} == committed  # `info` names the part, so the pool has none
        assert canonical_json(given | {"info": committed["info"]}).encode() == (
            bundled(f"annotations/parksim/{part}.json").read_bytes()
        )
