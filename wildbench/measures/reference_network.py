"""The reference network: a fixed small convolutional network that tells how fast this machine is right now.

A 3 x 3 convolution of stride 2 and six MobileNet blocks (Howard et al., 2017: a 3 x 3 depthwise and a 1 x 1
convolution), on a 320 x 320 image; rectified, without normalisation; weights and input from a fixed seed. On a CPU it
is numpy alone: the unit is the same whether torch or ONNX Runtime runs the detector. On CUDA it is the same network in
torch. It runs in a process of its own, `python -m wildbench.measures.reference_network`, where no submission's code
is, and while the detector's processes are stopped: ONNX Runtime's threads spin for a while after a run, and on two
CPUs double its time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[np.float32]

SIDE = 320
CHANNELS = (3, 16, 32, 32, 64, 64, 128, 128)
STRIDES = (2, 2, 1, 2, 1, 2, 1)
DESCRIPTION = "7-layer MobileNet-style network, 320 x 320, float32, seed 0"


LIBRARIES = ("OMP_", "OPENBLAS_", "GOTO_", "MKL_", "KMP_")
"""Beginnings of the variables that would give its libraries other threads than the detector has."""


class Reference:
    """The network in its own process, until `close`.

    Args:
        device: "cpu", "cuda:0": the detector's; None where `place` tells it later, and the process starts meanwhile.
        threads: CPU threads: the detector's.

    Example:
        >>> with Reference("cpu", threads=1) as reference:
        ...     0 < reference.seconds() < 10
        True
    """

    def __init__(self, device: str | None, threads: int) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(LIBRARIES)}
        environment |= {"OMP_NUM_THREADS": str(threads), "OPENBLAS_THREAD_TIMEOUT": "4"}  # its threads sleep at once
        environment["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        command = [sys.executable, "-m", __name__]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, start_new_session=True)
        self._placed = False
        if device is not None:
            self.place(device)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def place(self, device: str) -> None:
        """Tell it where to run, once."""
        if not self._placed:
            self._placed = True
            self._write(device)

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def seconds(self) -> float:
        """Time of one pass. One goes before it untimed: what the detector left in the caches is not its own."""
        self._write("")
        assert self._process.stdout is not None
        return float(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


def serve() -> None:
    """Read the device, and time a pass for each further line that comes."""
    once = _network(sys.stdin.readline().strip())
    for _ in sys.stdin:
        once()
        begin = time.perf_counter()
        once()
        sys.stdout.write(f"{time.perf_counter() - begin}\n")
        sys.stdout.flush()


def _network(device: str) -> Callable[[], object]:
    image, stem, blocks = weights()
    if device == "cpu":
        return lambda: forward(image, stem, blocks)
    return _on_cuda(device)


def weights() -> tuple[Array, Array, list[tuple[Array, Array]]]:
    """Input [3, 320, 320], stem [C_out, 3, 3, 3], and for each block its depthwise [C, 3, 3] and 1 x 1 [C_out, C]."""
    generator = np.random.default_rng(0)

    def normal(*shape: int) -> Array:
        return generator.standard_normal(shape, np.float32) / np.float32(np.sqrt(np.prod(shape[1:])))

    image = generator.random((CHANNELS[0], SIDE, SIDE), np.float32)
    stem = normal(CHANNELS[1], CHANNELS[0], 3, 3)
    widths = CHANNELS[1:]
    return image, stem, [(normal(a, 3, 3), normal(b, a)) for a, b in pairwise(widths)]


def forward(image: Array, stem: Array, blocks: list[tuple[Array, Array]]) -> Array:
    """The network in numpy: float32 [C_out, 20, 20]."""
    taps = [tap.reshape(len(image), -1) for tap in _taps(image, STRIDES[0])]
    found = np.maximum(stem.transpose(0, 2, 3, 1).reshape(len(stem), -1) @ np.concatenate(taps), 0)
    side = SIDE // STRIDES[0]
    for (depthwise, pointwise), stride in zip(blocks, STRIDES[1:], strict=True):
        planes = found.reshape(-1, side, side)
        side //= stride
        total = np.zeros((len(planes), side, side), np.float32)
        for weight, tap in zip(depthwise.reshape(len(planes), 9).T, _taps(planes, stride), strict=True):
            total += weight[:, None, None] * tap
        found = np.maximum(pointwise @ total.reshape(len(total), -1), 0)
    return found.reshape(-1, side, side)


def _taps(planes: Array, stride: int) -> list[Array]:
    """The nine shifted views of [C, H, W] planes that a padded 3 x 3 kernel of this stride sees."""
    height, width = planes.shape[1:]
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    return [padded[:, i : i + height : stride, j : j + width : stride] for i in range(3) for j in range(3)]


def _on_cuda(device: str) -> Callable[[], None]:
    import torch

    network = torch_network().to(device)
    image = torch.from_numpy(weights()[0])[None].to(device)

    def once() -> None:
        with torch.inference_mode():
            network(image)
        torch.cuda.synchronize(device)

    return once


def torch_network() -> torch.nn.Sequential:
    """The same network in torch, with the same weights."""
    import torch
    from torch import nn

    _, stem, blocks = weights()
    layers: list[nn.Module] = [nn.Conv2d(3, len(stem), 3, STRIDES[0], 1, bias=False), nn.ReLU()]
    kernels = [stem]
    for (depthwise, pointwise), stride in zip(blocks, STRIDES[1:], strict=True):
        inner, outer = pointwise.shape[1], pointwise.shape[0]
        layers += [nn.Conv2d(inner, inner, 3, stride, 1, groups=inner, bias=False)]
        layers += [nn.Conv2d(inner, outer, 1, bias=False), nn.ReLU()]
        kernels += [depthwise[:, None], pointwise[:, :, None, None]]
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    for layer, kernel in zip(convolutions, kernels, strict=True):
        layer.weight = nn.Parameter(torch.from_numpy(kernel), requires_grad=False)
    return nn.Sequential(*layers).eval()


if __name__ == "__main__":
    serve()
