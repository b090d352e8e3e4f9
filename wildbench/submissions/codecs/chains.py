"""Encoding a tensor by the name of a chain, such as "codebook+sparse+huffman", and reading records, however damaged.

A chain is at most one way to write the numbers (fp16, int8, int4, codebook), then `sparse`, then `huffman`. The last
two are left out for a tensor that they do not make smaller, and the first for one that does not accept it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs import affine, codebook
from wildbench.submissions.codecs.affine import AFFINE, HALF
from wildbench.submissions.codecs.codebook import CODEBOOK
from wildbench.submissions.codecs.packing import DTYPES, Codec, Promise, Record
from wildbench.submissions.codecs.storage import LARGEST_BLOCK, RECORD_BYTES, STORAGE, Steps, cost, store

NUMBERS = ("fp16", "int8", "int8:tensor", "int4", "int4:tensor", "codebook")
"""Ways to write the numbers; int8 and int4 round to nearest, with one scale per output channel or per tensor."""

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
        record = store(tensor, None, steps) if numbers is None else _written(tensor, numbers, steps)
        if record is not None:
            return record
    return store(tensor, None, ways[0][1])


def parse(chain: str) -> tuple[str | None, Steps]:
    """The way to write the numbers, and the steps that follow; a SubmissionError for any others.

    Example:
        >>> parse("codebook+sparse:4x4")
        ('codebook', Steps(block=(4, 4), huffman=False))
    """
    names = [] if chain == "raw" else chain.split("+")
    numbers = names.pop(0) if names and names[0] in NUMBERS else None
    block = None
    if names and (match := re.fullmatch(r"sparse(?::(\d{1,2})x(\d{1,2}))?", names[0])):
        names.pop(0)
        block = (int(match[1] or 1), int(match[2] or 1))
    huffman = names == ["huffman"]
    if (names and not huffman) or (block is not None and not 1 <= min(block) <= max(block) <= LARGEST_BLOCK):
        problem = f"no codec {chain!r}"
        remedy = f'use "raw", "smallest", or [{" | ".join(NUMBERS)}]+[sparse | sparse:4x4]+[huffman], in this order'
        raise SubmissionError(problem, code="codec", remedy=remedy)
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
    records = [store(tensor, None, Steps()), store(tensor, None, EVERY), *([] if shared is None else [shared])]
    if HALF.accepts(tensor) and _same_bits(tensor, tensor.half().to(tensor.dtype)):
        records.append(HALF.encode(tensor, EVERY))
    return records


def _shared(tensor: torch.Tensor, steps: Steps) -> Record | None:
    """By a codebook, in half precision where that loses nothing; None where that is not smaller."""
    distinct = codebook.distinct(tensor)
    if distinct is None:
        return None
    values, indices = distinct
    halves = values.half()
    table = halves if _same_bits(values, halves.to(values.dtype)) else values
    record = codebook.record(indices, table, dtype=tensor.dtype, steps=steps)
    return record if cost(record) < tensor.nbytes + RECORD_BYTES else None


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.equal(one.reshape(-1).view(torch.uint8), other.reshape(-1).view(torch.uint8))


CODECS: dict[str, Codec] = {**STORAGE, "fp16": HALF, "affine": AFFINE, "codebook": CODEBOOK}
"""Every codec by the name under which files refer to it. A name, once published, keeps its meaning."""

LIES = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError, OverflowError, MemoryError)
"""What a codec, or torch below it, raises for a record that is damaged or lies."""

Answer = TypeVar("Answer")


def decode(record: Record, where: str) -> torch.Tensor:
    """The tensor of a stored record: the same bits on every machine.

    Nothing is allocated beyond a few times what `promise` says.

    Args:
        record: As a codec made it, or as a file holds it; untrusted.
        where: File and tensor, for the message, here and in the functions below, which raise the same errors.

    Raises:
        SubmissionError: The record's codec is unknown, or its data are not what the codec stores.

    Example:
        >>> decode({"codec": "raw", "values": torch.tensor([1, 2])}, "a.pt: weight")
        tensor([1, 2])
    """
    return _ask(record, where, lambda codec: codec.decode(record))


def promise(record: Record, where: str) -> Promise:
    """Shape and element type of what a record decodes to, from its plain data alone.

    Example:
        >>> promise({"codec": "raw", "values": torch.zeros(3, 5)}, "a.pt: weight")
        Promise(shape=(3, 5), dtype=torch.float32)
    """
    return _ask(record, where, lambda codec: codec.promise(record))


def chain_of(record: Record, where: str) -> str:
    """How a tensor was stored, as `encode` names it.

    Example:
        >>> chain_of({"codec": "fp16", "dtype": "float32", "values": torch.zeros(3).half()}, "a.pt: weight")
        'fp16'
    """
    return "+".join(_ask(record, where, lambda codec: codec.steps(record))) or "raw"


def stored_bits(record: Record, where: str) -> int:
    """Bits of one stored number: 32 in fp32, 16 in half precision, 8 or 4 quantized, of an index into a codebook."""
    return _ask(record, where, lambda codec: codec.width(record))


def weight_bits(record: Record, where: str) -> int:
    """Bits of a number as arithmetic would see it: those stored, but for a codebook those of its values.

    Example:
        >>> from wildbench.submissions.codecs.chains import encode
        >>> shared = torch.tensor([0.1, 0.2, 0.3]).repeat(500)
        >>> [weight_bits(encode(shared, name), "") for name in ("codebook", "fp16")]
        [32, 16]
    """
    if record.get("codec") == "codebook":
        return _ask(record, where, lambda codec: 8 * int(record["codebook"].itemsize))
    return stored_bits(record, where)


def entropy_bytes(record: Record, where: str) -> float:
    """What a tensor takes at the zeroth-order (memoryless) entropy of its symbols.

    A symbol is a code, an index, a bit of a mask, or a byte of any other number (first, second and further bytes are
    counted apart); each costs Shannon's entropy of the shares within this tensor. Scales and codebooks cost what they
    take as stored. It is not a bound: a coder that sees more than one symbol at a time can go below it.
    """
    return _ask(record, where, lambda codec: codec.entropy(record))


def table_bytes(record: Record) -> int:
    """Bytes of a record's scales, zero points and codebook."""
    return sum(record[key].nbytes for key in ("scale", "zero_point", "codebook") if key in record)


def _ask(record: Record, where: str, question: Callable[[Codec], Answer]) -> Answer:
    name = record.get("codec") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in CODECS:
        shown = repr(name) if isinstance(name, (str, int, type(None))) else f"of type {type(name).__name__}"
        problem = f"{where}: codec {shown[:80]} is unknown to this wildbench"
        raise SubmissionError(problem, code="unknown-codec", remedy="upgrade wildbench")
    try:
        return question(CODECS[name])
    except LIES as error:
        problem = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        problem = f"{where}: damaged {name} record ({problem[:200]})"
        raise SubmissionError(problem, code="damaged-record", remedy="save the submission again") from None
