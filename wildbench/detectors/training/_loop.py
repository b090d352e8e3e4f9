"""The one loop that trains detectors: from published or random weights, and again after compression."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from wildbench.datasets.coco import Dataset
from wildbench.detectors import zoo
from wildbench.detectors.training._recipe import Recipe
from wildbench.detectors.training._training_images import Samples, Target
from wildbench.errors import RecipeError


@dataclass
class Run:
    """All that changes while training."""

    model: Any  # an nn.Module; its parts have the names of torchvision's detectors
    averaged: Any
    optimizer: torch.optim.Optimizer
    step: int = 0


def _nothing(model: nn.Module) -> None:
    pass


@dataclass(frozen=True)
class Terms:
    """On what terms a detector is trained, beside its recipe.

    Attributes:
        constant: Part of the detector whose batch norms keep their statistics; "" for all of it, None for nothing.
        extra_loss: Called without arguments after each forward pass, for what is added to the detector's own loss; its
            parameters are trained too.
        obey: Called after each step; brings the detector back to what must stay true of it.
    """

    constant: str | None = None
    extra_loss: nn.Module | None = None
    obey: Callable[[nn.Module], None] = field(default=_nothing)


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """While the block runs, torch draws from a seed; afterwards its own generators stand where they stood.

    Example:
        >>> before = torch.get_rng_state()
        >>> with seeded(1, "cpu"):
        ...     _ = torch.rand(3)
        >>> torch.equal(before, torch.get_rng_state())
        True
    """
    devices = range(torch.cuda.device_count()) if device.startswith("cuda") else ()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def check_labels(name: str, dataset: Dataset) -> None:
    """Check that a detector can learn from a data set.

    Raises:
        RecipeError: Its labels are partial, and the detector cannot leave a category out of an image's loss.
    """
    if dataset.partial_labels and not zoo.obeys_partial_labels(name):
        raise RecipeError(
            f"detector.name: {name} would learn animals that nobody boxed as background",
            remedy=f"for partial labels use one of {', '.join(filter(zoo.obeys_partial_labels, zoo.names()))}",
        )


def begin(recipe: Recipe, model: Any, terms: Terms, device: str) -> Run:  # noqa: ANN401
    """Get a detector ready for training, in place.

    Args:
        recipe: How it is trained.
        model: The detector; what does not require gradients stays as it is.
        terms: Beside the recipe.
        device: "cpu" or "cuda".
    """
    model.to(device).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(model).requires_grad_(False)
    model.transform._skip_resize = model.transform.fixed_size is None  # the augmentation made the size already
    extra = [] if terms.extra_loss is None else list(terms.extra_loss.to(device).named_parameters())
    return Run(model, averaged, _optimizer(recipe, [*model.named_parameters(), *extra]))


def steps_of(recipe: Recipe, dataset: Dataset) -> int:
    """Number of steps of a run."""
    return max(1, round(recipe.schedule.epochs * len(dataset.images) / recipe.schedule.batch_size))


def steps(run: Run, recipe: Recipe, dataset: Dataset, terms: Terms, device: str) -> Iterator[int]:
    """Train from where the run stands to its end.

    Args:
        run: Changed in place.
        recipe: How.
        dataset: What to learn from; where its labels are partial, categories that nobody boxed in an image are left out
            of that image's loss.
        terms: Beside the recipe.
        device: Where the run is.

    Yields:
        The number of steps done, after each.

    Raises:
        RecipeError: The training diverged, or the detector learns masks and there are none.
    """
    batch, total = recipe.schedule.batch_size, steps_of(recipe, dataset)
    plain_from = round((1 - recipe.schedule.plain_fraction) * total) * batch
    samples = Samples(recipe, dataset, masks=zoo.predicts_masks(recipe.detector.name), plain_from=plain_from)
    loader = DataLoader(samples, batch, sampler=range(run.step * batch, total * batch), collate_fn=_unstacked)
    for images, targets in loader:
        loss = _step(run, recipe, total, images, targets, terms, device)
        if not math.isfinite(loss):
            raise RecipeError(f"the loss became {loss} at step {run.step}", remedy="lower optimizer.learning_rate")
        yield run.step


def _optimizer(recipe: Recipe, parameters: list[tuple[str, nn.Parameter]]) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    members: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in parameters:
        if parameter.requires_grad:
            factor = settings.backbone_factor if name.startswith("backbone.body.") else 1.0
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            members.setdefault((factor, decay), []).append(parameter)
    groups = [{"params": group, "factor": factor, "weight_decay": decay} for (factor, decay), group in members.items()]
    if settings.name == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum, nesterov=True)
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`: linear warm-up, then half a cosine.

    Example:
        >>> from wildbench.detectors.training._recipe import parse_recipe
        >>> recipe = parse_recipe({"detector": {"name": "ssd300_vgg16"}, "augmentation": {"height": 300, "width": 300},
        ...     "schedule": {"epochs": 1, "warmup_steps": 4, "final_factor": 0.0}, "optimizer": {"learning_rate": 1.0}})
        >>> [round(learning_rate(recipe, step, 12), 2) for step in (0, 3, 4, 8, 11)]
        [0.25, 1.0, 1.0, 0.5, 0.04]
    """
    schedule = recipe.schedule
    if step < schedule.warmup_steps:
        return recipe.optimizer.learning_rate * (step + 1) / schedule.warmup_steps
    done = (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return recipe.optimizer.learning_rate * (schedule.final_factor + (1 - schedule.final_factor) * cosine)


def _step(
    run: Run, recipe: Recipe, total: int, images: list[Tensor], targets: list[Target], terms: Terms, device: str
) -> float:
    torch.manual_seed(recipe.schedule.seed * 1_000_003 + run.step)  # for detectors that sample proposals
    for group in run.optimizer.param_groups:
        group["lr"] = group["factor"] * learning_rate(recipe, run.step, total)
    run.model.train()
    if terms.constant is not None:
        _keep_statistics(run.model.get_submodule(terms.constant))
    moved = [{name: value.to(device) for name, value in target.items()} for target in targets]
    losses: dict[str, Tensor] = run.model([image.to(device) for image in images], moved)
    loss = torch.stack(list(losses.values())).sum()
    if terms.extra_loss is not None:
        loss = loss + terms.extra_loss()
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.model.parameters(), recipe.optimizer.gradient_clip)
    run.optimizer.step()
    terms.obey(run.model)
    run.step += 1
    _average(run, min(recipe.schedule.ema_decay, run.step / (run.step + 10)))
    return float(loss.detach())


def _keep_statistics(part: nn.Module) -> None:
    """Batches of a few images say less about activations than ImageNet or COCO, or a recalibration, did."""
    for module in part.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


@torch.no_grad()
def _average(run: Run, decay: float) -> None:
    for mean, value in zip(run.averaged.state_dict().values(), run.model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


def _unstacked(batch: Iterable[tuple[Tensor, Target]]) -> tuple[list[Tensor], list[Target]]:
    images, targets = zip(*batch, strict=True)
    return list(images), list(targets)
