"""Names of devices: "cpu", "cuda", "cuda:N", and "auto" for CUDA where there is one."""

from __future__ import annotations

from collections.abc import Callable

from wildbench.errors import SubmissionError


def resolve(device: str, library: str, has_cuda: Callable[[int], bool]) -> str:
    """The device that a name stands for: "cpu" or "cuda:N".

    Args:
        device: "cpu", "cuda", "cuda:N" or "auto".
        library: What runs the network, for the message.
        has_cuda: Whether it has the CUDA device of a number.

    Raises:
        SubmissionError: There is no such device.

    Example:
        >>> resolve("auto", "torch", lambda number: number < 2), resolve("cuda:1", "torch", lambda number: number < 2)
        ('cuda:0', 'cuda:1')
    """
    if device == "cpu" or (device == "auto" and not has_cuda(0)):
        return "cpu"
    kind, colon, number = ("cuda" if device == "auto" else device).partition(":")
    index = int(number) if number.isdecimal() else None if colon else 0
    if kind != "cuda" or index is None or not has_cuda(index):
        raise SubmissionError(
            f"{library} has no device {device!r} here",
            code="no-such-device",
            remedy=f"use --device cpu, or a build of {library} for CUDA",
        )
    return f"cuda:{index}"
