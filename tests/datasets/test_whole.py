import copy
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from made_up_parks import lay
from made_up_photographs import photograph, save

from wildbench import resources
from wildbench.categories import SPLITS
from wildbench.datasets.coco import write_coco
from wildbench.datasets.registry import load_dataset, load_whole
from wildbench.datasets.splits import make_split, pool, write_split
from wildbench.errors import DatasetError

COCO: dict[str, Any] = {
    "images": [{"id": number, "file_name": f"{number}.jpg", "width": 320, "height": 240} for number in (3, 1, 2)],
    "categories": [{"id": 7, "name": "lion"}],
    "annotations": [
        {"id": number, "image_id": number, "category_id": 7, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}
        for number in (1, 2, 3)
    ],
}


def test_parksim_is_pooled() -> None:
    parts = [load_dataset("parksim", split=split) for split in SPLITS]
    whole = load_whole("parksim")
    assert (whole.name, whole.split, whole.coco) == ("parksim", None, pool(parts))
    assert whole.image_path(whole.images[-1]).is_file()


@pytest.fixture
def parks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three photographs as `data import` leaves them in the cache, and a repository without a split of them."""
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    for name in ("parks", "parks-authors"):
        card = resources.bundled(f"annotations/{name}/dataset.toml").read_bytes()
        lay(tmp_path / "repository" / "annotations" / name, {"dataset.toml": card})
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path / "repository" / "wildbench")
    folder = tmp_path / "cache" / "parks"
    for image in COCO["images"]:
        save(photograph(image["id"]), folder / "images" / image["file_name"])
    write_coco(COCO, folder / "annotations" / "all.json")
    return folder


def split_file(parts: dict[str, list[int]], path: Path, coco: dict[str, Any] = COCO) -> None:
    write_split(make_split(coco, parts, name="wildbench-v1", dataset="parks", method="by hand"), path)


def test_imported_photographs_are_taken_whole_in_the_order_of_their_file(parks: Path) -> None:
    for name in ("parks", "parks-authors"):
        whole = load_whole(name)
        assert (whole.name, whole.coco, whole.images_dir) == (name, COCO, parks / "images")


def test_without_an_import_there_is_a_way_to_get_them(parks: Path) -> None:
    (parks / "annotations" / "all.json").unlink()
    (parks / "annotations").rmdir()
    with pytest.raises(DatasetError, check=coded("dataset/not-fetched")):
        load_whole("parks")


def test_a_committed_split_goes_before_the_imported_one_and_refuses_other_labels(parks: Path, tmp_path: Path) -> None:
    split_file({"train": [1], "test": [2, 3]}, parks / "splits" / "wildbench-v1.json")
    assert [image["id"] for image in load_dataset("parks", split="test").images] == [3, 2]
    committed = tmp_path / "repository" / "annotations" / "parks" / "splits" / "wildbench-v1.json"
    split_file({"train": [1, 2], "test": [3]}, committed)
    assert [image["id"] for image in load_dataset("parks", split="test").images] == [3]
    changed = copy.deepcopy(COCO)
    changed["annotations"][0]["bbox"][0] = 2
    split_file({"train": [1, 2], "test": [3]}, committed, changed)
    with pytest.raises(DatasetError, check=coded("dataset/split-of-other-labels")):
        load_dataset("parks", split="test")
