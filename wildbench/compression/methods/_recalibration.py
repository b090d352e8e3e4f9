"""Recalibration: batch norms get statistics for the activations that compression changed.

Averaging new statistics alone (Nahshan et al., 2021, among many) assumes norms that follow their inputs. Those of
detectors are frozen while the rest learns, and the rest has learnt with the offset. So the dense detector sees the same
images, and each channel gets back the mean and the spread that it has there (as in Jordan et al., "REPAIR", 2023).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from wildbench.compression.catalogue import Recalibrate
from wildbench.compression.methods._calibration import Site, looking, opened
from wildbench.compression.subject import Subject, Workshop
from wildbench.errors import RecipeError

Norm: TypeAlias = Any  # a BatchNorm2d or a FrozenBatchNorm2d
TINY = 1e-12
"""Variance below which a channel counts as constant."""


@dataclass
class Moments:
    """Count, sum and sum of squares of each channel of maps `[N, C, H, W]`."""

    count: int
    total: Tensor | float
    squares: Tensor | float

    @classmethod
    def of(cls, features: Tensor) -> Moments:
        """Those of maps that enter a norm."""
        values = features.detach().transpose(0, 1).flatten(1).double()
        return cls(values.shape[1], values.sum(1), (values * values).sum(1))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.squares + other.squares)

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        """Float64 [C] each; the variance is biased, as norms have it."""
        mean = torch.as_tensor(self.total) / self.count
        return mean, (torch.as_tensor(self.squares) / self.count - mean**2).clamp(min=0)


NOTHING = Moments(0, 0.0, 0.0)


def recalibrate(subject: Subject, settings: Recalibrate, workshop: Workshop) -> None:
    """Recalibrate with training images, prepared as at inference; frozen batch norms too."""
    if not norms_of(subject.model):
        name = subject.manifest.detector.name
        raise RecipeError(f"{name} has no batch norms", code="no-batch-norms", remedy="fine-tune it instead")
    images = sample(workshop, settings.images, settings.batch_size)
    renormalise(subject.model.to(workshop.device), copy.deepcopy(workshop.teacher).to(workshop.device), images)
    subject.model.cpu()
    number = min(settings.images, len(workshop.data.images))
    subject.history.append(f"batch norms recalibrated on {number} training images")


def sample(workshop: Workshop, count: int, batch_size: int) -> Iterator[list[Tensor]]:
    """Batches of training images, drawn by the workshop's seed: float `[3, H, W]`, 0 to 1, on its device."""
    drawn = workshop.drawn(count)
    for done in range(0, len(drawn), batch_size):
        images = opened(workshop.data, drawn[done : done + batch_size])
        yield [image.to(workshop.device) for image in images]
        workshop.progress("recalibrate", min(done + batch_size, len(drawn)), len(drawn))


def norms_of(model: nn.Module) -> dict[str, Norm]:
    """The batch norms by name."""
    kinds = (nn.BatchNorm2d, FrozenBatchNorm2d)
    return {name: module for name, module in model.named_modules() if isinstance(module, kinds)}


@torch.no_grad()
def renormalise(model: nn.Module, dense: nn.Module | None, batches: Iterable[Any]) -> None:
    """Set the statistics of the batch norms of a model in eval mode, from batches of its arguments.

    Within a batch a norm already works with its statistics, so that later norms get the inputs that they will get.
    `dense` is the model before channels were removed, whose means and spreads are restored; None to normalise to mean 0
    and variance 1. RecipeError if the channels of a norm are not among the dense one's.
    """
    norms = norms_of(model)
    targets = {name: Target(name, norm, dense) for name, norm in norms.items()}
    sites: list[Site] = [(name, "input") for name in norms]
    for batch in batches:
        if dense is not None:
            with looking(dense, sites, lambda site, features: targets[site[0]].want(features)):
                dense(batch)
        with looking(model, sites, lambda site, features: targets[site[0]].see(features)):
            model(batch)
        for target in targets.values():
            target.end_batch()
    for target in targets.values():
        target.set(target.seen, target.wanted)


class Target:
    """The inputs of one norm of a compressed model, and those of the dense detector's."""

    def __init__(self, name: str, norm: Norm, dense: nn.Module | None) -> None:
        self.norm = norm
        self.origin: Norm = None if dense is None else dense.get_submodule(name)
        self.kept = None if dense is None else survivors(norm, self.origin, name).to(norm.weight.device)
        self.seen = self.wanted = self.seen_here = self.wanted_here = NOTHING

    def want(self, features: Tensor) -> None:
        """Note an input of the dense norm."""
        self.wanted_here += Moments.of(features[:, self.kept])

    def see(self, features: Tensor) -> None:
        """Note an input of the norm, and let it work with the statistics of this batch."""
        self.seen_here += Moments.of(features)
        self.set(self.seen_here, self.wanted_here)

    def end_batch(self) -> None:
        """Add the batch to all of them."""
        self.seen, self.wanted = self.seen + self.seen_here, self.wanted + self.wanted_here
        self.seen_here = self.wanted_here = NOTHING

    def set(self, seen: Moments, wanted: Moments) -> None:
        """Let the norm work with these statistics."""
        if not seen.count:
            return  # no proposal entered a box head
        mean, variance = seen.mean_and_variance()
        if wanted.count:
            their_mean, their_variance = wanted.mean_and_variance()
            origin, varies = self.origin, (variance > TINY) & (their_variance > TINY)
            ratio = torch.where(varies, variance / their_variance.clamp(min=TINY), 1.0)
            mean = mean - ratio.sqrt() * (their_mean - origin.running_mean[self.kept])
            variance = (origin.running_var[self.kept].double() + origin.eps) * ratio - self.norm.eps
        self.norm.running_mean.copy_(mean)
        self.norm.running_var.copy_(variance.clamp(min=0))


def survivors(norm: Norm, dense: Norm, name: str) -> Tensor:
    """Which channels of the dense norm a narrowed one kept: those with its four constants, in order."""
    if len(norm.weight) == len(dense.weight):
        return torch.arange(len(norm.weight))
    rows = iter(enumerate(_constants(dense)))
    kept = [next((at for at, row in rows if row == own), None) for own in _constants(norm)]
    if None in kept:
        message, remedy = f"{name}: the norm changed since", "recalibrate right after channels are removed"
        raise RecipeError(message, code="norms-changed", remedy=remedy)
    return torch.tensor(kept)


def _constants(norm: Norm) -> list[list[float]]:
    columns: list[list[float]] = torch.stack([norm.weight, norm.bias, norm.running_mean, norm.running_var], 1).tolist()
    return columns
