"""Storing a tensor without loss: as it is, packed, Huffman-coded, or as a bitmask and the non-zero elements."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from wildbench.submissions.codecs.packing import (
    FLOATS,
    HUFFMAN,
    PACKED,
    RAW,
    Bytes,
    Codec,
    Promise,
    Record,
    dtype_of,
    integer,
    name_of,
    require,
    shannon,
    shape_of,
    values_of,
)

FLAT: dict[str, Codec] = {"raw": RAW, "packed": PACKED, "huffman": HUFFMAN}
"""How the mask and the non-zero elements may be stored."""

WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of an element → whole numbers of that size, which numpy has for every type of torch's."""

LARGEST_BLOCK = 64
"""Rows or columns."""


class Sparse(Codec):
    """Zeros left out: {"dtype", "shape", "block", "mask", "values"}.

    `mask` is a record of ones and zeros, one for each block of `block[0]` rows x `block[1]` columns of the tensor seen
    as a matrix (its first side x all others), row after row of blocks; the last blocks of a side may be cut. `values`
    is a record of the elements of the blocks whose bit is one, in the order of the tensor. A block of 1 x 1 is an
    element.
    """

    def split(self, tensor: torch.Tensor, block: tuple[int, int]) -> tuple[Record, torch.Tensor, torch.Tensor]:
        """The plain data of the record, the mask (uint8) and the values that it keeps."""
        rows, columns = _sides(tuple(tensor.shape))
        matrix = tensor.reshape(rows, columns)
        height, width = block
        mask = np.zeros((-(-rows // height), -(-columns // width)), np.uint8)
        filled = (matrix != 0).numpy()
        for row in range(min(height, rows)):
            for column in range(min(width, columns)):
                there = filled[row::height, column::width]
                mask[: there.shape[0], : there.shape[1]] |= there
        plain = {"codec": "sparse", "dtype": name_of(tensor.dtype), "shape": list(tensor.shape), "block": list(block)}
        return plain, torch.from_numpy(mask.reshape(-1)), matrix[_elements(mask, block, rows, columns)]

    def decode(self, record: Record) -> torch.Tensor:
        """Put the values where the mask says."""
        shape, dtype = self.promise(record)
        rows, columns = _sides(shape)
        block = self._block(record)
        grid = (-(-rows // block[0]), -(-columns // block[1]))
        bits = self._mask(record, math.prod(grid))
        chosen = _elements(bits.reshape(grid), block, rows, columns)
        codec, inner = _part(record, "values")
        count = int(chosen.count_nonzero())
        require(codec.promise(inner) == Promise((count,), dtype), f"not the {count} values that the mask keeps")
        whole = WHOLE[dtype.itemsize]
        out = torch.zeros(rows, columns, dtype=dtype)
        out.view(whole).numpy()[chosen.numpy()] = codec.decode(inner).view(whole).numpy()  # torch lists every index
        return out.reshape(shape)

    def entropy(self, record: Record) -> float:
        """Of the mask's bits and of the values."""
        codec, inner = _part(record, "values")
        mask, bits = _part(record, "mask")
        return shannon(mask.decode(bits).numpy()) + codec.entropy(inner)

    def width(self, record: Record) -> int:
        """Of a value."""
        codec, inner = _part(record, "values")
        return codec.width(inner)

    def steps(self, record: Record) -> list[str]:
        """Itself, and how its parts are stored."""
        block = self._block(record)
        coded = any("huffman" in _part(record, key)[1]["codec"] for key in ("mask", "values"))
        name = "sparse" if block == (1, 1) else f"sparse:{block[0]}x{block[1]}"
        return [name, "huffman"] if coded else [name]

    def _mask(self, record: Record, count: int) -> Bytes:
        codec, inner = _part(record, "mask")
        require(codec.promise(inner) == Promise((count,), torch.uint8), f"no mask of {count} bits")
        bits: Bytes = codec.decode(inner).numpy()
        require(not count or int(bits.max()) <= 1, "a mask of other numbers than 0 and 1")
        return bits

    def _block(self, record: Record) -> tuple[int, int]:
        sides = record["block"]
        require(isinstance(sides, list) and len(sides) == 2, "block is not a pair")
        height, width = (integer({"block": side}, "block", 1, LARGEST_BLOCK) for side in sides)
        return height, width


def _sides(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of a tensor seen as a matrix; a vector is one row."""
    return (1, math.prod(shape)) if len(shape) < 2 else (shape[0], math.prod(shape[1:]))


def _elements(mask: Bytes, block: tuple[int, int], rows: int, columns: int) -> torch.Tensor:
    """Which elements lie in blocks whose bit is one."""
    grid = torch.from_numpy(mask).bool()
    if block != (1, 1):
        grid = grid.repeat_interleave(block[0], 0)[:rows].repeat_interleave(block[1], 1)[:, :columns]
    return grid


def _part(record: Record, key: str) -> tuple[Codec, Record]:
    inner: Record = record[key]
    return FLAT[inner["codec"]], inner


SPARSE = Sparse()

STORAGE: dict[str, Codec] = {**FLAT, "sparse": SPARSE}
"""Every way to store a tensor as it is."""

RECORD_BYTES = 16
"""About what a record's plain data take in the file, beside the tensors in it."""


@dataclass(frozen=True)
class Steps:
    """What may be done to make a tensor smaller; what does not make it smaller is not done.

    Attributes:
        block: Rows and columns of the blocks whose zeros are left out; None leaves none out.
        huffman: Whether to code by Huffman's code.
    """

    block: tuple[int, int] | None = None
    huffman: bool = False


def store(tensor: torch.Tensor, bits: int | None, steps: Steps) -> Record:
    """The smallest record of a tensor.

    Args:
        tensor: Contiguous, on the CPU.
        bits: Width of each code (uint8), all of which are below 2^bits; None for anything else.
        steps: What may be done.

    Example:
        >>> store(torch.tensor([0, 3, 0], dtype=torch.uint8), 2, Steps())["data"].tolist()
        [12]
    """
    records = [_flat(tensor, bits, steps.huffman)]
    if steps.block is not None and tensor.numel():
        plain, mask, values = SPARSE.split(tensor, steps.block)
        parts = {"mask": _flat(mask, 1, steps.huffman), "values": _flat(values, bits, steps.huffman)}
        records.append({**plain, **parts})
    return min(records, key=cost)


def _flat(tensor: torch.Tensor, bits: int | None, huffman: bool) -> Record:
    records = [RAW.encode(tensor) if bits is None else PACKED.encode(tensor, bits)]
    if huffman:
        records.append(HUFFMAN.encode(tensor, bits or 8))
    return min(records, key=cost)


def cost(record: Record) -> int:
    """Bytes that a record takes in a file, as far as it can be told from the record alone."""
    return sum(tensor.nbytes for tensor in tensors_in(record)) + RECORD_BYTES * sum(1 for _ in _records_in(record))


def tensors_in(record: Record) -> Iterator[torch.Tensor]:
    """The tensors that a record and the records in it hold, in a fixed order."""
    for inner in _records_in(record):
        yield from (value for _, value in sorted(inner.items()) if isinstance(value, torch.Tensor))


def _records_in(record: Record) -> Iterator[Record]:
    yield record
    for _, value in sorted(record.items()):
        if isinstance(value, dict):
            yield from _records_in(value)


class Layered(Codec):
    """A codec over the record, or the tensor, that a record has under `key`; it promises codes of the same shape."""

    name: str
    key: str
    tables: tuple[str, ...] = ()
    dtypes: tuple[torch.dtype, ...] = FLOATS
    codes = torch.uint8

    def promise(self, record: Record) -> Promise:
        """Before anything is decoded."""
        return Promise(shape_of(record), dtype_of(record, self.dtypes))

    def entropy(self, record: Record) -> float:
        """Of the inner record, and the tables as stored."""
        codec, inner = self.inner(record)
        return codec.entropy(inner) + sum(values_of(record, table).nbytes for table in self.tables)

    def width(self, record: Record) -> int:
        """Of a code."""
        codec, inner = self.inner(record)
        return codec.width(inner)

    def steps(self, record: Record) -> list[str]:
        """Its name, and how the inner record is stored."""
        codec, inner = self.inner(record)
        return [self.name, *codec.steps(inner)]

    def inner(self, record: Record) -> tuple[Codec, Record]:
        """The inner record and its codec; ValueError where it promises another shape or type."""
        inner: Any = record[self.key]
        codec = STORAGE[inner["codec"]]
        require(codec.promise(inner) == (shape_of(record), self.codes), f"{self.key} promises another shape or type")
        return codec, inner
