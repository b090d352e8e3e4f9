"""Arithmetic of compressed weights: MACs that zeros would save, and bit operations."""

from __future__ import annotations

from fractions import Fraction

from wildbench.measures.macs import Count
from wildbench.measures.operands import Operands


def nonzero_macs(count: Count, operands: Operands) -> Fraction:
    """MACs whose weight is not zero: what a machine that skips every zero weight would do. Theoretical.

    Example:
        >>> from wildbench.measures.operands import Weight
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
        >>> from wildbench.measures.operands import Weight
        >>> int8 = Operands({"fc.weight": Weight(elements=8, nonzero=8, bits=8, stored_bits=8)}, activation_bits=4)
        >>> bit_operations(Count(by_module={"fc": 100}, by_weight={"fc.weight": 80}), int8)  # 20 are attention's
        2880
    """
    return sum(macs * bits * (weight.bits if weight else bits) for macs, weight, bits in operands.of(count))
