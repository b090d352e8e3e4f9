"""A recipe says everything, and a mistake in it is one line that names the key."""

from pathlib import Path

import pytest
import torch

from wildbench.detectors import zoo
from wildbench.detectors.recipe import load_recipe
from wildbench.errors import RecipeError

RECIPES = sorted((Path(__file__).parents[2] / "baselines").glob("*.toml"))

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
    assert recipe.detector.name in zoo.names()
    zoo.build(recipe.detector.name, 13, **recipe.detector.arguments)


def test_the_reference_fits_ten_megabytes() -> None:
    (recipe,) = (load_recipe(path) for path in RECIPES if path.stem == "reference")
    with torch.device("meta"):
        detector = zoo.build(recipe.detector.name, 13, **recipe.detector.arguments)
    assert sum(tensor.numel() * tensor.element_size() for tensor in detector.state_dict().values()) < 9_900_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MINIMAL.replace("epochs = 2", ""), "schedule.epochs: Field required"),
        (MINIMAL.replace("epochs = 2", "epochs = -2"), "schedule.epochs: Input should be greater than 0"),
        (MINIMAL.replace("epochs = 2", "epochs = nan"), "schedule.epochs"),
        (MINIMAL.replace("width = 300", "widht = 300"), "augmentation.width: Field required"),
        (MINIMAL + "widht = 300", "augmentation.widht: Extra inputs are not permitted"),
        (MINIMAL + "scale = [0.5]", "augmentation.scale"),
        (MINIMAL + "[optimizer]\nname = 'adam'", "optimizer.name"),
        (MINIMAL + "[optimizer", "not TOML"),
    ],
)
def test_mistakes_name_the_key(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"nowhere\.toml: No such file"):
        load_recipe(tmp_path / "nowhere.toml")
