"""From an image to the network's input, and from its pixels back to those of the image.

Resizing follows the reference implementations, and is part of the measured time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.submissions.input import InputContract

Floats = npt.NDArray[np.float32]

INTERPOLATION = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
}


@dataclass(frozen=True)
class Placement:
    """Where an image stands in the detector's input; all in pixels.

    Attributes:
        image: (height, width) of the original image.
        resized: (height, width) it is resized to.
        canvas: (height, width) of the input.
        top: Row of the input at which the image begins.
        left: Column of the input at which the image begins.
        scale: Input pixels per image pixel, (down, across).
    """

    image: tuple[int, int]
    resized: tuple[int, int]
    canvas: tuple[int, int]
    top: int
    left: int
    scale: tuple[float, float]


def place(contract: InputContract, height: int, width: int) -> Placement:
    """Place an image of this size (pixels) in the network's input.

    Letterboxes follow Megvii's `preproc` (top-left) and Ultralytics' `LetterBox` (center); shortest_edge follows DETR's
    `get_size_with_aspect_ratio`.

    Example:
        >>> place(InputContract(resize="letterbox", size=(416, 416)), 480, 640).resized
        (312, 416)
    """
    image = (height, width)
    if contract.resize == "none":
        return Placement(image, image, image, 0, 0, (1.0, 1.0))
    if contract.resize == "shortest_edge":
        resized = _shortest_edge(contract, height, width)
        return Placement(image, resized, resized, 0, 0, (resized[0] / height, resized[1] / width))
    assert contract.size is not None  # by the manifest's validator
    canvas = contract.size
    if contract.resize == "stretch":
        return Placement(image, canvas, canvas, 0, 0, (canvas[0] / height, canvas[1] / width))
    ratio = min(canvas[0] / height, canvas[1] / width)
    if contract.position == "top-left":
        resized = (max(int(height * ratio), 1), max(int(width * ratio), 1))
        return Placement(image, resized, canvas, 0, 0, (ratio, ratio))
    resized = (max(round(height * ratio), 1), max(round(width * ratio), 1))
    top, left = (round((canvas[axis] - resized[axis]) / 2 - 0.1) for axis in (0, 1))
    return Placement(image, resized, canvas, top, left, (ratio, ratio))


def _shortest_edge(contract: InputContract, height: int, width: int) -> tuple[int, int]:
    assert contract.shortest_edge is not None
    assert contract.longest_edge is not None
    short, long = sorted((height, width))
    edge = contract.shortest_edge
    if long / short * edge > contract.longest_edge:
        edge = round(contract.longest_edge * short / long)
    return (edge, int(edge * width / height)) if height <= width else (int(edge * height / width), edge)


def to_image(boxes: npt.NDArray[np.float32], placement: Placement) -> npt.NDArray[np.float32]:
    """Map boxes (n x 4, xyxy, finite) from input pixels back to the original image, and clip them to it.

    Example:
        >>> placement = place(InputContract(resize="letterbox", size=(416, 416)), 480, 640)
        >>> to_image(np.array([[0, 0, 416, 416]], np.float32), placement).tolist()
        [[0.0, 0.0, 640.0, 480.0]]
    """
    height, width = placement.image
    if placement.scale != (1.0, 1.0) or placement.top or placement.left:
        down, across = placement.scale
        offset = np.array([placement.left, placement.top] * 2, np.float32)
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

    Scale, mean and standard deviation are one table of 256 entries per channel, computed in float32 in the order of
    torchvision's `to_tensor` and `normalize`; the result has the same bits.
    """

    def __init__(self, contract: InputContract) -> None:
        self.contract = contract
        values: npt.NDArray[Any] = np.arange(256, dtype=np.float32)[:, None].repeat(3, axis=1)
        if contract.scale == "0-1":
            values /= np.float32(255)
        if contract.mean is not None:
            values -= np.array(contract.mean, np.float32)
        if contract.std is not None:
            values /= np.array(contract.std, np.float32)
        self._dtype = np.uint8 if contract.dtype == "uint8" else np.float32
        self._tables: list[npt.NDArray[Any]] = [np.ascontiguousarray(column, self._dtype) for column in values.T]

    def __call__(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """The input for one image (uint8, H x W x 3, RGB): 3 x H' x W' in the contract's dtype, contiguous and new."""
        placement = place(self.contract, image.shape[0], image.shape[1])
        rows, columns = placement.resized
        if placement.resized != placement.image:
            interpolation = INTERPOLATION[self.contract.interpolation]
            image = np.asarray(cv2.resize(image, (columns, rows), interpolation=interpolation), np.uint8)
        planes: npt.NDArray[Any] = np.empty((3, *placement.canvas), self._dtype)
        if placement.canvas != placement.resized:
            for plane, table in zip(planes, self._tables, strict=True):
                plane.fill(table[self.contract.pad])
        order = (0, 1, 2) if self.contract.channels == "rgb" else (2, 1, 0)
        within = np.s_[placement.top : placement.top + rows, placement.left : placement.left + columns]
        channels = cv2.split(image)
        for plane, table, channel in zip(planes, self._tables, order, strict=True):
            cv2.LUT(channels[channel], table, dst=plane[within])
        return planes.astype(np.float16) if self.contract.dtype == "float16" else planes
