"""Unstructured pruning: the smallest weights of a whole part of the detector become zero, wherever they are."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch.nn.utils import prune

from wildbench.compression.masks import impose, shell
from wildbench.compression.scopes import Scope, prunable
from wildbench.compression.subject import Method, Settings, Subject, Workshop

CRITERIA = {"l1": prune.L1Unstructured, "random": prune.RandomUnstructured}


class Weights(Settings):
    """What `weights` takes."""

    ratio: float = Field(default=0.3, ge=0, lt=1, description="Part of the scope's weights that become zero.")
    scope: Scope = Field(default="backbone", description="Which part of the detector.")
    criterion: Literal["l1", "random"] = Field(
        default="l1", description="Which go: the smallest by magnitude, or any (the control)."
    )


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


METHODS = {
    "weights": Method(
        settings=Weights,
        apply=prune_weights,
        summary="global unstructured pruning: the weights of least magnitude become zero",
        source="Han et al. (2015), Learning both Weights and Connections for Efficient Neural Networks; as in "
        "Muhawenayo & Gkioxari (2021), Compressed Object Detection",
        keeps=True,
        splits=True,
    ),
}
