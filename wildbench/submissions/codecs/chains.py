"""Names of what is done to a tensor before it is stored: "codebook+sparse+huffman", "int8", "fp16", "smallest".

A chain is at most one way to write the numbers (fp16, int8, int4, codebook), then `sparse`, then `huffman`. The last
two are left out for a tensor that they do not make smaller, and the first for one that does not accept it.
"""

from __future__ import annotations

import re

import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs import affine, codebook
from wildbench.submissions.codecs.fields import DTYPES, Record
from wildbench.submissions.codecs.half import HALF
from wildbench.submissions.codecs.sparse import LARGEST_BLOCK
from wildbench.submissions.codecs.storage import RECORD_BYTES, Steps, cost, store

NUMBERS = ("fp16", "int8", "int8:tensor", "int4", "int4:tensor", "codebook")
"""Ways to write the numbers; int8 and int4 round to nearest with a scale an output channel, or one a tensor."""

EVERY = Steps((1, 1), huffman=True)

MANY = 2**16
"""Elements beyond which a codebook's own bytes no longer matter."""


def encode(tensor: torch.Tensor, chain: str) -> Record:
    """Store a tensor.

    Args:
        tensor: Any shape and dtype.
        chain: "raw"; "smallest" for the smallest of the ways, without blocks, that keep every number (though not the
            sign of zero); or steps joined by "+", such as "int8+huffman":
            [fp16 | int8 | int8:tensor | int4 | int4:tensor | codebook] [sparse | sparse:ROWSxCOLUMNS] [huffman].
            After a comma, what to do with a tensor whose numbers cannot be written so, as biases cannot be in int8:
            "int8+huffman,fp16".

    Raises:
        SubmissionError: No such step, or in another order.

    Example:
        >>> encode(torch.tensor([1, 2]), "fp16")  # whole numbers are not rounded
        {'codec': 'raw', 'values': tensor([1, 2])}
        >>> pruned = torch.randn(64, 64).round()
        >>> sorted(encode(pruned, "codebook+sparse+huffman"))
        ['codebook', 'codec', 'dtype', 'indices', 'shape']
    """
    ways = [parse(way) for way in chain.split(",")] if chain != "smallest" else []
    tensor = tensor.detach().cpu().contiguous()
    if tensor.untyped_storage().nbytes() != tensor.nbytes:
        tensor = tensor.clone()  # a view of a larger storage would drag all of it into the file
    if tensor.dtype not in DTYPES.values():
        return store(tensor, None, Steps())
    if chain == "smallest":
        return min(_exact(tensor), key=cost)
    for numbers, steps in ways:
        found = store(tensor, None, steps) if numbers is None else _written(tensor, numbers, steps)
        if found is not None:
            return found
    return store(tensor, None, ways[0][1])


def parse(chain: str) -> tuple[str | None, Steps]:
    """The way to write the numbers, and the steps that follow.

    Raises:
        SubmissionError: No such step, or in another order.

    Example:
        >>> parse("codebook+sparse:4x4")
        ('codebook', Steps(block=(4, 4), huffman=False))
    """
    names = [] if chain == "raw" else chain.split("+")
    numbers = names.pop(0) if names and names[0] in NUMBERS else None
    block = None
    if names and (found := re.fullmatch(r"sparse(?::(\d{1,2})x(\d{1,2}))?", names[0])):
        names.pop(0)
        block = (int(found[1] or 1), int(found[2] or 1))
    huffman = names == ["huffman"]
    if (names and not huffman) or (block is not None and not 1 <= min(block) <= max(block) <= LARGEST_BLOCK):
        raise SubmissionError(
            f"no codec {chain!r}",
            remedy=f'use "raw", "smallest", or [{" | ".join(NUMBERS)}]+[sparse | sparse:4x4]+[huffman], in this order',
        )
    return numbers, Steps(block, huffman)


def _written(tensor: torch.Tensor, numbers: str, steps: Steps) -> Record | None:
    """A tensor whose numbers are written this way, or None where they cannot be."""
    if numbers == "fp16":
        return HALF.encode(tensor, steps) if HALF.accepts(tensor) else None
    if numbers == "codebook":
        return _shared(tensor, steps)
    if not affine.accepts(tensor):
        return None
    return affine.round_to_nearest(tensor, int(numbers[3]), not numbers.endswith(":tensor"), steps)


def _exact(tensor: torch.Tensor) -> list[Record]:
    """Every way that keeps all numbers and may be the smallest."""
    shared = _shared(tensor, EVERY)
    if shared is not None and tensor.numel() > MANY:
        return [shared]
    found = [store(tensor, None, Steps()), store(tensor, None, EVERY), *([] if shared is None else [shared])]
    if HALF.accepts(tensor) and _same_bits(tensor, tensor.half().to(tensor.dtype)):
        found.append(HALF.encode(tensor, EVERY))
    return found


def _shared(tensor: torch.Tensor, steps: Steps) -> Record | None:
    """By a codebook, in half precision where that loses nothing; None where that is not smaller."""
    found = codebook.distinct(tensor)
    if found is None:
        return None
    values, indices = found
    halves = values.half()
    table = halves if _same_bits(values, halves.to(values.dtype)) else values
    record = codebook.record(indices, table, dtype=tensor.dtype, steps=steps)
    return record if cost(record) < tensor.nbytes + RECORD_BYTES else None


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))
