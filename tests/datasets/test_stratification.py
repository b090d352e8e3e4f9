import copy
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from made_up_photographs import photograph, save

from wildbench.categories import SPLITS
from wildbench.datasets.coco import Dataset, read_coco
from wildbench.datasets.registry import load_dataset
from wildbench.datasets.splits import (
    SHARES,
    apply_split,
    imbalance,
    kept_together,
    pool,
    random_split,
    stratified_split,
    stratify,
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
