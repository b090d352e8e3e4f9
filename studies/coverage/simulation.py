"""Data sets drawn from a known population: boxes, detections, and what became of them.

Images of one location are alike, and boxes of one image: they share part of the latent scores and overlaps, of the
number of animals and of the false alarms. Two detectors are shown the same boxes and do alike on them, as two versions
of one network do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit, ndtr, ndtri

from studies.coverage.population import (
    BOXES_PER_GROUP,
    GROUPS_PER_IMAGE,
    REPORTED,
    SCORE_WITH_OVERLAP,
    SIZE_SCORE,
    SIZE_SHARE,
    WORST,
    Detector,
)
from wildbench.datasets.coco import Dataset
from wildbench.measures.matching import FALSE, IGNORED, THRESHOLDS, TRUE, Matches

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

BETWEEN_DETECTORS = 0.7
"""Correlation of two detectors' latent values, unless another is given."""

IMAGE_SHARE, LOCATION_SHARE = 0.15, 0.15
"""Shares of the variance of the latent values that the boxes of an image, and of a location, have in common."""

PRESENCE, IMAGE_ALARMS, LOCATION_ALARMS = 1.0, 1.0, 4.0
"""Shapes of gamma distributions: of a category's frequency from location to location, and of false alarms from image to
image and location to location; the standard deviation is one over the root of the shape."""

SIDES = np.array([20.0, 64.0, 160.0])
"""Of small, medium and large boxes in pixels, so that a detection that overlaps enough is of the same size."""

CELL = 200
"""Pixels between boxes."""

KINDS = len(GROUPS_PER_IMAGE)


@dataclass(frozen=True)
class Found:
    """Detections of one detector; arrays [detection].

    Attributes:
        image: Numbered from 0; `category` and `size` likewise.
        category: See `image`.
        size: See `image`.
        score: Between 0 and 1.
        overlap: With the box that it finds; 0 for a false alarm.
        box: Number of that box; -1 for a false alarm.
    """

    image: Ints
    category: Ints
    size: Ints
    score: Floats
    overlap: Floats
    box: Ints


@dataclass(frozen=True)
class Sample:
    """One drawn data set.

    Attributes:
        location: [image]: where it was taken.
        image: [box]; `category` and `size` likewise.
        category: See `image`.
        size: See `image`.
        found: What each detector found.
    """

    location: Ints
    image: Ints
    category: Ints
    size: Ints
    found: list[Found]

    def matches(self, detector: int, *, sizes: bool = True) -> Matches:
        """What became of a detector's detections, as `match` finds it in `coco`, but known.

        Args:
            detector: Its number.
            sizes: Also by the size of the boxes; without, resampling is three times as fast.
        """
        found = self.found[detector]
        order = np.lexsort((-found.score, found.category))
        image, category = found.image[order], found.category[order]
        true = found.overlap[order] >= THRESHOLDS[:, None]
        alike = (found.size[order] == np.arange(len(SIDES))[:, None]) & sizes
        everywhere = np.where(true, TRUE, FALSE)[None]
        outcome = np.concatenate([everywhere, np.where(alike[:, None], everywhere, IGNORED)]).astype(np.uint8)
        areas = [np.zeros_like(self.size), 1 + self.size] if sizes else [np.zeros_like(self.size)]
        return Matches(
            categories=tuple(f"category {number}" for number in range(KINDS)),
            images=len(self.location),
            start=np.searchsorted(category, np.arange(KINDS + 1)),
            image=image,
            score=found.score[order],
            place=_places(image, category),
            outcome=outcome,
            overlap=np.where(true[0], found.overlap[order], 0.0),
            boxes=np.concatenate([np.stack([self.category, area, self.image], axis=1) for area in areas]),
            finding=self._finding(found),
        )

    def _finding(self, found: Found) -> Floats:
        """[box]: the score of the detection that finds it; -1 for none."""
        finding, true = np.full(len(self.image), -1.0), (found.box >= 0) & (found.overlap >= THRESHOLDS[0])
        finding[found.box[true]] = found.score[true]
        return finding

    def coco(self, detector: int) -> tuple[Dataset, list[dict[str, Any]]]:
        """The same as COCO dicts; boxes and false alarms of one category stand side by side in their image."""
        found = self.found[detector]
        slot = _places(np.concatenate([self.image, found.image]), np.concatenate([self.category, found.category]))
        mine, theirs = slot[: len(self.image)], slot[len(self.image) :]
        column = np.where(found.box >= 0, mine[found.box], theirs)

        def box(column: int, side: float, height: float) -> list[float]:
            return [float(CELL * column), 0.0, side, height]

        images = [
            {"id": number + 1, "file_name": f"{number + 1}.jpg", "width": CELL * (int(slot.max()) + 1), "height": CELL}
            | {"location": f"location {place}"}
            for number, place in enumerate(self.location)
        ]
        annotations = [
            {"id": number + 1, "image_id": int(image) + 1, "category_id": int(category) + 1, "iscrowd": 0}
            | {"bbox": box(int(mine[number]), SIDES[size], SIDES[size]), "area": float(SIDES[size] ** 2)}
            for number, (image, category, size) in enumerate(zip(self.image, self.category, self.size, strict=True))
        ]
        heights = SIDES[found.size] * np.where(found.box >= 0, found.overlap, 1.0)
        results = [
            {"image_id": int(found.image[one]) + 1, "category_id": int(found.category[one]) + 1}
            | {"bbox": box(int(column[one]), SIDES[found.size[one]], float(heights[one]))}
            | {"score": float(found.score[one])}
            for one in range(len(found.image))
        ]
        categories = [{"id": n + 1, "name": f"category {n}"} for n in range(KINDS)]
        coco = {"images": images, "annotations": annotations, "categories": categories}
        return Dataset("simulated", None, coco, Path()), results


def draw(
    detectors: Sequence[Detector],
    images: int,
    rng: np.random.Generator,
    *,
    locations: int | None = None,
    correlation: float = BETWEEN_DETECTORS,
) -> Sample:
    """Draw a data set and let detectors look at it.

    Args:
        detectors: All are shown the same images.
        images: How many.
        rng: Source of everything random.
        locations: How many the images are spread over; None where every image has its own, unlike all others.
        correlation: Of two detectors' latent values; their false alarms only come in the same images.

    Example:
        >>> sample = draw([Detector.of(3.0, 0.4, 0.5)], 168, np.random.default_rng(0))
        >>> len(sample.image), len(sample.found[0].image)
        (302, 1407)
    """
    location = np.arange(images) % (locations or images)
    often = rng.gamma(PRESENCE, 1 / PRESENCE, (locations, KINDS)) if locations else np.ones((images, KINDS))
    groups = rng.poisson(GROUPS_PER_IMAGE * often[location])
    image, category = _repeated(groups)
    members = 1 + rng.poisson(BOXES_PER_GROUP[category] - 1)
    image, category = image.repeat(members), category.repeat(members)
    size = rng.choice(len(SIDES), len(image), p=SIZE_SHARE)

    many, alike = len(detectors), partial(_alike, rng, correlation)
    own = 1 - IMAGE_SHARE - (LOCATION_SHARE if locations else 0)
    latent = alike(own, many, len(image), 1)[:, :, 0]
    latent += alike(IMAGE_SHARE, many, images, KINDS)[:, image, category]
    alarms = rng.gamma(IMAGE_ALARMS, 1 / IMAGE_ALARMS, (images, KINDS))
    if locations:
        place = location[image]
        latent += alike(LOCATION_SHARE / 2, many, locations, 1)[:, place, 0]
        latent += alike(LOCATION_SHARE / 2, many, locations, KINDS)[:, place, category]
        alarms *= rng.gamma(LOCATION_ALARMS, 1 / LOCATION_ALARMS, (locations, KINDS))[location]
    found = [
        _look(detector, image, category, size, values, alarms, rng)
        for detector, values in zip(detectors, latent, strict=True)
    ]
    return Sample(location, image, category, size, found)


def _look(
    detector: Detector,
    image: Ints,
    category: Ints,
    size: Ints,
    latent: Floats,
    alarms: Floats,
    rng: np.random.Generator,
) -> Found:
    """What a detector reports, given the boxes' latent values [box, 2] and the rates of alarms [image, category]."""
    score = detector.score[category] + SIZE_SCORE[size] + latent[:, 0]
    overlap = detector.overlap[category] + SIZE_SCORE[size] / 2 + latent[:, 1]
    box = np.flatnonzero(score > REPORTED)
    false_image, false_category = _repeated(rng.poisson(detector.false_alarms * alarms))
    false_score = -ndtri(rng.random(len(false_image)) * ndtr(-REPORTED))
    return Found(
        image=np.concatenate([image[box], false_image]),
        category=np.concatenate([category[box], false_category]),
        size=np.concatenate([size[box], rng.choice(len(SIDES), len(false_image), p=SIZE_SHARE)]),
        score=expit(np.concatenate([score[box], false_score])),
        overlap=np.pad(WORST + (1 - WORST) * ndtr(overlap[box]), (0, len(false_image))),
        box=np.pad(box, (0, len(false_image)), constant_values=-1),
    )


def _alike(rng: np.random.Generator, correlation: float, share: float, detectors: int, *shape: int) -> Floats:
    """Parts of latent scores and overlaps, [detector, *shape, 2], that take this share of the variance."""
    common, own = rng.standard_normal((1, *shape, 2)), rng.standard_normal((detectors, *shape, 2))
    values: Floats = np.sqrt(share) * (np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    values[..., 1] = SCORE_WITH_OVERLAP * values[..., 0] + np.sqrt(1 - SCORE_WITH_OVERLAP**2) * values[..., 1]
    return values


def _repeated(counts: Ints) -> tuple[Ints, Ints]:
    """Row and column of each of the things that are counted in a table."""
    rows, columns = np.indices(counts.shape).reshape(2, -1)
    return rows.repeat(counts.ravel()), columns.repeat(counts.ravel())


def _places(*keys: Ints) -> Ints:
    """Rank from 0 of each entry among those with the same keys."""
    order = np.lexsort(keys)
    new = np.any([np.diff(key[order], prepend=-1) != 0 for key in keys], axis=0)
    first = np.maximum.accumulate(np.where(new, np.arange(len(order)), 0))
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.arange(len(order)) - first
    return places
