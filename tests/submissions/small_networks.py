"""Small real networks for the tests: ONNX graphs and torch modules that behave, and that do not."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from wildbench.submissions.manifest import Manifest

BOXES = np.array([[1, 2, 30, 20], [4, 5, 9, 11]], np.float32)
LABELS = np.array([2, 1], np.int64)
SCORES = np.array([0.75, 0.5], np.float32)


def manifest(**changes: Any) -> Manifest:
    """A manifest of two categories for a network that takes 1 x 3 x H x W."""
    keys = {"name": "tiny", "detector": {"name": "tiny"}, "categories": ["zebra", "lion"]}
    keys |= {"input": {"layout": "nchw", "dtype": "float32"}}
    return Manifest.model_validate(keys | changes)


def write_onnx(
    path: Path, nodes: list[Any], outputs: dict[str, Any], weights: dict[str, np.ndarray], **model: Any
) -> Path:
    """A graph with one input `image` [1, 3, h, w]; outputs by name, of the element types given."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "h", "w"])
    graph = helper.make_graph(
        nodes,
        "tiny",
        [image],
        [helper.make_tensor_value_info(name, kind, None) for name, kind in outputs.items()],
        [numpy_helper.from_array(np.asarray(values), name) for name, values in weights.items()],
    )
    model.setdefault("opset_imports", [helper.make_opsetid("", 17)])
    onnx.save_model(helper.make_model(graph, ir_version=8, **model), path)
    return path


def constant_detector(path: Path, boxes: Any = BOXES, labels: Any = LABELS, scores: Any = SCORES) -> Path:
    """A graph that answers every image with the same detections; written with its manifest beside it."""
    weights = {"b": np.asarray(boxes), "l": np.asarray(labels), "s": np.asarray(scores)}
    names = dict(zip(weights, ("boxes", "labels", "scores"), strict=True))
    nodes = [helper.make_node("Identity", [name], [output]) for name, output in names.items()]
    kinds = {output: helper.np_dtype_to_tensor_dtype(weights[name].dtype) for name, output in names.items()}
    write_onnx(path, nodes, kinds, weights)
    return beside(path)


def as_ort(graph: Path, path: Path) -> Path:
    """The same network in ONNX Runtime's own format, with its manifest beside it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC  # more is for one processor
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return beside(path)


def stored(path: Path) -> int:
    """Bytes of a file and of the manifest beside it."""
    return path.stat().st_size + path.with_suffix(".manifest.json").stat().st_size


def beside(path: Path, **changes: Any) -> Path:
    """Put a manifest beside a file."""
    path.with_suffix(".manifest.json").write_text(manifest(**changes).to_json())
    return path


def endless_detector(path: Path) -> Path:
    """A graph that counts to 2^62 before it answers."""
    tensor = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Add", ["x", "one"], ["y"])],
        "body",
        [tensor("i", TensorProto.INT64, []), tensor("go", TensorProto.BOOL, []), tensor("x", TensorProto.FLOAT, [1])],
        [tensor("on", TensorProto.BOOL, []), tensor("y", TensorProto.FLOAT, [1])],
    )
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("Reshape", ["mean", "flat"], ["start"]),
        helper.make_node("Loop", ["count", "always", "start"], ["scores"], body=body),
    ]
    weights = {
        "one": np.ones(1, np.float32),
        "flat": np.array([1]),
        "count": np.array(2**62),
        "always": np.array(True),
    }
    write_onnx(path, nodes, {"scores": TensorProto.FLOAT}, weights)
    return beside(path)


def greedy_detector(path: Path, elements: int) -> Path:
    """A graph that fills so many floats before it answers."""
    nodes = [
        helper.make_node("ReduceMean", ["image"], ["mean"], keepdims=0),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Add", ["zeros", "mean"], ["scores"]),
    ]
    write_onnx(path, nodes, {"scores": TensorProto.FLOAT}, {"shape": np.array([elements])})
    return beside(path)


class MeanDetector(nn.Module):
    """One box in every image, whose score is the image's mean; has two parameters and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)
        nn.init.constant_(self.head.weight, 1.0)
        nn.init.constant_(self.head.bias, 0.0)
        self.register_buffer("box", torch.tensor([[1.0, 2.0, 30.0, 20.0]]))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        score = self.head(image.mean().reshape(1, 1)).reshape(1)
        return self.box + 0.0, torch.ones(1, dtype=torch.int64), score


class NoisyDetector(MeanDetector):
    """Prints while it works."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        for line in range(2000):
            print("loading weights, please wait", line)  # noqa: T201
        score = self.head(image.mean().reshape(1, 1)).reshape(1)
        return self.box + 0.0, torch.ones(1, dtype=torch.int64), score


class RaisingDetector(MeanDetector):
    """Raises on every image."""

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        if image.numel() > 0:
            raise ValueError("the anchors do not fit")
        return image, image, image


def write_torchscript(path: Path, module: nn.Module, document: Manifest | None = None) -> Path:
    """A scripted module with its manifest inside."""
    with warnings.catch_warnings(action="ignore", category=FutureWarning):  # TorchScript is deprecated, and in use
        script = torch.jit.script(module.eval())
        torch.jit.save(script, path, _extra_files={"manifest.json": document.to_json()} if document else {})
    return path


def write_export(path: Path, module: nn.Module, document: Manifest | None = None) -> Path:
    """A torch.export archive for images of 24 x 40 with its manifest inside."""
    program = torch.export.export(module.eval(), (torch.rand(1, 3, 24, 40),))
    torch.export.save(program, path, extra_files={"manifest.json": document.to_json()} if document else None)
    return path
