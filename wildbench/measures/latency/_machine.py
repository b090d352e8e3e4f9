"""What the kernel and the driver count: processor time, waiting, throttling, clocks, heat, energy."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from wildbench.environment import usable_cpus
from wildbench.measures.latency._ports import Facts

CGROUP = Path("/sys/fs/cgroup")
PROCESSORS = Path("/sys/devices/system/cpu")
RAPL = Path("/sys/class/powercap")
HEAT = 0x4 | 0x8 | 0x20 | 0x40 | 0x80
"""NVML's reasons for a lower clock: power cap, hardware slowdown, software and hardware heat, power brake."""


def look(pids: Iterable[int], own: float, device: str = "cpu") -> Facts:
    """What the machine has counted up to now.

    Args:
        pids: The detector's processes.
        own: Processor seconds of wildbench and the detector.
        device: Where the detector runs.
    """
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    busy, stolen = _processors(set(cpus))
    facts = Facts(
        cpus=len(cpus) or usable_cpus(),
        busy=busy,
        own=own,
        stolen=stolen,
        waited=_waited(pids),
        throttled=_throttled(),
        heat=_total(f"cpu{cpu}/thermal_throttle/core_throttle_count" for cpu in cpus),
        clock=_clock(cpus),
        temperature=_temperature(),
        joules=joules(),
    )
    return _with_gpu(facts, int(device.rpartition(":")[2] or 0)) if device.startswith("cuda") else facts


def _processors(cpus: set[int]) -> tuple[float | None, float | None]:
    with contextlib.suppress(OSError, ValueError):
        tick = os.sysconf("SC_CLK_TCK")
        busy = stolen = 0
        for line in Path("/proc/stat").read_text().splitlines():
            name, *fields = line.split()
            if name[:3] == "cpu" and name[3:].isdecimal() and int(name[3:]) in cpus:
                user, nice, system, _, _, interrupts, soft, steal, *_ = map(int, fields)
                busy += user + nice + system + interrupts + soft
                stolen += steal
        return busy / tick, stolen / tick
    return None, None


def _waited(pids: Iterable[int]) -> float | None:
    """Seconds in the run queue, over all threads that there are."""
    waited: float | None = None
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            for thread in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    waited = (waited or 0.0) + int((thread / "schedstat").read_text().split()[1]) / 1e9
    return waited


@cache
def _cpu_stat() -> tuple[Path, str, float] | None:
    """Where the cgroup's quota is counted, by what name, and in which part of a second."""
    lines = Path("/proc/self/cgroup").read_text().splitlines() if Path("/proc/self/cgroup").exists() else []
    own = {kind: path.lstrip("/") for _, kind, path in (line.split(":", 2) for line in lines)}
    for kind, name, unit in (("", "throttled_usec", 1e-6), ("cpu", "throttled_time", 1e-9)):
        group = next((path for kinds, path in own.items() if kind in kinds.split(",")), "")
        for path in (CGROUP / kind / group / "cpu.stat", CGROUP / kind / "cpu.stat"):
            if path.is_file() and name in path.read_text():
                return path, name, unit
    return None


def _throttled() -> float | None:
    with contextlib.suppress(OSError, ValueError):
        if found := _cpu_stat():
            path, name, unit = found
            return next(int(line.split()[1]) * unit for line in path.read_text().splitlines() if name in line)
    return None


def _numbers(paths: Iterable[Path]) -> list[int]:
    numbers = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            numbers.append(int(path.read_text()))
    return numbers


def _total(names: Iterable[str]) -> int | None:
    numbers = _numbers(PROCESSORS / name for name in names)
    return sum(numbers) if numbers else None


def _clock(cpus: Iterable[int]) -> float | None:
    """The highest of the usable processors' clocks, in MHz: the one that works."""
    clocks = _numbers(PROCESSORS / f"cpu{cpu}/cpufreq/scaling_cur_freq" for cpu in cpus)
    return max(clocks) / 1000 if clocks else None


def _temperature() -> float | None:
    degrees = _numbers(Path("/sys/class/thermal").glob("thermal_zone*/temp"))
    return max(degrees) / 1000 if degrees else None


def joules() -> float | None:
    """Energy of the processor packages so far; None where it cannot be read."""
    packages = _numbers(path / "energy_uj" for path in RAPL.glob("intel-rapl:*") if path.name.count(":") == 1)
    return sum(packages) / 1e6 if packages else None


@cache
def _nvml() -> Any:  # noqa: ANN401 - a module without types
    with contextlib.suppress(ImportError):
        module = import_module("pynvml")
        with contextlib.suppress(module.NVMLError):
            module.nvmlInit()
            return module
    return None


def _with_gpu(facts: Facts, number: int) -> Facts:
    """With the clock, heat, energy and other processes of the accelerator in place of the processor's."""
    nvml = _nvml()
    if nvml is None:
        return facts
    device = nvml.nvmlDeviceGetHandleByIndex(number)
    read: dict[str, Any] = {}
    reads: dict[str, Callable[[], Any]] = {
        "slowed": lambda: bool(nvml.nvmlDeviceGetCurrentClocksEventReasons(device) & HEAT),
        "clock": lambda: float(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM)),
        "temperature": lambda: float(nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU)),
        "joules": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(device) / 1000,
        "others": lambda: max(0, len(nvml.nvmlDeviceGetComputeRunningProcesses(device)) - OURS),
    }
    for name, ask in reads.items():
        with contextlib.suppress(nvml.NVMLError, AttributeError):
            read[name] = ask()
    return Facts(**{**vars(facts), "heat": None, "clock": None, "temperature": None, "joules": None, **read})


OURS = 2
"""Processes of wildbench on an accelerator: the detector and the reference network."""
