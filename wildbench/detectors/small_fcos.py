"""The small detector: FCOS over EfficientNet-Lite0 with a narrow pyramid and a light head.

Everything that decides what FCOS is (matching, losses, decoding, suppression) stays torchvision's. Ours are the
backbone, a feature pyramid and a head made of depthwise-separable convolutions, 2 to 3 M parameters in all,
small enough to be trained on two CPU cores and to fit in a few megabytes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.fcos import FCOSHead

from wildbench.detectors.efficientnet_lite import IMAGE_MEAN, IMAGE_STD, EfficientNetLite0, load_imagenet
from wildbench.detectors.foreground import ForegroundFCOS
from wildbench.errors import RecipeError

STRIDES = (8, 16, 32, 64)

MOST_CHANNELS, MOST_DEPTH = 1024, 32
"""Beyond these a stranger's file that names the detector would keep its reader building."""


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


def fcos_efficientnet_lite0_fpn(
    *,
    num_classes: int,
    imagenet: bool = False,
    blocks: int = 16,
    channels: int = 96,
    depth: int = 3,
    min_size: int = 384,
    max_size: int = 640,
    score_thresh: float = 0.05,
    **arguments: Any,  # noqa: ANN401
) -> ForegroundFCOS:
    """Build the small detector.

    Args:
        num_classes: Number of categories, and one for the background at index 0.
        imagenet: Whether the backbone starts from ImageNet weights.
        blocks: Blocks of the backbone to keep, 12 to 16.
        channels: Width of pyramid and head, a multiple of 8, at most 1024.
        depth: Convolutions in each tower of the head, at most 32.
        min_size: Images are resized so that their short side has this many pixels,
        max_size: unless the long side would exceed this.
        score_thresh: Detections below it are dropped.
        **arguments: Further arguments of torchvision's FCOS.

    Raises:
        RecipeError: A size the network does not come in.
    """
    if not 12 <= blocks <= 16:
        raise RecipeError(f"blocks = {blocks}", remedy="keep 12 to 16 blocks of the backbone")
    if not 8 <= channels <= MOST_CHANNELS or channels % 8:
        raise RecipeError(f"channels = {channels}", remedy=f"give a multiple of 8, at most {MOST_CHANNELS}")
    if depth > MOST_DEPTH:
        raise RecipeError(f"depth = {depth}", remedy=f"give at most {MOST_DEPTH}")
    backbone = EfficientNetLite0(blocks)
    if imagenet:
        load_imagenet(backbone)
    return ForegroundFCOS(
        LitePyramid(backbone, channels),
        num_classes,
        min_size=min_size,
        max_size=max_size,
        image_mean=list(IMAGE_MEAN),
        image_std=list(IMAGE_STD),
        anchor_generator=AnchorGenerator(tuple((s,) for s in STRIDES), ((1.0,),) * len(STRIDES)),
        head=LiteHead(channels, num_classes, depth),
        score_thresh=score_thresh,
        **arguments,
    )
