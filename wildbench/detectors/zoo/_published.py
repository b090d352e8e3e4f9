"""torchvision's detectors as one network each, whatever they start from, and torchvision's published weights for them.

torchvision builds some networks differently with and without weights: trainable or frozen batch norms, their epsilon,
the width of SSDLite's tail. A submission is rebuilt without weights, so here a name stands for one architecture: the
published one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, detection, get_model_builder, get_model_weights
from torchvision.models.detection import FCOS, MaskRCNN, RetinaNet
from torchvision.ops import FrozenBatchNorm2d

from wildbench.errors import DownloadError, RecipeError

NEVER = -100.0
"""A logit whose probability is zero in float32, and whose focal loss as a negative is zero too."""


def known_categories(annotated: set[int], num_categories: int) -> Tensor:
    """Mask over the logits `[num_categories + 1]` of the categories that are exhaustively boxed in an image.

    Args:
        annotated: Their labels, 1..num_categories.
        num_categories: Number of categories, background excluded.

    Example:
        >>> known_categories({2}, 3).tolist()
        [False, False, True, False]
    """
    known = torch.zeros(num_categories + 1, dtype=torch.bool)
    known[sorted(annotated)] = True
    return known


class _Foreground:
    """Mixed in before the torchvision class; `head_outputs["cls_logits"]` is `[N, locations, num_categories + 1]`."""

    def compute_loss(
        self,
        targets: list[dict[str, Tensor]],
        head_outputs: dict[str, Tensor],
        *rest: Any,  # noqa: ANN401
    ) -> dict[str, Tensor]:
        """The losses; a target's `known` (see `known_categories`) switches off categories that nobody boxed."""
        outputs = {name: output.float() for name, output in head_outputs.items()}
        if all("known" in target for target in targets):
            known = torch.stack([target["known"] for target in targets])[:, None, :]
            outputs["cls_logits"] = outputs["cls_logits"].masked_fill(~known, NEVER)
        losses: dict[str, Tensor] = super().compute_loss(targets, outputs, *rest)  # type: ignore[misc]
        return losses

    def postprocess_detections(self, head_outputs: dict[str, list[Tensor]], *rest: Any) -> list[dict[str, Tensor]]:  # noqa: ANN401
        """The detections, of which none is background."""
        logits = [
            torch.cat([level.new_full((*level.shape[:2], 1), NEVER), level[..., 1:]], -1)
            for level in head_outputs["cls_logits"]
        ]
        detections: list[dict[str, Tensor]] = super().postprocess_detections(  # type: ignore[misc]
            {**head_outputs, "cls_logits": logits}, *rest
        )
        return detections


class ForegroundFCOS(_Foreground, FCOS):  # type: ignore[misc]
    """torchvision's FCOS with labels 1..num_categories, and partial labels."""


class ForegroundRetinaNet(_Foreground, RetinaNet):  # type: ignore[misc]
    """torchvision's RetinaNet with labels 1..num_categories, and partial labels."""


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

EXACT_VARIANCES = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn")
"""Their COCO weights were trained without an epsilon in the batch norms."""

COCO, IMAGENET = "COCO_V1", "IMAGENET1K_V1"
"""What torchvision calls the weights, of detectors and of classifiers."""


def maskrcnn_mobilenet_v3_large_fpn(
    num_classes: int = 91,
    weights: None = None,
    weights_backbone: None = None,
    **arguments: Any,  # noqa: ANN401
) -> MaskRCNN:
    """Mask R-CNN over the parts of torchvision's fasterrcnn_mobilenet_v3_large_fpn; nobody published weights for it."""
    boxes = detection.fasterrcnn_mobilenet_v3_large_fpn(
        num_classes=num_classes, weights=weights, weights_backbone=weights_backbone
    )
    return MaskRCNN(boxes.backbone, num_classes, rpn_anchor_generator=boxes.rpn.anchor_generator, **arguments)


def build_torchvision(name: str, num_categories: int, init: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
    """Build a detector of torchvision.

    Args:
        name: As torchvision calls it, or maskrcnn_mobilenet_v3_large_fpn.
        num_categories: Background excluded.
        init: "random"; "imagenet": torchvision's backbone weights; "coco": torchvision's detector. Layers whose shape
            the number of categories decides (and SSDLite's tail, which ImageNet's weights have wider) stay random.
        **arguments: Of torchvision's builder.

    Raises:
        DownloadError: The weights are not in torch's cache and cannot be fetched, or they are damaged.
        RecipeError: Nobody published weights for it.
    """
    model = _built(name, num_classes=num_categories + 1, **arguments)
    if init == "coco":
        if name == "maskrcnn_mobilenet_v3_large_fpn":
            raise RecipeError(f"{name}: no COCO weights are published", remedy="start from imagenet")
        source = _built(name)
        source.load_state_dict(_fetched(name, get_model_weights(name)[COCO]))
        _copy_matching(source.state_dict(), model)
    elif init == "imagenet":
        classifier = _classifier(name)
        weights = get_model_weights(classifier)["IMAGENET1K_FEATURES" if classifier == "vgg16" else IMAGENET]
        _copy_matching({_key_in(name, key): tensor for key, tensor in _fetched(name, weights).items()}, model)
    if init != "random":
        _freeze_first_layers(name, model)
    return _finished(name, model, arguments, exact_variances=init == "coco" and name in EXACT_VARIANCES)


def _built(name: str, **arguments: Any) -> Any:  # noqa: ANN401 - a module whose parts have torchvision's names
    builder: Callable[..., nn.Module] = (
        maskrcnn_mobilenet_v3_large_fpn if name == "maskrcnn_mobilenet_v3_large_fpn" else get_model_builder(name)
    )
    # Weights named here would be unpickled by torchvision with weights_only=False.
    return builder(weights=None, weights_backbone=None, **arguments)


def _finished(name: str, model: Any, arguments: dict[str, Any], *, exact_variances: bool) -> nn.Module:  # noqa: ANN401
    if name in FROZEN_NORMS:
        freeze_batch_norms(model, exact_variances=exact_variances)
    if isinstance(model, FCOS | RetinaNet):
        parts = {"anchor_generator": model.anchor_generator, "head": model.head}
        kind = ForegroundFCOS if isinstance(model, FCOS) else ForegroundRetinaNet
        return kind(model.backbone, model.head.classification_head.num_classes, **parts, **arguments)
    network: nn.Module = model
    return network


def _fetched(name: str, weights: WeightsEnum) -> dict[str, Tensor]:
    """Tensors of published weights, from torch's cache or the network."""
    try:
        tensors: dict[str, Tensor] = weights.get_state_dict(check_hash=True, weights_only=True)
    except OSError as error:
        raise DownloadError(
            f"{name}: torchvision's weights {weights.name} cannot be fetched ({error})",
            remedy="connect to the network once, or start from random weights",
        ) from error
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        file = f"{torch.hub.get_dir()}/checkpoints/{weights.url.rpartition('/')[2]}"
        raise DownloadError(
            f"{name}: torchvision's weights {weights.name} are damaged, or no weights",
            remedy=f"delete {file} and try again",
        ) from error
    return tensors


def _classifier(name: str) -> str:
    """The classifier of torchvision whose layers the detector's backbone has."""
    if name == "ssd300_vgg16":
        return "vgg16"
    return "mobilenet_v3_large" if "mobilenet" in name else "resnet50"


def _key_in(name: str, key: str) -> str:
    """Name in the detector of what its classifier calls `key`.

    Example:
        >>> _key_in("fcos_resnet50_fpn", "layer1.0.bn1.weight")
        'backbone.body.layer1.0.bn1.weight'
        >>> _key_in("ssdlite320_mobilenet_v3_large", "features.13.block.1.0.weight")
        'backbone.features.1.0.1.0.weight'
    """
    if not name.startswith("ssd") or not key.startswith("features."):
        return f"backbone.body.{key.removeprefix('features.')}"
    number, rest = key.removeprefix("features.").split(".", 1)
    layer = int(number)
    if name == "ssd300_vgg16":  # up to conv4_3, then up to conv5_3
        return f"backbone.features.{layer}.{rest}" if layer < 23 else f"backbone.extra.0.{layer - 23}.{rest}"
    if layer == 13:  # the expansion of this block ends the first feature map
        rest = rest.removeprefix("block.")
        return f"backbone.features.0.13.{rest[2:]}" if rest.startswith("0.") else f"backbone.features.1.0.{rest}"
    return f"backbone.features.0.{layer}.{rest}" if layer < 13 else f"backbone.features.1.{layer - 13}.{rest}"


def _freeze_first_layers(name: str, model: Any) -> None:  # noqa: ANN401
    """Stop training of the layers that torchvision keeps as published: 2 of 5 stages, SSD 1 of 5, SSDLite none."""
    layers = model.backbone.features if name.startswith("ssd") else model.backbone.body
    frozen = {"ssd300_vgg16": 4, "ssdlite320_mobilenet_v3_large": 0}.get(name, 7 if "mobilenet" in name else 5)
    for layer in list(layers.children())[:frozen]:
        layer.requires_grad_(False)


def freeze_batch_norms(module: nn.Module, *, exact_variances: bool = False) -> None:
    """Replace every batch norm by the constant it is in eval mode, epsilon folded into the variance.

    Args:
        module: What to change, in place.
        exact_variances: Whether the variances are to be used without epsilon.

    Example:
        >>> net = nn.Sequential(nn.BatchNorm2d(2))
        >>> freeze_batch_norms(net)
        >>> sum(p.numel() for p in net.parameters()), round(float(net[0].running_var[0]), 6)
        (0, 1.00001)
    """
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(len(child.weight), eps=0.0)
            values = child.state_dict()
            frozen.load_state_dict({key: values[key] for key in frozen.state_dict()})
            frozen.running_var += 0.0 if exact_variances else child.eps
            setattr(module, name, frozen)
        else:
            freeze_batch_norms(child, exact_variances=exact_variances)


@torch.no_grad()
def _copy_matching(tensors: dict[str, Tensor], target: nn.Module) -> None:
    """Copy what has the same name and shape."""
    for name, tensor in target.state_dict().items():
        if name in tensors and tensors[name].shape == tensor.shape:
            tensor.copy_(tensors[name])
