"""What the detector's process tells of itself: where it runs, and the most memory it has taken."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, NonNegativeInt

if TYPE_CHECKING:
    from wildbench.submissions.opening import Opened

STATUS = Path("/proc/self/status")


class Process(BaseModel):
    """The detector's process, at the end of a pass."""

    device: str
    """"cpu", or the CUDA device's name."""
    peak_memory: NonNegativeInt | None
    """Bytes; None where nothing keeps a record."""


def describe(opened: Opened, _image: object = None) -> dict[str, Any]:
    """Describe this process; runs in the child."""
    if opened.device == "cpu":
        return Process(device="cpu", peak_memory=peak_resident()).model_dump()
    import torch

    peak = None if opened.module is None else torch.cuda.max_memory_allocated(opened.device)
    return Process(device=torch.cuda.get_device_name(opened.device), peak_memory=peak).model_dump()


def peak_resident() -> int:
    """Peak resident memory of this process in bytes.

    Linux's `ru_maxrss` counts what the parent had when it started this process, across fork and exec; `VmHWM` does not.

    Example:
        >>> peak_resident() > 2**20
        True
    """
    if STATUS.exists():
        fields = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
