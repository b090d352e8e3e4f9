"""Training samples: image number i of a run is always the same, augmented the same way, wherever the run resumed.

Augmentation is albumentations' (zoom, shift, flip, colour, infrared, blur, noise, holes), and mosaics and pasted
animals of our own; boxes and masks follow the pixels.
"""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from wildbench.datasets.coco import Dataset
from wildbench.datasets.images import Pixels, decode
from wildbench.datasets.masks import decode_mask
from wildbench.detectors._recipe import Augmentation, Recipe
from wildbench.detectors.zoo import known_categories
from wildbench.errors import RecipeError, needs

GREY = 114
"""What is outside the photograph."""
MINIMUM_SIDE = 3.0
"""Boxes with a shorter side, in pixels, are dropped."""
MINIMUM_VISIBLE = 0.25
"""Boxes with less than this share inside the frame are dropped."""
CACHE_BYTES = 2**30
"""Decoded images kept in memory."""

Target = dict[str, Tensor]
"""What torchvision's detectors learn from: `boxes`, `labels`, perhaps `masks`; and `known`, see `known_categories`."""


@dataclass(frozen=True)
class Scene:
    """An image with its boxes."""

    image: Pixels
    """[height, width, 3], RGB."""
    boxes: npt.NDArray[np.float32]
    """[n, 4], corners x1, y1, x2, y2 in pixels."""
    labels: npt.NDArray[np.int64]
    """[n], from 1."""
    masks: Pixels | None = None
    """[n, height, width], 0 or 1; None where nobody needs them."""


class Augmenter:
    """Make a random scene of the recipe's size out of any scene; needs albumentations."""

    def __init__(self, chances: Augmentation) -> None:
        os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or its import asks the network for a newer release
        with needs("train"):
            import albumentations as alb
        height, width = chances.height, chances.width
        shift = (-chances.shift, chances.shift)
        outside = {"border_mode": cv2.BORDER_CONSTANT, "fill": GREY}
        holes = {"num_holes_range": (1, 4), "hole_height_range": (0.05, 0.2), "hole_width_range": (0.02, 0.15)}
        transforms = [
            alb.LongestMaxSize(max_size_hw=(height, width)),
            alb.PadIfNeeded(height, width, **outside),
            alb.Affine(chances.scale, shift, keep_ratio=True, balanced_scale=True, p=1.0, **outside),
            alb.HorizontalFlip(p=chances.flip),
            alb.RandomBrightnessContrast(brightness_limit=0.25, contrast_limit=0.25, p=chances.colour),
            alb.HueSaturationValue(hue_shift_limit=8, sat_shift_limit=30, val_shift_limit=15, p=chances.colour),
            alb.ToGray(p=chances.gray),
            alb.GaussianBlur(blur_limit=(3, 5), p=chances.blur),
            alb.GaussNoise(std_range=(0.02, 0.08), p=chances.noise),
            alb.CoarseDropout(fill=GREY, p=chances.dropout, **holes),
        ]
        least = {"min_width": MINIMUM_SIDE, "min_height": MINIMUM_SIDE, "min_visibility": MINIMUM_VISIBLE}
        boxes = alb.BboxParams("pascal_voc", label_fields=["index"], clip=True, filter_invalid_bboxes=True, **least)
        self._pipeline = alb.Compose(transforms, bbox_params=boxes)

    def __call__(self, scene: Scene, seed: int) -> Scene:
        """Augment one scene of any size; everything random follows from the seed."""
        # Compose.set_random_seed would give every transform the same stream: whatever is grey would also be mirrored.
        for position, transform in enumerate(self._pipeline.transforms):
            transform.set_random_seed(seed * len(self._pipeline.transforms) + position)
        masks = {"masks": scene.masks} if scene.masks is not None and len(scene.masks) else {}
        result = self._pipeline(image=scene.image, bboxes=scene.boxes, index=np.arange(len(scene.boxes)), **masks)
        numbers = np.asarray(result["index"], np.int64).reshape(-1)  # of the boxes still there
        boxes = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
        if masks:
            return Scene(result["image"], boxes, scene.labels[numbers], result["masks"][numbers])
        empty = None if scene.masks is None else np.zeros((0, *result["image"].shape[:2]), np.uint8)
        return Scene(result["image"], boxes, scene.labels[numbers], empty)


def mosaic(scenes: list[Scene], height: int, width: int, random: np.random.Generator) -> Scene:
    """Put four scenes into the quarters of one frame, each shrunk to fit whole (Bochkovskiy et al., 2020, YOLOv4).

    The scenes have any size; all of them have masks, or none has.
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
    labels = np.concatenate([scene.labels for scene in scenes])
    outlines = None if scenes[0].masks is None else np.array(masks, np.uint8).reshape(-1, height, width)
    return Scene(frame, np.concatenate(boxes).astype(np.float32), labels, outlines)


def paste(scene: Scene, donor: Scene, random: np.random.Generator, most: int = 3) -> Scene:
    """Paste up to `most` animals of the donor, cut out by their masks, into the scene (Ghiasi et al., 2021).

    An animal stands about as high in the frame as it did, so its size fits. Boxes of what it hides shrink to what is
    still seen, or are dropped. In an infrared scene it turns grey; infrared animals are not pasted into colour.
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
    visible = [i for i, mask in enumerate(masks) if mask.sum() >= max(MINIMUM_SIDE**2, MINIMUM_VISIBLE * whole[i])]
    outlines = np.array([masks[i] for i in visible], np.uint8).reshape(-1, *image.shape[:2])
    boxes = np.array([_box_of(mask) for mask in outlines], np.float32).reshape(-1, 4)
    return Scene(image, boxes, np.array([labels[i] for i in visible], np.int64), outlines)


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
    outline = cv2.resize(np.ascontiguousarray(mask), size, interpolation=cv2.INTER_NEAREST)
    return resized.astype(np.uint8), outline.astype(np.uint8)


def _put_in_front(image: Pixels, pixels: Pixels, mask: Pixels, feet: float, random: np.random.Generator) -> Pixels:
    """Blend the animal into `image`, in place, and return its mask in the frame."""
    height, width = image.shape[:2]
    rows, columns = mask.shape
    x = int(random.uniform(-0.3 * columns, width - 0.7 * columns))
    y = int(height * feet + random.uniform(-0.06, 0.06) * height) - rows
    inside = np.s_[max(0, y) : min(height, y + rows), max(0, x) : min(width, x + columns)]
    own = np.s_[inside[0].start - y : inside[0].stop - y, inside[1].start - x : inside[1].stop - x]
    soft = cv2.GaussianBlur(mask.astype(np.float32), (3, 3), 0)[own][..., None]
    image[inside] = (pixels[own] * soft + image[inside] * (1 - soft)).astype(np.uint8)
    in_frame = np.zeros((height, width), np.uint8)
    in_frame[inside] = mask[own]
    return in_frame


def _box_of(mask: Pixels) -> tuple[int, int, int, int]:
    """Corners x1, y1, x2, y2 around a mask that is not empty."""
    x, y, columns, rows = cv2.boundingRect(mask)
    return x, y, x + columns, y + rows


class Samples(TorchDataset[tuple[Tensor, Target]]):
    """The endless, seeded stream of augmented images of a run, by position.

    Position `i` is image `i % n` of its epoch's order; everything random about it follows from the seed and `i`. From
    position `plain_from` on, no images are mixed.

    Raises:
        RecipeError: The targets or the augmentation need masks, and an annotation has none.
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
            problem = f"{cause}, and {data.name} has annotations without masks"
            raise RecipeError(problem, code="no-masks", remedy="leave it out, or add masks")
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
        count = len(self)
        epoch, offset = divmod(position, count)
        shuffle = np.random.default_rng((self.seed, epoch))
        order = shuffle.permutation(count) if self.shares is None else shuffle.choice(count, count, p=self.shares)
        index = int(order[offset])
        random = np.random.default_rng((self.seed, epoch, offset))
        scene = self._scene(index)
        if position < self.plain_from:
            scene = self._mixed(scene, index, random)
        return self._learnable(self._augment(scene, int(random.integers(2**31))), index)

    @cached_property
    def _augment(self) -> Augmenter:
        return Augmenter(self.chances)

    def plain(self, index: int) -> tuple[Tensor, Target]:
        """Image number `index` of the data as it is, in its own size."""
        return self._learnable(self._scene(index), index)

    def _learnable(self, scene: Scene, index: int) -> tuple[Tensor, Target]:
        known = known_categories({self.labels[category] for category in self.groups[index]}, len(self.labels))
        target = {"boxes": torch.from_numpy(scene.boxes), "labels": torch.from_numpy(scene.labels), "known": known}
        if self.masks and scene.masks is not None:
            target["masks"] = torch.from_numpy(scene.masks)
        return torch.from_numpy(scene.image).permute(2, 0, 1).float() / 255, target

    def _mixed(self, scene: Scene, index: int, random: np.random.Generator) -> Scene:
        # Only images boxed for the same categories mix, so that one set of known categories holds for the whole frame.
        others = [self._scene(int(other)) for other in random.choice(self.members[self.groups[index]], 4)]
        if random.random() < self.chances.paste:
            scene = paste(scene, others[3], random)
        if random.random() < self.chances.mosaic:
            scene = mosaic([scene, *others[:3]], self.chances.height, self.chances.width, random)
        return scene

    def _scene(self, index: int) -> Scene:
        pixels = self._pixels(index)
        animals = [box for box in self.data.boxes(self.data.images[index]["id"]) if not box["iscrowd"]]
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
    """Shares, float64 `[images]` of sum 1, in which images are drawn (as in LVIS's repeat factor sampling).

    An image weighs as much as its rarest category, `boxes ** -balance`; an empty image as the median of the others.
    """
    boxes = Counter(annotation["category_id"] for annotation in data.annotations)
    by_image = ([boxes[box["category_id"]] ** -balance for box in data.boxes(image["id"])] for image in data.images)
    weights = np.array([max(rarities, default=np.nan) for rarities in by_image])
    weights[np.isnan(weights)] = np.nanmedian(weights)
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    return shares
