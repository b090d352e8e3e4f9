"""Sets as people have them, in small: each gives the value that it has to. What has a test of its own is not here."""

import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from made_up_parks import box, lay, picture, xml

from wildbench import score
from wildbench.datasets.coco import check_coco, read_coco
from wildbench.datasets.detection_checks import validate_predictions
from wildbench.datasets.image_files import images_near
from wildbench.datasets.transfer import ImportReport, export_dataset, import_dataset
from wildbench.errors import DatasetError
from wildbench.scorecard import Grouping, Scorecard

SIZE = (160, 120)
BOX = [10, 20, 40, 30]
NAMES = ("buffalo", "elephant")


def photographs(*names: str) -> dict[str, bytes]:
    return {name: picture(number, SIZE) for number, name in enumerate(names)}


def labels(files: list[str], first: int = 1, **fields: Any) -> dict[str, Any]:
    """One box in each picture, buffalo and elephant in turn; ids count from `first`."""
    size = {"width": SIZE[0], "height": SIZE[1]}
    return {
        "images": [{"id": place, "file_name": name, **size} for place, name in enumerate(files, first)],
        "categories": [{"id": place, "name": name} for place, name in enumerate(NAMES, first)],
        "annotations": [
            {
                "id": place,
                "image_id": place,
                "category_id": first + number % 2,
                "bbox": [BOX[0] + number, *BOX[1:]],
                "area": 1200,
                "iscrowd": 0,
            }
            | fields
            for number, place in enumerate(range(first, first + len(files)))
        ],
    }


def results(coco: dict[str, Any]) -> list[dict[str, Any]]:
    """Detections equal to the labels, the first the surest."""
    boxed = [one for one in coco["annotations"] if one.get("bbox") and one["bbox"][3]]
    return [
        {key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.9 - place / 100}
        for place, one in enumerate(boxed)
    ]


def scored(tmp_path: Path, coco: dict[str, Any], found: Any = None, **options: Any) -> Scorecard:
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    (tmp_path / "det.json").write_text(json.dumps(results(coco) if found is None else found))
    return score(tmp_path / "det.json", dataset=tmp_path / "labels.json", **options)


def found(tmp_path: Path, coco: dict[str, Any], files: dict[str, bytes] | None = None) -> list[str]:
    """Codes of what validation finds."""
    lay(tmp_path, files or {})
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    folder = images_near(tmp_path / "labels.json") if files else None
    return sorted(one.code for one in check_coco(tmp_path / "labels.json", folder)[2])


def imported(tmp_path: Path, files: dict[str, bytes], **options: Any) -> ImportReport:
    return import_dataset(lay(tmp_path / "source", files), tmp_path / "out", **options)


def counts(report: ImportReport) -> tuple[int, dict[str, int], dict[str, int]]:
    """Pictures, boxes by category, pictures by part."""
    parts = {part: len(ids) for part, ids in report.collection.parts.items()}
    boxes = {name: count for name, count in report.collection.boxes_by_category().items() if count}
    return len(report.collection.coco["images"]), boxes, parts


def stems(count: int) -> list[str]:
    return [f"{number}.jpg" for number in range(count)]


def test_annotations_of_empty_without_a_box_say_that_the_image_is_empty(tmp_path: Path) -> None:
    coco = labels(stems(6))
    coco["categories"].append({"id": 0, "name": "empty"})
    for one in coco["annotations"][3:]:
        one["category_id"] = 0
        del one["bbox"], one["area"], one["iscrowd"]
    for one in coco["annotations"][:3]:
        one["category_id"] = 1
    card = scored(tmp_path, coco)
    assert (card.accuracy.ap.value, card.dataset.boxes, card.dataset.images) == (1.0, 3, 6)
    assert "empty" not in card.dataset.categories


def test_coco_camera_traps_as_lila_publishes_them(tmp_path: Path) -> None:
    names = stems(4)
    images = [{"id": f"uuid-{name}", "file_name": name, "location": "S1", "seq_id": "q"} for name in names]
    categories = [{"id": 0, "name": "empty"}, {"id": 1, "name": "gazelle_thomsons"}]
    annotations = [
        {"id": "a", "image_id": "uuid-0.jpg", "category_id": 1, "bbox": BOX},
        {"id": "b", "image_id": "uuid-1.jpg", "category_id": 1},  # a species without a box
        {"id": "c", "image_id": "uuid-2.jpg", "category_id": 0},
    ]
    lay(tmp_path, photographs(*names))
    coco = {"images": images, "categories": categories, "annotations": annotations}
    (tmp_path / "cct.json").write_text(json.dumps(coco))
    data = read_coco(tmp_path / "cct.json", tmp_path)
    assert [image.get("annotated_categories") for image in data.images] == [None, [], None, None]
    assert (data.category_names, len(data.annotations)) == (["gazelle_thomsons"], 1)
    assert {(image["width"], image["height"]) for image in data.images} == {SIZE}
    assert data.original_ids[data.images[0]["id"]] == "uuid-0.jpg"


def test_one_name_for_all_is_scored_class_agnostic(tmp_path: Path) -> None:
    coco = labels(stems(12))
    one_name = [one | {"category_id": 1} for one in results(coco)]
    assert (scored(tmp_path, coco, one_name).accuracy.ap50.value or 0) < 0.6
    together = scored(tmp_path, coco, one_name, grouping=Grouping(names={"animal": "*"}))
    assert together.accuracy.ap.value == 1.0


def test_the_layout_of_coco_2017(tmp_path: Path) -> None:
    train, val = ([f"{number:012}.jpg" for number in range(first, first + 3)] for first in (0, 10))
    files = {
        "annotations/instances_train2017.json": json.dumps(labels(train)).encode(),
        "annotations/instances_val2017.json": json.dumps(labels(val, 11)).encode(),
        **photographs(*(f"train2017/{name}" for name in train), *(f"val2017/{name}" for name in val)),
    }
    assert counts(imported(tmp_path, files))[::2] == (6, {"train": 3, "val": 3})


def test_masks_exported_as_crowds_are_named(tmp_path: Path) -> None:
    coco = labels(stems(4), iscrowd=1, segmentation={"size": [120, 160], "counts": [0, 19200]})
    assert "no-boxes" in found(tmp_path, coco)
    assert scored(tmp_path, coco).accuracy.ap.value is None


def test_boxes_two_pixels_outside_are_warned_of_and_scored(tmp_path: Path) -> None:
    coco = labels(stems(12))
    coco["annotations"][0] |= {"bbox": [-1.5, 20, 40, 30]}
    coco["annotations"][1] |= {"bbox": [130, 100, 32, 22], "area": 704}
    assert found(tmp_path, coco) == ["box-beyond-edge"] * 2
    assert scored(tmp_path, coco).accuracy.ap.value == 1.0


def test_a_box_of_height_0_counts_as_one_that_cannot_be_found(tmp_path: Path) -> None:
    coco = labels(stems(6))
    coco["annotations"][2] |= {"bbox": [40.65, 38.33, 1.03, 0], "area": 0}
    card = scored(tmp_path, coco)
    assert card.accuracy.per_category["buffalo"].ap50.n == 3
    assert card.accuracy.per_category["buffalo"].ap50.value == pytest.approx(0.66, abs=0.01)
    report = imported(tmp_path, {"labels.json": json.dumps(coco).encode(), **photographs(*stems(6))})
    assert counts(report)[:2] == (6, {"buffalo": 2, "elephant": 3})


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({"attributes": {"rotation": 45.0}}, ["box-turned"]),
        ({"keypoints": [1, 2, 2], "num_keypoints": 1, "attributes": {"wet": True}, "score": 0.5}, []),
        ({"ignore": 1}, ["ignore-unread"]),
        ({"segmentation": []}, []),
        ({"segmentation": None}, []),
        ({"segmentation": [[10, 20, 50, 20, 50, 50]]}, []),
        ({"segmentation": {"size": [120, 160], "counts": [1340, *[30, 90] * 39, 30, 13150]}}, []),
        ({"bbox": [], "area": 0}, ["image-empty"]),
    ],
)
def test_what_else_annotations_carry(change: dict[str, Any], codes: list[str], tmp_path: Path) -> None:
    coco = labels(stems(3))
    coco["annotations"][1] |= change
    assert found(tmp_path, coco) == codes


def test_ids_of_annotations_that_start_anew_in_every_image(tmp_path: Path) -> None:
    assert set(found(tmp_path, labels(stems(3), id=1))) == {"annotation-id-duplicate"}


@pytest.mark.parametrize("first", [0, -3])
def test_ids_from_zero_or_below_are_scored(first: int, tmp_path: Path) -> None:
    assert scored(tmp_path, labels(stems(7), first)).accuracy.ap.value == 1.0


def test_ids_of_a_hundred_bits_are_numbered(tmp_path: Path) -> None:
    coco = labels(stems(3))
    for image, one in zip(coco["images"], coco["annotations"], strict=True):
        image["id"] = one["image_id"] = 2**100 + image["id"]
    assert found(tmp_path, coco) == ["ids-numbered"]
    assert scored(tmp_path, coco).accuracy.ap.value == 1.0


def test_a_huge_id_of_a_category_takes_no_memory(tmp_path: Path) -> None:
    coco = labels(stems(4))
    coco["categories"][1]["id"] = 74673216
    for one in coco["annotations"]:
        one["category_id"] = {1: 1, 2: 74673216}[one["category_id"]]
    assert scored(tmp_path, coco).accuracy.ap.value == 1.0


def test_no_detections_at_all_is_ap_0(tmp_path: Path) -> None:
    card = scored(tmp_path, labels(stems(4)), [])
    assert (card.accuracy.ap.value, bool(card.notes)) == (0.0, True)


def test_sizes_that_are_not_stated_are_read(tmp_path: Path) -> None:
    coco = labels(stems(3))
    for image in coco["images"]:
        del image["width"], image["height"]
    assert found(tmp_path, coco, photographs(*stems(3))) == ["image-size-unstated"] * 3


@pytest.mark.parametrize("written", ["cam%20A/IMG%5F{}.JPG", "cam A\\IMG_{}.JPG", "C:\\photos\\cam A\\IMG_{}.JPG"])
def test_pictures_are_found_however_their_names_are_written(written: str, tmp_path: Path) -> None:
    coco = labels([written.format(number) for number in range(4)])
    files = photographs(*(f"images/cam A/IMG_{number}.JPG" for number in range(4)))
    assert found(tmp_path, coco, files) == ["file-name-spelling"]
    report = imported(tmp_path, {"labels.json": json.dumps(coco).encode(), **files})
    assert counts(report)[:2] == (4, {"buffalo": 2, "elephant": 2})


def test_a_stored_size_of_a_turned_picture_is_unsure(tmp_path: Path) -> None:
    names = stems(3)
    files = {name: picture(0, SIZE, turn) for name, turn in zip(names, (6, 3, 1), strict=True)}
    assert found(tmp_path, labels(names), files) == ["orientation-unsure"] * 2


def test_labels_of_a_tool_on_windows_from_zero(tmp_path: Path) -> None:
    coco = labels([f"images\\{number}.jpg" for number in range(4)], 0)
    report = imported(
        tmp_path, {"result.json": json.dumps(coco).encode(), **photographs(*(f"images/{n}.jpg" for n in range(4)))}
    )
    assert counts(report)[:2] == (4, {"buffalo": 2, "elephant": 2})


def colliding(tmp_path: Path) -> dict[str, Any]:
    names = ["a.jpg", "a.png", "s1/IMG.JPG", "s2/IMG.JPG", "été 1.jpg", "empty.jpg"]
    coco = labels(names)
    coco["annotations"].pop()
    lay(tmp_path / "source", photographs(*names))
    (tmp_path / "source" / "labels.json").write_text(json.dumps(coco))
    return coco


def test_names_that_differ_in_their_suffix_are_refused_or_kept_apart(tmp_path: Path) -> None:
    coco = colliding(tmp_path)
    data = read_coco(tmp_path / "source" / "labels.json", tmp_path / "source")
    for form in ("yolo", "voc"):
        with pytest.raises(DatasetError, check=coded("dataset/label-file-shared")):
            export_dataset([data], form, tmp_path / form)
    export_dataset([data], "coco", tmp_path / "coco")
    report = import_dataset(tmp_path / "coco", tmp_path / "back")
    assert report.collection.coco["annotations"] == coco["annotations"]
    assert [image["file_name"] for image in report.collection.coco["images"]] == [
        image["file_name"] for image in coco["images"]
    ]


def yolo(files: dict[str, str], *pictures: str) -> dict[str, bytes]:
    return {**{name: text.encode() for name, text in files.items()}, **photographs(*pictures)}


LINE = "0.1875 0.291666667 0.25 0.25"
"""The box, in shares."""


def test_darknet_s_form_as_cvat_exports_it(tmp_path: Path) -> None:
    pictures = [f"obj_train_data/{number}.jpg" for number in range(6)]
    files = {f"obj_train_data/{number}.txt": f"{number % 2} {LINE}\n" for number in range(6)}
    files |= {"obj.names": "buffalo\nelephant\n", "obj.data": "classes = 2\ntrain = data/train.txt\n"}
    files["train.txt"] = "".join(f"data/{name}\n" for name in pictures)
    assert counts(imported(tmp_path, yolo(files, *pictures))) == (6, {"buffalo": 3, "elephant": 3}, {"train": 6})


def test_label_studio_s_yolo(tmp_path: Path) -> None:
    files = {f"labels/{number}.txt": f"0 {LINE}" if number else "" for number in range(3)}
    files |= {"classes.txt": "buffalo\n", "notes.json": json.dumps({"categories": [{"id": 0, "name": "buffalo"}]})}
    report = imported(tmp_path, yolo(files, *(f"images/{number}.jpg" for number in range(3))))
    assert counts(report)[:2] == (3, {"buffalo": 2})


def test_pictures_of_one_name_in_folders_have_their_own_labels(tmp_path: Path) -> None:
    files = {f"{folder}/{name}.txt": f"{folder} {LINE}" for folder in range(3) for name in "ab"}
    files["classes.txt"] = "one\ntwo\nthree\n"
    pictures = [f"{folder}/{name}.jpg" for folder in range(3) for name in "ab"]
    assert counts(imported(tmp_path, yolo(files, *pictures)))[:2] == (6, {"one": 2, "two": 2, "three": 2})


def test_a_background_has_no_label_and_an_orphan_is_reported(tmp_path: Path) -> None:
    files = {"labels/a.txt": f"0 {LINE}", "labels/orphan.txt": f"0 {LINE}", "labels/classes.txt": "buffalo\n"}
    report = imported(tmp_path, yolo(files, "images/a.jpg", "images/empty.jpg"))
    assert counts(report)[:2] == (2, {"buffalo": 1})
    assert [one.place for one in report.collection.findings if one.code == "picture-missing"] == ["labels/orphan.txt"]


def test_names_with_anything_in_them(tmp_path: Path) -> None:
    names = ["a b", "a.b.c", "100%41", "#1", "\N{LION FACE}", "é", "x" * 200]
    files = {f"labels/{name}.txt": f"0 {LINE}" for name in names} | {"classes.txt": "buffalo"}
    assert counts(imported(tmp_path, yolo(files, *(f"images/{name}.jpg" for name in names))))[:2] == (
        7,
        {"buffalo": 7},
    )


def test_roboflow_s_yolo_with_outlines_among_boxes(tmp_path: Path) -> None:
    outline = "1 0.25 0.25 0.5 0.25 0.5 0.5 0.25 0.5 0.3 0.3"
    files = {f"{part}/labels/{part}{n}.txt": f"0 {LINE}\n{outline}" for part in ("train", "valid") for n in range(2)}
    files["data.yaml"] = "train: ../train/images\nval: ../valid/images\nnc: 2\nnames: [buffalo, elephant]\n"
    pictures = [f"{part}/images/{part}{n}.jpg" for part in ("train", "valid") for n in range(2)]
    report = imported(tmp_path, yolo(files, *pictures))
    assert counts(report) == (4, {"buffalo": 4, "elephant": 4}, {"train": 2, "val": 2})
    elephant = report.collection.coco["annotations"][1]
    assert (elephant["bbox"], len(elephant["segmentation"][0])) == ([40, 30, 40, 30], 10)


def test_files_that_have_y_first_are_named_by_detections(tmp_path: Path) -> None:
    shares = ["0.1875", "0.291666667", "0.25", "0.166666667"]  # 40 x 20
    swapped = [shares[1], shares[0], shares[3], shares[2]]
    files = {f"labels/{n}.txt": " ".join(["0", *(swapped if n % 2 else shares)]) for n in range(14)}
    files["classes.txt"] = "buffalo"
    report = imported(tmp_path, yolo(files, *(f"images/{n}.jpg" for n in range(14))))
    assert {one.code for one in report.collection.findings if one.severity != "note"} == set()
    data = read_coco(tmp_path / "out" / "annotations" / "all.json")
    right = [
        {"image_id": image["id"], "category_id": 1, "bbox": [10, 25, 40, 20], "score": 0.9 - image["id"] / 100}
        for image in data.images
    ]
    (tmp_path / "det.json").write_text(json.dumps(right))
    assert "boxes-partly-transposed" in {one.code for one in validate_predictions(tmp_path / "det.json", data)}


def voc(*objects: str, size: tuple[int, int] | None = SIZE, filename: str = "") -> bytes:
    return xml(*objects, size=size, filename=filename)


def test_what_is_difficult_counts_neither_way(tmp_path: Path) -> None:
    hard = box("lion", (101, 61, 140, 90), "<difficult>1</difficult>")
    files = {f"{n}.xml": voc(box("lion", (11, 21, 50, 50)), hard) for n in range(4)} | photographs(*stems(4))
    report = imported(tmp_path, files)
    assert report.collection.notes.total() == 4
    (tmp_path / "det.json").write_text(
        json.dumps([{"image_id": n, "category_id": 1, "bbox": BOX, "score": 0.9} for n in range(1, 5)])
    )
    card = score(tmp_path / "det.json", dataset=tmp_path / "out" / "annotations" / "all.json")
    assert (card.accuracy.ap50.value, card.dataset.boxes) == (1.0, 4)
    counting = import_dataset(tmp_path / "source", tmp_path / "counting", count_ignored=True)
    assert sum(one["iscrowd"] for one in counting.collection.coco["annotations"]) == 0


def test_a_name_without_suffix_and_a_synset(tmp_path: Path) -> None:
    report = imported(tmp_path, {"n1_7.xml": voc(box("n02391049"), filename="n1_7"), **photographs("n1_7.JPEG")})
    assert counts(report)[:2] == (1, {"n02391049": 1})


def test_spellings_of_a_category_of_one_s_own_are_one(tmp_path: Path) -> None:
    spellings = ("fox", "Fox", " FOX ", "red fox")
    files = {f"{n}.xml": voc(box(name)) for n, name in enumerate(spellings)} | photographs(*stems(4))
    report = imported(tmp_path, files)
    assert counts(report)[:2] == (4, {"fox": 3, "red fox": 1})
    assert [one["id"] for one in report.collection.coco["categories"]] == [1, 2]


def test_parts_of_an_animal_and_attributes_are_no_boxes(tmp_path: Path) -> None:
    head = "<part><name>head</name><bndbox><xmin>20</xmin><ymin>20</ymin><xmax>30</xmax><ymax>30</ymax></bndbox></part>"
    extra = "<attributes><attribute><name>rotation</name><value>30.0</value></attribute></attributes>"
    objects = box("person", (11, 11, 90, 90), head), box("lion", (100, 20, 150, 60), extra)
    report = imported(tmp_path, {"a.xml": voc(*objects), **photographs("a.jpg")})
    assert [one["bbox"] for one in report.collection.coco["annotations"]] == [[10, 10, 80, 80], [99, 19, 51, 41]]
    assert {"element not read: part", "element not read: attributes"} <= set(report.collection.notes)
    assert [one.place for one in report.collection.findings if one.code == "box-turned"] == ["a.xml: object 2"]


def test_roboflow_s_voc_has_parts_by_folder(tmp_path: Path) -> None:
    names = [f"{part}/{n}" for part in ("train", "valid") for n in range(3)]
    files = {f"{name}.xml": voc(box("warthog")) for name in names} | photographs(*(f"{name}.jpg" for name in names))
    assert counts(imported(tmp_path, files)) == (6, {"warthog": 6}, {"train": 3, "val": 3})


def test_a_stated_size_of_0_is_taken_from_the_picture(tmp_path: Path) -> None:
    report = imported(tmp_path, {"a.xml": voc(box("zebra", (50, 50, 50, 50)), size=(0, 0)), **photographs("a.jpg")})
    assert report.collection.coco["annotations"][0]["bbox"] == [49, 49, 1, 1]
    assert "size-differs" in {one.code for one in report.collection.findings}
