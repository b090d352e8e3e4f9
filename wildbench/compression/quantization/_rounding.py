"""Rounding weights to few bits: symmetric, with one scale an output channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from wildbench.compression.quantization._calibration import Site, looking

Rounding = Literal["minmax", "mse"]

LARGEST_BIAS = 2**30
"""Code of a bias; the other half of 32 bits is for the sum of products."""

SHRUNK = torch.linspace(0.3, 1.0, 15)
"""Parts of a channel's largest magnitude among which the one of least squared error is sought."""


def scales(weight: Tensor, bits: int, axis: int, rounding: Rounding) -> Tensor:
    """The scale of each channel of a weight.

    Args:
        weight: Float32, any shape.
        bits: 2 to 8; codes are -(2^(bits - 1) - 1) to 2^(bits - 1) - 1.
        axis: Of the channels.
        rounding: "minmax": the largest magnitude gets the largest code (Krishnamoorthi, 2018). "mse": of the parts of
            that scale in `SHRUNK`, the one that leaves the least squared error.

    Returns:
        Float32 [channels], positive; 1 where all weights are zero.

    Example:
        >>> scales(torch.tensor([[127.0, -3.0], [0.0, 0.0]]), bits=8, axis=0, rounding="minmax")
        tensor([1., 1.])
    """
    rows = weight.detach().movedim(axis, 0).flatten(1).float()
    largest = rows.abs().amax(1)
    whole = torch.where(largest > 0, largest / most_of(bits), 1.0).clamp_min(torch.finfo(torch.float32).tiny)
    if rounding == "minmax":
        return whole
    best, least = whole, torch.full_like(whole, float("inf"))
    for part in SHRUNK.flip(0):
        tried = (whole * part).clamp_min(torch.finfo(torch.float32).tiny)
        error = to_codes(rows, tried, bits, 0).mul_(tried[:, None]).sub_(rows).square_().sum(1)
        best, least = torch.where(error < least, tried, best), torch.minimum(error, least)
    return best


def least_scales(bias: Tensor, entering: float) -> Tensor:
    """The scales of weights below which a channel's bias is too large for integer kernels.

    They add the bias to sums of products of codes, as a 32-bit code in units of the two scales' product. A norm that
    has all but closed a channel leaves weights near zero and a bias that is not: such codes overflow, and ONNX Runtime
    answers nonsense. The weights are then far less than the bias's last digits, and a larger scale costs nothing.

    Args:
        bias: [channels].
        entering: Scale of the activations that enter the layer.

    Example:
        >>> least_scales(torch.tensor([2.0**30, 0.0]), entering=0.5)
        tensor([2., 0.])
    """
    return bias.abs() / (entering * LARGEST_BIAS)


def to_codes(weight: Tensor, scale: Tensor, bits: int, axis: int) -> Tensor:
    """The nearest codes, as floats of the weight's shape."""
    steps = scale.reshape([-1 if side == axis else 1 for side in range(weight.dim())])
    return (weight / steps).round_().clamp_(-most_of(bits), most_of(bits))


def most_of(bits: int) -> int:
    """The largest code: the range is symmetric, so that negative and positive weights are rounded alike.

    Example:
        >>> most_of(8)
        127
    """
    return int(2 ** (bits - 1) - 1)


@torch.no_grad()
def mean_inputs(model: nn.Module, images: Sequence[Tensor], layers: Iterable[str]) -> dict[str, Tensor]:
    """Mean of what enters each layer, by channel, over images and positions.

    Args:
        model: In eval mode.
        images: Shown one by one.
        layers: Names; one that nothing enters is left out.

    Returns:
        Float32 [channels] by layer.
    """
    sums: dict[str, Tensor] = {}
    numbers: dict[str, int] = {}

    def add(site: Site, entering: Tensor) -> None:
        channels = entering.transpose(0, 1) if entering.dim() == 4 else entering.flatten(0, -2).T
        sums[site[0]] = sums.get(site[0], 0) + channels.flatten(1).sum(1, dtype=torch.float64)
        numbers[site[0]] = numbers.get(site[0], 0) + entering.numel() // channels.shape[0]

    with looking(model, [(name, "input") for name in layers], add):
        for image in images:
            model([image])
    return {name: (total / numbers[name]).float() for name, total in sums.items()}


def moved(layer: nn.Module, change: Tensor, mean: Tensor) -> Tensor | None:
    """By how much a change of a layer's weight moves the mean of its result, away from padding.

    Args:
        layer: A convolution or linear layer.
        change: Of its weight.
        mean: Of what enters it, [channels].

    Returns:
        [output channels]; None for a transposed convolution, where it depends on the position.

    Example:
        >>> moved(nn.Linear(2, 1), torch.tensor([[0.5, -1.0]]), torch.tensor([2.0, 3.0]))
        tensor([-2.])
    """
    if isinstance(layer, nn.ConvTranspose2d):
        return None
    groups = layer.groups if isinstance(layer, nn.Conv2d) else 1
    entering = mean.reshape(groups, -1).repeat_interleave(len(change) // groups, 0)
    return (change.flatten(2).sum(2) if change.dim() > 2 else change).mul(entering).sum(1)
