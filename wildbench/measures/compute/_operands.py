"""What arithmetic multiplies: the bits and the zeros of each stored weight, and the bits of the activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from wildbench.measures.compute._count import NO_NAME, Count
from wildbench.submissions.inspection import Inspection, Tensor

FLOAT_BITS = 32
"""Of an activation where nothing says otherwise."""


@dataclass(frozen=True)
class Weight:
    """One stored tensor, as arithmetic and storage see it.

    Attributes:
        elements: Number of values.
        nonzero: Of them, those that are not zero after decoding.
        bits: Of one value as an arithmetic unit takes it: 32 for float32, 8 for affine int8; with a codebook those of
            its entries, because an index is looked up and not multiplied.
        stored_bits: Of one value as it is stored, before any entropy coding: with a codebook those of an index.
        extra_bits: What is stored beside the values: scales, zero points, a codebook.
        parameter: Whether it is a parameter; a buffer, such as a running mean, folds into one.
    """

    elements: int
    nonzero: int
    bits: int
    stored_bits: int
    extra_bits: int = 0
    parameter: bool = True

    def nonzero_macs(self, macs: int) -> Fraction:
        """Of so many MACs with it, those with a value that is not zero: each value meets each position once.

        Of a weight that is used in slices, as the stacked projections of attention are, the whole one's share is taken.
        """
        return Fraction(macs * self.nonzero, max(1, self.elements))


@dataclass(frozen=True)
class Operands:
    """Everything that a submission's MACs multiply.

    Attributes:
        weights: By name in the state dict or graph.
        activation_bits: Of every activation, as the manifest states, where the file does not say it of each layer.
        rounded: Bits of what meets a weight, by its name, where the file says how its layer rounds it; what it does not
            name is a float. None where the file says nothing, and the manifest's word is all there is.
        unknown: Why the weights cannot be told, if so.
    """

    weights: Mapping[str, Weight] = field(default_factory=dict)
    activation_bits: int = FLOAT_BITS
    rounded: Mapping[str, int] | None = None
    unknown: str | None = None

    @property
    def caution(self) -> str | None:
        """What to know of a figure that rests on the activations' bits; None where nobody claims that they are few."""
        if self.activation_bits >= FLOAT_BITS or self.rounded is not None:
            return None
        return f"activations of {self.activation_bits} bits: the manifest's word, not checked"

    def unknown_in(self, count: Count) -> str | None:
        """Why the operands of a count cannot be told; None where they can."""
        missing = sorted(count.by_weight.keys() - self.weights.keys())
        if self.unknown or count.unseen or not missing:
            return self.unknown or count.unseen
        if NO_NAME in missing:
            return "a weight is calculated as it runs, or is stored so that 0 is no zero"
        return f"the file stores no weight {missing[0]!r}"

    def activation_bits_at(self, weight: str | None) -> int:
        """Bits of what meets a weight; with None, of activations that meet each other."""
        if self.rounded is None:
            return self.activation_bits
        return FLOAT_BITS if weight is None else self.rounded.get(weight, FLOAT_BITS)

    def of(self, count: Count) -> list[tuple[int, Weight | None, int]]:
        """MACs, their weight, and the bits of what it meets; with no weight, those that multiply two activations."""
        known: list[tuple[int, Weight | None, int]] = [
            (macs, self.weights[name], self.activation_bits_at(name)) for name, macs in count.by_weight.items()
        ]
        return [*known, (count.macs - sum(count.by_weight.values()), None, self.activation_bits_at(None))]


def operands_of(inspection: Inspection) -> Operands:
    """What a submission's MACs multiply, from what was found in its file."""
    bits = inspection.manifest.activation_bits
    if inspection.tensors is None:
        return Operands(activation_bits=bits, unknown=inspection.reason)
    unread = [tensor.name for tensor in inspection.tensors if tensor.parameter and _weight(tensor) is None]
    if unread:
        return Operands(
            activation_bits=bits, unknown=f"the values of {len(unread)} tensors cannot be read: {unread[0]}"
        )
    weights = {tensor.name: weight for tensor in inspection.tensors if (weight := _weight(tensor))}
    rounded = {f"{name}.weight": found.input.bits for name, found in inspection.activations.items() if found.input}
    return Operands(weights, bits, rounded if inspection.activations else None)


def _weight(tensor: Tensor) -> Weight | None:
    """The tensor as a weight; None where its values cannot be read."""
    if tensor.nonzero is None or tensor.bits is None or tensor.stored_bits is None:
        return None
    return Weight(
        elements=tensor.elements,
        nonzero=tensor.nonzero,
        bits=tensor.bits,
        stored_bits=tensor.stored_bits,
        extra_bits=tensor.extra_bits,
        parameter=tensor.parameter,
    )
