"""Many records in two strings of bytes: an index of plain data, and all their tensors one after the other.

A zip entry a tensor, as `torch.save` writes, takes some 250 bytes each, which is a tenth of a small compressed
detector. Here a tensor takes its bytes and about ten more, and tensors of the same bytes are stored once.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs.fields import DTYPES, Record, integer, name_of, shape_of

LARGEST_INDEX = 2 * 2**20
"""Bytes of an index before it is deflated; Faster R-CNN's, with every codec composed, has 0.1 million."""


def lay_out(records: Mapping[str, Record]) -> tuple[bytes, torch.Tensor]:
    """Lay records out.

    Args:
        records: By name.

    Returns:
        The index: deflated JSON {name: record}, in which {"tensor": type, "shape": [...]} stands for a tensor, and
        "same": n is added where its bytes are those of the n-th that is stored. And the bytes of the tensors, uint8.

    Example:
        >>> index, data = lay_out({"weight": {"codec": "raw", "values": torch.ones(3)}})
        >>> json.loads(zlib.decompress(index))
        {'weight': {'codec': 'raw', 'values': {'tensor': 'float32', 'shape': [3]}}}
        >>> len(data)
        12
    """
    stored: dict[bytes, int] = {}

    def plain(value: Any) -> Any:  # noqa: ANN401 - plain data
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if not isinstance(value, torch.Tensor):
            return value
        data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        described = {"tensor": name_of(value.dtype), "shape": list(value.shape)}
        if data in stored:
            return {**described, "same": stored[data]}
        if data:
            stored[data] = len(stored)
        return described

    text = json.dumps({name: plain(record) for name, record in records.items()}, separators=(",", ":")).encode()
    if len(text) > LARGEST_INDEX:
        raise SubmissionError(f"an index of {len(text):,} bytes", remedy="store fewer tensors")
    return zlib.compress(text, 9), torch.from_numpy(np.frombuffer(b"".join(stored), np.uint8).copy())


def read_back(index: bytes, data: torch.Tensor, where: str) -> tuple[dict[str, Record], dict[str, int]]:
    """The records that `lay_out` laid out, and the bytes that each takes in `data`.

    Bytes that several share are counted for the first.

    Args:
        index: Untrusted.
        data: Untrusted, uint8.
        where: The file, for the message.

    Raises:
        SubmissionError: The two do not fit each other.
    """
    try:
        plain = json.loads(inflate(index))
        if not isinstance(plain, dict) or not all(isinstance(record, dict) for record in plain.values()):
            raise ValueError("no list of records")
        reader = _Reader(data)
        records, sizes = {}, {}
        for name, record in plain.items():
            before = reader.at
            records[name] = reader.record(record)
            sizes[name] = reader.at - before
        if reader.at != len(data):
            raise ValueError(f"{len(data) - reader.at} bytes of no tensor")
    except (ValueError, KeyError, TypeError, RecursionError, RuntimeError, MemoryError, zlib.error) as error:
        said = str(error).partition("\n")[0][:200]
        raise SubmissionError(f"{where}: damaged index ({said})", remedy="save or download it again") from None
    return records, sizes


def inflate(data: bytes) -> bytes:
    """Deflated text, at most `LARGEST_INDEX` bytes of it.

    Args:
        data: Untrusted.

    Raises:
        ValueError: It is longer, or there is more in the data.
        zlib.error: It is not deflated.
    """
    decoder = zlib.decompressobj()
    text = decoder.decompress(data, LARGEST_INDEX)
    if not decoder.eof or decoder.unused_data:
        raise ValueError(f"no deflated text of at most {LARGEST_INDEX:,} bytes")
    return text


class _Reader:
    """Cuts the bytes into the tensors that an index describes.

    However many it describes, and however often the same bytes, they take no more memory than the bytes themselves.
    """

    def __init__(self, data: torch.Tensor) -> None:
        self.at = 0
        self._data = data
        self._places: list[torch.Tensor] = []
        self._aligned: dict[int, torch.Tensor] = {}

    def record(self, plain: dict[str, Any]) -> Record:
        """A record with its tensors, and those of the records in it."""
        found: Record = {}
        for key, value in plain.items():
            if isinstance(value, dict):
                found[key] = self._tensor(value) if "tensor" in value else self.record(value)
            else:
                found[key] = value
        return found

    def _tensor(self, described: dict[str, Any]) -> torch.Tensor:
        dtype, shape = DTYPES[described["tensor"]], shape_of(described)
        size = dtype.itemsize * math.prod(shape)
        if not size:
            return torch.zeros(shape, dtype=dtype)
        place = len(self._places)
        if "same" in described:
            place = integer(described, "same", 0, place - 1)
        else:
            self._places.append(self._data[self.at : self.at + size])
            self.at += size
        part = self._places[place]
        if len(part) != size:
            raise ValueError("a tensor of more bytes than there are")
        if dtype == torch.uint8:
            return part.reshape(shape)
        if place not in self._aligned:
            self._aligned[place] = part.clone()
        if dtype == torch.bool and int(part.max()) > 1:
            raise ValueError("a truth value that is neither")
        return self._aligned[place].view(dtype).reshape(shape)
