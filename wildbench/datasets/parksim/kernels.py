"""Compiling numerical loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function by numba, kept on disk, run without the interpreter's lock, exact (no fast mathematics)."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))
