"""What a chain of compression steps hands on: the detector so far, and what the next steps must leave true."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from wildbench.datasets.coco import Dataset
from wildbench.progress import Progress, silent
from wildbench.submissions.archive import Activation
from wildbench.submissions.codecs import Record
from wildbench.submissions.contract import Manifest

Constraint = Callable[[Tensor], Tensor]
"""Maps a tensor to the nearest one that obeys: what was pruned is zero, what shares a value is equal."""


@dataclass
class Subject:
    """A detector on its way through a chain; steps change it in place.

    Attributes:
        model: The detector, on the CPU, in eval mode.
        manifest: Of the dense submission it was made from: its name in the zoo, arguments and categories.
        constraints: By parameter: what must stay true when later steps train it.
        joint: What must stay true of several parameters together; each brings a detector back to it, in place.
        records: By tensor: how a quantizer, which knows its scales, wants it stored; the model holds the same values.
        codec: Chain of codecs for the other tensors (`submissions.codecs.chains`); by default what is smallest
            without loss.
        activations: By module: how what enters and leaves it is quantized (`submissions.activations`).
        errors: By module: relative error that quantization left in its result, as seen on calibration images.
        images: A few of those by which a quantizer calibrated, to check what is made of the detector.
        history: One phrase a step, for the manifest's `method`.
    """

    model: nn.Module
    manifest: Manifest
    constraints: dict[str, Constraint] = field(default_factory=dict)
    joint: list[Callable[[nn.Module], None]] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    codec: str = "smallest"
    activations: dict[str, Activation] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    images: list[Tensor] = field(default_factory=list)
    history: list[str] = field(default_factory=list)

    def constrain(self, name: str, constraint: Constraint) -> None:
        """Add to what must stay true of a parameter; the last added has the last word.

        Example:
            >>> subject.constrain("backbone.body.stem.weight", lambda tensor: tensor * mask)  # doctest: +SKIP
        """
        before = self.constraints.get(name)
        self.constraints[name] = constraint if before is None else lambda tensor: constraint(before(tensor))

    @torch.no_grad()
    def obey(self) -> None:
        """Bring the model back to what must be true of it, after a training step moved it."""
        for name, constraint in self.constraints.items():
            parameter = self.model.get_parameter(name)
            parameter.copy_(constraint(parameter))
        for restore in self.joint:
            restore(self.model)


class Workshop:
    """What steps may use beside the subject.

    Args:
        teacher: The dense detector, in eval mode; never changed.
        source: The data, or what loads them when a step first asks for them: most pruning needs none.
        seed: Of everything random.
        device: "cpu" or "cuda", for training.
        progress: Called as `progress(task, done, total)`.

    Attributes:
        used: The data, where a step asked for them.
    """

    def __init__(
        self,
        teacher: nn.Module,
        source: Dataset | Callable[[], Dataset],
        seed: int = 0,
        device: str = "cpu",
        progress: Progress = silent,
    ) -> None:
        self.teacher, self.seed, self.device, self.progress = teacher, seed, device, progress
        self.used: Dataset | None = None
        self._source = source

    @property
    def data(self) -> Dataset:
        """What the detector was trained on: calibration and fine-tuning see this and nothing else."""
        if self.used is None:
            self.used = self._source if isinstance(self._source, Dataset) else self._source()
        return self.used

    def drawn(self, count: int) -> list[int]:
        """Indices of so many of its images, drawn by the seed; of all of them where they are fewer."""
        order: list[int] = np.random.default_rng(self.seed).permutation(len(self.data.images)).tolist()
        return order[:count]


class Settings(BaseModel):
    """Base of a method's settings: immutable, no unknown keys, no NaN, and no text or truth where a number is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


@dataclass(frozen=True)
class Method:
    """One step that a recipe can name.

    Attributes:
        settings: What it takes; every field has a description and a default.
        apply: Changes the subject in place; raises RecipeError for what this detector cannot have done to it.
        summary: One line.
        source: The paper it comes from.
        last: Whether its numbers are final, so that no later step may change the weights.
        keeps: Whether what was imposed on the weights before stays true whoever imposed it, because some become zero
            and nothing else changes; only such methods may work on a submission that is compressed already.
        splits: Whether it tells weights apart that share a value, so that it must come before `share`.
    """

    settings: type[Settings]
    apply: Callable[[Subject, Any, Workshop], None]
    summary: str
    source: str
    last: bool = False
    keeps: bool = False
    splits: bool = False
