"""ONNX graphs, run by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import Admitted
from wildbench.submissions.decoding import Outputs


class OnnxBackend:
    """An ONNX graph in an onnxruntime session."""

    module = None

    def __init__(self, session: onnxruntime.InferenceSession, device: str, batched: bool) -> None:
        self.session = session
        self.device = device
        self._batched = batched
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]

    def inputs(self, planes: npt.NDArray[np.generic]) -> tuple[Any, ...]:
        """One array, 1 x 3 x H x W or 3 x H x W."""
        return (planes[None] if self._batched else planes,)

    def run(self, inputs: tuple[Any, ...]) -> list[npt.NDArray[Any]]:
        """One run of the graph; onnxruntime returns when it is done."""
        answer: list[npt.NDArray[Any]] = self.session.run(self._outputs, {self._input: inputs[0]})
        return answer

    def arrays(self, answer: list[npt.NDArray[Any]]) -> Outputs:
        """The graph's outputs by their names."""
        return dict(zip(self._outputs, answer, strict=True))


def open_backend(admitted: Admitted, device: str, threads: int | None) -> OnnxBackend:
    """Open an ONNX graph.

    Args:
        admitted: The file, its custom operators and external files already refused.
        device: "cpu", "cuda", "cuda:N" or "auto".
        threads: CPU threads within an operator.

    Raises:
        SubmissionError: onnxruntime refuses the graph or has no such device, or the graph takes several inputs.
    """
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device == "auto":
        device = "cuda" if cuda else "cpu"
    if device != "cpu" and not cuda:
        raise SubmissionError(
            f"{admitted.path}: this onnxruntime has no CUDA", remedy="install onnxruntime-gpu or use --device cpu"
        )
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings about the graph's style are not ours to print
    if threads is not None:
        options.intra_op_num_threads = threads
    number = int(device.partition(":")[2] or 0)
    providers: list[Any] = [] if device == "cpu" else [("CUDAExecutionProvider", {"device_id": number})]
    try:
        session = onnxruntime.InferenceSession(admitted.path, options, [*providers, "CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors share no base class
        raise SubmissionError(f"{admitted.path}: onnxruntime refuses it ({error})", remedy="export it again") from None
    if len(session.get_inputs()) != 1:
        names = ", ".join(value.name for value in session.get_inputs())
        raise SubmissionError(
            f"{admitted.path}: the graph takes {names}, not one image", remedy="export it with one input"
        )
    return OnnxBackend(session, device, admitted.manifest.input.layout == "nchw")
