"""Training: one loop for every detector of the zoo, seeded, averaged, and resumable to the same bits."""

from __future__ import annotations

import copy
import hashlib
import io
import math
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from wildbench.datasets.coco import Dataset
from wildbench.detectors import zoo
from wildbench.detectors.recipe import Recipe
from wildbench.detectors.samples import Samples, Target
from wildbench.detectors.small_fcos import LitePyramid
from wildbench.errors import RecipeError
from wildbench.files import write_atomically
from wildbench.progress import Progress, silent

CHECKPOINT_EVERY = 50
"""Steps between two checkpoints; the last step writes one too."""


@dataclass
class Run:
    """All that changes while training; a checkpoint is this and nothing else."""

    model: Any  # an nn.Module; its parts have the names of torchvision's detectors
    averaged: Any
    optimizer: torch.optim.Optimizer
    step: int = 0


def train(
    recipe: Recipe,
    dataset: Dataset,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    device: str = "cpu",
) -> nn.Module:
    """Train the recipe's detector.

    Args:
        recipe: What to train and how.
        dataset: What to learn from; where its labels are partial, categories that nobody boxed in an image are left out
            of that image's loss.
        checkpoint: Where it exists, training goes on from it, to the same weights as if it had never stopped.
        progress: Told the steps done.
        device: "cpu" or "cuda".

    Returns:
        The detector with averaged weights, on the CPU, in eval mode.

    Raises:
        RecipeError: The checkpoint is of another run, the labels are partial and the detector cannot obey them, or the
            training diverged.
    """
    if dataset.partial_labels and not zoo.obeys_partial_labels(recipe.detector.name):
        raise RecipeError(
            f"detector.name: {recipe.detector.name} would learn animals that nobody boxed as background",
            remedy=f"for partial labels use one of {', '.join(filter(zoo.obeys_partial_labels, zoo.names()))}",
        )
    batch = recipe.schedule.batch_size
    steps = max(1, round(recipe.schedule.epochs * len(dataset.images) / batch))
    run = _start(recipe, len(dataset.categories), device)
    settings = recipe.model_dump_json(exclude={"submission"})  # authors may change while it trains
    identity = hashlib.sha256(f"{settings} {dataset.sha256}".encode()).hexdigest()
    if checkpoint is not None and checkpoint.exists():
        _restore(run, checkpoint, identity)
    plain_from = round((1 - recipe.schedule.plain_fraction) * steps) * batch
    samples = Samples(recipe, dataset, masks=zoo.predicts_masks(recipe.detector.name), plain_from=plain_from)
    loader = DataLoader(samples, batch, sampler=range(run.step * batch, steps * batch), collate_fn=_unstacked)
    task = f"train {recipe.detector.name}"
    for images, targets in loader:
        loss = _step(run, recipe, steps, images, targets, device)
        if not math.isfinite(loss):
            raise RecipeError(f"the loss became {loss} at step {run.step}", remedy="lower optimizer.learning_rate")
        if checkpoint is not None and (run.step % CHECKPOINT_EVERY == 0 or run.step == steps):
            _save(run, checkpoint, identity)
        progress(task, run.step, steps)
    averaged: nn.Module = run.averaged.cpu().eval()
    return averaged


def _start(recipe: Recipe, num_categories: int, device: str) -> Run:
    torch.manual_seed(recipe.schedule.seed)
    detector = recipe.detector
    model: Any = zoo.build(detector.name, num_categories, init=detector.init, **detector.arguments)
    if isinstance(model.backbone, LitePyramid):
        model.backbone.body.freeze(detector.frozen_blocks)
    elif detector.frozen_blocks:
        raise RecipeError(f"detector.frozen_blocks: {detector.name} has none", remedy=f"it is for {zoo.SMALL}")
    model.to(device).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(model).requires_grad_(False)
    model.transform._skip_resize = model.transform.fixed_size is None  # the augmentation made the size already
    return Run(model, averaged, _optimizer(recipe, model))


def _optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    settings = recipe.optimizer
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            factor = settings.backbone_factor if name.startswith("backbone.body.") else 1.0
            decay = settings.weight_decay if parameter.ndim > 1 else 0.0
            groups.setdefault((factor, decay), []).append(parameter)
    parameters = [
        {"params": members, "factor": factor, "weight_decay": decay} for (factor, decay), members in groups.items()
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(parameters, lr=settings.learning_rate, momentum=settings.momentum, nesterov=True)
    return torch.optim.AdamW(parameters, lr=settings.learning_rate)


def learning_rate(recipe: Recipe, step: int, steps: int) -> float:
    """Learning rate of step `step` (from 0) of `steps`: linear warm-up, then half a cosine.

    Example:
        >>> from wildbench.detectors.recipe import parse_recipe
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


def _step(run: Run, recipe: Recipe, steps: int, images: list[Tensor], targets: list[Target], device: str) -> float:
    torch.manual_seed(recipe.schedule.seed * 1_000_003 + run.step)  # for detectors that sample proposals
    for group in run.optimizer.param_groups:
        group["lr"] = group["factor"] * learning_rate(recipe, run.step, steps)
    run.model.train()
    if recipe.detector.init != "random":
        _keep_statistics(run.model.backbone)
    moved = [{name: value.to(device) for name, value in target.items()} for target in targets]
    losses: dict[str, Tensor] = run.model([image.to(device) for image in images], moved)
    loss = torch.stack(list(losses.values())).sum()
    run.optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.model.parameters(), recipe.optimizer.gradient_clip)
    run.optimizer.step()
    run.step += 1
    _average(run, min(recipe.schedule.ema_decay, run.step / (run.step + 10)))
    return float(loss.detach())


def _keep_statistics(backbone: nn.Module) -> None:
    """Batches of a few images say less about the backbone's activations than ImageNet or COCO did."""
    for module in backbone.modules():
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


def _save(run: Run, path: Path, identity: str) -> None:
    state = {
        "run": identity,
        "step": run.step,
        "model": run.model.state_dict(),
        "averaged": run.averaged.state_dict(),
        "optimizer": run.optimizer.state_dict(),
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def _restore(run: Run, path: Path, identity: str) -> None:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        found = state["run"]
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise RecipeError(f"{path}: not a checkpoint of a training run", remedy="delete it to start anew") from error
    if found != identity:
        raise RecipeError(f"{path}: the checkpoint of another recipe or data set", remedy="delete it to start anew")
    run.model.load_state_dict(state["model"])
    run.averaged.load_state_dict(state["averaged"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.step = state["step"]
