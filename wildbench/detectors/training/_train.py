"""Training by a recipe: any detector of the zoo, seeded, averaged, and resumable to the same bits."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wildbench.datasets.coco import Dataset
from wildbench.detectors import zoo
from wildbench.detectors.training._loop import Run, Terms, begin, check_labels, seeded, steps, steps_of
from wildbench.detectors.training._recipe import Recipe
from wildbench.detectors.zoo import LitePyramid
from wildbench.errors import RecipeError
from wildbench.files import write_atomically
from wildbench.progress import Progress, silent

CHECKPOINT_EVERY = 50
"""Steps between two checkpoints; the last step writes one too."""


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
    check_labels(recipe.detector.name, dataset)
    with seeded(recipe.schedule.seed, device):
        return _trained(recipe, dataset, checkpoint, progress, device)


def _trained(recipe: Recipe, dataset: Dataset, checkpoint: Path | None, progress: Progress, device: str) -> nn.Module:
    total = steps_of(recipe, dataset)
    terms = Terms(constant=None if recipe.detector.init == "random" else "backbone")
    run = begin(recipe, _built(recipe, len(dataset.categories)), terms, device)
    settings = recipe.model_dump_json(exclude={"submission"})  # authors may change while it trains
    identity = hashlib.sha256(f"{settings} {dataset.sha256}".encode()).hexdigest()
    if checkpoint is not None and checkpoint.exists():
        _restore(run, checkpoint, identity)
    task = f"train {recipe.detector.name}"
    for done in steps(run, recipe, dataset, terms, device):
        if checkpoint is not None and (done % CHECKPOINT_EVERY == 0 or done == total):
            _save(run, checkpoint, identity)
        progress(task, done, total)
    averaged: nn.Module = run.averaged.cpu().eval()
    return averaged


def _built(recipe: Recipe, num_categories: int) -> nn.Module:
    detector = recipe.detector
    model: Any = zoo.build(detector.name, num_categories, init=detector.init, **detector.arguments)
    if isinstance(model.backbone, LitePyramid):
        model.backbone.body.freeze(detector.frozen_blocks)
    elif detector.frozen_blocks:
        raise RecipeError(f"detector.frozen_blocks: {detector.name} has none", remedy=f"it is for {zoo.SMALL}")
    built: nn.Module = model
    return built


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
