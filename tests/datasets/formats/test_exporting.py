"""import(export(x)) is x, in every form, down to the last bit of a box; what a form cannot hold is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from codes import coded
from hotcoco import COCO
from made_up_parks import lay, picture

from wildbench.datasets.coco import Dataset, read_coco
from wildbench.datasets.registry import load_dataset
from wildbench.datasets.transfer._transfer import ImportReport, export_dataset, import_dataset
from wildbench.errors import DatasetError, OutputError

FORMS = ("voc", "yolo", "coco")


def data_set(folder: Path, seed: int, *, whole: bool) -> Dataset:
    """Random boxes inside random pictures, some empty, in sub-folders: everything that VOC and YOLO both hold."""
    generator = np.random.default_rng(seed)
    names = sorted(f"{'night/' * int(generator.integers(2))}{number:02} x.jpg" for number in range(8))
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, name in enumerate(names, start=1):
        width, height = (int(side) for side in generator.integers(17, 99, 2))
        lay(folder / "images", {name: picture(number, (width, height))})
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        for _ in range(generator.integers(4)):
            low = generator.random(2) * (width - 1, height - 1)
            high = low + generator.random(2) * ((width, height) - low)
            low, high = (np.floor(low), np.ceil(high)) if whole else (low, high)
            sides = [int(value) if whole else float(value) for value in (*low, *(high - low))]
            box = {"id": len(annotations) + 1, "image_id": number, "category_id": int(generator.integers(1, 4))}
            annotations.append(box | {"bbox": sides, "area": sides[2] * sides[3], "iscrowd": 0})
    categories = [{"id": number, "name": name} for number, name in enumerate(("lion", "bird & co", "zebra"), start=1)]
    coco = {"images": images, "categories": categories, "annotations": annotations}
    (folder / "all.json").write_text(json.dumps(coco))
    return read_coco(folder / "all.json", folder / "images")


def there_and_back(data: Dataset, form: str, folder: Path) -> tuple[ImportReport, dict[str, int]]:
    lost = export_dataset([data], form, folder / form)
    return import_dataset(folder / form, folder / f"{form}-again"), dict(lost)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_random_data_sets_come_back_equal(form: str, whole: bool, seed: int, tmp_path: Path) -> None:
    data = data_set(tmp_path / "source", seed, whole=whole)
    report, lost = there_and_back(data, form, tmp_path)
    assert report.collection.form == form
    assert report.collection.coco == data.coco
    assert (report.collection.findings, lost) == ([], {})
    again = tmp_path / f"{form}-again"
    assert load_dataset(again / "annotations" / "all.json").coco == data.coco
    for image in data.images:
        assert (again / "images" / image["file_name"]).read_bytes() == data.image_path(image).read_bytes()


def boxes_by_file(coco: dict[str, Any]) -> dict[str, list[tuple[str, list[float]]]]:
    names = {category["id"]: category["name"] for category in coco["categories"]}
    found: dict[str, list[tuple[str, list[float]]]] = {}
    for image in coco["images"]:
        boxes = [one for one in coco["annotations"] if one["image_id"] == image["id"]]
        found[image["file_name"]] = [(names[one["category_id"]], one["bbox"]) for one in boxes]
    return found


@pytest.mark.parametrize("form", FORMS)
def test_parksim_comes_back(form: str, tmp_path: Path) -> None:
    data = load_dataset("parksim", split="val").take(40)
    report, lost = there_and_back(Dataset("parksim", None, data.coco, data.images_dir), form, tmp_path)
    assert report.collection.findings == []
    assert boxes_by_file(report.collection.coco) == boxes_by_file(data.coco)
    if form == "coco":
        assert (report.collection.coco, lost) == (data.coco, {})
    else:
        assert lost["annotations: segmentation"] == lost["annotations: occlusion"] == len(data.annotations)
        assert lost["images: weather"] == lost["images: id (renumbered)"] == len(data.images)
        assert lost["info"] == lost["licenses"] == 1


@pytest.mark.parametrize("form", FORMS)
def test_real_photographs_come_back(form: str, wildlife_real: Path, tmp_path: Path) -> None:
    data = load_dataset(wildlife_real / "annotations" / "val.json").take(150)
    report, lost = there_and_back(data, form, tmp_path)
    again = boxes_by_file(report.collection.coco)
    same = {name: boxes for name, boxes in boxes_by_file(data.coco).items() if again[name] == boxes}
    clipped = {str(finding.place) for finding in report.collection.findings if finding.code == "box-outside"}
    assert len(same) >= len(data.images) - len(clipped)
    codes = {finding.code for finding in report.collection.findings}
    assert codes <= {"box-outside", "image-repeated", "orientation-unsure"}
    if form == "coco":
        assert report.collection.coco == data.coco
    else:
        assert lost["images: annotated_categories"] == len(data.images)


@pytest.mark.parametrize("form", FORMS)
def test_splits_come_back(form: str, tmp_path: Path) -> None:
    data = data_set(tmp_path / "source", 3, whole=True)
    parts = []
    for split, ids in (("train", range(1, 6)), ("val", range(6, 9))):
        images = [image for image in data.images if image["id"] in ids]
        boxes = [one for one in data.annotations if one["image_id"] in ids]
        parts.append(Dataset("made up", split, {**data.coco, "images": images, "annotations": boxes}, data.images_dir))
    assert export_dataset(parts, form, tmp_path / form) == {}
    report = import_dataset(tmp_path / form, tmp_path / "again")
    assert report.collection.findings == []
    assert report.collection.coco == data.coco
    assert report.collection.parts == {"train": [1, 2, 3, 4, 5], "val": [6, 7, 8]}
    assert load_dataset(tmp_path / "again" / "annotations" / "val.json").coco == parts[1].coco


def test_hotcoco_reads_our_voc_and_yolo(tmp_path: Path) -> None:
    """Another program finds the same boxes: exactly where they are whole pixels."""
    data = data_set(tmp_path / "source", 1, whole=True)
    data.categories[1]["name"] = "bird"  # hotcoco does not read XML's &amp;
    flat = {image["id"]: image["file_name"].replace("/", "-") for image in data.images}
    for image in data.images:
        lay(tmp_path / "flat", {flat[image["id"]]: data.image_path(image).read_bytes()})
    coco = {**data.coco, "images": [{**image, "file_name": flat[image["id"]]} for image in data.images]}
    coco["images"].sort(key=lambda image: image["file_name"])
    (tmp_path / "flat.json").write_text(json.dumps(coco))
    data = read_coco(tmp_path / "flat.json", tmp_path / "flat")
    export_dataset([data], "voc", tmp_path / "voc")
    (tmp_path / "voc" / "annotations").rename(tmp_path / "voc" / "Annotations")
    assert boxes_by_file(COCO.from_voc(str(tmp_path / "voc")).dataset) == boxes_by_file(data.coco)
    export_dataset([data], "yolo", tmp_path / "yolo")
    labels = tmp_path / "yolo" / "labels"
    names = yaml.safe_load((tmp_path / "yolo" / "data.yaml").read_text())["names"]
    (labels / "data.yaml").write_text(
        f"names: {json.dumps(list(names.values()))}\n"
    )  # hotcoco reads a list on one line
    theirs = boxes_by_file(COCO.from_yolo(str(labels), str(tmp_path / "yolo" / "images")).dataset)
    for name, boxes in boxes_by_file(data.coco).items():
        assert [category for category, _ in theirs[Path(name).stem]] == [category for category, _ in boxes]
        for (_, their), (_, our) in zip(theirs[Path(name).stem], boxes, strict=True):
            assert their == pytest.approx(our, abs=1e-3)


def test_what_hotcoco_rounds_we_do_not(tmp_path: Path) -> None:
    """Why the exporters are ours."""
    data = data_set(tmp_path / "source", 2, whole=False)
    COCO(str(tmp_path / "source" / "all.json")).to_voc(str(tmp_path / "theirs"))
    theirs = COCO.from_voc(str(tmp_path / "theirs")).dataset
    assert boxes_by_file(theirs) != boxes_by_file(data.coco)


def lossy(folder: Path) -> Dataset:
    lay(folder, {"b.jpg": picture(1), "a.jpg": picture(2)})
    size = {"width": 64, "height": 48}
    coco = {
        "info": {"year": 2021},
        "images": [{"id": 1, "file_name": "b.jpg", **size}, {"id": 7, "file_name": "a.jpg", **size}],
        "categories": [{"id": 3, "name": "lion", "supercategory": "cat"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 3,
                "bbox": [1, 2, 30, 40],
                "area": 700,
                "iscrowd": 0,
                "pose": "Left",
            },
            {"id": 2, "image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 1},
        ],
    }
    (folder / "all.json").write_text(json.dumps(coco))
    return read_coco(folder / "all.json", folder)


def test_what_a_form_cannot_hold_is_named_with_its_number(tmp_path: Path) -> None:
    data = lossy(tmp_path / "source")
    shared = {
        "info": 1,
        "categories: supercategory": 1,
        "categories: id (renumbered)": 1,
        "images: id (renumbered)": 2,
        "annotations: id (renumbered)": 2,
        "annotations: area (width × height is taken)": 1,
    }
    report, lost = there_and_back(data, "voc", tmp_path)
    assert lost == shared | {"annotations: iscrowd (difficult instead)": 1}
    assert [one.get("difficult") for one in report.collection.coco["annotations"]] == [1, None]
    assert report.collection.coco["annotations"][1]["pose"] == "Left"
    report, lost = there_and_back(data, "yolo", tmp_path)
    assert lost == shared | {"annotations: iscrowd (left out)": 1, "annotations: pose": 1}
    assert len(report.collection.coco["annotations"]) == 1
    report, lost = there_and_back(data, "coco", tmp_path)
    assert (lost, report.collection.coco) == ({}, data.coco)


def test_a_box_outside_its_picture_is_named_by_yolo_s_report(tmp_path: Path) -> None:
    data = lossy(tmp_path / "source")
    data.annotations[0]["bbox"] = [40, 2, 24.5, 40]
    lost = export_dataset([data], "yolo", tmp_path / "yolo")
    assert lost["annotations: bbox (finer than 1e-30 pixels, or outside the image)"] == 1


def test_images_that_would_share_a_label_file(tmp_path: Path) -> None:
    data = lossy(tmp_path / "source")
    lay(tmp_path / "source", {"B.png": picture(3, form="PNG")})
    data.images.append({"id": 9, "file_name": "B.png", "width": 64, "height": 48})
    for form in ("voc", "yolo"):
        with pytest.raises(DatasetError, check=coded("dataset/label-file-shared", text="B.png")):
            export_dataset([data], form, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_refusals(tmp_path: Path) -> None:
    data = lossy(tmp_path / "source")
    with pytest.raises(DatasetError, check=coded("dataset/no-such-form")):
        export_dataset([data], "csv", tmp_path / "out")
    with pytest.raises(DatasetError, check=coded("dataset/ids-shared")):
        export_dataset([data, data], "coco", tmp_path / "out")
    with pytest.raises(OutputError, check=coded("output/exists")):
        export_dataset([data], "coco", tmp_path / "source")
    data.images[0]["file_name"] = "../source/b.jpg"
    with pytest.raises(DatasetError, check=coded("dataset/image-outside")):
        export_dataset([data], "coco", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
