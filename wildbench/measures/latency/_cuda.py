"""The port of a CUDA device: its own events on the stream of the work, beside NVML's counts. Untouched by CPU runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from wildbench.measures.latency._machine import look
from wildbench.measures.latency._ports import Facts


class CudaPort:
    """Events on a stream of this process.

    Args:
        device: "cuda:0".
    """

    def __init__(self, device: str) -> None:
        import torch

        self._torch: Any = torch
        self._device = torch.device(device)
        self.stream = self._torch.cuda.Stream(self._device)

    def now(self) -> float:
        """Seconds of the host."""
        return time.perf_counter()

    def record(self) -> Any:  # noqa: ANN401 - torch.cuda.Event
        """An event behind what the stream was given so far."""
        event = self._torch.cuda.Event(enable_timing=True)
        event.record(self.stream)
        return event

    def elapsed(self, start: Any, end: Any) -> float:  # noqa: ANN401
        """Seconds of the device."""
        return float(start.elapsed_time(end)) / 1000

    def sync(self) -> None:
        """Wait for the stream."""
        self.stream.synchronize()

    def facts(self) -> Facts:
        """What NVML and the kernel have counted."""
        return look([], time.process_time(), str(self._device))

    def captured(self, call: Callable[[], object]) -> Callable[[], object]:
        """The call as a CUDA graph, which is captured here and only replayed later; it may not leave the stream."""
        with self._torch.cuda.stream(self.stream):
            for _ in range(3):  # capture must not meet a first run
                call()
        self.sync()
        graph = self._torch.cuda.CUDAGraph()
        with self._torch.cuda.graph(graph, stream=self.stream):
            call()
        replay: Callable[[], object] = graph.replay
        return replay
