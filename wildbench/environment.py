"""The machine and the versions a scorecard comes from."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from wildbench.scorecard import Environment

PACKAGES = ("hotcoco", "numpy", "onnxruntime", "opencv-python-headless", "torch", "torchvision")


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def describe_environment() -> Environment:
    """Describe this process's machine and packages.

    Example:
        >>> describe_environment().cpu_count > 0
        True
    """
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Environment(
        wildbench=metadata.version("wildbench"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(),
        cpu_count=usable,
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        packages={name: metadata.version(name) for name in PACKAGES},
    )
