"""Kernel pruning: which k x k slices become zero."""

import pytest
import torch
from made_up_subjects import detector, step, subject_of, train_a_step
from torch import nn

from wildbench.compression.scopes import prunable
from wildbench.errors import RecipeError


def test_the_slices_of_least_l1_norm_go_wherever_they_are() -> None:
    model = nn.Sequential(
        nn.Conv2d(2, 2, (1, 2), bias=False), nn.Conv2d(2, 2, 1, bias=False), nn.Conv2d(2, 2, (2, 1), groups=2)
    )
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([1.0, -1, 3, 3, 2, 2, 5, 5]).view(2, 2, 1, 2))
        model[1].weight.fill_(0.01)
        model[2].weight.copy_(torch.tensor([0.0, 3.5, 9, 9]).view(2, 1, 2, 1))
    subject = step(subject_of(model), "kernels", ratio=0.5, scope="all")
    assert model[0].weight.flatten().tolist() == [0, 0, 3, 3, 0, 0, 5, 5], "norms 2, 6, 4, 10"
    assert model[2].weight.flatten().tolist() == [0, 0, 9, 9], "norms 3.5, 18"
    assert (model[1].weight == 0.01).all(), "kernels of one weight are left to `weights`"
    assert subject.history == ["3 of 6 kernels of all zeroed (global L1)"]
    train_a_step(subject)
    assert model[2].weight.flatten().tolist() == [0, 0, 10, 10]


def test_the_ratio_is_met_to_one_kernel() -> None:
    subject = step(detector(), "kernels", ratio=0.3)
    layers = [layer for layer in prunable(subject.model, "backbone").values() if layer.weight[0, 0].numel() > 1]
    zeroed = sum(int((layer.weight.abs().sum((2, 3)) == 0).sum()) for layer in layers)
    assert zeroed == round(0.3 * sum(len(layer.weight) * layer.weight.shape[1] for layer in layers))


def test_a_scope_without_kernels_is_refused() -> None:
    with pytest.raises(RecipeError, match="scope 'all' has no kernel beyond 1 x 1; prune its weights"):
        step(subject_of(nn.Linear(2, 2)), "kernels", scope="all")
    with pytest.raises(RecipeError, match="ratio: Input should be less than 1"):
        step(detector(), "kernels", ratio=1)
