"""Opening a submission: from an admitted file to something that detects. Runs in the sandbox's child process."""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from wildbench.submissions.contract import Manifest, Outputs, Preprocessor, decode, masks_to_image, place, to_image
from wildbench.submissions.formats import Admitted, admit
from wildbench.submissions.process._detections import Detections
from wildbench.submissions.sniff import Kind

if TYPE_CHECKING:
    from torch import nn

BACKENDS: dict[Kind, str] = {
    "wildbench": "wildbench.submissions.formats.torch_run",
    "torchscript": "wildbench.submissions.formats.torch_run",
    "pt2": "wildbench.submissions.formats.torch_run",
    "onnx": "wildbench.submissions.formats.onnx_run",
}
"""The module that runs a format; imported when one is opened, so that an ONNX graph never pays for torch."""


class Backend(Protocol):
    """What runs a network."""

    device: str
    """Where it runs: "cpu", "cuda:0"."""
    module: nn.Module | None
    """The network, where it is one of torch's."""

    def inputs(self, planes: npt.NDArray[np.generic]) -> tuple[Any, ...]:
        """The network's arguments from one prepared image, 3 x H x W, on its device."""

    def run(self, inputs: tuple[Any, ...]) -> tuple[Any, float]:
        """One forward pass, finished when it returns: whatever the network answers, and the seconds it took."""

    def arrays(self, answer: Any) -> Outputs:  # noqa: ANN401
        """The answer's arrays on the host, by name."""


@dataclass
class Opened:
    """An open submission.

    Attributes:
        path: Its file.
        kind: Its format.
        manifest: Its manifest.
        backend: What runs it.
    """

    path: Path
    kind: Kind
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
        return self.backend.module

    def prepare(self, image: npt.NDArray[np.uint8]) -> tuple[Any, ...]:
        """The network's arguments for one image (uint8, H x W x 3, RGB), on its device."""
        return self.backend.inputs(self._preprocess(image))

    def forward(self, inputs: tuple[Any, ...]) -> Any:  # noqa: ANN401
        """Exactly one forward pass, finished when it returns; without gradients."""
        return self.backend.run(inputs)[0]

    def decode(self, answer: Any, height: int, width: int) -> Detections:  # noqa: ANN401
        """Detections in an image of that size from what `forward` answered.

        Raises:
            WrongOutput: The answer is not what the manifest says.
        """
        placement = place(self.manifest.input, height, width)
        boxes, labels, scores, masks = decode(self.manifest, self.backend.arrays(answer), placement.canvas)
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
        inputs = self.prepare(image)
        prepared = time.perf_counter()
        answer, forward = self.backend.run(inputs)
        answered = time.perf_counter()
        found = self.decode(answer, image.shape[0], image.shape[1])
        end = time.perf_counter()
        found.stages.update(preprocess=prepared - start, forward=forward, postprocess=end - answered)
        return found


def open_submission(
    path: Path | str, *, device: str = "cpu", trust: bool = False, threads: int | None = None
) -> Opened:
    """Open a submission in this process. The harness itself does it in a child: see `_parent`.

    Args:
        path: A `.pt`, `.onnx` or `.pt2` file.
        device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the format's library has it.
        trust: Open TorchScript and `.pt2`, which can run code.
        threads: CPU threads; by default the library's choice.

    Raises:
        SubmissionError: The file is not readable, or does not fit its manifest.
        UntrustedSubmission: Opening it can run code, and `trust` is False.
    """
    return open_admitted(admit(Path(path), trust=trust), device=device, threads=threads)


def open_admitted(admitted: Admitted, *, device: str, threads: int | None) -> Opened:
    """Open a file that `admit` let pass."""
    backend = import_module(BACKENDS[admitted.kind]).open_backend(admitted, device, threads)
    return Opened(admitted.path, admitted.kind, admitted.manifest, backend)
