"""Compiling numerical loops, and dropping compiled ones when a source has changed."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba

from wildbench.files import write_atomically

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function by numba, kept on disk, run without the interpreter's lock, exact (no fast mathematics)."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def forget_stale_kernels(folder: Path) -> bool:
    """Drop a folder's compiled kernels if any of its sources has changed since they were compiled.

    numba looks only at the file of a kernel itself, but the kernels it calls are compiled into it.

    Args:
        folder: The package whose ``__pycache__`` holds the kernels.

    Returns:
        Whether the sources had changed.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest().encode()
    cache = folder / "__pycache__"
    stamp = cache / "kernels.sha256"
    if stamp.exists() and stamp.read_bytes() == digest:
        return False
    for index in cache.glob("*.nbi"):
        index.unlink(missing_ok=True)
    # An installation that cannot be written to cannot be edited either; numba keeps its kernels elsewhere.
    with contextlib.suppress(OSError):
        write_atomically(stamp, digest)
    return True


forget_stale_kernels(Path(__file__).parent)
