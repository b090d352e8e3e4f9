from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codes import coded
from PIL import Image

from wildbench.categories import CATEGORIES, SPLITS
from wildbench.datasets.image_files import images_near
from wildbench.datasets.registry import generate, load_dataset, names, registered, summary
from wildbench.errors import DatasetError
from wildbench.resources import bundled, cache_dir

COCO = {
    "images": [{"id": key, "file_name": f"{key}.png", "width": 9, "height": 8} for key in (1, 2)],
    "categories": [{"id": 1, "name": "okapi"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 3, 3], "area": 9, "iscrowd": 0}],
}


def save_images(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for image in COCO["images"]:
        Image.fromarray(np.zeros((8, 9, 3), np.uint8)).save(folder / str(image["file_name"]))
    return folder


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "set" / "annotations" / "val.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(COCO))
    return path


@pytest.mark.parametrize("folder", [".", "images", "../images"])
def test_images_are_found_near_the_file(path: Path, folder: str) -> None:
    save_images(path.parent / folder)
    data = load_dataset(path)
    assert data.images_dir.resolve() == (path.parent / folder).resolve() == images_near(path).resolve()
    assert all(data.image_path(image).is_file() for image in data.images)
    assert data.category_names == ["okapi"]


def test_the_nearest_folder_that_has_the_images_wins(path: Path) -> None:
    (path.parent / "images").mkdir()
    far = save_images(path.parent.parent / "images")
    assert load_dataset(str(path)).images_dir.resolve() == far.resolve()


def test_a_folder_that_is_named_wins(path: Path, tmp_path: Path) -> None:
    save_images(path.parent)
    elsewhere = save_images(tmp_path / "elsewhere")
    assert load_dataset(path, images=elsewhere).images_dir == elsewhere


def test_how_the_file_is_named_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = save_images(path.parent.parent / "images")
    for folder, named in ((path.parent, "val.json"), (images, "../annotations/val.json")):
        monkeypatch.chdir(folder)
        data = load_dataset(named)
        assert data.name == load_dataset(path).name == "set/val"
        assert data.images_dir.samefile(images)


def test_the_folder_may_be_named_as_text(path: Path, tmp_path: Path) -> None:
    elsewhere = save_images(tmp_path / "elsewhere")
    data = load_dataset(path, images=str(elsewhere))
    assert data.image_path(data.images[0]) == elsewhere / "1.png"


def test_images_that_are_nowhere_are_one_line(path: Path) -> None:
    with pytest.raises(DatasetError, check=coded("dataset/images-not-found", text="1.png")):
        load_dataset(path)
    assert len(load_dataset(path, with_images=False).images) == 2


def test_images_of_which_one_is_missing_are_refused(path: Path) -> None:
    (save_images(path.parent) / "2.png").unlink()
    with pytest.raises(DatasetError, check=coded("dataset/image-missing", text="images[1] (id 2)")):
        load_dataset(path)


def test_a_file_is_one_split_whatever_split_is_asked_for(path: Path) -> None:
    save_images(path.parent)
    assert load_dataset(path, split="test").sha256 == load_dataset(path, split="moon").sha256
    assert load_dataset(path, split="train").split is None


def test_limit(path: Path) -> None:
    save_images(path.parent)
    assert [image["id"] for image in load_dataset(path, limit=1).images] == [1]
    with pytest.raises(DatasetError, check=coded("dataset/bad-limit")):
        load_dataset(path, limit=0)


def test_unknown_names_and_folders_are_one_line(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, check=coded("dataset/no-such-dataset", text="parksim")):
        load_dataset("serengeti")
    with pytest.raises(DatasetError, check=coded("dataset/no-such-dataset")):
        load_dataset(tmp_path / "absent.json")
    with pytest.raises(DatasetError, check=coded("dataset/no-image-folder")):
        load_dataset(path, images=tmp_path / "absent")
    with pytest.raises(DatasetError, check=coded("dataset/no-such-dataset")):
        generate("serengeti")
    with pytest.raises(DatasetError, check=coded("dataset/not-rendered")):
        generate("parks")


@pytest.mark.parametrize("coco", [[], {"images": 3}, {"images": []}, {"images": [{"id": 1}]}])
def test_a_file_that_is_not_a_data_set_is_refused_by_validation(path: Path, coco: object) -> None:
    codes = ("dataset/not-coco", "dataset/section-missing", "dataset/section-empty")
    path.write_text(json.dumps(coco))
    with pytest.raises(
        DatasetError,
        check=coded(*codes),
    ):
        load_dataset(path)


@pytest.mark.parametrize("split", SPLITS)
def test_parksim_is_registered(split: str) -> None:
    data = load_dataset("parksim", split=split, with_images=False)
    assert (data.name, data.split) == ("parksim", split)
    assert tuple(data.category_names) == CATEGORIES
    assert bundled(f"annotations/parksim/{split}.json").is_file()


def test_parksim_has_three_splits() -> None:
    with pytest.raises(DatasetError, check=coded("dataset/no-such-split", text="train, val, test")):
        load_dataset("parksim", split="dev")


def test_what_is_registered_is_counted() -> None:
    infos = registered()
    assert names() == tuple(info.name for info in infos) == ("parksim", "parks", "parks-authors")
    info = infos[0]
    parts = [load_dataset(info.name, split=split, with_images=False) for split in info.splits]
    assert (info.categories, info.boxes) == (13, sum(len(part.annotations) for part in parts))
    assert info.images == sum(len(part.images) for part in parts)
    assert sum(annotation["iscrowd"] == 0 for part in parts for annotation in part.annotations) == 1309


def test_the_cache_is_where_it_is_asked_to_be(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.setenv("WILDBENCH_CACHE", "")
    assert cache_dir().name == "wildbench"


def test_parksim_is_counted_as_its_files_say() -> None:
    splits = summary("parksim")["splits"]
    assert list(splits) == ["train", "val", "test"]
    for split, counts in splits.items():
        coco: dict[str, Any] = json.loads(bundled(f"annotations/parksim/{split}.json").read_text())
        assert counts["images"] == len(coco["images"])
        assert counts["boxes"] == len(coco["annotations"]) == sum(counts["sizes"].values())
        assert counts["categories"] == {
            name: sum(one["category_id"] == number for one in coco["annotations"])
            for number, name in enumerate(CATEGORIES, start=1)
        }
        assert counts["sizes"]["small"] == sum(one["area"] < 1024 for one in coco["annotations"])
        for key in ("time_of_day", "weather", "locations"):
            assert sum(counts[key].values()) == counts["images"]
        boxed = {one["image_id"] for one in coco["annotations"]}
        assert counts["empty_images"] == counts["images"] - len(boxed)


def test_a_file_is_one_split_and_says_nothing_of_what_it_does_not_record(tmp_path: Path) -> None:
    path = tmp_path / "own.json"
    path.write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "width": 200, "height": 200}],
                "categories": [{"id": 5, "name": "okapi"}],
                "annotations": [{"id": 1, "image_id": 1, "category_id": 5, "bbox": [0, 0, 96, 96]}],
            }
        )
    )
    (counts,) = summary(path)["splits"].values()
    assert counts["categories"] == {"okapi": 1}
    assert counts["sizes"] == {"small": 0, "medium": 0, "large": 1}
    assert counts["weather"] == {}


def test_unknown_name_is_refused() -> None:
    with pytest.raises(DatasetError, check=coded("dataset/no-such-dataset")):
        summary("serengeti")


def test_datasheet_states_the_counted_figures() -> None:
    sheet = (bundled("annotations/paper/counts.json").parents[2] / "docs" / "dataset.md").read_text()
    splits = summary("parksim")["splits"]
    paper = json.loads(bundled("annotations/paper/counts.json").read_text())
    assert sum(paper["counts"].values()) == paper["sum_of_counts"] == 1409
    assert paper["total_in_text"] == 1309
    for name in CATEGORIES:
        own = [counts["categories"][name] for counts in splits.values()]
        assert f"| {name} | {paper['counts'][name]} | {' | '.join(map(str, own))} | {sum(own)} |" in sheet
    for size in ("small", "medium", "large"):
        own = [counts["sizes"][size] for counts in splits.values()]
        assert f" | {' | '.join(map(str, own))} | {sum(own)} |" in sheet
