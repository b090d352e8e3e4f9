"""From the network's raw output to detections in pixels of its input; part of the measured time.

Decoding follows the reference implementations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.errors import WrongOutput
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.output import DetrOutput, Yolov8Output, YoloxOutput

Floats = npt.NDArray[np.float32]
Outputs = dict[str, npt.NDArray[Any]]
"""A network's output arrays by name, in the order in which it gives them."""

Decoded = tuple[Floats, npt.NDArray[np.int64], Floats, Floats | None]
"""Boxes (n x 4, xyxy, input pixels), labels (1 is the first category), scores, mask probabilities (n x H x W)."""


def decode(manifest: Manifest, outputs: Outputs, canvas: tuple[int, int]) -> Decoded:
    """Decode a network's output as its manifest says.

    Args:
        manifest: Its output contract, categories and category map: categories that are not mapped are dropped.
        outputs: The network's arrays; a leading batch dimension of 1 is taken off.
        canvas: (height, width) of the input, pixels.

    Raises:
        WrongOutput: An array is missing, of a wrong shape or dtype, or not finite.
    """
    return DECODERS[manifest.output.kind](manifest, outputs, canvas)


def nms(boxes: Floats, scores: Floats, labels: npt.NDArray[np.int64], iou: float) -> npt.NDArray[np.int64]:
    """Positions of the boxes (n x 4, xyxy) to keep, the best score first, as `torchvision.ops.batched_nms`.

    A box is dropped where it overlaps a better one of its category by more than `iou`.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 10, 9]], np.float32)
        >>> nms(boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([1, 1, 2]), 0.5).tolist()
        [0, 2]
    """
    order = np.argsort(-scores, kind="stable")
    corners = boxes[order].astype(np.float64)
    corners[:, 2:] -= corners[:, :2]
    ranks = np.arange(len(order), 0, -1, dtype=np.float32)  # OpenCV sorts again, and would drop a score of zero
    survivors = [np.empty(0, np.int64)]
    for label in np.unique(labels):
        members = np.flatnonzero(labels[order] == label)
        places: Any = cv2.dnn.NMSBoxes(corners[members], ranks[members], 0.0, iou)  # type: ignore[arg-type]
        survivors.append(members[np.asarray(places, np.int64)])
    return np.asarray(order[np.sort(np.concatenate(survivors))], np.int64)


def _torchvision(manifest: Manifest, outputs: Outputs, canvas: tuple[int, int]) -> Decoded:
    named = outputs if {"boxes", "labels", "scores"} <= outputs.keys() else _by_order(outputs)
    scores = _finite(named["scores"].reshape(-1), "scores")
    boxes = _finite(_shaped(_unbatched(named["boxes"], 2), (len(scores), 4), "boxes"), "boxes")
    labels = _shaped(_unbatched(named["labels"], 1), (len(scores),), "labels")
    if not np.issubdtype(labels.dtype, np.integer):
        raise WrongOutput(f"labels are {labels.dtype}, not integers", code="dtype")
    masks = named.get("masks")
    if masks is not None:
        masks = _finite(_shaped(masks.reshape(-1, *masks.shape[-2:]), (len(scores), *canvas), "masks"), "masks")
    keep = _known(manifest, labels)
    return boxes[keep], labels[keep].astype(np.int64), scores[keep], None if masks is None else masks[keep]


def _yolox(manifest: Manifest, outputs: Outputs, canvas: tuple[int, int]) -> Decoded:
    contract = manifest.output
    assert isinstance(contract, YoloxOutput)
    cells, strides = _grid(contract.strides, canvas)
    raw = _only(outputs, (len(cells), 5 + len(manifest.categories)))
    classes = raw[:, 5:] * raw[:, 4:5]
    rows, labels, scores = _candidates(manifest, classes, contract.score_threshold, contract.multi_label)
    raw, strides = raw[rows], strides[rows, None]
    with np.errstate(over="ignore"):  # an infinite side is refused
        centred = np.concatenate([(raw[:, :2] + cells[rows]) * strides, np.exp(raw[:, 2:4]) * strides], axis=1)
    return _suppressed(contract, _finite(_corners(centred), "boxes"), labels, scores)


def _yolov8(manifest: Manifest, outputs: Outputs, canvas: tuple[int, int]) -> Decoded:
    contract = manifest.output
    assert isinstance(contract, Yolov8Output)
    channels = 4 + len(manifest.categories)
    raw = _only(outputs, (None, channels)) if contract.transposed else _only(outputs, (channels, None)).T
    rows, labels, scores = _candidates(manifest, raw[:, 4:], contract.score_threshold, contract.multi_label)
    return _suppressed(contract, _corners(raw[rows, :4]), labels, scores)


def _detr(manifest: Manifest, outputs: Outputs, canvas: tuple[int, int]) -> Decoded:
    contract = manifest.output
    assert isinstance(contract, DetrOutput)
    names = [name for name in ("logits", "pred_logits") if name in outputs and "pred_boxes" in outputs]
    pair = [outputs[names[0]], outputs["pred_boxes"]] if names else list(outputs.values())[:2]
    if len(pair) < 2:
        raise WrongOutput(f"{len(pair)} outputs, expected logits and boxes", code="outputs")
    softmax = contract.activation == "softmax"
    logits = _unbatched(pair[0], 2)
    logits = _finite(_shaped(logits, (len(logits), len(manifest.categories) + softmax), "logits"), "logits")
    fractions = _finite(_shaped(_unbatched(pair[1], 2), (len(logits), 4), "boxes"), "boxes")
    boxes = _corners(fractions) * np.array([canvas[1], canvas[0]] * 2, np.float32)
    # DETR takes a query's best category; Deformable DETR and its descendants every pair of query and category
    probabilities = _softmax(logits)[:, :-1] if softmax else _sigmoid(logits)
    rows, labels, scores = _candidates(manifest, probabilities, contract.score_threshold, multi_label=not softmax)
    return _suppressed(contract, boxes[rows], labels, scores)


DECODERS: dict[str, Callable[[Manifest, Outputs, tuple[int, int]], Decoded]] = {
    "torchvision": _torchvision,
    "yolox": _yolox,
    "yolov8": _yolov8,
    "detr": _detr,
}


@functools.lru_cache(maxsize=8)
def _grid(strides: tuple[int, ...], canvas: tuple[int, int]) -> tuple[Floats, Floats]:
    """Column and row of every cell, and its stride, level by level."""
    cells, widths = [], []
    for stride in strides:
        rows, columns = np.mgrid[: canvas[0] // stride, : canvas[1] // stride]
        cells.append(np.stack([columns.ravel(), rows.ravel()], axis=1))
        widths.append(np.full(rows.size, stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(widths).astype(np.float32)


def _known(manifest: Manifest, labels: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which labels to keep: all but those that the category map drops. Invalid ones stay, to be refused."""
    if not manifest.category_map:
        return np.ones(len(labels), np.bool_)
    dropped = set(range(1, len(manifest.categories) + 1)) - manifest.label_names.keys()
    return ~np.isin(labels, sorted(dropped))


def _candidates(
    manifest: Manifest, scores: Floats, threshold: float, multi_label: bool
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Row, label and score of every detection at or above the threshold, in categories that are not dropped.

    `scores` is n x C; with `multi_label` a row may give several categories, without it only its best of all.
    """
    known = np.array(sorted(manifest.label_names)) - 1
    passes = scores >= threshold
    if not multi_label:
        passes &= np.arange(scores.shape[1]) == scores.argmax(axis=1)[:, None]
    rows, columns = np.nonzero(passes[:, known])
    columns = known[columns]
    return rows, columns + 1, scores[rows, columns]


def _suppressed(
    contract: YoloxOutput | Yolov8Output | DetrOutput, boxes: Floats, labels: npt.NDArray[np.int64], scores: Floats
) -> Decoded:
    """Non-maximum suppression, then the best `max_detections`."""
    iou = contract.nms_iou
    keep = np.argsort(-scores, kind="stable") if iou is None else nms(boxes, scores, labels, iou)
    keep = keep[: contract.max_detections]
    return boxes[keep], labels[keep], scores[keep], None


def _corners(boxes: Floats) -> Floats:
    """From cx, cy, w, h to x1, y1, x2, y2."""
    half = boxes[:, 2:] / 2
    return np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)


def _sigmoid(logits: Floats) -> Floats:
    with np.errstate(over="ignore"):  # exp overflows to infinity, and the score to 0
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), np.float32)


def _by_order(outputs: Outputs) -> Outputs:
    if len(outputs) < 3:
        problem = f"{len(outputs)} outputs ({', '.join(outputs)}), not boxes, labels and scores"
        raise WrongOutput(problem, code="outputs")
    return dict(zip(("boxes", "labels", "scores", "masks"), outputs.values(), strict=False))


def _only(outputs: Outputs, shape: tuple[int | None, int | None]) -> Floats:
    """The first output array as a matrix of a shape; None stands for any length."""
    if not outputs:
        raise WrongOutput("no output array", code="outputs")
    name, values = next(iter(outputs.items()))
    values = _unbatched(values, 2)
    if values.ndim != 2:
        raise WrongOutput(f"{name} is {list(values.shape)}, not a batch of one matrix", code="shape")
    rows, columns = shape
    wanted = (len(values) if rows is None else rows, values.shape[1] if columns is None else columns)
    return _finite(_shaped(values, wanted, name), name)


def _unbatched(values: npt.NDArray[Any], dimensions: int) -> npt.NDArray[Any]:
    return values[0] if values.ndim == dimensions + 1 and len(values) == 1 else values


def _shaped(values: npt.NDArray[Any], shape: tuple[int, ...], name: str) -> npt.NDArray[Any]:
    if values.shape != shape:
        problem = f"{name} is {list(values.shape)}, not {list(shape)}"
        raise WrongOutput(problem, code="shape", remedy="compare the manifest's output, categories and size")
    return values


def _finite(values: npt.NDArray[Any], name: str) -> Floats:
    numbers = values.astype(np.float32, copy=False)
    if not np.isfinite(numbers).all():
        raise WrongOutput(f"{name} has {'NaN' if np.isnan(numbers).any() else 'infinite'} values", code="not-finite")
    return numbers
