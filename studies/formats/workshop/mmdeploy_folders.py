"""Folders as MMDeploy's `export2SDK` lays them out, around our tiny SSD, run by its own SDK."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import tiny_nets as tiny
import torch
from bench import CATEGORIES, Bench, Detection
from mmdeploy_runtime import Detector
from mmdeploy_runtime import __version__ as version
from torch import Tensor, nn
from torch.nn import functional

SIZE = 160
MEANS = {"mean": [103.53, 116.28, 123.675], "std": [57.375, 57.12, 58.395]}
LOAD, BUNDLE = {"type": "LoadImageFromFile", "backend_args": None}, {"type": "DefaultFormatBundle"}
COLLECT = {"type": "Collect", "keys": ["img"], "meta_keys": ["ori_shape", "img_shape", "scale_factor", "pad_shape"]}
PIPELINES: dict[str, list[dict[str, Any]]] = {
    "rtmdet": [
        {"type": "Resize", "keep_ratio": True, "size": [SIZE, SIZE]},
        {"type": "Pad", "size": [SIZE, SIZE], "pad_val": {"img": [114, 114, 114]}},
        {"type": "Normalize", "to_rgb": False, **MEANS},
        {"type": "Pad", "size_divisor": 1},
    ],
    "ssd": [
        {"type": "Resize", "keep_ratio": False, "size": [SIZE, SIZE]},
        {"type": "Normalize", "to_rgb": True, **MEANS},
        {"type": "Pad", "size_divisor": 1},
    ],
    "retinanet": [
        {"type": "Resize", "keep_ratio": True, "size": [256, 128]},
        {"type": "Normalize", "to_rgb": True, **MEANS},
        {"type": "Pad", "size_divisor": 32},
    ],
}
"""As the model zoo's test pipelines become, at a small size."""


class Finished(nn.Module):
    """`dets` [1, N, 5] in pixels and `labels` [1, N]: the best sixty boxes of a tiny SSD of any height and width."""

    def __init__(self, pictures: list[Tensor]) -> None:
        super().__init__()
        inner = tiny.Ssd([functional.interpolate(picture, (SIZE, SIZE)) for picture in pictures])
        self.heads = inner.heads

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Detections."""
        levels = []
        for level, stride in zip(self.heads(x), tiny.STRIDES, strict=True):
            values = level.flatten(2)[0].T
            ones = torch.ones_like(level[0, 0])
            rows, columns = ones.cumsum(0).flatten() - 0.5, ones.cumsum(1).flatten() - 0.5
            centres = torch.stack([columns, rows], 1) * stride + values[:, :2] * stride
            sides = torch.exp(values[:, 2:4] * 0.2) * stride * 3
            scores, labels = values[:, 4:].softmax(1)[:, 1:].max(1)
            boxes = torch.cat([centres - sides / 2, centres + sides / 2, scores[:, None]], 1)
            levels.append((boxes, labels))
        boxes, labels = (torch.cat(parts) for parts in zip(*levels, strict=True))
        rows = boxes[:, 4].topk(60).indices
        return boxes[rows].reshape(1, 60, 5), labels[rows].reshape(1, 60)


class Workshop(Bench):
    """The pictures, and the folders."""

    def __init__(self) -> None:
        super().__init__("mmdeploy", "mmdeploy-runtime", version)
        self.images = {path.name: tiny.read(path) for path in self.pictures}
        torch.manual_seed(3)
        self.network = Finished([tiny.signed(image) for image in self.images.values()]).eval()

    def make(self, kind: str, names: bool) -> None:
        """A folder; with `names` a list of labels is kept in it, which MMDeploy itself does not write."""
        name = f"mmdeploy-{kind}" + ("-labels" if names else "")
        if not self.wants(name):
            return
        with self.artifact(name) as folder:
            ports = {"input_names": ["input"], "output_names": ["dets", "labels"]}
            axes = {"input": {2: "height", 3: "width"}} if kind == "retinanet" else None
            example = torch.zeros(1, 3, SIZE, SIZE)
            torch.onnx.export(self.network, (example,), "end2end.onnx", opset_version=11, dynamic_axes=axes, **ports)
            for file, document in documents(kind).items():
                Path(file).write_text(json.dumps(document, indent=4))
            detector = Detector(str(folder), "cpu", 0)
            rows = {key: found(detector, image) for key, image in self.images.items()}
            if names:
                Path("labels.txt").write_text("\n".join(CATEGORIES) + "\n")
            sidecar = None if names else {"categories": list(CATEGORIES)}
            what = f"deploy.json, pipeline.json, end2end.onnx: {kind}"
            self.keep(name, "", what, rows, sidecar=sidecar)


def documents(kind: str) -> dict[str, Any]:
    """The SDK's files."""
    steps = [LOAD, *PIPELINES[kind], BUNDLE, COLLECT]
    prepare = {"type": "Task", "module": "Transform", "name": "Preprocess", "input": ["img"], "output": ["prep_output"]}
    network = {"name": kind, "type": "Task", "module": "Net", "input": ["prep_output"], "output": ["infer_output"]}
    answer = {"type": "Task", "module": "mmdet", "name": "postprocess", "component": "ResizeBBox"}
    answer |= {"params": {"score_thr": 0.01, "min_bbox_size": 0}, "output": ["post_output"]}
    tasks = [prepare | {"transforms": steps}, network | {"is_batched": False, "input_map": {"img": "input"}}]
    tasks.append(answer | {"input": ["prep_output", "infer_output"]})
    model = {"name": kind, "net": "end2end.onnx", "weights": "", "backend": "onnxruntime", "precision": "FP32"}
    models = [model | {"batch_size": 1, "dynamic_shape": kind == "retinanet"}]
    return {
        "deploy.json": {"version": version, "task": "Detector", "models": models, "customs": []},
        "pipeline.json": {"pipeline": {"input": ["img"], "output": ["post_output"], "tasks": tasks}},
        "detail.json": {"version": version, "codebase": {"task": "ObjectDetection", "codebase": "mmdet"}},
    }


def found(detector: Detector, image: np.ndarray) -> list[Detection]:
    """As the SDK's own demo: it takes a picture as OpenCV reads it. It ends boxes one pixel before the edge."""
    height, width = image.shape[:2]
    boxes, labels, _ = detector(np.ascontiguousarray(image[..., ::-1]))
    boxes[:, :4] += boxes[:, :4] == np.array([width - 1, height - 1] * 2, np.float32)
    return [
        (*map(float, box), CATEGORIES[int(label)]) for box, label in zip(boxes, labels, strict=True) if box[2] > box[0]
    ]


def main() -> None:
    """Make what is wanted."""
    warnings.filterwarnings("ignore")
    shop = Workshop()
    for kind in PIPELINES:
        shop.make(kind, names=False)
    shop.make("rtmdet", names=True)
    shop.close()


if __name__ == "__main__":
    main()
