"""Fetching, importing and exporting as a person does it."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from made_up_parks import box, lay, parks, picture, xml
from park_server import Server, serving

SESSION = """
import sys
from wildbench.cli import main
for line in sys.argv[1:]:
    sys.argv = ["wildbench", "data", *line.split()]
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code
    for stream in (sys.stdout, sys.stderr):
        print(f"\\0{status}", end="\\0", file=stream, flush=True)
"""


@dataclass
class Result:
    """What one command said."""

    status: int
    stdout: str
    stderr: str

    def refused(self, *words: str) -> None:
        assert self.status == 2, self.stderr
        line = self.stderr.splitlines()[-1]
        assert line.startswith("wildbench: ")
        assert "Traceback" not in self.stderr
        for word in words:
            assert word in line


def run(*lines: str, cwd: Path) -> list[Result]:
    """Run commands one after the other, in one real process."""
    environment = os.environ | {"WILDBENCH_CACHE": str(cwd / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", SESSION, *lines], cwd=cwd, capture_output=True, text=True, env=environment, check=True
    )
    out, err = done.stdout.split("\0"), done.stderr.split("\0")
    return [Result(int(out[place + 1]), out[place], err[place]) for place in range(0, 2 * len(lines), 2)]


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


def test_fetch_reports_and_the_name_works(server: Server, tmp_path: Path) -> None:
    before, fetched, listed, info, again = run(
        "info parks", f"fetch parks --url {server.url}", "list", "info parks-authors", "fetch parks", cwd=tmp_path
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


def test_import_elsewhere_touches_no_cache(archive: Path, tmp_path: Path) -> None:
    strict, done, valid, taken = run(
        f"import {archive} --out strict --strict",
        f"import {archive} --out herd",
        "validate herd/annotations/all.json",
        f"import {archive} --out herd",
        cwd=tmp_path,
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
    "fetch parks --url ftp://x/y.zip": "ftp://x/y.zip: not an http or https address",
    "export serengeti --to voc -o x": "no such file or data set",
}


def test_mistakes_are_one_line_each(server: Server, tmp_path: Path) -> None:
    server.page = b"<!DOCTYPE html><title>Google Drive - Quota exceeded</title>"
    lay(tmp_path, {"a.zip": b"PK\3\4 cut", "cats/a.xml": xml(box("cat")), "cats/a.jpg": picture()})
    *results, quota = run(*MISTAKES, f"fetch parks --url {server.url}", cwd=tmp_path)
    for result, words in zip(results, MISTAKES.values(), strict=True):
        result.refused(words)
    quota.refused("not a zip or tar", "by hand in a browser", "wildbench data import PATH")


def test_export_and_import_again(archive: Path, tmp_path: Path) -> None:
    forms = ("voc", "yolo", "coco")
    first, *results = run(
        f"import {archive}",
        *[f"export parks-authors --to {form} -o {form}" for form in forms],
        *[f"import {form} --out {form}-again --strict" for form in forms],
        cwd=tmp_path,
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


def test_every_finding_can_be_listed(tmp_path: Path) -> None:
    long = "images/" + "a-name-without-end-" * 8
    files = {f"{long}{number}.jpg": picture(number) for number in range(5)}
    lay(tmp_path / "set", files | {"labels.xml": xml(), "images/b.jpg": picture(9), "images/b.xml": xml(box())})
    imported, strict, *_ = run("import set --out herd", "import set --out x --strict", cwd=tmp_path)
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
    short, long_, refused = run(
        "validate a.json", "validate a.json --all", "export a.json --to yolo -o x", cwd=tmp_path
    )
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


def test_parks_is_handed_over_once(archive: Path, tmp_path: Path) -> None:
    first, again, replaced, both = run(
        f"import {archive}",
        f"import {archive}",
        f"import {archive} --replace",
        f"import {archive} --out x --replace",
        cwd=tmp_path,
    )
    assert "not the published set by its counts: 10 boxes, where the paper has 1309 or 1409" in first.stdout
    again.refused("parks is there already", "add --replace")
    assert replaced.status == 0, replaced.stderr
    both.refused("--replace")
    assert not list(tmp_path.rglob("*.trusted.json"))


def test_an_address_that_is_not_used_is_named(server: Server, tmp_path: Path) -> None:
    first, second = run(f"fetch parks --url {server.url}", "fetch parks --url http://127.0.0.1:9/x", cwd=tmp_path)
    assert "is not used" not in first.stdout
    assert "http://127.0.0.1:9/x is not used" in second.stdout
    assert second.status == 0


def test_export_names_what_is_lost(tmp_path: Path) -> None:
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
    (result,) = run("export a.json --to yolo -o yolo", cwd=tmp_path)
    assert result.status == 0, result.stderr
    assert "annotations: individual" in result.stdout
    assert result.stdout.endswith("yolo: 1 image\n")
