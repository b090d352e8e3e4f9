"""Fine-tuning: it learns, what was imposed holds to the bit, and everything follows from the seed."""

from pathlib import Path
from typing import Any

import pytest
import torch
from made_up_subjects import detector, step
from torch import nn

from wildbench.compression.recovery._finetune import augmentation_for, frame
from wildbench.compression.recovery._recalibrate import norms_of
from wildbench.compression.scopes import prunable
from wildbench.compression.subject import Subject
from wildbench.datasets.coco import Dataset
from wildbench.detectors._recipe import load_recipe
from wildbench.detectors.zoo import _zoo
from wildbench.errors import RecipeError
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
    found = augmentation_for(detector().model, pictures, None)
    assert found == reference.model_copy(update={"height": 96, "width": 128})
    del pictures.annotations[0]["segmentation"]
    assert augmentation_for(detector().model, pictures, None).paste == 0
    wild = bundled("baselines/wildlife_real.toml")
    assert augmentation_for(detector().model, pictures, str(wild)) == load_recipe(wild).augmentation


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
    with pytest.raises(RecipeError, match="the loss became"):
        tuned(detector(), pictures, learning_rate=1e30)
    pictures.coco["categories"][0]["name"] = "horse"
    with pytest.raises(RecipeError, match="pictures has other categories than the detector"):
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
    with pytest.raises(RecipeError, match="ssd300_vgg16 would learn animals that nobody boxed"):
        tuned(ssd, pictures)
