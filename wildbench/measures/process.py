"""What the detector's process tells of itself: where it runs, and the most memory it has taken."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wildbench.submissions.opening import Opened

STATUS = Path("/proc/self/status")


def describe(opened: Opened, _image: object = None) -> dict[str, str | int | None]:
    """The device's name, and peak memory in bytes: resident, or on CUDA what torch allocated; runs in the child."""
    if opened.device == "cpu":
        return {"device": "cpu", "peak_memory": peak_resident()}
    if opened.module is None:  # ONNX Runtime's allocator keeps no record
        return {"device": opened.device, "peak_memory": None}
    import torch

    name = torch.cuda.get_device_name(opened.device)
    return {"device": name, "peak_memory": torch.cuda.max_memory_allocated(opened.device)}


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
