"""Zeroing weights for good: now in the detector, and again after every step that trains it."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from wildbench.compression.subject import Constraint, Subject

Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


def zeroed_outside(mask: Tensor) -> Constraint:
    """The constraint that only what a mask keeps differs from zero.

    Args:
        mask: bool, of the parameter's shape.

    Example:
        >>> import torch
        >>> zeroed_outside(torch.tensor([True, False]))(torch.tensor([5.0, 7.0]))
        tensor([5., 0.])
    """
    return lambda tensor: tensor.masked_fill(~mask.to(tensor.device), 0)


def impose(subject: Subject, masks: Mapping[str, Tensor]) -> None:
    """Zero parameters outside their masks, and keep them so through later training.

    Args:
        subject: Changed in place.
        masks: bool, by the name of the parameter.
    """
    for name, mask in masks.items():
        subject.constrain(name, zeroed_outside(mask))
    subject.obey()


def shell(layer: Layer) -> nn.Module:
    """A module with nothing but a layer's weight, for `torch.nn.utils.prune`, which renames what it prunes."""
    module = nn.Module()
    module.weight = layer.weight
    return module
