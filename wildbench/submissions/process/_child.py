"""An open submission, from an image to detections; and the child process of the sandbox that runs one.

The child is started by `_jail`, with the file descriptors of its channel and of the pixels. It is given a
submission's bytes and then pixels; it answers with checked detections, or with one error. Whatever the detector prints
goes to stderr and cannot reach the channel.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.errors import DetectorCrashed, DetectorOutOfMemory, WildbenchError, needs
from wildbench.plugins import formats, uncollected
from wildbench.submissions.admission import Admitted, admit
from wildbench.submissions.decode import Outputs, decode, naming
from wildbench.submissions.feed import Feed
from wildbench.submissions.foreign import Adapter
from wildbench.submissions.formats import Backend, Format, Inputs, Port, Signature
from wildbench.submissions.input import InputContract
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.preprocess import Preprocessor, masks_to_image, place, to_image
from wildbench.submissions.process._wire import Detections, check_detections, receive, send, send_detections
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    import mmap

    from torch import nn


@dataclass
class Opened:
    """An open submission: its format, its manifest, the backend that runs it, and the signature of what it runs."""

    format: Format
    manifest: Manifest
    backend: Backend
    signature: Signature | None = None

    def __post_init__(self) -> None:
        self._preprocess = Preprocessor(self.manifest.input)
        self._feed = Feed(self.manifest, self.signature)

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0"."""
        return self.backend.device

    @property
    def module(self) -> nn.Module | None:
        """The network, where it is one of torch's."""
        return getattr(self.backend, "module", None)

    def prepare(self, image: npt.NDArray[np.uint8]) -> Inputs:
        """The network's inputs for one image (uint8, H x W x 3, RGB)."""
        return self._feed(self._preprocess(image), place(self.manifest.input, *image.shape[:2]))

    def outputs(self, image: npt.NDArray[np.uint8]) -> Outputs:
        """The network's outputs for one image, whatever they mean; of a fixed batch those of its first image."""
        return self._feed.first(self.backend.run(self.prepare(image)))

    def decode(self, answer: Outputs, height: int, width: int) -> Detections:
        """Detections in an image of this size from the backend's answer."""
        placement = place(self.manifest.input, height, width)
        decoded = decode(self.manifest, self._feed.first(answer), placement.canvas, image=placement.image)
        boxes = to_image(decoded.boxes, placement if decoded.of == "input" else place(InputContract(), height, width))
        masks = None if decoded.masks is None else masks_to_image(decoded.masks, placement)
        return Detections(boxes, decoded.labels, decoded.scores, masks, dropped=decoded.dropped)

    def predict(self, image: npt.NDArray[np.uint8]) -> Detections:
        """Detect in one image (uint8, H x W x 3, RGB), time the stages, and check the answer.

        Raises:
            WrongOutput: The network's answer is not what the manifest says.
        """
        start = time.perf_counter()
        prepared_image = self.prepare(image)
        prepared = time.perf_counter()
        answer = self.backend.run(prepared_image)
        answered = time.perf_counter()
        detections = self.decode(answer, image.shape[0], image.shape[1])
        end = time.perf_counter()
        detections.stages.update(preprocess=prepared - start, forward=answered - prepared, postprocess=end - answered)
        with naming(answer):
            check_detections(detections, len(self.manifest.categories), *image.shape[:2])
        return detections


def open_submission(path: Path | str | Admitted, *, device: str = "cpu", threads: int | None = None) -> Opened:
    """Open a submission in this process. The harness itself does it in a child: see `Sandbox`.

    Args:
        path: A file of any registered format, or one that is admitted already.
        device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the format's library has it.
        threads: CPU threads; by default the library's choice.

    Raises:
        SubmissionError: The file is not readable, or does not fit its manifest.
    """
    admitted = admit(path)
    backend = admitted.format.open(admitted.source, admitted.manifest, device, threads)
    return Opened(admitted.format, admitted.manifest, backend, admitted.signature)


ALLOCATION_FAILURES = ("can't allocate memory", "not enough memory", "bad_alloc", "Failed to allocate", "out of memory")
"""How torch and onnxruntime say that memory ran out, in errors of their general kinds."""

LONGEST_MESSAGE = 500
"""Characters of a foreign error that are shown: its beginning, and more of its end, where a traceback has its point."""


class Pixels:
    """What the parent wrote last, the submission and then images, in a file that both have open.

    The child's descriptor is read-only.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._view: mmap.mmap | None = None

    def read(self, size: int) -> bytes:
        """That many bytes from its start."""
        with open(os.dup(self._descriptor), "rb") as file:  # noqa: PTH123 - a descriptor
            file.seek(0)
            return file.read(size)

    def image(self, shape: list[int]) -> npt.NDArray[np.uint8]:
        """The image, uint8, H x W x 3; valid until the next one."""
        import mmap

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
                with uncollected():
                    opened = _open(message, pixels)
                send(channel, {"device": opened.device})
            elif "call" in message:
                send(channel, {"value": _call(opened, message, pixels)})
            else:
                image = pixels.image(message["shape"])
                detections = opened.predict(image)
                send_detections(channel, detections, message.get("nonce"))
        except Exception as error:
            failure = _as_failure(error)
            reply = {"error": type(failure).__name__, "code": failure.code, "what": failure.what}
            send(channel, {**reply, "remedy": failure.remedy})


def _open(message: dict[str, Any], pixels: Pixels) -> Opened:
    whole, files, begin = pixels.read(sum(message["files"].values())), {}, 0
    for name, size in message["files"].items():
        files[name], begin = whole[begin : begin + size], begin + size
    source = Source(Path(message["name"]), files=files, main=message["main"])
    format: Format = Adapter(*message["adapter"]) if message["adapter"] else formats.get(message["format"])
    with needs(format.extra) if format.extra else contextlib.nullcontext():
        for library in format.libraries:
            import_module(library)
    cv2.setNumThreads(message["threads"])  # it would take every CPU for an image
    if message["memory_bytes"] is not None:  # beyond what the libraries themselves have taken by now
        import resource

        import psutil

        most = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = min(psutil.Process().memory_info().data + message["memory_bytes"], most % 2**63)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    signature = message["signature"] and Signature(
        *(tuple(Port(**port) for port in message["signature"][side]) for side in ("inputs", "outputs"))
    )
    admitted = Admitted(source, format, Manifest.model_validate(message["manifest"]), signature)
    return open_submission(admitted, device=message["device"], threads=message["threads"])


def _call(opened: Opened, message: dict[str, Any], pixels: Pixels) -> Any:  # noqa: ANN401 - any JSON value
    module, _, function = message["call"].partition(":")
    image = pixels.image(message["shape"]) if message["shape"] else None
    return getattr(import_module(module), function)(opened, image, **message["arguments"])


def _as_failure(error: Exception) -> WildbenchError:
    """The one line that the parent raises."""
    if isinstance(error, WildbenchError):
        return error
    text = " ".join(str(error).split()) or "no message"
    if isinstance(error, MemoryError) or any(sign in text for sign in ALLOCATION_FAILURES):
        remedy = "try a machine with more memory or a smaller detector"
        return DetectorOutOfMemory("ran out of memory", code="out-of-memory", remedy=remedy)
    shown = text if len(text) <= LONGEST_MESSAGE else f"{text[:200]} ... {text[200 - LONGEST_MESSAGE :]}"
    return DetectorCrashed(f"raised {type(error).__name__}: {shown}", code="raised")


def main() -> None:
    """Run the child."""
    channel, pixels = (int(argument) for argument in sys.argv[1:3])
    os.dup2(2, 1)
    serve(socket.socket(fileno=channel), Pixels(pixels))
