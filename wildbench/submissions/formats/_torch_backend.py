"""Networks that torch runs: our own archive, TorchScript and torch.export.

Importing this module imports torchvision without torch's compiler, which takes as long to import as torch itself and
which nothing here uses.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

import torch
from torch import nn

from wildbench.errors import WrongOutput
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats._format import Inputs, resolve_device
from wildbench.submissions.manifest import Manifest

COMPILER = "torch._dynamo.utils"


def _is_compile_supported(device_type: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device_type))


def _import_torchvision() -> None:
    """Import torchvision; its `roi_align` asks the compiler one question, and a stand-in takes it meanwhile."""
    if sys.modules.keys() & {"torchvision", "torch._dynamo", COMPILER}:
        return
    stand_in = ModuleType(COMPILER)
    stand_in.is_compile_supported = _is_compile_supported  # type: ignore[attr-defined]
    sys.modules[COMPILER] = stand_in
    try:
        import torchvision  # noqa: F401
    except ImportError:  # a torchvision that asks torch for more
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
    finally:
        del sys.modules[COMPILER]


_import_torchvision()

import torchvision.ops  # noqa: E402, F401 - registers the operators that a scripted detector calls


def torch_device(device: str, threads: int | None) -> str:
    """The device that torch is to use, after setting its threads; a SubmissionError where there is none."""
    if threads is not None:
        torch.set_num_threads(threads)
    return resolve_device(device, "torch", lambda number: number < torch.cuda.device_count())


class TorchBackend:
    """A torch module on one device, "cpu" or "cuda:N"."""

    def __init__(self, module: nn.Module, device: str, manifest: Manifest) -> None:
        self.module, self.device = module, device
        self._layout = manifest.input.layout or "list"

    def forward(self, inputs: Inputs) -> Any:  # noqa: ANN401 - whatever the module answers
        """One pass without gradients, over what the manifest's layout asks for."""
        values = [torch.from_numpy(array).to(self.device) for array in inputs.values()]
        with torch.inference_mode():
            return self.module(values) if self._layout == "list" else self.module(*values)

    def run(self, inputs: Inputs) -> Outputs:
        """One pass; copying the answer to the host waits for CUDA."""
        return self.arrays(self.forward(inputs))

    def arrays(self, answer: Any) -> Outputs:  # noqa: ANN401
        """What the module answered, on the host, by name."""
        return {name: tensor.detach().cpu().numpy() for name, tensor in named_tensors(answer).items()}

    def facts(self) -> dict[str, Any]:
        """The device's name, and the most memory that torch has taken on it."""
        cuda = self.device != "cpu"
        return {
            "runtime": f"torch {torch.__version__}",
            "precision": dict(Counter(str(weight.dtype).removeprefix("torch.") for weight in self._weights())),
            "device": torch.cuda.get_device_name(self.device) if cuda else "cpu",
            "peak_memory": torch.cuda.max_memory_allocated(self.device) if cuda else None,
        }

    def _weights(self) -> Iterator[torch.Tensor]:
        """Tensors that are multiplied by: of two axes or more."""
        tensors = [*self.module.parameters(), *self.module.buffers()]
        return (tensor for tensor in tensors if tensor.dim() > 1)


def named_tensors(answer: Any) -> dict[str, torch.Tensor]:  # noqa: ANN401
    """The tensors of a module's answer, by key or by position.

    Understands a tensor, a dictionary, a list with one dictionary (torchvision), a pair of losses and such a list
    (torchvision's scripted detectors), and tuples of tensors; raises WrongOutput for anything else.

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
    problem = f"the detector's answer is a {type(answer).__name__}"
    raise WrongOutput(problem, code="no-tensors", remedy="answer with tensors")
