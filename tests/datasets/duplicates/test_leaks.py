import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from made_up_photographs import photograph, save
from PIL import Image

from wildbench.datasets.coco import Dataset
from wildbench.datasets.duplicates._leaks import LeakReport, find_leaks, leaks_page
from wildbench.errors import DatasetError

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
    many = LeakReport(report.images, report.leaks[:1] * 301, [])
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
