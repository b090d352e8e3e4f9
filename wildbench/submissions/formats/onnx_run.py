"""ONNX graphs, run by onnxruntime."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from wildbench.errors import SubmissionError
from wildbench.submissions.contract import Outputs
from wildbench.submissions.devices import resolve
from wildbench.submissions.formats.admission import Admitted

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


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

    def run(self, inputs: tuple[Any, ...]) -> tuple[list[npt.NDArray[Any]], float]:
        """One run of the graph, and its seconds; onnxruntime returns when it is done."""
        begin = time.perf_counter()
        answer = self.session.run(self._outputs, {self._input: inputs[0]})
        return answer, time.perf_counter() - begin

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
    device = resolve(device, "onnxruntime", lambda _: CUDA in onnxruntime.get_available_providers())
    session = open_session(admitted.path, device, threads)
    if len(session.get_inputs()) != 1:
        names = ", ".join(value.name for value in session.get_inputs())
        raise SubmissionError(
            f"{admitted.path}: the graph takes {names}, not one image", remedy="export it with one input"
        )
    return OnnxBackend(session, device, admitted.manifest.input.layout == "nchw")


def open_session(path: Path, device: str, threads: int | None) -> onnxruntime.InferenceSession:
    """Open a session that runs on this device and on no other.

    onnxruntime would take the CPU, with a mere warning, where CUDA's libraries do not load or an operator fails.

    Args:
        path: The graph.
        device: "cpu" or "cuda:N".
        threads: CPU threads within an operator.

    Raises:
        SubmissionError: onnxruntime refuses the graph, or cannot use the device.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings about the graph's style are not ours to print
    if threads is not None:
        options.intra_op_num_threads = threads
    wanted: list[Any] = [] if device == "cpu" else [(CUDA, {"device_id": device.partition(":")[2]})]
    try:
        session = onnxruntime.InferenceSession(path, options, [*wanted, CPU], enable_fallback=0)
    except Exception as error:  # onnxruntime's errors share no base class
        raise SubmissionError(f"{path}: onnxruntime refuses it ({error})", remedy="export it again") from None
    if session.get_providers()[0] != (CUDA if wanted else CPU):
        raise SubmissionError(
            f"{path}: onnxruntime cannot use {device} and would take {session.get_providers()[0]}",
            remedy="install the CUDA libraries that this onnxruntime-gpu was built for, or use --device cpu",
        )
    return session
