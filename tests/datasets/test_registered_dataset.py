"""A data set of another package (tests/plugins) is known by its name; its card says where its pictures are."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from codes import coded
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

MAKER = "def make(cache, progress):\n    progress('render', 1, 1)\n    return cache / 'rendered'\n"


@pytest.fixture
def mine(savanna: Path, tmp_path: Path) -> Path:
    """A copy of the data set, registered by its folder as `mine`."""
    folder = shutil.copytree(savanna / "waterhole", tmp_path / "mine")
    plugins.datasets.register("mine", folder)
    return folder


def data(*line: str) -> str:
    result = CliRunner().invoke(app, ["data", *line])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_is_loaded_listed_counted_and_exported_by_name(savanna: Path, tmp_path: Path) -> None:
    assert names() == ("parksim", "parks", "parks-authors", "waterhole")
    assert (card("waterhole").licence, splits_of("waterhole")) == ("CC0-1.0", ("train", "test"))
    assert not is_shareable("waterhole")
    test = load_dataset("waterhole")
    assert (test.name, test.split, test.category_names) == ("waterhole", "test", ["zebra"])
    assert test.image_path(test.images[0]) == savanna / "waterhole" / "images" / "3.png"
    assert [image["id"] for image in load_whole("waterhole").images] == [1, 2, 3, 4]
    assert list(summary("waterhole")["splits"]) == ["train", "test"]
    (info,) = [info for info in registered() if info.name == "waterhole"]
    assert (info.title, info.categories, info.images, info.boxes) == (card("waterhole").title, 1, 4, 4)
    assert "trail-camera" in data("list")
    assert "zebra" in data("info", "waterhole")
    assert "4 images" in data("export", "waterhole", "--to", "coco", "-o", str(tmp_path / "out"))
    with pytest.raises(DatasetError, check=coded("dataset/no-such-split", text="train, test")):
        load_dataset("waterhole", split="val")
    with pytest.raises(DatasetError, check=coded("dataset/not-rendered")):
        generate("waterhole")


def test_its_pictures_may_be_rendered_or_in_another_folder(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path / "cache"))
    (mine / "savanna_maker.py").write_text(MAKER)
    monkeypatch.syspath_prepend(mine)
    text = (mine / "dataset.toml").read_text()
    steps: list[Any] = []
    for images, place in (
        ('render = "savanna_maker:make"', tmp_path / "cache" / "rendered"),
        ('folder = "photos"', mine / "photos"),
    ):
        shutil.copytree(mine / "images", place)
        (mine / "dataset.toml").write_text(text.replace('folder = "images"', images))
        assert load_dataset("mine", progress=lambda *step: steps.append(step)).images_dir == place
    assert steps == [("render", 1, 1)]


def test_a_folder_can_be_registered_for_a_process(mine: Path) -> None:
    assert load_dataset("mine").images_dir == mine / "images"
    with pytest.raises(PluginError, check=coded("plugin/taken")):
        plugins.datasets.register("waterhole", mine)


def test_a_bad_card_is_one_line(mine: Path) -> None:
    text = (mine / "dataset.toml").read_text()
    for bad in ("title = ", 'title = "x"', f"{text}\nmore = 1", text.replace("licence", "license")):
        (mine / "dataset.toml").write_text(bad)
        with pytest.raises(DatasetError, check=coded("dataset/bad-card", text=str(mine))):
            load_dataset("mine")
    (mine / "dataset.toml").unlink()
    with pytest.raises(DatasetError, check=coded("dataset/no-card")):
        load_dataset("mine")
