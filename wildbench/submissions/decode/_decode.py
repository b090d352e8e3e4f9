"""From the network's raw output to detections in pixels; part of the measured time.

Every output contract is read as a description of parts (`DescribedOutput`); decoding follows the reference
implementations.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.errors import WrongOutput
from wildbench.submissions.decode._answer import COMPARE, Answer, Outputs, finite, naming, shaped
from wildbench.submissions.decode._corners import Floats, Grid, corners, grid, sigmoid, softmax
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.output import DescribedOutput

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Decoded:
    """Detections in pixels of the network's input, or of the original image.

    Attributes:
        boxes: n x 4, xyxy.
        labels: n; 1 is the first category.
        scores: n.
        masks: Probabilities, n x H x W of the input; None where there are none.
        of: What the pixels are of.
        dropped: Candidates that were left out because their box has no area.
    """

    boxes: Floats
    labels: Integers
    scores: Floats
    masks: Floats | None = None
    of: Literal["input", "image"] = "input"
    dropped: int = 0


def decode(
    manifest: Manifest, outputs: Outputs, canvas: tuple[int, int], image: tuple[int, int] | None = None
) -> Decoded:
    """Decode a network's output as its manifest says.

    Args:
        manifest: Its output contract, categories and category map: categories that are not mapped are dropped.
        outputs: The network's arrays for one image.
        canvas: (height, width) of the input, pixels.
        image: (height, width) of the original image, pixels; by default that of the input.

    Raises:
        WrongOutput: An array is missing, of a wrong shape or dtype, or not finite; says what the outputs are.
    """
    contract = manifest.output.described(outputs)
    with naming(outputs):
        return _decode(manifest, Answer(contract, outputs), canvas, image or canvas)


def nms(boxes: Floats, scores: Floats, labels: Integers, iou: float) -> Integers:
    """Positions of the boxes (n x 4, xyxy) to keep, the best score first, as `torchvision.ops.batched_nms`.

    A box is dropped where it overlaps a better one of its category by more than `iou`.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]], np.float32)
        >>> nms(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 1, 2]), 0.5).tolist()
        [0, 2]
    """
    order = np.argsort(-scores, kind="stable")
    sides = boxes[order].astype(np.float64)
    sides[:, 2:] -= sides[:, :2]
    ranks = np.arange(len(order), 0, -1, dtype=np.float32)  # OpenCV sorts again, and would drop a score of zero
    survivors = [np.empty(0, np.int64)]
    for label in np.unique(labels):
        members = np.flatnonzero(labels[order] == label)
        places: Any = cv2.dnn.NMSBoxes(sides[members], ranks[members], 0.0, iou)  # type: ignore[arg-type]
        survivors.append(members[np.asarray(places, np.int64)])
    return np.asarray(order[np.sort(np.concatenate(survivors))], np.int64)


def _decode(manifest: Manifest, answer: Answer, canvas: tuple[int, int], image: tuple[int, int]) -> Decoded:
    contract = answer.contract
    for part in (contract.boxes, contract.scores, contract.objectness, contract.labels):
        for reference in part.references if part else ():
            answer.array(reference)  # what is missing is named before what has a wrong shape
    columns = answer.matrix(contract.boxes, "boxes", None if contract.boxes.form == "distribution" else 4)
    total = len(columns)
    if columns.shape[1] % 4:
        raise WrongOutput(f"boxes is {list(columns.shape)}, not four distributions", code="shape", remedy=COMPARE)
    cells = None if contract.levels is None else grid(contract.levels, canvas, total)
    valid = _valid(answer, total)
    columns = finite(columns[valid], "boxes")
    rows, labels, scores = _candidates(manifest, answer, total, valid)
    chosen = None if cells is None else Grid(*(values[valid][rows] for values in cells))
    frame = canvas if contract.boxes.of == "input" else image
    offset = contract.levels.offset if contract.levels else 0
    boxes = finite(corners(contract.boxes, columns[rows], frame, chosen, offset), "boxes")
    if contract.boxes.clipped:
        boxes = np.clip(boxes, 0, np.array([frame[1], frame[0]] * 2, np.float32))
    solid = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    flat = len(np.unique(rows[~solid]))
    best = np.flatnonzero(solid)[_best(contract, boxes[solid], labels[solid], scores[solid])]
    masks = None if contract.masks is None else _masks(answer.array(contract.masks), total, canvas)[valid][rows[best]]
    return Decoded(boxes[best], labels[best], scores[best], masks, contract.boxes.of, flat)


def _valid(answer: Answer, total: int) -> slice | Integers:
    """The rows that are detections: as many as are counted, of the first image."""
    contract = answer.contract
    end = total
    if contract.count is not None:
        count = answer.array(contract.count).reshape(-1)[:1].astype(np.float64)
        if len(count) == 0 or not 0 <= count[0] <= total or count[0] % 1:
            raise WrongOutput(f"a count of {count.tolist()} of {total} rows", code="count", remedy=COMPARE)
        end = int(count[0])
    if contract.image_index is None:
        return slice(0, end)
    index = answer.column(contract.image_index, "image_index", total)[:end]
    ends = np.flatnonzero(index < 0)
    return np.flatnonzero(index[: ends[0]] == 0) if len(ends) else np.flatnonzero(index == 0)


def _candidates(
    manifest: Manifest, answer: Answer, total: int, valid: slice | Integers
) -> tuple[Integers, Integers, Floats]:
    """Row (of the valid ones), label and score of every detection at or above the threshold.

    Categories that are not mapped are left out.
    """
    contract = answer.contract
    background, names = contract.scores.background, len(manifest.categories)
    width = 1 if contract.labels is not None else names + (background != "none")
    scores = finite(answer.matrix(contract.scores, "scores", width, total)[valid], "scores")
    scores = ACTIVATIONS[contract.scores.activation](scores)
    scores = scores[:, 1:] if background == "first" else scores[:, :names]
    if contract.objectness is not None:
        values = finite(answer.column(contract.objectness, "objectness", total)[valid], "objectness")
        values = ACTIVATIONS[contract.objectness.activation](values)[:, None]
        scores = _fused(scores, values, contract.objectness.weight)
    if contract.labels is None:
        return _by_column(manifest, contract, scores)
    scores = scores[:, 0]
    numbers = answer.column(contract.labels, "labels", total)[valid]
    threshold = -np.inf if contract.score_threshold is None else contract.score_threshold
    rows = np.flatnonzero(scores >= threshold)
    labels = _whole(numbers[rows]) + (1 - contract.labels.first)
    known = _known(manifest, labels)
    return rows[known], labels[known], scores[rows[known]]


def _fused(scores: Floats, objectness: Floats, weight: float | None) -> Floats:
    if weight is None:
        return scores * objectness
    with np.errstate(invalid="ignore"):  # a power of a negative number is refused
        return finite(objectness**weight * scores ** (1 - weight), "scores")


def _by_column(manifest: Manifest, contract: DescribedOutput, scores: Floats) -> tuple[Integers, Integers, Floats]:
    """Without labels: a row may give several categories, or only its best of all."""
    known = np.array(sorted(manifest.label_names), np.int64) - 1
    assert contract.score_threshold is not None  # by the manifest's validator
    passes = scores >= contract.score_threshold
    if not contract.multi_label:
        passes &= np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    rows, columns = np.nonzero(passes[:, known])
    columns = known[columns]
    return rows, columns + 1, scores[rows, columns]


def _whole(labels: npt.NDArray[Any]) -> Integers:
    """Labels as integers; floats must be whole numbers."""
    if not np.issubdtype(labels.dtype, np.integer):
        wide = labels.astype(np.float64)
        wrong = (np.rint(wide) != wide) | ~(np.abs(wide) < 2**31)  # NaN, too
        if wrong.any():
            problem = f"labels has {labels[wrong][0]}, which is not an integer"
            raise WrongOutput(problem, code="invalid-labels", remedy=COMPARE)
    return labels.astype(np.int64)


def _known(manifest: Manifest, labels: Integers) -> npt.NDArray[np.bool_]:
    """Which labels to keep: all but those of categories that are not mapped. Invalid ones stay, to be refused."""
    dropped = set(range(1, len(manifest.categories) + 1)) - manifest.label_names.keys()
    return ~np.isin(labels, sorted(dropped))


def _best(contract: DescribedOutput, boxes: Floats, labels: Integers, scores: Floats) -> Integers:
    """Non-maximum suppression, then the best `max_detections`; without both the network's own order."""
    if contract.nms_iou is not None:
        groups = np.zeros_like(labels) if contract.class_agnostic else labels
        return nms(boxes, scores, groups, contract.nms_iou)[: contract.max_detections]
    if contract.max_detections is None:
        return np.arange(len(scores))
    return np.argsort(-scores, kind="stable")[: contract.max_detections]


def _masks(values: npt.NDArray[Any], total: int, canvas: tuple[int, int]) -> Floats:
    return finite(shaped(values.reshape(-1, *values.shape[-2:]), (total, *canvas), "masks"), "masks")


ACTIVATIONS: dict[str, Callable[[Floats], Floats]] = {
    "none": lambda values: values,
    "sigmoid": sigmoid,
    "softmax": softmax,
}
