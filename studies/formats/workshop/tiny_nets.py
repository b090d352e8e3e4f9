"""Two tiny detectors of our own, how their pictures are prepared, and how their outputs are read, in torch.

Random weights give no spread of scores, so the last layers are scaled on the pictures: a few candidates in a
hundred pass.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from bench import CATEGORIES, LOWEST, Detection
from torch import Tensor, nn
from torchvision.ops import nms

SCORE = LOWEST / 2
"""Below what is compared, so that no tie with it counts."""
STRIDES = (8, 16, 32)
Run = Callable[[Tensor], list[Tensor]]
"""From the input to the arrays of a network, in the order in which its runtime gives them."""


def read(path: Path) -> np.ndarray:
    """A picture as uint8, H x W x 3, RGB."""
    return cv2.cvtColor(cv2.imread(str(path), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def letterboxed(image: np.ndarray, size: int, pad: int = 114) -> tuple[np.ndarray, Callable[[Tensor], Tensor]]:
    """Ultralytics' letterbox about the middle, and the way back for corners, each side by what it was resized by."""
    height, width = image.shape[:2]
    gain = min(size / height, size / width)
    columns, rows = round(width * gain), round(height * gain)
    left, top = round((size - columns) / 2 - 0.1), round((size - rows) / 2 - 0.1)
    resized = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_LINEAR) if gain != 1 else image
    sides = {"top": top, "bottom": size - rows - top, "left": left, "right": size - columns - left}
    canvas = cv2.copyMakeBorder(resized, **sides, borderType=cv2.BORDER_CONSTANT, value=(pad,) * 3)
    offset, factors = torch.tensor([left, top] * 2), torch.tensor([columns / width, rows / height] * 2)
    return canvas, lambda boxes: (boxes - offset) / factors


def stretched(image: np.ndarray, size: int) -> np.ndarray:
    """The picture at size x size, whatever its proportions."""
    return cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR)


def unit(image: np.ndarray) -> Tensor:
    """1 x 3 x H x W, 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)[None])).float() / 255


def signed(image: np.ndarray) -> Tensor:
    """1 x 3 x H x W, -1 to 1."""
    return (unit(image) - 0.5) / 0.5


class Trunk(nn.Module):
    """Five convolutions of stride 2; gives the maps at 8, 16 and 32."""

    def __init__(self, width: int = 16, levels: int = 3) -> None:
        super().__init__()
        sides = (3, width, width * 2, width * 3, width * 4, width * 4)
        self.steps = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sides))
        self.widths, self.levels = sides[-3:][:levels], levels
        for step in self.steps:
            nn.init.kaiming_normal_(step.weight)
            nn.init.uniform_(step.bias, -0.1, 0.1)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Its maps."""
        maps = []
        for step in self.steps:
            x = torch.relu(step(x))
            maps.append(x)
        return maps[2 : 2 + self.levels]


class Heads(nn.Module):
    """A trunk and a 1 x 1 convolution for each of its maps, to `channels` raw numbers a cell."""

    def __init__(self, channels: int, width: int = 16, levels: int = 3) -> None:
        super().__init__()
        self.trunk = Trunk(width, levels)
        self.last = nn.ModuleList(nn.Conv2d(side, channels, 1) for side in self.trunk.widths)

    def forward(self, x: Tensor) -> list[Tensor]:
        """One map of raw numbers for each level."""
        return [last(level) for last, level in zip(self.last, self.trunk(x), strict=True)]

    @torch.no_grad()
    def spread(self, pictures: Iterable[Tensor], means: Tensor, deviations: Tensor) -> Heads:
        """Scale the last layers so that each channel has this mean and deviation over the pictures."""
        raw = [self.forward(picture) for picture in pictures]
        for at, last in enumerate(self.last):
            values = torch.cat([levels[at].flatten(2)[0] for levels in raw], 1)
            gain = deviations / values.std(1).clamp_min(1e-6)
            last.bias.copy_((last.bias - values.mean(1)) * gain + means)
            last.weight.mul_(gain[:, None, None, None])
        return self


def grid(size: int, strides: tuple[int, ...] = STRIDES) -> tuple[Tensor, Tensor]:
    """Column and row of each cell, 1 x 2 x N, and its stride, 1 x 1 x N."""
    cells, widths = [], []
    for stride in strides:
        side = math.ceil(size / stride)
        rows, columns = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
        cells.append(torch.stack([columns.flatten(), rows.flatten()]).float())
        widths.append(torch.full((1, side * side), float(stride)))
    return torch.cat(cells, 1)[None], torch.cat(widths, 1)[None]


class Yolo(nn.Module):
    """As Ultralytics' head since v8: [1, 4 + C, N], centres and sides in pixels (or fractions), and scores."""

    def __init__(self, pictures: list[Tensor], fractions: bool = False, split: bool = False) -> None:
        super().__init__()
        size = pictures[0].shape[-1]
        channels = 4 + len(CATEGORIES)
        means = torch.tensor([0.0] * 4 + [-8.0] * len(CATEGORIES))
        self.heads = Heads(channels).spread(pictures, means, torch.tensor([0.8] * 4 + [2.0] * len(CATEGORIES)))
        cells, strides = grid(size)
        self.register_buffer("cells", cells, persistent=False)
        self.register_buffer("strides", strides / size if fractions else strides, persistent=False)
        self.split = split

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Boxes and scores in one array, or apart."""
        raw = torch.cat([level.flatten(2) for level in self.heads(images)], 2).sigmoid()
        centres = (raw[:, :2] * 2 - 0.5 + self.cells) * self.strides
        sides = (raw[:, 2:4] * 2) ** 2 * 3 * self.strides
        if self.split:
            return torch.cat([centres, sides], 1), raw[:, 4:]
        return torch.cat([centres, sides, raw[:, 4:]], 1)


class Ssd(nn.Module):
    """One anchor a cell: scores [1, N, C + 1] by softmax, background first, and corners [1, N, 4] as fractions.

    With `raw`, the box offsets (y, x, h, w over 10, 10, 5, 5) as the box coder of TensorFlow's SSD takes them.
    """

    def __init__(self, pictures: list[Tensor], raw: bool = False) -> None:
        super().__init__()
        size = pictures[0].shape[-1]
        channels = 5 + len(CATEGORIES)
        means = torch.tensor([0.0] * 4 + [5.0] + [-1.5] * len(CATEGORIES))
        self.heads = Heads(channels).spread(pictures, means, torch.tensor([1.0] * 4 + [1.5] * (1 + len(CATEGORIES))))
        cells, strides = grid(size)
        centres = ((cells + 0.5) * strides / size)[0].T
        self.register_buffer(
            "priors", torch.cat([centres, (strides[0].T * 3 / size).expand(-1, 2)], 1), persistent=False
        )
        self.raw = raw

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and boxes."""
        values = torch.cat([level.flatten(2) for level in self.heads(images)], 2).transpose(1, 2)
        scores = values[..., 4:].softmax(-1)
        if self.raw:
            return scores, values[..., :4]
        centres = values[..., :2] * 0.1 * self.priors[:, 2:] + self.priors[:, :2]
        sides = torch.exp(values[..., 2:4] * 0.2) * self.priors[:, 2:]
        return scores, torch.cat([centres - sides / 2, centres + sides / 2], -1)


class Product(nn.Module):
    """A 1 x 1 convolution as the product of a matrix, as in transformers' heads."""

    def __init__(self, convolution: nn.Conv2d) -> None:
        super().__init__()
        self.weight = nn.Parameter(convolution.weight.detach()[..., 0, 0].T.contiguous())
        self.bias = nn.Parameter(convolution.bias.detach())

    def forward(self, x: Tensor) -> Tensor:
        """The same map."""
        return (x.permute(0, 2, 3, 1) @ self.weight + self.bias).permute(0, 3, 1, 2)


def with_products(network: nn.Module) -> nn.Module:
    """A copy whose last layers are products of matrices."""
    other = copy.deepcopy(network)
    other.heads.last = nn.ModuleList(Product(last) for last in other.heads.last)
    return other


def suppressed(boxes: Tensor, scores: Tensor, labels: Tensor, iou: float | None, limit: int) -> tuple[Tensor, ...]:
    """Non-maximum suppression within each label, and the best `limit`.

    In float64 and label by label: quantized boxes overlap by exactly the threshold, and boxes that are shifted by their
    label, as `batched_nms` does, are rounded to either side of it.
    """
    keep = torch.ones_like(scores, dtype=torch.bool)
    if iou is not None:
        keep[:] = False
        for label in labels.unique():
            members = (labels == label).nonzero()[:, 0]
            keep[members[nms(boxes[members].double(), scores[members].double(), iou)]] = True
    order = scores.argsort(descending=True, stable=True)
    order = order[keep[order]][:limit]
    return boxes[order], scores[order], labels[order]


def every(boxes: Tensor, scores: Tensor, iou: float | None = 0.7, limit: int = 300) -> tuple[Tensor, ...]:
    """Of N boxes and N x C scores, every pair that passes, after non-maximum suppression."""
    rows, labels = (scores >= SCORE).nonzero(as_tuple=True)
    return suppressed(boxes[rows], scores[rows, labels], labels, iou, limit)


def best(boxes: Tensor, scores: Tensor, iou: float | None = 0.7, limit: int = 300) -> tuple[Tensor, ...]:
    """Of N boxes and N x C scores, each box's best where it passes, after non-maximum suppression."""
    top, labels = scores.max(1)
    keep = top >= SCORE
    return suppressed(boxes[keep], top[keep], labels[keep], iou, limit)


def corners(boxes: Tensor) -> Tensor:
    """From centres and sides."""
    return torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], -1)


def as_rows(
    boxes: Tensor, scores: Tensor, labels: Tensor, width: int, height: int, names: Sequence[str] = CATEGORIES
) -> list[Detection]:
    """Detections, clipped to the picture, as the matrix reads them."""
    boxes = boxes.clamp(min=torch.zeros(4), max=torch.tensor([width, height, width, height]).float())
    return [
        (*map(float, box), float(score), names[int(label)])
        for box, score, label in zip(boxes, scores, labels, strict=True)
    ]


def yolo_rows(
    run: Callable[[Tensor], list[Tensor]], image: np.ndarray, size: int, fractions: bool = False
) -> list[Detection]:
    """Detections of a `Yolo`, whose arrays `run` gives."""
    canvas, back = letterboxed(image, size)
    output = run(unit(canvas))
    values = torch.cat(sorted(output, key=lambda value: value.shape[1] != 4), 1)[0].float()
    boxes = corners(values[:4].T * (size if fractions else 1))
    boxes, scores, labels = every(boxes, values[4:].T)
    return as_rows(back(boxes), scores, labels, image.shape[1], image.shape[0])


def ssd_rows(run: Run, image: np.ndarray, size: int) -> list[Detection]:
    """Detections of an `Ssd`, whose arrays `run` gives: those with 1 + C columns are the scores."""
    scores, boxes = sorted(run(signed(stretched(image, size))), key=lambda value: (value.shape[-1] == 4, 0))
    height, width = image.shape[:2]
    boxes = boxes[0].float() * torch.tensor([width, height, width, height])
    return as_rows(*every(boxes, scores[0, :, 1:].float(), 0.5, 200), width, height)
