"""The one loop that trains detectors by a recipe: seeded, averaged, resumable to the same bits.

`train` starts from published or random weights; what compression has made goes through `begin` and `steps` again.
"""

from __future__ import annotations

import copy
import hashlib
import io
import math
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from wildbench.datasets.coco import Dataset
from wildbench.detectors import zoo
from wildbench.detectors._recipe import Recipe
from wildbench.detectors._training_images import Samples, Target
from wildbench.errors import RecipeError
from wildbench.files import write_atomically
from wildbench.progress import Progress, silent

CHECKPOINT_EVERY = 50
"""Steps between two checkpoints; the last step writes one too."""
STATE = ("model", "averaged", "optimizer")


def train(
    recipe: Recipe,
    dataset: Dataset,
    *,
    checkpoint: Path | None = None,
    progress: Progress = silent,
    device: str = "cpu",
) -> nn.Module:
    """Train the recipe's detector; it comes back with averaged weights, on the CPU, in eval mode.

    Args:
        recipe: What to train and how.
        dataset: What to learn from; where its labels are partial, categories that nobody boxed in an image are left out
            of that image's loss.
        checkpoint: Written while it trains; if it exists, training resumes from it, to the same bits.
        progress: Called as `progress(task, done, total)` after each step.
        device: "cpu" or "cuda".

    Raises:
        RecipeError: The checkpoint is of another run, the detector cannot learn from partial labels, or the loss
            diverged.
    """
    check_labels(recipe.detector.name, dataset)
    total = steps_of(recipe, dataset)
    terms = Terms(constant=None if recipe.detector.init == "random" else "backbone")
    settings = recipe.model_dump_json(exclude={"submission"})  # authors may change while it trains
    identity = hashlib.sha256(f"{settings} {dataset.sha256}".encode()).hexdigest()
    with seeded(recipe.schedule.seed, device):
        run = begin(recipe, _built(recipe, len(dataset.categories)), terms, device)
        if checkpoint is not None and checkpoint.exists():
            _restore(run, checkpoint, identity)
        for done in steps(run, recipe, dataset, terms, device):
            if checkpoint is not None and (done % CHECKPOINT_EVERY == 0 or done == total):
                _save(run, checkpoint, identity)
            progress(f"train {recipe.detector.name}", done, total)
    averaged: nn.Module = run.averaged.cpu().eval()
    return averaged


def _built(recipe: Recipe, num_categories: int) -> nn.Module:
    settings = recipe.detector
    model = zoo.build(settings.name, num_categories, init=settings.init, **settings.arguments)
    if settings.frozen_blocks:
        freeze = zoo.detector(settings.name).freeze
        if freeze is None:
            problem = f"detector.frozen_blocks: {settings.name} has no blocks to freeze"
            raise RecipeError(problem, code="frozen-blocks", remedy="leave it out")
        freeze(model, settings.frozen_blocks)
    return model


def _save(run: Run, path: Path, identity: str) -> None:
    state = {"run": identity, "step": run.step, **{part: getattr(run, part).state_dict() for part in STATE}}
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(path, buffer.getvalue())


def _restore(run: Run, path: Path, identity: str) -> None:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        other = state["run"] != identity
    except (OSError, RuntimeError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        problem = f"{path}: not a checkpoint of a training run"
        raise RecipeError(problem, code="not-a-checkpoint", remedy="delete it to start over") from error
    if other:
        problem = f"{path}: this checkpoint is of another recipe or data set"
        raise RecipeError(problem, code="other-checkpoint", remedy="delete it to start over")
    for part in STATE:
        getattr(run, part).load_state_dict(state[part])
    run.step = state["step"]


@dataclass
class Run:
    """All that changes while training."""

    model: Any  # an nn.Module; its parts have the names of torchvision's detectors
    averaged: Any
    optimizer: torch.optim.Optimizer
    step: int = 0


@dataclass(frozen=True)
class Terms:
    """On what terms a detector is trained, besides its recipe."""

    constant: str | None = None
    """Part of the detector whose batch norms keep their statistics; "" for all of it, None for nothing."""
    extra_loss: nn.Module | None = None
    """Called without arguments after each forward pass and added to the loss; its parameters are trained too."""
    obey: Callable[[nn.Module], None] = field(default=lambda model: None)
    """Called after each step; brings the detector back to what must stay true of it."""


@contextmanager
def seeded(seed: int, device: str) -> Iterator[None]:
    """Seed torch for the block, and put its generators back afterwards."""
    devices = range(torch.cuda.device_count()) if device.startswith("cuda") else ()
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def check_labels(name: str, dataset: Dataset) -> None:
    """Check that a detector can learn from a data set.

    Raises:
        RecipeError: Its labels are partial, and the detector cannot leave a category out of an image's loss.
    """
    if dataset.partial_labels and not zoo.detector(name).partial_labels:
        able = [other for other in zoo.names() if zoo.detector(other).partial_labels]
        problem = f"detector.name: {name} would learn unboxed animals as background, and the labels are partial"
        raise RecipeError(problem, code="partial-labels", remedy=f"use one of {', '.join(able)}")


def begin(recipe: Recipe, model: Any, terms: Terms, device: str) -> Run:  # noqa: ANN401
    """Get a detector ready for training, in place; tensors that require no gradient stay as they are."""
    model.to(device).to(memory_format=torch.channels_last)
    averaged = copy.deepcopy(model).requires_grad_(False)
    if hasattr(model, "transform"):  # torchvision's; the augmentation made the size already
        model.transform._skip_resize = model.transform.fixed_size is None
    extra = [] if terms.extra_loss is None else list(terms.extra_loss.to(device).named_parameters())
    return Run(model, averaged, _optimizer(recipe, [*model.named_parameters(), *extra]))


def steps_of(recipe: Recipe, dataset: Dataset) -> int:
    """Number of steps of a run."""
    return max(1, round(recipe.schedule.epochs * len(dataset.images) / recipe.schedule.batch_size))


def steps(run: Run, recipe: Recipe, dataset: Dataset, terms: Terms, device: str) -> Iterator[int]:
    """Train from where the run stands to its end, in place, and yield the number of steps done after each.

    Raises:
        RecipeError: The training diverged, or the detector learns masks and there are none.
    """
    batch, total = recipe.schedule.batch_size, steps_of(recipe, dataset)
    plain_from = round((1 - recipe.schedule.plain_fraction) * total) * batch
    samples = Samples(recipe, dataset, masks=zoo.detector(recipe.detector.name).masks, plain_from=plain_from)
    positions = range(run.step * batch, total * batch)
    loader = DataLoader(samples, batch, sampler=positions, collate_fn=lambda pairs: zip(*pairs, strict=True))
    for images, targets in loader:
        loss = _step(run, recipe, total, images, targets, terms, device)
        if not math.isfinite(loss):
            problem = f"the loss became {loss} at step {run.step}"
            raise RecipeError(problem, code="diverged", remedy="lower optimizer.learning_rate")
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
    """Learning rate of step `step` (from 0) of `steps`: linear warm-up, then half a cosine."""
    schedule = recipe.schedule
    if step < schedule.warmup_steps:
        return recipe.optimizer.learning_rate * (step + 1) / schedule.warmup_steps
    done = (step - schedule.warmup_steps) / max(1, steps - schedule.warmup_steps)
    cosine = (1 + math.cos(math.pi * done)) / 2
    return recipe.optimizer.learning_rate * (schedule.final_factor + (1 - schedule.final_factor) * cosine)


def _step(
    run: Run, recipe: Recipe, total: int, images: Sequence[Tensor], targets: Sequence[Target], terms: Terms, device: str
) -> float:
    torch.manual_seed(recipe.schedule.seed * 1_000_003 + run.step)  # for detectors that sample proposals
    for group in run.optimizer.param_groups:
        group["lr"] = group["factor"] * learning_rate(recipe, run.step, total)
    run.model.train()
    if terms.constant is not None:
        # Batches of a few images say less about activations than ImageNet or COCO, or a recalibration, did.
        for module in run.model.get_submodule(terms.constant).modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
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


@torch.no_grad()
def _average(run: Run, decay: float) -> None:
    for mean, value in zip(run.averaged.state_dict().values(), run.model.state_dict().values(), strict=True):
        if mean.is_floating_point():
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)
