"""Training on after a step that cost accuracy: alone, with the dense detector as a teacher, or from random weights.

Distillation compares features as PKD does (Cao et al., NeurIPS 2022): the maps of the pyramid, with each channel
normalised to mean 0 and variance 1, so that what counts is where a channel is high and not how high. It compares
outputs as Chen et al. do (NIPS 2017): the divergence of class probabilities, and the distance of boxes, where the dense
detector sees an animal. Training from scratch is the control of Liu et al. (ICLR 2019).
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.ssd import SSD
from torchvision.ops import FrozenBatchNorm2d

from wildbench import detectors
from wildbench.compression.catalogue import Distil, FineTune, FromScratch
from wildbench.compression.methods._recalibration import norms_of, renormalise, sample
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.errors import RecipeError
from wildbench.resources import bundled

Outputs = dict[str, Tensor]

LEAST = 1e-5
"""Added to variances, as in norms: a constant channel has no correlation."""

SEEN = 8
"""Images from which the constants of frozen norms are computed before training from scratch."""


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
    """Train a subject's detector in place; it gets the averaged weights, which obey its constraints too.

    Args:
        subject: The detector.
        settings: Schedule and optimizer.
        workshop: The data, the seed and the device.
        task: Name for the progress.
        constant: Beginning of the names of the batch norms that keep their statistics; None for none.
        extra_loss: Given the detector in training, a module whose result is added to its loss (`Terms`).

    Raises:
        RecipeError: The data have other categories or labels that the detector cannot learn from (partial ones, or no
            masks), or the training diverged.
    """
    check_categories(subject, workshop.data)
    recipe = recipe_for(subject, settings, workshop)
    student = copy.deepcopy(subject.model).requires_grad_()
    total = detectors.steps_of(recipe, workshop.data)
    with detectors.seeded(workshop.seed, workshop.device):
        extra = None if extra_loss is None else extra_loss(student)
        terms = detectors.Terms(constant, extra, obey=lambda model: replace(subject, model=model).obey())
        run = detectors.begin(recipe, student, terms, workshop.device)
        for done in detectors.steps(run, recipe, workshop.data, terms, workshop.device):
            workshop.progress(f"{task} ({len(subject.history) + 1})", done, total)
    subject.model.load_state_dict(run.averaged.state_dict())
    subject.model.eval()
    subject.obey()


def check_categories(subject: Subject, data: Dataset) -> None:
    """Refuse data with other categories than the detector's, or with partial labels that it cannot respect."""
    if data.category_names != subject.manifest.categories:
        remedy = "train on the data that it was trained on"
        raise RecipeError(f"{data.name} has other categories", code="other-categories", remedy=remedy)
    detectors.check_labels(subject.manifest.detector.name, data)


def recipe_for(subject: Subject, settings: FineTune, workshop: Workshop) -> detectors.Recipe:
    """The training recipe of a step; a later step of a chain sees other augmented images."""
    detector = subject.manifest.detector
    values = settings.model_dump() | {"seed": 1000 * workshop.seed + len(subject.history)}
    schedule, optimizer = (
        {key: value for key, value in values.items() if key in kind.model_fields}
        for kind in (detectors.Schedule, detectors.Optimizer)
    )
    return detectors.Recipe(
        detector=detectors.Network(name=detector.name, arguments=detector.arguments),
        schedule=detectors.Schedule(**schedule),
        optimizer=detectors.Optimizer(**optimizer),
        augmentation=augmentation_for(subject, workshop.data, settings.like),
    )


def augmentation_for(subject: Subject, data: Dataset, like: str | None) -> detectors.Augmentation:
    """The augmentation of a training recipe, by default the bundled reference's.

    That is at the size in which the detector sees the median image, and with pasting only if all animals have masks.
    """
    if like is not None:
        return detectors.load_recipe(like).augmentation
    chances = detectors.load_recipe(bundled("baselines/reference.toml")).augmentation
    height, width = frame(part_of(subject, "transform", "name a training recipe with `like`"), data)
    masks = all(annotation.get("segmentation") for annotation in data.annotations)
    return chances.model_copy(update={"height": height, "width": width, "paste": chances.paste if masks else 0.0})


def frame(transform: Any, data: Dataset) -> tuple[int, int]:  # noqa: ANN401
    """Height and width in which a detector sees the median image, to a multiple of 32."""
    if transform.fixed_size is not None:
        width, height = transform.fixed_size
        return height, width
    sides = [median(image[side] for image in data.images) for side in ("height", "width")]
    scale = min(transform.min_size[-1] / min(sides), transform.max_size / max(sides))
    height, width = (max(32, 32 * round(side * scale / 32)) for side in sides)
    return height, width


def part_of(subject: Subject, name: str, remedy: str) -> Any:  # noqa: ANN401
    """An attribute that torchvision's detectors have; RecipeError if a registered one lacks it."""
    part = getattr(subject.model, name, None)
    if part is None:
        message = f"{subject.manifest.detector.name} has no attribute {name!r}"
        raise RecipeError(message, code="no-such-part", remedy=remedy)
    return part


def from_scratch(subject: Subject, settings: FromScratch, workshop: Workshop) -> None:
    """Train the compressed shape from random weights, without ImageNet; pruned zeros stay.

    Frozen batch norms would leave a deep random network without normalisation: they get the statistics of a few images
    once, as in data-dependent initialisation (Krähenbühl et al., 2016).
    """
    reinitialise(subject, workshop.seed)
    if any(isinstance(norm, FrozenBatchNorm2d) for norm in norms_of(subject.model).values()):
        renormalise(subject.model, None, [list(batch) for batch in sample(workshop, SEEN, SEEN)])
    learn(subject, settings, workshop, task="train from scratch", constant=None)
    subject.history.append(f"this shape trained from random weights for {settings.epochs:g} epochs")


def reinitialise(subject: Subject, seed: int) -> None:
    """Random weights by the detector's own rules: the leading channels of a fresh one where channels were removed."""
    detector = subject.manifest.detector
    arguments: dict[str, Any] = detector.arguments
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = detectors.zoo.build(detector.name, len(subject.manifest.categories), **arguments).state_dict()
    state = subject.model.state_dict()
    leading = {name: fresh[name][tuple(slice(side) for side in tensor.shape)] for name, tensor in state.items()}
    subject.model.load_state_dict(leading)
    subject.obey()


def distil(subject: Subject, settings: Distil, workshop: Workshop) -> None:
    """Fine-tune with the dense detector as a teacher.

    One-stage detectors imitate all outputs of the head; two-stage ones those of the box head on the proposals of the
    detector in training. The region proposal network and the mask head imitate features alone.

    Raises:
        RecipeError: A registered detector has no backbone or no head.
    """
    for part in ("backbone", "roi_heads" if hasattr(subject.model, "roi_heads") else "head"):
        part_of(subject, part, f"give its module torchvision's {part}, or use fine-tune")
    teacher = copy.deepcopy(workshop.teacher).to(workshop.device).eval()
    make = partial(Imitation, teacher=teacher, features=settings.features, outputs=settings.outputs)
    learn(subject, settings, workshop, task="distil", extra_loss=make)
    subject.history.append(
        f"distilled for {settings.epochs:g} epochs (features {settings.features:g}, outputs {settings.outputs:g})"
    )


class Imitation(nn.Module):
    """The distance of a student, which gets hooks, from its teacher; called after the student's forward pass.

    Both are in eval mode; `features` and `outputs` are the weights of the two losses.
    """

    def __init__(self, student: Any, *, teacher: Any, features: float, outputs: float) -> None:  # noqa: ANN401
        super().__init__()
        self.weights = (features, outputs)
        self._teacher = [teacher]  # in a list, so that its parameters are not this module's
        widths = zip(_widths(student), _widths(teacher), strict=True)
        self.adapters = nn.ModuleList(nn.Identity() if own == its else nn.Conv2d(own, its, 1) for own, its in widths)
        self._seen: dict[str, Any] = {}
        self._watch("backbone", student.backbone)
        if hasattr(student, "head"):
            self._watch("head", student.head)
        else:
            self._watch("pooled", student.roi_heads.box_roi_pool)
            self._watch("predictor", student.roi_heads.box_predictor)

    def _watch(self, name: str, part: nn.Module) -> None:
        def note(_: nn.Module, inputs: tuple[Any, ...], answer: Any) -> None:  # noqa: ANN401
            self._seen[name] = (inputs, answer)

        part.register_forward_hook(note)

    def forward(self) -> Tensor:
        """The weighted sum of both losses, a scalar; zero if the student equals the teacher."""
        (images,), maps = self._seen["backbone"]
        teacher = self._teacher[0]
        with torch.no_grad():
            wanted = teacher.backbone(images)
            outputs = _head_outputs(teacher, wanted, self._seen)
        pairs = zip(self.adapters, maps.values(), wanted.values(), strict=True)
        levels = [pearson_loss(adapter(own), its) for adapter, own, its in pairs]
        if "head" in self._seen:
            loss = softmax_loss if isinstance(teacher, SSD) else sigmoid_loss
            apart = loss(self._seen["head"][1], outputs)
        else:
            apart = softmax_loss(_of_boxes(self._seen["predictor"][1]), outputs)
        return self.weights[0] * torch.stack(levels).mean() + self.weights[1] * apart


def _of_boxes(answer: tuple[Tensor, Tensor]) -> Outputs:
    return dict(zip(("cls_logits", "bbox_regression"), answer, strict=True))


def pearson_loss(own: Tensor, its: Tensor) -> Tensor:
    """One minus Pearson's correlation of two maps `[N, C, H, W]`, averaged over the channels; 0 to 2.

    It is half the mean squared difference of normalised maps, as PKD writes it.
    """
    return F.mse_loss(_normalised(own), _normalised(its)) / 2


def sigmoid_loss(own: Outputs, its: Outputs) -> Tensor:
    """Imitation of a head with a sigmoid per category: FCOS, RetinaNet.

    The sum of the divergences of probabilities, and of the L1 distances of boxes and divergences of centreness weighted
    by the teacher's largest probability; over the sum of these weights.

    Args:
        own: `cls_logits` `[N, locations, C]`, `bbox_regression` `[N, locations, 4]`, perhaps `bbox_ctrness`
            `[N, locations, 1]`.
        its: The teacher's.
    """
    weight = its["cls_logits"].sigmoid().amax(-1, keepdim=True)
    loss = _bernoulli_divergence(own["cls_logits"], its["cls_logits"]).sum()
    loss = loss + (weight * (own["bbox_regression"] - its["bbox_regression"]).abs()).sum() / 4
    if "bbox_ctrness" in its:
        loss = loss + (weight * _bernoulli_divergence(own["bbox_ctrness"], its["bbox_ctrness"])).sum()
    return loss / weight.sum().clamp(min=1)


def softmax_loss(own: Outputs, its: Outputs) -> Tensor:
    """The same for a softmax over background and categories: SSD, and Faster and Mask R-CNN.

    Weighted by the teacher's probability of anything but background, or of each category if each has a box.

    Args:
        own: `cls_logits` `[..., 1 + C]`, `bbox_regression` `[..., 4]`, or `[..., 4 * (1 + C)]` with a box for each.
        its: The teacher's, of the same anchors or proposals.
    """
    probability = its["cls_logits"].softmax(-1)
    logits = own["cls_logits"].log_softmax(-1), its["cls_logits"].log_softmax(-1)
    divergence = F.kl_div(*logits, reduction="none", log_target=True).sum()
    distance = (own["bbox_regression"] - its["bbox_regression"]).abs().reshape(*probability.shape[:-1], -1, 4).mean(-1)
    boxes_differ = distance.shape[-1] > 1
    weight = probability[..., 1:] if boxes_differ else 1 - probability[..., :1]
    loss: Tensor = divergence + (weight * (distance[..., 1:] if boxes_differ else distance)).sum()
    return loss / weight.sum().clamp(min=1)


def _head_outputs(model: Any, maps: dict[str, Tensor], seen: dict[str, Any]) -> Outputs:  # noqa: ANN401
    """The teacher's outputs for its own maps; on the student's proposals if it takes proposals."""
    if "head" in seen:
        outputs: Outputs = model.head(list(maps.values()))
        return outputs
    _, proposals, shapes = seen["pooled"][0]
    heads = model.roi_heads
    return _of_boxes(heads.box_predictor(heads.box_head(heads.box_roi_pool(maps, proposals, shapes))))


@torch.no_grad()
def _widths(model: Any) -> list[int]:  # noqa: ANN401
    """Channels of the backbone's maps."""
    images = torch.zeros(1, 3, 320, 320, device=next(model.parameters()).device)
    return [int(features.shape[1]) for features in model.backbone(images).values()]


def _normalised(maps: Tensor) -> Tensor:
    centred = maps - maps.mean((0, 2, 3), keepdim=True)
    return centred / (centred.square().mean((0, 2, 3), keepdim=True) + LEAST).sqrt()


def _bernoulli_divergence(own: Tensor, its: Tensor) -> Tensor:
    """Kullback-Leibler divergence of the teacher's probabilities from the student's."""
    probability = its.sigmoid()
    crossed = F.binary_cross_entropy_with_logits(own, probability, reduction="none")
    return crossed - F.binary_cross_entropy_with_logits(its, probability, reduction="none")
