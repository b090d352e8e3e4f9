"""LiteRT (TensorFlow Lite) graphs: read as data without the runtime, and run by its interpreter."""

from __future__ import annotations

import ast
import io
import zipfile
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import needs
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats._format import (
    Format,
    Inputs,
    Listing,
    Port,
    Signature,
    Tensor,
    resolve_device,
    width_of,
)
from wildbench.submissions.graphs import LiteGraph, LiteTensor, read_lite
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import DAMAGE, EXPORT_AGAIN, Source

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

MANIFEST_NAME = "wildbench.json"
"""Name of the manifest in the zip that is appended to a graph, where TensorFlow Lite Metadata has its files."""

MOST_TEXT, MOST_FILES = 2**20, 100
"""Bytes of a text in that zip, and files."""

OLD_METADATA = {"meta.txt", "temp_meta.txt"}
"""Files in which YOLOv5 and Ultralytics 8.0 to 8.3 wrote a dictionary in Python's notation."""

OWN_OPERATORS = {"TFLite_Detection_PostProcess", "Convolution2DTransposeBias", "MaxPoolingWithArgmax2D"}
"""Custom operators that the interpreter carries itself."""

HALF, FULL = b"reduced_precision_support", b"reduced_precision_refused"
"""A key of the graph's metadata, by which XNNPACK may calculate in float16 where the processor can."""


class LiteRT(Format):
    """A flatbuffer, with or without a zip behind it."""

    name, suffix, title = "litert", ".tflite", "a LiteRT graph"
    runs_code = False
    extra = "litert"
    libraries = ("ai_edge_litert.interpreter",)
    counter = "wildbench.measures.compute:count_litert"

    def sniff(self, source: Source) -> bool:
        """By the identifier of the schema."""
        return source.data[4:8] == b"TFL3"

    def manifest(self, source: Source) -> bytes | None:
        """The file in the zip behind the graph."""
        return _appended(source).get(MANIFEST_NAME)

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """Put the file into the zip behind the graph; the runtime does not look there."""
        if MANIFEST_NAME in _appended(source):
            raise source.error("has a manifest inside already", code="has-manifest", remedy=EXPORT_AGAIN)
        whole = io.BytesIO(source.data)
        with zipfile.ZipFile(whole, "a") as archive:
            archive.writestr(zipfile.ZipInfo(MANIFEST_NAME), manifest.to_json())
        return whole.getvalue()

    def metadata(self, source: Source) -> dict[str, str]:
        """The texts in the zip behind the graph, by their names; of older YOLO exports key by key, as ONNX has them."""
        texts = {name: data.decode(errors="replace") for name, data in _appended(source).items()}
        texts.pop(MANIFEST_NAME, None)
        for name in OLD_METADATA & texts.keys():
            with suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                texts |= {str(key): str(value) for key, value in dict(ast.literal_eval(texts[name])).items()}
        return texts

    def signature(self, source: Source) -> Signature:
        """Inputs and outputs, by the names of their tensors, as the interpreter has them."""
        graph = source.parsed(read_lite).main
        inputs, outputs = ([_port(graph.tensors[at]) for at in places] for places in (graph.inputs, graph.outputs))
        return Signature(tuple(inputs), tuple(outputs))

    def check(self, source: Source, manifest: Manifest) -> None:
        """Refuse a graph that needs more than the interpreter."""
        for custom in {node.custom for graph in source.parsed(read_lite).graphs for node in graph.nodes}:
            if custom.startswith("Flex"):
                problem, code = f"{custom[4:]} is an operator of TensorFlow, and needs all of it", "flex-operator"
                remedy = "convert it with supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]"
            elif custom == "edgetpu-custom-op":
                problem, code = "compiled for an Edge TPU, which alone can run it", "edge-tpu"
                remedy = "give the .tflite from which edgetpu_compiler made it"
            elif custom and custom not in OWN_OPERATORS:
                problem, code = f"{custom} is a custom operator, and needs a library", "custom-operator"
                remedy = "convert it with LiteRT's own operators"
            else:
                continue
            raise source.error(problem, code=code, remedy=remedy)

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """Stored tensors; integers without a scale (shapes, axes) and booleans count as buffers, unless multiplied."""
        model, behind = source.parsed(read_lite), len(source.data) - _end(source)
        seen: set[int] = set()
        try:
            tensors = [
                _tensor(tensor, seen, at in graph.multiplied)
                for graph in model.graphs
                for at, tensor in enumerate(graph.tensors)
                if tensor.data
            ]
        except ValueError as error:
            raise source.error(f"a stored tensor is damaged ({error})", remedy=EXPORT_AGAIN) from None
        products = sum(len(graph.multiplying) for graph in model.graphs)
        overhead = {"metadata": behind} if behind else {}
        return Listing(tensors, overhead, activation_bits=_activation_bits(model.main), products=products)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> LiteBackend:
        """Open it in the interpreter, with XNNPACK, which calculates in float32 whatever the processor offers."""
        with needs("litert"):
            from ai_edge_litert.interpreter import Interpreter

        resolve_device(device, "LiteRT", lambda _: False)
        content = source.data.replace(HALF, FULL)
        try:
            interpreter = Interpreter(model_content=content, num_threads=threads)
            interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise source.error(f"LiteRT refuses it ({error})", code="cannot-open", remedy=EXPORT_AGAIN) from None
        return LiteBackend(interpreter, source.parsed(read_lite).main, content)


class LiteBackend:
    """A graph in LiteRT's interpreter, on the CPU."""

    device = "cpu"

    def __init__(self, interpreter: Interpreter, graph: LiteGraph, content: bytes) -> None:
        self.interpreter, self.graph, self.content = interpreter, graph, content
        self._inputs, self._outputs = (
            {graph.tensors[at].name: at for at in places} for places in (graph.inputs, graph.outputs)
        )
        self._shapes: dict[int, tuple[int, ...]] = {}

    def run(self, inputs: Inputs) -> Outputs:
        """One pass; integer outputs with a scale become the real numbers that they stand for."""
        shapes = {self._inputs[name]: values.shape for name, values in inputs.items()}
        if shapes != self._shapes:
            for at, shape in shapes.items():
                self.interpreter.resize_tensor_input(at, shape)
            self.interpreter.allocate_tensors()
            self._shapes = shapes
        for name, values in inputs.items():
            self.interpreter.set_tensor(self._inputs[name], values)
        self.interpreter.invoke()
        answers = {
            name: (self.interpreter.get_tensor(at), self.graph.tensors[at]) for name, at in self._outputs.items()
        }
        return {name: _real(values, tensor) for name, (values, tensor) in answers.items()}

    def facts(self) -> dict[str, Any]:
        """What runs: operators that XNNPACK took over, and how many that multiply by weights do so in which type."""
        from ai_edge_litert import __version__

        taken = _delegated(self.interpreter)
        widths = Counter(_arithmetic(self.graph))
        return {
            "device": "cpu",
            "peak_memory": None,
            "runtime": f"LiteRT {__version__}",
            "provider": f"XNNPACK: {taken} of {len(self.graph.nodes)} operators" if taken else "LiteRT's own kernels",
            "precision": dict(widths),
        }


def _real(values: npt.NDArray[np.generic], tensor: LiteTensor) -> npt.NDArray[np.generic]:
    """The numbers that integers with a scale stand for; others as they are."""
    if (quantization := _quantization(tensor)) is None:
        return values
    scale, zero = quantization
    return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale)


def _quantization(tensor: LiteTensor) -> tuple[float, int] | None:
    """Scale and zero point of integers; None of other types, where a scale says nothing."""
    integers = tensor.dtype.startswith(("int", "uint")) and tensor.scales
    return (tensor.scales[0], (*tensor.zero_points, 0)[0]) if integers else None


def _port(tensor: LiteTensor) -> Port:
    return Port(tensor.name, tensor.shape, tensor.dtype, _quantization(tensor))


def _tensor(tensor: LiteTensor, seen: set[int], multiplied: bool) -> Tensor:
    """A stored tensor; `seen` has the buffers of earlier ones."""
    width = width_of(tensor.dtype)
    first = tensor.buffer not in seen
    seen.add(tensor.buffer)
    plain = tensor.dtype in ("int32", "int64", "uint32", "uint64") and not tensor.scales
    return Tensor(
        name=tensor.name,
        shape=tuple(side or 0 for side in tensor.shape),
        dtype=tensor.dtype,
        codec="litert",
        bytes=len(tensor.data) if first else 0,
        nonzero=tensor.nonzero,
        parameter=multiplied or (width is not None and not plain),
        bits=width,
        stored_bits=width,
        extra_bits=32 * len(tensor.scales) + 64 * len(tensor.zero_points),
        layer="constants",
    )


def _activation_bits(graph: LiteGraph) -> dict[str, int]:
    """Bits of what meets each weight, by its name; "" for products of two activations."""
    bits: dict[str, int] = {}
    for node in graph.multiplying:
        weight = graph.weight(node)
        name = "" if weight is None else graph.tensors[weight].name
        bits[name] = max(bits.get(name, 0), graph.activation_bits(node))
    return bits


def _arithmetic(graph: LiteGraph) -> list[str]:
    """The type in which each operator multiplies: that of its activations, which hybrid kernels round to int8."""
    kinds = {8: "int8", 16: "int16"}
    return [kinds.get(graph.activation_bits(node), "float32") for node in graph.multiplying]


def _delegated(interpreter: Interpreter) -> int:
    """How many operators of the file run inside a delegate: those between its inputs and its outputs."""
    nodes = interpreter._get_ops_details()
    makers = {int(at): node for node in nodes if node["op_name"] != "DELEGATE" for at in node["outputs"]}
    inside: set[int] = set()
    for delegate in (node for node in nodes if node["op_name"] == "DELEGATE"):
        border, pending = set(delegate["inputs"]), list(delegate["outputs"])
        while pending:
            at = pending.pop()
            if at not in border and at in makers and makers[at]["index"] not in inside:
                inside.add(makers[at]["index"])
                pending.extend(makers[at]["inputs"])
    return len(inside)


def _end(source: Source) -> int:
    """Where the graph ends and a zip begins."""
    archive = source.parsed(_zip)
    starts = [entry.header_offset for entry in archive.infolist()] if archive else []
    return min(starts, default=len(source.data))


def _zip(source: Source) -> zipfile.ZipFile | None:
    try:
        return zipfile.ZipFile(io.BytesIO(source.data))
    except DAMAGE:
        return None


def _appended(source: Source) -> dict[str, bytes]:
    """The files in the zip behind the graph, by name; larger ones are not text, and left out."""
    archive = source.parsed(_zip)
    entries = [entry for entry in archive.infolist() if entry.file_size <= MOST_TEXT][:MOST_FILES] if archive else []
    try:
        return {entry.filename: archive.read(entry) for entry in entries} if archive else {}
    except DAMAGE as error:
        raise source.error(f"the zip behind the graph is damaged ({error})") from None


FORMAT = LiteRT()
