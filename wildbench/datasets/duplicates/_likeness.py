"""What two images are compared by: at a glance the low frequencies of their windows, then keypoints and pixels.

*At a glance.* A perceptual hash is the low frequencies of a small grey image. It survives what leaves the layout alone
(another encoding, size, brightness, colour), and fails for a crop. So the low frequencies of some six hundred windows
of each image are compared with those of every whole image; they are kept as numbers rather than as bits, because one
matrix product then compares them all. Mirroring an image and turning it by quarters only changes signs and order of its
frequencies, so that these cost no further transforms.

*In detail.* Keypoints are SIFT's (Lowe, *Distinctive image features from scale-invariant keypoints*, IJCV 2004),
compared by the root of their descriptors (Arandjelović and Zisserman, CVPR 2012); the transform is affine, by RANSAC.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.datasets.images import Pixels

Floats = npt.NDArray[np.float32]
Grey = npt.NDArray[Any]
"""uint8 [height, width]."""

_SIDE = 128
_FREQUENCIES = 8
_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_STRIDE = 0.075
"""Largest distance of two neighbouring windows, as a share of the side."""

_SKEW = 0.21
"""Windows may be stretched: sides, as shares of the image's, differ by no more than this."""

_SPREAD = _SIDE * 1.0
"""Energy below which windows are nearly uniform: in them, noise must not decide what looks alike."""

_LONG_SIDE = 288
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


class Likeness(NamedTuple):
    """Two images, by their places in the list, and the correlation of their low frequencies, at most 1."""

    a: int
    b: int
    score: float


def thumbnail(pixels: Pixels) -> Floats:
    """Grey [128, 128] of an image, whatever its shape: two that were stretched differently become alike."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)


def windows(small: Floats) -> Floats:
    """Normalised low frequencies [windows, frequencies] of a thumbnail; the first window is the whole of it.

    A frequency of radius r counts by the root of r, because low ones dominate natural images and tell little apart.
    """
    basis, rows, columns = _grid()
    used, weights = _frequencies()
    flat = basis.reshape(-1, _SIDE)
    count = len(basis)
    spectra = (flat @ small @ flat.T).reshape(count, _FREQUENCIES, count, _FREQUENCIES)
    frequencies = spectra[rows, :, columns][:, used] * weights
    norms = np.linalg.norm(frequencies, axis=1, keepdims=True)
    return np.asarray(frequencies / (norms + _SPREAD), np.float32)


def likenesses(small: Sequence[Floats], parts: Sequence[int], most: int, least: float) -> Iterator[list[Likeness]]:
    """For each thumbnail in turn, at most `most` others whose whole looks like a window of it, in no order.

    Images with the same number in `parts` are not compared; `least` is the correlation from which two look alike.
    """
    if not small:
        return
    wholes = np.stack([_orientations(windows(one)[0]) for one in small])  # [images, 8, frequencies]
    flat = wholes.reshape(-1, wholes.shape[-1]).T.copy()
    membership = np.array(parts)
    for number, one in enumerate(small):
        scores = (windows(one) @ flat).max(axis=0).reshape(len(small), -1).max(axis=1)
        scores[membership == parts[number]] = -1
        scores[number] = -1
        best = np.argpartition(-scores, min(most, len(scores) - 1))[:most]
        yield [Likeness(number, int(other), float(scores[other])) for other in best if scores[other] >= least]


def _orientations(whole: Floats) -> Floats:
    """Low frequencies [8, frequencies] of an image, of its mirror image, and of both turned by quarters."""
    used, weights = _frequencies()
    square = np.zeros((_FREQUENCIES, _FREQUENCIES), np.float32)
    square[used] = whole / weights
    alternate = (-1.0) ** np.arange(_FREQUENCIES, dtype=np.float32)
    turned = [
        one * rows[:, None] * columns[None, :]
        for one in (square, square.T)
        for rows in (np.abs(alternate), alternate)
        for columns in (np.abs(alternate), alternate)
    ]
    return np.stack([one[used] * weights for one in turned])


@cache
def _frequencies() -> tuple[npt.NDArray[np.bool_], Floats]:
    """Which frequencies count (all but the mean, within a quarter circle), and their weights."""
    radius = np.hypot(*np.mgrid[:_FREQUENCIES, :_FREQUENCIES])
    used = (radius > 0) & (radius < _FREQUENCIES)
    return used, np.sqrt(radius[used]).astype(np.float32)


@cache
def _grid() -> tuple[Floats, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The cosine basis [ranges, frequencies, side] of each range along a side, and the two ranges of each window."""
    basis, scales = [], []
    for scale in _SCALES:
        for start in np.linspace(0, 1 - scale, 1 + int(np.ceil((1 - scale) / _STRIDE - 1e-9))):
            first, last = round(start * _SIDE), round((start + scale) * _SIDE)
            length = last - first
            own = np.zeros((_FREQUENCIES, _SIDE), np.float32)
            phase = np.outer(np.arange(_FREQUENCIES), np.arange(length) + 0.5)
            own[:, first:last] = np.cos(np.pi * phase / length) * np.sqrt(2 / length)
            basis.append(own)
            scales.append(scale)
    sides = np.array(scales)
    rows, columns = np.nonzero(np.abs(sides[:, None] - sides[None, :]) <= _SKEW)
    return np.stack(basis), rows, columns


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Keypoints of an image, reduced to a long side of 288.

    Attributes:
        points: float32 [n, 2], x and y.
        descriptors: float32 [n, 128], of unit length.
        grey: uint8 [height, width], the reduced image.
    """

    points: Floats
    descriptors: Floats
    grey: Grey


class Alignment(NamedTuple):
    """How one image maps onto another: keypoints that agree, and the correlation of pixels less their local mean."""

    matches: int
    correlation: float


def find_keypoints(pixels: Pixels) -> Keypoints:
    """Find the strongest keypoints of an image."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    factor = _LONG_SIDE / max(grey.shape)
    if factor < 1:
        grey = cv2.resize(grey, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    keypoints, descriptors = cv2.SIFT.create(nfeatures=_MOST, contrastThreshold=0.02).detectAndCompute(grey, None)
    if descriptors is None:
        descriptors = np.zeros((0, 128), np.float32)
    points = np.array([one.pt for one in keypoints], np.float32).reshape(-1, 2)
    roots = np.sqrt(descriptors / np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6))
    return Keypoints(points, roots.astype(np.float32), grey)


def mirrored(one: Keypoints) -> Keypoints:
    """Keypoints of the mirror image, without finding them again.

    A descriptor holds 4 × 4 cells of 8 directions, in the frame of the keypoint's own direction. Mirroring turns the
    order of the rows of cells round, and the sense of the directions.
    """
    cells = one.descriptors.reshape(-1, 4, 4, 8)[:, ::-1, :, -np.arange(8) % 8]
    points = np.stack([one.grey.shape[1] - 1 - one.points[:, 0], one.points[:, 1]], axis=1)
    return Keypoints(points, cells.reshape(-1, 128), one.grey[:, ::-1])


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
    return Alignment(distinct, _correlation(a.grey, b.grey, affine))


def _matches(a: Keypoints, b: Keypoints) -> npt.NDArray[np.intp]:
    """Indices [matches, 2] of keypoints that are each other's nearest, and much nearer than the next."""
    if min(len(a.points), len(b.points)) < _FEWEST:
        return np.zeros((0, 2), np.intp)
    cosines = a.descriptors @ b.descriptors.T
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
