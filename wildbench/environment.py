"""The machine and the versions a scorecard comes from."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from wildbench.scorecard import Environment

PACKAGES = (
    "hotcoco",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
    "torch",
    "torchvision",
)
"""Distributions that figures depend on; some are variants of one package, of which one is installed."""


def cpu_model() -> str:
    """The processor's name as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Their installed versions; those that are not installed are left out.

    Example:
        >>> list(versions(["numpy", "no such package"]))
        ['numpy']
    """
    found = {}
    for name in distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def describe_environment() -> Environment:
    """Describe this process's machine and packages.

    Example:
        >>> describe_environment().cpu_count > 0
        True
    """
    import torch

    return Environment(
        wildbench=metadata.version("wildbench"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(),
        cpu_count=usable_cpus(),
        gpu=torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        packages=versions(PACKAGES),
    )
