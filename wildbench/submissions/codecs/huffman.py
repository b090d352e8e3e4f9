"""Entropy coding by Huffman's code, as Deep Compression (Han et al., 2016) does, in the DEFLATE format (RFC 1951).

Any inflater reads it, bit for bit, on every machine: its tables are whole numbers. A symbol is a byte, so that codes of
one, two and up to four bits are coded by eights, fours and twos and a frequent one may cost less than a bit.
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

from wildbench.submissions.codecs.fields import (
    Promise,
    Record,
    dtype_of,
    integer,
    name_of,
    require,
    shape_of,
    stored_bytes,
)
from wildbench.submissions.codecs.packing import Bytes, pack, packed_size, planes_of, shannon, unpack

FIELD = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 8: 8}
"""Bits of a code → bits that it gets in a byte, so that no code lies in two bytes."""

STRATEGIES = (zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE)
"""Codes of single bytes; and of runs of one byte too, as whole filters of zeros give."""


def deflate(data: bytes) -> bytes:
    """The shortest of the data deflated and the data as they are; what is shorter than the data is deflated.

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
    """What `deflate` made smaller; never more than `size` bytes are made of it.

    Raises:
        ValueError: The data are damaged, or do not make `size` bytes.
    """
    if len(data) == size:
        return data
    require(0 < len(data) < size, f"{len(data)} bytes for {size}")
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        whole = decoder.decompress(data, size)
        more = decoder.decompress(decoder.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"damaged ({error})") from None
    require(
        len(whole) == size and not more and decoder.eof and not decoder.unused_data, f"not the code of {size} bytes"
    )
    return whole


class Huffman:
    """Byte planes, each Huffman-coded where that is shorter: {"dtype", "shape", "bits", "lengths", "data"}.

    A tensor of k bytes an element has k planes: all first bytes, all second bytes and so on, since sign and exponent
    repeat where the rest of a float does not. One of codes has one plane, and `bits` says how many bits a code has.
    """

    def encode(self, tensor: torch.Tensor, bits: int = 8) -> Record:
        """Code each plane."""
        planes = [deflate(plane.tobytes()) for plane in _planes(tensor, bits)]
        return {
            "codec": "huffman",
            "dtype": name_of(tensor.dtype),
            "shape": list(tensor.shape),
            "bits": bits,
            "lengths": [len(plane) for plane in planes],
            "data": torch.from_numpy(np.frombuffer(b"".join(planes), np.uint8).copy()),
        }

    def promise(self, record: Record) -> Promise:
        """Before anything is decoded."""
        return Promise(shape_of(record), dtype_of(record))

    def decode(self, record: Record) -> torch.Tensor:
        """Decode each plane, and put the bytes of each element together again."""
        shape, dtype = promise = self.promise(record)
        bits = integer(record, "bits", 1, 8)
        require(bits == 8 or dtype == torch.uint8, "few bits, but no codes")
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
        require(dtype != torch.bool or not out.size or int(out.max()) <= 1, "a truth value that is neither")
        return torch.from_numpy(out.reshape(-1)).view(dtype).reshape(shape)

    def entropy(self, record: Record) -> float:
        """Of codes, or of each byte plane."""
        return sum(map(shannon, planes_of(self.decode(record))))

    def width(self, record: Record) -> int:
        """Of a code, or of an element."""
        dtype = dtype_of(record)
        return integer(record, "bits", 1, 8) if dtype == torch.uint8 else 8 * dtype.itemsize

    def steps(self, record: Record) -> list[str]:
        """Itself."""
        return ["huffman"]


def _planes(tensor: torch.Tensor, bits: int) -> list[Bytes]:
    if tensor.dtype == torch.uint8:
        return [pack(tensor.reshape(-1).numpy(), FIELD[bits])]
    return planes_of(tensor)


HUFFMAN = Huffman()
