"""Masks as COCO stores them: polygons, or run lengths down the columns (RLE)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hotcoco import mask as rle


def encode_mask(mask: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Write a mask, uint8 [height, width], 0 or 1, as compressed RLE that JSON can hold.

    Example:
        >>> encode_mask(np.eye(2, dtype=np.uint8))
        {'size': [2, 2], 'counts': '0120'}
    """
    encoded = rle.encode(np.asfortranarray(mask))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode("ascii")}


def decode_mask(segmentation: Any, height: int, width: int) -> npt.NDArray[np.uint8]:  # noqa: ANN401 - JSON
    """Fill in a `segmentation` of an image of this size in pixels: uint8 [height, width], 0 or 1.

    It is polygons `[[x1, y1, x2, y2, ...], ...]`, or an RLE dict, compressed or not.

    Example:
        >>> decode_mask([[0, 0, 2, 0, 2, 1, 0, 1]], 2, 3).tolist()
        [[1, 1, 0], [0, 0, 0]]
    """
    runs = rle.frPyObjects(segmentation, height, width)
    mask: npt.NDArray[np.uint8] = rle.decode(rle.merge(runs) if isinstance(runs, list) else runs)
    return mask


def mask_extent(segmentation: Any, height: int, width: int) -> list[float]:  # noqa: ANN401 - JSON
    """The box around a sound `segmentation`, `[x, y, width, height]`: of polygons their points, of RLE its pixels.

    Example:
        >>> mask_extent([[1, 2, 5, 2, 5, 9]], 20, 20)
        [1.0, 2.0, 4.0, 7.0]
    """
    if isinstance(segmentation, dict):
        return [float(value) for value in rle.to_bbox(rle.frPyObjects(segmentation, height, width))]
    points = np.concatenate([np.asarray(polygon, dtype=np.float64).reshape(-1, 2) for polygon in segmentation])
    return [*points.min(0).tolist(), *(points.max(0) - points.min(0)).tolist()]


def mask_problem(segmentation: Any, height: int, width: int) -> str | None:  # noqa: ANN401 - JSON
    """Say what is wrong with a `segmentation` of an image of this size; None where it can be used.

    Example:
        >>> mask_problem([[0, 0, 4]], 9, 9)
        'a polygon needs at least three points x, y'
    """
    if isinstance(segmentation, dict):
        return _rle_problem(segmentation, height, width)
    if not isinstance(segmentation, list) or not all(isinstance(polygon, list) for polygon in segmentation):
        return "neither a list of polygons nor an RLE object"
    for polygon in segmentation:
        if not all(isinstance(value, int | float) and abs(value) < 1e9 for value in polygon):
            return "a polygon has a coordinate that is not a finite number"
        if len(polygon) < 6 or len(polygon) % 2:
            return "a polygon needs at least three points x, y"
    points = [value for polygon in segmentation for value in polygon]
    if sum(abs(a - b) for a, b in zip(points, points[2:], strict=False)) > 4 * (height + 2) * (width + 2) + 2e4:
        return "its outline is longer than that of every pixel by itself"
    return None


def _rle_problem(segmentation: dict[str, Any], height: int, width: int) -> str | None:
    if segmentation.get("size") != [height, width]:
        return f"RLE of size {segmentation.get('size')}, image of [height, width] = [{height}, {width}]"
    counts = segmentation.get("counts")
    if isinstance(counts, list):
        if not all(type(count) is int and 0 <= count <= height * width for count in counts):
            return "RLE counts are not pixel counts"
        return None if sum(counts) == height * width else f"RLE counts sum to {sum(counts)}, not height x width"
    if not isinstance(counts, str):
        return "RLE without counts"
    try:
        rle.area(segmentation)
    except ValueError as error:
        return str(error)
    return None
