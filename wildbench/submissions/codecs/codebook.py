"""A codebook of at most 256 values, and each element's index: the result of k-means weight sharing (Han et al., 2016).

Sharing itself is a matter of training; here, a tensor that has few distinct values is stored without loss.
"""

from __future__ import annotations

import numpy as np
import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs.packing import FLOATS, Record, name_of, require, values_of
from wildbench.submissions.codecs.storage import Layered, Steps, store

MOST_VALUES = 256


class Codebook(Layered):
    """{"dtype", "shape", "codebook", "indices"}.

    `codebook` is a vector of 1 to 256 floats of this type, or of halves; `indices` a record of uint8. Zero stands first
    where there is one, so that zeros can be left out of the indices. Zero has no sign here.
    """

    name, key, tables = "codebook", "indices", ("codebook",)

    def decode(self, record: Record) -> torch.Tensor:
        """Look up."""
        shape, dtype = self.promise(record)
        table = values_of(record, "codebook", FLOATS)
        require(table.dim() == 1 and 1 <= len(table) <= MOST_VALUES, f"not a codebook of 1 to {MOST_VALUES} values")
        codec, inner = self.inner(record)
        indices = codec.decode(inner).reshape(-1)
        require(not indices.numel() or int(indices.max()) < len(table), "an index beyond the codebook")
        whole = torch.zeros(MOST_VALUES, dtype=dtype)
        whole[: len(table)] = table.to(dtype)
        if dtype == torch.bfloat16:  # which numpy lacks
            return whole[indices.long()].reshape(shape)
        return torch.from_numpy(whole.numpy().take(indices.numpy())).reshape(shape)


CODEBOOK = Codebook()


def record(
    indices: torch.Tensor, codebook: torch.Tensor, *, dtype: torch.dtype = torch.float32, steps: Steps | None = None
) -> Record:
    """The finished record of a weight-sharing method, which knows its codebook.

    Args:
        indices: Whole numbers, 0 to the codebook's length - 1, of the tensor's shape.
        codebook: [1 to 256], float32 or another float.
        dtype: Of the decoded tensor.
        steps: How to store the indices; by default packed.

    Raises:
        SubmissionError: An index or the codebook is out of range.

    Example:
        >>> CODEBOOK.decode(record(torch.tensor([[1, 0], [1, 2]]), torch.tensor([0.5, 0.0, -1.0])))
        tensor([[ 0.0000,  0.5000],
                [ 0.0000, -1.0000]])
    """
    table, codes = codebook.detach().cpu().contiguous(), indices.detach().cpu().to(torch.int64)
    inside = not codes.numel() or (int(codes.min()) >= 0 and int(codes.max()) < len(table))
    if table.dim() != 1 or not 1 <= len(table) <= MOST_VALUES or table.dtype not in FLOATS or not inside:
        problem = f"not a codebook tensor: {list(table.shape)} values"
        raise SubmissionError(problem, code="codec", remedy=f"share 1 to {MOST_VALUES} values, and index them")
    order = torch.argsort((table != 0).to(torch.uint8), stable=True)  # zeros first
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    bits = max(1, (len(table) - 1).bit_length())
    return {
        "codec": "codebook",
        "dtype": name_of(dtype),
        "shape": list(codes.shape),
        "codebook": torch.where(table == 0, torch.zeros_like(table), table)[order],  # without the sign of zero
        "indices": store(place[codes].to(torch.uint8).contiguous(), bits, steps or Steps()),
    }


def distinct(tensor: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The distinct values of a tensor and each element's index, or None where there are more than 256.

    Values are told apart by their bits, but for the sign of zero.
    """
    if tensor.dtype not in (torch.float32, torch.float64) or not tensor.numel():
        return None
    bits = {torch.float32: torch.int32, torch.float64: torch.int64}[tensor.dtype]
    flat = torch.where(tensor == 0, torch.zeros_like(tensor), tensor).reshape(-1).view(bits).numpy()
    if len(np.unique(flat[:4096])) > MOST_VALUES:
        return None
    values = np.unique(flat)
    if len(values) > MOST_VALUES:
        return None
    indices = np.searchsorted(values, flat).reshape(tuple(tensor.shape))
    return torch.from_numpy(values).view(tensor.dtype), torch.from_numpy(indices)
