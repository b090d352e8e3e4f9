"""`raw`: numbers as they are."""

from __future__ import annotations

import torch

from wildbench.submissions.codecs.fields import Promise, Record, values_of


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
        """Give them back."""
        return values_of(record, "values")

    def entropy(self, record: Record) -> float:
        """What they take."""
        return values_of(record, "values").nbytes

    def width(self, record: Record) -> int:
        """Of an element."""
        return 8 * values_of(record, "values").itemsize

    def steps(self, record: Record) -> list[str]:
        """None."""
        return []


RAW = Raw()
