"""The machine and the versions a scorecard comes from."""

from __future__ import annotations

import contextlib
import os
import platform
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from wildbench.scorecard import Environment

PACKAGES = (
    "ai-edge-litert",
    "hotcoco",
    "numpy",
    "onnxruntime",
    "onnxruntime-gpu",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
    "opencv-python",
    "opencv-python-headless",
    "openvino",
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


def gpu_model() -> str | None:
    """The first graphics processor's name, as torch gives it where it is imported already, else as the driver does."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None
    for information in sorted(Path("/proc/driver/nvidia/gpus").glob("*/information")):
        for line in information.read_text().splitlines():
            if line.startswith("Model:"):
                return line.partition(":")[2].strip()
    return None


def usable_cpus() -> int:
    """How many CPUs this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def versions(distributions: Iterable[str]) -> dict[str, str]:
    """Their installed versions; those that are not installed are left out.

    Example:
        >>> list(versions(["numpy", "no such package"]))
        ['numpy']
    """
    installed = {}
    for name in distributions:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[name] = metadata.version(name)
    return installed


def describe_environment() -> Environment:
    """Describe this process's machine and packages.

    Example:
        >>> describe_environment().cpu_count > 0
        True
    """
    return Environment(
        wildbench=metadata.version("wildbench"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu=cpu_model(),
        cpu_count=usable_cpus(),
        gpu=gpu_model(),
        packages=versions(PACKAGES),
    )
