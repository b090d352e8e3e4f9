"""Distillation: while it is fine-tuned, the detector imitates the features and the outputs of the dense one.

Features: PKD (Cao et al., "PKD: General Distillation Framework for Object Detectors via Pearson Correlation
Coefficient", NeurIPS 2022): the maps of the pyramid, each channel normalised to mean 0 and variance 1, so that what
counts is where a channel is high and not how high. Outputs: as Chen et al., "Learning Efficient Object Detection Models
with Knowledge Distillation", NIPS 2017: the divergence of class probabilities, and the distance of boxes, where the
dense detector sees an animal.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.detection.ssd import SSD

from wildbench.compression.recovery._finetune import FineTune, learn
from wildbench.compression.subject import Method, Subject, Workshop

Outputs = dict[str, Tensor]

LEAST = 1e-5
"""Added to variances, as in norms: a channel that is the same everywhere has no correlation."""


class Distil(FineTune):
    """Settings of `distil`: those of `fine-tune`, and what the imitation weighs."""

    features: float = Field(default=1.0, ge=0, description="Weight of the features' loss, a mean over levels.")
    outputs: float = Field(default=1.0, ge=0, description="Weight of the outputs' loss.")


def distil(subject: Subject, settings: Distil, workshop: Workshop) -> None:
    """Fine-tune with the dense detector as a teacher.

    One-stage detectors imitate all outputs of the head; two-stage ones those of the box head on the proposals that the
    detector in training makes; the region proposal network and the mask head imitate nothing but features.
    """
    teacher = copy.deepcopy(workshop.teacher).to(workshop.device).eval()
    make = partial(Imitation, teacher=teacher, features=settings.features, outputs=settings.outputs)
    learn(subject, settings, workshop, task="distil", extra_loss=make)
    subject.history.append(
        f"distilled for {settings.epochs:g} epochs (features {settings.features:g}, outputs {settings.outputs:g})"
    )


class Imitation(nn.Module):
    """The loss of a student that is not yet like its teacher; called after the student's forward pass.

    Args:
        student: In eval mode until it is trained; is watched from now on.
        teacher: In eval mode, on the device of the training; is shown the images that the student saw.
        features: Weight of the features' loss.
        outputs: Weight of the outputs' loss.
    """

    def __init__(self, student: Any, *, teacher: Any, features: float, outputs: float) -> None:  # noqa: ANN401
        super().__init__()
        self.weights = (features, outputs)
        self._teacher = [teacher]  # in a list, so that its parameters are not this module's
        widths = zip(*(_widths(model) for model in (student, teacher)), strict=True)
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
        """The weighted sum of both losses, a scalar; zero where the student is the teacher."""
        (images,), maps = self._seen["backbone"]
        teacher = self._teacher[0]
        with torch.no_grad():
            wanted = teacher.backbone(images)
            outputs = _head_outputs(teacher, wanted, self._seen)
        pairs = zip(self.adapters, maps.values(), wanted.values(), strict=True)
        levels = [pearson_loss(adapter(own), its) for adapter, own, its in pairs]
        imitation = self.weights[0] * torch.stack(levels).mean()
        return imitation + self.weights[1] * self._output_loss(teacher, outputs)

    def _output_loss(self, teacher: nn.Module, outputs: Outputs) -> Tensor:
        if "head" not in self._seen:
            logits, boxes = self._seen["predictor"][1]
            return roi_loss({"cls_logits": logits, "bbox_regression": boxes}, outputs)
        loss = softmax_loss if isinstance(teacher, SSD) else sigmoid_loss
        return loss(self._seen["head"][1], outputs)


def pearson_loss(own: Tensor, its: Tensor) -> Tensor:
    """One minus Pearson's correlation of two maps `[N, C, H, W]`, averaged over the channels; 0 to 2.

    It is half the mean squared difference of maps normalised over images and places, as PKD writes it.

    Example:
        >>> its = torch.tensor([1.0, 2.0, 4.0]).view(1, 1, 1, 3)
        >>> round(float(pearson_loss(-3 * its + 1, its)), 4)
        2.0
    """
    return F.mse_loss(_normalised(own), _normalised(its)) / 2


def sigmoid_loss(own: Outputs, its: Outputs) -> Tensor:
    """Imitation of a head with a sigmoid a category: FCOS, RetinaNet.

    Args:
        own: `cls_logits` `[N, locations, C]`, `bbox_regression` `[N, locations, 4]`, perhaps `bbox_ctrness`
            `[N, locations, 1]`.
        its: The teacher's.

    Returns:
        Sum of the divergences of probabilities, and of the L1 distances of boxes and divergences of centreness weighted
        by the teacher's largest probability; over the sum of these weights.
    """
    weight = its["cls_logits"].sigmoid().amax(-1, keepdim=True)
    loss = _bernoulli_divergence(own["cls_logits"], its["cls_logits"]).sum()
    loss = loss + (weight * (own["bbox_regression"] - its["bbox_regression"]).abs()).sum() / 4
    if "bbox_ctrness" in its:
        loss = loss + (weight * _bernoulli_divergence(own["bbox_ctrness"], its["bbox_ctrness"])).sum()
    return loss / weight.sum().clamp(min=1)


def softmax_loss(own: Outputs, its: Outputs) -> Tensor:
    """Imitation of a head with a softmax over background and categories, and one box for all: SSD.

    Args:
        own: `cls_logits` `[..., 1 + C]`, `bbox_regression` `[..., 4]`.
        its: The teacher's.

    Returns:
        As `sigmoid_loss`; weights are the teacher's probabilities of anything but background.
    """
    weight = 1 - its["cls_logits"].softmax(-1)[..., :1]
    loss = _softmax_divergence(own["cls_logits"], its["cls_logits"]).sum()
    loss = loss + (weight * (own["bbox_regression"] - its["bbox_regression"]).abs()).sum() / 4
    return loss / weight.sum().clamp(min=1)


def roi_loss(own: Outputs, its: Outputs) -> Tensor:
    """Imitation of a box head with a softmax, and a box for each category: Faster and Mask R-CNN.

    Args:
        own: `cls_logits` `[proposals, 1 + C]`, `bbox_regression` `[proposals, 4 * (1 + C)]`.
        its: The teacher's on the same proposals.

    Returns:
        As `sigmoid_loss`; weights are the teacher's probabilities of each category.
    """
    weight = its["cls_logits"].softmax(-1)[:, 1:]
    loss = _softmax_divergence(own["cls_logits"], its["cls_logits"]).sum()
    difference = own["bbox_regression"] - its["bbox_regression"]
    distance = difference.abs().view(len(difference), -1, 4).mean(-1)[:, 1:]
    return (loss + (weight * distance).sum()) / weight.sum().clamp(min=1)


def _head_outputs(model: Any, maps: dict[str, Tensor], seen: dict[str, Any]) -> Outputs:  # noqa: ANN401
    """What the teacher answers to its own maps; on the student's proposals, where it takes proposals."""
    if "head" in seen:
        outputs: Outputs = model.head(list(maps.values()))
        return outputs
    _, proposals, shapes = seen["pooled"][0]
    heads = model.roi_heads
    logits, boxes = heads.box_predictor(heads.box_head(heads.box_roi_pool(maps, proposals, shapes)))
    return {"cls_logits": logits, "bbox_regression": boxes}


@torch.no_grad()
def _widths(model: Any) -> list[int]:  # noqa: ANN401
    """Channels of the maps that the backbone of a detector in eval mode makes."""
    images = torch.zeros(1, 3, 320, 320, device=next(model.parameters()).device)
    return [int(features.shape[1]) for features in model.backbone(images).values()]


def _normalised(maps: Tensor) -> Tensor:
    centred = maps - maps.mean((0, 2, 3), keepdim=True)
    return centred / (centred.square().mean((0, 2, 3), keepdim=True) + LEAST).sqrt()


def _bernoulli_divergence(own: Tensor, its: Tensor) -> Tensor:
    """Kullback and Leibler's, of the teacher's probability from the student's, element by element."""
    probability = its.sigmoid()
    crossed = F.binary_cross_entropy_with_logits(own, probability, reduction="none")
    return crossed - F.binary_cross_entropy_with_logits(its, probability, reduction="none")


def _softmax_divergence(own: Tensor, its: Tensor) -> Tensor:
    divergence: Tensor = F.kl_div(own.log_softmax(-1), its.log_softmax(-1), reduction="none", log_target=True)
    return divergence


METHODS = {
    "distil": Method(
        Distil,
        distil,
        summary="fine-tune with the features and outputs of the dense detector as further targets",
        source="Cao et al. 2022, PKD (features); Chen et al. 2017 (outputs)",
    )
}
