"""Tiny graphs of OpenVINO and LiteRT, written with the runtimes' own means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import openvino
from ai_edge_litert import schema_py_generated as schema
from openvino import opset13

from wildbench.submissions.manifest import manifest_path

TYPES = {name.lower(): code for name, code in vars(schema.TensorType).items() if isinstance(code, int)}


@dataclass
class Lite:
    """A LiteRT graph in the making; tensors are known by their positions."""

    tensors: list[Any] = field(default_factory=list)
    buffers: list[Any] = field(default_factory=lambda: [schema.BufferT()])
    codes: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    metadata: dict[str, bytes] = field(default_factory=dict)

    def tensor(
        self,
        name: str,
        shape: Sequence[int],
        dtype: str = "float32",
        data: np.ndarray | bytes | None = None,
        scale: Sequence[float] = (),
        zero: Sequence[int] = (),
        axis: int = 0,
    ) -> int:
        """One tensor; a side of -1 is free."""
        one = schema.TensorT()
        one.name, one.type = name, TYPES[dtype]
        one.shape = [max(1, side) for side in shape]
        one.shapeSignature = list(shape) if -1 in shape else None
        if data is not None:
            one.buffer = self._buffer(data if isinstance(data, bytes) else np.ascontiguousarray(data).tobytes())
        if scale:
            one.quantization = schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = list(scale), list(zero or [0] * len(scale))
            one.quantization.quantizedDimension = axis
        self.tensors.append(one)
        return len(self.tensors) - 1

    def stored(self, name: str, values: np.ndarray, **quantization: Any) -> int:
        """A constant."""
        return self.tensor(name, values.shape, values.dtype.name, values, **quantization)

    def operator(
        self, kind: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None, custom: str = ""
    ) -> None:
        """One operator, with options such as `schema.Conv2DOptionsT()`."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version, code.customCode = min(code.builtinCode, 127), 1, custom or None
        one = schema.OperatorT()
        one.opcodeIndex, one.inputs, one.outputs = len(self.codes), list(inputs), list(outputs)
        if options is not None:
            one.builtinOptions = options
            one.builtinOptionsType = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
        self.codes.append(code)
        self.operators.append(one)

    def write(self, path: Path, inputs: Sequence[int], outputs: Sequence[int]) -> Path:
        """The file."""
        graph = schema.SubGraphT()
        graph.tensors, graph.operators = self.tensors, self.operators
        graph.inputs, graph.outputs, graph.name = list(inputs), list(outputs), "main"
        model = schema.ModelT()
        model.version, model.description = 3, "tiny"
        model.metadata = [self._entry(name, data) for name, data in self.metadata.items()]
        model.subgraphs, model.operatorCodes, model.buffers = [graph], self.codes, self.buffers
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path

    def _entry(self, name: str, data: bytes) -> Any:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, self._buffer(data)
        return entry

    def _buffer(self, data: bytes) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data, np.uint8)
        self.buffers.append(buffer)
        return len(self.buffers) - 1


def convolution(stride: int = 1) -> Any:
    """Options of a convolution without padding."""
    options = schema.Conv2DOptionsT()
    options.padding, options.strideW, options.strideH = schema.Padding.VALID, stride, stride
    options.dilationWFactor = options.dilationHFactor = 1
    return options


def mean_lite(path: Path, document: str) -> Path:
    """One box in every image, whose score is the image's mean; with its manifest beside it."""
    lite = Lite()
    image = lite.tensor("image", [1, 3, -1, -1])
    axes = lite.stored("axes", np.array([1, 2, 3], np.int32))
    score = lite.tensor("scores", [1])
    lite.operator("MEAN", [image, axes], [score], schema.ReducerOptionsT())
    boxes = lite.stored("boxes", np.array([[1, 2, 30, 20]], np.float32))
    labels = lite.stored("labels", np.array([2], np.int64))
    lite.write(path, [image], [boxes, labels, score])
    manifest_path(path).write_text(document)
    return path


def write_ir(path: Path, outputs: dict[str, Any], *inputs: Any, compress: bool = False, **rt_info: Any) -> Path:
    """A graph with named outputs; entries of `rt_info` have two underscores where the path has a slash."""
    for name, node in outputs.items():
        node.output(0).set_names({name})
    model = openvino.Model(list(outputs.values()), list(inputs), "tiny")
    for key, value in rt_info.items():
        model.set_rt_info(value, key.split("__"))
    if compress:
        openvino.save_model(model, path, compress_to_fp16=True)
    else:
        openvino.serialize(model, path)
    return path


def image_parameter(*shape: int, dtype: Any = np.float32) -> Any:
    """An input that is called `image`."""
    parameter = opset13.parameter(list(shape), dtype, name="image")
    parameter.output(0).set_names({"image"})
    return parameter


def mean_ir(path: Path, document: str) -> Path:
    """One box in every image, whose score is the image's mean; with its manifest beside it."""
    image = image_parameter(1, 3, -1, -1)
    score = opset13.reduce_mean(image, np.array([1, 2, 3]), keep_dims=False)
    boxes = opset13.multiply(opset13.constant(np.array([[1, 2, 30, 20]], np.float32)), opset13.constant(np.float32(1)))
    labels = opset13.constant(np.array([2]))
    write_ir(path, {"boxes": boxes, "labels": labels, "scores": score}, image)
    manifest_path(path).write_text(document)
    return path


def write_ncnn(path: Path, layers: Sequence[str], *weights: np.ndarray | int) -> Path:
    """A `.param` of these lines, and a `.bin` of these arrays; a number stands for the four bytes before weights."""
    blobs = sum(int(line.split()[3]) for line in layers)
    path.write_text("\n".join(["7767517", f"{len(layers)} {blobs}", *layers]) + "\n")
    parts = [np.asarray(part, "<u4").tobytes() if isinstance(part, int) else part.tobytes() for part in weights]
    path.with_suffix(".bin").write_bytes(b"".join(part + bytes(-len(part) % 4) for part in parts))
    return path


def mean_ncnn(path: Path, document: str) -> Path:
    """One box in every image, whose score is the image's mean; with its manifest beside it."""
    lines = [
        "Input image 0 1 image",
        "Reduction mean 1 1 image scores 0=3 1=1 4=0",
        "MemoryData boxes 0 1 boxes 0=4 1=1",
        "MemoryData labels 0 1 labels 0=1",
    ]
    write_ncnn(path, lines, np.array([1, 2, 30, 20], np.float32), np.array([2], np.float32))
    manifest_path(path).write_text(document)
    return path
