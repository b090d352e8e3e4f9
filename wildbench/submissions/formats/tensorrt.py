"""TensorRT engines: what Ultralytics writes before one is read; the engine runs where TensorRT and its GPU are.

An engine is code for one kind of GPU and one version of TensorRT, and nothing else reads it. Opening and running one is
written after NVIDIA's documentation, and no test of wildbench runs it.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from wildbench.errors import SubmissionError
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats._format import Format, Inputs, Listing, resolve_device
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    import tensorrt

MAGIC = (b"ftrt", b"ptrt")
"""How engines begin."""

ELSEWHERE = "export it to ONNX (yolo export format=onnx), or run wildbench on the machine that it was built for"


class TensorRT(Format):
    """A serialized engine, with or without Ultralytics' header: a four-byte length followed by that much JSON."""

    name, suffix, title = "tensorrt", ".engine", "a TensorRT engine"
    other_suffixes = (".plan", ".trt")
    runs_code = False  # on the GPU alone: TensorRT loads no host code from an engine unless it is told to
    libraries = ("torch",)

    def sniff(self, source: Source) -> bool:
        """By its beginning, after the header."""
        return source.data[_begin(source) :].startswith(MAGIC)

    def metadata(self, source: Source) -> dict[str, str]:
        """The header, as a text of JSON."""
        begin = _begin(source)
        return {"metadata.json": source.data[4:begin].decode()} if begin else {}

    def signature(self, source: Source) -> None:
        """None: only TensorRT tells, and without it there is no more to ask.

        Raises:
            SubmissionError: TensorRT is not installed.
        """
        if find_spec("tensorrt") is None:
            problem = f"{self.title}, and TensorRT is not installed here"
            raise source.error(problem, code="no-tensorrt", remedy=ELSEWHERE)

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """None: an engine is compiled."""
        return Listing(None, reason="a TensorRT engine is compiled, and does not tell its weights")

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> TensorRTBackend:
        """Deserialize it on the GPU; refused in one line where that cannot be."""
        import torch

        device = resolve_device(device, "TensorRT", lambda number: number < torch.cuda.device_count())
        if device == "cpu":
            problem = "a TensorRT engine, which runs on the kind of GPU that it was built for, and on nothing else"
            raise source.error(problem, code="no-such-device", remedy=ELSEWHERE)
        import tensorrt

        logger = tensorrt.Logger(tensorrt.Logger.ERROR)
        with torch.cuda.device(device):
            engine = tensorrt.Runtime(logger).deserialize_cuda_engine(source.data[_begin(source) :])
        if engine is None:
            problem = f"built for another GPU, or another version than TensorRT {tensorrt.__version__}"
            raise source.error(problem, code="cannot-open", remedy=ELSEWHERE)
        return TensorRTBackend(engine, device)


class TensorRTBackend:
    """An engine and one context of it, on one GPU; torch's tensors are its buffers."""

    def __init__(self, engine: tensorrt.ICudaEngine, device: str) -> None:
        import tensorrt

        self.device, self._engine, self._context = device, engine, engine.create_execution_context()
        names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)]
        inputs = [name for name in names if engine.get_tensor_mode(name) == tensorrt.TensorIOMode.INPUT]
        if len(inputs) != 1:
            problem = f"the engine takes {', '.join(inputs)}"
            raise SubmissionError(problem, code="inputs", remedy="export it with one input")
        self._input, self._outputs = inputs[0], [name for name in names if name not in inputs]

    def run(self, inputs: Inputs) -> Outputs:
        """One pass, in the types of the engine."""
        import tensorrt
        import torch

        (image,) = inputs.values()
        dtype = tensorrt.nptype(self._engine.get_tensor_dtype(self._input))
        buffers = {self._input: torch.from_numpy(np.ascontiguousarray(image, dtype)).to(self.device)}
        self._context.set_input_shape(self._input, image.shape)
        for name in self._outputs:
            kind = torch.from_numpy(np.empty(0, tensorrt.nptype(self._engine.get_tensor_dtype(name)))).dtype
            buffers[name] = torch.empty(tuple(self._context.get_tensor_shape(name)), dtype=kind, device=self.device)
        for name, buffer in buffers.items():
            self._context.set_tensor_address(name, buffer.data_ptr())
        stream = torch.cuda.current_stream(self.device)
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise RuntimeError("TensorRT could not run the engine on an image of this shape")
        stream.synchronize()
        return {name: buffers[name].cpu().numpy() for name in self._outputs}

    def facts(self) -> dict[str, Any]:
        """The GPU; an engine does not tell the types of its layers."""
        import tensorrt
        import torch

        told = {"runtime": f"TensorRT {tensorrt.__version__}", "provider": "CUDA"}
        return {"device": torch.cuda.get_device_name(self.device), "peak_memory": None} | told


def _begin(source: Source) -> int:
    """Where the engine begins: behind the header, if there is one."""
    end = 4 + int.from_bytes(source.data[:4], "little")
    try:
        told = json.loads(source.data[4:end]) if source.data[4:5] == b"{" else None
    except (ValueError, RecursionError):
        told = None
    return end if isinstance(told, dict) else 0


FORMAT = TensorRT()
