"""Folding batch norms into the convolutions before them, as quantization needs: what is rounded is what is multiplied.

A submission is rebuilt by name with all its norms, so a norm stays, as a shift: y = x + bias.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from wildbench.compression.wiring import Wiring


@torch.no_grad()
def fold_norms(model: nn.Module, wiring: Wiring) -> dict[str, str]:
    """Fold every batch norm that follows a layer (Jacob et al., CVPR 2018).

    The norm's scale goes into the layer's weights and bias. Of the norm a shift is left: weight 1, mean 0, a variance
    with which epsilon sums to 1, and its bias.

    Args:
        model: In eval mode; changed in place. It answers the same, up to float32 rounding.
        wiring: What follows what in it.

    Returns:
        The norm of each layer that had one.

    Example:
        >>> from wildbench.compression.wiring import Wiring
        >>> model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.BatchNorm2d(1)).eval()
        >>> _ = nn.init.constant_(model[1].weight, 3.0), nn.init.ones_(model[0].weight)
        >>> fold_norms(model, Wiring(norms={"0": {"1"}}))
        {'0': '1'}
        >>> round(model[0].weight.item(), 3), model[1].weight.item()
        (3.0, 1.0)
    """
    pairs = wiring.folding()
    for layer_name, norm_name in pairs.items():
        layer: Any = model.get_submodule(layer_name)
        norm: Any = model.get_submodule(norm_name)
        scale = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
        shift = norm.bias.double() - norm.running_mean.double() * scale
        sides = [-1 if side == channel_axis(layer) else 1 for side in range(layer.weight.dim())]
        layer.weight.copy_(layer.weight.double() * scale.reshape(sides))
        if layer.bias is not None:
            layer.bias.copy_(layer.bias.double() * scale)
        norm.weight.fill_(1.0)
        norm.bias.copy_(shift)
        norm.running_mean.fill_(0.0)
        norm.running_var.fill_(1.0 - norm.eps)
    return pairs


def channel_axis(layer: nn.Module) -> int:
    """The axis of a layer's weight that counts its output channels."""
    return 1 if isinstance(layer, nn.ConvTranspose2d) else 0
