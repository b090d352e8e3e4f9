"""Which orders of steps are refused before the first of them, and which are not."""

import pytest
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.recipes._catalogue import check_norms
from wildbench.compression.recipes._recipes import Recipe, parse_recipe
from wildbench.detectors.zoo import _zoo
from wildbench.errors import RecipeError


def chain(*steps: str) -> Recipe:
    """Steps by name; "filters:head" is of that scope."""
    plain = [step.partition(":") for step in steps]
    named = [{"method": name} | ({"scope": scope} if scope else {}) for name, _, scope in plain]
    return parse_recipe({"summary": "an order", "steps": named}, "r.toml")


@pytest.fixture(scope="module")
def trained() -> nn.Module:
    """Its backbone has norms that are trained; its head has none."""
    return _zoo.build(_zoo.SMALL, 2)


@pytest.fixture(scope="module")
def frozen() -> nn.Module:
    model = _zoo.build("fcos_resnet50_fpn", 2)
    assert any(isinstance(module, FrozenBatchNorm2d) for module in model.modules())
    return model


@pytest.mark.parametrize(
    ("steps", "changed"),
    [
        (("filters", "fine-tune", "recalibrate"), "fine-tune"),
        (("distil", "filters", "recalibrate"), "distil"),
        (("filters", "from-scratch", "recalibrate"), "from-scratch"),
        (("filters", "recalibrate", "recalibrate"), "recalibrate"),
        (("filters:all", "weights", "fine-tune", "recalibrate"), "fine-tune"),
    ],
)
def test_narrowed_norms_that_changed_are_not_recalibrated(
    trained: nn.Module, steps: tuple[str, ...], changed: str
) -> None:
    recipe = chain(*steps)
    with pytest.raises(RecipeError) as caught:
        check_norms(recipe.steps, recipe.place, trained)
    assert str(caught.value) == (
        f"r.toml: step {len(steps)} (recalibrate): after filters and {changed} it could not tell which channels of the "
        "dense detector's norms are left; recalibrate once, right after filters, and take filters out first"
    )


@pytest.mark.parametrize(
    "steps",
    [
        ("filters", "recalibrate", "fine-tune"),
        ("filters", "recalibrate", "filters"),
        ("filters", "weights", "recalibrate"),
        ("weights", "fine-tune", "recalibrate"),
        ("fine-tune", "recalibrate", "filters"),
        ("filters:head", "fine-tune", "recalibrate"),
    ],
)
def test_other_orders_may_be(trained: nn.Module, steps: tuple[str, ...]) -> None:
    recipe = chain(*steps)
    check_norms(recipe.steps, recipe.place, trained)


def test_training_leaves_frozen_norms_alone(frozen: nn.Module) -> None:
    recipe = chain("filters", "fine-tune", "recalibrate")
    check_norms(recipe.steps, recipe.place, frozen)
    for method in ("from-scratch", "recalibrate"):
        again = chain("filters", method, "recalibrate")
        with pytest.raises(RecipeError, match=f"after filters and {method} it could not"):
            check_norms(again.steps, again.place, frozen)
