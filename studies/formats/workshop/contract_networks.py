"""Tiny networks whose outputs are laid out as those of many exporters; random weights, but they see the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tiny_nets as tiny
import torch
from bench import CATEGORIES
from torch import Tensor, nn
from torchvision.ops import batched_nms

SIZE = 160
CLASSES = len(CATEGORIES)
ANCHORS = (((10, 13), (16, 30), (33, 23)), ((30, 61), (62, 45), (59, 119)), ((116, 90), (156, 198), (373, 326)))
"""YOLOv5's: of each level, width and height in pixels."""

BINS = 8
"""Of a distribution over distances: NanoDet's and PicoDet's `reg_max` + 1."""

Answer = Callable[..., Any]
"""From the maps of the levels (and the other inputs) to the outputs."""


class Network(nn.Module):
    """Maps of raw numbers, and what one exporter makes of them inside its graph."""

    def __init__(self, answer: Answer, heads: tiny.Heads, scale: float = 1.0, last: bool = False) -> None:
        super().__init__()
        self.heads, self.answer, self.scale, self.last = heads, answer, scale, last

    def forward(self, image: Tensor, *others: Tensor) -> Any:
        """The outputs for one input, 1 x 3 x H x W (or with its channels last), which is multiplied by `scale`."""
        x = image.permute(0, 3, 1, 2) if self.last else image
        return self.answer(self.heads(x.float() * self.scale), *others)


def heads(inputs: Sequence[Tensor], means: Sequence[float], deviations: Sequence[float], levels: int = 3) -> tiny.Heads:
    """Heads whose channels have these means and deviations on the inputs."""
    return tiny.Heads(len(means), levels=levels).spread(inputs, torch.tensor(means), torch.tensor(deviations)).eval()


BOX = [0.0] * 4, [0.8] * 4
LOGITS = [-8.0] * CLASSES, [2.0] * CLASSES
"""Of few cells that pass."""
WITH_OBJECT = [-6.0] + [-1.5] * CLASSES, [2.0] + [1.5] * CLASSES


def channels(*parts: tuple[list[float], list[float]]) -> tuple[list[float], list[float]]:
    """Means and deviations of several groups of channels, one behind the other."""
    return [mean for part in parts for mean in part[0]], [deviation for part in parts for deviation in part[1]]


def flat(maps: Sequence[Tensor]) -> Tensor:
    """[1, N, K]: all cells, level by level, row by row."""
    return torch.cat([level.flatten(2) for level in maps], 2).transpose(1, 2)


def cells(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Column and row of each cell, [1, N, 2], and its stride, [1, N, 1]; computed from the maps' own sizes."""
    places, strides = [], []
    for level, stride in zip(maps, tiny.STRIDES, strict=False):
        rows, columns = level.shape[-2:]
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places.append(torch.stack([x, y], -1).reshape(1, -1, 2).float())
        strides.append(torch.full_like(places[-1][..., :1], float(stride)))
    return torch.cat(places, 1), torch.cat(strides, 1)


def centred(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Centres and sides in pixels, [1, N, 4], and what is behind the first four channels."""
    values = flat(maps)
    places, strides = cells(maps)
    box = values[..., :4].sigmoid() * 2
    return torch.cat([(box[..., :2] - 0.5 + places) * strides, box[..., 2:] ** 2 * 3 * strides], -1), values[..., 4:]


def cornered(maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Corners in pixels, [1, N, 4], and a probability for each category, [1, N, C]."""
    boxes, rest = centred(maps)
    return tiny.corners(boxes), rest.sigmoid()


def finished(maps: Sequence[Tensor], iou: float = 0.6, limit: int = 100) -> tuple[Tensor, Tensor, Tensor]:
    """Corners [n, 4], scores [n] and labels [n] from 0, after non-maximum suppression in the graph."""
    boxes, scores = cornered(maps)
    best, labels = scores[0].max(1)
    keep = batched_nms(boxes[0] + labels[:, None] * 4096.0, best, torch.zeros_like(labels), iou)[:limit]
    return boxes[0][keep], best[keep], labels[keep]


def topmost(maps: Sequence[Tensor], limit: int = 100) -> tuple[Tensor, Tensor, Tensor]:
    """Corners [1, n, 4], scores [1, n] and labels [1, n] from 0 of the best cells: always as many."""
    boxes, scores = cornered(maps)
    best, labels = scores[0].max(1)
    best, keep = best.topk(limit)
    return boxes[:, keep], best[None], labels[keep][None]


def padded(maps: Sequence[Tensor], limit: int = 100) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A count [1, 1], and `topmost`'s, of which only so many are valid: rows behind them hold leftovers."""
    boxes, scores, labels = topmost(maps, limit)
    return (scores > tiny.SCORE).sum(1, keepdim=True), boxes, scores, labels


def in_anchors(level: Tensor, last: bool) -> Tensor:
    """[1, 3, H, W, K] of [1, 3 K, H, W], if `last`."""
    if not last:
        return level
    batch, depth, rows, columns = level.shape
    return level.reshape(batch, 3, depth // 3, rows, columns).permute(0, 1, 3, 4, 2)
