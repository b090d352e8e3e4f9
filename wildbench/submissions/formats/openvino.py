"""OpenVINO graphs (IR): read as data from XML and the numbers beside it, run by OpenVINO on the CPU in float32."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

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
from wildbench.submissions.graphs import (
    FACTORS,
    MULTIPLYING,
    IrGraph,
    IrLayer,
    IrModel,
    parse_ir,
    parse_xml,
    stored_values,
    type_name,
)
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    import openvino

READS = "graph that OpenVINO reads", "not-openvino"

KEY = "wildbench"
"""Of the manifest in a graph's free information."""

SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0, "NUM_STREAMS": 1}
"""By itself OpenVINO takes bfloat16 or float16 where the processor has them, and may round what meets integers."""

WEIGHTED = {"Convolution", "Deconvolution", "FullyConnected", "MatMul", "BinaryConvolution", "DeformableConvolution"}
"""Layers of a compiled graph that multiply."""

FEW = {"bfloat16", "float16"}
"""Precisions that nobody asked for."""

WIDE = {"bool", "int16", "int32", "int64", "uint16", "uint32", "uint64", "string"}
"""Types of shapes, axes and choices; weights are floats, or integers of few bits."""


class OpenVino(Format):
    """An `.xml` with its `.bin` beside it, alone or in the folder that an exporter made."""

    name, suffix, title = "openvino", ".xml", "an OpenVINO graph"
    runs_code = False
    extra = "openvino"
    libraries = ("openvino",)
    counter = "wildbench.measures.compute:count_openvino"

    def sniff(self, source: Source) -> bool:
        """An XML document whose root is a net."""
        return b"<net " in source.data[:4096]

    def companions(self, source: Source) -> list[str]:
        """The file with its numbers."""
        return [_weights_name(source)]

    def manifest(self, source: Source) -> str | None:
        """The entry in the graph's free information."""
        return source.parsed(_read).rt_info.get(KEY)

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """Set the entry; an older manifest is replaced."""
        root = parse_xml(source.data)
        info = root.find("rt_info")
        info = ElementTree.SubElement(root, "rt_info") if info is None else info
        for old in info.findall(KEY):
            info.remove(old)
        ElementTree.SubElement(info, KEY, value=manifest.to_json())
        return bytes(ElementTree.tostring(root, "utf-8", xml_declaration=True))

    def metadata(self, source: Source) -> dict[str, str]:
        """The graph's free information, by path: "model_info/labels"."""
        return {key: text for key, text in source.parsed(_read).rt_info.items() if key != KEY}

    def signature(self, source: Source) -> Signature:
        """Inputs and outputs, by the first of their names."""
        graph = source.parsed(_read).main
        with source.reading(*READS):
            inputs = [_port(layer, next(iter(layer.outputs.values()))) for layer in graph.of("Parameter")]
            sources = [layer.sources[0] for layer in graph.of("Result")]
            return Signature(tuple(inputs), tuple(_port(layer, layer.outputs[at]) for layer, at in sources))

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """Stored tensors; wide integers that nothing multiplies, scales, zero points and limits count as buffers."""
        model, numbers = source.parsed(_read), _numbers(source)
        seen: set[tuple[int, int]] = set()
        with source.reading(*READS):
            tensors = [tensor for graph in model.graphs for tensor in _listed(graph, numbers, seen)]
            products = sum(len(graph.of(*MULTIPLYING)) for graph in model.graphs)
            return Listing(tensors, activation_bits=_activation_bits(model.main), products=products)

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> OpenVinoBackend:
        """Compile it for the CPU; refused where OpenVINO would calculate in fewer bits than the graph says."""
        with needs("openvino"):
            import openvino

        resolve_device(device, "OpenVINO", lambda _: False)
        settings = SETTINGS | ({} if threads is None else {"INFERENCE_NUM_THREADS": threads})
        core = openvino.Core()
        try:
            model = core.read_model(source.data, _numbers(source))
            compiled = core.compile_model(model, "CPU", settings)
        except (RuntimeError, ValueError, TypeError) as error:
            raise source.error(f"OpenVINO refuses it ({error})", code="cannot-open", remedy=EXPORT_AGAIN) from None
        backend = OpenVinoBackend(source.parsed(_read), self.signature(source), model, compiled)
        if FEW & backend.precision.keys():
            problem = f"OpenVINO calculates layers in {', '.join(sorted(FEW & backend.precision.keys()))} here"
            raise source.error(problem, code="precision", remedy="use a processor on which it keeps float32")
        return backend


class OpenVinoBackend:
    """A compiled graph and one request of it, on the CPU."""

    device = "cpu"

    def __init__(
        self, file: IrModel, signature: Signature, model: openvino.Model, compiled: openvino.CompiledModel
    ) -> None:
        self.graph, self.bodies, self.model, self.compiled = file.main, file.graphs[1:], model, compiled
        self._request = compiled.create_infer_request()
        self._inputs = _places(signature.inputs, self.graph.of("Parameter"), model.get_parameters())
        self._outputs = _places(signature.outputs, self.graph.of("Result"), model.get_results())

    def run(self, inputs: Inputs) -> Outputs:
        """One request; outputs are copied, because the next request writes over them."""
        self._request.infer(self.places(inputs))
        return {name: self._request.get_output_tensor(at).data.copy() for name, at in self._outputs.items()}

    def places(self, inputs: Inputs) -> dict[int, npt.NDArray[np.generic]]:
        """The inputs by their positions in the compiled graph."""
        return {self._inputs[name]: values for name, values in inputs.items()}

    @property
    def precision(self) -> Counter[str]:
        """How many of the compiled layers that multiply do so in which type, by the names of their kernels."""
        layers = (node.get_rt_info() for node in self.compiled.get_runtime_model().get_ordered_ops())
        kinds = [(str(info["layerType"].astype(str)), str(info["primitiveType"].astype(str))) for info in layers]
        return Counter(type_name(kernel.rpartition("_")[2]) for kind, kernel in kinds if kind in WEIGHTED)

    def facts(self) -> dict[str, Any]:
        """What runs, as the compiled graph says."""
        from openvino import get_version

        return {
            "device": "cpu",
            "peak_memory": None,
            "runtime": f"OpenVINO {get_version()}",
            "provider": "CPU",
            "precision": dict(self.precision),
        }


def _places(ports: Sequence[Port], layers: list[IrLayer], nodes: list[openvino.Node]) -> dict[str, int]:
    """Where the compiled graph has the ports of these layers, by the names of the ports."""
    positions = {node.get_friendly_name(): at for at, node in enumerate(nodes)}
    return {port.name: positions[layer.name] for port, layer in zip(ports, layers, strict=True)}


def _read(source: Source) -> IrModel:
    with source.reading(*READS):
        return parse_ir(source.data)


def _weights_name(source: Source) -> str:
    return PurePosixPath(source.main).with_suffix(".bin").name


def _numbers(source: Source) -> bytes:
    """The file beside it."""
    numbers = source.beside(_weights_name(source))
    if numbers is None:
        raise source.error("the file with its weights is missing", code="missing-companion", remedy=EXPORT_AGAIN)
    return numbers


def _port(layer: IrLayer, port: ElementTree.Element) -> Port:
    sides = [int(side.text or -1) for side in port.findall("dim")]
    name = port.get("names", "").replace("\\,", "\0").partition(",")[0].replace("\0", ",") or layer.name
    return Port(name, tuple(None if side < 0 else side for side in sides), type_name(port.get("precision", "")))


def _listed(graph: IrGraph, numbers: bytes, seen: set[tuple[int, int]]) -> list[Tensor]:
    tables = {table.id for layer in graph.layers.values() for table in layer.tables()}
    biases = {bias.id for layer in graph.of("Multiply") if (bias := layer.scaled_bias)}
    tensors = []
    for layer in graph.of("Const"):
        start, size = layer.place
        if start < 0 or start + size > len(numbers):
            raise ValueError(f"{layer.name} lies outside the file of weights")
        width = width_of(layer.dtype)
        tensors.append(
            Tensor(
                name=layer.name,
                shape=layer.shape,
                dtype=layer.dtype,
                codec="openvino",
                bytes=0 if layer.place in seen else size,
                nonzero=_nonzero(layer, graph.zero_points.get(layer.id), numbers),
                parameter=layer.id in biases
                or (layer.id not in tables and (layer.dtype not in WIDE or layer.id in graph.multiplied)),
                bits=width,
                stored_bits=width,
                layer="" if "." in layer.name else "constants",
            )
        )
        seen.add(layer.place)
    return tensors


def _activation_bits(graph: IrGraph) -> dict[str, int]:
    """Bits of what meets each weight, by its name; "" for products of two activations."""
    bits: dict[str, int] = {}
    for layer in graph.of(*FACTORS):
        weight = layer.weight()
        name = weight.name if weight else ""
        bits[name] = max(bits.get(name, 0), layer.activation_bits())
    return bits


def _nonzero(layer: IrLayer, zero: IrLayer | None, numbers: bytes) -> int | None:
    """Stored numbers that do not stand for 0; None where the type is not known."""
    values, zeros = (_values(one, numbers) if one else None for one in (layer, zero))
    if values is None or (zero and zeros is None):
        return None
    return int(np.count_nonzero(values if zeros is None else values != zeros))


def _values(layer: IrLayer, numbers: bytes) -> npt.NDArray[np.generic] | None:
    start, size = layer.place
    values = stored_values(numbers[start : start + size], layer.dtype, math.prod(layer.shape))
    return None if values is None else values.reshape(layer.shape)


FORMAT = OpenVino()
