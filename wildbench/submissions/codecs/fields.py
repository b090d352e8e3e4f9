"""What a record is, and reading one of which nothing is trusted."""

from __future__ import annotations

import math
from typing import Any, NamedTuple, Protocol

import torch

Record = dict[str, Any]
"""A stored tensor: {"codec": name, ...plain data, tensors and records inside it}."""

MOST_ELEMENTS = 2**28
"""More than this in one tensor is taken for a lie: the zoo's largest detector has 46 million in all."""

DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in (
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.int8,
        torch.int16,
        torch.int32,
        torch.int64,
        torch.uint8,
        torch.bool,
    )
}
"""Element types by the name that records give them."""

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


class Promise(NamedTuple):
    """What a record says that it decodes to, known before anything is allocated for it."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


class Codec(Protocol):
    """One way to store a tensor. Every method raises ValueError, KeyError or TypeError for a record that lies."""

    def promise(self, record: Record) -> Promise:
        """Shape and element type of the tensor, from the record's plain data."""

    def decode(self, record: Record) -> torch.Tensor:
        """The tensor that `record` stands for: the same bits on every machine."""

    def entropy(self, record: Record) -> float:
        """Bytes by Shannon: each code and each byte plane at the entropy of its shares, tables as they are stored."""

    def width(self, record: Record) -> int:
        """Bits of one stored number: what an element takes where nothing is left out and no entropy is coded."""

    def steps(self, record: Record) -> list[str]:
        """The chain that made it."""


def name_of(dtype: torch.dtype) -> str:
    """`torch.float32` is "float32".

    Example:
        >>> name_of(torch.float32)
        'float32'
    """
    return str(dtype).removeprefix("torch.")


def dtype_of(record: Record, allowed: tuple[torch.dtype, ...] | None = None) -> torch.dtype:
    """The record's `dtype`, one of those allowed."""
    dtype = DTYPES[record["dtype"]]
    if allowed is not None and dtype not in allowed:
        raise ValueError(f"dtype {name_of(dtype)} does not belong here")
    return dtype


def shape_of(record: Record) -> tuple[int, ...]:
    """The record's `shape`: at most eight sides, none negative, not too many elements."""
    sides = record["shape"]
    if not isinstance(sides, (list, tuple)) or len(sides) > 8:
        raise ValueError("shape is not a list of sides")
    if any(type(side) is not int or not 0 <= side <= MOST_ELEMENTS for side in sides):
        raise ValueError("a side of the shape is out of range")
    if math.prod(sides) > MOST_ELEMENTS:
        raise ValueError(f"more than {MOST_ELEMENTS} elements")
    return tuple(sides)


def integer(record: Record, key: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    value = record[key]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{key} is outside {low}..{high}")
    return value


def values_of(record: Record, key: str, dtypes: tuple[torch.dtype, ...] | None = None) -> torch.Tensor:
    """A tensor that a record holds: dense, contiguous, not larger than what is stored of it."""
    tensor = record[key]
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
        raise ValueError(f"{key} is not a dense tensor")
    if tensor.device.type != "cpu" or not tensor.is_contiguous() or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ValueError(f"{key} shows more than it stores")
    if dtypes is not None and tensor.dtype not in dtypes:
        raise ValueError(f"{key} is of {name_of(tensor.dtype)}")
    return tensor


def stored_bytes(record: Record, key: str = "data") -> torch.Tensor:
    """A string of bytes that a record holds."""
    data = values_of(record, key, (torch.uint8,))
    if data.dim() != 1:
        raise ValueError(f"{key} is not a string of bytes")
    return data


def require(holds: bool, problem: str) -> None:
    """Raise ValueError unless it holds."""
    if not holds:
        raise ValueError(problem)
