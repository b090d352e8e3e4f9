"""A data set that another package brings: a card, its labels, and an entry point; nothing in wildbench changes."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from codes import coded
from made_up_parks import lay, picture
from typer.testing import CliRunner

from wildbench import plugins
from wildbench.cli import app
from wildbench.datasets.registry import (
    card,
    generate,
    is_shareable,
    load_dataset,
    load_whole,
    names,
    registered,
    splits_of,
    summary,
)
from wildbench.errors import DatasetError, PluginError

CARD = """
title = "okapis of the Ituri forest"
licence = "CC0-1.0"
source = "made up"

[splits]
train = "labels/train.json"
test = "labels/test.json"
"""
MAKER = "def make(cache, progress):\n    progress('render okapis', 1, 1)\n    return cache / 'okapis'\n"


def coco(number: int) -> bytes:
    box = {"id": number + 1, "image_id": number, "category_id": 1, "bbox": [1, 2, 30, 20], "area": 600, "iscrowd": 0}
    image = {"id": number, "file_name": f"{number}.jpg", "width": 64, "height": 48}
    return json.dumps({"images": [image], "categories": [{"id": 1, "name": "okapi"}], "annotations": [box]}).encode()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with the entry point `okapis`."""
    site = tmp_path / "site"
    labels = {f"okapis/labels/{split}.json": coco(number) for number, split in enumerate(("train", "test"))}
    pictures = {f"okapis/images/{number}.jpg": picture(number) for number in range(2)}
    files = {"okapis/__init__.py": b"", "okapis/maker.py": MAKER.encode(), "okapis/dataset.toml": CARD.encode()}
    point = b"[wildbench.datasets]\nokapis = okapis\n"
    metadata = {"okapis-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: okapis\nVersion: 1.0\n"}
    lay(site, labels | pictures | files | metadata | {"okapis-1.0.dist-info/entry_points.txt": point})
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(plugins.datasets, "_resolved", {})
    plugins.datasets.__dict__.pop("_installed", None)
    yield site / "okapis"
    plugins.datasets.__dict__.pop("_installed", None)
    for name in [name for name in sys.modules if name.partition(".")[0] == "okapis"]:
        del sys.modules[name]


def data(*line: str) -> str:
    result = CliRunner().invoke(app, ["data", *line])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_is_loaded_listed_and_counted_by_name(package: Path) -> None:
    assert names() == ("parksim", "parks", "parks-authors", "okapis")
    assert (card("okapis").licence, splits_of("okapis")) == ("CC0-1.0", ("train", "test"))
    assert not is_shareable("okapis")
    test = load_dataset("okapis")
    assert (test.name, test.split, test.category_names) == ("okapis", "test", ["okapi"])
    assert test.image_path(test.images[0]) == package / "images" / "1.jpg"
    assert [image["id"] for image in load_whole("okapis").images] == [0, 1]
    assert list(summary("okapis")["splits"]) == ["train", "test"]
    (info,) = [info for info in registered() if info.name == "okapis"]
    assert (info.title, info.categories, info.images, info.boxes) == ("okapis of the Ituri forest", 1, 2, 2)
    assert "okapis of the Ituri" in data("list")
    assert "okapi" in data("info", "okapis")
    assert "2 images" in data("export", "okapis", "--to", "coco", "-o", str(package / "out"))
    with pytest.raises(DatasetError, check=coded("dataset/no-such-split", text="train, test")):
        load_dataset("okapis", split="val")
    with pytest.raises(DatasetError, check=coded("dataset/not-rendered")):
        generate("okapis")


def test_its_pictures_may_be_rendered_or_in_another_folder(package: Path, tmp_path: Path) -> None:
    rendered = lay(tmp_path / "cache" / "okapis", {"1.jpg": picture(1)})
    photos = lay(package / "photos", {"1.jpg": picture(1)})
    steps: list[Any] = []
    for images, place in (('render = "okapis.maker:make"', rendered), ('folder = "photos"', photos)):
        (package / "dataset.toml").write_text(f"{CARD}\n[images]\n{images}\n")
        assert load_dataset("okapis", progress=lambda *step: steps.append(step)).images_dir == place
    assert steps == [("render okapis", 1, 1)]


def test_a_folder_can_be_registered_for_a_process(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.datasets, "_targets", dict(plugins.datasets._targets))
    plugins.datasets.register("mine", package)
    assert load_dataset("mine").images_dir == package / "images"
    with pytest.raises(PluginError, check=coded("plugin/taken")):
        plugins.datasets.register("okapis", package)


def test_a_bad_card_is_one_line(package: Path) -> None:
    for text in ("title = ", 'title = "x"', f"{CARD}\nmore = 1", CARD.replace("licence", "license")):
        (package / "dataset.toml").write_text(text)
        with pytest.raises(DatasetError, check=coded("dataset/bad-card", text=str(package))):
            load_dataset("okapis")
    (package / "dataset.toml").unlink()
    with pytest.raises(DatasetError, check=coded("dataset/no-card")):
        load_dataset("okapis")
