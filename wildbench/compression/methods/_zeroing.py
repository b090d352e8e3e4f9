"""Pruning by zeros: weights, units or kernels become zero, and the layers keep their shapes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from wildbench.compression.catalogue import Weights, Zeroing
from wildbench.compression.subject import Subject, Workshop, is_output, prunable
from wildbench.errors import RecipeError

CRITERIA = {"l1": prune.L1Unstructured, "random": prune.RandomUnstructured}


def _masked(tensor: Tensor, mask: Tensor) -> Tensor:
    return tensor.masked_fill(~mask.to(tensor.device), 0)


def impose(subject: Subject, masks: Mapping[str, Tensor]) -> None:
    """Zero parameters outside their masks (bool, of their shapes), and keep them so through later training."""
    for name, mask in masks.items():
        subject.constrain(name, partial(_masked, mask=mask))
    subject.obey()


def shell(layer: nn.Module) -> nn.Module:
    """A module with nothing but a layer's weight, for `torch.nn.utils.prune`, which renames what it prunes."""
    module = nn.Module()
    module.weight = layer.weight
    return module


def prune_weights(subject: Subject, settings: Weights, workshop: Workshop) -> None:
    """Zero `round(ratio x weights)` weights of the scope's layers, ranked together; zeros count, and may be drawn."""
    layers = prunable(subject.model, settings.scope)
    shells = {name: shell(layer) for name, layer in layers.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(workshop.seed)
        prune.global_unstructured(
            [(module, "weight") for module in shells.values()],
            pruning_method=CRITERIA[settings.criterion],
            amount=settings.ratio,
        )
    masks = {f"{name}.weight": module.get_buffer("weight_mask").bool() for name, module in shells.items()}
    impose(subject, masks)
    total = sum(mask.numel() for mask in masks.values())
    zeroed = total - sum(int(mask.sum()) for mask in masks.values())
    subject.history.append(
        f"{zeroed:,} of {total:,} weights of {settings.scope} zeroed (global unstructured, {settings.criterion})"
    )


def prune_units(subject: Subject, settings: Zeroing, workshop: Workshop) -> None:
    """Zero the weights of `round(ratio x units)` units (filters, or rows) in each of the scope's layers.

    Biases and norms stay, and so do output layers, whose units are categories and box sides.
    """
    layers = {name: layer for name, layer in prunable(subject.model, settings.scope).items() if not is_output(name)}
    masks = {}
    total = zeroed = 0
    for name, layer in layers.items():
        units = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        module = shell(layer)
        prune.ln_structured(module, "weight", amount=settings.ratio, n=2, dim=units)  # type: ignore[no-untyped-call]
        mask = module.get_buffer("weight_mask").bool()
        kept = mask.transpose(0, units).flatten(1).any(1)
        masks[f"{name}.weight"] = mask
        total, zeroed = total + len(kept), zeroed + int((~kept).sum())
    impose(subject, masks)
    subject.history.append(f"{zeroed:,} of {total:,} units of {settings.scope} zeroed (L2 norm, layer by layer)")


def prune_kernels(subject: Subject, settings: Zeroing, workshop: Workshop) -> None:
    """Zero `round(ratio x kernels)` kernels of the scope's convolutions, which are ranked together by sums of |w|.

    Raises:
        RecipeError: The scope has only convolutions of 1 x 1, whose kernels are single weights.
    """
    layers = {
        f"{name}.weight": layer
        for name, layer in prunable(subject.model, settings.scope).items()
        if not isinstance(layer, nn.Linear) and layer.weight[0, 0].numel() > 1
    }
    if not layers:
        message = f"scope {settings.scope!r} has only 1 x 1 kernels"
        raise RecipeError(message, code="nothing-to-prune", remedy="prune its weights")
    norms = {name: layer.weight.detach().abs().sum((2, 3)) for name, layer in layers.items()}
    scores = torch.cat([norm.flatten() for norm in norms.values()])
    keep = torch.ones(len(scores), dtype=torch.bool)
    zeroed = round(settings.ratio * len(scores))
    keep[torch.topk(scores, zeroed, largest=False).indices] = False
    parts = torch.split(keep, [norm.numel() for norm in norms.values()])
    masks = {
        name: part.view(norm.shape)[:, :, None, None].expand_as(layers[name].weight)
        for (name, norm), part in zip(norms.items(), parts, strict=True)
    }
    impose(subject, masks)
    subject.history.append(f"{zeroed:,} of {len(scores):,} kernels of {settings.scope} zeroed (global L1)")
