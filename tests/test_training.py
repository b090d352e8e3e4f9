"""From a recipe to a submission that opens."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from wildbench.detectors import _train
from wildbench.errors import DatasetError, OutputError, RecipeError, SubmissionError
from wildbench.submissions.archive._archive import read_submission
from wildbench.training import train

RECIPE = """
[detector]
name = "fcos_efficientnet_lite0_fpn"
init = "random"
arguments = { blocks = 12, channels = 16, depth = 1, min_size = 64, max_size = 64 }
[submission]
authors = ["A. Ranger"]
licence = "CC0-1.0"
[schedule]
epochs = 2
batch_size = 2
[augmentation]
height = 64
width = 64
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def herd(tmp_path: Path) -> Path:
    images, annotations = [], []
    for number in range(1, 5):
        picture = np.full((64, 64, 3), 90, np.uint8)
        picture[16:48, 10:50] = (0, 160, 220)
        cv2.imwrite(str(tmp_path / f"{number}.png"), picture)
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        annotations.append({"id": number, "image_id": number, "category_id": 5, "bbox": [10, 16, 40, 32]})
    path = tmp_path / "herd.json"
    categories = [{"id": 5, "name": "lion"}, {"id": 9, "name": "zebra"}]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def test_a_recipe_becomes_a_submission_and_the_checkpoint_goes(recipe: Path, herd: Path, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []

    def progress(task: str, done: int, total: int) -> None:
        if task.startswith("train"):
            steps.append((done, total))

    train(recipe, tmp_path / "out.pt", dataset=str(herd), device="cpu", progress=progress)
    archive = read_submission(tmp_path / "out.pt")
    assert archive.manifest.categories == ["lion", "zebra"]
    assert archive.manifest.authors == ["A. Ranger"]
    assert archive.manifest.licence == "CC0-1.0"
    assert archive.manifest.training_data == "herd"
    assert steps[-1] == (4, 4)
    assert not list(tmp_path.glob("*.checkpoint"))


def test_an_interrupted_training_goes_on_to_the_same_bytes(
    recipe: Path, herd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_train, "CHECKPOINT_EVERY", 2)  # of four steps

    def interrupt(task: str, done: int, total: int) -> None:
        if task.startswith("train") and done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, tmp_path / "a.pt", dataset=str(herd), device="cpu", progress=interrupt)
    assert (tmp_path / "a.checkpoint").exists()
    assert not (tmp_path / "a.pt").exists()
    train(str(recipe), str(tmp_path / "a.pt"), dataset=herd, images=str(tmp_path), device="cpu")
    (tmp_path / "whole").mkdir()
    train(recipe, tmp_path / "whole" / "a.pt", dataset=str(herd), device="cpu")
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "whole" / "a.pt").read_bytes()


def test_a_seed_takes_the_place_of_the_recipes(recipe: Path, herd: Path, tmp_path: Path) -> None:
    def trained(folder: str, seed: int | None = None) -> bytes:
        (tmp_path / folder).mkdir()
        train(recipe, tmp_path / folder / "a.pt", dataset=str(herd), seed=seed, device="cpu")
        return (tmp_path / folder / "a.pt").read_bytes()

    by_the_recipe, by_the_option = trained("recipe"), trained("option", seed=2)
    recipe.write_text(RECIPE.replace("epochs = 2", "epochs = 2\nseed = 2"))
    assert trained("written") == by_the_option != by_the_recipe


def test_what_cannot_be_is_refused_before_training(recipe: Path, herd: Path, tmp_path: Path) -> None:
    (tmp_path / "taken.pt").mkdir()
    sound: dict[str, Any] = {"out": tmp_path / "out.pt", "dataset": str(herd), "device": "cpu"}
    for changed, error, code in (
        ({"dataset": None}, RecipeError, "no-dataset"),
        ({"out": tmp_path / "out.onnx"}, RecipeError, "suffix"),
        ({"init": "luck"}, RecipeError, "value"),
        ({"seed": -1}, RecipeError, "value"),
        ({"seed": 2**42}, RecipeError, "value"),
        ({"dataset": "serengeti"}, DatasetError, ""),
        ({"device": "banana"}, SubmissionError, ""),
        ({"device": "cuda:99"}, SubmissionError, ""),
        ({"out": tmp_path / "taken.pt"}, OutputError, ""),
    ):
        with pytest.raises(error) as raised:
            train(recipe, **{**sound, **changed})
        assert raised.value.code.endswith(code), changed
    assert not list(tmp_path.glob("*.checkpoint"))
