"""Mosaics and pasted animals keep their boxes: checked on the pixels."""

import numpy as np

from wildbench.detectors._training_images import Scene, mosaic, paste


def scene_of(
    colour: tuple[int, int, int], box: tuple[int, int, int, int], label: int, size: tuple[int, int] = (60, 80)
) -> Scene:
    image = np.zeros((*size, 3), np.uint8)
    mask = np.zeros((1, *size), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = colour
    mask[0, y1:y2, x1:x2] = 1
    return Scene(image, np.array([box], np.float32), np.array([label], np.int64), mask)


def extent(where: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(where)
    return np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)


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
