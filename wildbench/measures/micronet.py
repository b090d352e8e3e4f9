"""The MicroNet Challenge's two costs and its score (NeurIPS 2019).

Rules: https://micronet-challenge.github.io/scoring_and_submission; their reference implementation is
google-research/micronet_challenge/counting.py. Storage is in parameters of 32 bits, arithmetic in operations of 32
bits; narrower ones count as the fraction. Here the arithmetic is that of convolutions and matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from wildbench.measures.macs import Count
from wildbench.measures.operands import Operands, Weight

FULL_BITS = 32
FREE_BITS = 16
"""Who quantizes nothing below this may count weights and multiplications as if they had so many bits."""


@dataclass(frozen=True)
class Cost:
    """What an entry costs.

    Attributes:
        storage: Parameters of 32 bits.
        operations: Operations of 32 bits an image.
    """

    storage: Fraction
    operations: Fraction


def mask_bits(shape: Sequence[int], block: Sequence[int] | None = None) -> int:
    """Bits of the mask that tells which values, or which blocks of them, are stored.

    Example:
        >>> mask_bits([512, 128], block=[4, 4])
        4096
    """
    block = [1] * len(shape) if block is None else block
    return prod(-(-side // step) for side, step in zip(shape, block, strict=True))


def operation(*bits: int) -> Fraction:
    """What one operation on inputs of so many bits counts.

    Example:
        >>> operation(3, 5)
        Fraction(5, 32)
    """
    return Fraction(max(bits), FULL_BITS)


def is_free(operands: Operands) -> bool:
    """Whether the "freebie" applies: no weight and no activation is quantized below 16 bits."""
    widths = [min(weight.bits, weight.stored_bits) for weight in operands.weights.values() if weight.parameter]
    return min([operands.activation_bits, *widths]) >= FREE_BITS


def tensor_bits(weight: Weight, *, free: bool) -> int:
    """Bits that a tensor counts: all of its values, or those that are not zero and a mask, whichever is less."""
    bits = min(weight.stored_bits, FREE_BITS) if free else weight.stored_bits
    masked = weight.nonzero * bits + mask_bits([weight.elements])
    return min(weight.elements * bits, masked) + weight.extra_bits


def storage(operands: Operands) -> Fraction:
    """Parameters of 32 bits that the parameters count. Buffers fold into them and count nothing.

    Example:
        >>> int8 = Operands({"fc.weight": Weight(elements=400, nonzero=400, bits=8, stored_bits=8)})
        >>> storage(int8)
        Fraction(100, 1)
    """
    free = is_free(operands)
    bits = (tensor_bits(weight, free=free) for weight in operands.weights.values() if weight.parameter)
    return Fraction(sum(bits), FULL_BITS)


def operations(count: Count, operands: Operands) -> Fraction:
    """Operations of 32 bits that an image takes: multiplications by their wider input, additions in full.

    A sum of n products takes n - 1 additions, and one for its bias or the norm that folds into it. What multiplies with
    a zero weight is skipped.
    """
    widest = FREE_BITS if is_free(operands) else FULL_BITS
    total = Fraction(0)
    for macs, weight, met in operands.of(count):
        activation = min(met, widest)
        done = weight.nonzero_macs(macs) if weight else Fraction(macs)
        bits = activation if weight is None else min(weight.bits, widest)
        total += done * (operation(bits, activation) + operation(FULL_BITS))
    return total


def score(entry: Cost, reference: Cost) -> Fraction:
    """The sum of both costs, each over that of a reference network; less is better.

    Example:
        >>> mobilenet = Cost(storage=Fraction(6_900_000), operations=Fraction(1_170_000_000))
        >>> round(float(score(Cost(Fraction(3_000_000), Fraction(500_000_000)), mobilenet)), 3)
        0.862
    """
    return entry.storage / reference.storage + entry.operations / reference.operations
