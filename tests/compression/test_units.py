"""Unit pruning: which filters and rows become zero in each layer."""

import pytest
import torch
from made_up_subjects import detector, step, subject_of, train_a_step
from torch import nn

from wildbench.compression.scopes import is_output, prunable
from wildbench.detectors.zoo import _zoo
from wildbench.errors import RecipeError


def test_in_each_layer_the_units_of_least_l2_norm_go() -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, (1, 2), bias=False), nn.Linear(2, 2), nn.ConvTranspose2d(1, 2, (1, 2)))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[3.0, 3], [0, 5], [4, 0], [1, 4.5]]).view(4, 1, 1, 2))
        model[1].weight.copy_(torch.tensor([[10.0, 10], [9, 9]]))
        model[2].weight.copy_(torch.tensor([[1.0, 1], [2, 2]]).view(1, 2, 1, 2))
    subject = step(subject_of(model), "units", ratio=0.5, scope="all")
    first, second, third = (layer.weight.flatten().tolist() for layer in subject.model)
    assert first == [0, 0, 0, 5, 0, 0, 1, 4.5], "norms sqrt(18), 5, 4, sqrt(21.25)"
    assert second == [10, 10, 0, 0]
    assert third == [0, 0, 2, 2], "its units are in its second dimension"
    assert subject.history == ["4 of 8 units of all zeroed (L2 norm, layer by layer)"]
    train_a_step(subject)
    assert model[0].weight.flatten().tolist() == [0, 0, 1, 6, 0, 0, 2, 5.5], "a unit that stays may use its zero"


def test_every_layer_of_the_scope_gives_its_share_but_outputs() -> None:
    subject = step(detector(), "units", ratio=0.3, scope="both")
    for name, layer in prunable(subject.model, "both").items():
        zeroed = int((layer.weight.flatten(1).abs().sum(1) == 0).sum())
        assert zeroed == (0 if is_output(name) else round(0.3 * len(layer.weight)))


@pytest.mark.parametrize("name", _zoo.names())
def test_outputs_are_what_depends_on_categories_or_gives_boxes(name: str) -> None:
    with torch.device("meta"):
        model, other = _zoo.build(name, 2), _zoo.build(name, 3)
    wider = other.state_dict()
    grown = {key.rpartition(".")[0] for key, value in model.state_dict().items() if value.shape != wider[key].shape}
    outputs = {path for path in prunable(model, "all") if is_output(path)}
    assert grown <= outputs
    widths = {path: model.get_submodule(path).weight.shape[0] for path in outputs - grown}
    assert widths, "boxes, or objectness"
    for path, width in widths.items():
        parts = ("bbox", "regression", "rpn.head.cls_logits")
        assert any(part in path for part in parts), path
        assert width % 4 == 0 or "ctrness" in path or "rpn" in path


def test_a_ratio_of_one_is_refused() -> None:
    with pytest.raises(RecipeError, match="ratio: Input should be less than 1"):
        step(detector(), "units", ratio=1)
