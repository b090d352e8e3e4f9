"""Tensor codecs: how one tensor is stored as plain data, how it comes back bit for bit, and how many bytes it takes.

A record is a dictionary with the codec's name under "codec" and plain numbers, strings and tensors beside it, so that
`torch.load(weights_only=True)` reads it. `CODECS` below is the whole registry.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch

from wildbench.errors import SubmissionError

Record = dict[str, Any]
"""A stored tensor: {"codec": name, ...plain data and tensors}."""


class Codec(Protocol):
    """One way to store a tensor."""

    def accepts(self, tensor: torch.Tensor) -> bool:
        """Whether the codec can store this tensor without losing more than it promises."""

    def encode(self, tensor: torch.Tensor) -> Record:
        """The tensor as plain data, "codec" apart."""

    def decode(self, record: Record) -> torch.Tensor:
        """The tensor that `record` stands for: the same bits on every machine, in the dtype that the model uses."""


class Raw:
    """The tensor as it is."""

    def accepts(self, tensor: torch.Tensor) -> bool:
        """Any tensor."""
        return True

    def encode(self, tensor: torch.Tensor) -> Record:
        """Keep the values."""
        return {"values": tensor}

    def decode(self, record: Record) -> torch.Tensor:
        """Give them back."""
        values: torch.Tensor = record["values"]
        return values


class HalfPrecision:
    """IEEE 754 half precision, two bytes a number: rounded to nearest even once, in `encode`.

    Example:
        >>> codec = HalfPrecision()
        >>> codec.decode(codec.encode(torch.tensor([0.1])))
        tensor([0.1000])
        >>> codec.accepts(torch.tensor([70000.0]))  # beyond the largest half, 65504
        False
    """

    def accepts(self, tensor: torch.Tensor) -> bool:
        """Floating tensors whose finite values stay finite."""
        wide = tensor.dtype in (torch.float32, torch.float64)
        return wide and bool(torch.equal(tensor.isfinite(), tensor.to(torch.float16).isfinite()))

    def encode(self, tensor: torch.Tensor) -> Record:
        """Round to half precision."""
        return {"dtype": str(tensor.dtype).removeprefix("torch."), "values": tensor.to(torch.float16)}

    def decode(self, record: Record) -> torch.Tensor:
        """Widen again, which is exact."""
        widths = {"float32": torch.float32, "float64": torch.float64}
        values: torch.Tensor = record["values"]
        return values.to(widths[record["dtype"]])


CODECS: dict[str, Codec] = {"raw": Raw(), "fp16": HalfPrecision()}
"""Every codec by the name under which files refer to it. A name, once published, keeps its meaning."""


def encode(tensor: torch.Tensor, codec: str) -> Record:
    """Store a tensor by a codec, or raw where that codec does not accept it (integers, say, by fp16).

    Args:
        tensor: Any shape and dtype.
        codec: A name in `CODECS`.

    Raises:
        SubmissionError: No such codec.

    Example:
        >>> encode(torch.tensor([1, 2]), "fp16")
        {'codec': 'raw', 'values': tensor([1, 2])}
    """
    if codec not in CODECS:
        raise SubmissionError(f"no codec {codec!r}", remedy=f"use one of {', '.join(sorted(CODECS))}")
    tensor = tensor.detach().cpu().contiguous()
    if tensor.untyped_storage().nbytes() != tensor.nbytes:
        tensor = tensor.clone()  # a view of a larger storage would drag all of it into the file
    name = codec if CODECS[codec].accepts(tensor) else "raw"
    return {"codec": name, **CODECS[name].encode(tensor)}


def decode(record: Record, where: str) -> torch.Tensor:
    """The tensor of a stored record.

    Args:
        record: As `encode` made it, or as a file holds it.
        where: File and tensor, for the message.

    Raises:
        SubmissionError: The record's codec is unknown, or its data are not what the codec stores.
    """
    name = record.get("codec") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in CODECS:
        raise SubmissionError(f"{where}: codec {name!r} is unknown to this wildbench", remedy="upgrade wildbench")
    try:
        tensor = CODECS[name].decode(record)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise SubmissionError(f"{where}: damaged {name} record ({error})", remedy="save the submission again") from None
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided or tensor.is_quantized:
        raise SubmissionError(f"{where}: the {name} record holds no dense tensor", remedy="save the submission again")
    return tensor


def storages(record: Record) -> dict[int, int]:
    """Address → bytes of every storage that a record keeps; tensors that share one are stored once.

    Example:
        >>> list(storages(encode(torch.zeros(3, 5), "fp16")).values())
        [30]
    """
    tensors = [value for value in record.values() if isinstance(value, torch.Tensor)]
    return {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
