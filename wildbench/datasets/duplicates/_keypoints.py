"""What proves that two images show the same: keypoints that agree on how one lies on the other, then the pixels.

Keypoints are SIFT's (Lowe, *Distinctive image features from scale-invariant keypoints*, IJCV 2004), compared by the
root of their descriptors (Arandjelović and Zisserman, CVPR 2012); the transform is affine, by RANSAC.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[Any]
"""uint8 [height, width]."""

LONG_SIDE = 288
"""Of the reduced image in which keypoints are found."""

_MOST = 256
_RATIO = 0.85
"""A match is that much nearer than the next best (Lowe's ratio test)."""

_TOLERANCE = 3.0
"""Distance, in pixels of the reduced image, up to which a match agrees with the transform."""

_FEWEST = 6
"""Matches below which no transform is tried: three fix one, and the rest have to confirm it."""

_COMPARED_SIDE = 160
_NEIGHBOURHOOD = 6.0
_NOISE = 2.0
"""In grey levels: what differs by less is taken for noise."""


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of an image, reduced to a long side of 288.

    Attributes:
        points: float32 [n, 2], x and y.
        descriptors: uint8 [n, 128], as SIFT rounds them.
        png: The reduced image in grey, compressed without loss, or its mirror image where `flipped`.
        flipped: Whether these are the keypoints of the mirror image of that.
    """

    points: Floats
    descriptors: Grey
    png: bytes
    flipped: bool = False

    @cached_property
    def grey(self) -> Grey:
        """uint8 [height, width], the reduced image."""
        grey = cv2.imdecode(np.frombuffer(self.png, np.uint8), cv2.IMREAD_GRAYSCALE)
        return np.asarray(grey)[:, :: -1 if self.flipped else 1]

    @cached_property
    def mirrored(self) -> Keypoints:
        """Keypoints of the mirror image, without finding them again.

        A descriptor holds 4 × 4 cells of 8 directions, in the frame of the keypoint's own direction. Mirroring turns
        the order of the rows of cells round, and the sense of the directions.
        """
        cells = self.descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, -np.arange(8) % 8]
        width = int.from_bytes(self.png[16:20])  # as its header says
        points = np.stack([width - 1 - self.points[:, 0], self.points[:, 1]], axis=1)
        return Keypoints(points, cells.reshape(-1, 128), self.png, not self.flipped)

    @cached_property
    def roots(self) -> Floats:
        """Descriptors as float32 [n, 128] of unit length, whose products are Hellinger's affinity."""
        sums = self.descriptors.sum(axis=1, keepdims=True, dtype=np.float32)
        return np.asarray(np.sqrt(self.descriptors / np.maximum(sums, 1)), np.float32)


class Alignment(NamedTuple):
    """How one image maps onto another.

    Attributes:
        matches: Keypoints that agree.
        correlation: Of pixels less their local mean.
        spread: Share of an image's side over which four fifths of these keypoints lie, where that is smallest.
    """

    matches: int
    correlation: float
    spread: float


def find_keypoints(grey: Grey) -> Keypoints:
    """Find the strongest keypoints of an image, uint8 [height, width]."""
    factor = LONG_SIDE / max(grey.shape)
    if factor < 1:
        grey = np.asarray(cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA))
    keypoints, found = cv2.SIFT.create(nfeatures=_MOST, contrastThreshold=0.02).detectAndCompute(grey, None)
    descriptors = np.zeros((0, 128), np.uint8) if found is None else found.astype(np.uint8)
    points = np.array([one.pt for one in keypoints], np.float32).reshape(-1, 2)
    png = cv2.imencode(".png", grey, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
    return Keypoints(points, descriptors, png)


def align(a: Keypoints, b: Keypoints) -> Alignment | None:
    """Lay `b` on `a`; None where too few keypoints match or agree on no plausible transform."""
    matches = _matches(a, b)
    if len(matches) < _FEWEST:
        return None
    on_a, on_b = a.points[matches[:, 0]], b.points[matches[:, 1]]
    affine, agreeing = cv2.estimateAffine2D(on_b, on_a, ransacReprojThreshold=_TOLERANCE, maxIters=500)
    if affine is None or not _is_plausible(affine):
        return None
    chosen = agreeing.ravel() > 0
    distinct = min(len(np.unique(points[chosen].round(), axis=0)) for points in (on_a, on_b))
    spread = min(_spread(on_a[chosen], a.grey), _spread(on_b[chosen], b.grey))
    return Alignment(distinct, _correlation(a.grey, b.grey, affine), spread)


def _spread(points: Floats, grey: Grey) -> float:
    low, high = np.percentile(points, [10, 90], axis=0)
    return float(((high - low) / grey.shape[::-1]).min())


def _matches(a: Keypoints, b: Keypoints) -> npt.NDArray[np.intp]:
    """Indices [matches, 2] of keypoints that are each other's nearest, and much nearer than the next."""
    if min(len(a.points), len(b.points)) < _FEWEST:
        return np.zeros((0, 2), np.intp)
    cosines = a.roots @ b.roots.T
    everyone = np.arange(len(cosines))
    nearest = cosines.argmax(axis=1)
    best = cosines[everyone, nearest]
    mutual = cosines.argmax(axis=0)[nearest] == everyone
    cosines[everyone, nearest] = -1
    chosen = np.flatnonzero(mutual & (1 - best < _RATIO**2 * (1 - cosines.max(axis=1))))
    return np.stack([chosen, nearest[chosen]], axis=1)


def _is_plausible(affine: npt.NDArray[Any]) -> bool:
    """Whether nothing is turned inside out, and scaled by at most 5 and stretched by at most 2."""
    if np.linalg.det(affine[:, :2]) <= 0:
        return False
    large, small = np.linalg.svd(affine[:, :2], compute_uv=False)
    return bool(small > 0.2 and large < 5 and large < 2 * small)


def _correlation(a: Grey, b: Grey, affine: npt.NDArray[Any]) -> float:
    """Correlate the overlap of two grey images, each less its local mean; 0 where the overlap is tiny."""
    factor = _COMPARED_SIDE / max(a.shape)
    below = cv2.resize(a, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    affine = affine * factor
    size = below.shape[::-1]
    reduction = np.sqrt(np.linalg.det(affine[:, :2]))
    smooth = cv2.GaussianBlur(b, (0, 0), 0.5 / reduction) if reduction < 1 else b
    above = cv2.warpAffine(smooth, affine, size)
    both = cv2.warpAffine(np.full(b.shape, 255, np.uint8), affine, size) > 250
    if both.sum() < 400:
        return 0.0
    one, other = _detail(below, both), _detail(above, both)
    return float((one * other).sum() / max(np.sqrt((one**2).sum() * (other**2).sum()), 1e-6))


def _detail(grey: Grey, mask: npt.NDArray[np.bool_]) -> Floats:
    """The masked pixels less their local mean and in units of their local spread.

    Any two landscapes share the mean, and by its spread a caption would outweigh the rest of the picture.
    """
    weight = mask.astype(np.float32)
    light = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1)
    share = cv2.GaussianBlur(weight, (0, 0), _NEIGHBOURHOOD) + 1e-3
    detail = light - cv2.GaussianBlur(light * weight, (0, 0), _NEIGHBOURHOOD) / share
    spread = np.sqrt(cv2.GaussianBlur(detail**2 * weight, (0, 0), _NEIGHBOURHOOD) / share)
    return np.asarray((detail / (spread + _NOISE))[mask], np.float32)
