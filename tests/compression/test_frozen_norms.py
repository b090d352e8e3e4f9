"""Frozen batch norms become ordinary ones and are frozen again."""

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.pruning._coupling import thawed


def network() -> nn.Sequential:
    """One norm as torchvision freezes it, one with epsilon, one that is not frozen."""
    torch.manual_seed(0)
    model = nn.Sequential(FrozenBatchNorm2d(4, eps=0.0), nn.Sequential(FrozenBatchNorm2d(4)), nn.BatchNorm2d(4)).eval()
    for module in (model[0], model[1][0], model[2]):
        for values in (module.weight, module.bias, module.running_mean, module.running_var):
            values.data.copy_(torch.rand(4) + 0.1)
    return model


def test_both_kinds_answer_alike_and_the_frozen_come_back_to_the_bit() -> None:
    model, image = network(), torch.rand(2, 4, 3, 3)
    names, before, state = list(model.state_dict()), model(image), {k: v.clone() for k, v in model.state_dict().items()}
    with thawed(model):
        assert [type(module) for module in model.modules()].count(nn.BatchNorm2d) == 3
        torch.testing.assert_close(model(image), before)
    assert torch.equal(model(image), before)
    assert list(model.state_dict()) == names
    assert all(torch.equal(values, state[name]) for name, values in model.state_dict().items())
    assert [type(module) for module in (model[0], model[1][0], model[2])] == [FrozenBatchNorm2d] * 2 + [nn.BatchNorm2d]
    assert (model[0].eps, model[1][0].eps) == (0.0, 1e-5)
    assert not any(parameter is model[0].weight for parameter in model.parameters())


def test_a_norm_that_was_narrowed_stays_narrow() -> None:
    model = network()
    with thawed(model):
        norm = model[0]
        norm.weight, norm.bias = nn.Parameter(norm.weight[1:]), nn.Parameter(norm.bias[1:])
        norm.running_mean, norm.running_var = norm.running_mean[1:], norm.running_var[1:]
    assert isinstance(model[0], FrozenBatchNorm2d)
    assert model[0](torch.rand(1, 3, 2, 2)).shape == (1, 3, 2, 2)


def test_they_freeze_again_where_the_block_fails() -> None:
    model = network()
    with pytest.raises(ZeroDivisionError), thawed(model):
        _ = 1 / 0
    assert isinstance(model[0], FrozenBatchNorm2d)
