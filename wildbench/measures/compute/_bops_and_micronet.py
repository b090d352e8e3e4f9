"""Figures of a compressed network's arithmetic, from counted MACs and the weights they meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod
from statistics import fmean

from wildbench.measures.compute._count import Count
from wildbench.measures.compute._operands import Operands, Weight
from wildbench.scorecard import Figure, MicroNet, read_scorecard


def nonzero_macs(count: Count, operands: Operands) -> Fraction:
    """MACs whose weight is not zero: what a machine that skips every zero weight would do. Theoretical.

    Example:
        >>> from wildbench.measures.compute._operands import Weight
        >>> half_empty = Operands({"conv.weight": Weight(elements=8, nonzero=4, bits=32, stored_bits=32)})
        >>> print(nonzero_macs(Count(by_module={"conv": 800}, by_weight={"conv.weight": 800}), half_empty))
        400
    """
    skipping = (weight.nonzero_macs(macs) if weight else Fraction(macs) for macs, weight, _ in operands.of(count))
    return sum(skipping, Fraction())


def bit_operations(count: Count, operands: Operands) -> int:
    """BOPs as in van Baalen et al., *Bayesian Bits* (NeurIPS 2020): MACs x weight bits x activation bits.

    Summed over the weights; a product of two activations has their bits twice. MACs are dense, as everywhere.

    Example:
        >>> from wildbench.measures.compute._operands import Weight
        >>> int8 = Operands({"fc.weight": Weight(elements=8, nonzero=8, bits=8, stored_bits=8)}, activation_bits=4)
        >>> bit_operations(Count(by_module={"fc": 100}, by_weight={"fc.weight": 80}), int8)  # 20 are attention's
        2880
    """
    return sum(macs * bits * (weight.bits if weight else bits) for macs, weight, bits in operands.of(count))


REFERENCE = "baselines/scorecards/reference.json"
"""The scorecard of the network that MicroNet's score is relative to: the bundled dense detector."""


def compressed_figures(counts: Sequence[Count], operands: Operands) -> tuple[Figure, Figure, MicroNet]:
    """MACs that zeros would save, bit operations, and MicroNet's costs, as means over the images that were counted.

    Args:
        counts: One an image.
        operands: What they multiply.
    """
    unknown = next((reason for one in counts if (reason := operands.unknown_in(one))), None)
    if not counts:
        unknown = "no image was counted"

    def mean(unit: str, of: Callable[[Count, Operands], int | Fraction], caution: str | None = None) -> Figure:
        if unknown:
            return Figure.undefined(unit, unknown)
        value = fmean(float(of(one, operands)) for one in counts)
        return Figure(value=value, unit=unit, n=len(counts), caution=caution)

    return (
        mean("MAC", nonzero_macs),
        mean("BOP", bit_operations, operands.caution),
        _micronet(operands, mean("operations", operations, operands.caution)),
    )


def _micronet(operands: Operands, operations: Figure) -> MicroNet:
    name, reference = reference_cost()
    unknown = operands.unknown
    tensors = sum(weight.parameter for weight in operands.weights.values())
    stored = None if unknown else storage(operands)
    cost = _figure(stored, "parameters", tensors, unknown)
    if stored is None or operations.value is None:
        figure = Figure.undefined("1", unknown or operations.reason or "")
    else:
        entry = Cost(stored, Fraction(operations.value))
        value = float(score(entry, reference))
        figure = Figure(value=value, unit="1", n=operations.n, caution=operands.caution)
    return MicroNet(
        score=figure,
        storage=cost,
        operations=operations,
        freebie=None if unknown else is_free(operands),
        reference=name,
        reference_storage=Figure(value=float(reference.storage), unit="parameters"),
        reference_operations=Figure(value=float(reference.operations), unit="operations"),
    )


def _figure(value: Fraction | None, unit: str, n: int, unknown: str | None) -> Figure:
    return Figure.undefined(unit, unknown or "") if value is None else Figure(value=float(value), unit=unit, n=n)


@lru_cache(maxsize=1)
def reference_cost() -> tuple[str, Cost]:
    """The reference network's description, and what it costs at 32 bits, as MobileNetV2 did in the challenge.

    Read from its committed scorecard: all of its parameters, and a multiplication and an addition for each of its MACs.
    """
    from wildbench.resources import bundled

    card = read_scorecard(bundled(REFERENCE))
    size, compute = card.size, card.compute
    if size is None or compute is None or size.parameters.value is None or compute.flops.value is None:
        raise ValueError(f"{REFERENCE}: counts no parameters or no MACs")
    name = f"{card.submission.name} ({card.submission.sha256[:12]}) on {card.dataset.name} {card.dataset.split}"
    return name, Cost(Fraction(size.parameters.value), Fraction(compute.flops.value))


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
