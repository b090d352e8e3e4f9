"""From an image to the network's input, and from its pixels back to those of the image.

Resizing follows the reference implementations, and is part of the measured time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.submissions.input import InputContract
from wildbench.submissions.preprocess._resampling import resize

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """Where an image stands in the detector's input; all in pixels.

    Attributes:
        image: (height, width) of the original image.
        resized: (height, width) it is resized to.
        canvas: (height, width) of the input.
        top: Row of the input at which the image begins.
        left: Column of the input at which the image begins.
        offset: Where the image's corner is taken to be when boxes are mapped back, (down, across): mostly top and left.
        scale: Input pixels per image pixel when boxes are mapped back, (down, across).
    """

    image: tuple[int, int]
    resized: tuple[int, int]
    canvas: tuple[int, int]
    top: int
    left: int
    offset: tuple[float, float]
    scale: tuple[float, float]


def place(contract: InputContract, height: int, width: int) -> Placement:
    """Place an image of this size (pixels) in the network's input.

    Letterboxes follow Megvii's `preproc` (top-left) and Ultralytics' `LetterBox` (center), with a multiple its
    `auto=True`. The contract's size must be resolved.

    Example:
        >>> place(InputContract(resize="letterbox", size=(416, 416)), 480, 640).resized
        (312, 416)
        >>> place(InputContract(resize="letterbox", size=(1280, 1280), multiple=64), 1080, 1920).canvas
        (768, 1280)
    """
    image = (height, width)
    ratio = _ratio(contract, height, width)
    resized = _resized(contract, height, width, ratio)
    canvas = _canvas(contract, resized)
    resized = min(resized[0], canvas[0]), min(resized[1], canvas[1])  # DETR's rules may overshoot by rounding
    top = left = 0
    if contract.position == "center":
        top, left = (round((canvas[axis] - resized[axis]) / 2 - 0.1) for axis in (0, 1))
    offset: tuple[float, float] = (top, left)
    scale = (resized[0] / height, resized[1] / width)
    default = "ratio" if contract.resize == "letterbox" and contract.position == "top-left" else "sides"
    mapping = contract.mapping or default
    if mapping != "sides":
        scale = (ratio, ratio)
    if mapping == "center":
        offset = ((canvas[0] - height * ratio) / 2, (canvas[1] - width * ratio) / 2)
    return Placement(image, resized, canvas, top, left, offset, scale)


def _ratio(contract: InputContract, height: int, width: int) -> float:
    """The one factor of a resize that keeps proportions, before sides are rounded."""
    if contract.resize == "shortest_edge":
        assert contract.shortest_edge is not None  # by the manifest's validator
        assert contract.longest_edge is not None
        short, long = sorted((height, width))
        return min(contract.shortest_edge / short, contract.longest_edge / long)
    if contract.resize != "letterbox":
        return 1.0
    assert contract.size is not None  # by `Manifest.resolved`
    ratio = min(contract.size[0] / height, contract.size[1] / width)
    return ratio if contract.enlarge else min(ratio, 1.0)


ROUNDINGS: dict[str, Callable[[float], int]] = {
    "down": int,
    "half-even": round,
    "half-up": lambda side: int(side + 0.5),
}


def _resized(contract: InputContract, height: int, width: int, ratio: float) -> tuple[int, int]:
    """(height, width) of the resized image."""
    if contract.resize == "none":
        return height, width
    if contract.resize == "stretch":
        assert contract.size is not None  # by `Manifest.resolved`
        return contract.size
    rounding = contract.rounding
    if contract.resize == "shortest_edge" and rounding in (None, "detr", "transformers", "yolos"):
        return _shortest_edge(contract, height, width)
    rounded = ROUNDINGS[rounding or ("down" if contract.position == "top-left" else "half-even")]
    return max(rounded(height * ratio), 1), max(rounded(width * ratio), 1)


def _canvas(contract: InputContract, resized: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the input."""
    if contract.canvas is not None:
        return contract.canvas
    if contract.multiple is not None:
        down, across = (-(-side // contract.multiple) * contract.multiple for side in resized)
        return down, across
    return resized if contract.size is None else contract.size


def _shortest_edge(contract: InputContract, height: int, width: int) -> tuple[int, int]:
    """DETR's `get_size_with_aspect_ratio`, or what became of it in transformers, also for YOLOS."""
    assert contract.shortest_edge is not None
    assert contract.longest_edge is not None
    short, long = sorted((height, width))
    edge: float = contract.shortest_edge
    if long / short * edge > contract.longest_edge:
        edge = contract.longest_edge * short / long
    shorter, longer = max(round(edge), 1), max(int(edge * long / short), 1)
    if contract.rounding in (None, "detr"):
        longer = int(shorter * long / short)  # from the side that is rounded already
    elif shorter == short:
        longer = long
    if contract.rounding == "yolos":
        shorter, longer = (max(side // 16, 1) * 16 for side in (shorter, longer))
    return (shorter, longer) if height <= width else (longer, shorter)


def to_image(boxes: npt.NDArray[np.float32], placement: Placement) -> npt.NDArray[np.float32]:
    """Map boxes (n x 4, xyxy, finite) from input pixels back to the original image, and clip them to it.

    Example:
        >>> placement = place(InputContract(resize="letterbox", size=(416, 416)), 480, 640)
        >>> to_image(np.array([[0, 0, 416, 416]], np.float32), placement).tolist()
        [[0.0, 0.0, 640.0, 480.0]]
    """
    height, width = placement.image
    if placement.scale != (1.0, 1.0) or placement.offset != (0, 0):
        (top, left), (down, across) = placement.offset, placement.scale
        offset = np.array([left, top] * 2, np.float32)
        boxes = np.divide(boxes - offset, np.array([across, down] * 2, np.float32), dtype=np.float32)
    return np.clip(boxes, 0, np.array([width, height] * 2, np.float32))


def masks_to_image(masks: npt.NDArray[np.float32], placement: Placement) -> npt.NDArray[np.uint8]:
    """Map mask probabilities, n x H x W of the input, back to the original image, as 0 or 1 (above a half)."""
    (rows, columns), (height, width) = placement.resized, placement.image
    masks = masks[:, placement.top : placement.top + rows, placement.left : placement.left + columns]
    if placement.resized != placement.image:
        resized = [cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR) for mask in masks]
        masks = np.stack(resized).astype(np.float32) if resized else np.empty((0, height, width), np.float32)
    return (masks > 0.5).astype(np.uint8)


class Preprocessor:
    """Turns images into the input that a manifest asks for.

    Scale, mean and standard deviation are computed in float32 in the order of torchvision's `to_tensor` and
    `normalize`, to the same bits. For grey levels they are one table of 256 entries per channel.
    """

    def __init__(self, contract: InputContract) -> None:
        self.contract = contract
        self._dtype = np.uint8 if contract.dtype == "uint8" else np.float32
        levels: npt.NDArray[Any] = np.arange(256, dtype=np.float32)
        self._tables: list[npt.NDArray[Any]] = [self._values(levels.copy(), at).astype(self._dtype) for at in range(3)]
        resize(np.zeros((2, 2, 3), np.uint8), (1, 1), contract)  # loads its library before an image is timed

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """The input for one image (uint8, H x W x 3, RGB): 3 x H' x W' in the contract's dtype, contiguous and new."""
        contract = self.contract
        placement = place(contract, image.shape[0], image.shape[1])
        rows, columns = placement.resized
        planes: npt.NDArray[Any] = np.empty((3, *placement.canvas), self._dtype)
        if placement.canvas != placement.resized:
            for plane, table in zip(planes, self._tables, strict=True):
                plane.fill(0 if contract.pad == "mean" else table[contract.pad])
        order = (0, 1, 2) if contract.channels == "rgb" else (2, 1, 0)
        within = np.s_[placement.top : placement.top + rows, placement.left : placement.left + columns]
        channels = cv2.split(resize(image, placement.resized, contract))
        for at, (plane, table, channel) in enumerate(zip(planes, self._tables, order, strict=True)):
            if contract.resize_dtype == "uint8":
                cv2.LUT(channels[channel], table, dst=plane[within])
            else:
                plane[within] = self._values(np.array(channels[channel]), at)
        return planes.astype(np.float16) if contract.dtype == "float16" else planes

    def _values(self, levels: Floats, at: int) -> Floats:
        """What grey levels become in channel `at` of the input, in place."""
        if self.contract.scale == "0-1":
            levels /= np.float32(255)
        if self.contract.mean is not None:
            levels -= np.float32(self.contract.mean[at])
        if self.contract.std is not None:
            levels /= np.float32(self.contract.std[at])
        return levels
