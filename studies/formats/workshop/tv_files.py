"""torchvision's detectors as people keep them: state dicts, checkpoints, pruned masks, TorchScript, ONNX and .pt2.

The networks have random weights; detections are those of torchvision itself, or of onnxruntime on the exported graph.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tiny_nets as tiny
import torch
import torchvision
from bench import CATEGORIES, Bench, Detection, spread
from torch import nn
from torch.nn.utils import prune
from torchvision.models import get_model
from torchvision.models.detection import SSD300_VGG16_Weights

COCO = SSD300_VGG16_Weights.COCO_V1.meta["categories"]
"""91 names, the first of them the background's."""

FEW = ["__background__", *CATEGORIES]
SIZE = 160


class Shop(Bench):
    """The pictures, and the networks that were made already."""

    def __init__(self, family: str = "torchvision") -> None:
        super().__init__(family, "torchvision", torchvision.__version__)
        self.images = {path.name: tiny.read(path) for path in self.pictures}
        self.tensors = {name: tiny.unit(image)[0] for name, image in self.images.items()}
        self._made: dict[tuple[str, int], Any] = {}

    def detector(self, name: str, classes: int) -> Any:
        """A detector of torchvision in evaluation mode, whose scores spread."""
        if (name, classes) not in self._made:
            torch.manual_seed(0)
            arguments = {"weights": None, "weights_backbone": None, "num_classes": classes}
            model = get_model(name, **arguments).eval()
            settle(model, [tensor[:, ::3, ::3] for tensor in list(self.tensors.values())[:2]])
            self._made[name, classes] = model
        return self._made[name, classes]

    def put(
        self,
        name: str,
        file: str,
        what: str,
        model: Any,
        names: Sequence[str] = COCO,
        few: int = 2,
        sidecar: dict[str, Any] | None = None,
    ) -> None:
        """Keep an artifact with what `model` (from [3 x H x W] to torchvision's dictionary) finds on `few` pictures."""
        detections = {}
        for picture in list(self.tensors)[:few]:
            with torch.inference_mode():
                detections[picture] = rows(model([self.tensors[picture]]), names)
        if names is not COCO and sidecar is None:
            sidecar = {"name": name, "detector": {"name": name}, "categories": list(names[1:])}
        self.keep(name, file, f"{what}: {spread(detections)}", detections, sidecar=sidecar)


def rows(answer: Any, names: Sequence[str]) -> list[Detection]:
    """Detections of torchvision's dictionary, as the matrix reads them."""
    found = answer[1] if isinstance(answer, tuple) else answer
    boxes, scores, labels = (found[0][key].float().tolist() for key in ("boxes", "scores", "labels"))
    named = zip(boxes, scores, [names[int(label)] for label in labels], strict=True)
    return [(*box, score, name) for box, score, name in named if name not in ("__background__", "N/A")]


@torch.no_grad()
def settle(model: Any, pictures: Iterable[torch.Tensor]) -> None:
    """Take the statistics of batch norms from small pictures, and scale the class head so that scores spread."""
    pictures = list(pictures)
    sizes = model.transform.min_size, model.transform.fixed_size
    model.transform.min_size = (200,)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    model(pictures)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        norm.eval()
    spread_heads(model, class_heads(model), pictures)
    model.transform.min_size, model.transform.fixed_size = sizes


def class_heads(model: Any) -> list[nn.Module]:
    """The last layers for categories: one, or one for each level."""
    if hasattr(model, "roi_heads"):
        return [model.roi_heads.box_predictor.cls_score]
    head = model.head.classification_head
    if not hasattr(head, "module_list"):
        return [head.cls_logits]
    return [part if isinstance(part, nn.Conv2d) else part[-1] for part in head.module_list]


def spread_heads(model: Any, heads: Sequence[Any], pictures: Any) -> None:
    """Give the logits of each head deviation 1.5 and a low mean; each anchor's first, the background, a high one."""
    seen: dict[Any, list[torch.Tensor]] = {head: [] for head in heads}
    hooks = [head.register_forward_hook(lambda at, _, output: seen[at].append(output)) for head in heads]
    model(pictures)
    for hook in hooks:
        hook.remove()
    softmax = hasattr(model, "roi_heads") or hasattr(model.head.classification_head, "module_list")
    classes = getattr(model.head.classification_head, "num_columns", None) if hasattr(model, "head") else None
    for head, outputs in seen.items():
        values = torch.cat([value.movedim(1, -1).flatten(0, -2) for value in outputs])
        gain = 1.5 / values.std(0).clamp_min(1e-6)
        head.weight.mul_(gain.reshape((-1,) + (1,) * (head.weight.ndim - 1)))
        head.bias.copy_((head.bias - values.mean(0)) * gain)
        if softmax:
            head.bias.reshape(-1, classes or len(head.bias))[:, 0] += 5.0
        else:
            head.bias.sub_(6.0)


def state_dicts(shop: Shop) -> None:
    """What `torch.save(model.state_dict())` writes, and the checkpoints of torchvision's own training script."""
    for name, file, architecture, few in (
        (
            "tv-fasterrcnn-mobile-state-dict",
            "fasterrcnn_mobilenet_v3_large_320_fpn.pth",
            "fasterrcnn_mobilenet_v3_large_320_fpn",
            2,
        ),
        ("tv-ssdlite-state-dict", "ssdlite320.pth", "ssdlite320_mobilenet_v3_large", 2),
        ("tv-ssd300-state-dict", "ssd300.pth", "ssd300_vgg16", 2),
        ("tv-retinanet-state-dict", "retinanet.pth", "retinanet_resnet50_fpn", 1),
        ("tv-fcos-state-dict", "fcos.pth", "fcos_resnet50_fpn", 1),
    ):
        if shop.wants(name):
            with shop.artifact(name):
                model = shop.detector(architecture, 91)
                torch.save(model.state_dict(), file)
                shop.put(name, file, f"{architecture}, torch.save of its state dict", model, few=few)
    lite = "ssdlite320_mobilenet_v3_large"
    if shop.wants(name := "tv-ssdlite-few-state-dict"):
        with shop.artifact(name):
            torch.save(shop.detector(lite, 6).state_dict(), "best.pt")
            shop.put(name, "best.pt", f"{lite} of 5 categories, state dict named .pt", shop.detector(lite, 6), FEW)
    if shop.wants(name := "tv-ssdlite-checkpoint"):
        with shop.artifact(name):
            model = shop.detector(lite, 91)
            optimizer = torch.optim.SGD(model.parameters(), 0.1)
            arguments = argparse.Namespace(model=lite, epochs=26, lr=0.1)
            checkpoint = {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "args": arguments,
                "epoch": 3,
            }
            torch.save(checkpoint, "model_3.pth")
            shop.put(name, "model_3.pth", "checkpoint of torchvision's own train.py, with its arguments", model)
    if shop.wants(name := "tv-ssdlite-few-checkpoint"):
        with shop.artifact(name):
            model = shop.detector(lite, 6)
            torch.save({"model": model.state_dict(), "epoch": 3}, "checkpoint.pth")
            shop.put(name, "checkpoint.pth", "{'model': state dict, 'epoch': 3}, of 5 categories", model, FEW)
    if shop.wants(name := "tv-ssdlite-pruned-masks"):
        with shop.artifact(name):
            torch.manual_seed(0)
            model = get_model(lite, weights=None, weights_backbone=None, num_classes=91).eval()
            model.load_state_dict(shop.detector(lite, 91).state_dict())
            for layer in [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.groups == 1]:
                prune.l1_unstructured(layer, "weight", amount=0.3)
            torch.save(model.state_dict(), "pruned.pth")
            shop.put(name, "pruned.pth", "pruned by torch.nn.utils.prune, masks not removed", model)
    if shop.wants(name := "tv-ssdlite-half-state-dict"):
        with shop.artifact(name):
            model = get_model(lite, weights=None, weights_backbone=None, num_classes=91).eval()
            half = {
                key: value.half() if value.is_floating_point() else value
                for key, value in shop.detector(lite, 91).state_dict().items()
            }
            torch.save(half, "half.pth")
            model.load_state_dict(half)
            shop.put(name, "half.pth", "state dict in half precision", model)


def scripts(shop: Shop) -> None:
    """TorchScript of torchvision's own detectors."""
    for name, architecture in (
        ("tv-ssdlite-torchscript", "ssdlite320_mobilenet_v3_large"),
        ("tv-fasterrcnn-mobile-torchscript", "fasterrcnn_mobilenet_v3_large_320_fpn"),
    ):
        if shop.wants(name):
            with shop.artifact(name):
                scripted = torch.jit.script(shop.detector(architecture, 91))
                scripted.save("model.pt")
                sidecar = {"name": name, "detector": {"name": architecture}, "categories": COCO[1:]}
                shop.put(name, "model.pt", f"{architecture}, torch.jit.script", scripted, sidecar=sidecar)


class Named(nn.Module):
    """A detector whose answer for one picture is a tuple."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes, labels and scores."""
        found = self.model([image])[0]
        return found["boxes"], found["labels"], found["scores"]


def graphs(shop: Shop) -> None:
    """ONNX by the exporter that traces: the picture in its own size goes in."""
    for name, architecture, names in (
        ("tv-ssdlite-onnx", "ssdlite320_mobilenet_v3_large", COCO),
        ("tv-ssdlite-few-onnx", "ssdlite320_mobilenet_v3_large", FEW),
        ("tv-fasterrcnn-mobile-onnx", "fasterrcnn_mobilenet_v3_large_320_fpn", COCO),
    ):
        if not shop.wants(name):
            continue
        with shop.artifact(name):
            model = shop.detector(architecture, len(names))
            image = next(iter(shop.tensors.values()))
            torch.onnx.export(
                Named(model).eval(),
                (image,),
                "model.onnx",
                input_names=["image"],
                output_names=["boxes", "labels", "scores"],
                dynamic_axes={
                    "image": {1: "height", 2: "width"},
                    "boxes": {0: "n"},
                    "labels": {0: "n"},
                    "scores": {0: "n"},
                },
                opset_version=17,
                dynamo=False,
            )
            if names is FEW:
                graph = onnx.load("model.onnx")
                onnx.helper.set_model_props(graph, {"names": json.dumps(dict(enumerate(FEW)))})
                onnx.save(graph, "model.onnx")
            session = onnxruntime.InferenceSession("model.onnx")

            def run(images: list[torch.Tensor], session: Any = session) -> list[dict[str, torch.Tensor]]:
                values = session.run(["boxes", "labels", "scores"], {"image": images[0].numpy()})
                return [
                    {
                        key: torch.from_numpy(value)
                        for key, value in zip(("boxes", "labels", "scores"), values, strict=True)
                    }
                ]

            sidecar = {"name": name, "detector": {"name": architecture}, "categories": list(names[1:])}
            shop.put(name, "model.onnx", f"{architecture}, torch.onnx.export", run, names, sidecar=sidecar)


def tiny_files(shop: Shop) -> None:
    """A tiny detector of its own in torch's formats, quantized, halved, and with labels from 0 and from 1."""
    boxed = [tiny.unit(tiny.letterboxed(image, SIZE)[0]) for image in shop.images.values()]
    torch.manual_seed(14)
    network = tiny.Yolo(boxed).eval()
    letterbox = {"resize": "letterbox", "position": "center", "size": [SIZE, SIZE]}
    raw = {"kind": "yolov8", "score_threshold": tiny.SCORE, "nms_iou": 0.7, "max_detections": 300}
    letterbox["layout"] = "nchw"  # which a traced module does not tell
    facts = {"detector": {"name": "tiny yolo"}, "categories": list(CATEGORIES), "input": letterbox, "output": raw}

    def keep(name: str, file: str, what: str, run: tiny.Run, **more: Any) -> None:
        found = {key: tiny.yolo_rows(run, image, SIZE) for key, image in shop.images.items()}
        shop.keep(name, file, f"{what}: {spread(found)}", found, sidecar={"name": name, **facts, **more})

    if shop.wants(name := "torch-export-pt2"):
        with shop.artifact(name):
            torch.export.save(torch.export.export(network, (boxed[0],)), "model.pt2")
            program = torch.export.load("model.pt2").module()
            keep(name, "model.pt2", "torch.export.save", lambda x: [program(x)])
    if shop.wants(name := "torch-export-bfloat16-pt2"):
        with shop.artifact(name):
            half = Cast(network, torch.bfloat16).eval()
            torch.export.save(torch.export.export(half, (boxed[0],)), "model.pt2")
            program = torch.export.load("model.pt2").module()
            keep(name, "model.pt2", "torch.export.save with weights in bfloat16", lambda x: [program(x)])
    if shop.wants(name := "torchscript-traced"):
        with shop.artifact(name):
            traced = torch.jit.trace(network, boxed[0])
            traced.save("model.torchscript")
            keep(name, "model.torchscript", "torch.jit.trace", lambda x: [traced(x)])
    if shop.wants(name := "torchscript-fp16"):
        with shop.artifact(name):
            traced = torch.jit.trace(half_of(network, boxed), boxed[0].half())
            traced.save("model.pt")
            more = {"input": letterbox | {"dtype": "float16"}}
            keep(name, "model.pt", "torch.jit.trace in half precision", lambda x: [traced(x.half())], **more)
    if shop.wants(name := "torchscript-manifest-inside"):
        with shop.artifact(name):
            traced = torch.jit.trace(network, boxed[0])
            inside = {"name": name, **facts}
            torch.jit.save(traced, "model.pt", _extra_files={"manifest.json": json.dumps(inside)})
            found = {key: tiny.yolo_rows(lambda x: [traced(x)], image, SIZE) for key, image in shop.images.items()}
            shop.keep(name, "model.pt", f"wildbench's manifest as an extra file: {spread(found)}", found)
    onnx_files(shop, network, boxed, keep)


def onnx_files(shop: Shop, network: nn.Module, boxed: list[torch.Tensor], keep: Any) -> None:
    """The tiny detector in ONNX: external data, static QDQ, finished detections with labels from 0 and from 1."""

    def export(file: str, module: nn.Module = network, outputs: Sequence[str] = ("output0",)) -> None:
        torch.onnx.export(
            module,
            (boxed[0],),
            file,
            input_names=["images"],
            output_names=list(outputs),
            dynamo=False,
            opset_version=17,
        )

    if shop.wants(name := "onnx-external-data"):
        with shop.artifact(name):
            export("model.onnx")
            graph = onnx.load("model.onnx")
            onnx.save(graph, "model.onnx", save_as_external_data=True, location="model.onnx.data", size_threshold=0)
            keep(name, "model.onnx", "weights as external data", onnx_run("model.onnx"))
    if shop.wants(name := "onnx-qdq-int8"):
        with shop.artifact(name):
            export("float.onnx")
            quantize("float.onnx", "model.onnx", boxed)
            keep(name, "model.onnx", "static QDQ of its convolutions by onnxruntime", onnx_run("model.onnx"))
    for first in (0, 1):
        if shop.wants(name := f"onnx-finished-labels-from-{first}"):
            with shop.artifact(name):
                export("model.onnx", Finished(network, first).eval(), ("boxes", "labels", "scores"))
                run = onnx_run("model.onnx")
                found = {key: finished_rows(run, image, first) for key, image in shop.images.items()}
                sidecar = {
                    "name": name,
                    "detector": {"name": "tiny yolo"},
                    "categories": list(CATEGORIES),
                    "input": {"resize": "letterbox", "position": "center", "size": [SIZE, SIZE]},
                    "output": {
                        "kind": "described",
                        "boxes": {"output": "boxes"},
                        "scores": {"output": "scores"},
                        "labels": {"output": "labels", "first": first},
                    },
                }
                what = f"boxes, labels from {first}, scores after suppression in the graph: {spread(found)}"
                shop.keep(name, "model.onnx", what, found, sidecar=sidecar)


class Cast(nn.Module):
    """A network that works in another precision, with float32 outside."""

    def __init__(self, inner: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.inner, self.dtype = _copied(inner).to(dtype), dtype

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """What the network answers, as float32."""
        return self.inner(images.to(self.dtype)).float()


class Finished(nn.Module):
    """The best category of each candidate, after non-maximum suppression in the graph."""

    def __init__(self, inner: nn.Module, first: int) -> None:
        super().__init__()
        self.inner, self.first = inner, first

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Boxes, labels and scores."""
        values = self.inner(images)[0].T
        scores, labels = values[:, 4:].max(1)
        boxes = tiny.corners(values[:, :4])
        keep = torchvision.ops.nms(boxes, scores, 0.7)[:100]
        return boxes[keep], labels[keep] + self.first, scores[keep]


def finished_rows(run: tiny.Run, image: np.ndarray, first: int) -> list[Detection]:
    """What a `Finished` finds, in the picture's pixels."""
    canvas, back = tiny.letterboxed(image, SIZE)
    boxes, labels, scores = run(tiny.unit(canvas))
    return tiny.as_rows(back(boxes), scores, labels - first, image.shape[1], image.shape[0])


def _copied(module: nn.Module) -> Any:
    import copy

    return copy.deepcopy(module)


def half_of(network: nn.Module, boxed: list[torch.Tensor]) -> nn.Module:
    """A copy in half precision."""
    return _copied(network).half().eval()


def onnx_run(file: str) -> tiny.Run:
    """A function from the input to the outputs of an ONNX file."""
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: [torch.from_numpy(value) for value in session.run(None, {name: x.numpy()})]


def quantize(source: str, target: str, inputs: list[torch.Tensor]) -> None:
    """Convolutions as int8 between QuantizeLinear and DequantizeLinear, with the pictures for calibration."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    class Readings(CalibrationDataReader):
        def __init__(self) -> None:
            self._left = iter(inputs)

        def get_next(self) -> dict[str, np.ndarray] | None:
            value = next(self._left, None)
            return None if value is None else {"images": value.numpy()}

    quantize_static(
        source, target, Readings(), quant_format=QuantFormat.QDQ, op_types_to_quantize=["Conv"], per_channel=True
    )


def main() -> None:
    """Make every artifact."""
    warnings.simplefilter("ignore")
    shop = Shop()
    state_dicts(shop)
    scripts(shop)
    graphs(shop)
    tiny_files(shop)
    shop.close()


if __name__ == "__main__":
    main()
