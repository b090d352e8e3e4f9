"""A bitmask and the elements that are not zero: one bit an element, or one a block, as MicroNet's rules count it."""

from __future__ import annotations

import math

import numpy as np
import torch

from wildbench.submissions.codecs.fields import (
    Codec,
    Promise,
    Record,
    dtype_of,
    integer,
    name_of,
    require,
    shape_of,
)
from wildbench.submissions.codecs.huffman import HUFFMAN
from wildbench.submissions.codecs.packing import PACKED, Bytes, shannon
from wildbench.submissions.codecs.plain import RAW

FLAT: dict[str, Codec] = {"raw": RAW, "packed": PACKED, "huffman": HUFFMAN}
"""How the mask and the non-zero elements may be stored."""

WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of an element → whole numbers of that size, which numpy has for every type of torch's."""

LARGEST_BLOCK = 64
"""Rows or columns."""


class Sparse:
    """Zeros left out: {"dtype", "shape", "block", "mask", "values"}.

    `mask` is a record of ones and zeros, one a block of `block[0]` rows x `block[1]` columns of the tensor seen as a
    matrix (its first side x all others), row after row of blocks; the last blocks of a side may be cut. `values` is a
    record of the elements of the blocks whose bit is one, in the order of the tensor. A block of 1 x 1 is an element.
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

    def promise(self, record: Record) -> Promise:
        """Before anything is decoded."""
        return Promise(shape_of(record), dtype_of(record))

    def decode(self, record: Record) -> torch.Tensor:
        """Put the values where the mask says."""
        shape, dtype = self.promise(record)
        rows, columns = _sides(shape)
        block = self._block(record)
        grid = (-(-rows // block[0]), -(-columns // block[1]))
        bits = self._mask(record, math.prod(grid))
        chosen = _elements(bits.reshape(grid), block, rows, columns)
        codec, inner = _flat(record, "values")
        kept = int(chosen.count_nonzero())
        require(
            codec.promise(inner) == Promise((kept,), dtype), f"the mask keeps {kept} elements, and the values differ"
        )
        whole = WHOLE[dtype.itemsize]
        out = torch.zeros(rows, columns, dtype=dtype)
        out.view(whole).numpy()[chosen.numpy()] = codec.decode(inner).view(whole).numpy()  # torch lists every index
        return out.reshape(shape)

    def entropy(self, record: Record) -> float:
        """Of the mask's bits and of the values."""
        codec, inner = _flat(record, "values")
        mask, bits = _flat(record, "mask")
        return shannon(mask.decode(bits).numpy()) + codec.entropy(inner)

    def width(self, record: Record) -> int:
        """Of a value."""
        codec, inner = _flat(record, "values")
        return codec.width(inner)

    def steps(self, record: Record) -> list[str]:
        """Itself, and how its parts are stored."""
        block, coded = (
            self._block(record),
            any("huffman" in _flat(record, key)[1]["codec"] for key in ("mask", "values")),
        )
        name = "sparse" if block == (1, 1) else f"sparse:{block[0]}x{block[1]}"
        return [name, "huffman"] if coded else [name]

    def _mask(self, record: Record, count: int) -> Bytes:
        codec, inner = _flat(record, "mask")
        require(codec.promise(inner) == Promise((count,), torch.uint8), f"no mask of {count} bits")
        bits: Bytes = codec.decode(inner).numpy()
        require(not count or int(bits.max()) <= 1, "a mask of other numbers than 0 and 1")
        return bits

    def _block(self, record: Record) -> tuple[int, int]:
        sides = record["block"]
        require(isinstance(sides, list) and len(sides) == 2, "block is no pair")
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


def _flat(record: Record, key: str) -> tuple[Codec, Record]:
    inner: Record = record[key]
    return FLAT[inner["codec"]], inner


SPARSE = Sparse()
