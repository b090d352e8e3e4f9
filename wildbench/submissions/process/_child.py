"""An open submission, from an image to detections; and the child process of the sandbox that runs one.

The child is started by `_jail`, with the file descriptors of its channel and of the pixels. It is given a submission's
bytes, which it alone parses, and then pixels; it answers with what the bytes say, with checked detections,
or with one error. Whatever the detector prints goes to stderr and cannot reach the channel.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from wildbench.errors import DetectorCrashed, DetectorOutOfMemory, SubmissionError, WildbenchError, needs
from wildbench.plugins import uncollected
from wildbench.submissions.admission import Admitted, admit, examine, provisional, recognise
from wildbench.submissions.decode import Outputs, decode, naming
from wildbench.submissions.feed import Feed
from wildbench.submissions.foreign import Adapter
from wildbench.submissions.formats import Backend, Format, Inputs, Signature
from wildbench.submissions.input import InputContract
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.preprocess import Preprocessor, masks_to_image, place, to_image
from wildbench.submissions.process._handover import Told, neighbours, receive_bytes
from wildbench.submissions.process._wire import Detections, check_detections, receive, send, send_detections
from wildbench.submissions.source import AGAIN, Source

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
    """The image that the parent wrote last, in a file that both have open; the child's descriptor is read-only."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._view: mmap.mmap | None = None

    def image(self, shape: list[int]) -> npt.NDArray[np.uint8]:
        """The image, uint8, H x W x 3; valid until the next one."""
        import mmap

        size = int(np.prod(shape))
        if self._view is None or len(self._view) < size:
            self._view = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)
        return np.ndarray(shape, np.uint8, buffer=self._view)


def serve(channel: socket.socket, pixels: Pixels) -> None:
    """Answer the parent's messages until it closes the channel."""
    admitted: Admitted | None = None
    opened: Opened | None = None
    while True:
        try:
            message = receive(channel)
        except EOFError:
            return
        try:
            if admitted is None:
                with uncollected():
                    admitted, reply = _read(message, channel)
                send(channel, reply)
            elif opened is None:
                with uncollected():
                    opened = _open(admitted, message["open"])
                send(channel, {"device": opened.device})
            elif "call" in message:
                send(channel, {"value": _call(opened, message, pixels)})
            else:
                image = pixels.image(message["shape"])
                detections = opened.predict(image)
                send_detections(channel, detections, message.get("nonce"))
        except Exception as error:
            failure = _as_failure(error) if admitted else _as_refusal(error, message)
            reply = {"error": type(failure).__name__, "code": failure.code, "what": failure.what}
            send(channel, {**reply, "remedy": failure.remedy})


ADMISSION_BYTES = 2**30
"""What parsing may take beyond libraries and four times the submission's own size."""

ADMISSION_S = 30
"""Seconds of processor time that parsing may take: a busy machine refuses nothing."""

STATM = Path("/proc/self/statm")
"""Pages of this process, where the system tells them: the sixth number is what RLIMIT_DATA counts."""


def _read(message: dict[str, Any], channel: socket.socket) -> tuple[Admitted, dict[str, Any]]:
    """Admit what the parent hands over, and say what it is."""
    sizes, stated = message["files"], message["stated"]
    *parts, document = receive_bytes(channel, [*sizes.values(), stated[2] if stated else 0])
    files = dict(zip(sizes, parts, strict=True))
    given = Source(Path(message["name"]), files=files, main=message["main"], neighbour=neighbours(channel))
    adapter = Adapter(*message["adapter"]) if message["adapter"] else None
    limit = ADMISSION_BYTES + 4 * given.size
    with _bounded(limit):
        source, format = (given, adapter) if adapter else recognise(given)
    with contextlib.suppress(ImportError):  # what only opening needs may be missing
        _import_libraries(format)
    stated = ((document, stated[0]), stated[1]) if stated else None
    reading = None
    with _bounded(limit):
        try:
            admitted = examine(source, format, stated)
        except SubmissionError as error:
            if error.code != "submission/no-manifest" or stated or not message["provisional"]:
                raise
            admitted, reading = provisional(source, format)
        reply = Told.of(admitted, given, reading)
    admitted.source.forget()
    return admitted, reply.model_dump(mode="json")


@contextlib.contextmanager
def _bounded(memory: int) -> Iterator[None]:
    """Let parsing take so many bytes beyond what this process has by now, and `ADMISSION_S`; Linux only."""
    import resource

    before = {kind: resource.getrlimit(kind) for kind in (resource.RLIMIT_DATA, resource.RLIMIT_CPU)}
    _limit_memory(memory)
    _limit(resource.RLIMIT_CPU, int(time.process_time()) + ADMISSION_S)
    try:
        yield
    finally:
        for kind, limits in before.items():
            resource.setrlimit(kind, limits)


def _limit_memory(allowance: int) -> None:
    """Allocate no more than that many bytes beyond what this process has by now; Linux only."""
    import resource

    if STATM.exists():
        held = int(STATM.read_text().split()[5]) * resource.getpagesize()
        _limit(resource.RLIMIT_DATA, held + allowance)


def _limit(kind: int, soft: int) -> None:
    import resource

    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _import_libraries(format: Format) -> None:
    for library in format.libraries:
        import_module(library)


def _open(admitted: Admitted, message: dict[str, Any]) -> Opened:
    format = admitted.format
    with needs(format.extra) if format.extra else contextlib.nullcontext():
        _import_libraries(format)
    cv2.setNumThreads(message["threads"])  # it would take every CPU for an image
    if message["memory_bytes"] is not None:  # beyond what the libraries themselves have taken by now
        _limit_memory(message["memory_bytes"])
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


def _as_refusal(error: Exception, message: dict[str, Any]) -> WildbenchError:
    """The one line about a submission that cannot be read."""
    if isinstance(error, WildbenchError):
        return error
    if isinstance(error, MemoryError):
        problem = f"{message.get('name')}: reading it takes more than {ADMISSION_BYTES / 2**30:g} GiB of memory"
        return SubmissionError(problem, code="needs-memory", remedy=AGAIN)
    text = " ".join(str(error).split())[:200]
    return SubmissionError(
        f"{message.get('name')}: damaged ({type(error).__name__}: {text})", code="damaged", remedy=AGAIN
    )


def main() -> None:
    """Run the child."""
    channel, pixels = (int(argument) for argument in sys.argv[1:3])
    os.dup2(2, 1)
    serve(socket.socket(fileno=channel), Pixels(pixels))
