"""Every codec by its name, and reading any record, of which nothing is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs.affine import AFFINE
from wildbench.submissions.codecs.codebook import CODEBOOK
from wildbench.submissions.codecs.fields import Codec, Promise, Record
from wildbench.submissions.codecs.half import HALF
from wildbench.submissions.codecs.storage import STORAGE

CODECS: dict[str, Codec] = {**STORAGE, "fp16": HALF, "affine": AFFINE, "codebook": CODEBOOK}
"""Every codec by the name under which files refer to it. A name, once published, keeps its meaning."""

LIES = (KeyError, TypeError, ValueError, AttributeError, RuntimeError, IndexError, OverflowError, MemoryError)
"""What a codec, or torch below it, raises for a record that is damaged or lies."""

Answer = TypeVar("Answer")


def decode(record: Record, where: str) -> torch.Tensor:
    """The tensor of a stored record: the same bits on every machine.

    Nothing is allocated beyond a few times what `promise` says.

    Args:
        record: As a codec made it, or as a file holds it.
        where: File and tensor, for the message.

    Raises:
        SubmissionError: The record's codec is unknown, or its data are not what the codec stores.

    Example:
        >>> decode({"codec": "raw", "values": torch.tensor([1, 2])}, "a.pt: weight")
        tensor([1, 2])
    """
    return _ask(record, where, lambda codec: codec.decode(record))


def promise(record: Record, where: str) -> Promise:
    """Shape and element type of what a record decodes to, told without decoding it.

    Raises:
        SubmissionError: As `decode`, as far as the record's plain data tell.

    Example:
        >>> promise({"codec": "raw", "values": torch.zeros(3, 5)}, "a.pt: weight")
        Promise(shape=(3, 5), dtype=torch.float32)
    """
    return _ask(record, where, lambda codec: codec.promise(record))


def chain_of(record: Record, where: str) -> str:
    """How a tensor was stored, as `chains.encode` names it.

    Raises:
        SubmissionError: As `decode`.

    Example:
        >>> chain_of({"codec": "fp16", "dtype": "float32", "values": torch.zeros(3).half()}, "a.pt: weight")
        'fp16'
    """
    return "+".join(_ask(record, where, lambda codec: codec.steps(record))) or "raw"


def stored_bits(record: Record, where: str) -> int:
    """Bits of one stored number: 32 in fp32, 16 in half precision, 8 or 4 quantized, of an index into a codebook.

    Raises:
        SubmissionError: As `decode`.
    """
    return _ask(record, where, lambda codec: codec.width(record))


def weight_bits(record: Record, where: str) -> int:
    """Bits of a number as arithmetic would see it: those stored, but for a codebook those of its values.

    Raises:
        SubmissionError: As `decode`.

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

    A symbol is a code, an index, a bit of a mask, or a byte of any other number, whose first, second and further bytes
    are told apart; each costs Shannon's entropy of the shares within this tensor. Scales and codebooks cost what they
    take as stored. It is no bound: a coder that sees more than one symbol at a time, such as runs or repetitions, can
    go below it.

    Raises:
        SubmissionError: As `decode`.
    """
    return _ask(record, where, lambda codec: codec.entropy(record))


def table_bytes(record: Record) -> int:
    """Bytes of a record's scales, zero points and codebook."""
    return sum(record[key].nbytes for key in ("scale", "zero_point", "codebook") if key in record)


def _ask(record: Record, where: str, question: Callable[[Codec], Answer]) -> Answer:
    name = record.get("codec") if isinstance(record, dict) else None
    if not isinstance(name, str) or name not in CODECS:
        shown = repr(name) if isinstance(name, (str, int, type(None))) else f"of type {type(name).__name__}"
        raise SubmissionError(f"{where}: codec {shown[:80]} is unknown to this wildbench", remedy="upgrade wildbench")
    try:
        return question(CODECS[name])
    except LIES as error:
        said = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error).partition("\n")[0]
        raise SubmissionError(
            f"{where}: damaged {name} record ({said[:200]})", remedy="save the submission again"
        ) from None
