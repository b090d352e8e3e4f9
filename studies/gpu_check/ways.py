"""Ways to run one network, each as a call without arguments on the stream of a port."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torchvision import models

from wildbench.measures.latency import CudaPort, Facts
from wildbench.measures.reference_network import torch_network

SIDE = 320

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "reference network": torch_network,
    "MobileNetV3-Large": lambda: models.mobilenet_v3_large(weights=None).features,
    "ResNet-18": lambda: nn.Sequential(*list(models.resnet18(weights=None).children())[:-2]),
}
"""Bodies of detectors, whose shapes stay the same, so that each can be captured and exported."""


class HostPort:
    """The port of a network in this process, on the CPU."""

    def now(self) -> float:
        """Seconds."""
        return time.perf_counter()

    record = now

    def elapsed(self, start: float, end: float) -> float:
        """Seconds between two marks."""
        return end - start

    def sync(self) -> None:
        """Nothing is under way."""

    def facts(self) -> Facts:
        """None: who runs this watches the machine."""
        return Facts()


@dataclass(frozen=True)
class Way:
    """One way to run a network.

    Attributes:
        name: "torch", "torch, CUDA graph", "ONNX Runtime, CUDA".
        call: Runs it once; on CUDA it returns before the device has finished.
        check: Its output in numpy, which must be that of torch.
    """

    name: str
    call: Callable[[], object]
    check: Callable[[], np.ndarray]


def port_of(device: str) -> Any:  # noqa: ANN401 - either port
    """The port of a device."""
    return HostPort() if device == "cpu" else CudaPort(device)


def ways(network: nn.Module, device: str, port: Any) -> Iterator[Callable[[], Way]]:  # noqa: ANN401
    """Makers of every way, each of which may raise where it is not to be had."""
    network = network.eval().to(device)
    image = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)).to(device)
    yield lambda: _torch("torch", network, image, port)
    yield lambda: _torch("torch, channels_last", network, image.to(memory_format=torch.channels_last), port)
    yield lambda: _torch("torch.compile", torch.compile(network), image, port)
    if device != "cpu":
        yield lambda: _graph(network, image, port)
    providers = ["CPUExecutionProvider"] if device == "cpu" else ["CUDAExecutionProvider", "TensorrtExecutionProvider"]
    for provider in providers:
        yield lambda provider=provider: _onnx(network, image, provider, device, port)  # type: ignore[misc]


def _stream(port: Any) -> Any:  # noqa: ANN401
    return torch.cuda.stream(port.stream) if hasattr(port, "stream") else nullcontext()


def _torch(name: str, network: Callable[..., torch.Tensor], image: torch.Tensor, port: Any) -> Way:  # noqa: ANN401
    def call() -> torch.Tensor:
        with torch.inference_mode(), _stream(port):
            return network(image)

    call()
    return Way(name, call, lambda: _numpy(call(), port))


def _graph(network: nn.Module, image: torch.Tensor, port: CudaPort) -> Way:
    kept: list[torch.Tensor] = []

    def once() -> None:
        with torch.inference_mode():
            kept[:] = [network(image)]

    replay = port.captured(once)

    def call() -> None:
        with torch.cuda.stream(port.stream):
            replay()

    def check() -> np.ndarray:
        call()
        return _numpy(kept[0], port)

    return Way("torch, CUDA graph", call, check)


def _numpy(tensor: torch.Tensor, port: Any) -> np.ndarray:  # noqa: ANN401
    port.sync()
    return np.asarray(tensor.float().cpu().numpy())


def _onnx(network: nn.Module, image: torch.Tensor, provider: str, device: str, port: Any) -> Way:  # noqa: ANN401
    import onnxruntime

    file = io.BytesIO()
    export: Any = torch.onnx.export  # its type names no file in memory, which it takes
    export(network, (image,), file, input_names=["image"], output_names=["features"], dynamo=False)
    options: dict[str, Any] = {}
    if hasattr(port, "stream"):
        options = {"device_id": torch.device(device).index or 0, "user_compute_stream": str(port.stream.cuda_stream)}
    session = onnxruntime.InferenceSession(file.getvalue(), providers=[(provider, options)])
    if session.get_providers()[0] != provider:  # it would take the CPU with a mere warning
        raise RuntimeError(f"onnxruntime runs it by {session.get_providers()[0]}, not by {provider}")
    binding, output = session.io_binding(), torch.empty_like(network(image))
    kind, number = image.device.type, image.device.index or 0
    shape, at = tuple(image.shape), image.contiguous()
    binding.bind_input("image", kind, number, np.float32, shape, at.data_ptr())
    binding.bind_output("features", kind, number, np.float32, tuple(output.shape), output.data_ptr())

    def call() -> object:
        _ = at  # whose memory is bound
        session.run_with_iobinding(binding)
        return None

    def check() -> np.ndarray:
        call()
        return _numpy(output, port)

    return Way(f"ONNX Runtime, {provider.removesuffix('ExecutionProvider')}", call, check)
