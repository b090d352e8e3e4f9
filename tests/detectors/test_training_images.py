"""The stream of training samples; boxes and masks stay on what they are of, checked on the pixels."""

import numpy as np
import pytest
import torch

from wildbench.datasets.coco import Dataset
from wildbench.detectors._recipe import Augmentation, Recipe, Schedule, parse_recipe
from wildbench.detectors._training_images import Augmenter, Samples, Scene, balanced_shares, mosaic, paste
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


COLOURLESS = {"colour": 0.0, "gray": 0.0, "blur": 0.0, "noise": 0.0, "dropout": 0.0}
BOXES = np.array([[20, 30, 60, 70], [70, 10, 90, 50]], np.float32)
COLOURS = ((250, 0, 0), (0, 250, 0))


def scene_with_rectangles() -> Scene:
    image = np.full((80, 120, 3), 90, np.uint8)
    masks = np.zeros((2, 80, 120), np.uint8)
    for mask, (x1, y1, x2, y2), colour in zip(masks, BOXES.astype(int), COLOURS, strict=True):
        image[y1:y2, x1:x2] = colour
        mask[y1:y2, x1:x2] = 1
    return Scene(image, BOXES, np.array([4, 9], np.int64), masks)


def extent(where: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(where)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


def coloured(image: np.ndarray, label: int) -> np.ndarray:
    channel = {4: 0, 9: 1}[label]
    others = np.delete(image.astype(int), channel, axis=2).max(2)
    return image[..., channel].astype(int) - others > 80


def test_boxes_and_masks_follow_the_pixels() -> None:
    augment = Augmenter(Augmentation(height=96, width=128, scale=(0.5, 2.0), shift=0.3, **COLOURLESS))
    vanished, mirrored = 0, 0
    for seed in range(60):
        result = augment(scene_with_rectangles(), seed)
        assert result.image.shape == (96, 128, 3)
        assert result.masks is not None
        assert len(result.boxes) == len(result.labels) == len(result.masks)
        vanished += 2 - len(result.boxes)
        for box, label, mask in zip(result.boxes, result.labels, result.masks, strict=True):
            np.testing.assert_allclose(box, extent(coloured(result.image, int(label))), atol=2.1)
            np.testing.assert_allclose(box, extent(mask), atol=2.1)
        if len(result.boxes) == 2:
            mirrored += bool(result.boxes[0][0] > result.boxes[1][0])
    assert vanished > 0
    assert 10 < mirrored < 40


def test_same_seed_same_scene() -> None:
    augment = Augmenter(Augmentation(height=64, width=64))
    first, again, other = (augment(scene_with_rectangles(), seed) for seed in (3, 3, 4))
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.boxes, again.boxes)
    assert not np.array_equal(first.image, other.image)


def test_chances_are_independent() -> None:
    """One stream of random numbers for all transforms would make grey scenes a subset of the mirrored ones."""
    augment = Augmenter(Augmentation(height=80, width=120, scale=(1, 1), shift=0, **{**COLOURLESS, "gray": 0.5}))
    seen = set()
    for seed in range(40):
        result = augment(scene_with_rectangles(), seed)
        seen.add((bool(np.ptp(result.image, axis=2).max() == 0), bool(result.boxes[0][0] > result.boxes[1][0])))
    assert seen == {(False, False), (False, True), (True, False), (True, True)}


@pytest.mark.parametrize("masks", [None, np.zeros((0, 50, 70), np.uint8)])
def test_empty_image(masks: np.ndarray | None) -> None:
    empty = Scene(np.full((50, 70, 3), 9, np.uint8), np.zeros((0, 4), np.float32), np.zeros(0, np.int64), masks)
    result = Augmenter(Augmentation(height=64, width=64, dropout=1.0))(empty, 1)
    assert result.image.shape == (64, 64, 3)
    assert result.boxes.shape == (0, 4)
    assert result.labels.shape == (0,)
    assert (result.masks is None) == (masks is None)
    if result.masks is not None:
        assert result.masks.shape == (0, 64, 64)


def scene_of(
    colour: tuple[int, int, int], box: tuple[int, int, int, int], label: int, size: tuple[int, int] = (60, 80)
) -> Scene:
    image = np.zeros((*size, 3), np.uint8)
    mask = np.zeros((1, *size), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = colour
    mask[0, y1:y2, x1:x2] = 1
    return Scene(image, np.array([box], np.float32), np.array([label], np.int64), mask)


def test_mosaic_keeps_four_boxes() -> None:
    colours = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
    boxes = ((10, 10, 40, 50), (0, 0, 80, 60), (30, 5, 75, 20), (50, 20, 79, 59))
    scenes = [scene_of(c, b, label) for label, (c, b) in enumerate(zip(colours, boxes, strict=True), start=1)]
    for seed in range(5):
        whole = mosaic(scenes, 96, 128, np.random.default_rng(seed))
        assert whole.image.shape == (96, 128, 3)
        assert whole.labels.tolist() == [1, 2, 3, 4]
        assert whole.masks is not None
        for box, mask, colour in zip(whole.boxes, whole.masks, colours, strict=True):
            seen = np.abs(whole.image.astype(int) - colour).max(2) < 100
            np.testing.assert_allclose(box, extent(seen), atol=1.1)
            np.testing.assert_allclose(box, extent(mask), atol=1.1)


def test_paste_boxes_what_is_seen() -> None:
    scene = scene_of((255, 0, 0), (30, 20, 60, 50), 1)
    donor = scene_of((0, 255, 0), (10, 20, 35, 50), 2)
    hidden, shrunk = 0, 0
    for seed in range(60):
        result = paste(scene, donor, np.random.default_rng(seed))
        assert result.masks is not None
        red = (result.image[..., 0] > 128) & (result.image[..., 1] < 128)
        green = result.image[..., 1] > 128
        for box, label, mask in zip(result.boxes, result.labels, result.masks, strict=True):
            np.testing.assert_allclose(box, extent(red if label == 1 else green), atol=1.1)
            np.testing.assert_array_equal(box, extent(mask))
        hidden += 1 not in result.labels
        shrunk += any(
            box[2] - box[0] < 29 for box, label in zip(result.boxes, result.labels, strict=True) if label == 1
        )
    assert hidden > 0
    assert shrunk > 0
    assert np.array_equal(scene.image, scene_of((255, 0, 0), (30, 20, 60, 50), 1).image)


def test_paste_keeps_night_and_day_apart() -> None:
    day = scene_of((255, 0, 0), (30, 20, 60, 50), 1)
    night = scene_of((120, 120, 120), (10, 20, 35, 50), 2)
    assert paste(day, night, np.random.default_rng(0)) is day
    dark = paste(night, day, np.random.default_rng(1))
    assert len(dark.labels) == 2
    assert np.ptp(dark.image, axis=2).max() == 0


def test_paste_from_an_empty_image_changes_nothing() -> None:
    scene = scene_of((255, 0, 0), (30, 20, 60, 50), 1)
    empty = Scene(
        np.zeros((60, 80, 3), np.uint8),
        np.zeros((0, 4), np.float32),
        np.zeros(0, np.int64),
        np.zeros((0, 60, 80), np.uint8),
    )
    result = paste(scene, empty, np.random.default_rng(0))
    assert np.array_equal(result.image, scene.image)
    assert np.array_equal(result.boxes, scene.boxes)
    assert paste(empty, empty, np.random.default_rng(0)).boxes.shape == (0, 4)
