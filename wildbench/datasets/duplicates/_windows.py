"""Which images look alike at a glance: every window of one against the whole of another, in all eight orientations.

A perceptual hash is the low frequencies of a small grey image. It survives what leaves the layout alone (another
encoding, size, brightness, colour), and fails for a crop. So the low frequencies of some six hundred windows of each
image are compared with those of every whole image; they are kept as numbers rather than as bits, because one matrix
product then compares them all. Mirroring an image and turning it by quarters only changes signs and order of its
frequencies, so that these cost no further transforms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.datasets.images import Pixels

Floats = npt.NDArray[np.float32]

_SIDE = 128
_FREQUENCIES = 8
_SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
_STRIDE = 0.075
"""Largest distance of two neighbouring windows, as a share of the side."""

_SKEW = 0.21
"""Windows may be stretched: sides, as shares of the image's, differ by no more than this."""

_SPREAD = _SIDE * 1.0
"""Energy below which windows are nearly uniform: in them, noise must not decide what looks alike."""


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
    found = spectra[rows, :, columns][:, used] * weights
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / (norms + _SPREAD), np.float32)


def likenesses(small: Sequence[Floats], parts: Sequence[int], most: int, least: float) -> Iterator[list[Likeness]]:
    """For each image in turn, those whose whole looks most like a window of it.

    Args:
        small: Thumbnails.
        parts: A number an image; images of the same number are not compared.
        most: How many are given for each image.
        least: Correlation from which on two images are worth a closer look.

    Yields:
        At most `most` likenesses of an image with others, in no order.
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
