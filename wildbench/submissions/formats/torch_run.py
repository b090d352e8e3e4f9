"""Networks that torch runs: our own archive, TorchScript and torch.export."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.export.passes import move_to_device_pass

from wildbench.errors import SubmissionError, WrongOutput
from wildbench.submissions.archive import read_submission, rebuild
from wildbench.submissions.contract import Outputs
from wildbench.submissions.devices import resolve
from wildbench.submissions.formats.admission import Admitted


class TorchBackend:
    """A torch module on one device."""

    def __init__(self, module: nn.Module, device: str, layout: str) -> None:
        self.module = module
        self.device = device
        self._layout = layout

    def inputs(self, planes: npt.NDArray[np.generic]) -> tuple[Any, ...]:
        """A list with one image, 3 x H x W; the image; or a batch of one."""
        image = torch.from_numpy(planes).to(self.device)
        return ([image] if self._layout == "list" else image[None] if self._layout == "nchw" else image,)

    def run(self, inputs: tuple[Any, ...]) -> tuple[Any, float]:
        """One forward pass without gradients, and its seconds; on CUDA between two events, waiting for the second."""
        with torch.inference_mode():
            if self.device == "cpu":
                begin = time.perf_counter()
                answer = self.module(*inputs)
                return answer, time.perf_counter() - begin
            stream = torch.cuda.current_stream(self.device)
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            first.record(stream)
            answer = self.module(*inputs)
            last.record(stream)
            torch.cuda.synchronize(self.device)
            return answer, first.elapsed_time(last) / 1000

    def arrays(self, answer: Any) -> Outputs:  # noqa: ANN401
        """The answer's tensors on the host."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in named_tensors(answer).items()}


def named_tensors(answer: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    """The tensors of a module's answer, by key or by position.

    Understands a tensor, a dictionary, a list with one dictionary (torchvision), a pair of losses and such a list
    (torchvision's scripted detectors), and tuples of tensors.

    Raises:
        WrongOutput: It is none of these.

    Example:
        >>> list(named_tensors([{"boxes": torch.zeros(0, 4), "scores": torch.zeros(0)}]))
        ['boxes', 'scores']
    """
    if isinstance(answer, torch.Tensor):
        return {"output": answer}
    if isinstance(answer, Mapping):
        return {name: value for name, value in answer.items() if isinstance(value, torch.Tensor)}
    if isinstance(answer, (list, tuple)):
        if len(answer) == 2 and isinstance(answer[0], Mapping) and isinstance(answer[1], list):
            return named_tensors(answer[1])
        if len(answer) == 1:
            return named_tensors(answer[0])
        return {f"output {at}": value for at, value in enumerate(answer) if isinstance(value, torch.Tensor)}
    raise WrongOutput(f"the detector answers with a {type(answer).__name__}", remedy="answer with tensors")


def open_backend(admitted: Admitted, device: str, threads: int | None) -> TorchBackend:
    """Open a submission that torch runs.

    Args:
        admitted: The file.
        device: "cpu", "cuda", "cuda:N" or "auto".
        threads: CPU threads within an operator.

    Raises:
        SubmissionError: torch cannot open it, it does not fit its manifest, or there is no such device.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    device = resolve(device, "torch", lambda number: number < torch.cuda.device_count())
    module = OPENERS[admitted.kind](admitted, device)
    return TorchBackend(module, device, admitted.manifest.input.layout)


def _open_archive(admitted: Admitted, device: str) -> nn.Module:
    return rebuild(read_submission(admitted.path), str(admitted.path)).to(device)


def _open_torchscript(admitted: Admitted, device: str) -> nn.Module:
    try:
        module: nn.Module = torch.jit.load(str(admitted.path), map_location=device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise SubmissionError(f"{admitted.path}: torch cannot open it ({error})", remedy="export it again") from None
    return module.eval()


def _open_export(admitted: Admitted, device: str) -> nn.Module:
    try:
        program = torch.export.load(admitted.path)
        module: nn.Module = (program if device == "cpu" else move_to_device_pass(program, device)).module()
    except Exception as error:  # torch.export raises errors of many kinds for a foreign or damaged file
        raise SubmissionError(f"{admitted.path}: torch cannot open it ({error})", remedy="export it again") from None
    return module


OPENERS = {"wildbench": _open_archive, "torchscript": _open_torchscript, "pt2": _open_export}
