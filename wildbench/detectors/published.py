"""torchvision's detectors as one network each, whatever they start from, and torchvision's published weights for them.

torchvision builds some networks differently with and without weights: trainable or frozen batch norms, their epsilon,
the width of SSDLite's tail. A submission is rebuilt without weights, so here a name stands for one architecture: the
published one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torchvision.models import detection, get_model_builder
from torchvision.models.detection import FCOS, MaskRCNN, RetinaNet
from torchvision.ops import FrozenBatchNorm2d

from wildbench.detectors.foreground import ForegroundFCOS, ForegroundRetinaNet
from wildbench.errors import DownloadError, RecipeError

PARTIAL_LABELS = ("retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn")
"""Have one sigmoid per category, so that a category nobody boxed can be left out of the loss."""

FROZEN_NORMS = (
    "fasterrcnn_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "maskrcnn_resnet50_fpn",
    "maskrcnn_mobilenet_v3_large_fpn",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
)
"""Published with batch norms whose statistics and weights are constants."""

BACKBONE_WEIGHTS = {"ssd300_vgg16": "IMAGENET1K_FEATURES"}
"""torchvision's names of the ImageNet weights, where it is not IMAGENET1K_V1."""


def maskrcnn_mobilenet_v3_large_fpn(num_classes: int = 91, **arguments: Any) -> MaskRCNN:  # noqa: ANN401
    """Mask R-CNN over the parts of torchvision's fasterrcnn_mobilenet_v3_large_fpn; nobody published weights for it."""
    of_backbone = ("weights", "weights_backbone")
    boxes = detection.fasterrcnn_mobilenet_v3_large_fpn(
        num_classes=num_classes, **{key: value for key, value in arguments.items() if key in of_backbone}
    )
    rest = {key: value for key, value in arguments.items() if key not in of_backbone}
    anchors = boxes.rpn.anchor_generator
    return MaskRCNN(boxes.backbone, num_classes, rpn_anchor_generator=anchors, **rest)


def build_torchvision(name: str, num_categories: int, init: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
    """Build a detector of torchvision.

    Args:
        name: As torchvision calls it, or maskrcnn_mobilenet_v3_large_fpn.
        num_categories: Background excluded.
        init: "random"; "imagenet": torchvision's backbone weights; "coco": torchvision's detector. Layers whose shape
            the number of categories decides (and SSDLite's tail, which ImageNet's weights have wider) stay random.
        **arguments: Of torchvision's builder.

    Raises:
        DownloadError: The weights are not in torch's cache and cannot be fetched.
        RecipeError: Nobody published weights for it.
    """
    model = _built(name, num_classes=num_categories + 1, weights=None, weights_backbone=None, **arguments)
    if init == "coco":
        if name == "maskrcnn_mobilenet_v3_large_fpn":
            raise RecipeError(f"{name}: no COCO weights are published", remedy="use --init imagenet")
        _copy_matching(_downloaded(name, weights="COCO_V1"), model)
    elif init == "imagenet":
        weights = BACKBONE_WEIGHTS.get(name, "IMAGENET1K_V1")
        _copy_matching(_downloaded(name, num_classes=num_categories + 1, weights=None, weights_backbone=weights), model)
    return model


def _built(name: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
    builder: Callable[..., nn.Module] = (
        maskrcnn_mobilenet_v3_large_fpn if name == "maskrcnn_mobilenet_v3_large_fpn" else get_model_builder(name)
    )
    model = builder(**arguments)
    if name in FROZEN_NORMS:
        freeze_batch_norms(model)
    if isinstance(model, FCOS | RetinaNet):
        parts = {"anchor_generator": model.anchor_generator, "head": model.head}
        kept = {
            key: value for key, value in arguments.items() if not key.startswith("weights") and key != "num_classes"
        }
        kind = ForegroundFCOS if isinstance(model, FCOS) else ForegroundRetinaNet
        return kind(model.backbone, model.head.classification_head.num_classes, **parts, **kept)
    return model


def _downloaded(name: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
    try:
        return _built(name, **arguments)
    except (OSError, RuntimeError) as error:  # no network, or half a file (whose hash is wrong)
        weights = arguments["weights"] or arguments["weights_backbone"]
        raise DownloadError(
            f"{name}: torchvision's weights {weights} cannot be fetched ({error})",
            remedy="connect to the network once, or start from random weights",
        ) from error


def freeze_batch_norms(module: nn.Module) -> None:
    """Replace every batch norm by the constant it is in eval mode, epsilon folded into the variance.

    Example:
        >>> net = nn.Sequential(nn.BatchNorm2d(2))
        >>> freeze_batch_norms(net)
        >>> sum(p.numel() for p in net.parameters()), round(float(net[0].running_var[0]), 6)
        (0, 1.00001)
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d | FrozenBatchNorm2d):
            frozen = FrozenBatchNorm2d(len(child.weight), eps=0.0)
            values = child.state_dict()
            frozen.load_state_dict({key: values[key] for key in frozen.state_dict()})
            frozen.running_var += child.eps
            setattr(module, name, frozen)
        else:
            freeze_batch_norms(child)


@torch.no_grad()
def _copy_matching(source: nn.Module, target: nn.Module) -> None:
    """Copy what has the same name and shape, and which of the layers torchvision would train."""
    found = source.state_dict()
    for name, tensor in target.state_dict().items():
        if name in found and found[name].shape == tensor.shape:
            tensor.copy_(found[name])
    trained = dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        parameter.requires_grad_(name not in trained or trained[name].requires_grad)
