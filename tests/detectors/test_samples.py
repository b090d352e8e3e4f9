"""The stream of training samples."""

import pytest
import torch

from wildbench.datasets.coco import Dataset
from wildbench.detectors._recipe import Recipe, Schedule, parse_recipe
from wildbench.detectors._training_images import Samples, balanced_shares
from wildbench.errors import RecipeError


def recipe(**augmentation: float) -> Recipe:
    return parse_recipe(
        {
            "detector": {"name": "fcos_efficientnet_lite0_fpn"},
            "schedule": {"epochs": 1, "seed": 5},
            "augmentation": {"height": 64, "width": 64, **augmentation},
        }
    )


CALM = {"scale": (1, 1), "shift": 0, "flip": 0, "colour": 0, "gray": 0, "blur": 0, "noise": 0, "dropout": 0}


def test_an_epoch_is_every_image_once_in_a_new_order(rectangles: Dataset) -> None:
    samples = Samples(recipe(**CALM), rectangles, masks=False, plain_from=0)
    epochs = [[samples[position][0].sum().item() for position in range(start, start + 8)] for start in (0, 8)]
    assert sorted(epochs[0]) == sorted(epochs[1])
    assert len(set(epochs[0])) == 8
    assert epochs[0] != epochs[1]


def test_position_decides_everything(rectangles: Dataset) -> None:
    settings = recipe(mosaic=0.5, paste=0.5)
    first, second = (Samples(settings, rectangles, masks=True, plain_from=99) for _ in range(2))
    list(map(first.__getitem__, range(3)))
    (image, target), (again, target_again) = first[11], second[11]
    assert torch.equal(image, again)
    assert all(torch.equal(target[key], target_again[key]) for key in target)
    assert target["masks"].shape == (len(target["boxes"]), 64, 64)


def test_targets_are_torchvisions(rectangles: Dataset) -> None:
    samples = Samples(recipe(**CALM), rectangles, masks=False, plain_from=0)
    for position in range(8):
        image, target = samples[position]
        assert image.dtype == torch.float32
        assert image.max() <= 1
        assert target["boxes"].shape == (len(target["labels"]), 4)
        assert target["known"].tolist() == [False, True, True]
        for (x1, y1, x2, y2), label in zip(target["boxes"].int().tolist(), target["labels"].tolist(), strict=True):
            inside = image[:, y1:y2, x1:x2].mean((1, 2))
            assert int(inside.argmax()) == {1: 0, 2: 2}[label]  # category ids 10 and 20 became labels 1 and 2


def test_an_outline_thinner_than_a_pixel_is_not_cut_out(rectangles: Dataset) -> None:
    for annotation in rectangles.annotations:
        x, y, width, _ = annotation["bbox"]
        annotation["segmentation"] = [[x, y, x + width, y, x, y]]
    samples = Samples(recipe(paste=1.0), rectangles, masks=False, plain_from=99)
    assert [len(samples[position][1]["boxes"]) for position in range(8)] == [0] * 8


def test_balance_draws_rare_categories_as_often(rectangles: Dataset) -> None:
    for annotation in rectangles.annotations:
        annotation["category_id"] = 20 if annotation["image_id"] == 3 else 10
    even = balanced_shares(rectangles, 1.0)
    assert even.sum() == pytest.approx(1)
    assert even[2] == pytest.approx(even[[0, 1, 3, 4, 5, 6]].sum())  # one blue picture, six red ones
    assert even[7] == pytest.approx(even[0])  # the empty one counts as the median
    assert balanced_shares(rectangles, 0.5)[2] == pytest.approx(balanced_shares(rectangles, 0.5)[0] * 6**0.5)
    settings = recipe(**CALM).model_copy(update={"schedule": Schedule(epochs=1, balance=1.0)})
    samples = Samples(settings, rectangles, masks=False, plain_from=0)
    labels = [int(label) for position in range(400) for label in samples[position][1]["labels"]]
    assert labels.count(2) / len(labels) == pytest.approx(0.5, abs=0.1)


def test_mixing_ends(rectangles: Dataset) -> None:
    settings = recipe(**CALM, mosaic=1.0)
    samples = Samples(settings, rectangles, masks=False, plain_from=8)
    assert max(len(samples[position][1]["boxes"]) for position in range(8)) >= 3
    assert max(len(samples[position][1]["boxes"]) for position in range(8, 16)) == 1


def test_partial_labels(rectangles: Dataset) -> None:
    for image in rectangles.images:
        image["annotated_categories"] = ["red"] if image["id"] % 2 else ["blue"]
    for annotation in rectangles.annotations:
        annotation["category_id"] = 10 if annotation["image_id"] % 2 else 20
    samples = Samples(recipe(mosaic=1.0), rectangles, masks=False, plain_from=99)
    seen = set()
    for position in range(16):
        target = samples[position][1]
        known = target["known"].nonzero().flatten().tolist()
        assert len(known) == 1
        assert set(target["labels"].tolist()) <= set(known)  # only images boxed for the same categories were mixed
        seen |= set(known)
    assert seen == {1, 2}


@pytest.mark.parametrize("segmentation", [None, []])
def test_missing_masks_are_named(rectangles: Dataset, segmentation: object) -> None:
    if segmentation is None:
        del rectangles.annotations[3]["segmentation"]
    else:
        rectangles.annotations[3]["segmentation"] = segmentation  # as COCO writes "no mask"
    for settings, masks, cause in ((recipe(paste=0.1), False, "augmentation.paste"), (recipe(), True, "detector")):
        with pytest.raises(RecipeError) as error:
            Samples(settings, rectangles, masks=masks, plain_from=0)
        assert error.value.code == "recipe/no-masks"
        assert cause in error.value.what
    Samples(recipe(), rectangles, masks=False, plain_from=0)
