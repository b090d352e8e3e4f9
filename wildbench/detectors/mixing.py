"""Augmentation that makes one scene out of several: mosaic, and animals pasted from one scene into another."""

from __future__ import annotations

import cv2
import numpy as np

from wildbench.datasets.images import Pixels
from wildbench.detectors.augmentation import GREY, MINIMUM_SIDE, MINIMUM_VISIBLE, Scene


def mosaic(scenes: list[Scene], height: int, width: int, random: np.random.Generator) -> Scene:
    """Put four scenes into the quarters of one frame, each shrunk to fit whole (Bochkovskiy et al., 2020, YOLOv4).

    Args:
        scenes: Four scenes of any size, all with masks or all without.
        height: Of the frame, in pixels.
        width: Of the frame, in pixels.
        random: Decides where the quarters meet.
    """
    frame = np.full((height, width, 3), GREY, np.uint8)
    x, y = int(width * random.uniform(0.35, 0.65)), int(height * random.uniform(0.35, 0.65))
    quarters = ((0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height))
    boxes, masks = [], []
    for scene, (left, top, right, bottom) in zip(scenes, quarters, strict=True):
        rows, columns = scene.image.shape[:2]
        factor = min((right - left) / columns, (bottom - top) / rows)
        size = (max(1, int(columns * factor)), max(1, int(rows * factor)))
        place = np.s_[top : top + size[1], left : left + size[0]]
        frame[place] = cv2.resize(scene.image, size, interpolation=cv2.INTER_AREA)
        boxes.append(scene.boxes * np.array([size[0] / columns, size[1] / rows] * 2) + np.array([left, top, left, top]))
        for mask in scene.masks if scene.masks is not None else ():
            whole = np.zeros((height, width), np.uint8)
            whole[place] = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST)
            masks.append(whole)
    return Scene(
        frame,
        np.concatenate(boxes).astype(np.float32),
        np.concatenate([scene.labels for scene in scenes]),
        None if scenes[0].masks is None else np.array(masks, np.uint8).reshape(-1, height, width),
    )


def paste(scene: Scene, donor: Scene, random: np.random.Generator, most: int = 3) -> Scene:
    """Cut up to `most` animals out of the donor by their masks and put them into the scene (Ghiasi et al., 2021).

    An animal keeps the height in the frame at which it stood, roughly, and with it its size. Boxes of what it hides
    shrink to what is still seen, or vanish. In an infrared scene it turns grey; infrared animals stay out of colour.

    Args:
        scene: With masks.
        donor: With masks.
        random: Decides who, where and how large.
        most: Largest number of animals.
    """
    assert scene.masks is not None
    assert donor.masks is not None
    night = _is_grey(scene.image)
    if _is_grey(donor.image) and not night:
        return scene
    image, masks, labels = scene.image.copy(), list(scene.masks), list(scene.labels)
    whole = [int(mask.sum()) for mask in masks]
    chosen = random.permutation(len(donor.boxes))[: int(random.integers(1, most + 1))]
    for animal in chosen:
        if not donor.masks[animal].any():
            continue  # an outline thinner than a pixel
        pixels, mask = _cut_out(donor, int(animal), random)
        if night:
            pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)
        in_frame = _put_in_front(image, pixels, mask, donor.boxes[animal][3] / donor.image.shape[0], random)
        masks = [other & (1 - in_frame) for other in masks] + [in_frame]
        labels.append(donor.labels[animal])
        whole.append(int(mask.sum()))
    kept = [i for i, mask in enumerate(masks) if mask.sum() >= max(MINIMUM_SIDE**2, MINIMUM_VISIBLE * whole[i])]
    left = np.array([masks[i] for i in kept], np.uint8).reshape(-1, *image.shape[:2])
    boxes = np.array([_box_of(mask) for mask in left], np.float32).reshape(-1, 4)
    return Scene(image, boxes, np.array([labels[i] for i in kept], np.int64), left)


def _is_grey(image: Pixels) -> bool:
    """Whether an image has no colour, but for what JPEG makes of grey."""
    return bool(np.ptp(image[::4, ::4], axis=2).mean() < 2)


def _cut_out(donor: Scene, animal: int, random: np.random.Generator) -> tuple[Pixels, Pixels]:
    """The animal's rectangle and mask, perhaps mirrored, a little larger or smaller."""
    assert donor.masks is not None
    x1, y1, x2, y2 = _box_of(donor.masks[animal])
    pixels, mask = donor.image[y1:y2, x1:x2], donor.masks[animal][y1:y2, x1:x2]
    if random.random() < 0.5:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    factor = random.uniform(0.75, 1.35)
    size = (max(2, round((x2 - x1) * factor)), max(2, round((y2 - y1) * factor)))
    resized = cv2.resize(np.ascontiguousarray(pixels), size, interpolation=cv2.INTER_LINEAR)
    return resized.astype(np.uint8), cv2.resize(
        np.ascontiguousarray(mask), size, interpolation=cv2.INTER_NEAREST
    ).astype(np.uint8)


def _put_in_front(image: Pixels, pixels: Pixels, mask: Pixels, feet: float, random: np.random.Generator) -> Pixels:
    """Blend the animal into `image`, in place, and return its mask in the frame."""
    height, width = image.shape[:2]
    rows, columns = mask.shape
    x = int(random.uniform(-0.3 * columns, width - 0.7 * columns))
    y = int(height * feet + random.uniform(-0.06, 0.06) * height) - rows
    inside = np.s_[max(0, y) : min(height, y + rows), max(0, x) : min(width, x + columns)]
    own = np.s_[
        max(0, -y) : max(0, -y) + inside[0].stop - inside[0].start,
        max(0, -x) : max(0, -x) + inside[1].stop - inside[1].start,
    ]
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[own][..., None]
    image[inside] = (pixels[own] * soft + image[inside] * (1 - soft)).astype(np.uint8)
    in_frame = np.zeros((height, width), np.uint8)
    in_frame[inside] = mask[own]
    return in_frame


def _box_of(mask: Pixels) -> tuple[int, int, int, int]:
    """Corners x1, y1, x2, y2 around a mask that is not empty."""
    x, y, columns, rows = cv2.boundingRect(mask)
    return x, y, x + columns, y + rows
