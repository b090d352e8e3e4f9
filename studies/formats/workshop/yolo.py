"""Ultralytics: its networks of every generation, with random weights, by its own exporter in every format it runs here.

Detections are those of Ultralytics' own backend on the exported file, with its letterbox, its non-maximum suppression
with its validator's settings, and its mapping back to the picture.
"""

from __future__ import annotations

import functools
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

THREADS = torch.get_num_threads()
"""Ultralytics takes one fewer; with another number torch's last digits differ."""

import torchvision  # noqa: F401 - where it is imported Ultralytics suppresses by it, which keeps the order of ties
import ultralytics
from bench import CATEGORIES, Bench, Detection, spread
from lively import SCORES, even_out, features_of, keep_above, rescale, settle
from torch import nn
from ultralytics import RTDETR, YOLO
from ultralytics.data.augment import LetterBox
from ultralytics.nn.autobackend import AutoBackend
from ultralytics.utils import nms, ops

SIZE = 320
"""Pixels of a side of the input."""


def canvas(picture: Path, size: tuple[int, int], *, auto: bool, stride: int, stretch: bool) -> torch.Tensor:
    """The network's input for one picture, 1 x 3 x H x W, as Ultralytics' predictor makes it."""
    image = cv2.imread(str(picture))
    names = LetterBox.__init__.__code__.co_varnames
    fill = {"scale_fill" if "scale_fill" in names else "scaleFill": stretch}
    image = LetterBox(size, auto=auto, stride=stride, **fill)(image=image)
    planes = np.ascontiguousarray(image[..., ::-1].transpose(2, 0, 1))
    return torch.from_numpy(planes)[None].float() / 255


@functools.cache
def build(config: str, pictures: tuple[Path, ...], categories: tuple[str, ...]) -> Any:
    """A network by its configuration, with random weights whose outputs spread on the pictures."""
    torch.manual_seed(0)
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
    if wrapper.task not in ("classify", "semantic"):
        enliven(rebuilt, batch)
    return wrapper


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
    for layer, features in features_of(network, targets, batch).items():
        rescale(layer, features, *targets[layer])
        if targets[layer] is SCORES:
            even_out(layer, features, amount=1.0 if isinstance(layer, nn.Conv2d) else 0.8)
        elif bins > 1:  # near distances are likelier than far ones
            layer.bias -= 0.35 * torch.arange(bins).repeat(4)
        else:  # a side of a negative length makes no box
            keep_above(layer, features, boxes[0], 0.3)


def calculate_in_float32() -> None:
    """Have OpenVINO calculate as the files say: by itself it takes bfloat16 where the processor has it.

    Ultralytics does the same on Windows, for its own reasons.
    """
    import openvino

    class Core(openvino.Core):
        def __init__(self) -> None:
            super().__init__()
            self.set_property("CPU", {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0})

    openvino.Core = Core


def detect(
    file: str | Path, pictures: Sequence[Path], size: tuple[int, int] = (SIZE, SIZE)
) -> dict[str, list[Detection]]:
    """What Ultralytics finds on the pictures with an exported file."""
    backend = AutoBackend(str(file), device=torch.device("cpu"))
    torch.set_num_threads(THREADS)
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
            rows = queries(answer, height, width)
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


def queries(answer: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """RT-DETR's rows, as its predictor reads them: fractions cx, cy, w, h, and a score per category or the best.

    It leaves corners outside the picture; here they are clipped, as those of the other networks are.
    """
    rows = answer[0]
    boxes = ops.xywh2xyxy(rows[:, :4]) * rows.new_tensor([width, height, width, height])
    boxes = ops.clip_boxes(boxes, (height, width))
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


def export(bench: Bench, name: str, head: str, what: str, **settings: Any) -> None:
    """Build, export, run and keep one artifact, unless it is there.

    Args:
        bench: Where to.
        name: Of the artifact.
        head: A network, one of `HEADS`.
        what: It is, besides the network.
        settings: The exporter's; and of ours `names`, the categories, and `refused` and `same_resize`, as `Bench.keep`
            takes them.
    """
    if not bench.wants(name):
        return
    size, refused = settings.pop("imgsz", SIZE), settings.pop("refused", None)
    categories, same_resize = settings.pop("names", CATEGORIES), settings.pop("same_resize", True)
    if settings.get("quantize") in (8, "w8a16") or settings.get("int8"):
        settings["data"] = calibration(bench)
    with bench.artifact(name):
        network = build(HEADS[head], tuple(bench.pictures), categories)
        file = network.export(imgsz=size, device="cpu", verbose=False, **settings)
        sides = (size, size) if isinstance(size, int) else tuple(size)
        finds = {} if refused else detect(file, bench.pictures, sides)
        bench.keep(name, os.path.relpath(file), f"{head}, {what}", finds, same_resize=same_resize, refused=refused)
        print(f"{name}: {spread(finds)}" if finds else f"{name}: nothing to find", flush=True)


HEADS = {
    "yolov5u": "yolov5n.yaml",
    "yolov8": "yolov8n.yaml",
    "yolov9": "yolov9t.yaml",
    "yolov10": "yolov10n.yaml",
    "yolo11": "yolo11n.yaml",
    "yolo12": "yolo12n.yaml",
    "yolo26": "yolo26n.yaml",
    "yolov8-p2": "yolov8n-p2.yaml",
    "yolov8-rtdetr": "yolov8n-rtdetr.yaml",
    "yolo11-seg": "yolo11n-seg.yaml",
    "yolo11-pose": "yolo11n-pose.yaml",
    "yolo26-seg": "yolo26n-seg.yaml",
    "yolo26-pose": "yolo26n-pose.yaml",
    "yolo11-obb": "yolo11n-obb.yaml",
    "yolo11-cls": "yolo11n-cls.yaml",
    "yolo26-sem": "yolo26n-sem.yaml",
}
"""Networks of every generation and task, the smallest of each."""

MEGADETECTOR = ("animal", "person", "vehicle")

ARTIFACTS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    *((f"{name}-onnx", name, "ONNX", {"format": "onnx"}) for name in list(HEADS)[:13]),
    ("yolov10-end2end-onnx", "yolov10", "end-to-end head, ONNX", {"format": "onnx", "nms": False}),
    ("yolo26-end2end-onnx", "yolo26", "end-to-end head, ONNX", {"format": "onnx", "nms": False}),
    ("yolo26-seg-end2end-onnx", "yolo26-seg", "end-to-end head, ONNX", {"format": "onnx", "nms": False}),
    ("yolo26-pose-end2end-onnx", "yolo26-pose", "end-to-end head, ONNX", {"format": "onnx", "nms": False}),
    ("yolo11-dynamic-onnx", "yolo11", "ONNX, dynamic", {"format": "onnx", "dynamic": True}),
    ("yolo26-end2end-dynamic-onnx", "yolo26", "ONNX, dynamic", {"format": "onnx", "dynamic": True, "nms": False}),
    ("yolo11-fp16-onnx", "yolo11", "ONNX, float16", {"format": "onnx", "quantize": 16}),
    ("yolo11-int8-onnx", "yolo11", "ONNX, int8", {"format": "onnx", "quantize": 8}),
    ("yolo11-nms-onnx", "yolo11", "ONNX, nms=True", {"format": "onnx", "nms": True, "conf": 0.01}),
    ("yolo11-seg-nms-onnx", "yolo11-seg", "ONNX, nms=True", {"format": "onnx", "nms": True, "conf": 0.01}),
    ("yolov8-nms-opset12-onnx", "yolov8", "ONNX, nms=True", {"format": "onnx", "nms": True, "conf": 0.01, "opset": 12}),
    ("yolo11-batch8-onnx", "yolo11", "ONNX, batch 8", {"format": "onnx", "batch": 8}),
    (
        "yolov8-opset12-onnx",
        "yolov8",
        "ONNX, opset 12, not simplified",
        {"format": "onnx", "opset": 12, "simplify": False},
    ),
    ("yolo11-oblong-onnx", "yolo11", "ONNX, 224 x 352", {"format": "onnx", "imgsz": (224, 352)}),
    ("yolov8-rtdetr-opset17-onnx", "yolov8-rtdetr", "ONNX, opset 17", {"format": "onnx", "opset": 17}),
    (
        "megadetector-v6-yolov9-onnx",
        "yolov9",
        "MegaDetector v6's categories, ONNX",
        {"format": "onnx", "names": MEGADETECTOR},
    ),
    (
        "megadetector-v6-yolov10-onnx",
        "yolov10",
        "MegaDetector v6's categories, ONNX",
        {"format": "onnx", "names": MEGADETECTOR, "nms": False},
    ),
    (
        "megadetector-v6-rtdetr-onnx",
        "yolov8-rtdetr",
        "MegaDetector v6's categories, ONNX",
        {"format": "onnx", "names": MEGADETECTOR},
    ),
    ("yolov8-torchscript", "yolov8", "TorchScript", {"format": "torchscript"}),
    ("yolo11-torchscript", "yolo11", "TorchScript", {"format": "torchscript"}),
    ("yolo11-dynamic-torchscript", "yolo11", "TorchScript, dynamic", {"format": "torchscript", "dynamic": True}),
    ("yolo11-nms-torchscript", "yolo11", "TorchScript, nms=True", {"format": "torchscript", "nms": True, "conf": 0.01}),
    ("yolo11-seg-torchscript", "yolo11-seg", "TorchScript", {"format": "torchscript"}),
    ("yolo26-torchscript", "yolo26", "TorchScript", {"format": "torchscript"}),
    ("yolo26-end2end-torchscript", "yolo26", "end-to-end head, TorchScript", {"format": "torchscript", "nms": False}),
    ("yolov8-rtdetr-torchscript", "yolov8-rtdetr", "TorchScript", {"format": "torchscript"}),
    ("yolov8-openvino", "yolov8", "OpenVINO", {"format": "openvino"}),
    ("yolo11-openvino", "yolo11", "OpenVINO", {"format": "openvino"}),
    ("yolo11-fp16-openvino", "yolo11", "OpenVINO, float16", {"format": "openvino", "quantize": 16}),
    ("yolo11-int8-openvino", "yolo11", "OpenVINO, int8", {"format": "openvino", "quantize": 8}),
    ("yolo11-dynamic-openvino", "yolo11", "OpenVINO, dynamic", {"format": "openvino", "dynamic": True}),
    ("yolo11-nms-openvino", "yolo11", "OpenVINO, nms=True", {"format": "openvino", "nms": True, "conf": 0.01}),
    ("yolo11-seg-openvino", "yolo11-seg", "OpenVINO", {"format": "openvino"}),
    ("yolo26-end2end-openvino", "yolo26", "end-to-end head, OpenVINO", {"format": "openvino", "nms": False}),
    ("yolov8-rtdetr-openvino", "yolov8-rtdetr", "OpenVINO", {"format": "openvino"}),
    ("yolov8-ncnn", "yolov8", "ncnn", {"format": "ncnn"}),
    ("yolo11-ncnn", "yolo11", "ncnn", {"format": "ncnn"}),
    ("yolo11-fp16-ncnn", "yolo11", "ncnn, float16", {"format": "ncnn", "quantize": 16}),
    ("yolo26-ncnn", "yolo26", "ncnn", {"format": "ncnn"}),
    ("yolo11-executorch", "yolo11", "ExecuTorch", {"format": "executorch"}),
    ("yolo26-executorch", "yolo26", "ExecuTorch", {"format": "executorch"}),
    ("yolo11-obb-onnx", "yolo11-obb", "oriented boxes, ONNX", {"format": "onnx", "refused": "obb"}),
    ("yolo11-cls-onnx", "yolo11-cls", "a classifier, ONNX", {"format": "onnx", "refused": "classif"}),
    ("yolo26-sem-onnx", "yolo26-sem", "semantic segmentation, ONNX", {"format": "onnx", "refused": "semantic"}),
    ("yolo11-mnn", "yolo11", "MNN", {"format": "mnn", "refused": "MNN"}),
    ("yolo11-coreml", "yolo11", "Core ML", {"format": "coreml", "refused": "Core ML"}),
    ("yolo11-paddle", "yolo11", "PaddlePaddle", {"format": "paddle", "refused": "Paddle"}),
)
"""Name, network, what it is, and the exporter's settings."""


def checkpoint(bench: Bench) -> None:
    """A checkpoint as training leaves it: a pickled network."""
    if bench.wants("yolo11-pt"):
        with bench.artifact("yolo11-pt"):
            build(HEADS["yolo11"], tuple(bench.pictures), CATEGORIES).save("best.pt")
            bench.keep("yolo11-pt", "best.pt", "yolo11, a pickled network", refused="Ultralytics")


def main() -> None:
    """Make every artifact that is not there yet."""
    bench = Bench("ultralytics", "Ultralytics", ultralytics.__version__)
    calculate_in_float32()
    for name, head, what, settings in ARTIFACTS:
        export(bench, name, head, what, **settings)
    checkpoint(bench)
    bench.close()


if __name__ == "__main__":
    main()
