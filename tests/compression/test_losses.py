"""Losses on single training images, as steps ask them."""

import copy
import dataclasses

import numpy as np
import pytest
import torch
from made_up_subjects import SMALL, detector
from torch import nn

from wildbench.compression.pruning._importance import image_losses
from wildbench.compression.subject import Workshop
from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import decode
from wildbench.detectors.zoo import _zoo
from wildbench.detectors.zoo._published import known_categories
from wildbench.errors import RecipeError


def losses(model: nn.Module, pictures: Dataset, images: int = 100, seed: int = 0) -> list[float]:
    workshop = Workshop(nn.Identity(), pictures, seed)
    return [float(loss.detach()) for loss in image_losses(model, _zoo.SMALL, workshop, images)]


def test_they_are_those_of_the_detector_on_the_image_as_it_is(pictures: Dataset) -> None:
    model = detector(_zoo.SMALL, **SMALL).model
    before = copy.deepcopy(model.state_dict())
    found = losses(model, pictures)
    assert not model.training
    assert all(torch.equal(values, before[name]) for name, values in model.state_dict().items())
    expected = []
    for index in np.random.default_rng(0).permutation(6).tolist():
        image = pictures.images[index]
        pixels = torch.from_numpy(decode(pictures.image_path(image))).permute(2, 0, 1).float() / 255
        (box,) = pictures.boxes(image["id"])
        x, y, w, h = box["bbox"]
        target = {"boxes": torch.tensor([[x, y, x + w, y + h]]).float(), "labels": torch.tensor([box["category_id"]])}
        model.train()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        target["known"] = known_categories({1, 2}, 2)
        expected.append(float(sum(loss.detach() for loss in model([pixels], [target]).values())))
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_few_are_drawn_by_the_seed(pictures: Dataset) -> None:
    model = detector(_zoo.SMALL, **SMALL).model
    whole = losses(model, pictures)
    assert losses(model, pictures, images=2) == whole[:2]
    assert losses(model, pictures, images=2, seed=1) != whole[:2]


def test_a_detector_of_masks_needs_masks(pictures: Dataset) -> None:
    bare = [{key: value for key, value in box.items() if key != "segmentation"} for box in pictures.annotations]
    without = dataclasses.replace(pictures, coco={**pictures.coco, "annotations": bare})
    with pytest.raises(RecipeError, match="the detector learns masks, and pictures has annotations without"):
        next(iter(image_losses(nn.Identity(), "maskrcnn_resnet50_fpn", Workshop(nn.Identity(), without), 1)))
