"""What a count of multiply-accumulates is, and the two closed forms behind every rule."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Self

from pydantic import BaseModel, NonNegativeInt, model_validator

NO_NAME = "(unnamed)"
"""Stands for the weight of a convolution that is no stored tensor itself, such as one that is decoded as it runs."""


class Stage(BaseModel):
    """What runs between one pooling of regions and the next: a box head, a mask head."""

    regions: NonNegativeInt = 0
    macs: NonNegativeInt = 0


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
    """Operators without a rule, and how often they ran."""
    stages: list[Stage] = []
    """The parts that run once a region, in order; none in a one-stage detector."""
    unseen: str | None = None
    """Why nothing could be counted, if so."""

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
        """Note an operator that calculates and has no rule."""
        self.uncounted[operator] = self.uncounted.get(operator, 0) + 1


def convolution_macs(x: Sequence[int], weight: Sequence[int], out: Sequence[int], *, transposed: bool = False) -> int:
    """MACs of a convolution: each weight meets each position once; a grouped convolution simply has fewer weights.

    Args:
        x: Input shape, [N, C_in, *positions].
        weight: Weight shape, [C_out, C_in / groups, *kernel]; [C_in, C_out / groups, *kernel] when transposed.
        out: Output shape, [N, C_out, *positions].
        transposed: Whether the kernel is placed at input positions.

    Example:
        >>> convolution_macs([1, 3, 8, 8], [16, 3, 3, 3], [1, 16, 6, 6])  # 6 x 6 positions, 16 x 3 x 3 x 3 weights
        15552
    """
    return x[0] * prod(weight) * prod((x if transposed else out)[2:])


def product_macs(a: Sequence[int], out: Sequence[int]) -> int:
    """MACs of a matrix product: each element of the result sums over the last axis of the left factor.

    Args:
        a: Shape of the left factor, [..., k].
        out: Shape of the result, whatever was broadcast.

    Example:
        >>> product_macs([7, 2, 3], [7, 2, 5])
        210
    """
    return prod(out) * a[-1]
