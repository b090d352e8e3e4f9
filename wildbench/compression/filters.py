"""Structured pruning: filters are taken out of the detector, and what they made out of every layer that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor

from wildbench.compression import importance, selection
from wildbench.compression.coupling import Channels, Coupling
from wildbench.compression.finetuning import check_categories
from wildbench.compression.frozen_norms import thawed
from wildbench.compression.losses import image_losses
from wildbench.compression.scopes import Scope, prefixes
from wildbench.compression.subject import Method, Settings, Subject, Workshop
from wildbench.errors import RecipeError

BY_WEIGHT = {"l1": importance.l1, "group-l2": importance.group_l2, "fpgm": importance.fpgm}


class Filters(Settings):
    """What `filters` takes."""

    ratio: float = Field(
        default=0.3, ge=0, lt=1, description="Part of the scope's filters that go; of their number, not of their bytes."
    )
    scope: Scope = Field(default="backbone", description="Which part of the detector.")
    importance: Literal["l1", "group-l2", "taylor", "fpgm", "random"] = Field(
        default="l1", description="Which go first (`importance`); random is the control."
    )
    distribution: Literal["global", "uniform"] = Field(
        default="global", description="All layers ranked together, or the same part of each (the control)."
    )
    round_to: int = Field(default=8, ge=1, le=64, description="Widths that are left are multiples of it.")
    images: int = Field(
        default=32, ge=1, le=1_000_000, description="Training images whose losses Taylor importance asks."
    )


def prune_filters(subject: Subject, settings: Filters, workshop: Workshop) -> None:
    """Take filters out.

    A filter is an output channel of a convolution or linear layer, depthwise ones included. Those that are added to
    each other, or that a depthwise convolution passes on, go together, and so does what follows from them in the other
    parts of the detector: what a head reads, a depthwise convolution of the head. Channels belong to a scope where
    every layer that makes them does. Output layers keep every filter, group norms lose whole groups, and every layer
    keeps `round_to` channels at least. So at most `ratio` of the scope's filters go (global), or of each layer's the
    nearest that leaves a multiple of `round_to` (uniform). The history says how many did.

    Raises:
        RecipeError: No filter of the scope can go, or an earlier step has made promises about single weights.
    """
    if subject.constraints or subject.joint:
        raise RecipeError("filters cannot go after steps that zeroed or shared weights", remedy="prune them first")
    model = subject.model
    before = sum(parameter.numel() for parameter in model.parameters())
    with thawed(model):
        coupling = Coupling(model)
        beginnings = prefixes(model, settings.scope)
        channels = [one for one in coupling.channels() if all(name.startswith(beginnings) for name in one.makers)]
        if not channels:
            raise RecipeError(
                f"scope {settings.scope!r} of {subject.manifest.detector.name} has no filter that can go: all are "
                "outputs",
                remedy="prune the backbone",
            )
        scores = _scores(subject, channels, settings, workshop)
        select = selection.ranked if settings.distribution == "global" else selection.uniform
        gone = select(channels, scores, settings.ratio, settings.round_to)
        for one, indices in zip(channels, gone, strict=True):
            if indices:
                coupling.remove(one, sorted(indices))
    after = sum(parameter.numel() for parameter in model.parameters())
    total = sum(one.width * len(one.filters) for one in channels)
    removed = sum(len(indices) * len(one.filters) for one, indices in zip(channels, gone, strict=True))
    subject.history.append(
        f"{removed:,} of {total:,} filters of {settings.scope} removed ({settings.distribution} {settings.importance}, "
        f"multiples of {settings.round_to}): {before:,} parameters to {after:,}"
    )


def _scores(subject: Subject, channels: Sequence[Channels], settings: Filters, workshop: Workshop) -> Sequence[Tensor]:
    """Importance of each of the channels."""
    if settings.importance == "random":
        return importance.random(channels, workshop.seed)
    if settings.importance == "taylor":
        check_categories(subject, workshop.data)
        model = subject.model.to(workshop.device)
        losses = image_losses(model, subject.manifest.detector.name, workshop, settings.images)
        scores = importance.taylor(channels, losses, model)
        model.cpu()
        return scores
    return [BY_WEIGHT[settings.importance](one) for one in channels]


METHODS = {
    "filters": Method(
        settings=Filters,
        apply=prune_filters,
        summary="structured pruning: filters, and all that depends on them, are taken out of the detector",
        source='Li et al. (2017), Pruning Filters for Efficient ConvNets; globally as in Frühwirth (2024), "Global '
        'Kernel Level Filter Pruning" read as pruning of filters; coupled by Fang et al. (2023), DepGraph',
    ),
}
