"""What compression steps work on, and what a method is; without torch, so that methods are listed quickly."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from wildbench import plugins
from wildbench.datasets.coco import Dataset
from wildbench.errors import RecipeError
from wildbench.progress import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor, nn

    from wildbench.submissions.archive import Activation
    from wildbench.submissions.codecs import Record
    from wildbench.submissions.manifest import Manifest

    Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear

Constraint = Callable[["Tensor"], "Tensor"]
"""Maps a tensor to the nearest one that obeys: pruned weights are zero, shared weights are equal."""

Scope = Literal["backbone", "head", "both", "all"]
"""backbone: with its feature pyramid. head: the RoI heads of a two-stage detector, else the dense head. both: these
two, without a region proposal network, as in Muhawenayo & Gkioxari (2021). all: the whole detector."""

_OUTPUTS = re.compile(
    r".*\.(cls_logits|bbox_reg|bbox_ctrness|bbox_pred|cls_score|mask_fcn_logits)"  # of FCOS, RetinaNet, RPN, RoI heads
    r"|head\.\w+\.module_list\.\d(\.1)?"  # of SSD, SSDLite
)


@dataclass
class Subject:
    """A detector on its way through a chain; steps change it in place.

    Attributes:
        model: The detector, on the CPU, in eval mode.
        manifest: Of the dense submission it was made from: its name in the zoo, arguments and categories.
        constraints: By parameter: what must stay true when later steps train it.
        joint: What must stay true of several parameters together; each brings a detector back to it, in place.
        records: By tensor: how a quantizer, which knows the scales, stores it; the model holds the same values.
        codec: Chain of codecs for the other tensors (`submissions.codecs.chains`); by default the smallest lossless.
        activations: By module: how its inputs and outputs are quantized (`submissions.activations`).
        errors: By module: relative error of its result after quantization, measured on calibration images.
        images: A few of the calibration images, to check an exported detector with.
        history: One phrase per step, for the manifest's `method`.
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
        """Add a constraint on a parameter; it is applied after those that are there."""
        before = self.constraints.get(name)
        self.constraints[name] = constraint if before is None else lambda tensor: constraint(before(tensor))

    def obey(self) -> None:
        """Apply every constraint, after a training step moved the weights."""
        import torch

        with torch.no_grad():
            for name, constraint in self.constraints.items():
                parameter = self.model.get_parameter(name)
                parameter.copy_(constraint(parameter))
            for restore in self.joint:
                restore(self.model)


@dataclass
class Workshop:
    """What steps may use beside the subject.

    Attributes:
        teacher: The dense detector, in eval mode; never changed.
        source: The data, or a function that loads them when a step first asks; until then `used` is None.
        seed: Of everything random.
        device: "cpu" or "cuda", for training.
        progress: Called as `progress(task, done, total)`.
    """

    teacher: nn.Module
    source: Dataset | Callable[[], Dataset]
    seed: int = 0
    device: str = "cpu"
    progress: Progress = silent
    used: Dataset | None = field(default=None, init=False)

    @property
    def data(self) -> Dataset:
        """The training data: calibration and fine-tuning see these and nothing else."""
        if self.used is None:
            self.used = self.source if isinstance(self.source, Dataset) else self.source()
        return self.used

    def drawn(self, count: int) -> list[int]:
        """Indices of `count` of its images, drawn by the seed; of all of them if there are fewer."""
        return list(map(int, np.random.default_rng(self.seed).permutation(len(self.data.images))[:count]))


class Settings(BaseModel):
    """Base of a method's settings: immutable, strictly typed, without unknown keys or NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


Apply = Callable[[Subject, Any, Workshop], None]
"""Changes a subject in place by its settings; raises RecipeError for a detector that the method cannot change."""


@dataclass(frozen=True)
class Method:
    """One step that a recipe can name, registered in `wildbench.plugins.methods`.

    Attributes:
        settings: Every field has a description and a default.
        apply: The function, or `"module:function"`, which is imported when the step is run.
        summary: One line.
        source: The paper it comes from.
        family: "pruning", "quantization", "coding", "recovery", or another word.
        needs_data: Whether it looks at images; a function of the settings where it depends on them.
        last: Whether its numbers are final, so that no later step may change the weights.
        keeps: Whether it only sets some weights to zero, so that whatever was imposed on weights before stays true;
            only such methods may work on a submission that is compressed already.
        splits: Whether weights that shared a value may differ afterwards, so that it must come before one that ties.
        ties: Whether it makes weights share their values.
        narrows: Whether it removes channels, so that it must come before methods that keep or tie.
        norms: What it does to batch norms: "keeps" them, "trains" those that are not frozen, "replaces" the statistics
            of all, or "matches" the dense detector's, which must not have changed since a method that narrows.
    """

    settings: type[Settings]
    apply: Apply | str
    summary: str
    source: str
    family: str = "other"
    needs_data: bool | Callable[[Any], bool] = False
    last: bool = False
    keeps: bool = False
    splits: bool = False
    ties: bool = False
    narrows: bool = False
    norms: Literal["keeps", "trains", "replaces", "matches"] = "keeps"


@dataclass(frozen=True)
class Step:
    """One step of a recipe: the name of a method, and its settings."""

    method: str
    settings: Settings

    @property
    def kind(self) -> Method:
        """The method of that name."""
        kind: Method = plugins.methods.get(self.method)
        return kind

    @property
    def needs_data(self) -> bool:
        """Whether it looks at images."""
        needs = self.kind.needs_data
        return needs(self.settings) if callable(needs) else needs

    def apply(self, subject: Subject, workshop: Workshop) -> None:
        """Change the subject in place; RecipeError if the method cannot change this detector."""
        apply = self.kind.apply
        function: Apply = plugins.resolve(apply) if isinstance(apply, str) else apply
        function(subject, self.settings, workshop)


def prefixes(model: nn.Module, scope: Scope) -> tuple[str, ...]:
    """Beginnings of the names of everything in a scope.

    Raises:
        RecipeError: The detector has no such part.

    Example:
        >>> from wildbench.detectors import zoo
        >>> prefixes(zoo.build("fcos_efficientnet_lite0_fpn", 2), "both")
        ('backbone.', 'head.')
    """
    if scope == "all":
        return ("",)
    heads = tuple(f"{name}." for name in ("roi_heads", "head") if hasattr(model, name))[:1]
    if not heads or not hasattr(model, "backbone"):
        raise RecipeError(f"scope {scope!r}: no backbone and head", code="no-such-part", remedy='use scope "all"')
    return {"backbone": ("backbone.",), "head": heads, "both": ("backbone.", *heads)}[scope]


def prunable(model: nn.Module, scope: Scope) -> dict[str, Layer]:
    """The layers with weights in a scope, by name, in the model's order."""
    from torch import nn

    kinds, beginnings = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear), prefixes(model, scope)
    modules = model.named_modules()
    return {name: module for name, module in modules if isinstance(module, kinds) and name.startswith(beginnings)}


def is_output(name: str) -> bool:
    """Whether a layer's units are the detector's answers (logits, sides of boxes, masks), so that none may go.

    Example:
        >>> is_output("head.classification_head.cls_logits"), is_output("head.classification_head.conv.0.1")
        (True, False)
    """
    return _OUTPUTS.fullmatch(name) is not None
