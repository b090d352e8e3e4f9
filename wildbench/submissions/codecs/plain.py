"""`raw`: numbers as they are."""

from __future__ import annotations

import torch

from wildbench.submissions.codecs.fields import Promise, Record, values_of
from wildbench.submissions.codecs.packing import planes_of, shannon


class Raw:
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

    def entropy(self, record: Record) -> float:
        """Of each byte plane."""
        return sum(map(shannon, planes_of(values_of(record, "values"))))

    def width(self, record: Record) -> int:
        """Of an element."""
        return 8 * values_of(record, "values").itemsize

    def steps(self, record: Record) -> list[str]:
        """None."""
        return []


RAW = Raw()
