"""Fetching, importing and exporting as a person does it."""

import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Result, Run
from made_up_findings import LABELS, folder_of_findings
from made_up_parks import box, lay, parks, picture, xml
from made_up_photographs import photograph, save
from park_server import Server, serving

from wildbench.datasets.splits import SHARES, apply_split, read_split

Say = Callable[..., list[Result]]


@pytest.fixture
def say(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Say:
    """Runs commands under `wildbench data` one after the other, with a cache of their own."""
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    return lambda *lines: [run("data", *line.split()) for line in lines]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """One picture has no label."""
    path = tmp_path / "parks.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name, data in (parks(10) | {"parks/images/stray.jpg": picture(50)}).items():
            file.writestr(name, data)
    return path


@pytest.fixture
def server(archive: Path) -> Iterator[Server]:
    with serving(Server(archive.read_bytes())) as running:
        yield running


def test_fetch_reports_and_the_name_works(say: Say, server: Server, tmp_path: Path) -> None:
    before, fetched, listed, info, again = say(
        "info parks", f"fetch parks --url {server.url}", "list", "info parks-authors", "fetch parks"
    )
    before.refused("parks is not here", "wildbench data fetch parks", "wildbench data import PATH")
    assert fetched.status == 0, fetched.stderr
    for words in ("picture-unlabelled", "hyna read as hyena: 5", "holds: neither", "1309", "1409", "SHA-256: "):
        assert words in fetched.stdout
    rows = {line.split("│")[1].strip(): line.split("│")[2:5] for line in fetched.stdout.splitlines() if "│" in line}
    assert [cell.strip() for cell in rows["hyena"]] == ["5", "70", "-65"]
    assert "images: 10, of them without boxes 5" in fetched.stdout
    assert "parts: train 5, val 5" in fetched.stdout
    assert "parks-authors" in listed.stdout
    assert (info.status, "zebra" in info.stdout) == (0, True)
    assert again.status == 0, again.stderr  # nothing is downloaded


def test_import_elsewhere_touches_no_cache(say: Say, archive: Path, tmp_path: Path) -> None:
    strict, done, valid, taken = say(
        f"import {archive} --out strict --strict",
        f"import {archive} --out herd",
        "validate herd/annotations/all.json",
        f"import {archive} --out herd",
    )
    strict.refused("1 finding,", "--strict", "nothing is written")
    assert "picture-unlabelled" in strict.stdout
    assert not (tmp_path / "strict").exists()
    assert done.status == valid.status == 0, done.stderr
    assert "--dataset herd/annotations/all.json" in done.stdout
    taken.refused("herd exists already")
    assert not (tmp_path / "cache").exists()


MISTAKES = {
    "import none": "none: no such file or folder",
    "import a.zip": "damaged or cut short",
    "import cats": "so this is not parks",
    "import cats --out x --form csv": "no form 'csv'",
    "fetch serengeti": "serengeti",
    "fetch parks --url ftp://x/y.zip": "not an http or https address",
    "export serengeti --to voc -o x": "no such file or data set",
}


def test_mistakes_are_one_line_each(say: Say, server: Server, tmp_path: Path) -> None:
    server.page = b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>"
    lay(tmp_path, {"a.zip": b"PK\3\4 cut", "cats/a.xml": xml(box("cat")), "cats/a.jpg": picture()})
    *results, quota = say(*MISTAKES, f"fetch parks --url {server.url}")
    for result, words in zip(results, MISTAKES.values(), strict=True):
        result.refused(words)
    quota.refused("not a zip or tar", "by hand in a browser", "wildbench data import PATH")


def test_export_and_import_again(say: Say, archive: Path, tmp_path: Path) -> None:
    forms = ("voc", "yolo", "coco")
    first, *results = say(
        f"import {archive}",
        *[f"export parks-authors --to {form} -o {form}" for form in forms],
        *[f"import {form} --out {form}-again --strict" for form in forms],
    )
    assert "use it by: --dataset parks" in first.stdout
    for result in (first, *results):
        assert result.status == 0, result.stderr
    for form, result in zip(forms, results[:3], strict=True):
        assert f"{form}: 10 images" in result.stdout
        for part in ("all", "train", "val"):
            path = f"annotations/{part}.json"
            original = json.loads((tmp_path / "cache" / "parks" / path).read_text())
            assert json.loads((tmp_path / f"{form}-again" / path).read_text()) == original


def test_every_finding_can_be_listed(say: Say, tmp_path: Path) -> None:
    long = "images/" + "a-name-without-end-" * 8
    files = {f"{long}{number}.jpg": picture(number) for number in range(5)}
    lay(tmp_path / "set", files | {"labels.xml": xml(), "images/b.jpg": picture(9), "images/b.xml": xml(box())})
    imported, strict, *_ = say("import set --out herd", "import set --out x --strict")
    record = json.loads((tmp_path / "herd" / "import.json").read_text())
    places = [one["place"] for one in record["findings"] if one["code"] == "picture-unlabelled"]
    assert places == sorted(files)
    assert "and 2 more; herd/import.json lists all" in unfolded(imported.stdout, "where")
    assert "\u2026" not in imported.stdout
    for place in places[:3]:
        assert place in unfolded(imported.stdout, "where")
    for place in places:
        assert place in unfolded(strict.stdout, "where")
    image = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
    boxes = [{"id": n, "image_id": 1, "category_id": 1, "bbox": [1, 2, -3, 4], "iscrowd": 0} for n in range(5)]
    document = {"images": [image], "annotations": boxes, "categories": [{"id": 1, "name": "lion"}]}
    lay(tmp_path, {"a.jpg": picture(), "a.json": json.dumps(document).encode()})
    short, long_, refused = say("validate a.json", "validate a.json --all", "export a.json --to yolo -o x")
    assert "and 2 more; --all prints them" in unfolded(short.stdout, "where")
    assert "annotations[4]" in long_.stdout
    assert "annotations[4]" not in short.stdout
    refused.refused("wildbench data validate --all lists every finding")


def unfolded(text: str, column: str) -> str:
    """A column of a table, its folded lines put together."""
    rows = [line.split(mark) for line in text.splitlines() for mark in "\u2502\u2503" if mark in line]
    place = next(index for row in rows for index, cell in enumerate(row) if column in cell)
    cells = [row[place].strip() for row in rows if len(row) > place]
    return "".join(cells) + " ".join(cells)


def test_parks_is_handed_over_once(say: Say, archive: Path, tmp_path: Path) -> None:
    first, again, replaced, both = say(
        f"import {archive}",
        f"import {archive}",
        f"import {archive} --replace",
        f"import {archive} --out x --replace",
    )
    assert "not the published set by its counts: 10 boxes, where the paper has 1309 or 1409" in first.stdout
    again.refused("parks is there already", "add --replace")
    assert replaced.status == 0, replaced.stderr
    both.refused("--replace")
    assert not list(tmp_path.rglob("*.trusted.json"))


def test_an_address_that_is_not_used_is_named(say: Say, server: Server, tmp_path: Path) -> None:
    first, second = say(f"fetch parks --url {server.url}", "fetch parks --url http://127.0.0.1:9/x")
    assert "is not used" not in first.stdout
    assert "http://127.0.0.1:9/x is not used" in second.stdout
    assert second.status == 0


def test_export_names_what_is_lost(say: Say, tmp_path: Path) -> None:
    image = {"id": 1, "file_name": "a.jpg", "width": 64, "height": 48}
    lion = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [1, 2, 3, 4],
        "area": 12,
        "iscrowd": 0,
        "individual": "Nala",
    }
    document = {"images": [image], "annotations": [lion], "categories": [{"id": 1, "name": "lion"}]}
    lay(tmp_path, {"a.jpg": picture(), "a.json": json.dumps(document).encode()})
    (result,) = say("export a.json --to yolo -o yolo")
    assert result.status == 0, result.stderr
    assert "annotations: individual" in result.stdout
    assert result.stdout.endswith("yolo: 1 image\n")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return folder_of_findings(tmp_path)


def test_validate_lists_what_is_wrong_with_detections(run: Run, folder: Path) -> None:
    honest = run("data", "validate", "herd.json", "--predictions", "honest.json")
    assert honest.stdout.splitlines() == ["herd.json: no findings", "honest.json: no findings"]
    assert honest.status == 0
    odd = run("data", "validate", "herd.json", "--predictions", "corners.json")
    assert "detections-xyxy" in odd.stdout
    assert odd.status == 0
    wrong = run("data", "validate", "herd.json", "--predictions", "percent.json")
    assert "score-range" in wrong.stdout
    assert "10 findings" in wrong.stdout
    assert wrong.status == 2


def test_detections_wait_for_sound_labels(run: Run, folder: Path) -> None:
    without = LABELS | {"categories": []}
    (folder / "cut.json").write_text(json.dumps(without))
    result = run("data", "validate", "cut.json", "--predictions", "honest.json")
    assert result.status == 2
    assert "section-empty" in result.stdout
    assert "honest.json not checked: mend cut.json first" in result.stderr


def test_data_list_counts_parksim(run: Run, tmp_path: Path) -> None:
    result = run("data", "list")
    assert result.status == 0, result.stderr
    assert "parksim" in result.stdout
    assert "1309" in result.stdout


@pytest.fixture
def park(tmp_path: Path) -> Path:
    """Ten photographs of lions and zebras, of which the fourth is in the ninth."""
    images, annotations = [], []
    for number in range(1, 11):
        pixels = photograph(4)[:210, :300] if number == 9 else photograph(number)
        save(pixels, tmp_path / f"{number}.jpg")
        size = {"width": pixels.shape[1], "height": pixels.shape[0]}
        images.append({"id": number, "file_name": f"{number}.jpg"} | size)
        label = {"image_id": number, "category_id": 1 + number % 2, "bbox": [5, 5, 40, 40], "area": 1600, "iscrowd": 0}
        annotations.append({"id": number} | label)
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}]
    path = tmp_path / "park.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_a_split_is_written_once_and_does_not_leak(run: Run, park: Path, tmp_path: Path) -> None:
    result = run("data", "split", park, "-o", "splits/mine.json", "--seed", 2)
    assert result.status == 0, result.stderr
    assert [
        word for word in ("train", "val", "test", "lion", "zebra", "2 images in 1 group") if word not in result.stdout
    ] == []
    split = read_split(tmp_path / "splits" / "mine.json")
    assert (split.name, split.seed, list(split.parts)) == ("mine", 2, list(SHARES))
    document = json.loads(park.read_text())
    assert sum(len(apply_split(document, split, part)["images"]) for part in split.parts) == 10
    again = run("data", "split", park, "-o", "splits/mine.json")
    again.refused("mine.json exists", "remove it")
    assert read_split(tmp_path / "splits" / "mine.json") == split
    leaks = run("data", "leaks", park, "--split-file", "splits/mine.json", "--strict")
    assert leaks.status == 0, leaks.stdout + leaks.stderr
    assert "0 pairs" in leaks.stdout


def test_leaks_are_printed_shown_and_refused_where_that_is_asked(run: Run, park: Path, tmp_path: Path) -> None:
    document = json.loads(park.read_text())
    for name, ids in (("one", range(1, 6)), ("other", range(6, 11))):
        images = [image for image in document["images"] if image["id"] in ids]
        boxes = [entry for entry in document["annotations"] if entry["image_id"] in ids]
        (tmp_path / f"{name}.json").write_text(json.dumps(document | {"images": images, "annotations": boxes}))
    result = run("data", "leaks", "one.json", "other.json", "-o", "out/leaks.html")
    assert result.status == 0, result.stderr
    for words in ("1 pairs of images", "one: 4.jpg", "other: 9.jpg", "same photograph", "out/leaks.html"):
        assert words in result.stdout
    assert (tmp_path / "out" / "leaks.html").read_text().count("<article>") == 1
    assert run("data", "leaks", "one.json", "other.json", "--strict").status == 2


def test_what_cannot_be_done_is_said_in_one_line(run: Run, park: Path, tmp_path: Path) -> None:
    run("data", "leaks", park).refused("park is one part", "--split-file")
    run("data", "leaks", park, park, "--split-file", park).refused("divides one data set, not 2")
    run("data", "leaks", park, "--split-file", park).refused("not a split file")
    result = run("data", "split", park, "-o", "x.json", "--seed", -5)
    assert (result.status, "Traceback" in result.stderr) == (2, False)
    assert "--seed" in result.stderr
    document = json.loads(park.read_text())
    at_home = document | {"images": [image | {"location": "home"} for image in document["images"]]}
    (tmp_path / "home.json").write_text(json.dumps(at_home))
    whole = "val and test would have no image: 10 of 10 images, location 'home', stay together"
    result = run("data", "split", "home.json", "-o", "x.json")
    assert result.status == 2
    assert whole in result.stderr.splitlines()[-1]  # after what it looked at
    run("data", "split", "serengeti", "-o", "x.json").refused("serengeti", "parksim")
    assert not (tmp_path / "x.json").exists()
