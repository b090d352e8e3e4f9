"""Augmentation of one image with boxes, by albumentations: zoom, shift, flip, colour, infrared, blur, noise, holes."""

from __future__ import annotations

import os
from dataclasses import dataclass

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or its import asks the network for a newer release

import albumentations as A
import cv2
import numpy as np
import numpy.typing as npt

from wildbench.detectors.recipe import Augmentation

GREY = 114
"""What is outside the photograph."""

MINIMUM_SIDE = 3.0
"""Boxes with a shorter side, in pixels, are no longer an animal."""

MINIMUM_VISIBLE = 0.25
"""Boxes of which less than this part stays inside the frame vanish."""


@dataclass(frozen=True)
class Scene:
    """An image with its boxes.

    Attributes:
        image: uint8 [height, width, 3], RGB.
        boxes: float32 [n, 4], corners x1, y1, x2, y2 in pixels.
        labels: int64 [n], from 1.
        masks: uint8 [n, height, width], 0 or 1; None where nobody needs them.
    """

    image: npt.NDArray[np.uint8]
    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    masks: npt.NDArray[np.uint8] | None = None


class Augmenter:
    """Make a random scene of the recipe's size out of any scene; the same seed gives the same scene."""

    def __init__(self, chances: Augmentation) -> None:
        self._pipeline = A.Compose(
            _geometry(chances) + _appearance(chances),
            bbox_params=A.BboxParams(
                format="pascal_voc",
                label_fields=["index"],
                min_width=MINIMUM_SIDE,
                min_height=MINIMUM_SIDE,
                min_visibility=MINIMUM_VISIBLE,
                clip=True,
                filter_invalid_bboxes=True,
            ),
        )

    def __call__(self, scene: Scene, seed: int) -> Scene:
        """Augment one scene.

        Args:
            scene: Any size, with or without boxes.
            seed: Everything random follows from it.
        """
        # Compose.set_random_seed would give every transform the same stream: whatever is grey would also be mirrored.
        for position, transform in enumerate(self._pipeline.transforms):
            transform.set_random_seed(seed * len(self._pipeline.transforms) + position)
        masks = {} if scene.masks is None or not len(scene.masks) else {"masks": scene.masks}
        result = self._pipeline(image=scene.image, bboxes=scene.boxes, index=np.arange(len(scene.boxes)), **masks)
        kept = np.asarray(result["index"], np.int64).reshape(-1)
        boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        return Scene(result["image"], boxes, scene.labels[kept], self._masks(scene, result, kept))

    @staticmethod
    def _masks(
        scene: Scene, result: dict[str, npt.NDArray[np.uint8]], kept: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8] | None:
        if scene.masks is None:
            return None
        height, width = result["image"].shape[:2]
        return result["masks"][kept] if len(scene.masks) else np.zeros((0, height, width), np.uint8)


def _geometry(chances: Augmentation) -> list[A.BasicTransform]:
    height, width = chances.height, chances.width
    return [
        A.LongestMaxSize(max_size_hw=(height, width)),
        A.PadIfNeeded(height, width, border_mode=cv2.BORDER_CONSTANT, fill=GREY),
        A.Affine(
            scale=chances.scale,
            translate_percent=(-chances.shift, chances.shift),
            keep_ratio=True,
            balanced_scale=True,
            border_mode=cv2.BORDER_CONSTANT,
            fill=GREY,
            p=1.0,
        ),
        A.HorizontalFlip(p=chances.flip),
    ]


def _appearance(chances: Augmentation) -> list[A.BasicTransform]:
    return [
        A.RandomBrightnessContrast(brightness_limit=0.25, contrast_limit=0.25, p=chances.colour),
        A.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=30, val_shift_limit=15, p=chances.colour),
        A.ToGray(p=chances.gray),
        A.GaussianBlur(blur_limit=(3, 5), p=chances.blur),
        A.GaussNoise(std_range=(0.02, 0.08), p=chances.noise),
        A.CoarseDropout(
            num_holes_range=(1, 4),
            hole_height_range=(0.05, 0.2),
            hole_width_range=(0.02, 0.15),
            fill=GREY,
            p=chances.dropout,
        ),
    ]
