"""Compiling the loops of matching and resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function by numba, kept on disk, run without the interpreter's lock, exact (no fast mathematics).

    A kernel may call kernels of its own file only: numba looks at no other to see whether what it kept is stale.
    """
    return cast(Function, numba.njit(cache=True, nogil=True, error_model="numpy")(function))
