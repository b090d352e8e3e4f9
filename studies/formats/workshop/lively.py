"""Random weights whose answers are worth comparing: scores that spread, in every category and on every picture.

Without this a new network says much the same everywhere. Needs torch alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import nn

SCORES = (-7.7, 1.5)
"""Mean and standard deviation of the logits on the pictures, to begin with."""

SHARES = ((-3.9, 0.015), (-2.0, 0.005), (-6.9, 0.1))
"""Logits, of scores 0.02, 0.12 and 0.001, and the share of all places that is to be above them on each picture."""

PLACES = 1600
"""On a layer with more places than this the shares are smaller, lest a detector's best 300 be all it says; on one with
fewer they are larger."""


@torch.no_grad()
def settle(network: nn.Module, batch: torch.Tensor) -> None:
    """Take the statistics of every batch norm from the pictures, so that random layers keep their variance."""
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = 1.0
    network(batch)
    for norm in norms:
        norm.eval()
        norm.momentum = 0.03


@torch.no_grad()
def features_of(network: nn.Module, layers: Iterable[nn.Module], batch: torch.Tensor) -> dict[nn.Module, torch.Tensor]:
    """What each of these 1 x 1 convolutions or linear layers is given on the pictures: pictures x places x channels."""
    inputs: dict[nn.Module, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda m, given, _: inputs.update({m: given[0]})) for layer in layers]
    network(batch)
    for hook in hooks:
        hook.remove()
    return {
        layer: given.movedim(1 if isinstance(layer, nn.Conv2d) else -1, -1).flatten(1, -2).clone()
        for layer, given in inputs.items()
    }


@torch.no_grad()
def rescale(
    layer: nn.Module, features: torch.Tensor, mean: float | torch.Tensor, deviation: float | torch.Tensor
) -> None:
    """Give the outputs of a layer these means and standard deviations over all pictures.

    Args:
        layer: A 1 x 1 convolution or linear layer.
        features: Its input, pictures x places x channels.
        mean: Of all its outputs, or of each.
        deviation: Likewise.
    """
    values = features.flatten(0, 1) @ layer.weight.flatten(1).T
    factor = deviation / values.std(dim=0).clamp(min=1e-6)
    layer.weight *= factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.copy_(mean - values.mean(dim=0) * factor)


@torch.no_grad()
def keep_above(layer: nn.Module, features: torch.Tensor, mean: float, lowest: float) -> None:
    """Draw the outputs of a layer towards their mean until none on the pictures is below `lowest`."""
    values = features.flatten(0, 1) @ layer.weight.flatten(1).T + layer.bias
    factor = ((mean - lowest) / (mean - values.amin(dim=0))).clamp(max=1)
    layer.weight *= factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.copy_(mean + (layer.bias - mean) * factor)


@torch.enable_grad()
def even_out(
    layer: nn.Module, features: torch.Tensor, outputs: Sequence[int] | None = None, amount: float = 1.0
) -> None:
    """Move a layer of scores until about as many of them are high on each picture, calm or busy, for each category.

    Args:
        layer: A 1 x 1 convolution or linear layer.
        features: Its input, pictures x places x channels.
        outputs: Which of its outputs are scores; by default all.
        amount: How many are to be high, as a multiple of `SHARES`.
    """
    chosen = list(outputs) if outputs is not None else list(range(len(layer.bias)))
    weight = layer.weight.detach().flatten(1)[chosen].requires_grad_()
    bias = layer.bias.detach()[chosen].requires_grad_()
    optimizer = torch.optim.Adam([weight, bias], lr=0.02)
    factor = amount * min(2.0, PLACES / features.shape[1])
    for _ in range(300):
        logits = features @ weight.T + bias
        shares = [(torch.sigmoid(2 * (logits - level)).mean(dim=1), share * factor) for level, share in SHARES]
        loss = sum((actual / share).log().square().mean() for actual, share in shares)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    layer.weight.data[chosen] = weight.detach().reshape(len(chosen), *layer.weight.shape[1:])
    layer.bias.data[chosen] = bias.detach()
