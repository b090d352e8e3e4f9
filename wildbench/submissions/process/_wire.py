"""Messages between parent and child: a length, a JSON header, raw bytes; never pickle, in either direction.

And what they carry, detections, with the rules that make those valid.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import WrongOutput

MOST_DETECTIONS = 10_000
"""In one image; more are taken for a fault. COCO looks at a hundred."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Detections:
    """What a detector finds in one image.

    Attributes:
        boxes: float32, n x 4, xyxy in pixels of the original image.
        labels: int64, n; 1 is the first category of the manifest.
        scores: float32, n, 0 to 1.
        masks: uint8, n x H x W, 0 or 1; None where the detector predicts none.
        stages: Seconds that preprocess, forward and postprocess took, by the child's clock.
        dropped: Candidates that were left out because their box has no area.
    """

    boxes: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    masks: npt.NDArray[np.uint8] | None = None
    stages: dict[str, float] = field(default_factory=dict)
    dropped: int = 0

    def __len__(self) -> int:
        return len(self.scores)


def check_detections(detections: Detections, num_categories: int, height: int, width: int) -> None:
    """Check that an answer is detections in an image of this size, with labels from 1 to `num_categories`.

    Raises:
        WrongOutput: Names the array, the position and the rule that it breaks.

    Example:
        >>> box = np.array([[4, 4, 2, 8]], np.float32)
        >>> check_detections(Detections(box, np.ones(1, np.int64), np.ones(1, np.float32)), 13, 10, 10)
        Traceback (most recent call last):
        ...
        wildbench.errors.WrongOutput: boxes[0] = [4.0, 4.0, 2.0, 8.0] has x2 < x1 or y2 < y1; boxes are x1, y1, x2, y2
    """
    _check_form(detections, height, width)
    boxes, labels, scores = detections.boxes, detections.labels, detections.scores
    _refuse_first(boxes, ~np.isfinite(boxes).all(axis=1), "boxes", "is not finite", "")
    _refuse_first(scores, ~np.isfinite(scores), "scores", "is not finite", "")
    turned = np.any(boxes[:, 2:] < boxes[:, :2], axis=1)
    _refuse_first(boxes, turned, "boxes", "has x2 < x1 or y2 < y1", "boxes are x1, y1, x2, y2")
    outside = np.any((boxes < 0) | (boxes > np.array([width, height, width, height])), axis=1)
    _refuse_first(boxes, outside, "boxes", f"lies outside the image of {width} x {height}", "")
    beyond = (labels < 1) | (labels > num_categories)
    _refuse_first(labels, beyond, "labels", f"is outside 1..{num_categories}", FIRST_LABEL)
    wild = (scores < 0) | (scores > 1)
    _refuse_first(scores, wild, "scores", "is outside 0..1", "scores are probabilities, not logits")


FIRST_LABEL = 'label 1 is the first category, unless a described output says {"labels": {"first": 0}}'


def _check_form(detections: Detections, height: int, width: int) -> None:
    count = len(detections.scores) if detections.scores.ndim else 0
    expected: list[tuple[str, Array | None, tuple[int, ...], type[np.generic]]] = [
        ("boxes", detections.boxes, (count, 4), np.float32),
        ("labels", detections.labels, (count,), np.int64),
        ("scores", detections.scores, (count,), np.float32),
        ("masks", detections.masks, (count, height, width), np.uint8),
    ]
    for name, values, shape, dtype in expected:
        if values is not None and (values.shape != shape or values.dtype != dtype):
            problem = f"{name} is {values.dtype} {list(values.shape)}, not {np.dtype(dtype)} {list(shape)}"
            raise WrongOutput(problem, code="shape")
    if count > MOST_DETECTIONS:
        problem = f"{count} detections in one image"
        raise WrongOutput(problem, code="too-many", remedy=f"keep the best {MOST_DETECTIONS} at most")


def _refuse_first(values: Array, wrong: Array | np.bool_, name: str, rule: str, remedy: str) -> None:
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise WrongOutput(f"{name}[{at}] = {values[at].tolist()} {rule}", code=f"invalid-{name}", remedy=remedy)


LENGTH = struct.Struct("!I")
LONGEST_HEADER = 64 * 2**20
"""Bytes; a longer header is taken for a fault."""


class Garbled(Exception):
    """What arrived is not a message of this protocol."""


def send(channel: socket.socket, header: dict[str, Any], payload: tuple[npt.NDArray[Any], ...] = ()) -> None:
    """Send one message: JSON values, then the bytes of arrays whose shapes the receiver knows from them."""
    text = json.dumps(header).encode()
    channel.sendall(LENGTH.pack(len(text)) + text)
    for values in payload:
        if values.size:
            channel.sendall(np.ascontiguousarray(values).data.cast("B"))


def receive(channel: socket.socket, deadline: float | None = None, longest: int = LONGEST_HEADER) -> dict[str, Any]:
    """Receive one message's header; the deadline is by `time.monotonic`.

    Raises:
        TimeoutError: The deadline passed.
        EOFError: The other side closed the channel.
        Garbled: What came is not a header.
    """
    (length,) = LENGTH.unpack(_exactly(channel, LENGTH.size, deadline))
    if length > longest:
        raise Garbled(f"a header of {length} bytes")
    try:
        header = json.loads(_exactly(channel, length, deadline))
    except (ValueError, RecursionError) as error:
        raise Garbled(f"a header that is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise Garbled("a header that is not an object")
    return header


def send_detections(channel: socket.socket, detections: Detections, nonce: object = None) -> None:
    """Answer the request that had this nonce with checked detections."""
    masked, dropped = detections.masks is not None, detections.dropped
    header = {"detections": len(detections), "masks": masked, "stages": detections.stages, "dropped": dropped}
    header["nonce"] = nonce
    masks = () if detections.masks is None else (detections.masks,)
    send(channel, header, (detections.boxes, detections.labels, detections.scores, *masks))


def receive_detections(
    channel: socket.socket, header: dict[str, Any], height: int, width: int, deadline: float
) -> Detections:
    """Receive the arrays that an untrusted header of `send_detections` announces, for an image of this size.

    Raises as `receive`.
    """
    count, masked, stages = header.get("detections"), header.get("masks"), header.get("stages")
    if type(count) is not int or not 0 <= count <= MOST_DETECTIONS:
        raise Garbled(f"{count!r} detections")
    if not isinstance(stages, dict) or len(stages) > 9 or not all(map(_is_stage, stages.items())):
        raise Garbled("stages that are not seconds by name")
    dropped = header.get("dropped", 0)
    if type(dropped) is not int or not 0 <= dropped < 2**31:
        raise Garbled(f"{dropped!r} dropped candidates")

    def array(dtype: type[np.generic], *shape: int) -> npt.NDArray[Any]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return np.frombuffer(_exactly(channel, size, deadline), dtype).reshape(shape)

    return Detections(
        boxes=array(np.float32, count, 4),
        labels=array(np.int64, count),
        scores=array(np.float32, count),
        masks=array(np.uint8, count, height, width) if masked else None,
        stages=stages,
        dropped=dropped,
    )


def _is_stage(stage: tuple[str, Any]) -> bool:
    """A name, and a finite number of seconds."""
    name, seconds = stage
    return name.isidentifier() and len(name) < 40 and isinstance(seconds, float) and 0 <= seconds < math.inf


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytearray:
    """Exactly that many bytes."""
    buffer = bytearray(size)
    view, got = memoryview(buffer), 0
    while got < size:
        if deadline is not None:
            channel.settimeout(max(deadline - time.monotonic(), 1e-6))
        part = channel.recv_into(view[got:])
        if not part:
            raise EOFError
        got += part
    return buffer
