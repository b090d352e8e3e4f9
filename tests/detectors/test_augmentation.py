"""Boxes and masks stay on what they are of: checked on the pixels."""

import numpy as np
import pytest

from wildbench.detectors._recipe import Augmentation
from wildbench.detectors._training_images import Augmenter, Scene

CALM = {"colour": 0.0, "gray": 0.0, "blur": 0.0, "noise": 0.0, "dropout": 0.0}
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
    augment = Augmenter(Augmentation(height=96, width=128, scale=(0.5, 2.0), shift=0.3, **CALM))
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
    augment = Augmenter(Augmentation(height=80, width=120, scale=(1, 1), shift=0, **{**CALM, "gray": 0.5}))
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
