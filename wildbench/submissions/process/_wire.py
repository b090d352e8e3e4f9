"""Messages between parent and child: a length, a JSON header, raw bytes. Never pickle, in neither direction."""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from wildbench.submissions.process._detections import MOST_DETECTIONS, Detections

LENGTH = struct.Struct("!I")
LONGEST_HEADER = 64 * 2**20
"""Bytes; a longer header is taken for a fault."""


class Garbled(Exception):
    """What arrived is no message of this protocol."""


def send(channel: socket.socket, header: dict[str, Any], payload: tuple[npt.NDArray[Any], ...] = ()) -> None:
    """Send one message.

    Args:
        channel: A stream socket.
        header: JSON values.
        payload: Arrays whose bytes follow in this order; the header tells the receiver their shapes.
    """
    text = json.dumps(header).encode()
    channel.sendall(LENGTH.pack(len(text)) + text)
    for values in payload:
        if values.size:
            channel.sendall(np.ascontiguousarray(values).data.cast("B"))


def receive(channel: socket.socket, deadline: float | None = None) -> dict[str, Any]:
    """Receive one message's header.

    Args:
        channel: A stream socket.
        deadline: By `time.monotonic`; None waits for ever.

    Raises:
        TimeoutError: The deadline passed.
        EOFError: The other side closed the channel.
        Garbled: What came is no header.
    """
    (length,) = LENGTH.unpack(_exactly(channel, LENGTH.size, deadline))
    if length > LONGEST_HEADER:
        raise Garbled(f"a header of {length} bytes")
    try:
        header = json.loads(_exactly(channel, length, deadline))
    except (ValueError, RecursionError) as error:
        raise Garbled(f"a header that is not JSON ({error})") from None
    if not isinstance(header, dict):
        raise Garbled("a header that is no object")
    return header


def send_detections(channel: socket.socket, found: Detections) -> None:
    """Answer with detections; they have been checked."""
    header = {"detections": len(found), "masks": found.masks is not None, "stages": found.stages}
    masks = () if found.masks is None else (found.masks,)
    send(channel, header, (found.boxes, found.labels, found.scores, *masks))


def receive_detections(
    channel: socket.socket, header: dict[str, Any], height: int, width: int, deadline: float
) -> Detections:
    """Receive the arrays that a header of `send_detections` announces.

    Args:
        channel: A stream socket.
        header: Already received; nothing in it is trusted.
        height: Of the image, pixels.
        width: Of the image, pixels.
        deadline: By `time.monotonic`.

    Raises:
        TimeoutError: The deadline passed.
        EOFError: The other side closed the channel.
        Garbled: The header announces nonsense.
    """
    count, masked, stages = header.get("detections"), header.get("masks"), header.get("stages")
    if not isinstance(count, int) or not 0 <= count <= MOST_DETECTIONS:
        raise Garbled(f"{count!r} detections")
    if not isinstance(stages, dict) or not all(isinstance(value, float) and value >= 0 for value in stages.values()):
        raise Garbled("stages that are not seconds by name")

    def array(dtype: type[np.generic], *shape: int) -> npt.NDArray[Any]:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        return np.frombuffer(_exactly(channel, size, deadline), dtype).reshape(shape)

    return Detections(
        boxes=array(np.float32, count, 4),
        labels=array(np.int64, count),
        scores=array(np.float32, count),
        masks=array(np.uint8, count, height, width) if masked else None,
        stages=stages,
    )


def _exactly(channel: socket.socket, size: int, deadline: float | None) -> bytearray:
    """So many bytes, no more and no less."""
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
