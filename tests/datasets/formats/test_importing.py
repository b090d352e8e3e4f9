"""Any form in, COCO files out, with a report; nothing half-written."""

import json
import os
import random
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from codes import coded
from made_up_parks import SIZE, box, lay, parks, picture, xml

from wildbench.datasets.coco import read_coco
from wildbench.datasets.formats._collection import NewFolder
from wildbench.datasets.images import read_ahead
from wildbench.datasets.registry import load_dataset
from wildbench.datasets.transfer._transfer import Published, StrictFindings, import_dataset
from wildbench.errors import DatasetError, OutputError
from wildbench.measures.audits import audit_images

PUBLISHED = Published({"lion": 3, "zebra": 2}, {"text": 4, "table": 5})


def everything(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def packed(folder: Path, kind: str) -> Path:
    """A folder as an archive of its own."""
    path = folder.with_name(f"{folder.name}-{kind}")
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for file in folder.rglob("*"):
                archive.write(file, file.relative_to(folder))
    else:
        with tarfile.open(path, f"w:{kind}") as archive:  # type: ignore[call-overload]
            archive.add(folder, ".")
    return path


@pytest.mark.parametrize("kind", ["zip", "gz", "bz2", "xz", ""])
def test_an_archive_gives_what_its_folder_gives(kind: str, tmp_path: Path) -> None:
    folder = lay(tmp_path / "source", parks())
    first = import_dataset(folder, tmp_path / "a")
    second = import_dataset(packed(folder, kind), tmp_path / "b")
    assert first.collection.coco == second.collection.coco
    assert (first.sha256, len(str(second.sha256))) == (None, 64)
    a, b = everything(tmp_path / "a"), everything(tmp_path / "b")
    assert sorted(a) == sorted(
        [f"images/{number}.jpg" for number in range(6)]
        + [f"annotations/{name}.json" for name in ("all", "train", "val")]
        + ["annotations/SHA256SUMS", "import.json"]
    )
    record = json.loads(b.pop("import.json"))
    assert record["sha256"] == second.sha256
    a.pop("import.json")
    assert a == b
    assert {path.name for path in tmp_path.iterdir()} == {"source", "a", "b", f"source-{kind}"}


def test_what_is_written_loads_everywhere(tmp_path: Path) -> None:
    import_dataset(lay(tmp_path / "source", parks()), tmp_path / "out")
    for part, ids in (("all", range(1, 7)), ("train", range(1, 4)), ("val", range(4, 7))):
        data = load_dataset(tmp_path / "out" / "annotations" / f"{part}.json")
        assert [image["id"] for image in data.images] == list(ids)
        assert {annotation["image_id"] for annotation in data.annotations} == {key for key in ids if key % 2 == 0}


def test_an_image_that_changed_since_is_refused(tmp_path: Path) -> None:
    import_dataset(lay(tmp_path / "source", parks()), tmp_path / "out")
    data = load_dataset(tmp_path / "out" / "annotations" / "val.json")
    paths = [data.image_path(image) for image in data.images]
    assert set(paths) <= set(data.sums)
    assert len(list(read_ahead(paths, sums=data.sums))) == 3
    paths[1].write_bytes(paths[2].read_bytes())
    with pytest.raises(DatasetError, check=coded("dataset/image-changed", text=paths[1].name)):
        list(read_ahead(paths, sums=data.sums))
    assert audit_images(data).passed
    assert audit_images(replace(data, images_dir=tmp_path)).passed is None


def test_which_published_total_holds(tmp_path: Path) -> None:
    for total in (3, 4, 5):
        files = {"a.jpg": picture(), "a.xml": xml(*map(box, ["zebra", "zebra", *["lion"] * (total - 2), "okapi"]))}
        source = lay(tmp_path / f"source-{total}", files)
        report = import_dataset(source, tmp_path / f"{total}", published=PUBLISHED)
        assert report.boxes == total
        assert report.holds == ("neither" if total == 3 else str(total))
        assert json.loads((tmp_path / f"{total}" / "import.json").read_text())["holds"] == report.holds
        assert [one["name"] for one in report.collection.coco["categories"]] == ["lion", "zebra", "okapi"]
        assert [finding.code for finding in report.collection.findings] == ["category-unknown"]


def test_without_published_counts_the_categories_are_those_that_occur(tmp_path: Path) -> None:
    files = {"a.jpg": picture(), "a.xml": xml(box("okapi"), box("bongo"))}
    report = import_dataset(lay(tmp_path / "source", files), tmp_path / "out")
    assert report.collection.coco["categories"] == [{"id": 1, "name": "bongo"}, {"id": 2, "name": "okapi"}]
    assert (report.collection.findings, report.holds, report.boxes) == ([], None, 2)
    assert "holds" not in json.loads((tmp_path / "out" / "import.json").read_text())


def test_a_total_that_holds_in_the_label_files_alone(tmp_path: Path) -> None:
    objects = [box() for _ in range(3)] + [box(corners=(100, 1, 120, 9))]
    source = lay(tmp_path / "source", {"a.jpg": picture(), "a.xml": xml(*objects)})
    report = import_dataset(source, tmp_path / "out", published=PUBLISHED)
    assert report.holds == "4 (in the label files; 3 are kept)"
    (finding,) = json.loads((tmp_path / "out" / "import.json").read_text())["findings"]
    assert (finding["code"], finding["severity"], finding["place"]) == ("box-off-image", "error", "a.xml: object 4")
    assert finding["message"].startswith("[99, 0, 120, 9] is wholly outside its image of 64 x 48; left out")


def test_strict_refuses_and_writes_nothing(tmp_path: Path) -> None:
    files = parks() | {"parks/annotations/0.xml": xml(box(corners=(0, 1, 9, 9)))}
    source = lay(tmp_path / "source", files)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StrictFindings) as error:
        import_dataset(source, tmp_path / "out", strict=True)
    assert {finding.code for finding in error.value.report.collection.findings} == {"box-outside", "boxes-from-zero"}
    assert sorted(tmp_path.rglob("*")) == before
    assert import_dataset(lay(tmp_path / "clean", parks()), tmp_path / "out", strict=True).collection.findings == []


def test_files_that_are_not_used_are_named(tmp_path: Path) -> None:
    files = parks() | {"README.md": b"x", "__MACOSX/parks/._a.jpg": b"x", ".DS_Store": b"x", "parks/model.h5": b"x"}
    assert import_dataset(lay(tmp_path / "source", files), tmp_path / "out").unused == ["README.md", "parks/model.h5"]


def test_folders_that_cannot_be_read(tmp_path: Path) -> None:
    folders: dict[str, dict[str, bytes]] = {
        "no-labels": {"a.txt": b"x"},
        "nothing-labelled": {"a.xml": xml(box())},
        "several-forms": {"a.jpg": picture(), "a.xml": xml(), "data.yaml": b"names: [lion]"},
        "not-yaml": {"data.yaml": b"names: [lion", "a.jpg": picture()},
        "no-category-names": {"data.yaml": b"names: {a: lion}", "a.jpg": picture()},
        "xml-doctype": {"a.jpg": picture(), "a.xml": b"<!DOCTYPE a [<!ENTITY b 'c'>]><annotation/>"},
    }
    for code, files in folders.items():
        source = lay(tmp_path / code, files)
        with pytest.raises(DatasetError, check=coded(f"dataset/{code}", text=str(source))) as error:
            import_dataset(source, tmp_path / "out")
        assert "\n" not in str(error.value)
    assert {path.name for path in tmp_path.iterdir()} == set(folders)


def test_a_form_that_it_has_not(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", {"a.jpg": picture()})
    forms = {"yolo": "no-category-names", "coco": "no-labels", "voc": "nothing-labelled", "csv": "no-such-form"}
    for form, code in forms.items():
        with pytest.raises(DatasetError, check=coded(f"dataset/{code}")):
            import_dataset(source, tmp_path / "out", form=form)


def test_an_archive_that_holds_an_archive_is_not_opened(tmp_path: Path) -> None:
    inner = packed(lay(tmp_path / "source", parks()), "zip")
    outer = packed(lay(tmp_path / "outer", {"inner.zip": inner.read_bytes()}), "zip")
    with pytest.raises(DatasetError, check=coded("dataset/nested-archive", text="inner.zip")):
        import_dataset(outer, tmp_path / "out")


@pytest.mark.parametrize("name", ["none", "a.txt"])
def test_sources_that_are_no_source(name: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DatasetError, check=coded("dataset/no-archive", "dataset/no-such-file")):
        import_dataset(tmp_path / name, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_place_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", parks())
    lay(tmp_path / "out", {"mine.txt": b"x"})
    with pytest.raises(OutputError, check=coded("output/exists")):
        import_dataset(source, tmp_path / "out")
    assert everything(tmp_path / "out") == {"mine.txt": b"x"}
    (tmp_path / "empty").mkdir()
    import_dataset(source, tmp_path / "empty")


def test_a_hostile_archive_leaves_nothing(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name, data in parks().items():
            archive.writestr(name, data)
        archive.writestr("../evil.txt", b"x")
    with pytest.raises(DatasetError, check=coded("dataset/hostile-archive")):
        import_dataset(tmp_path / "a.zip", tmp_path / "deep" / "out")
    assert sorted(path.name for path in tmp_path.rglob("*")) in (["a.zip"], ["a.zip", "deep"])


def test_an_interrupt_leaves_what_was_there(tmp_path: Path) -> None:
    source = lay(tmp_path / "source", parks())
    import_dataset(source, tmp_path / "out")
    before = everything(tmp_path)

    def interrupt(task: str, done: int, total: int) -> None:
        if task == "copy images" and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_dataset(source, tmp_path / "out", replace=True, progress=interrupt)
    assert everything(tmp_path) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError):
        NewFolder(tmp_path / "out")


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "out"):
        with pytest.raises(OutputError):
            NewFolder(place)


def coco(numbers: range, first: int = 1) -> bytes:
    images = [
        {"id": first + place, "file_name": f"{number}.jpg", "width": SIZE[0], "height": SIZE[1], "licence": "cc0"}
        for place, number in enumerate(numbers)
    ]
    boxes = [
        {"id": image["id"], "image_id": image["id"], "category_id": 4, "bbox": [1, 2, 3.5, 4], "area": 14, "iscrowd": 0}
        for image in images
    ]
    document = {"images": images, "annotations": boxes, "categories": [{"id": 4, "name": "okapi"}]}
    return json.dumps(document).encode()


def test_coco_entries_stay_as_they_are(tmp_path: Path) -> None:
    files = {f"images/{number}.jpg": picture(number) for number in range(4)}
    labels = {"annotations/mine.json": coco(range(4), first=40), "results.json": b"[]"}
    source = lay(tmp_path / "source", files | labels)
    report = import_dataset(source, tmp_path / "out")
    assert (report.collection.form, report.collection.findings, report.unused) == ("coco", [], [])
    written = read_coco(tmp_path / "out" / "annotations" / "all.json", tmp_path / "out" / "images")
    assert written.coco == json.loads(coco(range(4), first=40))


def test_two_coco_files_are_put_together(tmp_path: Path) -> None:
    files = {f"images/{number}.jpg": picture(number) for number in range(4)}
    apart = files | {"annotations/train.json": coco(range(3)), "annotations/val.json": coco(range(3, 4), first=9)}
    report = import_dataset(lay(tmp_path / "apart", apart), tmp_path / "a")
    assert (report.collection.findings, report.collection.parts) == ([], {"train": [1, 2, 3], "val": [9]})
    collide = files | {
        "annotations/instances_train2017.json": coco(range(3)),
        "annotations/instances_val2017.json": coco(range(3, 4)),
    }
    report = import_dataset(lay(tmp_path / "collide", collide), tmp_path / "b")
    assert [finding.code for finding in report.collection.findings] == ["ids-renumbered"]
    assert report.collection.parts == {"train": [1, 2, 3], "val": [4]}
    assert [one["image_id"] for one in report.collection.coco["annotations"]] == [1, 2, 3, 4]


def test_parts_of_a_folder_of_images_are_told_apart(tmp_path: Path) -> None:
    """`annotations/train.json` and `images/train`, which hold the names that `images/val` holds too."""
    files = {f"annotations/{part}.json": coco(range(2)) for part in ("train", "val")}
    for place, part in enumerate(("train", "val")):
        files |= {f"images/{part}/{number}.jpg": picture(place, SIZE) for number in range(2)}
    report = import_dataset(lay(tmp_path / "source", files), tmp_path / "out")
    assert {part: len(ids) for part, ids in report.collection.parts.items()} == {"train": 2, "val": 2}
    for part in ("train", "val"):
        data = read_coco(tmp_path / "out" / "annotations" / f"{part}.json", tmp_path / "out" / "images")
        assert {path.parent.name for path in map(data.image_path, data.images)} == {part}


def test_a_picture_that_cannot_be_decoded_is_left_out_with_a_finding(tmp_path: Path) -> None:
    files = {"a.json": coco(range(3))} | {f"{number}.jpg": picture(number, SIZE) for number in range(3)}
    files["1.jpg"] = files["1.jpg"][:-200]
    report = import_dataset(lay(tmp_path / "source", files), tmp_path / "out")
    assert [(one.code, one.place) for one in report.collection.findings] == [("image-unreadable", "1.jpg")]
    assert [image["file_name"] for image in report.collection.coco["images"]] == ["0.jpg", "2.jpg"]


def test_what_pandas_writes_for_nothing_is_not_recorded(tmp_path: Path) -> None:
    document = json.loads(coco(range(2)))
    document["images"][0] |= {"location": float("nan"), "seq_id": float("nan")}
    document["images"][1] |= {"location": "gate"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    data = load_dataset(path, with_images=False)
    assert [image.get("location") for image in data.images] == [None, "gate"]
    assert [(one.code, one.severity) for one in data.warnings] == [("value-not-json", "warning")]


def test_a_coco_file_that_validation_refuses(tmp_path: Path) -> None:
    broken = json.loads(coco(range(1)))
    broken["annotations"][0]["bbox"] = [1, 2, -3, 4]
    source = lay(tmp_path / "source", {"0.jpg": picture(), "a.json": json.dumps(broken).encode()})
    for path in (source, packed(source, "zip")):
        with pytest.raises(DatasetError, check=coded("dataset/box-negative-side", text=": a.json")) as error:
            import_dataset(path, tmp_path / "out")
        assert str(error.value).count(str(tmp_path)) == 1


@pytest.mark.parametrize("name", ["../outside.jpg", "/etc/hostname"])
def test_a_coco_file_that_names_images_elsewhere(name: str, tmp_path: Path) -> None:
    lay(tmp_path, {"outside.jpg": picture()})
    hostile = json.loads(coco(range(1)))
    hostile["images"][0]["file_name"] = name
    source = lay(tmp_path / "source", {"a.json": json.dumps(hostile).encode()})
    with pytest.raises(
        DatasetError, check=coded("dataset/image-outside", "dataset/image-missing", "dataset/nothing-labelled")
    ):
        import_dataset(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_yolo_as_others_write_it(tmp_path: Path) -> None:
    """Roboflow's and Ultralytics' folders: parts by folder, six digits, a background picture without label."""
    files = {"data.yaml": b"train: ../train/images\nval: ../valid/images\nnc: 2\nnames: ['lion', 'zebra']\n"}
    for number, part in enumerate(("train", "train", "valid")):
        files[f"{part}/images/{number}.jpg"] = picture(number)
        if number != 1:
            files[f"{part}/labels/{number}.txt"] = (
                b"1 0.500000 0.500000 0.250000 0.500000\r\n0 0.984375 0.5 0.031251 1\r\n\r\n"
            )
    report = import_dataset(lay(tmp_path / "source", files), tmp_path / "out")
    assert (report.collection.form, report.collection.findings) == ("yolo", [])
    assert report.collection.parts == {"train": [1, 2], "val": [3]}
    first, second = [one for one in report.collection.coco["annotations"] if one["image_id"] == 1]
    assert (first["category_id"], first["bbox"]) == (2, [24, 12, 16, 24])
    assert second["bbox"] == pytest.approx([62, 0, 2, 48], abs=0.01)
    assert second["bbox"][0] + second["bbox"][2] <= 64
    assert len(report.collection.coco["images"]) == 3


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("0 0.5 0.5 0.1", "box-unreadable"),
        ("7 0.5 0.5 0.1 0.1", "box-unreadable"),
        ("lion 0.5 0.5 0.1 0.1", "box-unreadable"),
        ("0 0.5 0.5 nan 0.1", "box-unreadable"),
        ("0 0.5 0.5 0 0.1", "box-empty"),
        ("0 0.5 0.5 -0.1 0.1", "box-empty"),
        ("0 0.95 0.5 0.2 0.1", "box-outside"),
        ("0 1.95 0.5 0.2 0.1", "box-off-image"),
    ],
)
def test_flaws_of_yolo_labels(line: str, code: str, tmp_path: Path) -> None:
    files = {"classes.txt": b"lion\nzebra\n", "images/a.jpg": picture(), "labels/a.txt": line.encode()}
    files |= {"images/b.jpg": picture(1), "labels/b.txt": b"0 0.5 0.5 0.1 0.1"}
    report = import_dataset(lay(tmp_path / "source", files), tmp_path / "out")
    assert [finding.code for finding in report.collection.findings] == [code]
    assert len(report.collection.coco["annotations"]) == 1 + (code == "box-outside")
    assert report.collection.read.total() == 2
    lost = None if code == "box-outside" else ["zebra"] if line.startswith("0") else []
    assert report.collection.coco["images"][0].get("annotated_categories") == lost


def test_the_current_folder_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(OutputError, check=coded("output/current-folder")):
        import_dataset(lay(tmp_path / "source", parks()), Path())


def test_links_to_folders_are_followed_once(tmp_path: Path) -> None:
    lay(tmp_path / "far", parks())
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "near").symlink_to(tmp_path / "far")
    (tmp_path / "far" / "circle").symlink_to(tmp_path / "source")
    report = import_dataset(tmp_path / "source", tmp_path / "out")
    assert (len(report.collection.coco["images"]), report.collection.findings) == (6, [])


def test_a_json_that_is_not_coco_is_no_obstacle(tmp_path: Path) -> None:
    source = lay(tmp_path / "a", parks() | {"notes.json": b"{"})
    assert import_dataset(source, tmp_path / "out").unused == ["notes.json"]
    with pytest.raises(DatasetError, check=coded("dataset/not-json", text="all.json")):
        import_dataset(lay(tmp_path / "b", {"all.json": b"{", "a.jpg": picture()}), tmp_path / "none")


FULL = """
import resource, sys
from pathlib import Path
from wildbench.datasets.transfer._transfer import import_dataset
from wildbench.errors import OutputError
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    import_dataset(Path(sys.argv[1]), Path(sys.argv[2]))
except OutputError as error:
    print(error.code, error)
"""


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_a_full_disk_is_one_line_and_leaves_nothing(kind: str, tmp_path: Path) -> None:
    source = lay(tmp_path / "source", parks())
    source = packed(source, "zip") if kind == "zip" else source
    before = everything(tmp_path)
    command = [sys.executable, "-c", FULL, str(source), str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "File too large" in result.stdout
    assert result.stdout.startswith("output/not-written")
    assert everything(tmp_path) == before
    assert not (tmp_path / "out").exists()


def spoilt(data: bytes, generator: random.Random) -> bytes:
    """Change, cut out, put in or cut off a few bytes."""
    broken = bytearray(data)
    for _ in range(generator.choice((1, 2, 10))):
        place = generator.randrange(len(broken) + 1)
        how = generator.randrange(8)
        if how < 5:
            broken[place : place + 1] = generator.randbytes(1)
        elif how == 5:
            del broken[place : place + generator.randrange(20)]
        elif how == 6:
            broken[place:place] = generator.randbytes(20)
        else:
            del broken[place:]
    return bytes(broken)


@pytest.mark.parametrize("kind", ["jpg", "xml", "txt", "zip", "gz", "bz2", "xz", ""])
def test_random_damage_is_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    generator = random.Random(kind)
    source = lay(tmp_path / "source", parks(2))
    whole = None if kind in ("jpg", "xml", "txt") else packed(source, kind).read_bytes()
    for trial in range(25):
        if whole is None:
            files = {name: spoilt(data, generator) if name.endswith(kind) else data for name, data in parks(2).items()}
            broken = lay(tmp_path / "broken" / f"{trial}", files)
        else:
            broken = lay(tmp_path / "broken", {f"{trial}": spoilt(whole, generator)}) / f"{trial}"
        said = ""
        try:
            import_dataset(broken, tmp_path / "out" / f"{trial}")
        except DatasetError as error:
            said = str(error)
        assert "\n" not in said
        assert (tmp_path / "out" / f"{trial}").exists() == (said == "")
    assert not list(tmp_path.rglob(".*"))
