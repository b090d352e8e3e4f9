"""`fp16`: IEEE 754 half precision."""

from __future__ import annotations

import numpy as np
import torch

from wildbench.submissions.codecs.fields import Promise, Record, dtype_of, name_of, values_of
from wildbench.submissions.codecs.storage import STORAGE, Steps, store

WIDE = (torch.float32, torch.float64)


class HalfPrecision:
    """Two bytes a number, rounded to nearest even once, when it is encoded: {"dtype", "values"}.

    `values` is a tensor of halves, or a record of one.

    Example:
        >>> codec = HalfPrecision()
        >>> codec.decode(codec.encode(torch.tensor([0.1]), Steps()))
        tensor([0.1000])
        >>> codec.accepts(torch.tensor([70000.0]))  # beyond the largest half, 65504
        False
    """

    def accepts(self, tensor: torch.Tensor) -> bool:
        """Floating tensors whose finite values stay finite."""
        wide = tensor.dtype in WIDE
        return wide and bool(torch.equal(tensor.isfinite(), _rounded(tensor).isfinite()))

    def encode(self, tensor: torch.Tensor, steps: Steps) -> Record:
        """Round to half precision."""
        halves = store(_rounded(tensor), None, steps)
        values = halves["values"] if halves["codec"] == "raw" else halves
        return {"codec": "fp16", "dtype": name_of(tensor.dtype), "values": values}

    def promise(self, record: Record) -> Promise:
        """The shape of the halves."""
        halves = self._stored(record)
        inner = STORAGE[halves["codec"]].promise(halves)
        if inner.dtype != torch.float16:
            raise ValueError("values that are no halves")
        return Promise(inner.shape, dtype_of(record, WIDE))

    def decode(self, record: Record) -> torch.Tensor:
        """Widen again, which is exact."""
        promise, halves = self.promise(record), self._stored(record)
        return STORAGE[halves["codec"]].decode(halves).to(promise.dtype)

    def entropy(self, record: Record) -> float:
        """Of the halves."""
        halves = self._stored(record)
        return STORAGE[halves["codec"]].entropy(halves)

    def width(self, record: Record) -> int:
        """Sixteen."""
        return 16

    def steps(self, record: Record) -> list[str]:
        """Rounding, and how the halves are stored."""
        halves = self._stored(record)
        return ["fp16", *STORAGE[halves["codec"]].steps(halves)]

    def _stored(self, record: Record) -> Record:
        """The halves as a record, which they are not where they are stored as they are."""
        values = record["values"]
        return values if isinstance(values, dict) else {"codec": "raw", "values": values_of(record, "values")}


def _rounded(tensor: torch.Tensor) -> torch.Tensor:
    """To half precision, once: torch goes from doubles by way of singles, which rounds twice."""
    if tensor.dtype != torch.float64:
        return tensor.to(torch.float16)
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.asarray(tensor.numpy().astype(np.float16)))


HALF = HalfPrecision()
