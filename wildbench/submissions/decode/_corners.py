"""From the columns of a network's boxes to corners in pixels: every form of `Boxes`, with the grids of raw heads.

The formulas are those of the reference implementations that `Boxes` names.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from wildbench.errors import WrongOutput
from wildbench.submissions.output import Boxes, Levels

Floats = npt.NDArray[np.float32]


class Grid(NamedTuple):
    """The cells that raw heads predict on, level by level, anchor by anchor, row by row.

    Attributes:
        cells: n x 2, column and row.
        strides: n x 1, pixels.
        anchors: n x 2, width and height in pixels; of no use where there are none.
    """

    cells: Floats
    strides: Floats
    anchors: Floats


@functools.lru_cache(maxsize=8)
def grid(levels: Levels, canvas: tuple[int, int], candidates: int) -> Grid:
    """The grid cells of an input, (height, width) in pixels, whose number matches that of the candidates.

    A level has one cell for each whole stride; networks that pad have one more per row and column for the remainder.

    Raises:
        WrongOutput: The levels have a different number of cells.

    Example:
        >>> grid(Levels(strides=(8, 16)), (16, 24), 7).cells[:4].tolist()
        [[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]
    """
    repeats = len(levels.anchors[0]) if levels.anchors else 1
    counts = []
    for excess in (0, 1):
        sides = [[(side + excess * (stride - 1)) // stride for side in canvas] for stride in levels.strides]
        counts.append(repeats * sum(rows * columns for rows, columns in sides))
        if counts[-1] == candidates:
            break
    else:
        problem = (
            f"{candidates} candidates, not {counts[0]}, of strides {list(levels.strides)} in {list(canvas)} pixels"
        )
        raise WrongOutput(problem, code="shape", remedy="compare the manifest's levels and size")
    places = [np.mgrid[:rows, :columns].reshape(2, -1).T[:, ::-1] for rows, columns in sides]
    cells = np.concatenate([np.tile(level, (repeats, 1)) for level in places])
    strides = np.repeat(levels.strides, [repeats * len(level) for level in places])
    shapes = levels.anchors or [[(0, 0)]] * len(places)
    anchors = np.concatenate(
        [np.repeat(level, len(place), axis=0) for level, place in zip(shapes, places, strict=True)]
    )
    return Grid(cells.astype(np.float32), strides.astype(np.float32)[:, None], anchors.astype(np.float32))


def corners(
    contract: Boxes, columns: Floats, frame: tuple[int, int], cells: Grid | None = None, offset: float = 0.5
) -> Floats:
    """Boxes (n x 4: x1, y1, x2, y2, pixels) from a network's columns.

    Args:
        contract: The form and unit of the columns.
        columns: n x 4; of a distribution n x 4 bins.
        frame: (height, width) of what the boxes are of, pixels.
        cells: Of these candidates, of a raw head.
        offset: Of the point in its cell.

    Example:
        >>> fractions = np.array([[0.5, 0.5, 0.25, 0.5]], np.float32)
        >>> corners(Boxes(form="cxcywh", unit="fractions"), fractions, (32, 64)).tolist()
        [[24.0, 8.0, 40.0, 24.0]]
    """
    sides = np.array([[frame[1], frame[0]]], np.float32)
    if cells is not None and contract.form in CENTRED:
        with np.errstate(over="ignore"):  # an infinite side is refused
            return _from_centre(np.concatenate(CENTRED[contract.form](columns, cells, sides), axis=1))
    unit = {"pixels": np.ones((1, 1), np.float32), "fractions": np.tile(sides, 2)}
    if cells is not None:
        unit["cells"] = cells.strides
    if cells is None or contract.form in PLAIN:
        return PLAIN[contract.form](columns) * unit[contract.unit]
    spread = contract.form == "distribution"
    distances = _mean_bins(columns) * cells.strides if spread else columns * unit[contract.unit]
    points = (cells.cells + np.float32(offset)) * cells.strides
    return np.concatenate([points - distances[:, :2], points + distances[:, 2:]], axis=1)


def sigmoid(logits: Floats) -> Floats:
    """The logistic function.

    Example:
        >>> sigmoid(np.array([0, -1e9], np.float32)).tolist()
        [0.5, 0.0]
    """
    with np.errstate(over="ignore"):  # exp overflows to infinity, and the result is 0
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def softmax(logits: Floats) -> Floats:
    """Probabilities along the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)


def _from_centre(boxes: Floats) -> Floats:
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _mean_bins(columns: Floats) -> Floats:
    bins = columns.shape[1] // 4
    return softmax(columns.reshape(-1, 4, bins)) @ np.arange(bins, dtype=np.float32)


def _yolox(p: Floats, at: Grid, sides: Floats) -> tuple[Floats, Floats]:
    return (p[:, :2] + at.cells) * at.strides, np.exp(p[:, 2:]) * at.strides


def _yolov3(p: Floats, at: Grid, sides: Floats) -> tuple[Floats, Floats]:
    return (sigmoid(p[:, :2]) + at.cells) * at.strides, np.exp(p[:, 2:]) * at.anchors


def _yolov5(p: Floats, at: Grid, sides: Floats) -> tuple[Floats, Floats]:
    double = 2 * sigmoid(p)
    return (double[:, :2] - np.float32(0.5) + at.cells) * at.strides, double[:, 2:] ** 2 * at.anchors


def _fastestdet(p: Floats, at: Grid, sides: Floats) -> tuple[Floats, Floats]:
    return (np.tanh(p[:, :2]) + at.cells) * at.strides, sigmoid(p[:, 2:]) * sides


CENTRED: dict[str, Callable[[Floats, Grid, Floats], tuple[Floats, Floats]]] = {
    "yolox": _yolox,
    "yolov3": _yolov3,
    "yolov5": _yolov5,
    "fastestdet": _fastestdet,
}
"""Centres and sides from the four columns, their cells, and the sides of the input."""

PLAIN: dict[str, Callable[[Floats], Floats]] = {
    "xyxy": lambda columns: columns,
    "cxcywh": _from_centre,
    "xywh": lambda columns: np.concatenate([columns[:, :2], columns[:, :2] + columns[:, 2:]], axis=1),
    "yxyx": lambda columns: columns[:, [1, 0, 3, 2]],
}
"""Corners from the four columns, in the columns' unit."""
