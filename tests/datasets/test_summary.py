import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded

from wildbench.categories import CATEGORIES
from wildbench.datasets.summary import summary
from wildbench.errors import DatasetError
from wildbench.resources import bundled


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
