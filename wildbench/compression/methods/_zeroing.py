"""Pruning by zeros: weights, units or kernels become zero, and the layers keep their shapes."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from wildbench.compression.catalogue import Kernels, Units, Weights
from wildbench.compression.subject import Constraint, Subject, Workshop, is_output, prunable
from wildbench.errors import RecipeError

CRITERIA = {"l1": prune.L1Unstructured, "random": prune.RandomUnstructured}


def zeroed_outside(mask: Tensor) -> Constraint:
    """The constraint that all outside a mask, bool of the parameter's shape, is zero.

    Example:
        >>> zeroed_outside(torch.tensor([True, False]))(torch.tensor([5.0, 7.0]))
        tensor([5., 0.])
    """
    return lambda tensor: tensor.masked_fill(~mask.to(tensor.device), 0)


def impose(subject: Subject, masks: Mapping[str, Tensor]) -> None:
    """Zero parameters outside their masks, given by name, and keep them so through later training."""
    for name, mask in masks.items():
        subject.constrain(name, zeroed_outside(mask))
    subject.obey()


def shell(layer: nn.Module) -> nn.Module:
    """A module with nothing but a layer's weight, for `torch.nn.utils.prune`, which renames what it prunes."""
    module = nn.Module()
    module.weight = layer.weight
    return module


def prune_weights(subject: Subject, settings: Weights, workshop: Workshop) -> None:
    """Zero `round(ratio x weights)` weights of the scope's layers, which are ranked together.

    Weights that are zero already count. By magnitude they go first; at random they are drawn like any other.
    """
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


def prune_units(subject: Subject, settings: Units, workshop: Workshop) -> None:
    """Zero the weights of `round(ratio x units)` units in each of the scope's layers.

    A unit is a convolution's filter or a linear layer's row. Biases and norms stay, and so do output layers, whose
    units are categories and box sides.
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
        part = f"scope {settings.scope!r}"
        raise RecipeError(f"{part} has only 1 x 1 kernels", code="nothing-to-prune", remedy="prune its weights")
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
