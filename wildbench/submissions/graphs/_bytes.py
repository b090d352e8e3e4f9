"""Bytes of a graph's file: flatbuffers, read without their schema's generated code, and the numbers of a stored tensor.

https://flatbuffers.dev/internals/ describes a flatbuffer's layout. Its fields go by number, every offset is checked.
The numbers are those of the schema, counted from 0; a union has two, of its type and of its value.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

SIGNLESS = {"bfloat16": ("uint16", 0x7FFF), "float8_e4m3fn": ("uint8", 0x7F), "float8_e5m2": ("uint8", 0x7F)}
"""Floats that numpy does not know, and what is left of their bits without the sign: 0 for 0 and for -0."""

PLAIN = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64))}
PLAIN |= {"float16", "float32", "float64"}


Key = TypeVar("Key")


def made_of(names: Iterable[Key], inputs: Callable[[Key], Iterable[Key] | None]) -> set[Key]:
    """All that some tensors are made of, themselves included.

    Args:
        names: Where to begin.
        inputs: Of what a tensor is made directly: nothing where it is stored, given, or a product.

    Example:
        >>> sorted(made_of(["c"], {"c": ["a", "b"]}.get))
        ['a', 'b', 'c']
    """
    found: set[Key] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += inputs(name) or ()
    return found


class Table:
    """A table within a flatbuffer; whatever is damaged or out of bounds raises ValueError.

    Example:
        >>> Table.root(bytes.fromhex("0c000000 0000 0600 0800 0400 06000000 2a000000")).number(0)
        42
    """

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.start = data, start
        self._fields = start - self._read("<i", start)
        self._end = self._read("<H", self._fields)

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The table that the first four bytes point to."""
        return cls(data, int(np.frombuffer(data, "<u4", 1)[0]))

    def number(self, field: int, layout: str = "<i", default: int = 0) -> int:
        """A scalar, by its layout as `struct` writes it."""
        position = self._position(field)
        return default if position is None else self._read(layout, position)

    def table(self, field: int) -> Table | None:
        """A table, or the value of a union."""
        position = self._position(field)
        return None if position is None else Table(self.data, position + self._read("<I", position))

    def child(self, field: int) -> Table:
        """A table without which the file says nothing."""
        table = self.table(field)
        if table is None:
            raise ValueError("a table is missing")
        return table

    def numbers(self, field: int, dtype: str) -> npt.NDArray[Any]:
        """A vector of scalars, as a view of the file."""
        position = self._position(field)
        if position is None:
            return np.empty(0, dtype)
        position += self._read("<I", position)
        return np.frombuffer(self.data, dtype, self._read("<I", position), position + 4)

    def tables(self, field: int) -> list[Table]:
        """A vector of tables."""
        position = self._position(field)
        if position is None:
            return []
        first = position + self._read("<I", position) + 4
        return [Table(self.data, first + 4 * at + int(to)) for at, to in enumerate(self.numbers(field, "<u4"))]

    def texts(self, field: int) -> list[str]:
        """A vector of strings."""
        position = self._position(field)
        if position is None:
            return []
        first = position + self._read("<I", position) + 4
        places = [first + 4 * at + int(to) for at, to in enumerate(self.numbers(field, "<u4"))]
        return [
            np.frombuffer(self.data, "u1", self._read("<I", at), at + 4).tobytes().decode(errors="replace")
            for at in places
        ]

    def text(self, field: int) -> str:
        """A string; empty where it is absent."""
        return self.numbers(field, "u1").tobytes().decode(errors="replace")

    def _position(self, field: int) -> int | None:
        entry = 4 + 2 * field
        offset = self._read("<H", self._fields + entry) if entry < self._end else 0
        return self.start + offset if offset else None

    def _read(self, layout: str, position: int) -> int:
        if position < 0:
            raise ValueError("an offset points before the first byte")
        try:
            return int(struct.unpack_from(layout, self.data, position)[0])
        except struct.error as error:
            raise ValueError(str(error)) from None


def stored_values(data: bytes, dtype: str, elements: int) -> npt.NDArray[Any] | None:
    """As many numbers as there are elements, in which 0 stands for 0; None for a type that is not known.

    A number may take less than a byte, or be of a type that numpy does not know.
    Numbers of 1, 2 or 4 bits are packed from the lowest bits of each byte up, as LiteRT and OpenVINO have them.

    Raises:
        ValueError: There are fewer bytes.

    Example:
        >>> stored_values(bytes([0xF1, 0x08]), "int4", 3).tolist()
        [1, -1, -8]
    """
    if dtype in SIGNLESS:
        kind, mask = SIGNLESS[dtype]
        floats: npt.NDArray[Any] = np.frombuffer(data, kind, elements)
        return floats & mask
    if dtype in PLAIN:
        return np.frombuffer(data, dtype, elements)
    narrow = re.fullmatch("(u?)int([124])", "uint4" if dtype == "nf4" else dtype)
    if narrow is None:
        return None
    bits = int(narrow[2])
    packed = np.frombuffer(data, np.uint8, -(-elements * bits // 8))
    codes = packed[:, None] >> np.arange(0, 8, bits) & (2**bits - 1)
    numbers: npt.NDArray[Any] = codes.reshape(-1)[:elements]
    if dtype == "nf4":
        return numbers - 7  # the eighth of NormalFloat's sixteen steps is 0
    return numbers if narrow[1] else np.where(numbers >= 2 ** (bits - 1), numbers - 2**bits, numbers)
