"""Frozen batch norms, for torch-pruning: it takes them for arithmetic without channels, and leaves them too wide."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d


@contextlib.contextmanager
def thawed(model: nn.Module) -> Iterator[None]:
    """While the block runs, frozen batch norms are ordinary ones with the same tensors and epsilon.

    Args:
        model: In eval mode; changed in place. Afterwards its frozen norms have the widths that the block gave them.

    Example:
        >>> model = nn.Sequential(FrozenBatchNorm2d(8))
        >>> with thawed(model):
        ...     type(model[0]).__name__
        'BatchNorm2d'
        >>> type(model[0]).__name__
        'FrozenBatchNorm2d'
    """
    frozen = {name for name, module in model.named_modules() if isinstance(module, FrozenBatchNorm2d)}
    _replace(model, frozen, nn.BatchNorm2d)
    try:
        yield
    finally:
        _replace(model, frozen, FrozenBatchNorm2d)


@torch.no_grad()
def _replace(model: nn.Module, names: set[str], kind: Callable[..., nn.Module]) -> None:
    for name in names:
        norm: Any = model.get_submodule(name)
        other = kind(len(norm.weight), eps=norm.eps).eval()
        for tensor in ("weight", "bias", "running_mean", "running_var"):  # both kinds have these
            getattr(other, tensor).copy_(getattr(norm, tensor))
        model.set_submodule(name, other)
