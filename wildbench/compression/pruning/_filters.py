"""Structured pruning: filters are taken out of the detector, and what they made out of every layer that reads it."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from wildbench.compression.pruning import _importance
from wildbench.compression.pruning._coupling import Channels, Coupling, thawed
from wildbench.compression.pruning._importance import image_losses
from wildbench.compression.recovery import check_categories
from wildbench.compression.scopes import Scope, prefixes
from wildbench.compression.subject import Method, Settings, Subject, Workshop
from wildbench.errors import RecipeError

BY_WEIGHT = {"l1": _importance.l1, "group-l2": _importance.group_l2, "fpgm": _importance.fpgm}


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
        select = ranked if settings.distribution == "global" else uniform
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
        return _importance.random(channels, workshop.seed)
    if settings.importance == "taylor":
        check_categories(subject, workshop.data)
        model = subject.model.to(workshop.device)
        losses = image_losses(model, subject.manifest.detector.name, workshop, settings.images)
        scores = _importance.taylor(channels, losses, model)
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


def chunks(channels: Channels, scores: Tensor, round_to: int) -> list[list[int]]:
    """Channels in the order in which they go, in chunks after each of which a multiple of `round_to` is left.

    The last chunk would empty the layer and is not among them.

    Args:
        channels: Of one width; those of a group norm go by whole groups.
        scores: Importance, `[width]`.
        round_to: Widths that are left are multiples of it.

    Example:
        >>> four = Channels(width=4, slices=(), block=1, root=torch.nn.Identity())
        >>> chunks(four, torch.tensor([3.0, 1.0, 2.0, 4.0]), 1), chunks(four, torch.tensor([3.0, 1.0, 2.0, 4.0]), 3)
        ([[1], [2], [0]], [[1]])
    """
    runs = scores.view(-1, channels.block)
    order = torch.argsort(runs.mean(1), stable=True)
    indices = torch.arange(channels.width).view(-1, channels.block)[order].flatten().tolist()
    step = math.lcm(round_to, channels.block)
    edges = [0, *range(channels.width % step or step, channels.width, step)]
    return [indices[start:end] for start, end in itertools.pairwise(edges)]


def uniform(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """From each of the channels the least important `ratio`, to the nearest chunk.

    Returns:
        For each: the indices that go.
    """
    gone = []
    for one, score in zip(channels, scores, strict=True):
        prefixes: list[list[int]] = [[]]
        for chunk in chunks(one, score, round_to):
            prefixes.append(prefixes[-1] + chunk)
        gone.append(min(prefixes, key=lambda prefix: abs(len(prefix) - ratio * one.width)))
    return gone


def ranked(channels: Sequence[Channels], scores: Sequence[Tensor], ratio: float, round_to: int) -> list[list[int]]:
    """The chunks of least mean score in all layers, until `ratio` of all filters is gone and never more.

    At least `round_to` channels of each are left, or scores of very different scale would empty whole layers.

    Returns:
        For each: the indices that go.
    """
    budget = ratio * sum(one.width * len(one.filters) for one in channels)
    gone: list[list[int]] = [[] for _ in channels]
    waiting = [chunks(one, score, round_to)[::-1] for one, score in zip(channels, scores, strict=True)]
    heap = [
        (float(score[left[-1]].mean()), number)
        for number, (score, left) in enumerate(zip(scores, waiting, strict=True))
        if left
    ]
    heapq.heapify(heap)
    while heap:
        _, number = heapq.heappop(heap)
        chunk = waiting[number].pop()
        cost = len(chunk) * len(channels[number].filters)
        if cost > budget:
            continue  # nothing more of these; what is left may be enough for others
        budget -= cost
        gone[number] += chunk
        if waiting[number]:
            heapq.heappush(heap, (float(scores[number][waiting[number][-1]].mean()), number))
    return gone
