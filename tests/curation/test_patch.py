import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded

from wildbench.curation.patch import Change, Patch, apply, conflicts, described, read_patch, read_patches
from wildbench.datasets.coco import Dataset
from wildbench.errors import DatasetError


@pytest.fixture
def data() -> Dataset:
    boxes = [
        {"id": 3, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40], "area": 700, "iscrowd": 0,
         "segmentation": [[1, 2, 31, 2, 31, 42]], "difficult": True},
        {"id": 8, "image_id": 2, "category_id": 2, "bbox": [5.5, 5.5, 10, 10], "area": 100, "iscrowd": 0},
    ]  # fmt: skip
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 100} for i in (1, 2)]
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}]
    return Dataset("tiny", None, {"images": images, "categories": categories, "annotations": boxes}, Path())


def change(number: int | None, image: int, old: dict[str, Any] | None, new: dict[str, Any] | None) -> Change:
    return Change(
        annotation_id=number, image_id=image, file_name=f"{image}.jpg", old=old, new=new, author="A", reason="seen"
    )


def patch(data: Dataset, *changes: Change) -> Patch:
    return Patch(dataset="tiny", dataset_sha256=data.sha256, changes=list(changes))


def edited(data: Dataset, *boxes: dict[str, Any]) -> Dataset:
    return Dataset(data.name, None, data.coco | {"annotations": list(boxes)}, data.images_dir)


def test_each_kind_of_change_is_applied_and_the_rest_stays(data: Dataset) -> None:
    first, second = data.annotations
    corrected = apply(
        data,
        {
            "p": patch(
                data,
                change(3, 1, {"category": "lion", "difficult": True}, {"category": "bird", "difficult": None}),
                change(8, 2, {"bbox": [5.5, 5.5, 10, 10]}, {"bbox": [5, 5, 20, 30.5]}),
                change(None, 2, None, {"category": "lion", "bbox": [50, 50, 8, 9], "occlusion": 0.5}),
            )
        },
    )
    relabelled = {key: value for key, value in first.items() if key != "difficult"} | {"category_id": 2}
    moved = second | {"bbox": [5, 5, 20, 30.5], "area": 610.0}
    added = {
        "id": 9,
        "image_id": 2,
        "iscrowd": 0,
        "category_id": 1,
        "bbox": [50, 50, 8, 9],
        "area": 72,
        "occlusion": 0.5,
    }
    assert corrected["annotations"] == [relabelled, moved, added]
    assert (corrected["images"], corrected["categories"]) == (data.images, data.categories)
    assert data.annotations == [first, second]


def test_a_box_that_moves_loses_its_mask_and_one_that_goes_is_gone(data: Dataset) -> None:
    old = {"bbox": [1, 2, 30, 40]}
    (moved, _) = apply(data, {"p": patch(data, change(3, 1, old, {"bbox": [1, 2, 30, 41]}))})["annotations"]
    assert "segmentation" not in moved
    assert moved["area"] == 30 * 41
    removed = apply(data, {"p": patch(data, change(3, 1, {"category": "lion", **old}, None))})
    assert [entry["id"] for entry in removed["annotations"]] == [8]


def test_an_empty_patch_changes_no_byte(data: Dataset) -> None:
    assert edited(data, *apply(data, {"p": patch(data)})["annotations"]).sha256 == data.sha256


RELABEL = change(3, 1, {"category": "lion"}, {"category": "bird"})
REMOVE = change(3, 1, {"category": "lion", "bbox": [1, 2, 30, 40]}, None)


def test_labels_that_changed_are_refused_unless_the_boxes_are_looked_at(data: Dataset) -> None:
    later = edited(data, data.annotations[0], data.annotations[1] | {"bbox": [6, 6, 9, 9]})
    (line,) = conflicts(later, {"a.json": patch(data, RELABEL)})
    assert line == (
        f"a.json: made for labels {data.sha256[:12]}, but these are {later.sha256[:12]}: the data set has changed "
        "(--rebase looks box by box)"
    )
    assert apply(later, {"a.json": patch(data, RELABEL)}, rebase=True)["annotations"][0]["category_id"] == 2


@pytest.mark.parametrize(
    ("boxes", "line"),
    [
        ([{"category_id": 2}], 'a.json: box 3 of 1.jpg: category is "bird", not "lion": somebody'),
        (
            [{"bbox": [1, 2, 30, 44]}],
            "a.json: box 3 of 1.jpg: bbox is [1, 2, 30, 44], not [1, 2, 30, 40]: somebody else",
        ),
        ([], "a.json: box 3 of 1.jpg: the box is gone"),
        ([{"image_id": 2}], "a.json: box 3 of 1.jpg: the box is on image 2 now"),
    ],
)
def test_what_somebody_else_did_to_the_box_is_named(data: Dataset, boxes: list[dict[str, Any]], line: str) -> None:
    later = edited(data, *(data.annotations[0] | values for values in boxes))
    (found,) = conflicts(later, {"a.json": patch(data, REMOVE)}, rebase=True)
    assert found.startswith(line)
    with pytest.raises(DatasetError, check=coded("dataset/patch-conflict")):
        apply(later, {"a.json": patch(data, REMOVE)}, rebase=True)


def test_two_patches_that_touch_one_box_or_add_one_are_named(data: Dataset) -> None:
    both = {"a.json": patch(data, RELABEL), "b.json": patch(data, REMOVE)}
    assert conflicts(data, both) == ["b.json: box 3 of 1.jpg: a.json has a change to this box too"]
    here, near, far = (
        patch(data, change(None, 2, None, {"category": "lion", "bbox": [x, 50, 20, 20]})) for x in (50, 52, 75)
    )
    assert conflicts(data, {"a": here, "b": near}) == ["b: new box of 2.jpg: a adds a box there too"]
    assert conflicts(data, {"a": here, "b": far}) == []


ADD = change(None, 1, None, {"category": "bird", "bbox": [50, 50, 20, 20]})


def test_a_box_that_is_there_already_is_not_added_again(data: Dataset) -> None:
    once = edited(data, *apply(data, {"p": patch(data, ADD)})["annotations"])
    assert conflicts(once, {"p": patch(data, ADD)}, rebase=True) == [
        "p: new box of 1.jpg: box 9 is there already, of the same category"
    ]
    assert ADD.new is not None
    nudged = ADD.model_copy(update={"new": ADD.new | {"bbox": [50.5, 50, 20, 20]}})
    assert conflicts(data, {"p": patch(data, ADD, nudged)}) == [
        "p: new box of 1.jpg: the same patch adds a box of this category there twice"
    ]


def test_animals_that_hide_each_other_may_be_added(data: Dataset) -> None:
    assert ADD.new is not None
    behind = ADD.model_copy(update={"new": ADD.new | {"bbox": [52, 51, 20, 20]}})  # IoU 0.75
    other = ADD.model_copy(update={"new": ADD.new | {"category": "lion"}})
    assert conflicts(data, {"p": patch(data, ADD, behind, other)}) == []
    over = change(None, 1, None, {"category": "lion", "bbox": [1, 2, 30, 34]})  # IoU 0.85 with box 3
    assert conflicts(data, {"p": patch(data, over)}) == []


def test_a_box_may_be_removed_or_moved_and_drawn_anew(data: Dataset) -> None:
    anew = change(None, 1, None, {"category": "lion", "bbox": [1, 2, 30, 40]})
    moved = change(3, 1, {"bbox": [1, 2, 30, 40]}, {"bbox": [60, 2, 30, 40]})
    twice = change(3, 1, {"category": "lion"}, {"category": "bird"})
    assert conflicts(data, {"p": patch(data, anew)})
    for change_of_it in (REMOVE, moved, twice):
        assert conflicts(data, {"p": patch(data, change_of_it, anew)}) == []
    there = change(None, 1, None, {"category": "lion", "bbox": [60, 2, 30, 40]})
    assert conflicts(data, {"p": patch(data, moved, there)}) == [
        "p: new box of 1.jpg: box 3 is there already, of the same category"
    ]


def test_a_removed_box_is_recorded_whole_and_any_change_to_it_is_a_conflict(data: Dataset) -> None:
    old = described(data.annotations[0], "lion", whole=True)
    assert old == {key: value for key, value in data.annotations[0].items() if not key.endswith("id")} | {
        "category": "lion"
    }
    removal = {"p": patch(data, change(3, 1, old, None))}
    assert conflicts(data, removal) == []
    for values in ({"difficult": False}, {"segmentation": [[0, 0, 9, 0, 9, 9]]}):
        later = edited(data, data.annotations[0] | values, data.annotations[1])
        (line,) = conflicts(later, removal, rebase=True)
        assert line.startswith(f"p: box 3 of 1.jpg: {next(iter(values))} is ")


def test_a_patch_named_twice_is_refused(data: Dataset, tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        patch(data, RELABEL).write(tmp_path / name)
    (tmp_path / "folder").mkdir()
    assert list(read_patches([tmp_path / "a.json", tmp_path / "b.json"])) == [
        str(tmp_path / "a.json"),
        str(tmp_path / "b.json"),
    ]
    with pytest.raises(DatasetError, check=coded("dataset/patch-named-twice")):
        read_patches([tmp_path / "a.json", tmp_path / "b.json", tmp_path / "folder" / ".." / "a.json"])


def test_another_image_and_an_unknown_category_are_named(data: Dataset) -> None:
    new = {"category": "wolf", "bbox": [1, 1, 2, 2]}
    strange = change(None, 2, None, new).model_copy(update={"file_name": "other.jpg"})
    assert conflicts(data, {"a": patch(data, strange)}) == [
        "a: new box of other.jpg: no category 'wolf' here",
        "a: new box of other.jpg: image 2 is 2.jpg",
    ]


def test_a_box_that_no_data_set_may_have_is_refused(data: Dataset) -> None:
    outside = patch(data, change(None, 2, None, {"category": "lion", "bbox": [90, 90, 80, 80]}))
    with pytest.raises(DatasetError, check=coded("dataset/patch-unsound")):
        apply(data, {"a": outside})


def test_a_patch_is_read_as_it_was_written_a_change_a_line(data: Dataset, tmp_path: Path) -> None:
    written = patch(data, RELABEL, change(None, 2, None, {"category": "lion", "bbox": [50, 50, 8.25, 9]}))
    written.write(tmp_path / "p.json")
    assert read_patch(tmp_path / "p.json") == written
    lines = (tmp_path / "p.json").read_text().splitlines()
    assert sum('"author": "A"' in line for line in lines) == 2


@pytest.mark.parametrize(
    ("damage", "code", "words"),
    [
        ({"format_version": 2}, "newer-format", "version 2"),
        ({"format_version": None}, "no-format-version", "p.json"),
        ({"changes": [{}]}, "damaged", "changes"),
        ({"dataset_sha256": 3}, "damaged", "dataset_sha256"),
    ],
)
def test_a_damaged_patch_is_refused(
    data: Dataset, tmp_path: Path, damage: dict[str, Any], code: str, words: str
) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps(patch(data, RELABEL).model_dump() | damage))
    with pytest.raises(DatasetError, check=coded(f"dataset/{code}", text=words)):
        read_patch(path)


@pytest.mark.parametrize(
    ("number", "old", "new"),
    [
        (None, {"category": "lion"}, {"category": "bird"}),
        (3, None, {"category": "lion", "bbox": [1, 1, 2, 2]}),
        (None, None, {"category": "lion"}),
        (3, {"category": "lion"}, {"bbox": [1, 1, 2, 2]}),
        (3, {"area": 4}, {"area": 5}),
        (3, {"bbox": [1, 2, 3]}, {"bbox": [1, 2, 3, 4]}),
        (3, {"category": 1}, {"category": 2}),
        (3, {}, {}),
        (3, {"category": "lion"}, {"category": "lion"}),
        (3, {}, None),
        (3, {"category": "lion", "bbox": [1, 1, 2, 2], "id": 3}, None),
    ],
)
def test_a_change_that_contradicts_itself_is_refused(
    number: int | None, old: dict[str, Any] | None, new: dict[str, Any] | None
) -> None:
    with pytest.raises(ValueError, match="Value error"):
        change(number, 1, old, new)


@pytest.mark.parametrize("blank", [{"author": ""}, {"author": " "}, {"reason": ""}, {"reason": "\t"}])
def test_a_change_that_nobody_signs_or_explains_is_refused(
    data: Dataset, tmp_path: Path, blank: dict[str, Any]
) -> None:
    raw = patch(data, RELABEL).model_dump()
    raw["changes"][0] |= blank
    (tmp_path / "p.json").write_text(json.dumps(raw))
    with pytest.raises(DatasetError, check=coded("dataset/damaged", text=next(iter(blank)))):
        read_patch(tmp_path / "p.json")


def test_a_flag_may_become_a_truth_value(data: Dataset) -> None:
    later = edited(data, data.annotations[0] | {"difficult": 1}, data.annotations[1])
    corrected = apply(later, {"p": patch(later, change(3, 1, {"difficult": 1}, {"difficult": True}))})
    assert corrected["annotations"][0]["difficult"] is True
