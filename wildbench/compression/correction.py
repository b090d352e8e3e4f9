"""Bias correction: rounding weights moves the mean of a layer's result; its bias takes the mean back.

Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction (ICCV 2019), with means of inputs
measured on calibration images. It matters most for depthwise convolutions, whose few weights do not average out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from wildbench.compression.calibration import Site, looking


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
