"""Fine-tuning: training goes on after a step that cost accuracy, and what the step imposed stays true."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import Any

from pydantic import Field
from torch import nn

from wildbench.compression.subject import Method, Settings, Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors import (
    Augmentation,
    Network,
    Optimizer,
    Recipe,
    Schedule,
    Terms,
    begin,
    check_labels,
    load_recipe,
    seeded,
    steps,
    steps_of,
)
from wildbench.errors import RecipeError
from wildbench.resources import bundled


class FineTune(Settings):
    """Settings of `fine-tune`: linear warm-up, then a cosine down to nearly nothing."""

    epochs: float = Field(default=4, gt=0, le=10_000, description="Passes through the training data.")
    learning_rate: float = Field(default=3e-4, gt=0, description="Largest, of AdamW.")
    backbone_factor: float = Field(
        default=1.0, ge=0, description="Learning rate of the backbone, relative to the rest."
    )
    batch_size: int = Field(default=8, ge=1, le=4096, description="Images in a step.")
    warmup_steps: int = Field(
        default=20, ge=0, le=1_000_000, description="In which the learning rate rises from nothing."
    )
    weight_decay: float = Field(default=0.05, ge=0, description="Of matrices and kernels; biases and norms have none.")
    ema_decay: float = Field(default=0.99, ge=0, lt=1, description="Of the averaged weights that are the result.")
    plain_fraction: float = Field(default=0.25, ge=0, le=1, description="Last part without mosaic and pasting.")
    like: str | None = Field(
        default=None,
        description="Training recipe whose augmentation to use; by default the bundled reference's, at the size that "
        "the detector sees, and without pasting where no masks are.",
    )


def fine_tune(subject: Subject, settings: FineTune, workshop: Workshop) -> None:
    """Train the detector further. Batch norms keep their statistics, and constraints hold after every step."""
    learn(subject, settings, workshop, task="fine-tune")
    subject.history.append(f"fine-tuned for {settings.epochs:g} epochs")


def learn(
    subject: Subject,
    settings: FineTune,
    workshop: Workshop,
    *,
    task: str,
    constant: str | None = "",
    extra_loss: Callable[[Any], nn.Module] | None = None,
) -> None:
    """Train a subject's detector in place.

    Args:
        subject: Its averaged weights obey the constraints, too.
        settings: How.
        workshop: The data, the seed and the device.
        task: Its name for the progress.
        constant: Part of the detector whose batch norms keep their statistics; None for nothing.
        extra_loss: Makes of the detector that is trained what is added to its own loss (`loop.Terms`).

    Raises:
        RecipeError: The data have other categories, their labels are partial and the detector cannot obey them, masks
            are needed and missing, or the training diverged.
    """
    check_categories(subject, workshop.data)
    recipe = recipe_for(subject, settings, workshop)
    student = copy.deepcopy(subject.model).requires_grad_()
    total = steps_of(recipe, workshop.data)
    with seeded(workshop.seed, workshop.device):
        extra = None if extra_loss is None else extra_loss(student)
        terms = Terms(constant, extra, obey=lambda model: replace(subject, model=model).obey())
        run = begin(recipe, student, terms, workshop.device)
        for done in steps(run, recipe, workshop.data, terms, workshop.device):
            workshop.progress(f"{task} ({len(subject.history) + 1})", done, total)
    subject.model.load_state_dict(run.averaged.state_dict())
    subject.model.eval()
    subject.obey()


def check_categories(subject: Subject, data: Dataset) -> None:
    """Check that labels mean the same to the detector and in the data.

    Raises:
        RecipeError: They do not, or the labels are partial and the detector cannot obey them.
    """
    if data.category_names != subject.manifest.categories:
        raise RecipeError(
            f"{data.name} has other categories than the detector", remedy="train on the data that it was trained on"
        )
    check_labels(subject.manifest.detector.name, data)


def recipe_for(subject: Subject, settings: FineTune, workshop: Workshop) -> Recipe:
    """The training recipe of a step; a later step of a chain sees other augmented images."""
    detector = subject.manifest.detector
    return Recipe(
        detector=Network(name=detector.name, arguments=detector.arguments),
        schedule=Schedule(
            epochs=settings.epochs,
            batch_size=settings.batch_size,
            warmup_steps=settings.warmup_steps,
            plain_fraction=settings.plain_fraction,
            ema_decay=settings.ema_decay,
            seed=1000 * workshop.seed + len(subject.history),
        ),
        optimizer=Optimizer(
            learning_rate=settings.learning_rate,
            backbone_factor=settings.backbone_factor,
            weight_decay=settings.weight_decay,
        ),
        augmentation=augmentation_for(subject.model, workshop.data, settings.like),
    )


def augmentation_for(model: Any, data: Dataset, like: str | None) -> Augmentation:  # noqa: ANN401
    """How images are augmented.

    Args:
        model: The detector.
        data: What it learns from.
        like: A training recipe; by default the bundled reference's, with the size changed to that in which the detector
            sees the median image, and with pasting only where all animals have masks.
    """
    if like is not None:
        return load_recipe(like).augmentation
    chances = load_recipe(bundled("baselines/reference.toml")).augmentation
    height, width = frame(model.transform, data)
    masks = all(annotation.get("segmentation") for annotation in data.annotations)
    return chances.model_copy(update={"height": height, "width": width} | ({} if masks else {"paste": 0.0}))


def frame(transform: Any, data: Dataset) -> tuple[int, int]:  # noqa: ANN401
    """Height and width in which a detector sees the median image, to a multiple of 32."""
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        return height, width
    sides = [median(image[side] for image in data.images) for side in ("height", "width")]
    scale = min(transform.min_size[-1] / min(sides), transform.max_size / max(sides))
    height, width = (max(32, 32 * round(side * scale / 32)) for side in sides)
    return height, width


METHODS = {
    "fine-tune": Method(
        FineTune,
        fine_tune,
        summary="train on, with what earlier steps imposed kept true",
        source="Han et al. 2015, Learning both Weights and Connections for Efficient Neural Networks",
    )
}
