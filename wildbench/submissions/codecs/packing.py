"""Small whole numbers in few bits: `packed` integers, the plainest way to store codes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from wildbench.submissions.codecs.fields import Promise, Record, integer, require, shape_of, stored_bytes

Bytes = npt.NDArray[np.uint8]

CHUNK = 2**20
"""Groups of eight codes that are packed at a time, so that little memory is needed beside the result."""


def pack(codes: Bytes, bits: int) -> Bytes:
    """Pack codes, the first in the lowest bits of the first byte, without gaps.

    Args:
        codes: [n], each below 2^bits.
        bits: 1 to 8.

    Returns:
        [ceil(n * bits / 8)]; the bits left over are zero.

    Example:
        >>> pack(np.array([1, 2, 3], np.uint8), 4).tolist()  # 1 + 2 * 16, 3
        [33, 3]
    """
    if bits == 8:
        return codes
    out = np.empty((-(-len(codes) // 8), bits), np.uint8)
    for first in range(0, len(out), CHUNK):
        part = codes[8 * first : 8 * (first + CHUNK)]
        groups = np.zeros(8 * -(-len(part) // 8), np.uint8)
        groups[: len(part)] = part
        words = np.zeros(len(groups) // 8, "<u8")
        for place in range(8):
            words |= groups[place::8].astype("<u8") << np.uint64(bits * place)
        out[first : first + CHUNK] = words.view(np.uint8).reshape(-1, 8)[:, :bits]
    return out.reshape(-1)[: packed_size(len(codes), bits)]


def unpack(data: Bytes, bits: int, count: int) -> Bytes:
    """The codes that `pack` packed.

    Args:
        data: [packed_size(count, bits)].
        bits: 1 to 8.
        count: Number of codes.

    Raises:
        ValueError: `data` has another length, or bits that belong to no code are set.

    Example:
        >>> unpack(np.array([33, 3], np.uint8), 4, 3).tolist()
        [1, 2, 3]
    """
    require(len(data) == packed_size(count, bits), f"{len(data)} bytes for {count} codes of {bits} bits")
    if bits == 8:
        return data
    spare = 8 * len(data) - bits * count
    require(not spare or data[-1] >> (8 - spare) == 0, "the last byte has bits of no code")
    out = np.empty((-(-count // 8), 8), np.uint8)
    mask = np.uint64(2**bits - 1)
    for first in range(0, len(out), CHUNK):
        part = data[bits * first : bits * (first + CHUNK)]
        groups = np.zeros((min(CHUNK, len(out) - first), 8), np.uint8)
        rows = np.zeros(bits * len(groups), np.uint8)
        rows[: len(part)] = part
        groups[:, :bits] = rows.reshape(-1, bits)
        words = groups.view("<u8")[:, 0]
        for place in range(8):
            out[first : first + CHUNK, place] = (words >> np.uint64(bits * place)) & mask
    return out.reshape(-1)[:count]


def packed_size(count: int, bits: int) -> int:
    """Bytes of so many codes."""
    return -(-count * bits // 8)


def shannon(codes: Bytes) -> float:
    """Bytes that these codes take at their zeroth-order entropy, each coded by its share alone.

    Example:
        >>> shannon(np.array([0, 1] * 8, np.uint8))  # sixteen bits
        2.0
    """
    counts = np.bincount(codes)
    counts = counts[counts > 0]
    return float((counts * np.log2(len(codes) / counts)).sum() / 8)


def planes_of(tensor: torch.Tensor) -> list[Bytes]:
    """All first bytes of a tensor's elements, all second bytes and so on: sign and exponent repeat, the rest does not.

    Example:
        >>> [plane.tolist() for plane in planes_of(torch.tensor([1, 258], dtype=torch.int16))]
        [[1, 2], [0, 1]]
    """
    raw: Bytes = tensor.reshape(-1).view(torch.uint8).numpy()  # little-endian on every machine that torch runs on
    return [np.ascontiguousarray(raw[place :: tensor.itemsize]) for place in range(tensor.itemsize)]


class Packed:
    """Codes below 2^bits, `bits` each, without gaps: {"shape", "bits", "data"}; decodes to uint8."""

    def encode(self, codes: torch.Tensor, bits: int) -> Record:
        """Pack uint8 codes of any shape."""
        data = pack(codes.reshape(-1).numpy(), bits)
        return {"codec": "packed", "shape": list(codes.shape), "bits": bits, "data": torch.from_numpy(data)}

    def promise(self, record: Record) -> Promise:
        """Codes, before they are unpacked."""
        return Promise(shape_of(record), torch.uint8)

    def decode(self, record: Record) -> torch.Tensor:
        """Unpack."""
        promise, bits = self.promise(record), integer(record, "bits", 1, 8)
        codes = unpack(stored_bytes(record).numpy(), bits, promise.elements)
        return torch.from_numpy(codes).reshape(promise.shape)

    def entropy(self, record: Record) -> float:
        """Of the codes."""
        return shannon(self.decode(record).reshape(-1).numpy())

    def width(self, record: Record) -> int:
        """Of a code."""
        return integer(record, "bits", 1, 8)

    def steps(self, record: Record) -> list[str]:
        """Packing goes without saying."""
        return []


PACKED = Packed()
