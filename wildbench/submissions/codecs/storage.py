"""Storing a tensor without loss: as it is, packed, without its zeros, Huffman-coded; whichever is smallest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from wildbench.submissions.codecs.fields import Codec, Promise, Record
from wildbench.submissions.codecs.huffman import HUFFMAN
from wildbench.submissions.codecs.packing import PACKED
from wildbench.submissions.codecs.plain import RAW
from wildbench.submissions.codecs.sparse import FLAT, SPARSE

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
        bits: For codes (uint8), so many that each is below 2^bits; None for anything else.
        steps: What may be done.

    Example:
        >>> store(torch.tensor([0, 3, 0], dtype=torch.uint8), 2, Steps())["data"].tolist()
        [12]
    """
    found = [_flat(tensor, bits, steps.huffman)]
    if steps.block is not None and tensor.numel():
        plain, mask, values = SPARSE.split(tensor, steps.block)
        parts = {"mask": _flat(mask, 1, steps.huffman), "values": _flat(values, bits, steps.huffman)}
        found.append({**plain, **parts})
    return min(found, key=cost)


def _flat(tensor: torch.Tensor, bits: int | None, huffman: bool) -> Record:
    found = [RAW.encode(tensor) if bits is None else PACKED.encode(tensor, bits)]
    if huffman:
        found.append(HUFFMAN.encode(tensor, bits or 8))
    return min(found, key=cost)


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


def inner_of(record: Record, key: str, promise: Promise) -> tuple[Codec, Record]:
    """The record in a record, and its codec, after seeing that it promises what it should."""
    inner: Any = record[key]
    codec = STORAGE[inner["codec"]]
    if codec.promise(inner) != promise:
        raise ValueError(f"{key} promises another shape or type")
    return codec, inner
