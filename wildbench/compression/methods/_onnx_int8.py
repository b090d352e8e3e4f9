"""A quantized detector as an ONNX graph that ONNX Runtime runs in integers.

torch's exporter traces the whole detector with its suppression, and turns what rounds activations into QuantizeLinear
and DequantizeLinear with the same scales. Here weights become int8 with a DequantizeLinear each; ONNX Runtime makes
integer kernels of a layer between the two (https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html).
"""

from __future__ import annotations

import copy
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from wildbench.compression.methods._wiring import watch
from wildbench.compression.subject import Subject, prunable
from wildbench.errors import RecipeError, needs
from wildbench.files import write_atomically
from wildbench.submissions.archive import widest
from wildbench.submissions.codecs import Record, decode
from wildbench.submissions.formats import METADATA_KEY
from wildbench.submissions.manifest import Manifest, parse_manifest

with needs("onnx"):
    import onnx
    import onnxruntime
    from onnx import helper, numpy_helper

MOST = 100
"""Boxes per image that are compared: those of highest score."""

LEAST_IOU = 0.9
"""Of two boxes that count as the same."""

OPSET = 17

ANSWERS = ("boxes", "labels", "scores", "masks")

IMAGE = (3, 240, 320)
"""Shape of the image that is traced; height and width stay free."""

PREFIX = "detector."

Answer = dict[str, Tensor]


@dataclass(frozen=True)
class Agreement:
    """How many of a detector's best boxes on some images another one finds, with the same label and a similar box.

    `apart` is the median absolute difference of the matched scores; None without any.
    """

    images: int
    boxes: int
    matched: int
    apart: float | None

    def __str__(self) -> str:
        difference = "" if self.apart is None else f", median difference of scores {self.apart:.4f}"
        return (
            f"ONNX graph beside the detector on {self.images} calibration images: {self.matched} of {self.boxes} boxes "
            f"found again (same label, IoU {LEAST_IOU}){difference}"
        )


@torch.no_grad()
def measure(model: nn.Module, graph: bytes, images: Sequence[Tensor]) -> Agreement:
    """Run a graph beside the detector it was made of, on images `[3, H, W]`, float32, 0 to 1."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    pairs = []
    for image in images:
        boxes, labels, scores = map(torch.from_numpy, session.run(None, {"image": image.numpy()})[:3])
        pairs.append((model([image])[0], {"boxes": boxes, "labels": labels, "scores": scores}))
    return compare(pairs)


def compare(pairs: Sequence[tuple[Answer, Answer]]) -> Agreement:
    """Find the boxes of each first answer in the second."""
    differences: list[float] = []
    boxes = 0
    for first, second in pairs:
        best = first["scores"].topk(min(MOST, len(first["scores"]))).indices
        boxes += len(best)
        if not len(second["scores"]):
            continue
        overlap = box_iou(first["boxes"][best], second["boxes"]).nan_to_num()
        overlap[first["labels"][best][:, None] != second["labels"]] = 0
        most, there = overlap.max(1)
        apart = (first["scores"][best] - second["scores"][there]).abs()
        differences += apart[most >= LEAST_IOU].tolist()
    median = torch.tensor(differences).quantile(0.5).item() if differences else None
    return Agreement(len(pairs), boxes, len(differences), median)


class _Whole(nn.Module):
    """A detector that takes one image and answers with a tuple."""

    def __init__(self, detector: nn.Module) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Boxes, labels, scores and perhaps masks of a 3 x H x W image."""
        answer = self.detector([image])[0]
        return tuple(answer[key] for key in ANSWERS if key in answer)


def export(subject: Subject, path: Path, manifest: Manifest) -> Manifest:
    """Write a quantized detector as an ONNX graph.

    Its detections are nearly those of the `.pt` of the same subject: torch multiplies by 1 / scale and sums in floats,
    ONNX Runtime divides and sums in integers, and a tie that is rounded differently may change more later. The
    agreement on calibration images is measured and stated in the manifest's `method`.

    Args:
        subject: After `quantize`, with 8-bit activations; its history gets the agreement.
        path: File to write.
        manifest: That of the `.pt`; the layout of the image and the bits of activations are filled in.

    Returns:
        The manifest in the file.

    Raises:
        RecipeError: The subject is not quantized, or to other widths.
    """
    grids = [grid for one in subject.activations.values() for grid in (one.input, one.output) if grid]
    if not grids or any(grid.bits != 8 for grid in grids):
        remedy = "quantize with activations = 8, or write a .pt"
        raise RecipeError(f"{path.name}: activations do not have 8 bits", code="not-8-bit", remedy=remedy)
    model = traced(subject.model)
    stored = {name: record for name, record in subject.records.items() if record["codec"] == "affine"}
    for name, record in stored.items():
        store_codes(model.graph, name, record)
    whole = {f"{name}.weight" for name in prunable(subject.model, "all")} <= stored.keys()
    document = manifest.model_dump(mode="json")
    document["input"] = {**document["input"], "layout": "chw"}
    subject.history.append(str(measure(subject.model, model.SerializeToString(), subject.images)))
    document["method"] = "; ".join(subject.history)
    document["activation_bits"] = widest(subject.activations) if whole else 32
    written = parse_manifest(document, str(path))
    model.metadata_props.add(key=METADATA_KEY, value=written.to_json())
    write_atomically(path, model.SerializeToString())
    return written


def traced(detector: nn.Module) -> onnx.ModelProto:
    """The graph of a detector, with folded norms merged into biases and weights named as in the state dict."""
    detector = copy.deepcopy(detector).eval().requires_grad_(requires_grad=False)
    image = torch.rand(IMAGE, generator=torch.Generator().manual_seed(0))
    merge_shifts(detector, watch(detector, image).folding())
    answers = list(ANSWERS[: len(_Whole(detector)(image))])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter is deprecated, its successor takes no detector; and it traces
        file = Path(folder) / "detector.onnx"
        ends: dict[str, Any] = {"input_names": ["image"], "output_names": answers}
        free = {"image": {1: "height", 2: "width"}}
        whole = _Whole(detector).eval()
        torch.onnx.export(whole, (image,), file, dynamo=False, opset_version=OPSET, dynamic_axes=free, **ends)
        model = onnx.load_model(file)
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix(PREFIX)
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name.removeprefix(PREFIX) for name in names]
    return model


def merge_shifts(detector: nn.Module, norms: dict[str, str]) -> None:
    """Move the bias of each folded norm into the layer before it, and put an identity with its hooks in its place."""
    for layer_name, norm_name in norms.items():
        layer: Any = detector.get_submodule(layer_name)
        norm: Any = detector.get_submodule(norm_name)
        if bool((norm.weight != 1).any() or (norm.running_mean != 0).any() or (norm.running_var > 1).any()):
            continue
        layer.bias = nn.Parameter(norm.bias if layer.bias is None else norm.bias + layer.bias, requires_grad=False)
        passing = nn.Identity()
        passing._forward_hooks = norm._forward_hooks
        parent, _, child = norm_name.rpartition(".")
        setattr(detector.get_submodule(parent), child, passing)


def store_codes(graph: onnx.GraphProto, name: str, record: Record) -> None:
    """Replace a weight by its codes in int8 and a DequantizeLinear node; RecipeError without such a weight."""
    place = next((at for at, tensor in enumerate(graph.initializer) if tensor.name == name), None)
    if place is None:
        raise RecipeError(f"{name}: torch's exporter changed this weight", code="export", remedy="write a .pt")
    axis, scale = record["axis"], record["scale"].numpy()
    sides = [-1 if side == axis else 1 for side in range(len(record["shape"]))]
    codes = np.rint(decode(record, name).numpy() / scale.reshape(sides)).astype(np.int8)
    graph.initializer[place].CopyFrom(numpy_helper.from_array(codes, name))
    graph.initializer.append(numpy_helper.from_array(scale, f"{name}:scale"))
    graph.initializer.append(numpy_helper.from_array(np.zeros(len(scale), np.int8), f"{name}:zero_point"))
    for node in graph.node:
        for at, entering in enumerate(node.input):
            if entering == name:
                node.input[at] = f"{name}:float"
    inputs = [name, f"{name}:scale", f"{name}:zero_point"]
    graph.node.insert(0, helper.make_node("DequantizeLinear", inputs, [f"{name}:float"], name=name, axis=axis))
