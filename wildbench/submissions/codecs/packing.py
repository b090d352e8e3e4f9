"""Records of tensors, read without trust, and storing values as they are, packed into few bits, or Huffman-coded.

Huffman's code, as in Deep Compression (Han et al., 2016), is in the DEFLATE format (RFC 1951), which any inflater
reads, bit for bit, on every machine: its tables are whole numbers. A symbol is a byte, so codes of one, two and up to
four bits are coded by eights, fours and twos, and a frequent one may cost less than a bit.
"""

from __future__ import annotations

import math
import zlib
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import torch

Record = dict[str, Any]
"""A stored tensor: {"codec": name, ...plain data, tensors and records inside it}."""

MOST_ELEMENTS = 2**28
"""More than this in one tensor is taken for a lie: the zoo's largest detector has 46 million in all."""

_NAMES = ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")
DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in _NAMES}
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
        return Promise(shape_of(record), dtype_of(record))

    def decode(self, record: Record) -> torch.Tensor:
        """The tensor that `record` stands for: the same bits on every machine."""

    def entropy(self, record: Record) -> float:
        """Bytes by Shannon: each code and each byte plane at the entropy of its shares, tables as they are stored."""
        return sum(map(shannon, planes_of(self.decode(record))))

    def width(self, record: Record) -> int:
        """Bits of one stored number: what an element takes where nothing is left out and no entropy is coded."""

    def steps(self, record: Record) -> list[str]:
        """The chain that made it; storing as it is and packing go without saying."""
        return []


def name_of(dtype: torch.dtype) -> str:
    """`torch.float32` is "float32"."""
    return str(dtype).removeprefix("torch.")


def dtype_of(record: Record, allowed: tuple[torch.dtype, ...] | None = None) -> torch.dtype:
    """The record's `dtype`, one of those allowed."""
    dtype = DTYPES[record["dtype"]]
    require(allowed is None or dtype in allowed, f"dtype {name_of(dtype)} does not belong here")
    return dtype


def shape_of(record: Record) -> tuple[int, ...]:
    """The record's `shape`: at most eight sides, none negative, not too many elements."""
    sides = record["shape"]
    require(isinstance(sides, (list, tuple)) and len(sides) <= 8, "shape is not a list of sides")
    require(all(type(side) is int and 0 <= side <= MOST_ELEMENTS for side in sides), "a side is out of range")
    require(math.prod(sides) <= MOST_ELEMENTS, f"more than {MOST_ELEMENTS} elements")
    return tuple(sides)


def integer(record: Record, key: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`."""
    value = record[key]
    require(type(value) is int and low <= value <= high, f"{key} is outside {low}..{high}")
    return int(value)


def values_of(record: Record, key: str, dtypes: tuple[torch.dtype, ...] | None = None) -> torch.Tensor:
    """A tensor that a record holds: dense, contiguous, not larger than what is stored of it."""
    tensor = record[key]
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
        raise ValueError(f"{key} is not a dense tensor")
    if tensor.device.type != "cpu" or not tensor.is_contiguous() or tensor.nbytes > tensor.untyped_storage().nbytes():
        raise ValueError(f"{key} shows more than it stores")
    require(dtypes is None or tensor.dtype in dtypes, f"{key} is of {name_of(tensor.dtype)}")
    return tensor


def stored_bytes(record: Record, key: str = "data") -> torch.Tensor:
    """A string of bytes that a record holds."""
    data = values_of(record, key, (torch.uint8,))
    require(data.dim() == 1, f"{key} is not a string of bytes")
    return data


def require(holds: bool, problem: str) -> None:
    """Raise ValueError unless it holds."""
    if not holds:
        raise ValueError(problem)


Bytes = npt.NDArray[np.uint8]

CHUNK = 2**20
"""Groups of eight codes packed at a time, so that little memory is needed beside the result."""


def pack(codes: Bytes, bits: int) -> Bytes:
    """Pack codes [n], each below 2^bits, into [ceil(n * bits / 8)] bytes without gaps, the first in the lowest bits.

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
    """The [count] codes that `pack` packed; a ValueError for another length, or where bits of no code are set.

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
    """Bytes of that many codes."""
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


class Packed(Codec):
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

    def width(self, record: Record) -> int:
        """Of a code."""
        return integer(record, "bits", 1, 8)


PACKED = Packed()


class Raw(Codec):
    """The tensor as it is: {"values"}."""

    def encode(self, tensor: torch.Tensor) -> Record:
        """Keep the values."""
        return {"codec": "raw", "values": tensor}

    def promise(self, record: Record) -> Promise:
        """Of the values."""
        values = values_of(record, "values")
        return Promise(tuple(values.shape), values.dtype)

    def decode(self, record: Record) -> torch.Tensor:
        """A copy of them: tensors that share their stored bytes must not share their memory."""
        return values_of(record, "values").clone()

    def width(self, record: Record) -> int:
        """Of an element."""
        return 8 * values_of(record, "values").itemsize


RAW = Raw()

FIELD = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 8: 8}
"""Bits of a code → bits that it gets in a byte, so that no code lies in two bytes."""

STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)
"""Codes of single bytes; and of runs of one byte too, as whole filters of zeros give."""


def deflate(data: bytes) -> bytes:
    """The data deflated where that is shorter, else the data as they are.

    Example:
        >>> len(deflate(bytes(1000))) < 20, deflate(b"zebra")
        (True, b'zebra')
    """
    shortest = data
    for strategy in STRATEGIES:
        coder = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL + 1, strategy)
        coded = coder.compress(data) + coder.flush()
        shortest = min(shortest, coded, key=len)
    return shortest


def inflate(data: bytes, size: int) -> bytes:
    """What `deflate` made smaller, never more than `size` bytes; a ValueError for damage or another size."""
    if len(data) == size:
        return data
    require(0 < len(data) < size, f"{len(data)} bytes for {size}")
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        whole = decoder.decompress(data, size)
        more = decoder.decompress(decoder.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"damaged ({error})") from None
    ended = decoder.eof and not more and not decoder.unused_data
    require(len(whole) == size and ended, f"not the code of {size} bytes")
    return whole


class Huffman(Codec):
    """Byte planes, each Huffman-coded where that is shorter: {"dtype", "shape", "bits", "lengths", "data"}.

    A tensor of k bytes an element has k planes: all first bytes, all second bytes and so on, since sign and exponent
    repeat where the rest of a float does not. One of codes has one plane, and `bits` says how many bits a code has.
    """

    def encode(self, tensor: torch.Tensor, bits: int = 8) -> Record:
        """Code each plane."""
        codes = tensor.dtype == torch.uint8
        planes = [pack(tensor.reshape(-1).numpy(), FIELD[bits])] if codes else planes_of(tensor)
        coded = [deflate(plane.tobytes()) for plane in planes]
        return {
            "codec": "huffman",
            "dtype": name_of(tensor.dtype),
            "shape": list(tensor.shape),
            "bits": bits,
            "lengths": [len(plane) for plane in coded],
            "data": torch.from_numpy(np.frombuffer(b"".join(coded), np.uint8).copy()),
        }

    def decode(self, record: Record) -> torch.Tensor:
        """Decode each plane, and put the bytes of each element together again."""
        shape, dtype = promise = self.promise(record)
        bits = integer(record, "bits", 1, 8)
        require(bits == 8 or dtype == torch.uint8, "few bits, but not codes")
        data, lengths = stored_bytes(record).numpy(), record["lengths"]
        require(isinstance(lengths, list) and len(lengths) == dtype.itemsize, "another number of planes")
        require(all(type(length) is int and length >= 0 for length in lengths), "a plane of negative length")
        require(sum(lengths) == len(data), "planes of another total length")
        size = packed_size(promise.elements, FIELD[bits])
        out = np.empty((size, dtype.itemsize), np.uint8)
        at = 0
        for place, length in enumerate(lengths):
            out[:, place] = np.frombuffer(inflate(data[at : at + length].tobytes(), size), np.uint8)
            at += length
        if dtype == torch.uint8:
            codes = unpack(out.reshape(-1), FIELD[bits], promise.elements)
            require(not codes.size or int(codes.max()) < 2**bits, f"a code beyond {bits} bits")
            return torch.from_numpy(codes).reshape(shape)
        require(dtype != torch.bool or not out.size or int(out.max()) <= 1, "a boolean that is neither 0 nor 1")
        return torch.from_numpy(out.reshape(-1)).view(dtype).reshape(shape)

    def width(self, record: Record) -> int:
        """Of a code, or of an element."""
        dtype = dtype_of(record)
        return integer(record, "bits", 1, 8) if dtype == torch.uint8 else 8 * dtype.itemsize

    def steps(self, record: Record) -> list[str]:
        """Itself."""
        return ["huffman"]


HUFFMAN = Huffman()
