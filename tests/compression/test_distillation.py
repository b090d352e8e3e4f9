"""Distillation: losses by their closed forms, nothing to learn from oneself, and every kind of detector."""

import copy
from typing import Any

import pytest
import torch
from made_up_subjects import detector
from scipy.stats import pearsonr
from torch import nn

from wildbench.compression.recovery._distil import (
    METHODS,
    Imitation,
    pearson_loss,
    roi_loss,
    sigmoid_loss,
    softmax_loss,
)
from wildbench.compression.recovery._recalibrate import norms_of
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset

torch.manual_seed(0)


def test_pearsons_correlation() -> None:
    own, its = torch.randn(2, 5, 7, 3), torch.randn(2, 5, 7, 3)
    expected = [1 - pearsonr(own[:, c].flatten(), its[:, c].flatten()).statistic for c in range(5)]
    assert float(pearson_loss(own, its)) == pytest.approx(sum(expected) / 5, abs=1e-4)
    assert float(pearson_loss(3 * its + 2, its)) == pytest.approx(0, abs=1e-4)


def test_a_constant_channel_gives_no_gradient_that_is_none() -> None:
    own = torch.ones(2, 3, 4, 4, requires_grad=True)
    pearson_loss(own, torch.randn(2, 3, 4, 4)).backward()
    assert own.grad is not None
    assert own.grad.isfinite().all()


def test_divergence_of_sigmoids() -> None:
    own = {
        "cls_logits": torch.randn(1, 4, 3),
        "bbox_regression": torch.randn(1, 4, 4),
        "bbox_ctrness": torch.randn(1, 4, 1),
    }
    its = {name: torch.randn(tensor.shape) for name, tensor in own.items()}
    q, p = own["cls_logits"].sigmoid(), its["cls_logits"].sigmoid()
    divergence = (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).sum()
    weight = p.max(-1).values
    boxes = (weight * (own["bbox_regression"] - its["bbox_regression"]).abs().mean(-1)).sum()
    c, d = own["bbox_ctrness"][..., 0].sigmoid(), its["bbox_ctrness"][..., 0].sigmoid()
    centres = (weight * (d * (d / c).log() + (1 - d) * ((1 - d) / (1 - c)).log())).sum()
    assert float(sigmoid_loss(own, its)) == pytest.approx(
        float((divergence + boxes + centres) / weight.sum()), rel=1e-4
    )


@pytest.mark.parametrize("loss", [softmax_loss, roi_loss])
def test_divergence_of_softmaxes(loss: Any) -> None:
    wide = loss is roi_loss
    own = {"cls_logits": torch.randn(6, 4), "bbox_regression": torch.randn(6, 16 if wide else 4)}
    its = {name: torch.randn(tensor.shape) for name, tensor in own.items()}
    p, q = its["cls_logits"].softmax(-1), own["cls_logits"].softmax(-1)
    total, weights = float((p * (p / q).log()).sum()), 0.0
    for row in range(6):
        for category in range(1, 4):
            at = slice(4 * category, 4 * category + 4) if wide else slice(0, 4)
            distance = (own["bbox_regression"][row, at] - its["bbox_regression"][row, at]).abs().mean()
            total += float(p[row, category] * distance)
            weights += float(p[row, category])
    assert float(loss(own, its)) == pytest.approx(total / weights, rel=1e-4)


SIZES = {"min_size": 96, "max_size": 128}


@pytest.mark.parametrize(
    ("name", "arguments", "least"),
    [
        ("fcos_efficientnet_lite0_fpn", {}, 0.01),
        ("ssdlite320_mobilenet_v3_large", {}, 0.0),  # with random weights its features vanish
        ("fasterrcnn_mobilenet_v3_large_320_fpn", SIZES, 0.01),
    ],
)
def test_nothing_to_learn_from_oneself_and_something_from_another(
    name: str, arguments: dict[str, Any], least: float
) -> None:
    student: Any = detector(name, **arguments).model
    images = [torch.rand(3, 96, 128), torch.rand(3, 96, 128)]
    boxes = {"boxes": torch.tensor([[10.0, 10, 60, 60]]), "labels": torch.tensor([1])}
    imitation = Imitation(student, teacher=copy.deepcopy(student), features=1.0, outputs=1.0)
    other = Imitation(student, teacher=detector(name, seed=9, **arguments).model, features=1.0, outputs=1.0)
    student.train()
    for norm in norms_of(student).values():
        norm.eval()
    student(images, [boxes, boxes])
    assert float(imitation().detach()) == pytest.approx(0, abs=1e-6)
    assert not list(imitation.parameters())
    loss = other()
    loss.backward()
    assert float(loss.detach()) > least
    gradients = [p.grad for p in student.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


def distilled(subject: Subject, teacher: nn.Module, data: Dataset, **settings: Any) -> Subject:
    kind = METHODS["distil"]
    kind.apply(subject, kind.settings(epochs=1, batch_size=3, warmup_steps=0, **settings), Workshop(teacher, data))
    return subject


def test_a_narrower_student_has_an_adapter_that_is_thrown_away(pictures: Dataset) -> None:
    sizes = {"blocks": 12, "depth": 1, "min_size": 96, "max_size": 128}
    subject, teacher = detector(channels=8, **sizes), detector(channels=16, **sizes).model
    names = list(subject.model.state_dict())
    imitation = Imitation(subject.model, teacher=teacher, features=1.0, outputs=1.0)
    assert [tuple(p.shape) for p in imitation.parameters()] == [(16, 8, 1, 1), (16,)] * 4
    before = copy.deepcopy(teacher.state_dict())
    distilled(subject, teacher, pictures)
    assert list(subject.model.state_dict()) == names
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    assert subject.history == ["distilled for 1 epochs (features 1, outputs 1)"]


def test_seeded_and_other_than_fine_tuning(pictures: Dataset) -> None:
    teacher = detector(seed=4).model
    first, second, alone = (
        distilled(detector(), teacher, pictures, outputs=weight, features=weight).model.state_dict()
        for weight in (1, 1, 0)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(*(state["head.classification_head.cls_logits.bias"] for state in (first, alone)))


def test_weights_of_the_losses() -> None:
    student: Any = detector().model
    teacher = detector(seed=5).model
    losses = []
    for features, outputs in ((1.0, 0.0), (0.0, 1.0), (2.0, 3.0)):
        imitation = Imitation(student, teacher=teacher, features=features, outputs=outputs)
        torch.manual_seed(0)
        student([torch.rand(3, 96, 128)])
        losses.append(float(imitation()))
    assert losses[2] == pytest.approx(2 * losses[0] + 3 * losses[1])


def test_an_adapter_is_drawn_from_the_seed_and_nobody_else_s_numbers_are(pictures: Dataset) -> None:
    sizes = {"blocks": 12, "depth": 1, "min_size": 96, "max_size": 128}
    teacher, states = detector(channels=16, **sizes).model, []
    for elsewhere in (1, 2):
        subject = detector(channels=8, **sizes)
        torch.manual_seed(elsewhere)
        before = torch.get_rng_state()
        states.append(distilled(subject, teacher, pictures).model.state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
