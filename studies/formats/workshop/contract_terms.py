"""What a contract is: the end of a graph, how pictures are prepared for it, and how its outputs are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import contract_networks as nets
import cv2
import numpy as np
import tiny_nets as tiny
import torch
from bench import CATEGORIES
from contract_networks import SIZE
from PIL import Image
from torch import Tensor

Found = tuple[Tensor, Tensor, Tensor]
"""Corners (n x 4), scores and labels from 0."""

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BGR_MEAN, BGR_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)
INTERPOLATIONS = {"bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC, "area": cv2.INTER_AREA}

PILLOW = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True)
class Way:
    """How pictures are prepared.

    Attributes:
        resize: "stretch", "center" or "top-left".
        rounding: Of the sides of a letterboxed picture: "down", "half-even" or "half-up".
        mapping: "sides", "ratio" or "center", as in the manifest.
        scale: What the grey levels are divided by before `mean` and `std`.
        size: Of both sides of the input.
        multiple: To which a letterbox is padded; 0 for the whole square.
        pillow: Resize as Pillow does.
    """

    resize: str = "center"
    rounding: str = "half-even"
    mapping: str = "ratio"
    channels: str = "rgb"
    scale: float = 255.0
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    pad: int = 114
    interpolation: str = "bilinear"
    size: int = SIZE
    multiple: int = 0
    pillow: bool = False

    def contract(self, raw: bool = False) -> dict[str, Any]:
        """The manifest's words for it; with `raw` for a graph that takes bytes."""
        document: dict[str, Any] = {"resize": "stretch" if self.resize == "stretch" else "letterbox"}
        document |= {"size": [self.size] * 2, "channels": self.channels, "interpolation": self.interpolation}
        document["scale"] = "0-1" if self.scale == 255.0 and not raw else "0-255"
        if self.resize != "stretch":
            document |= {"position": self.resize, "rounding": self.rounding, "mapping": self.mapping, "pad": self.pad}
        if self.multiple:
            document["multiple"] = self.multiple
        if self.mean is not None:
            document |= {"mean": list(self.mean), "std": list(self.std or ())}
        return document

    def apply(self, image: np.ndarray) -> tuple[Tensor, Callable[[Tensor], Tensor], tuple[float, float]]:
        """The input (1 x 3 x H x W, float), the way back for corners, and the scale factors (down, across)."""
        height, width = image.shape[:2]
        ratio = min(self.size / height, self.size / width)
        rounded = {"down": int, "half-even": round, "half-up": lambda side: int(side + 0.5)}[self.rounding]
        rows, columns = rounded(height * ratio), rounded(width * ratio)
        if self.resize == "stretch":
            rows = columns = self.size
        canvas = [-(-side // self.multiple) * self.multiple if self.multiple else self.size for side in (rows, columns)]
        top, left = (
            (0, 0)
            if self.resize != "center"
            else [round((whole - side) / 2 - 0.1) for whole, side in zip(canvas, (rows, columns), strict=True)]
        )
        sides = {"top": top, "bottom": canvas[0] - rows - top, "left": left, "right": canvas[1] - columns - left}
        resized = cv2.copyMakeBorder(
            self._resized(image, rows, columns), **sides, borderType=cv2.BORDER_CONSTANT, value=(self.pad,) * 3
        )
        values = torch.from_numpy(resized[..., ::-1].copy() if self.channels == "bgr" else resized).float() / self.scale
        if self.mean is not None:
            values = (values - torch.tensor(self.mean)) / torch.tensor(self.std)
        down, across = rows / height, columns / width
        offset = torch.tensor([left, top] * 2).float()
        if self.resize != "stretch" and self.mapping != "sides":
            down = across = ratio
            if self.mapping == "center":
                offset = torch.tensor([(canvas[1] - width * ratio) / 2, (canvas[0] - height * ratio) / 2] * 2)
        factors = torch.tensor([across, down] * 2)
        return values.permute(2, 0, 1)[None].contiguous(), lambda boxes: (boxes - offset) / factors, (down, across)

    def _resized(self, image: np.ndarray, rows: int, columns: int) -> np.ndarray:
        if self.pillow:
            return np.asarray(Image.fromarray(image).resize((columns, rows), PILLOW[self.interpolation]))
        return cv2.resize(image, (columns, rows), interpolation=INTERPOLATIONS[self.interpolation])


YOLO = Way(mapping="center")
MEGVII = Way("top-left", "down", channels="bgr", scale=1.0)
MMDET = Way("top-left", "half-up", "sides", "bgr", 1.0, BGR_MEAN, BGR_STD)
PADDLE = Way("stretch", interpolation="bicubic")


@dataclass(frozen=True)
class Contract:
    """One exporter's.

    Attributes:
        tool: Whose contract it is.
        what: Its outputs, in a few words.
        answer: The end of the graph.
        outputs: Their names.
        read: From the outputs to detections in pixels of the input (of the picture, if `of_image`).
        described: The sidecar's output; null where the file tells by itself.
        numbers: Means and deviations of the channels of the maps.
        way: How pictures are prepared.
        layout: "nchw" in float32, or "nhwc" in bytes.
        batch: Of the graph, which is fixed.
        second: Names of the second inputs, from "im_shape" and "scale_factor".
        metadata: Of the file.
        dynamic: Whether height and width of the graph are free.
        beside: Files in the same folder, by name.
        image: Name of the input.
        same_resize: Whether wildbench can resize as the exporter's code does.
        file: Name of the graph.
        folder: Whether the whole folder is submitted.
    """

    tool: str
    what: str
    answer: nets.Answer
    outputs: tuple[str, ...]
    read: Callable[..., Found]
    described: Mapping[str, Any] | None
    numbers: tuple[list[float], list[float]] = nets.channels(nets.BOX, nets.LOGITS)
    way: Way = YOLO
    layout: str = "nchw"
    batch: int = 1
    second: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    dynamic: bool = False
    of_image: bool = False
    categories: tuple[str, ...] = CATEGORIES
    beside: Mapping[str, str] = field(default_factory=dict)
    image: str = "images"
    same_resize: bool = True
    file: str = "model.onnx"
    folder: bool = False


def limits(iou: float | None, most: int = 300) -> dict[str, Any]:
    """What the sidecars of candidates say."""
    return {"score_threshold": tiny.SCORE, "nms_iou": iou, "max_detections": most}


def rows_of(columns: Mapping[str, slice | int], first: int = 0) -> Callable[..., Found]:
    """A reader of finished rows, by where their boxes, scores and labels stand."""

    def read(output: Tensor, *_: Tensor) -> Found:
        rows = output.reshape(-1, output.shape[-1])
        return rows[:, columns["boxes"]], rows[:, columns["scores"]], rows[:, columns["labels"]] - first

    return read


def finished_rows(maps: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Corners, scores [n, 1] and labels [n, 1] after suppression in the graph."""
    boxes, scores, labels = nets.finished(maps)
    return boxes, scores[:, None], labels[:, None].float()


def nms_read(iou: float, most: int = 300) -> Callable[[Tensor, Tensor], Found]:
    """A reader of corners [1, N, 4] and scores [1, N, C]."""
    return lambda boxes, scores: tiny.every(boxes[0], scores[0], iou, most)


def counted_read(count: Tensor, boxes: Tensor, scores: Tensor, labels: Tensor) -> Found:
    """A reader of as many rows as are valid."""
    valid = int(count.flatten()[0])
    return boxes[0, :valid], scores[0, :valid], labels[0, :valid]
