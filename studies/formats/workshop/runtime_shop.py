"""The networks that every runtime's converter is given, and how an artifact is run and kept."""

from __future__ import annotations

import copy
import importlib.metadata
from typing import Any

import tiny_nets as tiny
import torch
from bench import CATEGORIES, Bench
from torch import Tensor

SIZE = 160
LETTERBOX = {"resize": "letterbox", "position": "center", "size": [SIZE, SIZE]}
STRETCH = {"resize": "stretch", "size": [SIZE, SIZE], "mean": [0.5] * 3, "std": [0.5] * 3}
YOLO = {"kind": "yolov8", "score_threshold": tiny.SCORE, "nms_iou": 0.7, "max_detections": 300}


SSD_KINDS = ("fp32", "int8", "xnnpack", "qlinear", "nbits", "external", "")
"""Of the SSD not everything is made: it is there for its outputs, the YOLO for what tools do to weights."""


class Workshop(Bench):
    """The networks, the pictures as they take them, and where the artifacts go."""

    def __init__(self) -> None:
        super().__init__("runtimes", "torch", torch.__version__)
        self.images = {path.name: tiny.read(path) for path in self.pictures}
        boxed = [tiny.unit(tiny.letterboxed(image, SIZE)[0]) for image in self.images.values()]
        plain = [tiny.signed(tiny.stretched(image, SIZE)) for image in self.images.values()]
        self.inputs = {"yolo": boxed, "ssd": plain}
        torch.manual_seed(14)
        self.networks: dict[str, Any] = {"yolo": tiny.Yolo(boxed).eval(), "ssd": tiny.Ssd(plain).eval()}
        self.fractions = copy.deepcopy(self.networks["yolo"])
        self.fractions.strides /= SIZE

    def wants_kind(self, name: str, kind: str, suffix: str) -> bool:
        """As `wants`, of what is made of a network."""
        return self.wants(name) and (kind == "yolo" or suffix in SSD_KINDS)

    def apart(self, kind: str) -> torch.nn.Module:
        """A network to quantize whole: its boxes are fractions, so that no large value coarsens the scores."""
        return Apart(self.fractions) if kind == "yolo" else self.networks[kind]

    def find(
        self,
        name: str,
        tool: str,
        file: str,
        what: str,
        run: tiny.Run,
        *,
        fractions: bool = False,
        **told: str,
    ) -> None:
        """Run an artifact on the pictures and keep it; "yolo" or "ssd" in its name says which network it is."""
        kind = "ssd" if "ssd" in name else "yolo"
        self.tool, self.version = tool, importlib.metadata.version(tool)
        if kind == "yolo":
            rows = {key: tiny.yolo_rows(run, image, SIZE, fractions) for key, image in self.images.items()}
        else:
            rows = {key: tiny.ssd_rows(run, image, SIZE) for key, image in self.images.items()}
        shapes = [tuple(value.shape) for value in run(self.inputs[kind][0])]
        manifest = sidecar(name, kind, shapes, fractions)
        manifest["input"] = manifest["input"] | told
        self.keep(name, file, what, rows, sidecar=manifest)


def sidecar(name: str, kind: str, shapes: list[tuple[int, ...]], fractions: bool = False) -> dict[str, Any]:
    """What no metadata says: how the picture goes in, and what comes out."""
    document = {"name": name, "detector": {"name": f"tiny {kind}"}, "categories": list(CATEGORIES)}
    if kind == "yolo" and len(shapes) == 1 and not fractions:
        return document | {"input": LETTERBOX, "output": YOLO}
    boxes = next(at for at, shape in enumerate(shapes) if 4 in shape[1:]) if len(shapes) > 1 else 0
    output: dict[str, Any] = {"kind": "described", "score_threshold": tiny.SCORE}
    if kind == "ssd":
        parts = {
            "boxes": {"output": boxes, "form": "xyxy", "unit": "fractions"},
            "scores": {"output": 1 - boxes, "background": "first"},
        }
        return document | {"input": STRETCH, "output": output | parts | {"nms_iou": 0.5, "max_detections": 200}}
    columns = {"candidates": "columns"}
    parts = {"boxes": columns | {"form": "cxcywh", "unit": "fractions"}, "scores": dict(columns)}
    if len(shapes) == 1:
        parts["boxes"]["columns"], parts["scores"]["columns"] = [0, 4], [4, None]
    else:
        parts["boxes"]["output"], parts["scores"]["output"] = boxes, 1 - boxes
    return document | {"input": LETTERBOX, "output": output | parts | {"nms_iou": 0.7, "max_detections": 300}}


class ChannelsLast(torch.nn.Module):
    """A network that takes pictures with the channels last."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        """What the network answers."""
        return self.inner(x.permute(0, 3, 1, 2))


class Apart(torch.nn.Module):
    """A `Yolo` that gives its boxes and its scores apart, so that each gets a scale of its own."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Any:
        """Boxes and scores."""
        output = self.inner(x)
        return output[:, :4], output[:, 4:]
