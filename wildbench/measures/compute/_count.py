"""What a count of multiply-accumulates is, the two closed forms behind every rule, and what the MACs multiply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import BaseModel, FiniteFloat, NonNegativeInt, model_validator

from wildbench.submissions.formats import NO_NAME as NO_NAME
from wildbench.submissions.process import Detections

if TYPE_CHECKING:  # the detector's process counts, and loads nothing that it does without
    from wildbench.submissions.inspection import Inspection, Tensor


class Stage(BaseModel):
    """What runs between one pooling of regions and the next: a box head, a mask head."""

    regions: NonNegativeInt = 0
    macs: NonNegativeInt = 0


class Found(BaseModel):
    """The best detections of a pass that was counted, to be compared with those of the pass that was timed."""

    boxes: list[tuple[FiniteFloat, FiniteFloat, FiniteFloat, FiniteFloat]] = []
    labels: list[int] = []
    scores: list[FiniteFloat] = []

    def detections(self) -> Detections:
        """As the harness has them."""
        boxes = np.array(self.boxes, np.float32).reshape(-1, 4)
        labels, scores = np.array(self.labels, np.int64), np.array(self.scores, np.float32)
        return Detections(boxes, labels, scores)

    @model_validator(mode="after")
    def _lists_fit(self) -> Self:
        if not len(self.boxes) == len(self.labels) == len(self.scores):
            raise ValueError("boxes, labels and scores of different lengths")
        return self


class Count(BaseModel):
    """What one forward pass takes; crosses from the detector's process as JSON and is checked on arrival.

    Example:
        >>> count = Count()
        >>> count.spend("backbone", 500, "backbone.weight")
        >>> count.pool(10)
        >>> count.spend("head", 70)
        >>> count.macs, count.by_weight, count.stages
        (570, {'backbone.weight': 500}, [Stage(regions=10, macs=70)])
    """

    by_module: dict[str, NonNegativeInt] = {}
    """MACs by path of the innermost module that spent them."""
    by_weight: dict[str, NonNegativeInt] = {}
    """MACs by name of the stored tensor they multiply with; a product of two activations is under none."""
    uncounted: dict[str, NonNegativeInt] = {}
    """Operators that calculate and take no MAC by convention, and how often they ran."""
    stages: list[Stage] = []
    """The parts that run once a region, in order; none in a one-stage detector."""
    unseen: str | None = None
    """Why nothing could be counted, if so."""
    fixed: bool = False
    """Whether every image of this size takes the same, by the graph alone."""

    @model_validator(mode="after")
    def _weights_are_of_modules(self) -> Self:
        if sum(self.by_weight.values()) > self.macs:
            raise ValueError("more MACs by weight than by module")
        return self

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole pass."""
        return sum(self.by_module.values())

    def spend(self, place: str, macs: int, weight: str | None = None) -> None:
        """Add what one operator took, in which module and with which weight."""
        self.by_module[place] = self.by_module.get(place, 0) + macs
        if weight is not None:
            self.by_weight[weight] = self.by_weight.get(weight, 0) + macs
        if self.stages:
            self.stages[-1].macs += macs

    def pool(self, regions: int) -> None:
        """Note a pooling of regions; it runs once for each level of a pyramid, with no MAC between."""
        if not self.stages or self.stages[-1].macs:
            self.stages.append(Stage())
        self.stages[-1].regions += regions

    def skip(self, operator: str) -> None:
        """Note an operator that calculates and takes no MAC."""
        self.uncounted[operator] = self.uncounted.get(operator, 0) + 1

    def miss(self, operator: str) -> None:
        """Note an operator that multiplies, or may, and has no rule: what the pass takes is then unknown."""
        self.skip(operator)
        self.unseen = self.unseen or f"nothing counts the operator {operator}"


def convolution_macs(x: Sequence[int], weight: Sequence[int], out: Sequence[int], *, transposed: bool = False) -> int:
    """MACs of a convolution by its shapes: each weight meets each position once, of the input when transposed.

    Example:
        >>> convolution_macs([1, 3, 8, 8], [16, 3, 3, 3], [1, 16, 6, 6])  # 6 x 6 positions, 16 x 3 x 3 x 3 weights
        15552
    """
    return x[0] * prod(weight) * prod((x if transposed else out)[2:])


def product_macs(a: Sequence[int], out: Sequence[int]) -> int:
    """MACs of a matrix product: each element of the result sums over the last axis of the left factor.

    Example:
        >>> product_macs([7, 2, 3], [7, 2, 5])
        210
    """
    return prod(out) * a[-1]


def einsum_macs(equation: str, shapes: Sequence[Sequence[int]]) -> int:
    """MACs of an Einsum over these operands, from the left to the right, each letter summed as soon as it can be.

    Raises:
        ValueError: The equation does not go with the shapes.

    Example:
        >>> einsum_macs("nchw,oc->nohw", [[1, 3, 8, 8], [16, 3]])
        3072
    """
    left, arrow, result = equation.replace(" ", "").partition("->")
    sides: dict[str, int] = {}
    terms = [_letters(term, shape, sides) for term, shape in zip(left.split(","), shapes, strict=True)]
    letters = [letter for term in terms for letter in term]
    kept = _letters(result, (), sides) if arrow else [one for one in sides if letters.count(one) == 1 or len(one) > 1]
    macs, running = 0, set(terms[0])
    for at, term in enumerate(terms[1:], 1):
        running |= set(term)
        macs += prod(sides[letter] for letter in running)
        running &= {letter for later in (*terms[at + 1 :], kept) for letter in later}
    return macs


def _letters(term: str, shape: Sequence[int], sides: dict[str, int]) -> list[str]:
    """The axes of one operand, those of an ellipsis as "...1", "...2" from the right; `sides` learns their lengths."""
    before, dots, after = term.partition("...")
    free = len(shape) - len(before + after) if shape else sum(letter.startswith("...") for letter in sides)
    letters = [*before, *(f"...{at}" for at in range(free if dots else 0, 0, -1)), *after]
    if shape and len(letters) != len(shape):
        raise ValueError(f"{term!r} does not go with {list(shape)}")
    for letter, side in zip(letters, shape, strict=False):
        sides[letter] = max(sides.get(letter, 1), side)
    return letters


FLOAT_BITS = 32
"""Of an activation where nothing says otherwise."""


@dataclass(frozen=True)
class Weight:
    """One stored tensor, as arithmetic sees it."""

    elements: int
    nonzero: int
    """Values that are not zero after decoding."""
    bits: int
    """Of one value as an arithmetic unit takes it: of a codebook's entries, because an index is not multiplied."""

    def nonzero_macs(self, macs: int) -> Fraction:
        """Of that many MACs with it, those with a value that is not zero: each value meets each position once.

        Of a weight that is used in slices, as the stacked projections of attention are, the whole one's share is taken.
        """
        return Fraction(macs * self.nonzero, max(1, self.elements))


@dataclass(frozen=True)
class Operands:
    """Everything that a submission's MACs multiply."""

    weights: Mapping[str, Weight] = field(default_factory=dict)
    """By name in the state dict or graph."""
    activation_bits: int = FLOAT_BITS
    """Of every activation, as the manifest states, where the file does not say it of each layer."""
    rounded: Mapping[str, int] | None = None
    """Bits of what meets a weight, by its name, where the file says; the others meet float32. "" has those of products
    of two activations."""
    unknown: str | None = None
    """Why nothing is known of the weights, if so."""

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
            return "a weight is calculated as it runs"
        return f"the file stores no weight {missing[0]!r}"

    def activation_bits_at(self, weight: str | None) -> int:
        """Bits of what meets a weight; with None, of activations that meet each other."""
        if self.rounded is None:
            return self.activation_bits
        return self.rounded.get(weight or "", FLOAT_BITS)

    def of(self, count: Count) -> list[tuple[int, Weight | None, int]]:
        """MACs, their weight, and the bits of what it meets; with no weight, those that multiply two activations."""
        known: list[tuple[int, Weight | None, int]] = [
            (macs, self.weights[name], self.activation_bits_at(name)) for name, macs in count.by_weight.items()
        ]
        return [*known, (count.macs - sum(count.by_weight.values()), None, self.activation_bits_at(None))]


def operands_of(inspection: Inspection) -> Operands:
    """What a submission's MACs multiply, by an inspection of its file."""
    bits = inspection.manifest.activation_bits
    if inspection.tensors is None:
        return Operands(activation_bits=bits, unknown=inspection.reason)
    unread = [tensor.name for tensor in inspection.tensors if tensor.parameter and _weight(tensor) is None]
    if unread:
        return Operands(
            activation_bits=bits, unknown=f"the values of {len(unread)} tensors cannot be read: {unread[0]}"
        )
    weights = {tensor.name: weight for tensor in inspection.tensors if (weight := _weight(tensor))}
    return Operands(weights, bits, inspection.activation_bits)


def _weight(tensor: Tensor) -> Weight | None:
    """The tensor as a weight; None where its values cannot be read."""
    if tensor.nonzero is None or tensor.bits is None or tensor.stored_bits is None:
        return None
    return Weight(tensor.elements, tensor.nonzero, tensor.bits)
