"""Kernel pruning: whole k x k slices of convolutions become zero, those of least L1 norm in the whole scope.

A filter of a convolution has one kernel for each channel it reads. Frühwirth's "Global Kernel Level Filter Pruning"
may mean these, or the filters themselves (`filters`); both are built, each under its own name.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

from wildbench.compression.masks import impose
from wildbench.compression.scopes import Scope, prunable
from wildbench.compression.subject import Method, Settings, Subject, Workshop
from wildbench.errors import RecipeError


class Kernels(Settings):
    """What `kernels` takes."""

    ratio: float = Field(default=0.3, ge=0, lt=1, description="Part of the scope's kernels that become zero.")
    scope: Scope = Field(default="backbone", description="Which part of the detector.")


def prune_kernels(subject: Subject, settings: Kernels, workshop: Workshop) -> None:
    """Zero `round(ratio x kernels)` kernels of the scope's convolutions, which are ranked together by sums of |w|.

    Convolutions of 1 x 1 are left alone: their kernels are single weights.

    Raises:
        RecipeError: The scope has no larger convolution.
    """
    layers = {
        f"{name}.weight": layer
        for name, layer in prunable(subject.model, settings.scope).items()
        if not isinstance(layer, nn.Linear) and layer.weight[0, 0].numel() > 1
    }
    if not layers:
        raise RecipeError(f"kernels: scope {settings.scope!r} has no kernel beyond 1 x 1", remedy="prune its weights")
    norms = {name: layer.weight.detach().abs().sum((2, 3)) for name, layer in layers.items()}
    scores = torch.cat([norm.flatten() for norm in norms.values()])
    keep = torch.ones(len(scores), dtype=torch.bool)
    zeroed = round(settings.ratio * len(scores))
    keep[torch.topk(scores, zeroed, largest=False).indices] = False
    parts = torch.split(keep, [norm.numel() for norm in norms.values()])
    impose(
        subject,
        {
            name: part.view(norm.shape)[:, :, None, None].expand_as(layers[name].weight)
            for (name, norm), part in zip(norms.items(), parts, strict=True)
        },
    )
    subject.history.append(f"{zeroed:,} of {len(scores):,} kernels of {settings.scope} zeroed (global L1)")


METHODS = {
    "kernels": Method(
        settings=Kernels,
        apply=prune_kernels,
        summary="kernel pruning: the k x k slices of least L1 norm become zero",
        source='Frühwirth (2024), "Global Kernel Level Filter Pruning" read as pruning of kernels',
        keeps=True,
        splits=True,
    ),
}
