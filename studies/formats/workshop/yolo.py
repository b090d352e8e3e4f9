"""Ultralytics: its networks of every generation, with random weights, by its own exporter in every format it runs here.

Detections are those of Ultralytics' own backend on the exported file, with its letterbox, its non-maximum suppression
with its validator's settings, and its mapping back to the picture.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
os.environ["YOLO_AUTOINSTALL"] = "false"
os.environ["YOLO_OFFLINE"] = "true"

import cv2
import numpy as np
import torch
import ultralytics
from bench import CATEGORIES, Bench, Detection, spread
from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.data.augment import LetterBox
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils import nms, ops

SIZE = 320
"""Pixels of a side of the input."""

SCORES = (-7.7, 1.5)
"""Mean and standard deviation of the logits on the pictures: a few percent of them give a score above 0.02."""


def canvas(picture: Path, size: tuple[int, int], *, auto: bool, stride: int, stretch: bool) -> torch.Tensor:
    """The network's input for one picture, 1 x 3 x H x W, as Ultralytics' predictor makes it."""
    image = cv2.imread(str(picture))
    names = LetterBox.__init__.__code__.co_varnames
    fill = {"scale_fill" if "scale_fill" in names else "scaleFill": stretch}
    image = LetterBox(size, auto=auto, stride=stride, **fill)(image=image)
    planes = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(planes)[None].float() / 255


def build(config: str, pictures: Sequence[Path], categories: Sequence[str] = CATEGORIES, seed: int = 0) -> Any:
    """A network by its configuration, with random weights whose outputs spread on the pictures."""
    torch.manual_seed(seed)
    wrapper = (RTDETR if "rtdetr" in config else YOLO)(config)
    network = wrapper.model
    kind = type(network)
    arguments = {"data_kpt_shape": [5, 3]} if "pose" in config else {}
    names = dict(enumerate(categories))
    rebuilt = kind(config, ch=3, nc=len(names), verbose=False, **arguments)
    rebuilt.names, rebuilt.task, rebuilt.args = names, network.task, network.args
    wrapper.model = rebuilt
    batch = torch.cat([canvas(path, (SIZE, SIZE), auto=False, stride=32, stretch=False) for path in pictures])
    settle(rebuilt, batch)
    if wrapper.task != "classify":
        enliven(rebuilt, batch)
    return wrapper


@torch.no_grad()
def settle(network: nn.Module, batch: torch.Tensor) -> None:
    """Take the statistics of every batch norm from the pictures, so that random layers keep their variance."""
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
        norm.momentum = 1.0
    network(batch)
    for norm in norms:
        norm.eval()
        norm.momentum = 0.03


@torch.no_grad()
def enliven(network: nn.Module, batch: torch.Tensor) -> None:
    """Scale the last layers of the heads, level by level, so that scores and boxes spread."""
    head = network.model[-1]
    bins = getattr(head, "reg_max", 1)
    boxes = (0.0, 2.5) if bins > 1 else (3.5, 0.8)
    targets: dict[nn.Module, tuple[float, float]] = {}
    for prefix in ("", "one2one_"):
        targets |= {module[-1]: SCORES for module in getattr(head, f"{prefix}cv3", None) or []}
        targets |= {module[-1]: boxes for module in getattr(head, f"{prefix}cv2", None) or []}
    targets |= dict.fromkeys(getattr(head, "dec_score_head", None) or [], SCORES)
    answers: dict[nn.Module, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda m, _, output: answers.update({m: output})) for layer in targets]
    network(batch)
    for hook in hooks:
        hook.remove()
    for layer, answer in answers.items():
        rescale(layer, answer, *targets[layer])
        if bins > 1 and targets[layer] is boxes:  # near distances are likelier than far ones
            layer.bias -= 0.35 * torch.arange(bins).repeat(4)


def rescale(layer: nn.Module, answer: torch.Tensor, mean: float, deviation: float) -> None:
    """Give each output channel of a layer this mean and standard deviation over the pictures."""
    values = answer.movedim(1 if isinstance(layer, nn.Conv2d) else -1, 0).flatten(1)
    factor = deviation / values.std(dim=1).clamp(min=1e-6)
    layer.weight *= factor.reshape(-1, *[1] * (layer.weight.ndim - 1))
    layer.bias.copy_((layer.bias - values.mean(dim=1)) * factor + mean)


def detect(
    file: str | Path, pictures: Sequence[Path], size: tuple[int, int] = (SIZE, SIZE)
) -> dict[str, list[Detection]]:
    """What Ultralytics finds on the pictures with an exported file."""
    backend = AutoBackend(str(file), device=torch.device("cpu"))
    names, stride = backend.names, int(backend.stride)
    head = str(getattr(backend, "head", "") or "")
    transformer = head == "RTDETRDecoder" or "rtdetr" in str(file)
    dynamic = bool(getattr(backend, "dynamic", False))
    detections = {}
    for picture in pictures:
        auto = dynamic and not transformer
        batch = canvas(picture, size, auto=auto, stride=stride, stretch=transformer)
        with torch.inference_mode():
            answer = backend(batch)
        answer = answer[0] if isinstance(answer, (list, tuple)) else answer
        answer = answer if isinstance(answer, torch.Tensor) else torch.as_tensor(answer)
        height, width = cv2.imread(str(picture)).shape[:2]
        if transformer:
            rows = queries(answer, len(names), height, width)
        else:
            end2end = bool(getattr(backend, "end2end", False)) or answer.shape[-1] == 6 or baked(backend)
            rows = nms.non_max_suppression(
                answer.clone(), 0.001, 0.7, multi_label=True, max_det=300, nc=len(names), end2end=end2end
            )[0]
            rows[:, :4] = ops.scale_boxes(batch.shape[2:], rows[:, :4], (height, width))
        detections[picture.name] = [(*row[:5], names[int(row[5])]) for row in rows.tolist()]
    return detections


def baked(backend: Any) -> bool:
    """Whether the file suppresses by itself."""
    metadata = getattr(backend, "metadata", None) or {}
    return bool((metadata.get("args") or {}).get("nms"))


def queries(answer: torch.Tensor, count: int, height: int, width: int) -> torch.Tensor:
    """RT-DETR's rows, as its predictor reads them: fractions cx, cy, w, h, and a score per category or the best."""
    rows = answer[0]
    boxes = ops.xywh2xyxy(rows[:, :4]) * rows.new_tensor([width, height, width, height])
    if rows.shape[1] == 6:
        rows = torch.cat([boxes, rows[:, 4:]], 1)
    else:
        scores, labels = rows[:, 4:].max(-1, keepdim=True)
        rows = torch.cat([boxes, scores, labels.float()], 1)
    return rows[rows[:, 4] > 0.001]


def calibration(bench: Bench) -> str:
    """A data set of the pictures alone, for the tools that calibrate."""
    folder = bench.out / "calibration"
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    for picture in bench.pictures:
        (folder / "images" / picture.name).write_bytes(picture.read_bytes())
        (folder / "labels" / picture.with_suffix(".txt").name).write_text("0 0.5 0.5 0.4 0.4\n", encoding="utf-8")
    names = "".join(f"  {number}: {name}\n" for number, name in enumerate(CATEGORIES))
    text = f"path: {folder}\ntrain: images\nval: images\nnames:\n{names}"
    (folder / "data.yaml").write_text(text, encoding="utf-8")
    return str(folder / "data.yaml")


def export(bench: Bench, name: str, config: str, what: str, *, refused: str | None = None, **settings: Any) -> None:
    """Build, export, run and keep one artifact."""
    if not bench.wants(name):
        return
    size = settings.pop("imgsz", SIZE)
    categories = settings.pop("categories", CATEGORIES)
    if settings.get("quantize") in (8, "w8a16"):
        settings["data"] = calibration(bench)
    with bench.artifact(name):
        wrapper = build(config, bench.pictures, categories)
        file = wrapper.export(imgsz=size, device="cpu", verbose=False, **settings)
        sides = (size, size) if isinstance(size, int) else tuple(size)
        found = {} if refused else detect(file, bench.pictures, sides)
        bench.keep(name, Path(file).name, what, found, refused=refused)
        print(f"{name}: {spread(found)}" if found else f"{name}: nothing to find", flush=True)


HEADS = {
    "yolov5u": "yolov5n.yaml",
    "yolov8": "yolov8n.yaml",
    "yolov9": "yolov9t.yaml",
    "yolov10": "yolov10n.yaml",
    "yolo11": "yolo11n.yaml",
    "yolo12": "yolo12n.yaml",
    "yolo26": "yolo26n.yaml",
}


def main() -> None:
    """Make every artifact that is not there yet."""
    bench = Bench("ultralytics", "Ultralytics", ultralytics.__version__)
    for name, config in HEADS.items():
        export(bench, f"{name}-onnx", config, f"{name}, ONNX", format="onnx")
    export(bench, "yolo26-end2end-onnx", "yolo26n.yaml", "YOLO26, its end-to-end head, ONNX", format="onnx", nms=False)
    bench.close()


if __name__ == "__main__":
    main()
