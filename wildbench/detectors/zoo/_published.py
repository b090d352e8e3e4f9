"""torchvision's detectors as one network each, whatever they start from, and torchvision's published weights for them.

torchvision builds some networks differently with and without weights: trainable or frozen batch norms, their epsilon,
the width of SSDLite's tail. A submission is rebuilt without weights, so here a name stands for one architecture: the
published one.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import WeightsEnum, detection, get_model_builder, get_model_weights
from torchvision.models.detection import FCOS, MaskRCNN, RetinaNet
from torchvision.ops import FrozenBatchNorm2d

from wildbench.detectors.zoo._zoo import Detector
from wildbench.errors import DownloadError

NEVER = -100.0
"""A logit whose probability is zero in float32, and whose focal loss as a negative is zero too."""


def known_categories(annotated: set[int], num_categories: int) -> Tensor:
    """Mask over the logits `[num_categories + 1]` of the categories that are exhaustively boxed in an image.

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
        """The detections; none is background."""
        logits = [
            torch.cat([level.new_full((*level.shape[:2], 1), NEVER), level[..., 1:]], -1)
            for level in head_outputs["cls_logits"]
        ]
        outputs = {**head_outputs, "cls_logits": logits}
        detections: list[dict[str, Tensor]] = super().postprocess_detections(outputs, *rest)  # type: ignore[misc]
        return detections


class ForegroundFCOS(_Foreground, FCOS):  # type: ignore[misc]
    """torchvision's FCOS with labels 1..num_categories, and partial labels."""


class ForegroundRetinaNet(_Foreground, RetinaNet):  # type: ignore[misc]
    """torchvision's RetinaNet with labels 1..num_categories, and partial labels."""


def _in_body(key: str) -> str:
    """Name in a detector with a pyramid of what its classifier calls `key`."""
    return f"backbone.body.{key.removeprefix('features.')}"


def _in_ssd(key: str) -> str:
    """Name in SSD300: VGG up to conv4_3, then up to conv5_3."""
    part, number, rest = key.split(".", 2)
    if part != "features":
        return key
    layer = int(number)
    return f"backbone.features.{layer}.{rest}" if layer < 23 else f"backbone.extra.0.{layer - 23}.{rest}"


def _in_ssdlite(key: str) -> str:
    """Name in SSDLite, whose first feature map ends with the expansion of MobileNet's block 13."""
    part, number, rest = key.split(".", 2)
    if part != "features":
        return key
    layer = int(number)
    if layer == 13:
        rest = rest.removeprefix("block.")
        return f"backbone.features.0.13.{rest[2:]}" if rest.startswith("0.") else f"backbone.features.1.0.{rest}"
    return f"backbone.features.0.{layer}.{rest}" if layer < 13 else f"backbone.features.1.{layer - 13}.{rest}"


@dataclass(frozen=True)
class Backbone:
    """What a backbone starts from."""

    classifier: str
    """Of torchvision, whose layers it has."""
    frozen: int
    """How many of its first layers torchvision leaves untrained."""
    version: str = "IMAGENET1K_V1"
    """What torchvision calls the classifier's weights."""
    layers: str = "backbone.body"
    """Where the layers are in the detector."""
    place: Callable[[str], str] = _in_body
    """Gives the detector's name for a tensor of the classifier."""


RESNET = Backbone("resnet50", frozen=5)
MOBILENET = Backbone("mobilenet_v3_large", frozen=7)
VGG = Backbone("vgg16", frozen=4, version="IMAGENET1K_FEATURES", layers="backbone.features", place=_in_ssd)
LITE_MOBILENET = Backbone("mobilenet_v3_large", frozen=0, layers="backbone.features", place=_in_ssdlite)


def mask_rcnn_mobile(*, num_classes: int, weights: None, weights_backbone: None, **arguments: Any) -> MaskRCNN:  # noqa: ANN401
    """Mask R-CNN over the parts of torchvision's fasterrcnn_mobilenet_v3_large_fpn; nobody published weights for it."""
    boxes = detection.fasterrcnn_mobilenet_v3_large_fpn(num_classes=num_classes, weights=None, weights_backbone=None)
    return MaskRCNN(boxes.backbone, num_classes, rpn_anchor_generator=boxes.rpn.anchor_generator, **arguments)


@dataclass(frozen=True)
class Published:
    """One of torchvision's detectors by its name, built as it was published."""

    name: str
    backbone: Backbone
    constants: bool = False
    """Whether it was published with batch norms whose statistics and weights are constants."""
    exact_variances: bool = False
    """Whether its COCO weights were trained without an epsilon in the batch norms."""
    builder: Callable[..., nn.Module] | None = None
    """Instead of torchvision's by that name."""

    def __call__(self, num_categories: int, *, init: str, **arguments: Any) -> nn.Module:  # noqa: ANN401
        """Build it; layers that differ in shape from the weights stay random (the classifier, SSDLite's tail).

        Raises:
            DownloadError: The weights are not in torch's cache and cannot be fetched, or they are damaged.
        """
        model = self._made(num_classes=num_categories + 1, **arguments)
        if init == "coco":
            source = self._made()
            source.load_state_dict(self._fetched(get_model_weights(self.name)["COCO_V1"]))
            _copy_matching(source.state_dict(), model)
        elif init == "imagenet":
            tensors = self._fetched(get_model_weights(self.backbone.classifier)[self.backbone.version])
            _copy_matching({self.backbone.place(key): tensor for key, tensor in tensors.items()}, model)
        if init != "random":
            for layer in list(model.get_submodule(self.backbone.layers).children())[: self.backbone.frozen]:
                layer.requires_grad_(False)
        if self.constants:
            freeze_batch_norms(model, exact_variances=init == "coco" and self.exact_variances)
        if isinstance(model, FCOS | RetinaNet):
            parts = {"anchor_generator": model.anchor_generator, "head": model.head}
            kind = ForegroundFCOS if isinstance(model, FCOS) else ForegroundRetinaNet
            return kind(model.backbone, num_categories + 1, **parts, **arguments)
        network: nn.Module = model
        return network

    def _made(self, **arguments: Any) -> Any:  # noqa: ANN401 - a module whose parts have torchvision's names
        builder = self.builder or get_model_builder(self.name)
        # Weights named here would be unpickled by torchvision with weights_only=False.
        return builder(weights=None, weights_backbone=None, **arguments)

    def _fetched(self, weights: WeightsEnum) -> dict[str, Tensor]:
        """Tensors of published weights, from torch's cache or the network."""
        try:
            tensors: dict[str, Tensor] = weights.get_state_dict(check_hash=True, weights_only=True)
        except OSError as error:
            problem = f"{self.name}: torchvision's weights {weights.name} cannot be fetched ({error})"
            remedy = "connect to the network once, or start from random weights"
            raise DownloadError(problem, code="weights", remedy=remedy) from error
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            file = f"{torch.hub.get_dir()}/checkpoints/{weights.url.rpartition('/')[2]}"
            problem = f"{self.name}: torchvision's weights {weights.name} are damaged or not weights at all"
            raise DownloadError(problem, code="damaged-weights", remedy=f"delete {file} and try again") from error
        return tensors


def freeze_batch_norms(module: nn.Module, *, exact_variances: bool = False) -> None:
    """Replace every batch norm by the constant it is in eval mode, in place; exact variances take no epsilon."""
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


SIZES = {"min_size": int, "max_size": int}
DENSE = {"score_thresh": float, "nms_thresh": float, "detections_per_img": int, "topk_candidates": int}
"""Arguments of detectors that look everywhere at once."""
_BOXES = {"box_score_thresh": float, "box_nms_thresh": float, "box_detections_per_img": int}
_PROPOSALS = {"rpn_pre_nms_top_n_test": int, "rpn_post_nms_top_n_test": int, "rpn_score_thresh": float}
SMALL_SIZES = {"min_size": 64, "max_size": 96}
SMALL_DENSE = {"score_thresh": 0.0, "detections_per_img": 20}
_SMALL_BOXES = {"box_score_thresh": 0.0, "box_detections_per_img": 5}
_SMALL_PROPOSALS = {"rpn_pre_nms_top_n_test": 20, "rpn_post_nms_top_n_test": 10}
INITS = ("random", "imagenet", "coco")


def _two_stage(build: Published, *, masks: bool = False) -> Detector:
    small = {**SMALL_SIZES, **_SMALL_BOXES, **_SMALL_PROPOSALS}
    inits = INITS if build.builder is None else INITS[:2]
    return Detector(build, {**SIZES, **_BOXES, **_PROPOSALS}, inits, masks=masks, small=small)


def _dense(build: Published) -> Detector:
    """Those with one sigmoid for each category, so that a category nobody boxed can be left out of the loss."""
    small = {**SMALL_SIZES, **SMALL_DENSE}
    return Detector(build, {**SIZES, **DENSE}, INITS, partial_labels=True, small=small)


FASTER_RCNN = _two_stage(Published("fasterrcnn_resnet50_fpn", RESNET, constants=True, exact_variances=True))
FASTER_RCNN_V2 = _two_stage(Published("fasterrcnn_resnet50_fpn_v2", RESNET))
FASTER_RCNN_MOBILE = _two_stage(Published("fasterrcnn_mobilenet_v3_large_fpn", MOBILENET, constants=True))
FASTER_RCNN_MOBILE_320 = _two_stage(Published("fasterrcnn_mobilenet_v3_large_320_fpn", MOBILENET, constants=True))
MASK_RCNN = _two_stage(Published("maskrcnn_resnet50_fpn", RESNET, constants=True, exact_variances=True), masks=True)
MASK_RCNN_V2 = _two_stage(Published("maskrcnn_resnet50_fpn_v2", RESNET), masks=True)
MASK_RCNN_MOBILE = _two_stage(
    Published("maskrcnn_mobilenet_v3_large_fpn", MOBILENET, constants=True, builder=mask_rcnn_mobile), masks=True
)
RETINANET = _dense(Published("retinanet_resnet50_fpn", RESNET, constants=True, exact_variances=True))
RETINANET_V2 = _dense(Published("retinanet_resnet50_fpn_v2", RESNET))
FCOS_RESNET = _dense(Published("fcos_resnet50_fpn", RESNET, constants=True))
SSD = Detector(Published("ssd300_vgg16", VGG), DENSE, INITS, small=SMALL_DENSE)
SSDLITE = Detector(Published("ssdlite320_mobilenet_v3_large", LITE_MOBILENET), DENSE, INITS, small=SMALL_DENSE)
