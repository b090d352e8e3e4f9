"""A recipe says everything, and a mistake in it is one line that names the key."""

import json
import re
from pathlib import Path

import pytest
import torch

from wildbench.detectors._recipe import Recipe, Submission, load_recipe
from wildbench.detectors.zoo import _zoo
from wildbench.errors import RecipeError

RECIPES = [Path(__file__).parents[2] / "baselines" / f"{name}.toml" for name in ("reference", "wildlife_real")]

MINIMAL = """
[detector]
name = "ssd300_vgg16"
[schedule]
epochs = 2
[augmentation]
height = 300
width = 300
"""


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_committed_recipes_can_be_run(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.detector.name in _zoo.names()
    _zoo.build(recipe.detector.name, 13, **recipe.detector.arguments)


def test_the_reference_fits_ten_megabytes() -> None:
    (recipe,) = (load_recipe(path) for path in RECIPES if path.stem == "reference")
    with torch.device("meta"):
        detector = _zoo.build(recipe.detector.name, 13, **recipe.detector.arguments)
    assert sum(tensor.numel() * tensor.element_size() for tensor in detector.state_dict().values()) < 9_900_000


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (MINIMAL.replace("epochs = 2", ""), "schedule.epochs"),
        (MINIMAL.replace("epochs = 2", "epochs = -2"), "schedule.epochs"),
        (MINIMAL.replace("epochs = 2", "epochs = nan"), "schedule.epochs"),
        (MINIMAL.replace("width = 300", "widht = 300"), "augmentation.width"),
        (MINIMAL + "widht = 300", "augmentation.widht"),
        (MINIMAL + "scale = [0.5]", "augmentation.scale"),
        (MINIMAL + "scale = [2, -1]", "augmentation.scale"),
        (MINIMAL + "scale = [0, 1]", "augmentation.scale"),
        (MINIMAL + "scale = [1.5, 0.5]", "augmentation.scale"),
        (MINIMAL + "[submission]\nauthor = ['Ada']", "submission.author"),
        (MINIMAL + "[optimizer]\nname = 'adam'", "optimizer.name"),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as error:
        load_recipe(path)
    assert error.value.code == "recipe/value"
    assert f"{path}: {key}" in error.value.what


def test_a_file_that_is_no_recipe_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text(MINIMAL + "[optimizer")
    (tmp_path / "compression.toml").write_text("[[steps]]\nmethod = 'fp16'")
    codes = {}
    for name in ("nowhere", "broken", "compression"):
        with pytest.raises(RecipeError) as error:
            load_recipe(tmp_path / f"{name}.toml")
        codes[name] = error.value.code
    assert codes == {
        "nowhere": "recipe/unreadable",
        "broken": "recipe/not-toml",
        "compression": "recipe/compression-recipe",
    }


def test_no_data_set_is_named_by_default(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(MINIMAL)
    assert load_recipe(path).data.dataset is None
    assert load_recipe(path).submission == Submission(authors=[], licence=None)
    committed = {path.stem: load_recipe(path) for path in RECIPES}
    assert committed["wildlife_real"].data.dataset is None
    assert committed["reference"].data.dataset == "parksim"
    assert committed["reference"].submission.licence == "Apache-2.0"


def test_the_guide_lists_every_key_with_its_default() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "training.md").read_text()
    described = {
        (table, key): default
        for table, rows in re.findall(r"^### `\[(\w+)\]`\n(.*?)(?=^##|\Z)", guide, re.M | re.S)
        for key, default in re.findall(r"^\| `(\w+)` \| (.*?) \|", rows, re.M)
    }
    written = {}
    for table, section in Recipe.model_fields.items():
        for key, field in section.annotation.model_fields.items():  # type: ignore[union-attr]
            value = field.get_default(call_default_factory=True)
            missing = "required" if field.is_required() else "none"
            empty = field.is_required() or value is None or value in ([], {})
            written[table, key] = missing if empty else f"`{json.dumps(value)}`"
    assert described == written
