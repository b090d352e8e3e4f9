"""Exports of transformers' detectors: Optimum's ONNX folders, halved, quantized, as OpenVINO, and the authors' own.

Detections are those of onnxruntime or OpenVINO on the exported file, with the family's own processor.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import optimum.version
import torch
import torchvision
import transformers
from bench import CATEGORIES, Bench, Detection, spread
from hf_networks import FOLDERS, build, clipped, detections_of, prepare
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quant_pre_process,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers.float16 import convert_float_to_float16
from optimum.exporters.onnx import main_export
from PIL import Image
from torch import nn

OPTIMUM = ("detr", "table_transformer", "yolos", "rt_detr", "rt_detr_v2", "d_fine")
"""What Optimum exports itself; the others are exported as it would, with its names of inputs and outputs."""

BY_TORCH = ("conditional_detr", "dab_detr", "deformable_detr")


class Pair(nn.Module):
    """A network that answers with its logits and boxes alone."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixel_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits and boxes."""
        answer = self.model(pixel_values=pixel_values)
        return answer.logits, answer.pred_boxes


class Deployed(nn.Module):
    """RT-DETR's and D-FINE's own deployment: labels, boxes and scores from the picture and its original size."""

    def __init__(self, model: nn.Module, queries: int) -> None:
        super().__init__()
        self.pair, self.queries = Pair(model), queries

    def forward(self, images: torch.Tensor, orig_target_sizes: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Labels, boxes and scores, as the authors' `RTDETRPostProcessor`: sizes are width and height."""
        logits, boxes = self.pair(images)
        corners = torchvision.ops.box_convert(boxes, in_fmt="cxcywh", out_fmt="xyxy")
        corners = corners * orig_target_sizes.repeat(1, 2).unsqueeze(1)
        scores, index = torch.topk(logits.sigmoid().flatten(1), self.queries, dim=-1)
        labels = index - index // logits.shape[-1] * logits.shape[-1]
        index = index // logits.shape[-1]
        return labels, corners.gather(1, index.unsqueeze(-1).repeat(1, 1, 4)), scores


class Readings(CalibrationDataReader):
    """The pictures, for calibration."""

    def __init__(self, inputs: list[dict[str, np.ndarray]]) -> None:
        self._inputs = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next."""
        return next(self._inputs, None)


def main() -> None:
    """Make every export."""
    bench = Bench("optimum", "optimum-onnx", optimum.version.__version__)
    pictures = {path.name: Image.open(path).convert("RGB") for path in bench.pictures}
    for family in OPTIMUM + BY_TORCH:
        export(bench, family, pictures)
    for family in ("rt_detr", "d_fine"):
        deployed(bench, family, pictures)
    bench.close()


def export(bench: Bench, family: str, pictures: dict[str, Image.Image]) -> None:
    """One family's folder, and those made from it."""
    dashed = family.replace("_", "-")
    name = f"optimum-{dashed}" if family in OPTIMUM else f"torch-onnx-{dashed}"
    variants = {f"{name}-{label}": make for label, make in VARIANTS.get(family, {}).items()}
    if not any(map(bench.wants, [name, *variants])):
        return
    with bench.artifact(name) as folder:
        model, processor = build(FOLDERS[family], pictures.values())
        if family in OPTIMUM:
            model.save_pretrained("saved")
            processor.save_pretrained("saved")
            main_export("saved", folder, task="object-detection", library_name="transformers", do_validation=False)
            shutil.rmtree("saved")
        else:
            model.config.save_pretrained(folder)
            processor.save_pretrained(folder)
            axes = {0: "batch_size", 2: "height", 3: "width"}
            torch.onnx.export(
                Pair(model).eval(),
                (prepare(processor, next(iter(pictures.values())))["pixel_values"],),
                "model.onnx",
                input_names=["pixel_values"],
                output_names=["logits", "pred_boxes"],
                dynamic_axes={"pixel_values": axes, "logits": {0: "batch_size"}, "pred_boxes": {0: "batch_size"}},
                opset_version=17,
                dynamo=False,
            )
        what = f"{type(model).__name__}, {'by Optimum' if family in OPTIMUM else 'torch.onnx.export'}"
        keep(bench, name, processor, pictures, what, ".")
    for variant, make in variants.items():
        if bench.wants(variant):
            with bench.artifact(variant) as folder:
                for file in (bench.out / name).iterdir():
                    shutil.copy(file, folder)
                inputs = [prepare(processor, image)["pixel_values"].numpy() for image in pictures.values()]
                what = make(inputs)
                keep(bench, variant, processor, pictures, f"{type(model).__name__}, {what}", ".")


def keep(bench: Bench, name: str, processor: Any, pictures: dict[str, Image.Image], what: str, file: str) -> None:
    """Run the network in the working directory on every picture, and keep it."""
    run = runner()
    detections = {}
    for picture, image in pictures.items():
        logits, boxes = run(prepare(processor, image)["pixel_values"].numpy())
        answer = SimpleNamespace(logits=torch.from_numpy(logits).float(), pred_boxes=torch.from_numpy(boxes).float())
        detections[picture] = detections_of(processor, answer, image)
    bench.keep(name, file, f"{what}: {spread(detections)}", detections)


def runner() -> Any:
    """A function from an input array to logits and boxes: the network in the working directory."""
    if (graph := Path("openvino_model.xml")).exists():
        import openvino

        compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda values: [compiled(values)[name] for name in ("logits", "pred_boxes")]
    (file,) = Path().glob("*.onnx")
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    half = session.get_inputs()[0].type == "tensor(float16)"
    kind = np.float16 if half else np.float32
    return lambda values: session.run(["logits", "pred_boxes"], {"pixel_values": values.astype(kind)})


def halve(inputs: list[np.ndarray], keep_io_types: bool = False) -> str:
    """Half precision, inputs and outputs too unless they are kept."""
    onnx.save(convert_float_to_float16(onnx.load("model.onnx"), keep_io_types=keep_io_types), "model.onnx")
    return "fp16 with fp32 inputs" if keep_io_types else "fp16 throughout"


def dynamic(inputs: list[np.ndarray]) -> str:
    """Weights as int8, activations quantized as they come."""
    quantize_dynamic("model.onnx", "model_quantized.onnx", weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"])
    Path("model.onnx").unlink()
    return "dynamically quantized by onnxruntime"


def static(inputs: list[np.ndarray]) -> str:
    """QDQ, convolutions alone."""
    quant_pre_process("model.onnx", "prepared.onnx", skip_symbolic_shape=True)
    quantize_static(
        "prepared.onnx",
        "model_quantized.onnx",
        Readings([{"pixel_values": values} for values in inputs]),
        quant_format=QuantFormat.QDQ,
        op_types_to_quantize=["Conv"],
        per_channel=True,
    )
    for file in ("model.onnx", "prepared.onnx"):
        Path(file).unlink()
    return "convolutions quantized to int8 by onnxruntime (QDQ)"


def openvino_ir(inputs: list[np.ndarray], half: bool = False) -> str:
    """OpenVINO's IR, named as optimum-intel names it."""
    import openvino

    model = openvino.convert_model("model.onnx")
    openvino.save_model(model, "openvino_model.xml", compress_to_fp16=half)
    Path("model.onnx").unlink()
    return f"as OpenVINO IR {'with weights in fp16' if half else 'in fp32'}"


VARIANTS: dict[str, dict[str, Any]] = {
    "detr": {"fp16": halve, "openvino": openvino_ir},
    "yolos": {"dynamic-int8": dynamic, "openvino-fp16": lambda inputs: openvino_ir(inputs, half=True)},
    "rt_detr": {"fp16-io32": lambda inputs: halve(inputs, keep_io_types=True), "qdq-int8": static},
    "rt_detr_v2": {"openvino": openvino_ir},
    "d_fine": {"dynamic-int8": dynamic},
}
"""By family: what is made of its export, in a folder of its own."""


def deployed(bench: Bench, family: str, pictures: dict[str, Image.Image]) -> None:
    """The authors' own deployment, with a second input; it has no word about the names."""
    name = f"original-{family.replace('_', '-')}"
    if not bench.wants(name):
        return
    with bench.artifact(name):
        model, _ = build(FOLDERS[family], pictures.values())
        size = torch.tensor([[256, 256]])
        torch.onnx.export(
            Deployed(model, 60).eval(),
            (torch.rand(1, 3, 256, 256), size),
            "model.onnx",
            input_names=["images", "orig_target_sizes"],
            output_names=["labels", "boxes", "scores"],
            dynamic_axes={"images": {0: "N"}, "orig_target_sizes": {0: "N"}},
            opset_version=16,
            dynamo=False,
        )
        session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
        detections: dict[str, list[Detection]] = {}
        for picture, image in pictures.items():
            resized = np.asarray(image.resize((256, 256), Image.Resampling.BILINEAR), np.float32) / np.float32(255)
            feeds = {"images": resized.transpose(2, 0, 1)[None], "orig_target_sizes": np.array([image.size], np.int64)}
            labels, boxes, scores = (values[0] for values in session.run(None, feeds))
            rows = zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)
            detections[picture] = clipped([(*box, score, CATEGORIES[label]) for box, score, label in rows], image)
        sidecar = {
            "name": name,
            "detector": {"name": type(model).__name__},
            "categories": list(CATEGORIES),
            "input": {"resize": "stretch", "size": [256, 256], "antialias": "pillow"},
            "output": {
                "kind": "described",
                "boxes": {"output": "boxes", "of": "image"},
                "scores": {"output": "scores"},
                "labels": {"output": "labels", "first": 0},
            },
        }
        what = f"{type(model).__name__} by the authors' own script, with `orig_target_sizes`: {spread(detections)}"
        bench.keep(name, "model.onnx", what, detections, sidecar=sidecar)


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    main()
