"""RF-DETR's own package: its own ONNX export, with and without masks, of COCO's categories and of a few.

Built without weights; detections are those of onnxruntime on the exported file with the package's own `PostProcess`.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import onnxruntime
import rfdetr
import torch
import torchvision.transforms.functional as tv
from bench import CATEGORIES, Bench, Detection, spread
from PIL import Image
from rfdetr.models.lwdetr import PostProcess
from rfdetr.util.coco_classes import COCO_CLASSES
from torch import nn

os.environ["HF_HUB_OFFLINE"] = "1"
SIDE = 192
"""Pixels of a side of the input; the smallest that the windows divide."""

FEW = {number: name for number, name in enumerate(CATEGORIES)}


def build(kind: str, classes: int, names: dict[int, str], pictures: list[Image.Image]) -> Any:
    """A detector without weights, whose scores spread; columns without a name have none, as in a trained one."""
    torch.manual_seed(0)
    small = {"resolution": SIDE, "positional_encoding_size": SIDE // 16, "num_queries": 300, "num_select": 300}
    if "Seg" in kind:
        small |= {"resolution": SIDE, "positional_encoding_size": SIDE // 12}
    wrapper = getattr(rfdetr, kind)(pretrain_weights=None, num_classes=classes, device="cpu", **small)
    network = wrapper.model.model.eval()
    for name, parameter in network.named_parameters():
        if "refpoint" in name:
            nn.init.uniform_(parameter, 0.2, 0.8)  # its last two are multiplied into the sides
        elif "query_feat" in name:
            nn.init.normal_(parameter)
        elif name.endswith("bbox_embed.layers.2.weight"):
            nn.init.xavier_uniform_(parameter, 0.3)
    with torch.no_grad():
        logits = torch.cat([network(prepared(picture))["pred_logits"][0] for picture in pictures])
        head = network.class_embed
        gain = 1.5 / logits.std(0).clamp_min(1e-6)
        head.weight.mul_(gain[:, None])
        head.bias.copy_((head.bias - logits.mean(0)) * gain - 4.0)
        head.bias[[number for number in range(classes + 1) if number not in names]] = -20.0
    return wrapper


def prepared(picture: Image.Image) -> torch.Tensor:
    """The network's input, as the package's `predict` makes it: normalised, then resized."""
    tensor = tv.normalize(tv.to_tensor(picture), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return tv.resize(tensor, [SIDE, SIDE])[None]


def detections(file: str, pictures: dict[str, Image.Image], names: dict[int, str]) -> dict[str, list[Detection]]:
    """What onnxruntime and the package's own post-processing find."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    found: dict[str, list[Detection]] = {}
    for key, picture in pictures.items():
        boxes, logits = session.run(["dets", "labels"], {"input": prepared(picture).numpy()})
        outputs = {"pred_boxes": torch.from_numpy(boxes).float(), "pred_logits": torch.from_numpy(logits).float()}
        result = PostProcess(300)(outputs, torch.tensor([picture.size[::-1]]))[0]
        limits = torch.tensor([*picture.size, *picture.size])
        boxes = result["boxes"].clamp(min=torch.zeros(4), max=limits).tolist()
        rows = zip(boxes, result["scores"].tolist(), result["labels"].tolist(), strict=True)
        found[key] = [(*box, score, names[label]) for box, score, label in rows if label in names]
    return found


def main() -> None:
    """Make every export."""
    bench = Bench("rfdetr", "rfdetr", "1.5.2")
    pictures = {path.name: Image.open(path).convert("RGB") for path in bench.pictures}
    for name, kind, classes, names in (
        ("rfdetr-nano-onnx", "RFDETRNano", 90, COCO_CLASSES),
        ("rfdetr-nano-few-onnx", "RFDETRNano", len(CATEGORIES) - 1, FEW),
        ("rfdetr-seg-nano-onnx", "RFDETRSegNano", len(CATEGORIES) - 1, FEW),
    ):
        if not bench.wants(name):
            continue
        listed = [names.get(number, "N/A") for number in range(classes + 1)]
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        sidecar: dict[str, Any] = {
            "name": name,
            "detector": {"name": kind},
            "categories": listed,
            "input": {
                "resize": "stretch",
                "size": [SIDE, SIDE],
                "antialias": "torch",
                "resize_dtype": "float32",
                "mean": mean,
                "std": std,
            },
            "output": {
                "kind": "described",
                "boxes": {"output": "dets", "form": "cxcywh", "unit": "fractions"},
                "scores": {"output": "labels", "activation": "sigmoid"},
                "score_threshold": 0.0,
                "max_detections": 300,
            },
        }
        with bench.artifact(name) as folder:
            wrapper = build(kind, classes, names, list(pictures.values()))
            wrapper.export(output_dir="export", verbose=False)
            (file,) = Path("export").glob("*.onnx")
            shutil.move(file, folder / file.name)
            found = detections(file.name, pictures, names)
            bench.keep(name, file.name, f"{kind}, its own export: {spread(found)}", found, sidecar=sidecar)
    bench.close()


if __name__ == "__main__":
    main()
