"""Resizing as OpenCV, Pillow and torch do it: three answers to one question, and a detector knows only its own.

OpenCV looks at the nearest pixels only. Pillow and torch average over all that a new pixel covers; on grey levels they
differ from one another by the bits of their weights: 22 in Pillow, in torch as many as fit 16-bit integers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.submissions.input import InputContract

Image = npt.NDArray[Any]
Window = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], int]
"""Of each new pixel the first old one; the weights of it and those that follow; the bits after the binary point."""

OPENCV = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}
PILLOW = {"nearest": "NEAREST", "bilinear": "BILINEAR", "bicubic": "BICUBIC", "area": "BOX", "lanczos": "LANCZOS"}


def resize(image: npt.NDArray[np.uint8], size: tuple[int, int], contract: InputContract) -> Image:
    """Resize an image (uint8, H x W x 3) to (height, width) as a contract says.

    To the bit as `cv2.resize`, `PIL.Image.resize`, and torch's `interpolate(antialias=True)` on uint8, by its integer
    kernel (x86 with AVX2, ARM). In float32, Pillow's stands for torch's: up to 0.02 grey levels apart, because torch
    places its pixels in single precision.

    Returns:
        H' x W' x 3, in the contract's `resize_dtype`, grey levels.

    Example:
        >>> contract = InputContract(resize="stretch", antialias="pillow")
        >>> resize(np.full((40, 60, 3), 7, np.uint8), (8, 8), contract).shape
        (8, 8, 3)
    """
    levels: Image = image if contract.resize_dtype == "uint8" else image.astype(np.float32)
    if image.shape[:2] == size:
        return levels
    if contract.antialias == "none":
        return np.asarray(cv2.resize(levels, size[::-1], interpolation=OPENCV[contract.interpolation]))
    if contract.antialias == "torch" and contract.resize_dtype == "uint8":
        return _as_torch(image, size, contract.interpolation)
    return _as_pillow(levels, size, contract.interpolation)


def _as_pillow(levels: Image, size: tuple[int, int], interpolation: str) -> Image:
    from PIL import Image as pillow

    method = pillow.Resampling[PILLOW[interpolation]]
    if levels.dtype == np.uint8:
        return np.asarray(pillow.fromarray(levels).resize(size[::-1], method))
    planes = [pillow.fromarray(np.ascontiguousarray(plane)) for plane in levels.transpose(2, 0, 1)]
    return np.stack([np.asarray(plane.resize(size[::-1], method)) for plane in planes], axis=-1)


def _as_torch(image: npt.NDArray[np.uint8], size: tuple[int, int], interpolation: str) -> Image:
    """Across, rounded to grey levels, then down: `upsample_avx_bilinear_bicubic_uint8` of ATen, without torch."""
    from wildbench.submissions.preprocess import _convolution

    height, width = size
    if width != image.shape[1]:
        image = _convolution.across(np.ascontiguousarray(image), *window(image.shape[1], width, interpolation))
    if height != image.shape[0]:
        image = _convolution.down(np.ascontiguousarray(image), *window(image.shape[0], height, interpolation))
    return image


@lru_cache(maxsize=64)
def window(old: int, new: int, interpolation: str) -> Window:
    """The integer weights with which torch resizes a side of `old` pixels to `new`, for bilinear or bicubic.

    Example:
        >>> first, weights, bits = window(4, 2, "bilinear")
        >>> first.tolist(), (weights / 2**bits).round(3).tolist()
        ([0, 1], [[0.429, 0.429, 0.143, 0.0, 0.0], [0.143, 0.429, 0.429, 0.0, 0.0]])
    """
    scale = old / new
    reach = (1 if interpolation == "bilinear" else 2) * max(scale, 1.0)
    centers = scale * (np.arange(new) + 0.5)
    first = np.maximum((centers - reach + 0.5).astype(np.int64), 0)
    count = np.minimum((centers + reach + 0.5).astype(np.int64), old) - first
    taps = np.arange(2 * int(np.ceil(reach)) + 1)
    distances = np.abs((taps + first[:, None] - centers[:, None] + 0.5) / max(scale, 1.0))
    weights = np.where(taps < count[:, None], _filter(distances, interpolation), 0)
    weights /= weights.cumsum(axis=1)[:, -1:]  # one after another, as torch adds them
    bits = next(bits for bits in range(22) if int(0.5 + weights.max() * 2 ** (bits + 1)) >= 2**15)
    return first, np.trunc(weights * 2**bits + np.copysign(0.5, weights)).astype(np.int32), bits


def _filter(distances: npt.NDArray[np.float64], interpolation: str) -> npt.NDArray[np.float64]:
    """The weight at a distance in (larger) pixels: a triangle, or Keys' cubic with a = -0.5."""
    x = distances
    if interpolation == "bilinear":
        return np.maximum(1 - x, 0)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))
