"""`wildbench data split` and `data leaks` as a person uses them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from made_up_photographs import photograph, save

from wildbench.datasets.splits import SHARES, apply_split, read_split


def run(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from wildbench.cli import main; main()", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True)


def refused(result: subprocess.CompletedProcess[str], *words: str) -> None:
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    for word in ("wildbench: ", *words):
        assert word in result.stderr


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    """Ten photographs of lions and zebras, of which the fourth is in the ninth."""
    images, annotations = [], []
    for number in range(1, 11):
        pixels = photograph(4)[:210, :300] if number == 9 else photograph(number)
        save(pixels, tmp_path / f"{number}.jpg")
        size = {"width": pixels.shape[1], "height": pixels.shape[0]}
        images.append({"id": number, "file_name": f"{number}.jpg"} | size)
        box = {"image_id": number, "category_id": 1 + number % 2, "bbox": [5, 5, 40, 40], "area": 1600, "iscrowd": 0}
        annotations.append({"id": number} | box)
    categories = [{"id": 1, "name": "lion"}, {"id": 2, "name": "zebra"}]
    path = tmp_path / "park.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_a_split_is_written_once_and_does_not_leak(coco: Path, tmp_path: Path) -> None:
    result = run("data", "split", coco, "-o", "splits/mine.json", "--seed", 2, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert [
        word for word in ("train", "val", "test", "lion", "zebra", "2 images in 1 group") if word not in result.stdout
    ] == []
    split = read_split(tmp_path / "splits" / "mine.json")
    assert (split.name, split.seed, list(split.parts)) == ("mine", 2, list(SHARES))
    document = json.loads(coco.read_text())
    assert sum(len(apply_split(document, split, part)["images"]) for part in split.parts) == 10
    again = run("data", "split", coco, "-o", "splits/mine.json", cwd=tmp_path)
    refused(again, "mine.json exists", "remove it")
    assert read_split(tmp_path / "splits" / "mine.json") == split
    leaks = run("data", "leaks", coco, "--split-file", "splits/mine.json", "--strict", cwd=tmp_path)
    assert leaks.returncode == 0, leaks.stdout + leaks.stderr
    assert "0 pairs" in leaks.stdout


def test_leaks_are_printed_shown_and_refused_where_that_is_asked(coco: Path, tmp_path: Path) -> None:
    document = json.loads(coco.read_text())
    for name, ids in (("one", range(1, 6)), ("other", range(6, 11))):
        images = [image for image in document["images"] if image["id"] in ids]
        boxes = [box for box in document["annotations"] if box["image_id"] in ids]
        (tmp_path / f"{name}.json").write_text(json.dumps(document | {"images": images, "annotations": boxes}))
    result = run("data", "leaks", "one.json", "other.json", "-o", "out/leaks.html", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    for words in ("1 pairs of images", "one: 4.jpg", "other: 9.jpg", "same photograph", "out/leaks.html"):
        assert words in result.stdout
    assert (tmp_path / "out" / "leaks.html").read_text().count("<article>") == 1
    assert run("data", "leaks", "one.json", "other.json", "--strict", cwd=tmp_path).returncode == 2


def test_what_cannot_be_done_is_said_in_one_line(coco: Path, tmp_path: Path) -> None:
    refused(run("data", "leaks", coco, cwd=tmp_path), "park is one part", "--split-file")
    refused(run("data", "leaks", coco, coco, "--split-file", coco, cwd=tmp_path), "divides one data set, not 2")
    refused(run("data", "leaks", coco, "--split-file", coco, cwd=tmp_path), "not a split file")
    result = run("data", "split", coco, "-o", "x.json", "--seed", -5, cwd=tmp_path)
    assert (result.returncode, "Traceback" in result.stderr) == (2, False)
    assert "--seed" in result.stderr
    document = json.loads(coco.read_text())
    at_home = document | {"images": [image | {"location": "home"} for image in document["images"]]}
    (tmp_path / "home.json").write_text(json.dumps(at_home))
    whole = "val and test would have no image: 10 of 10 images, location 'home', stay together"
    result = run("data", "split", "home.json", "-o", "x.json", cwd=tmp_path)
    assert result.returncode == 2
    assert whole in result.stderr.splitlines()[-1]  # after what it looked at
    refused(run("data", "split", "serengeti", "-o", "x.json", cwd=tmp_path), "serengeti", "parksim")
    assert not (tmp_path / "x.json").exists()
