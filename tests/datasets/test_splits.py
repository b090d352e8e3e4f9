from __future__ import annotations

import copy
import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from made_up_photographs import photograph, save

from wildbench.categories import SPLITS
from wildbench.datasets.coco import Dataset, canonical_json, read_coco
from wildbench.datasets.registry import load_dataset
from wildbench.datasets.splits import (
    SHARES,
    apply_split,
    imbalance,
    kept_together,
    make_split,
    pool,
    random_split,
    read_split,
    stratified_split,
    stratify,
    write_split,
)
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


def test_a_split_file_is_written_the_same_and_read_back(tmp_path: Path) -> None:
    split = made({"test": [5], "train": [2, 9]}, method='by "hand", nach Löwen', seed=3)
    write_split(split, tmp_path / "a" / "split.json")
    assert read_split(tmp_path / "a" / "split.json") == split
    assert json.loads((tmp_path / "a" / "split.json").read_text()) == split.model_dump()
    assert list(split.parts) == list(read_split(tmp_path / "a" / "split.json").parts) == ["test", "train"]
    assert len((tmp_path / "a" / "split.json").read_text().splitlines()) == 13


def test_a_split_is_of_images_and_survives_a_corrected_label() -> None:
    corrected = copy.deepcopy(COCO)
    corrected["annotations"][1]["bbox"][0] += 1
    corrected["images"].reverse()
    assert {image["id"] for image in apply_split(corrected, made(), "train")["images"]} == set(made().parts["train"])


@pytest.mark.parametrize(
    "change", [lambda images: images.pop(), lambda images: images[0].update(file_name="other.jpg")]
)
def test_other_images_are_refused_in_one_line(change: Callable[[Any], object]) -> None:
    changed = copy.deepcopy(COCO)
    change(changed["images"])
    with pytest.raises(DatasetError, check=coded("dataset/split-of-other-images", text="authors")) as refusal:
        apply_split(changed, made(), "train")
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


def coco_of(*images: str, sizes: float = 400) -> dict[str, Any]:
    """One image a text, one box a letter of it: a is category 1."""
    annotations = [
        {"id": len(images) * number + place, "image_id": number, "category_id": ord(letter) - 96}
        | {"bbox": [0, 0, 20, 20], "area": sizes, "iscrowd": 0}
        for number, letters in enumerate(images)
        for place, letter in enumerate(letters)
    ]
    return {
        "images": [{"id": number, "file_name": f"{number:03}.jpg"} for number in range(len(images))],
        "categories": [{"id": number, "name": chr(96 + number)} for number in range(1, 27)],
        "annotations": annotations,
    }


@pytest.fixture(scope="module")
def parksim() -> dict[str, Any]:
    return pool([load_dataset("parksim", split=split, with_images=False) for split in SPLITS])


def test_what_can_be_divided_exactly_is() -> None:
    coco = coco_of(*["a"] * 20, *["bb"] * 60, *[""] * 20)
    parts = stratify(coco)
    assert {part: len(images) for part, images in parts.items()} == {"train": 60, "val": 15, "test": 25}
    assert imbalance(coco, parts, SHARES) == pytest.approx(0)
    for part, share in SHARES.items():
        images = set(parts[part])
        found = Counter(box["category_id"] for box in coco["annotations"] if box["image_id"] in images)
        assert found == {1: 20 * share, 2: 120 * share}
        assert sum(number >= 80 for number in images) == 20 * share


def test_imbalance_is_the_misplaced_share() -> None:
    coco = coco_of("a", "a", "a", "a")
    half = {"x": 0.5, "y": 0.5}
    assert imbalance(coco, {"x": [0, 1], "y": [2, 3]}, half) == 0
    assert imbalance(coco, {"x": [0, 1, 2], "y": [3]}, half) == pytest.approx(0.25)
    assert imbalance(coco, {"x": [0, 1, 2, 3], "y": []}, half) == pytest.approx(0.5)


@pytest.mark.parametrize("rare", [1, 2, 3, 4, 5])
def test_a_rare_category_is_tested(rare: int) -> None:
    coco = coco_of(*["a"] * 30, *["b"] * rare)
    for seed in range(5):
        parts = stratify(coco, seed=seed)
        tested = sum(number >= 30 for number in parts["test"])
        assert tested == 1
        assert sum(number >= 30 for number in parts["train"]) >= min(rare - 1, 1)


def test_a_random_split_fills_one_part_after_another() -> None:
    parts = random_split(coco_of(*["a"] * 100), [list(range(0, 10))], seed=1)
    assert sorted(image for images in parts.values() for image in images) == list(range(100))
    assert all(abs(len(images) - 100 * SHARES[part]) <= 9 for part, images in parts.items())
    assert sum(set(range(10)) <= set(images) for images in parts.values()) == 1
    assert parts != random_split(coco_of(*["a"] * 100), [list(range(0, 10))], seed=2)


def test_groups_stay_whole() -> None:
    coco = coco_of(*["a"] * 50)
    together = [list(range(start, start + 5)) for start in range(0, 40, 5)]
    for seed in range(5):
        parts = stratify(coco, together, seed=seed)
        assert sorted(image for images in parts.values() for image in images) == list(range(50))
        for group in together:
            assert [part for part, images in parts.items() if set(group) & set(images)] in [[part] for part in parts]


def test_the_order_of_the_file_does_not_matter_and_the_seed_does(parksim: dict[str, Any]) -> None:
    shuffled = copy.deepcopy(parksim)
    random.Random(1).shuffle(shuffled["images"])
    random.Random(2).shuffle(shuffled["annotations"])
    assert stratify(shuffled, seed=3) == stratify(parksim, seed=3) != stratify(parksim, seed=4)


def test_ids_do_not_matter(parksim: dict[str, Any]) -> None:
    renumbered = copy.deepcopy(parksim)
    for image in renumbered["images"]:
        image["id"] = 10_000 - image["id"]
    for box in renumbered["annotations"]:
        box["image_id"] = 10_000 - box["image_id"]
    expected = {part: sorted(10_000 - image for image in images) for part, images in stratify(parksim).items()}
    assert stratify(renumbered) == expected


@pytest.mark.parametrize("whole_locations", [False, True])
def test_it_is_nearer_to_its_shares_than_any_of_fifty_random_splits(
    parksim: dict[str, Any], whole_locations: bool
) -> None:
    places = defaultdict(list)
    for image in parksim["images"]:
        places[image["location"] if whole_locations else image["id"]].append(image["id"])
    together = list(places.values())
    random_ones = [imbalance(parksim, random_split(parksim, together, seed=seed), SHARES) for seed in range(50)]
    for seed in range(3):
        assert imbalance(parksim, stratify(parksim, together, seed=seed), SHARES) < min(random_ones)


def test_it_is_nearer_on_real_labels_too(wildlife_real: Path) -> None:
    coco = read_coco(wildlife_real / "annotations" / "val.json").coco
    random_ones = [imbalance(coco, random_split(coco, seed=seed), SHARES) for seed in range(50)]
    parts = stratify(coco)
    assert imbalance(coco, parts, SHARES) < min(random_ones)
    tested = {box["category_id"] for box in coco["annotations"] if box["image_id"] in set(parts["test"])}
    assert tested == {box["category_id"] for box in coco["annotations"]}


def test_near_duplicates_and_locations_are_kept_together(tmp_path: Path) -> None:
    coco = coco_of(*["a"] * 12)
    for image in coco["images"]:
        image |= {"width": 320, "height": 240}
        number = image["id"]
        pixels = photograph(5)[:200, :280] if number == 9 else photograph(number)
        save(pixels, tmp_path / image["file_name"])
    coco["images"][3]["location"] = coco["images"][7]["location"] = "waterhole"
    coco["images"][1]["location"] = "hill"
    data = Dataset("made up", None, coco, tmp_path)
    together = kept_together(data)
    assert [group for group in together if len(group) > 1] == [[3, 7], [5, 9]]
    split = stratified_split(data, seed=1)
    assert (split.name, split.dataset, split.seed, list(split.parts)) == ("wildbench-v1", "made up", 1, list(SHARES))
    for pair in ((3, 7), (5, 9)):
        assert [set(pair) <= set(images) for images in split.parts.values()].count(True) == 1
    assert sum(len(apply_split(coco, split, part)["images"]) for part in split.parts) == 12
