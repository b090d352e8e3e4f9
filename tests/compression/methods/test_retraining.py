"""Fine-tuning, distillation, and training from scratch."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_subjects import detector, step
from refusals import refused
from scipy.stats import pearsonr
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.methods._recalibration import norms_of, sample
from wildbench.compression.methods._retraining import (
    Distil,
    Imitation,
    augmentation_for,
    distil,
    frame,
    pearson_loss,
    reinitialise,
    sigmoid_loss,
    softmax_loss,
)
from wildbench.compression.subject import Subject, Workshop, prunable
from wildbench.datasets.coco import Dataset
from wildbench.detectors._recipe import load_recipe
from wildbench.detectors.zoo import _zoo
from wildbench.resources import bundled

ONE = {"epochs": 1, "batch_size": 3, "warmup_steps": 0}


def tuned(subject: Subject, data: Dataset, seed: int = 0, **settings: Any) -> Subject:
    return step(subject, "fine-tune", seed=seed, data=data, **{**ONE, **settings})


def test_pruned_stays_zero_and_shared_stays_equal(pictures: Dataset) -> None:
    subject = step(step(detector(), "weights", ratio=0.5, scope="head"), "share", bits=3, small=0)
    before = {name: layer.weight.detach().clone() for name, layer in prunable(subject.model, "all").items()}
    tuned(subject, pictures)
    moved = 0
    for name, layer in prunable(subject.model, "all").items():
        assert torch.equal(layer.weight == 0, before[name] == 0)
        for value in before[name].unique():
            assert len(layer.weight[before[name] == value].unique()) == 1
        moved += not torch.equal(layer.weight, before[name])
    assert moved > 20
    assert not subject.model.training
    assert not subject.model.transform._skip_resize


def test_everything_follows_from_the_seed(pictures: Dataset) -> None:
    first, second, third = (tuned(detector(), pictures, seed).model.state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], third[name]) for name in first)


def test_parts_that_a_registered_detector_lacks_are_named(pictures: Dataset) -> None:
    for method, part in (("fine-tune", "transform"), ("distil", "backbone"), ("distil", "head")):
        subject = detector()
        delattr(subject.model, part)
        with refused("recipe/no-such-part", part):
            step(subject, method, data=pictures)


def test_a_later_step_sees_other_images(pictures: Dataset) -> None:
    fresh, later = detector(), detector()
    later.history.append("something")
    head = "head.classification_head.cls_logits.bias"
    assert not torch.equal(*(tuned(each, pictures).model.get_parameter(head) for each in (fresh, later)))


def test_batch_norms_keep_their_statistics(pictures: Dataset) -> None:
    subject, dense = tuned(detector(), pictures), detector()
    for name, norm in norms_of(subject.model).items():
        assert torch.equal(norm.running_mean, norms_of(dense.model)[name].running_mean)
        assert not torch.equal(norm.bias, norms_of(dense.model)[name].bias)


def test_it_learns(pictures: Dataset) -> None:
    def loss(model: nn.Module) -> float:
        from wildbench.detectors._recipe import Augmentation, Network, Recipe, Schedule
        from wildbench.detectors._training_images import Samples

        calm = dict.fromkeys(("shift", "flip", "colour", "gray", "blur", "noise", "dropout"), 0.0)
        augmentation = Augmentation(height=96, width=128, scale=(1.0, 1.0), **calm)
        recipe = Recipe(detector=Network(name=_zoo.SMALL), schedule=Schedule(epochs=1), augmentation=augmentation)
        images, targets = zip(
            *(Samples(recipe, pictures, masks=False, plain_from=0)[at] for at in range(6)), strict=True
        )
        for norm in norms_of(model.train()).values():
            norm.eval()
        with torch.no_grad():
            total = float(sum(model(list(images), list(targets)).values()))
        model.eval()
        return total

    subject = detector()
    before = loss(subject.model)
    tuned(subject, pictures, epochs=10, learning_rate=2e-3)
    assert loss(subject.model) < 0.9 * before


def test_augmentation_is_the_references_at_the_size_that_the_detector_sees(pictures: Dataset) -> None:
    reference = load_recipe(bundled("baselines/reference.toml")).augmentation
    found = augmentation_for(detector(), pictures, None)
    assert found == reference.model_copy(update={"height": 96, "width": 128})
    del pictures.annotations[0]["segmentation"]
    assert augmentation_for(detector(), pictures, None).paste == 0
    wild = bundled("baselines/wildlife_real.toml")
    assert augmentation_for(detector(), pictures, str(wild)) == load_recipe(wild).augmentation


@pytest.mark.parametrize(
    ("name", "arguments", "size"),
    [
        ("ssd300_vgg16", {}, (300, 300)),
        ("ssdlite320_mobilenet_v3_large", {}, (320, 320)),
        ("retinanet_resnet50_fpn", {}, (800, 1056)),
        ("fcos_efficientnet_lite0_fpn", {"min_size": 384, "max_size": 480}, (352, 480)),
    ],
)
def test_the_size_of_the_median_image(
    pictures: Dataset, name: str, arguments: dict[str, Any], size: tuple[int, int]
) -> None:
    with torch.device("meta"):
        model: Any = _zoo.build(name, 2, **arguments)
    assert frame(model.transform, pictures) == size


def test_mistakes_are_one_line(pictures: Dataset, tmp_path: Path) -> None:
    with refused("recipe/diverged"):
        tuned(detector(), pictures, learning_rate=1e30)
    pictures.coco["categories"][0]["name"] = "horse"
    with refused("recipe/other-categories", "pictures"):
        tuned(detector(), pictures)


def test_partial_labels(pictures: Dataset) -> None:
    for image in pictures.images:
        image["annotated_categories"] = ["zebra"]
    subject, dense = tuned(detector(), pictures, weight_decay=0), detector()
    bias = "head.classification_head.cls_logits.bias"
    own, its = (each.model.get_parameter(bias) for each in (subject, dense))
    assert own[1] != its[1]
    assert own[2] == its[2]  # nobody boxed lions: nothing is learnt of them
    with torch.device("meta"):
        ssd = detector("ssd300_vgg16")
    with refused("recipe/partial-labels", "ssd300_vgg16"):
        tuned(ssd, pictures)


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


@pytest.mark.parametrize("wide", [False, True])
def test_divergence_of_softmaxes(wide: bool) -> None:
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
    assert float(softmax_loss(own, its)) == pytest.approx(total / weights, rel=1e-4)


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
    distil(subject, Distil(epochs=1, batch_size=3, warmup_steps=0, **settings), Workshop(teacher, data))
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
