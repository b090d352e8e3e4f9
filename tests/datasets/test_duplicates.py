from __future__ import annotations

import base64
import io
import re
import shutil
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from codes import coded
from made_up_photographs import photograph, save
from PIL import Image

from studies.duplicates.alterations import ALTERATIONS
from wildbench.datasets.coco import Dataset, read_coco
from wildbench.datasets.duplicates import KINDS, LeakReport, Pair, find_leaks, find_pairs, groups, leaks_page
from wildbench.datasets.registry import load_dataset
from wildbench.errors import DatasetError

COUNT = 6


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("originals")
    return [save(photograph(seed), folder / f"{seed}.jpg") for seed in range(COUNT)]


@pytest.mark.parametrize("name", [name for name in ALTERATIONS if name not in ("cropped by 50%", "turned by 30°")])
def test_an_altered_copy_is_found_and_nothing_else(name: str, originals: list[Path], tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(originals[0]))
    copy = save(ALTERATIONS[name](pixels, np.random.default_rng(0)), tmp_path / "copy.jpg")
    (pair,) = find_pairs([*originals, copy])
    assert (pair.a, pair.b) == (0, COUNT)
    assert pair.kind in ("same photograph", "same scene")
    assert pair.mirrored == ("mirrored" in name)
    assert pair.matches is not None
    assert pair.matches >= 6


def test_equal_bytes_and_equal_pixels_are_told_apart(originals: list[Path], tmp_path: Path) -> None:
    same_file = Path(shutil.copy(originals[1], tmp_path / "copy.jpg"))
    same_pixels = tmp_path / "commented.jpg"
    data = originals[1].read_bytes()
    same_pixels.write_bytes(data[:2] + b"\xff\xfe\x00\x07hello" + data[2:])  # a JPEG comment
    pairs = find_pairs([originals[0], originals[1], same_file, same_pixels])
    assert [(pair.a, pair.b, pair.kind) for pair in pairs] == [
        (1, 2, "same file"),
        (1, 3, "same pixels"),
        (2, 3, "same pixels"),
    ]
    assert all(pair.score == 1 and pair.matches is None for pair in pairs)


def test_blank_images_are_pairs_only_where_they_are_equal(tmp_path: Path) -> None:
    blanks = [save(np.full((40, 60, 3), level, np.uint8), tmp_path / f"{level}.jpg") for level in (60, 61, 200)]
    assert find_pairs(blanks) == []
    again = Path(shutil.copy(blanks[2], tmp_path / "again.jpg"))
    assert find_pairs([*blanks, again]) == [Pair(2, 3, "same file", 1.0)]


def test_a_scene_in_which_something_moved_is_the_same_scene(originals: list[Path], tmp_path: Path) -> None:
    moved = np.asarray(Image.open(originals[2])).copy()
    moved[60:200, 40:260] = photograph(99)[60:200, 40:260]
    (pair,) = find_pairs([*originals, save(moved, tmp_path / "moved.jpg")])
    assert (pair.a, pair.b, pair.kind) == (2, COUNT, "same scene")


def test_one_watermark_on_two_photographs_makes_no_pair(tmp_path: Path) -> None:
    marked = [ALTERATIONS["watermark"](photograph(seed), np.random.default_rng(0)) for seed in (24, 996)]
    paths = [save(pixels, tmp_path / f"{number}.jpg") for number, pixels in enumerate(marked)]
    assert find_pairs(paths) == []


def test_only_pairs_of_different_parts_are_looked_for(originals: list[Path], tmp_path: Path) -> None:
    copies = [Path(shutil.copy(path, tmp_path / path.name)) for path in originals[:3]]
    smaller = cv2.resize(photograph(0), (160, 120), interpolation=cv2.INTER_AREA)
    copies.append(save(np.asarray(smaller, np.uint8), tmp_path / "smaller.jpg"))
    pairs = find_pairs([*originals, *copies], parts=[0, 0, 1, *[0] * 3, *[0, 1, 1, 1]])
    assert {(pair.a, pair.b): pair.kind for pair in pairs} == {
        (1, 7): "same file",
        (0, 9): "same photograph",
        (6, 9): "same photograph",
    }
    ranks = [(KINDS.index(pair.kind), -pair.score) for pair in pairs]
    assert all(one <= other for one, other in pairwise(ranks))


def test_a_file_that_is_no_image_is_named(originals: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(originals[0].read_bytes()[:300])
    with pytest.raises(DatasetError, check=coded("dataset/image-unreadable", text="broken.jpg")):
        find_pairs([originals[0], tmp_path / "broken.jpg"])


def test_groups_are_what_pairs_connect() -> None:
    assert groups(0, []) == []
    assert groups(3, []) == [[0], [1], [2]]
    assert groups(6, [(4, 5), (0, 4), (2, 3), (3, 2)]) == [[0, 4, 5], [1], [2, 3]]
    assert groups(5, [(0, 1), (2, 3), (1, 2), (3, 4)]) == [[0, 1, 2, 3, 4]]


@pytest.mark.slow
def test_pictures_of_different_locations_are_no_pairs() -> None:
    """All of parksim carry a caption strip, which alone gives a dozen matching keypoints."""
    data = load_dataset("parksim", split="val")
    paths = [data.image_path(image) for image in data.images]
    assert find_pairs(paths, parts=[image["location"] for image in data.images]) == []


@pytest.mark.slow
def test_the_gorillas_that_leak_are_found(wildlife_real: Path) -> None:
    """Looked at one by one: each pair is of one family at one place within seconds."""
    parts = []
    for name in ("train", "val"):
        data = read_coco(wildlife_real / "annotations" / f"{name}.json", wildlife_real / "images")
        images = [image for image in data.images if image["source"] == "detectgorillem"]
        parts.append(Dataset(name, None, {**data.coco, "images": images}, data.images_dir))
    report = find_leaks(parts)
    assert [leak.pair.kind for leak in report.leaks] == ["same photograph", *["same scene"] * 3]


EVIL = '<img src=x onerror="alert(1)">&.jpg'


class Attributes(HTMLParser):
    """Every attribute that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [(name, value or "") for name, value in attrs]


def part(name: str, folder: Path, files: dict[str, int], **fields: Any) -> Dataset:
    """A part of made-up photographs by seed; negative ones cropped."""
    images = []
    for number, (file_name, seed) in enumerate(files.items(), start=1):
        pixels = photograph(abs(seed))
        save(pixels[:200, 40:] if seed < 0 else pixels, folder / name / file_name)
        images.append({"id": number, "file_name": file_name, "width": pixels.shape[1], "height": 240} | fields)
    return Dataset(name, None, {"images": images, "annotations": [], "categories": []}, folder / name)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> LeakReport:
    folder = tmp_path_factory.mktemp("parts")
    train = part("train", folder, {"a.jpg": 1, EVIL: 2, "c.jpg": 3, "again.jpg": 3}, location="ford <b>")
    val = part("val", folder, {"cropped.jpg": -1, "d.jpg": 4}, location="hill")
    test = part("test", folder, {"same.jpg": 2, "e.jpg": 5}, location="ford <b>")
    return find_leaks([train, val, test])


def test_pairs_across_parts_are_leaks_and_those_within_are_not(report: LeakReport) -> None:
    found = [(leak.a.part, leak.a.file_name, leak.b.part, leak.b.file_name, leak.pair.kind) for leak in report.leaks]
    assert found == [
        ("train", EVIL, "test", "same.jpg", "same file"),
        ("train", "a.jpg", "val", "cropped.jpg", "same photograph"),
    ]
    assert report.images == {"train": 4, "val": 2, "test": 2}
    assert report.shared_locations == ["ford <b>"]


def test_the_page_stands_alone_and_shows_the_pictures(report: LeakReport) -> None:
    page = leaks_page(report)
    assert "2 pairs of images across parts" in page
    reader = Attributes()
    reader.feed(page)
    assert {name for name, _ in reader.found if name in ("src", "href", "onerror", "srcset")} == {"src"}
    assert all(value.startswith("data:image/jpeg;base64,") for name, value in reader.found if name == "src")
    assert "url(" not in page
    pictures = [Image.open(io.BytesIO(base64.b64decode(data))) for data in re.findall(r'base64,([^"]+)"', page)]
    assert [picture.size for picture in pictures] == [(280, 210), (280, 210), (280, 210), (280, 200)]
    assert len(page) < 150_000


def test_names_are_escaped(report: LeakReport) -> None:
    page = leaks_page(report)
    assert EVIL not in page
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;&amp;.jpg" in page
    assert "ford &lt;b&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_the_page_of_many_leaks_shows_the_strongest_and_says_so(report: LeakReport) -> None:
    many = LeakReport(report.images, report.leaks[:1] * 301, [], [])
    page = leaks_page(many)
    assert "301 pairs" in page
    assert "The strongest 300 are shown" in page
    assert page.count("<article>") == 300


def test_one_part_cannot_leak_and_parts_need_names(tmp_path: Path) -> None:
    one = part("train", tmp_path, {"a.jpg": 1})
    with pytest.raises(DatasetError, check=coded("dataset/one-part")):
        find_leaks([one])
    with pytest.raises(DatasetError, check=coded("dataset/parts-of-one-name", text="train")):
        find_leaks([one, one])
