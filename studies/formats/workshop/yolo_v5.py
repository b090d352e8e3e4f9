"""The original YOLOv5, and MegaDetector v5's shape of it, with random weights, by YOLOv5's own exporter.

Detections are those of YOLOv5's own backend on the exported file, with its letterbox, non-maximum suppression and
mapping.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_OFFLINE"] = "true"

import cv2
import numpy as np
import torch
import yolov5
from bench import CATEGORIES, Bench, Detection, spread
from lively import even_out, features_of, rescale, settle
from torch import nn
from yolov5 import export
from yolov5.models import common
from yolov5.models.common import DetectMultiBackend
from yolov5.models.yolo import DetectionModel, SegmentationModel
from yolov5.utils import downloads
from yolov5.utils.augmentations import letterbox
from yolov5.utils.general import non_max_suppression, scale_boxes

SIZE = 320
"""Pixels of a side of the input."""

MEGADETECTOR = ("animal", "person", "vehicle")

for module in (common, downloads):  # they look on a hub first even for a file that is there
    module.attempt_download_from_hub = lambda *_, **__: None

CONFIGS = Path(yolov5.__file__).parent / "models"


def canvas(picture: Path, size: int, *, auto: bool = False, stride: int = 32) -> torch.Tensor:
    """The network's input for one picture, 1 x 3 x H x W."""
    image = letterbox(cv2.imread(str(picture)), size, stride=stride, auto=auto)[0]
    return torch.from_numpy(np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1)))[None].float() / 255


@functools.cache
def build(config: str, pictures: tuple[Path, ...], categories: tuple[str, ...]) -> Any:
    """A network by its configuration, with random weights whose outputs spread on the pictures."""
    torch.manual_seed(0)
    kind = SegmentationModel if "seg" in config else DetectionModel
    network = kind(str(CONFIGS / config), ch=3, nc=len(categories))
    network.names = dict(enumerate(categories))
    batch = torch.cat([canvas(path, SIZE) for path in pictures])
    settle(network, batch)
    head = network.model[-1]
    width = head.no
    for layer, features in features_of(network, head.m, batch).items():
        mean, deviation = torch.zeros(head.na * width), torch.ones(head.na * width)
        deviation[[*range(2, len(mean), width), *range(3, len(mean), width)]] = 0.6
        objects = list(range(4, len(mean), width))
        mean[objects], deviation[objects] = -7.7, 1.5
        rescale(layer, features, mean, deviation)
        even_out(layer, features, objects, amount=0.15)
    return network.fuse().eval()


def detect(
    file: Path, pictures: Sequence[Path], categories: Sequence[str], size: int, dynamic: bool
) -> dict[str, list[Detection]]:
    """What YOLOv5 finds on the pictures with an exported file."""
    backend = DetectMultiBackend(str(file), device=torch.device("cpu"), fuse=False)
    finds = {}
    for picture in pictures:
        batch = canvas(picture, size, auto=dynamic, stride=int(backend.stride))
        answer = backend(batch)
        answer = answer[0] if isinstance(answer, (list, tuple)) else answer
        masks = answer.shape[-1] - 5 - len(categories)
        rows = non_max_suppression(answer, 0.001, 0.6, multi_label=True, max_det=300, nm=masks)[0]
        rows[:, :4] = scale_boxes(batch.shape[2:], rows[:, :4], cv2.imread(str(picture)).shape)
        finds[picture.name] = [(*row[:5], categories[int(row[5])]) for row in rows.tolist()]
    return finds


def to_onnx(network: Any, batch: torch.Tensor, dynamic: bool) -> Path:
    """YOLOv5's `export.py --include onnx`."""
    torch.onnx.export = functools.partial(plain_export, dynamo=False)  # its exporter is older than the new default
    return Path(export.export_onnx(network, batch, Path("best.pt"), 17, dynamic, False)[0])


def to_torchscript(network: Any, batch: torch.Tensor, dynamic: bool) -> Path:
    """YOLOv5's `export.py --include torchscript`."""
    return Path(export.export_torchscript(network, batch, Path("best.pt"), False)[0])


plain_export = torch.onnx.export


def make(
    bench: Bench,
    name: str,
    config: str,
    what: str,
    exporter: Callable[[Any, torch.Tensor, bool], Path] = to_onnx,
    *,
    categories: tuple[str, ...] = CATEGORIES,
    dynamic: bool = False,
) -> None:
    """Build, export, run and keep one artifact, unless it is there.

    A dynamic graph says nothing of a size, and is run at YOLOv5's own: 640 pixels, 1280 with four levels.
    """
    if not bench.wants(name):
        return
    with bench.artifact(name):
        network = build(config, tuple(bench.pictures), categories)
        head = network.model[-1]
        head.export, head.dynamic, head.inplace = True, dynamic, False
        batch = torch.zeros(1, 3, SIZE, SIZE)
        network(batch)
        network(batch)
        file = exporter(network, batch, dynamic)
        size = (640 if head.nl == 3 else 1280) if dynamic else SIZE
        finds = detect(file, bench.pictures, categories, size, dynamic)
        bench.keep(name, file.name, what, finds)
        print(f"{name}: {spread(finds)}", flush=True)


class Raw(nn.Module):
    """The network without its decoding: a grid per level, 1 x anchors x rows x columns x (5 + C)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, batch: torch.Tensor) -> list[torch.Tensor]:
        """The levels, finest first."""
        self.network.model[-1].training = True
        return self.network(batch)


def three_headed(bench: Bench, name: str) -> None:
    """The graph that accelerators' tool chains ask for: three undecoded levels, which only a manifest explains."""
    if not bench.wants(name):
        return
    with bench.artifact(name):
        network = build("yolov5n.yaml", tuple(bench.pictures), CATEGORIES)
        head = network.model[-1]
        head.export, head.inplace = True, False
        batch = torch.zeros(1, 3, SIZE, SIZE)
        to_onnx(network, batch, False)
        finds = detect(Path("best.onnx"), bench.pictures, CATEGORIES, SIZE, False)
        Path("best.onnx").unlink()
        names = [f"level{number}" for number in range(head.nl)]
        plain_export(Raw(network), (batch,), "raw.onnx", input_names=["images"], output_names=names, dynamo=False)
        head.training = False
        levels = {
            "strides": [int(stride) for stride in head.stride],
            "anchors": [(anchors * stride).tolist() for anchors, stride in zip(head.anchors, head.stride, strict=True)],
        }
        bench.keep(name, "raw.onnx", "yolov5, three undecoded levels, ONNX", finds, sidecar=manifest(names, levels))
        print(f"{name}: {spread(finds)}", flush=True)


def manifest(names: Sequence[str], levels: dict[str, Any]) -> dict[str, Any]:
    """What to write beside a graph of undecoded levels."""
    parts = {"boxes": (0, 4), "objectness": (4, 5), "scores": (5, 5 + len(CATEGORIES))}
    described: dict[str, Any] = {name: {"output": list(names), "columns": list(parts[name])} for name in parts}
    described["boxes"] |= {"form": "yolov5"}
    described["objectness"] |= {"activation": "sigmoid"}
    described["scores"] |= {"activation": "sigmoid"}
    return {
        "name": "yolov5-three-levels",
        "detector": {"name": "YOLOv5n"},
        "categories": list(CATEGORIES),
        "input": {"resize": "letterbox", "size": [SIZE, SIZE], "position": "center", "mapping": "center"},
        "output": {
            "kind": "described",
            **described,
            "levels": levels,
            "score_threshold": 0.001,
            "nms_iou": 0.6,
            "max_detections": 300,
        },
    }


def main() -> None:
    """Make every artifact that is not there yet."""
    bench = Bench("yolov5", "YOLOv5", version("yolov5"))
    make(bench, "yolov5-onnx", "yolov5n.yaml", "yolov5, ONNX")
    make(bench, "yolov5-dynamic-onnx", "yolov5n.yaml", "yolov5, ONNX, dynamic", dynamic=True)
    make(bench, "yolov5-torchscript", "yolov5n.yaml", "yolov5, TorchScript", to_torchscript)
    make(bench, "yolov5-p6-onnx", "hub/yolov5n6.yaml", "yolov5 of four levels, ONNX")
    make(
        bench,
        "megadetector-v5-onnx",
        "hub/yolov5n6.yaml",
        "MegaDetector v5's head and categories, ONNX",
        categories=MEGADETECTOR,
    )
    make(
        bench,
        "megadetector-v5-dynamic-onnx",
        "hub/yolov5n6.yaml",
        "MegaDetector v5's head and categories, ONNX, dynamic",
        categories=MEGADETECTOR,
        dynamic=True,
    )
    make(
        bench,
        "megadetector-v5-torchscript",
        "hub/yolov5n6.yaml",
        "MegaDetector v5's head and categories, TorchScript",
        to_torchscript,
        categories=MEGADETECTOR,
    )
    three_headed(bench, "yolov5-three-levels-onnx")
    bench.close()


if __name__ == "__main__":
    main()
