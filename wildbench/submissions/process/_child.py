"""The child's side of the sandbox, `python -m wildbench.submissions.process._child CHANNEL PIXELS` (file descriptors).

It is told a submission file and then given pixels; it answers with checked detections, or with one error. Whatever the
detector prints goes to stderr and cannot reach the channel.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import resource
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import psutil

from wildbench.errors import DetectorCrashed, DetectorOutOfMemory, WildbenchError
from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats import Admitted
from wildbench.submissions.process._detections import check_detections
from wildbench.submissions.process._opened import BACKENDS, Opened, open_admitted
from wildbench.submissions.process._wire import receive, send, send_detections

ALLOCATION_FAILURES = ("can't allocate memory", "not enough memory", "bad_alloc", "Failed to allocate", "out of memory")
"""How torch and onnxruntime say that memory ran out, in errors of their general kinds."""

LONGEST_MESSAGE = 500
"""Characters of a foreign error that are shown: its beginning, and more of its end, where a traceback has its point."""


class Pixels:
    """The image that the parent wrote last, in a file both have open; the child's descriptor is read-only."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._view: mmap.mmap | None = None

    def image(self, shape: list[int]) -> npt.NDArray[np.uint8]:
        """The image, uint8, H x W x 3; valid until the next one."""
        size = int(np.prod(shape))
        if self._view is None or len(self._view) < size:
            self._view = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)
        return np.ndarray(shape, np.uint8, buffer=self._view)


def serve(channel: socket.socket, pixels: Pixels) -> None:
    """Answer the parent's messages until it closes the channel."""
    opened: Opened | None = None
    while True:
        try:
            message = receive(channel)
        except EOFError:
            return
        try:
            if opened is None:
                opened = _open(message)
                send(channel, {"device": opened.device})
            elif "call" in message:
                send(channel, {"value": _call(opened, message, pixels)})
            else:
                image = pixels.image(message["shape"])
                found = opened.predict(image)
                check_detections(found, len(opened.manifest.categories), *image.shape[:2])
                send_detections(channel, found)
        except Exception as error:
            failure = _as_failure(error)
            send(channel, {"error": type(failure).__name__, "what": failure.what, "remedy": failure.remedy})


def _open(message: dict[str, Any]) -> Opened:
    admitted = Admitted(Path(message["path"]), message["kind"], Manifest.model_validate(message["manifest"]))
    cv2.setNumThreads(message["threads"])
    import_module(BACKENDS[admitted.kind])
    if message["memory_bytes"] is not None:  # over what the libraries themselves have taken by now
        limit = psutil.Process().memory_info().data + message["memory_bytes"]
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return open_admitted(admitted, device=message["device"], threads=message["threads"])


def _call(opened: Opened, message: dict[str, Any], pixels: Pixels) -> Any:  # noqa: ANN401 - any JSON value
    module, _, function = message["call"].partition(":")
    image = pixels.image(message["shape"]) if message["shape"] else None
    return getattr(import_module(module), function)(opened, image, **message["arguments"])


def _as_failure(error: Exception) -> WildbenchError:
    """The one line that the parent raises."""
    if isinstance(error, WildbenchError):
        return error
    said = " ".join(str(error).split()) or "no message"
    if isinstance(error, MemoryError) or any(sign in said for sign in ALLOCATION_FAILURES):
        return DetectorOutOfMemory("ran out of memory", remedy="try a machine with more memory or a smaller detector")
    shown = said if len(said) <= LONGEST_MESSAGE else f"{said[:200]} ... {said[200 - LONGEST_MESSAGE :]}"
    return DetectorCrashed(f"raised {type(error).__name__}: {shown}")


def main() -> None:
    """Run the child."""
    with contextlib.suppress(OSError):  # where memory runs out, the system should end this process and not the parent
        Path("/proc/self/oom_score_adj").write_text("1000")
    channel, pixels = (int(argument) for argument in sys.argv[1:3])
    os.dup2(2, 1)
    serve(socket.socket(fileno=channel), Pixels(pixels))


if __name__ == "__main__":
    main()
