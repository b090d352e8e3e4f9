"""The control: the same shape, other weights, trained; what was pruned stays so."""

from typing import Any

import torch
from made_up_subjects import detector, step
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.recovery._recalibrate import norms_of, sample
from wildbench.compression.recovery._scratch import reinitialise
from wildbench.compression.subject import Workshop
from wildbench.datasets.coco import Dataset

ONE: dict[str, Any] = {"epochs": 0.5, "batch_size": 2, "warmup_steps": 0}


def test_weights_are_drawn_anew_by_the_seed_and_zeros_stay() -> None:
    states = []
    for seed in (0, 0, 1):
        subject = step(detector(), "weights", ratio=0.5, scope="head")
        zeros = {
            name: tensor == 0
            for name, tensor in subject.model.state_dict().items()
            if "head.regression_head.conv" in name
        }
        reinitialise(subject, seed)
        states.append(subject.model.state_dict())
        weights = [name for name in zeros if zeros[name].any() and zeros[name].ndim == 4]
        assert weights
        assert all(torch.equal(states[-1][name] == 0, zeros[name]) for name in weights)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    stem = "backbone.body._conv_stem.weight"
    assert not torch.equal(states[0][stem], states[2][stem])
    assert not torch.equal(states[0][stem], detector().model.state_dict()[stem])


def test_the_bias_that_focal_loss_starts_from() -> None:
    subject = detector()
    bias = subject.model.get_parameter("head.classification_head.cls_logits.bias")
    fresh = bias.detach().clone()
    bias.data += 3
    reinitialise(subject, 0)
    assert torch.equal(bias, fresh)


def test_removed_channels_stay_removed() -> None:
    subject = step(detector(), "filters", ratio=0.4, scope="backbone")
    shapes = {name: tensor.shape for name, tensor in subject.model.state_dict().items()}
    assert shapes != {name: tensor.shape for name, tensor in detector().model.state_dict().items()}
    reinitialise(subject, 0)
    assert {name: tensor.shape for name, tensor in subject.model.state_dict().items()} == shapes
    subject.model([torch.rand(3, 96, 128)])


def test_trained(pictures: Dataset) -> None:
    subject = step(detector(), "from-scratch", data=pictures, **ONE)
    assert subject.history == ["this shape trained from random weights for 0.5 epochs"]
    norm = norms_of(subject.model)["backbone.body._bn0"]
    assert not torch.equal(norm.running_mean, torch.zeros(32))  # norms follow what is trained


def test_frozen_norms_start_from_the_data(pictures: Dataset) -> None:
    name, sizes = "fasterrcnn_mobilenet_v3_large_320_fpn", {"min_size": 96, "max_size": 128}
    subject = step(detector(name, **sizes), "from-scratch", data=pictures, learning_rate=1e-6, **ONE)
    seen: list[torch.Tensor] = []
    norms = [norm for norm in norms_of(subject.model).values() if isinstance(norm, FrozenBatchNorm2d)]
    for norm in norms:
        norm.register_forward_hook(lambda module, inputs, answer: seen.append(answer))
    with torch.no_grad():
        subject.model(next(sample(Workshop(subject.model, pictures), 6, 6)))
    assert len(seen) == len(norms) > 30
    spreads = [float(answer.std()) for answer in seen]
    assert 0.5 < min(spreads) < max(spreads) < 3
