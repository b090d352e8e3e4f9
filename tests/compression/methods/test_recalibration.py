"""Batch norms get the statistics of the dense detector back."""

import copy
from typing import Any

import pytest
import torch
from made_up_subjects import detector, subject_of
from refusals import refused
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.methods._recalibration import Recalibrate, recalibrate, renormalise, survivors
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo


def network(norm: type[nn.Module] = nn.BatchNorm2d) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 6, 3), norm(6), nn.ReLU(), nn.Conv2d(6, 4, 3), norm(4))
    with torch.no_grad():
        for layer in (model[1], model[4]):
            layer.weight.uniform_(0.5, 2)
            layer.bias.normal_()
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    return model.eval()


def batches(count: int = 3) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(2, 3, 12, 12, generator=generator) for _ in range(count)]


def moments(model: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        outputs = model(inputs).double()
    return outputs.mean((0, 2, 3)), outputs.var((0, 2, 3), correction=0)


def close(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(one.double(), other.double(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, FrozenBatchNorm2d])
def test_the_dense_one_stays_as_it_is(norm: type[nn.Module]) -> None:
    dense = network(norm)
    model = copy.deepcopy(dense)
    renormalise(model, dense, batches())
    assert all(close(tensor, dense.state_dict()[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("norm", [nn.BatchNorm2d, FrozenBatchNorm2d])
def test_channels_leave_their_norm_as_in_the_dense_one(norm: type[nn.Module]) -> None:
    dense = network(norm)
    model = copy.deepcopy(dense)
    with torch.no_grad():
        model[0].weight.mul_(0.3)
        model[0].bias.add_(1)
        model[3].weight[:, ::2] = 0
    whole = torch.cat(batches(1))
    renormalise(model, dense, [whole])
    for depth in (2, 5):
        for own, its in zip(moments(model[:depth], whole), moments(dense[:depth], whole), strict=True):
            assert close(own, its)


def test_norms_that_follow_their_inputs_get_the_statistics_of_the_inputs() -> None:
    """Where the dense norms have the statistics of their inputs, recalibration is the classical one."""
    whole = torch.cat(batches(1))
    dense = network()
    renormalise(dense, None, [whole])
    model = copy.deepcopy(dense)
    model[0].weight.data *= 3
    renormalise(model, dense, [whole])
    for depth in (1, 4):
        mean, variance = moments(model[:depth], whole)
        assert close(model[depth].running_mean, mean)
        assert torch.allclose(model[depth].running_var.double(), variance, rtol=1e-3)


def test_as_torch_does_without_a_dense_one() -> None:
    model = network()
    reference = copy.deepcopy(model)
    for layer in (reference[1], reference[4]):
        layer.momentum = 1.0
    reference.train()(batches(1)[0])
    renormalise(model, None, batches(1))
    for at, count in ((1, 2 * 100), (4, 2 * 64)):
        assert close(model[at].running_mean, reference[at].running_mean)
        assert close(model[at].running_var * count / (count - 1), reference[at].running_var)  # torch's is unbiased


def test_removed_channels_are_found_by_what_is_left() -> None:
    dense = network()
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
    ).eval()
    kept = [1, 2, 5]
    with torch.no_grad():
        model[0].weight.copy_(dense[0].weight[kept])
        model[0].bias.copy_(dense[0].bias[kept])
        model[3].weight.copy_(dense[3].weight[:, kept])
        model[3].bias.copy_(dense[3].bias)
        for name, buffer in dense[1].state_dict().items():
            model[1].state_dict()[name].copy_(buffer[kept] if buffer.ndim else buffer)
    model[4].load_state_dict(dense[4].state_dict())
    assert survivors(model[1], dense[1], "1").tolist() == kept
    whole = batches(1)[0]
    renormalise(model, dense, [whole])
    for own, its in zip(moments(model, whole), moments(dense, whole), strict=True):
        assert close(own, its)
    model[1].bias.data += 1
    with refused("recipe/norms-changed", "1: "):
        renormalise(model, dense, [whole])


def recalibrated(subject: Subject, teacher: nn.Module, data: Dataset, seed: int = 0) -> Subject:
    recalibrate(subject, Recalibrate(images=4, batch_size=3), Workshop(teacher, data, seed))
    return subject


def test_a_detector(pictures: Dataset) -> None:
    dense = detector()
    subject = recalibrated(detector(), dense.model, pictures)
    for name, tensor in subject.model.state_dict().items():
        assert torch.allclose(tensor, dense.model.state_dict()[name], rtol=1e-3, atol=1e-5), name
    pruned = [detector() for _ in range(3)]
    for each in pruned:
        each.model.backbone.body._conv_stem.weight.data += 0.1
    first, second, third = (
        recalibrated(each, dense.model, pictures, seed).model.state_dict()
        for each, seed in zip(pruned, (0, 0, 1), strict=True)
    )
    statistics = [name for name in first if "running_" in name]
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in statistics)
    assert all(
        torch.equal(first[name], dense.model.state_dict()[name])
        for name in first
        if name not in statistics and "_conv_stem" not in name
    )


def test_nothing_to_recalibrate(pictures: Dataset) -> None:
    with torch.device("meta"):
        subject = subject_of(_zoo.build("ssd300_vgg16", 2), "ssd300_vgg16")
    with refused("recipe/no-batch-norms", "ssd300_vgg16"):
        recalibrated(subject, subject.model, pictures)
