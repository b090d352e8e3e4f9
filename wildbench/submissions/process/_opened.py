"""An open submission: from an image to detections. Runs in the sandbox's child process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wildbench.submissions.contract import Manifest, Outputs, Preprocessor, decode, masks_to_image, place, to_image
from wildbench.submissions.formats import Admitted, Backend, Format, admit
from wildbench.submissions.process._wire import Detections

if TYPE_CHECKING:
    from torch import nn


@dataclass
class Opened:
    """An open submission.

    Attributes:
        format: Its format.
        manifest: Its manifest.
        backend: What runs it.
    """

    format: Format
    manifest: Manifest
    backend: Backend

    def __post_init__(self) -> None:
        self._preprocess = Preprocessor(self.manifest.input)

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0"."""
        return self.backend.device

    @property
    def module(self) -> nn.Module | None:
        """The network, where it is one of torch's."""
        return getattr(self.backend, "module", None)

    def prepare(self, image: npt.NDArray[np.uint8]) -> npt.NDArray[np.generic]:
        """The network's input, 3 x H' x W', for one image (uint8, H x W x 3, RGB)."""
        return self._preprocess(image)

    def decode(self, answer: Outputs, height: int, width: int) -> Detections:
        """Detections in an image of that size from what the backend answered.

        Raises:
            WrongOutput: The answer is not what the manifest says.
        """
        placement = place(self.manifest.input, height, width)
        boxes, labels, scores, masks = decode(self.manifest, answer, placement.canvas)
        return Detections(
            to_image(boxes, placement), labels, scores, None if masks is None else masks_to_image(masks, placement)
        )

    def predict(self, image: npt.NDArray[np.uint8]) -> Detections:
        """Detect in one image, and time the stages.

        Args:
            image: uint8, H x W x 3, RGB.

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
        return detections


def open_submission(
    path: Path | str | Admitted, *, device: str = "cpu", trust: bool = False, threads: int | None = None
) -> Opened:
    """Open a submission in this process. The harness itself does it in a child: see `Sandbox`.

    Args:
        path: A file of any registered format, or one that is admitted already.
        device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the format's library has it.
        trust: Open formats that can run code.
        threads: CPU threads; by default the library's choice.

    Raises:
        SubmissionError: The file is not readable, or does not fit its manifest.
        UntrustedSubmission: Opening it can run code, and `trust` is False.
    """
    return open_admitted(admit(path, trust=trust), device=device, threads=threads)


def open_admitted(admitted: Admitted, *, device: str, threads: int | None) -> Opened:
    """Open a file that `admit` let pass."""
    backend = admitted.format.open(admitted.source, admitted.manifest, device, threads)
    return Opened(admitted.format, admitted.manifest, backend)
