"""VOC to COCO, flaw by flaw, on real JPEGs."""

import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codes import coded
from hotcoco import COCO
from made_up_parks import SIZE, box, lay, parks, picture, xml
from PIL import EpsImagePlugin, Image, ImageOps
from scoring import measure_accuracy

from wildbench.categories import CATEGORIES
from wildbench.datasets.coco import Dataset
from wildbench.datasets.formats import Folder
from wildbench.datasets.formats._collection import LEFT_OUT, UNKNOWN_LEFT_OUT, Collection
from wildbench.datasets.formats.voc import LARGEST, read_voc
from wildbench.datasets.images import decode
from wildbench.datasets.label_checks import validate
from wildbench.errors import DatasetError
from wildbench.progress import silent


def read(folder: Path, files: dict[str, bytes]) -> Collection:
    lay(folder, files)
    collection = read_voc(Folder(folder, known=CATEGORIES), silent)
    names = {image["file_name"] for image in collection.coco["images"]}
    assert names == set(collection.files)
    if names:
        assert [finding for finding in validate(collection.coco) if finding.severity == "error"] == []
    return collection


def one(folder: Path, *objects: str, **stated: Any) -> Collection:
    return read(folder, {"images/a.jpg": picture(), "annotations/a.xml": xml(*objects, **stated)})


def codes(collection: Collection) -> list[str]:
    return sorted(finding.code for finding in collection.findings)


def boxes(collection: Collection) -> list[list[float]]:
    return [annotation["bbox"] for annotation in collection.coco["annotations"]]


def test_an_archive_without_a_flaw_has_no_findings(tmp_path: Path) -> None:
    collection = read(tmp_path, parks())
    assert collection.findings == []
    assert [image["file_name"] for image in collection.coco["images"]] == [f"{number}.jpg" for number in range(6)]
    assert collection.parts == {"train": [1, 2, 3], "val": [4, 5, 6]}
    assert collection.boxes_by_category() == dict.fromkeys(CATEGORIES, 0) | {"hyena": 3, "zebra": 3}
    assert collection.notes == {"hyna read as hyena": 3}
    assert collection.read.total() == 6
    assert boxes(collection)[:2] == [[10, 5, 20, 20], [0, 0, 64, 48]]


def test_corners_are_read_as_hotcoco_reads_them(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    files, corners = {}, {}
    for number in range(20):
        low = generator.integers(1, [[40, 30]], (3, 2))
        high = low + generator.integers(0, [[24, 18]], (3, 2))
        corners[number] = [tuple(row) for row in np.concatenate([low, high], 1).tolist()]
        files[f"JPEGImages/{number:02}.jpg"] = picture(number)
        names = ("lion", "zebra", "bird")
        objects = [box(name, sides) for name, sides in zip(names, corners[number], strict=True)]
        files[f"Annotations/{number:02}.xml"] = xml(*objects, filename=f"{number:02}.jpg")
    files["labels.txt"] = b"bird\nlion\nzebra\n"
    ours = read(tmp_path, files)
    assert ours.findings == []
    theirs = COCO.from_voc(str(tmp_path)).dataset
    assert [entry["name"] for entry in ours.coco["categories"]] == [entry["name"] for entry in theirs["categories"]]
    by_name = {image["id"]: image["file_name"] for image in theirs["images"]}
    for image in ours.coco["images"]:
        own = [(a["category_id"], a["bbox"]) for a in ours.coco["annotations"] if a["image_id"] == image["id"]]
        their = [
            (a["category_id"], a["bbox"]) for a in theirs["annotations"] if by_name[a["image_id"]] == image["file_name"]
        ]
        assert own == their


def test_fields_of_an_object_are_kept(tmp_path: Path) -> None:
    extra = "<difficult>1</difficult><truncated>0</truncated><occluded>1</occluded><pose>Left</pose><part/><part/>"
    collection = one(tmp_path, box(extra=extra))
    annotation = collection.coco["annotations"][0]
    assert [annotation[key] for key in ("difficult", "truncated", "occluded", "pose")] == [1, 0, 1, "Left"]
    assert annotation["iscrowd"] == 1  # VOC's evaluation counts what is difficult neither way
    assert collection.notes["element not read: part"] == 2
    counting = read_voc(Folder(tmp_path, known=CATEGORIES, count_ignored=True), silent)
    assert [one["iscrowd"] for one in counting.coco["annotations"]] == [0]


@pytest.mark.parametrize("name", ["hyna", " Hyna ", "HYENA", "hy\u00e9na", "Hyena\n"])
def test_spelling_of_a_category(name: str, tmp_path: Path) -> None:
    collection = one(tmp_path, box(name))
    if name == "hy\u00e9na":
        assert codes(collection) == ["category-unknown"]
        assert collection.coco["categories"][13] == {"id": 14, "name": "hy\u00e9na"}
        assert "1 box of" in collection.findings[0].message
    else:
        assert collection.findings == []
    assert collection.boxes_by_category()["hyena"] == (name != "hy\u00e9na")


@pytest.mark.parametrize(
    ("corners", "expected", "found"),
    [
        ((1, 1, 64, 48), [0, 0, 64, 48], []),
        ((5, 5, 5, 5), [4, 4, 1, 1], []),
        (("5.5", "5.25", "9.75", "9"), [4.5, 4.25, 5.25, 4.75], []),
        (("26.8", "1", "30.1", "2"), [25.8, 0, 4.3, 2], []),
        (("11.0", " 6 ", "30", "25\n"), [10, 5, 20, 20], []),
        ((60, 40, 70, 60), [59, 39, 5, 9], ["box-outside"]),
        ((0, 6, 30, 25), [0, 5, 30, 20], ["box-outside", "boxes-from-zero"]),
        ((-4, 6, 30, 25), [0, 5, 30, 20], ["box-outside"]),
        ((30, 25, 11, 6), [10, 5, 20, 20], ["box-inverted"]),
        ((30, 6, 11, 25), [10, 5, 20, 20], ["box-inverted"]),
        ((12, 6, 11, 25), [10, 5, 2, 20], ["box-inverted"]),
        ((12, 6, 11, "5.5"), [10, 5, 2, 0.5], ["box-inverted"]),
        (("11.5", 6, "11", 25), [10.5, 5, 0.5, 20], []),
        (("12.5", 6, "11.5", 25), None, ["box-empty"]),
        ((100, 6, 120, 25), None, ["box-off-image"]),
        (("x", 6, 11, 25), None, ["box-unreadable"]),
        (("", 6, 11, 25), None, ["box-unreadable"]),
        (("nan", 6, 11, 25), None, ["box-unreadable"]),
        (("1e400", 6, 11, 25), None, ["box-unreadable"]),
        (("1e-999999999", 6, 11, 25), None, ["box-unreadable"]),
        (("inf", 6, 11, 25), None, ["box-unreadable"]),
    ],
)
def test_a_box(corners: tuple[object, ...], expected: list[float] | None, found: list[str], tmp_path: Path) -> None:
    collection = one(tmp_path, box(corners=corners))
    assert boxes(collection) == ([] if expected is None else [expected])
    assert codes(collection) == found
    assert len(collection.coco["images"]) == 1
    assert collection.read.total() == 1
    for annotation in collection.coco["annotations"]:
        assert annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3]
    scored = [name for name in CATEGORIES if name != "lion"]
    assert collection.coco["images"][0].get("annotated_categories") == (scored if expected is None else None)
    assert (expected is None) == any("not scored for its category" in one.message for one in collection.findings)


def test_how_much_was_clipped_is_said(tmp_path: Path) -> None:
    (finding,) = one(tmp_path, box(corners=(60, 40, 70, 60))).findings
    assert finding.place == "annotations/a.xml: object 1"
    assert "by 12 pixels" in finding.message


def test_an_object_without_box_or_name_is_left_out_and_counted(tmp_path: Path) -> None:
    collection = one(tmp_path, "<object><name>lion</name></object>", box(""), box())
    assert codes(collection) == ["box-unreadable", "box-unreadable"]
    assert len(boxes(collection)) == 1
    assert collection.coco["images"][0]["annotated_categories"] == []
    assert [one.message.split("; ")[1] for one in collection.findings] == [LEFT_OUT, UNKNOWN_LEFT_OUT]


def test_an_animal_whose_box_is_lost_is_no_false_positive(tmp_path: Path) -> None:
    """Two lions are found, one in an image whose only box cannot be read: the other alone counts."""
    files = {"a.jpg": picture(), "a.xml": xml(box(corners=("x", 1, 2, 3)))}
    collection = read(tmp_path, files | {"b.jpg": picture(1), "b.xml": xml(box())})
    data = Dataset("set", None, collection.coco, tmp_path)
    found = [{"image_id": image, "category_id": 7, "bbox": [10, 5, 20, 20], "score": 0.9 / image} for image in (1, 2)]
    measured = measure_accuracy(data, found)
    assert measured.per_category["lion"].ap.value == pytest.approx(1)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("a.jpg", "a.xml"),
        ("x/images/a.JPG", "x/annotations/a.xml"),
        ("JPEGImages/night/A.jpeg", "Annotations/night/a.XML"),
        ("deep/down/pictures/a.png", "elsewhere/a.xml"),
        ("images/a b (1).jpg", "annotations/a b (1).xml"),
        ("images/\u017cubr.jpg", "annotations/\u017cubr.xml"),
    ],
)
def test_where_files_lie_does_not_matter(image: str, label: str, tmp_path: Path) -> None:
    form = "PNG" if image.endswith("png") else "JPEG"
    collection = read(tmp_path, {image: picture(form=form), label: xml(box())})
    assert collection.findings == []
    assert [entry["file_name"] for entry in collection.coco["images"]] == [Path(image).name]


def test_one_name_in_two_folders(tmp_path: Path) -> None:
    files = {}
    for number, night in enumerate(("day", "night")):
        files[f"images/{night}/a.jpg"] = picture(number)
        files[f"annotations/{night}/a.xml"] = xml(box("zebra" if number else "lion"))
    collection = read(tmp_path, files)
    assert collection.findings == []
    assert [image["file_name"] for image in collection.coco["images"]] == ["day/a.jpg", "night/a.jpg"]
    assert [entry["category_id"] for entry in collection.coco["annotations"]] == [7, 3]


def test_orphans_are_named_and_their_boxes_counted(tmp_path: Path) -> None:
    files = parks() | {"parks/annotations/lost.xml": xml(box(), box()), "parks/images/bare.jpg": picture(99)}
    collection = read(tmp_path, files)
    assert codes(collection) == ["label-unused", "picture-missing", "picture-unlabelled"]
    assert "2 boxes" in next(one.message for one in collection.findings if one.code == "label-unused")
    assert len(collection.coco["images"]) == 6
    assert collection.read.total() == 8


def test_the_stated_name_is_used_where_the_file_s_own_has_no_picture(tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": picture(), "001.xml": xml(box(), filename="a.jpg")})
    assert (collection.findings, len(boxes(collection))) == ([], 1)


def test_a_stated_name_that_disagrees(tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": picture(), "a.xml": xml(box(), filename="b.jpg")})
    assert codes(collection) == ["filename-differs"]
    assert len(boxes(collection)) == 1


def test_two_files_for_one_picture(tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": picture(), "x/a.xml": xml(box()), "y/a.xml": xml(box(), box())})
    assert codes(collection) == ["label-unused", "picture-labelled-twice"]
    assert len(boxes(collection)) == 1


def test_two_pictures_of_one_name(tmp_path: Path) -> None:
    files = {"a.jpg": picture(), "a.png": picture(1, form="PNG"), "a.xml": xml(box(), filename="a.png")}
    collection = read(tmp_path / "stated", files)
    assert [image["file_name"] for image in collection.coco["images"]] == ["a.png"]
    assert codes(collection) == ["picture-unlabelled"]
    unsure = read(tmp_path / "unsure", files | {"a.xml": xml(box())})
    assert codes(unsure) == ["picture-ambiguous", "picture-unlabelled"]


def test_one_picture_under_two_names(tmp_path: Path) -> None:
    files = {f"{name}.{kind}": picture() if kind == "jpg" else xml(box()) for name in "ab" for kind in ("jpg", "xml")}
    collection = read(tmp_path, files)
    assert codes(collection) == ["image-repeated"]
    assert len(collection.coco["images"]) == 2


def test_the_real_size_wins(tmp_path: Path) -> None:
    collection = one(tmp_path, box(), size=(640, 480))
    assert codes(collection) == ["size-differs"]
    image = collection.coco["images"][0]
    assert (image["width"], image["height"]) == SIZE
    assert one(tmp_path / "none", box(), size=None).findings == []


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_of_the_turned_picture_are_turned_back(orientation: int, tmp_path: Path) -> None:
    """A white patch is boxed in the picture as Pillow turns it, and has to be boxed in the stored one."""
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[8:20, 30:50] = 255
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(stream, "PNG", exif=exif)
    turned = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(stream.getvalue()))))
    rows, columns = np.flatnonzero(turned[..., 0].any(1)), np.flatnonzero(turned[..., 0].any(0))
    label = xml(box(corners=(columns[0] + 1, rows[0] + 1, columns[-1] + 1, rows[-1] + 1)), size=turned.shape[1::-1])
    collection = read(tmp_path, {"a.png": stream.getvalue(), "a.xml": label})
    assert codes(collection) == ["boxes-turned"]
    assert boxes(collection) == [[30, 8, 20, 12]]


@pytest.mark.parametrize(
    ("orientation", "size", "found"),
    [
        (6, SIZE, []),  # the size says that the boxes are of the stored pixels
        (6, None, ["orientation-unsure"]),
        (3, SIZE, ["orientation-unsure"]),
        (6, (100, 100), ["size-differs"]),
    ],
)
def test_boxes_that_are_not_turned(
    orientation: int, size: tuple[int, int] | None, found: list[str], tmp_path: Path
) -> None:
    collection = read(tmp_path, {"a.jpg": picture(orientation=orientation), "a.xml": xml(box(), size=size)})
    assert codes(collection) == found
    assert boxes(collection) == [[10, 5, 20, 20]]


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + xml(box()),
        b'<?xml version="1.0" encoding="utf-8"?>\r\n' + xml(box()).replace(b">", b">\r\n"),
        ("<?xml version='1.0' encoding='utf-16'?>" + xml(box()).decode()).encode("utf-16"),
        b'<?xml version="1.0" encoding="iso-8859-1"?>' + xml(box(), "<!-- \u00e9 -->").decode().encode("latin-1"),
    ],
)
def test_encodings(data: bytes, tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": picture(), "a.xml": data})
    assert (collection.findings, boxes(collection)) == ([], [[10, 5, 20, 20]])


def test_latin_1_that_says_it_is_utf_8(tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": picture(), "a.xml": xml(box("\u00e9lan")).decode().encode("latin-1")})
    assert codes(collection) == ["category-unknown", "xml-encoding"]
    assert collection.coco["categories"][-1]["name"] == "\u00e9lan"


MALFORMED = [b"", b"<annotation>", b"no", b"<html/>", xml(box())[:-30], b"\x00\xff\xfe"]
UNREAD_ENCODINGS = [f'<?xml version="1.0" encoding="{name}"?><annotation/>'.encode() for name in ("gb2312", "nonsense")]


@pytest.mark.parametrize("data", [*MALFORMED, *UNREAD_ENCODINGS])
def test_malformed_xml_is_named_and_its_image_left_out(data: bytes, tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": picture(), "a.xml": data, "b.jpg": picture(1), "b.xml": xml(box())})
    assert codes(collection) == ["picture-unlabelled", "xml-malformed"]
    assert [image["file_name"] for image in collection.coco["images"]] == ["b.jpg"]


LAUGHS = '<!DOCTYPE lolz [<!ENTITY a "lol">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)
HOSTILE = {
    "billion laughs": f"{LAUGHS}]><annotation>&m;</annotation>",
    "external": '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation><filename>&x;</filename></annotation>',
    "parameter": '<!DOCTYPE a [<!ENTITY % x SYSTEM "http://localhost/x">%x;]><annotation/>',
    "dtd": '<!DOCTYPE annotation SYSTEM "http://localhost/voc.dtd"><annotation/>',
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused(kind: str, encoding: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, check=coded("dataset/xml-doctype", text="a.xml")):
        read(tmp_path, {"a.jpg": picture(), "a.xml": HOSTILE[kind].encode(encoding)})


def test_a_huge_xml_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, check=coded("dataset/xml-too-large", text="a.xml")):
        read(tmp_path, {"a.jpg": picture(), "a.xml": xml(box()) + b" " * LARGEST})


def test_deeply_nested_xml_does_no_harm(tmp_path: Path) -> None:
    deep = b"<annotation>" + b"<a>" * 200_000 + b"</a>" * 200_000 + b"</annotation>"
    assert boxes(read(tmp_path, {"a.jpg": picture(), "a.xml": deep})) == []


def test_an_image_of_too_many_pixels_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.new("1", (20_000, 10_001)).save(stream, "PNG")
    assert len(stream.getvalue()) < 50_000
    with pytest.raises(DatasetError, check=coded("dataset/image-too-large", text="a.png")):
        read(tmp_path, {"a.png": stream.getvalue(), "a.xml": xml(box())})


@pytest.mark.parametrize("data", [b"", b"text", picture()[:-200], picture()[:300]])
def test_a_damaged_picture_is_left_out_with_its_boxes(data: bytes, tmp_path: Path) -> None:
    files = {"a.jpg": data, "a.xml": xml(box()), "b.jpg": picture(1), "b.xml": xml(box())}
    collection = read(tmp_path, files)
    assert codes(collection) == ["image-unreadable", "label-unused", "picture-missing"]
    assert [image["file_name"] for image in collection.coco["images"]] == ["b.jpg"]


def saved(form: str, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, SIZE).save(stream, form)
    return stream.getvalue()


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("data", [POSTSCRIPT, saved("ICO"), saved("TIFF", "F"), saved("PPM")])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
def test_a_file_that_evaluation_cannot_read_is_no_picture(
    data: bytes, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path / "bin", {"gs": b"#!/bin/sh\ntouch $0.ran\n"})
    (tmp_path / "bin" / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", None)  # found once a process
    collection = read(tmp_path / "set", {name: data, "a.xml": xml(box())})
    assert "image-unreadable" in codes(collection)
    assert collection.coco["images"] == []
    assert [path.name for path in (tmp_path / "bin").iterdir()] == ["gs"]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF"])
def test_every_form_that_is_named_is_read(form: str, tmp_path: Path) -> None:
    collection = read(tmp_path, {"a.jpg": saved(form), "a.xml": xml(box())})
    assert collection.findings == []
    assert decode(collection.files["a.jpg"]).shape == (SIZE[1], SIZE[0], 3)


LINES = ["{0}", "{0}.jpg", "images/{0}.jpg", "./x/images/{0}", "C:\\park\\{0}.jpg", "{0} 1", "{0}  -1"]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lists(line: str, end: str, tmp_path: Path) -> None:
    files = parks(4)
    for part, numbers in (("train", (0, 1)), ("valid", (2, 3))):
        files[f"parks/{part}.txt"] = "".join(line.format(number) + end for number in numbers).encode("utf-8-sig")
    collection = read(tmp_path, files)
    assert collection.findings == []
    assert collection.parts == {"train": [1, 2], "val": [3, 4]}


def test_names_with_spaces_and_dots_in_lists(tmp_path: Path) -> None:
    files = {}
    for name in ("a b", "a", "v1.2"):
        files |= {f"images/{name}.jpg": picture(len(name)), f"annotations/{name}.xml": xml(box())}
    collection = read(tmp_path, files | {"train.txt": b"a b\nv1.2\n", "val.txt": b"a\n"})
    assert collection.findings == []
    names = {image["id"]: image["file_name"] for image in collection.coco["images"]}
    assert [names[key] for key in collection.parts["train"]] == ["a b.jpg", "v1.2.jpg"]


def test_a_development_kit_is_clean(tmp_path: Path) -> None:
    """Folders, lists and masks as in VOCdevkit/VOC2012."""
    files: dict[str, bytes] = {}
    lists = {"train": ("0", "1"), "val": ("2", "3"), "trainval": ("0", "1", "2", "3")}
    for number in range(4):
        files[f"VOC2012/JPEGImages/{number}.jpg"] = picture(number)
        files[f"VOC2012/Annotations/{number}.xml"] = xml(box("lion"), box("zebra"), filename=f"{number}.jpg")
        for kind in ("Class", "Object"):
            files[f"VOC2012/Segmentation{kind}/{number}.png"] = picture(90 + number, form="PNG")
    for name, numbers in lists.items():
        for use in ("Main", "Segmentation"):
            files[f"VOC2012/ImageSets/{use}/{name}.txt"] = "\n".join(numbers).encode()
        for category in ("lion", "zebra"):
            files[f"VOC2012/ImageSets/Main/{category}_{name}.txt"] = "".join(f"{one}  1\n" for one in numbers).encode()
    collection = read(tmp_path / "whole", files)
    assert collection.findings == []
    assert collection.parts == {"train": [1, 2], "val": [3, 4]}
    assert collection.notes == {"segmentation mask not read": 8}
    classes = {name: data for name, data in files.items() if not name.endswith(("/train.txt", "/val.txt"))}
    collection = read(tmp_path / "classes", classes)
    assert (collection.findings, collection.parts) == ([], {"train": [1, 2], "val": [3, 4]})


def test_a_whole_name_is_not_ambiguous(tmp_path: Path) -> None:
    files = {}
    for number, name in enumerate(("a.JPG", "sub/a.jpg", "sub/b.jpg", "c/b.jpg")):
        files |= {f"images/{name}": picture(number), f"annotations/{name[:-3]}xml": xml(box())}
    collection = read(tmp_path, files | {"train.txt": b"a\nsub/b 1\n", "val.txt": b"sub/a\nb\n"})
    assert codes(collection) == ["list-missing", "list-unknown"]  # b may be either
    names = {image["id"]: image["file_name"] for image in collection.coco["images"]}
    assert [names[key] for key in collection.parts["train"]] == ["a.JPG", "sub/b.jpg"]
    assert [names[key] for key in collection.parts["val"]] == ["sub/a.jpg"]


def test_flaws_of_lists(tmp_path: Path) -> None:
    files = parks(4) | {"parks/train.txt": b"0\n0\n1\nnone\n", "parks/valid.txt": b"1\n2\n"}
    collection = read(tmp_path, files)
    assert codes(collection) == ["list-missing", "list-overlap", "list-repeated", "list-unknown"]
    assert collection.parts == {"train": [1], "val": [2, 3]}


def test_numbers_do_not_depend_on_the_order_of_files(tmp_path: Path) -> None:
    files = parks()
    first = read(tmp_path / "a", files).coco
    assert read(tmp_path / "b", dict(reversed(files.items()))).coco == first
    assert json.loads(json.dumps(first)) == first
