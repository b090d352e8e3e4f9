"""The loops of an antialiased resize in integers, compiled by numba."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@numba.njit(cache=True, nogil=True)
def across(image: Pixels, first: npt.NDArray[np.int64], weights: npt.NDArray[np.int32], bits: int) -> Pixels:
    """Weigh neighbours in each row: H x W x 3 becomes H x len(first) x 3."""
    result = np.empty((image.shape[0], len(first), 3), np.uint8)
    sums = np.empty(3, np.int32)
    for row in range(image.shape[0]):
        for column in range(len(first)):
            sums[:] = 1 << (bits - 1)
            for tap in range(min(weights.shape[1], image.shape[1] - first[column])):
                pixel, weight = image[row, first[column] + tap], weights[column, tap]
                for at in range(3):
                    sums[at] += weight * np.int32(pixel[at])
            for at in range(3):
                result[row, column, at] = min(max(sums[at] >> bits, 0), 255)
    return result


@numba.njit(cache=True, nogil=True)
def down(image: Pixels, first: npt.NDArray[np.int64], weights: npt.NDArray[np.int32], bits: int) -> Pixels:
    """Weigh neighbours in each column: H x W x 3 becomes len(first) x W x 3."""
    lines = image.reshape(image.shape[0], -1)
    result = np.empty((len(first), lines.shape[1]), np.uint8)
    sums = np.empty(lines.shape[1], np.int32)
    for row in range(len(first)):
        sums[:] = 1 << (bits - 1)
        for tap in range(min(weights.shape[1], image.shape[0] - first[row])):
            line, weight = lines[first[row] + tap], weights[row, tap]
            for at in range(len(line)):
                sums[at] += weight * np.int32(line[at])
        for at in range(lines.shape[1]):
            result[row, at] = min(max(sums[at] >> bits, 0), 255)
    return result.reshape(len(first), image.shape[1], 3)
