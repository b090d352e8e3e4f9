"""Training samples: image number i of a run is always the same, augmented the same way, wherever the run resumed."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import Pixels, decode
from wildbench.datasets.masks import decode_mask
from wildbench.detectors.training._augmentation import Augmenter, Scene, mosaic, paste
from wildbench.detectors.training._recipe import Recipe
from wildbench.detectors.zoo import known_categories
from wildbench.errors import RecipeError

Target = dict[str, Tensor]
"""What torchvision's detectors learn from: `boxes`, `labels`, perhaps `masks`; and `known`, see `known_categories`."""

CACHE_BYTES = 2**30
"""Decoded images kept in memory."""


class Samples(TorchDataset[tuple[Tensor, Target]]):
    """The endless, seeded stream of augmented images of a run, by position.

    Position `i` is image `i % n` of its epoch's order; everything random about it follows from the seed and `i`.

    Args:
        recipe: Its augmentation and seed are used.
        data: Images and boxes.
        masks: Whether targets carry masks.
        plain_from: Position from which on no images are mixed.

    Raises:
        RecipeError: Masks are needed and an annotation has none.
    """

    def __init__(self, recipe: Recipe, data: Dataset, *, masks: bool, plain_from: int) -> None:
        self.data = data
        self.seed = recipe.schedule.seed
        self.chances = recipe.augmentation
        self.plain_from = plain_from
        self.masks = masks
        self.needs_masks = masks or self.chances.paste > 0
        if self.needs_masks and not all(annotation.get("segmentation") for annotation in data.annotations):
            cause = "the detector learns masks" if masks else "augmentation.paste cuts animals out by their masks"
            raise RecipeError(f"{cause}, and {data.name} has annotations without", remedy="leave it out, or add masks")
        self.augment = Augmenter(self.chances)
        self.labels = {category["id"]: label for label, category in enumerate(data.categories, start=1)}
        self.groups = [tuple(sorted(data.scored_categories(image))) for image in data.images]
        self.members: dict[tuple[int, ...], list[int]] = {}
        for index, group in enumerate(self.groups):
            self.members.setdefault(group, []).append(index)
        self.shares = balanced_shares(data, recipe.schedule.balance) if recipe.schedule.balance else None
        self._decoded: dict[int, Pixels] = {}
        self._room = CACHE_BYTES

    def __len__(self) -> int:
        return len(self.data.images)

    def __getitem__(self, position: int) -> tuple[Tensor, Target]:
        epoch, offset = divmod(position, len(self))
        index = int(self._order(np.random.default_rng((self.seed, epoch)))[offset])
        random = np.random.default_rng((self.seed, epoch, offset))
        scene = self._scene(index)
        if position < self.plain_from:
            scene = self._mixed(scene, index, random)
        return self._learnable(self.augment(scene, int(random.integers(2**31))), index)

    def plain(self, index: int) -> tuple[Tensor, Target]:
        """Image number `index` of the data as it is, in its own size."""
        return self._learnable(self._scene(index), index)

    def _learnable(self, scene: Scene, index: int) -> tuple[Tensor, Target]:
        target = {
            "boxes": torch.from_numpy(scene.boxes),
            "labels": torch.from_numpy(scene.labels),
            "known": known_categories({self.labels[category] for category in self.groups[index]}, len(self.labels)),
        }
        if self.masks and scene.masks is not None:
            target["masks"] = torch.from_numpy(scene.masks)
        return torch.from_numpy(scene.image).permute(2, 0, 1).float() / 255, target

    def _order(self, random: np.random.Generator) -> npt.NDArray[np.int64]:
        if self.shares is None:
            return random.permutation(len(self))
        return random.choice(len(self), len(self), p=self.shares)

    def _mixed(self, scene: Scene, index: int, random: np.random.Generator) -> Scene:
        # Only images boxed for the same categories mix, so that one set of known categories holds for the whole frame.
        others = [self._scene(int(other)) for other in random.choice(self.members[self.groups[index]], 4)]
        if random.random() < self.chances.paste:
            scene = paste(scene, others[3], random)
        if random.random() < self.chances.mosaic:
            scene = mosaic([scene, *others[:3]], self.chances.height, self.chances.width, random)
        return scene

    def _scene(self, index: int) -> Scene:
        image: dict[str, Any] = self.data.images[index]
        pixels = self._pixels(index)
        animals = [box for box in self.data.boxes(image["id"]) if not box["iscrowd"]]
        corners = np.array([animal["bbox"] for animal in animals], np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        labels = np.array([self.labels[animal["category_id"]] for animal in animals], np.int64)
        if not self.needs_masks:
            return Scene(pixels, corners, labels)
        height, width = pixels.shape[:2]
        masks = [decode_mask(animal["segmentation"], height, width) for animal in animals]
        return Scene(pixels, corners, labels, np.array(masks, np.uint8).reshape(-1, height, width))

    def _pixels(self, index: int) -> Pixels:
        if index in self._decoded:
            return self._decoded[index]
        pixels = decode(self.data.image_path(self.data.images[index]))
        if pixels.nbytes <= self._room:
            self._room -= pixels.nbytes
            self._decoded[index] = pixels
        return pixels


def balanced_shares(data: Dataset, balance: float) -> npt.NDArray[np.float64]:
    """How often each image is drawn, so that rare categories are seen more often (as LVIS's repeat factor sampling).

    An image counts as its rarest category does, `boxes ** -balance`; an empty image as the median of the others.

    Returns:
        float64 `[images]` that sum to 1.
    """
    boxes = Counter(annotation["category_id"] for annotation in data.annotations)
    weights = np.array(
        [
            max((boxes[box["category_id"]] ** -balance for box in data.boxes(image["id"])), default=np.nan)
            for image in data.images
        ]
    )
    weights[np.isnan(weights)] = np.nanmedian(weights)
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares
