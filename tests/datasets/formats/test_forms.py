"""Each form of labels, laid on disk as its tool writes it, and what it has to become."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from made_up_parks import lay, picture

from wildbench.datasets.coco import read_coco
from wildbench.datasets.transfer import ImportReport, import_dataset
from wildbench.errors import DatasetError

SIZE = (160, 120)
ZEBRA = [10, 20, 40, 30]


def photograph(seed: int = 0) -> bytes:
    return picture(seed, SIZE)


def table(*rows: dict[str, object]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def imported(tmp_path: Path, files: dict[str, bytes], **options: Any) -> ImportReport:
    return import_dataset(lay(tmp_path / "source", files), tmp_path / "out", **options)


def boxes(report: ImportReport) -> dict[str, list[tuple[str, list[float]]]]:
    """Category and rounded sides of each box, by picture."""
    coco = report.collection.coco
    names = {entry["id"]: entry["name"] for entry in coco["categories"]}
    own: dict[str, list[tuple[str, list[float]]]] = {image["file_name"]: [] for image in coco["images"]}
    files = {image["id"]: image["file_name"] for image in coco["images"]}
    for one in coco["annotations"]:
        own[files[one["image_id"]]].append((names[one["category_id"]], [round(side, 3) for side in one["bbox"]]))
    return own


def codes(report: ImportReport) -> set[str]:
    return {finding.code for finding in report.collection.findings}


def parts(report: ImportReport) -> dict[str, int]:
    return {part: len(ids) for part, ids in report.collection.parts.items()}


def test_camtrap_dp(tmp_path: Path) -> None:
    observation = {"deploymentID": "d", "eventID": "e1", "bboxX": "", "bboxY": "", "bboxWidth": "", "bboxHeight": ""}
    seen = observation | {"observationType": "animal", "scientificName": "Equus quagga"}
    files = {
        "deployments.csv": table({"deploymentID": "d", "locationID": "gate"}),
        "media.csv": table(
            *({"mediaID": f"m{n}", "deploymentID": "d", "filePath": f"media/m{n}.jpg"} for n in range(4))
        ),
        "observations.csv": table(
            seen | {"mediaID": "m0", "bboxX": 0.0625, "bboxY": 0.25, "bboxWidth": 0.25, "bboxHeight": 0.25},
            observation | {"mediaID": "m1", "observationType": "blank", "scientificName": ""},
            seen | {"mediaID": "m2"},
            observation | {"mediaID": "m3", "observationType": "unclassified", "scientificName": ""},
        ),
        **{f"media/m{n}.jpg": photograph(n) for n in range(4)},
    }
    report = imported(tmp_path, files)
    assert boxes(report) == {"m0.jpg": [("Equus quagga", [10, 30, 40, 30])], "m1.jpg": [], "m2.jpg": []}
    first, second, third = report.collection.coco["images"]
    assert (first["location"], first["seq_id"], second.get("annotated_categories")) == ("gate", "e1", None)
    assert third["annotated_categories"] == []  # a zebra is there, and nobody boxed it


def test_open_images(tmp_path: Path) -> None:
    row = {"LabelName": "/m/0898b", "XMin": 0.0625, "XMax": 0.3125, "YMin": 0.25, "YMax": 0.5, "IsGroupOf": 0}
    files = {
        "train-annotations-bbox.csv": table(row | {"ImageID": "00a"}, row | {"ImageID": "00b", "IsGroupOf": 1}),
        "class-descriptions-boxable.csv": b"/m/0898b,Zebra\n",
        "images/00a.jpg": photograph(),
        "images/00b.jpg": photograph(1),
    }
    report = imported(tmp_path, files)
    assert boxes(report) == {"00a.jpg": [("Zebra", [10, 30, 40, 30])], "00b.jpg": [("Zebra", [10, 30, 40, 30])]}
    assert [one["iscrowd"] for one in report.collection.coco["annotations"]] == [0, 1]
    assert parts(report) == {"train": 2}


def test_labelme(tmp_path: Path) -> None:
    shapes = [
        {"label": "zebra", "points": [[50, 50], [10, 20]], "shape_type": "rectangle"},  # from the lower right
        {"label": "lion", "points": [[60, 20], [90, 20], [90, 60]], "shape_type": "polygon"},
        {"label": "bird", "points": [[100, 60], [100, 70]], "shape_type": "circle"},
    ]
    document = {"shapes": shapes, "imagePath": "..\\elsewhere\\a.jpg", "imageHeight": 120, "imageWidth": 160}
    report = imported(tmp_path, {"a.json": json.dumps(document).encode(), "a.jpg": photograph()})
    assert boxes(report) == {
        "a.jpg": [("zebra", ZEBRA), ("lion", [60, 20, 30, 40]), ("bird", [90, 50, 20, 20])],
    }
    assert report.collection.coco["annotations"][1]["segmentation"] == [[60, 20, 90, 20, 90, 60]]


@pytest.mark.parametrize("form", ["json", "project", "csv"])
def test_via(form: str, tmp_path: Path) -> None:
    shape = {"name": "rect", "x": 10, "y": 20, "width": 40, "height": 30}
    entry = {"filename": "a.jpg", "regions": [{"shape_attributes": shape, "region_attributes": {"species": "zebra"}}]}
    row = {
        "filename": "a.jpg",
        "region_shape_attributes": json.dumps(shape),
        "region_attributes": json.dumps({"species": "zebra"}),
    }
    documents = {
        "json": ("via.json", json.dumps({"a.jpg7": entry}).encode()),
        "project": ("via.json", json.dumps({"_via_img_metadata": {"a.jpg7": entry}}).encode()),
        "csv": ("via.csv", table(row)),
    }
    name, data = documents[form]
    assert boxes(imported(tmp_path, {name: data, "a.jpg": photograph()})) == {"a.jpg": [("zebra", ZEBRA)]}


def test_create_ml(tmp_path: Path) -> None:
    entry = {"label": "zebra", "coordinates": {"x": 30, "y": 35, "width": 40, "height": 30}}
    document = [{"image": "a.jpg", "annotations": [entry]}, {"image": "b.jpg", "annotations": []}]
    files = {"_annotations.createml.json": json.dumps(document).encode(), "a.jpg": photograph(), "b.jpg": photograph(1)}
    assert boxes(imported(tmp_path, files)) == {"a.jpg": [("zebra", ZEBRA)], "b.jpg": []}


def test_datumaro(tmp_path: Path) -> None:
    document = {
        "categories": {"label": {"labels": [{"name": "lion"}, {"name": "zebra"}]}},
        "items": [
            {"id": "a", "image": {"path": "a.jpg"}, "annotations": [{"type": "bbox", "label_id": 1, "bbox": ZEBRA}]},
            {"id": "b", "image": {"path": "b.jpg"}, "annotations": [{"type": "label", "label_id": 0}]},
        ],
    }
    files = {"annotations/val.json": json.dumps(document).encode()}
    files |= {"images/a.jpg": photograph(), "images/b.jpg": photograph(1)}
    report = imported(tmp_path, files)
    assert boxes(report) == {"a.jpg": [("zebra", ZEBRA)], "b.jpg": []}
    assert report.collection.coco["images"][1]["annotated_categories"] == ["zebra"]
    assert parts(report) == {"val": 2}


def test_a_table_of_corners(tmp_path: Path) -> None:
    row = {"image_path": "a.jpg", "xmin": 10, "ymin": 20, "xmax": 50, "ymax": 50, "label": "Tree"}
    empty = {"image_path": "b.jpg", "xmin": 0, "ymin": 0, "xmax": 0, "ymax": 0, "label": ""}
    files = {"annotations.csv": table(row, empty), "a.jpg": photograph(), "b.jpg": photograph(1)}
    assert boxes(imported(tmp_path, files)) == {"a.jpg": [("Tree", ZEBRA)], "b.jpg": []}


CARD = b"""---
dataset_info:
  features:
  - sequence:
      class_label:
        names:
          '0': lion
          '1': zebra
---
"""


@pytest.mark.parametrize(("card", "name"), [(CARD, "zebra"), (b"# no names", "1")])
def test_an_image_folder(card: bytes, name: str, tmp_path: Path) -> None:
    line = {"file_name": "a.jpg", "width": 160, "height": 120, "objects": {"bbox": [ZEBRA], "category": [1]}}
    files = {"train/metadata.jsonl": json.dumps(line).encode(), "train/a.jpg": photograph(), "README.md": card}
    report = imported(tmp_path, files)
    assert boxes(report) == {"a.jpg": [(name, ZEBRA)]}
    assert ("category-unnamed" in codes(report)) == (name == "1")
    assert parts(report) == {"train": 1}


def test_corners_in_an_image_folder_are_seen(tmp_path: Path) -> None:
    lines = [
        {
            "file_name": f"{n}.jpg",
            "width": 160,
            "height": 120,
            "objects": {"bbox": [[90, 70, 150, 110]], "category": [0]},
        }
        for n in range(3)
    ]
    files = {"metadata.jsonl": "\n".join(map(json.dumps, lines)).encode()}
    report = imported(tmp_path, files | {f"{n}.jpg": photograph(n) for n in range(3)})
    assert [box for own in boxes(report).values() for _, box in own] == [[90, 70, 60, 40]] * 3
    assert "boxes-xyxy" in codes(report)


def coco(*names: str, left: int = 10, first: int = 1) -> bytes:
    images = [{"id": n, "file_name": name, "width": 160, "height": 120} for n, name in enumerate(names, first)]
    annotations = [
        {"id": n, "image_id": n, "category_id": 1, "bbox": [left, 20, 40, 30]} for n, _ in enumerate(names, first)
    ]
    return json.dumps(
        {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "deer"}]}
    ).encode()


def test_pictures_of_one_name_in_two_parts_are_two(tmp_path: Path) -> None:
    files = {"train/train.json": coco("0.png", "1.png"), "val/val.json": coco("0.png", "1.png", left=60)}
    for part, seed in (("train", 0), ("val", 9)):
        files |= {f"{part}/{n}.png": picture(seed + n, SIZE, form="PNG") for n in (0, 1)}
    report = imported(tmp_path, files)
    assert {name: box[0][1][0] for name, box in boxes(report).items()} == {
        "train/0.png": 10,
        "train/1.png": 10,
        "val/0.png": 60,
        "val/1.png": 60,
    }
    for part, left in (("train", 10), ("val", 60)):
        data = read_coco(tmp_path / "out" / "annotations" / f"{part}.json", tmp_path / "out" / "images")
        assert {one["bbox"][0] for one in data.annotations} == {left}
        for image in data.images:
            source = tmp_path / "source" / image["file_name"]
            assert data.image_path(image).read_bytes() == source.read_bytes()


def test_a_picture_in_two_parts_is_found_and_kept_in_one(tmp_path: Path) -> None:
    files = {"train.json": coco("a.jpg", "b.jpg"), "test.json": coco("b.jpg")}
    files |= {"a.jpg": photograph(), "b.jpg": photograph(1)}
    report = imported(tmp_path, files)
    assert "list-overlap" in codes(report)
    assert parts(report) == {"train": 1, "test": 1}
    assert len(report.collection.coco["annotations"]) == 2


LAYOUTS = {
    "coco 2017": ("annotations/instances_val2017.json", "val2017/a.jpg", "a.jpg"),
    "cvat": ("annotations/instances_default.json", "images/default/cam/a.jpg", "cam/a.jpg"),
    "fiftyone": ("labels.json", "data/a.jpg", "a.jpg"),
    "backslashes": ("labels.json", "images/site/cam 1/a.jpg", "site\\cam 1\\a.jpg"),
    "url": ("labels.json", "images/cam A/a.jpg", "https://store.example/x/cam%20A/a.jpg"),
    "escapes": ("labels.json", "images/cam A/a.jpg", "cam%20A/a.jpg"),
    "absolute": ("labels.json", "images/cam/a.jpg", "C:\\Users\\me\\cam\\a.jpg"),
    "case": ("labels.json", "images/a.JPG", "a.jpg"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_where_tools_put_their_pictures(layout: str, tmp_path: Path) -> None:
    labels, place, stated = LAYOUTS[layout]
    report = imported(tmp_path, {labels: coco(stated), place: photograph()})
    assert [box for own in boxes(report).values() for _, box in own] == [ZEBRA]
    assert (tmp_path / "out" / "images" / report.collection.coco["images"][0]["file_name"]).is_file()


def test_a_picture_of_the_same_name_in_another_folder_is_no_picture_of_it(tmp_path: Path) -> None:
    files = {"labels.json": coco("cam1/a.jpg", "cam2/b.jpg"), "cam1/a.jpg": photograph(), "cam3/b.jpg": photograph(1)}
    with pytest.raises(DatasetError, check=coded("dataset/image-missing")):
        imported(tmp_path, files)


def test_boxes_of_coco_are_repaired_and_each_repair_is_said(tmp_path: Path) -> None:
    document = json.loads(coco("a.jpg", "b.jpg", "c.jpg"))
    document["annotations"][0]["bbox"] = [-1.5, 20, 40, 30]
    document["annotations"][1] |= {"bbox": [10, 20, 40, 0], "area": None, "iscrowd": None}
    files = {"labels.json": json.dumps(document).encode(), **{f"{n}.jpg": photograph(ord(n)) for n in "abc"}}
    report = imported(tmp_path, files)
    assert boxes(report) == {"a.jpg": [("deer", [0, 20, 38.5, 30])], "b.jpg": [], "c.jpg": [("deer", ZEBRA)]}
    assert {"box-outside", "box-empty", "value-null"} <= codes(report)
    assert report.collection.coco["images"][1]["annotated_categories"] == []


def test_a_category_above_all_others_is_none(tmp_path: Path) -> None:
    document = json.loads(coco("a.jpg"))
    document["categories"] = [
        {"id": 0, "name": "park", "supercategory": "none"},
        {"id": 1, "name": "deer", "supercategory": "park"},
    ]
    report = imported(tmp_path, {"labels.json": json.dumps(document).encode(), "a.jpg": photograph()})
    assert [entry["name"] for entry in report.collection.coco["categories"]] == ["deer"]


def yolo(*lines: str, config: bytes = b"names: [buffalo, elephant]", **files: bytes) -> dict[str, bytes]:
    laid = {f"images/{n}.jpg": photograph(n) for n in range(len(lines))}
    return laid | {f"labels/{n}.txt": line.encode() for n, line in enumerate(lines)} | {"set.yaml": config} | files


CENTRED = "0.5 0.5 0.25 0.25"
MIDDLE = [60, 45, 40, 30]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("0.0 " + CENTRED, "1.0 " + CENTRED), ["buffalo", "elephant"]),
        (("0 " + CENTRED + " 0.9", "1 " + CENTRED), ["buffalo", "elephant"]),
        (("1 0.375 0.375 0.625 0.375 0.625 0.625 0.375 0.625", "0 " + CENTRED), ["elephant", "buffalo"]),
    ],
)
def test_what_yolo_lines_may_look_like(lines: tuple[str, ...], found: list[str], tmp_path: Path) -> None:
    report = imported(tmp_path, yolo(*lines))
    assert list(boxes(report).values()) == [[(name, MIDDLE)] for name in found]


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("1 " + CENTRED, "2 " + CENTRED), "classes-from-one"),
        (("0 80 60 40 30", "1 80 60 40 30"), "boxes-pixels"),
        (("0 0.5", "1 0.5"), "nothing-labelled"),
    ],
)
def test_a_yolo_set_that_is_wrong_throughout_is_refused_once(lines: tuple[str, ...], code: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, check=coded(f"dataset/{code}")):
        imported(tmp_path, yolo(*lines))


def test_turned_boxes_and_key_points_are_boxes(tmp_path: Path) -> None:
    turned = "0 0.375 0.375 0.625 0.375 0.625 0.625 0.375 0.625"
    report = imported(tmp_path / "obb", yolo(turned, turned))
    assert list(boxes(report).values()) == [[("buffalo", MIDDLE)]] * 2
    assert not any("segmentation" in one for one in report.collection.coco["annotations"])
    pose = yolo(f"0 {CENTRED} 0.5 0.5 2 0.4 0.4 1", config=b"kpt_shape: [2, 3]\nnames: [buffalo]")
    assert list(boxes(imported(tmp_path / "pose", pose)).values()) == [[("buffalo", MIDDLE)]]


@pytest.mark.parametrize(
    ("config", "names"),
    [(b"names: [0, no]", ["0", "no"]), (b"names: {0: lion, 1: zebra}", ["lion", "zebra"]), (b"nc: 2", ["0", "1"])],
)
def test_names_of_classes(config: bytes, names: list[str], tmp_path: Path) -> None:
    report = imported(tmp_path, yolo("0 " + CENTRED, "1 " + CENTRED, config=config))
    assert [entry["name"] for entry in report.collection.coco["categories"]] == names
    assert ("category-unnamed" in codes(report)) == (config == b"nc: 2")


def test_parts_of_yolo_are_lists_of_folders_or_folders(tmp_path: Path) -> None:
    labels = {f"labels/{part}/{part}{n}.txt": f"0 {CENTRED}".encode() for part in ("a", "b") for n in range(2)}
    pictures = {f"images/{part}/{part}{n}.jpg": photograph(ord(part) + n) for part in ("a", "b") for n in range(2)}
    config = b"train: [images/a]\nval:\n- images/b\nnames: [lion]"
    assert parts(imported(tmp_path / "lists", {**labels, **pictures, "waid.yaml": config})) == {"train": 2, "val": 2}
    files = {f"{part}/images/{part}.jpg": photograph(n) for n, part in enumerate(("train", "valid"))}
    files |= {f"{part}/labels/{part}.txt": f"0 {CENTRED}".encode() for part in ("train", "valid")}
    assert parts(imported(tmp_path / "folders", {**files, "classes.txt": b"lion\n"})) == {"train": 1, "val": 1}


def test_a_form_of_another_package(savanna: Path, tmp_path: Path) -> None:
    report = imported(tmp_path, {"game.tsv": b"a.jpg\tzebra\t10\t20\t50\t50\n", "a.jpg": photograph()})
    assert (report.collection.form, boxes(report)) == ("game-count", {"a.jpg": [("zebra", ZEBRA)]})


def cvat(*images: str) -> bytes:
    return f"<annotations><version>1.1</version>{''.join(images)}</annotations>".encode()


def test_cvat(tmp_path: Path) -> None:
    shapes = (
        '<box label="zebra" xtl="10" ytl="20" xbr="50" ybr="50" occluded="0"/>'
        '<box label="lion" xtl="60" ytl="40" xbr="100" ybr="60" rotation="90.0"/>'
        '<polygon label="bird" points="60,20;90,20;90,60"/>'
        '<ellipse label="bird" cx="100" cy="60" rx="20" ry="10"/>'
        '<mask label="lion" rle="1" left="1" top="2" width="3" height="4"/>'
    )
    files = {
        "annotations.xml": cvat(
            f'<image id="0" name="cam/a.jpg" width="160" height="120" subset="Train">{shapes}</image>',
            '<image id="1" name="cam/b.jpg" width="160" height="120"><tag label="zebra"/></image>',
            '<image id="2" name="cam/c.jpg" width="160" height="120"/>',
        ),
        **{f"images/cam/{name}.jpg": photograph(number) for number, name in enumerate("abc")},
    }
    report = imported(tmp_path, files)
    assert boxes(report) == {
        "a.jpg": [
            ("zebra", ZEBRA),
            ("lion", [70, 30, 20, 40]),
            ("bird", [60, 20, 30, 40]),
            ("bird", [80, 50, 40, 20]),
            ("lion", [1, 2, 3, 4]),
        ],
        "b.jpg": [],
        "c.jpg": [],
    }
    turned = report.collection.coco["annotations"][1]
    assert (turned["rotation"], turned["segmentation"]) == (90, [[90, 30, 90, 70, 70, 70, 70, 30]])
    assert (codes(report), parts(report)) == ({"box-from-outline"}, {"train": 1})
    assert report.collection.coco["images"][1]["annotated_categories"] == ["bird", "lion"]


def test_cvat_of_a_video_is_refused(tmp_path: Path) -> None:
    files = {"annotations.xml": cvat('<track id="0" label="lion"/>'), "a.jpg": photograph()}
    with pytest.raises(DatasetError, check=coded("dataset/cvat-video")):
        imported(tmp_path, files)


def region(kind: str, **value: object) -> dict[str, Any]:
    size = {"original_width": 160, "original_height": 120}
    return {"type": kind, **size, "value": {**value, kind: ["zebra"]}}


SHARE = {"x": 6.25, "y": 100 / 6, "width": 25, "height": 25}
"""The zebra in percent."""


def test_label_studio(tmp_path: Path) -> None:
    upright = region("rectanglelabels", **SHARE, rotation=0)
    turned = region("rectanglelabels", x=50, y=25, width=25, height=25, rotation=90)  # about its upper left corner
    outline = region("polygonlabels", points=[[37.5, 50 / 3], [56.25, 50 / 3], [56.25, 50]])
    oval = region("ellipselabels", x=62.5, y=50, radiusX=12.5, radiusY=10)
    results = {
        "/data/upload/3/0a1b2c3d-a.jpg": [{"result": [upright, turned, outline, oval]}],
        "/data/local-files/?d=photos/b.jpg": [{"result": [], "was_cancelled": False}],
        "s3://bucket/photos/c%20d.jpg": [{"was_cancelled": True, "result": [outline]}, {"result": [upright]}],
        "/data/upload/3/e.jpg": [],
    }
    tasks = [
        {"id": number, "data": {"image": image}, "annotations": annotations}
        for number, (image, annotations) in enumerate(results.items())
    ]
    files = {"export.json": json.dumps(tasks).encode()}
    files |= {f"photos/{name}.jpg": photograph(number) for number, name in enumerate(("a", "b", "c d", "e"))}
    report = imported(tmp_path, files)
    assert boxes(report) == {
        "a.jpg": [
            ("zebra", ZEBRA),
            ("zebra", [50, 30, 30, 40]),
            ("zebra", [60, 20, 30, 40]),
            ("zebra", [80, 48, 40, 24]),
        ],
        "b.jpg": [],
        "c d.jpg": [("zebra", ZEBRA)],
    }
    assert codes(report) == {"box-from-outline", "picture-unlabelled"}
    corners = report.collection.coco["annotations"][1]["segmentation"][0]
    assert corners == pytest.approx([80, 30, 80, 70, 50, 70, 50, 30], abs=0.01)


def test_label_studio_in_short(tmp_path: Path) -> None:
    size = {"original_width": 160, "original_height": 120}
    label = SHARE | {"rotation": 0, "rectanglelabels": ["zebra"], **size}
    task = {"image": "/data/upload/3/0a1b2c3d-a.jpg", "id": 1, "label": [label], "annotator": 1, "annotation_id": 7}
    files = {"export.json": json.dumps([task]).encode(), "a.jpg": photograph()}
    assert boxes(imported(tmp_path, files)) == {"a.jpg": [("zebra", ZEBRA)]}


@pytest.mark.parametrize("whole", [True, False])
def test_fiftyone(whole: bool, tmp_path: Path) -> None:
    box = {"bounding_box": [0.0625, 1 / 6, 0.25, 0.25]}
    samples = [
        {
            "filepath": "data/a.jpg",
            "tags": ["validation"],
            "ground_truth": {"_cls": "Detections", "detections": [box | {"label": "zebra"}]},
            "found": {"_cls": "Detections", "detections": []},
        },
        {"filepath": "data/b.jpg", "tags": [], "ground_truth": None},
    ]
    files = {"data/a.jpg": photograph(), "data/b.jpg": photograph(1)}
    if whole:
        files["samples.json"] = json.dumps({"samples": samples}).encode()
    else:
        by_picture = {"classes": ["lion", "zebra"], "labels": {"a": [box | {"label": 1}], "b": None}}
        files["labels.json"] = json.dumps(by_picture).encode()
    report = imported(tmp_path, files)
    assert boxes(report) == {"a.jpg": [("zebra", ZEBRA)], "b.jpg": []}
    assert parts(report) == ({"val": 1} if whole else {})


def parquet(path: Path, rows: list[dict[str, Any]], names: list[str] | None = None) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet as files

    features = {"objects": {"feature": {"category": {"names": names, "_type": "ClassLabel"}}}}
    described = {"huggingface": json.dumps({"info": {"features": features}})} if names else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(arrow.Table.from_pylist(rows).replace_schema_metadata(described), path)


def test_parquet(tmp_path: Path) -> None:
    objects = {"bbox": [[float(side) for side in ZEBRA]], "category": [1]}
    first = {"image": {"bytes": photograph(), "path": "a.jpg"}, "width": 160, "height": 120, "objects": objects}
    again = first | {"image": {"bytes": photograph(1), "path": "a.jpg"}}  # another picture of the same name
    empty = first | {"image": {"bytes": photograph(2), "path": None}, "objects": {"bbox": [], "category": []}}
    source = tmp_path / "source"
    parquet(source / "data/train-00000-of-00001.parquet", [first, again], ["lion", "zebra"])
    parquet(source / "data/test-00000-of-00001.parquet", [empty], ["lion", "zebra"])
    report = import_dataset(source, tmp_path / "out")
    assert boxes(report) == {
        "test/0.png": [],
        "train/1-a.jpg": [("zebra", ZEBRA)],
        "train/a.jpg": [("zebra", ZEBRA)],
    }
    assert parts(report) == {"train": 2, "test": 1}
    assert len(list((tmp_path / "out" / "images").rglob("*.*"))) == 3


def test_parquet_beside_its_pictures(tmp_path: Path) -> None:
    row = {"file_name": "a.jpg", "objects": [{"bbox": [float(side) for side in ZEBRA], "category": "zebra"}]}
    source = lay(tmp_path / "source", {"train/a.jpg": photograph(), "train/../../secret.jpg": photograph(1)})
    parquet(source / "train/metadata.parquet", [row, row | {"file_name": "../../secret.jpg"}])
    report = import_dataset(source, tmp_path / "out")
    assert boxes(report) == {"a.jpg": [("zebra", ZEBRA)]}
    assert codes(report) == {"picture-missing"}


def test_damaged_parquet_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(DatasetError, check=coded("dataset/not-parquet")):
        imported(tmp_path, {"a.parquet": b"PAR1 and no more", "a.jpg": photograph()})


TURNED = picture(0, SIZE, orientation=6)
"""Stored 160 x 120, shown 120 x 160: the zebra is at [70, 10, 30, 40] there."""


def turned_forms() -> dict[str, dict[str, bytes]]:
    shape = {"label": "zebra", "points": [[70, 10], [100, 50]], "shape_type": "rectangle"}
    labelme = {"shapes": [shape], "imagePath": "a.jpg", "imageWidth": 120, "imageHeight": 160}
    value = {"x": 70 / 1.2, "y": 6.25, "width": 25, "height": 25, "rectanglelabels": ["zebra"]}
    result = {"original_width": 120, "original_height": 160, "value": value}
    task = {"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": [result]}]}
    box = '<box label="zebra" xtl="70" ytl="10" xbr="100" ybr="50"/>'
    size = {"width": 120, "height": 160}
    labels = {
        "images": [{"id": 1, "file_name": "a.jpg", **size}],
        "categories": [{"id": 1, "name": "zebra"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [70, 10, 30, 40], "area": 1200}],
    }
    objects = {"bbox": [[70, 10, 30, 40]], "category": ["zebra"]}
    annotation = {"type": "bbox", "label_id": 0, "bbox": [70, 10, 30, 40]}
    datumaro = {
        "categories": {"label": {"labels": [{"name": "zebra"}]}},
        "items": [{"id": "a", "image": {"path": "a.jpg", "size": [160, 120]}, "annotations": [annotation]}],
    }
    return {
        "labelme": {"a.json": json.dumps(labelme).encode()},
        "label-studio": {"export.json": json.dumps([task]).encode()},
        "cvat": {"annotations.xml": cvat(f'<image id="0" name="a.jpg" width="120" height="160">{box}</image>')},
        "coco": {"labels.json": json.dumps(labels).encode()},
        "image-folder": {"metadata.jsonl": json.dumps({"file_name": "a.jpg", **size, "objects": objects}).encode()},
        "datumaro": {"all.json": json.dumps(datumaro).encode()},
    }


@pytest.mark.parametrize("form", turned_forms())
def test_boxes_of_a_picture_that_exif_turns_are_turned_back(form: str, tmp_path: Path) -> None:
    report = imported(tmp_path, {**turned_forms()[form], "a.jpg": TURNED})
    [(name, box)] = boxes(report)["a.jpg"]
    assert (report.collection.form, name, box) == (form, "zebra", ZEBRA)
    assert codes(report) == {"boxes-turned"}


@pytest.mark.parametrize("form", ["via", "yolo", "create-ml", "deep-forest"])
def test_where_no_size_is_stated_a_turned_picture_is_unsure(form: str, tmp_path: Path) -> None:
    shape = {"name": "rect", "x": 10, "y": 20, "width": 40, "height": 30}
    entry = {"filename": "a.jpg", "regions": [{"shape_attributes": shape, "region_attributes": {"species": "zebra"}}]}
    place = {"label": "zebra", "coordinates": {"x": 30, "y": 35, "width": 40, "height": 30}}
    row = {"image_path": "a.jpg", "xmin": 10, "ymin": 20, "xmax": 50, "ymax": 50, "label": "zebra"}
    files = {
        "via": {"via.json": json.dumps({"a.jpg7": entry}).encode()},
        "yolo": {"a.txt": b"0 0.1875 0.291666667 0.25 0.25", "classes.txt": b"zebra"},
        "create-ml": {"a.json": json.dumps([{"image": "a.jpg", "annotations": [place]}]).encode()},
        "deep-forest": {"a.csv": table(row)},
    }[form]
    report = imported(tmp_path, {**files, "a.jpg": TURNED})
    assert (boxes(report), codes(report)) == ({"a.jpg": [("zebra", ZEBRA)]}, {"orientation-unsure"})


def test_ignored_boxes_of_coco_are_crowds_unless_they_shall_count(tmp_path: Path) -> None:
    labels = json.loads(coco("a.jpg", "b.jpg"))
    labels["annotations"][0]["ignore"] = 1
    files = {"labels.json": json.dumps(labels).encode(), "a.jpg": photograph(), "b.jpg": photograph(1)}
    report = imported(tmp_path, files)
    assert [one["iscrowd"] for one in report.collection.coco["annotations"]] == [1, 0]
    assert "boxes-ignored" in codes(report)
    counting = import_dataset(tmp_path / "source", tmp_path / "counting", count_ignored=True)
    assert [one["iscrowd"] for one in counting.collection.coco["annotations"]] == [0, 0]


@pytest.mark.slow  # FiftyOne takes long to import
def test_cvat_is_read_as_fiftyone_reads_it(tmp_path: Path) -> None:
    cvat_of = pytest.importorskip("fiftyone.utils.cvat").load_cvat_image_annotations
    corners = [(10 + n, 20, 50 + n, 50) for n in range(4)]  # it rounds them to whole pixels; we do not
    shapes = "".join(
        f'<box label="zebra" occluded="0" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}"/>'
        for left, top, right, bottom in corners
    )
    outline = '<polygon label="bird" occluded="0" points="60.00,20.00;90.00,20.00;90.00,60.00"/>'
    document = cvat(
        f'<image id="0" name="a.jpg" width="160" height="120">{shapes}{outline}</image>',
        '<image id="1" name="b.jpg" width="160" height="120"/>',
    )
    files = {"annotations.xml": document, "a.jpg": photograph(), "b.jpg": photograph(1)}
    report = imported(tmp_path, files)
    _, _, theirs = cvat_of(str(tmp_path / "source" / "annotations.xml"))
    by_name = {image.name: image for image in theirs}
    ours = boxes(report)
    assert set(by_name) == set(ours)
    assert ours["a.jpg"][:4] == [
        (one.label, [one.xtl, one.ytl, one.xbr - one.xtl, one.ybr - one.ytl]) for one in by_name["a.jpg"].boxes
    ]
    [polygon] = by_name["a.jpg"].polygons
    points = [float(side) for point in polygon.points for side in point]
    assert report.collection.coco["annotations"][4]["segmentation"] == [points]
    assert ours["b.jpg"] == []


def test_supervisely(tmp_path: Path) -> None:
    shapes = {"rectangle": [[50, 50], [10, 20]], "polygon": [[60, 20], [90, 20], [90, 60]]}
    objects = [
        {"classTitle": "zebra", "geometryType": kind, "points": {"exterior": points, "interior": []}}
        for kind, points in shapes.items()
    ]
    bitmap = {"classTitle": "lion", "geometryType": "bitmap", "bitmap": {"data": "x", "origin": [1, 2]}}
    size = {"width": 160, "height": 120}
    files = {
        "meta.json": json.dumps({"classes": []}).encode(),
        "train/ann/a.jpg.json": json.dumps({"size": size, "objects": [*objects, bitmap]}).encode(),
        "train/ann/b.jpg.json": json.dumps({"size": size, "objects": []}).encode(),
        "train/img/a.jpg": photograph(),
        "train/img/b.jpg": photograph(1),
    }
    report = imported(tmp_path, files)
    assert boxes(report) == {"a.jpg": [("zebra", ZEBRA), ("zebra", [60, 20, 30, 40])], "b.jpg": []}
    assert report.collection.coco["images"][0]["annotated_categories"] == ["zebra"]
    assert parts(report) == {"train": 2}
