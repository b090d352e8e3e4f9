"""Numerical loops: compiling them, dropping compiled ones whose source has changed, and the noise they all share.

Noise is integer hashing and the four basic operations in double precision, the same bits on every machine, so that a
mask may depend on it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from wildbench.files import write_atomically

Function = TypeVar("Function", bound=Callable[..., object])


def kernel(function: Function) -> Function:
    """Compile a function by numba, kept on disk, run without the interpreter's lock, exact (no fast mathematics)."""
    return cast(Function, numba.njit(cache=True, nogil=True)(function))


def forget_stale_kernels(folder: Path) -> bool:
    """Drop a package's compiled kernels if any of its sources has changed since, and return whether one has.

    numba looks only at the file of a kernel itself, but the kernels it calls are compiled into it.
    """
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.rglob("*.py")))).hexdigest().encode()
    cache = folder / "__pycache__"
    stamp = cache / "kernels.sha256"
    if stamp.exists() and stamp.read_bytes() == digest:
        return False
    for index in folder.rglob("*.nbi"):
        index.unlink(missing_ok=True)
    # An installation that cannot be written to cannot be edited either; numba keeps its kernels elsewhere.
    with contextlib.suppress(OSError):
        write_atomically(stamp, digest)
    return True


forget_stale_kernels(Path(__file__).parent)


_TURNS = 4096
_ANGLES = np.arange(_TURNS) * (2.0 * np.pi / _TURNS)
COSINES: NDArray[np.float64] = np.round(np.cos(_ANGLES), 6)
SINES: NDArray[np.float64] = np.round(np.sin(_ANGLES), 6)


def turn(rng: np.random.Generator, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cosines and sines of `count` random angles, from a table rounded to six decimals."""
    index = rng.integers(0, _TURNS, count)
    return COSINES[index], SINES[index]


@kernel
def _lattice(ix: int, iy: int, seed: int) -> float:
    value = (ix * 374761393 + iy * 668265263 + seed * 1274126177) & 0xFFFFFFFF
    value = ((value ^ (value >> 13)) * 1274126177) & 0xFFFFFFFF
    return float((value ^ (value >> 16)) / 4294967296.0)


@kernel
def value_noise(x: float, y: float, seed: int) -> float:
    """Smooth noise in 0..1 at one point; lattice of step 1."""
    fx, fy = np.floor(x), np.floor(y)
    ix, iy, u, v = int(fx), int(fy), x - fx, y - fy
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    top = _lattice(ix, iy, seed) * (1.0 - u) + _lattice(ix + 1, iy, seed) * u
    bottom = _lattice(ix, iy + 1, seed) * (1.0 - u) + _lattice(ix + 1, iy + 1, seed) * u
    return float(top * (1.0 - v) + bottom * v)


@kernel
def fractal(x: float, y: float, seed: int, octaves: int) -> float:
    """Sum of `octaves` noises, each twice as fine and half as strong, scaled to 0..1."""
    total, weight, whole = 0.0, 1.0, 0.0
    for octave in range(octaves):
        total += weight * value_noise(x, y, seed + octave * 101)
        whole += weight
        weight *= 0.5
        x, y = x * 2.0 + 17.3, y * 2.0 + 9.7
    return total / whole


@kernel
def _fractal_of(x: NDArray[np.float64], y: NDArray[np.float64], seed: int, octaves: int) -> NDArray[np.float64]:
    result = np.empty(x.shape[0])
    for index in range(x.shape[0]):
        result[index] = fractal(x[index], y[index], seed, octaves)
    return result


def fractal_noise(
    x: NDArray[np.float64], y: NDArray[np.float64], *, seed: int, octaves: int = 4
) -> NDArray[np.float64]:
    """Fractal noise at each pair of coordinates, in 0..1, in the shape of `x`.

    Example:
        >>> fractal_noise(np.array([0.5, 7.25]), np.array([1.0, 2.0]), seed=3).round(6).tolist()
        [0.337693, 0.486235]
    """
    flat_x = np.ascontiguousarray(x, dtype=np.float64).ravel()
    flat_y = np.ascontiguousarray(y, dtype=np.float64).ravel()
    values: NDArray[np.float64] = _fractal_of(flat_x, flat_y, seed, octaves)
    return values.reshape(np.shape(x))
