"""An OpenVINO graph (IR, versions 10 and 11) as data: layers and edges in XML, and the numbers in a file beside it.

https://docs.openvino.ai/2025/documentation/openvino-ir-format.html describes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from xml.etree import ElementTree

from wildbench.submissions.graphs._bytes import made_of

OLDEST = 10

CONST, PARAMETER, RESULT, ROUND = "Const", "Parameter", "Result", "FakeQuantize"

REARRANGING = {"Convert", "Reshape", "Transpose", "Squeeze", "Unsqueeze", ROUND, "FakeConvert"}
"""Layers through which a stored tensor passes value by value."""

SCALING = {"Subtract", "Multiply"}
"""So does it through these, where the other factor is stored too: zero points and scales."""

PASSING = {*REARRANGING - {ROUND}, "MaxPool", "Pad", "Slice", "StridedSlice", "Split", "VariadicSplit", "Concat"}
"""Layers that choose and order activations, which are as rounded after them as before."""

FACTORS: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Convolution", "GroupConvolution", "BinaryConvolution"), (1,)),
    **dict.fromkeys(("ConvolutionBackpropData", "GroupConvolutionBackpropData"), (1,)),
    "DeformableConvolution": (2,),
    "MatMul": (1, 0),
}
"""Inputs that may be a weight; where there is only one, it always is."""

RECURRENT = {"LSTMSequence": 4, "GRUSequence": 3, "RNNSequence": 3, "LSTMCell": 3, "GRUCell": 2, "RNNCell": 2}
"""Layers that multiply an input and a state, and which of their inputs is the first of two weights."""

MULTIPLYING = (*FACTORS, *RECURRENT, "Einsum", "ScaledDotProductAttention")

JOINING = {"Add", "Subtract", "Multiply", "Divide", "Power", "Maximum", "Minimum", "SquaredDifference"}
JOINING |= {"Concat", "Select"}
"""Layers with values of all their inputs in the result; others have those of the first, and scattering the third's."""

NAMES = {"f": "float", "bf": "bfloat", "i": "int", "u": "uint"}
NARROW = {"int8", "uint8", "int4", "uint4", "int2", "uint2", "uint1", "float8_e4m3fn", "float8_e5m2", "nf4"}


def type_name(kind: str) -> str:
    """An element type by the name that numpy has for it.

    Example:
        >>> [type_name(kind) for kind in ("FP32", "f16", "bf16", "I64", "u4", "boolean", "f8e4m3", "nf4")]
        ['float32', 'float16', 'bfloat16', 'int64', 'uint4', 'bool', 'float8_e4m3fn', 'nf4']
    """
    kind = kind.lower().replace("fp", "f")
    letters = kind.rstrip("0123456789")
    other = {"boolean": "bool", "f8e4m3": "float8_e4m3fn", "f8e5m2": "float8_e5m2"}
    return other.get(kind, f"{NAMES.get(letters, letters)}{kind[len(letters) :]}")


@dataclass(frozen=True)
class IrLayer:
    """One layer."""

    id: str
    name: str
    kind: str
    attributes: Mapping[str, str]
    outputs: Mapping[str, ElementTree.Element]
    """By number of the port."""
    sources: list[tuple[IrLayer, str]] = field(default_factory=list, repr=False)
    """Layer and port of each input, in order."""

    @property
    def dtype(self) -> str:
        """Of a stored tensor."""
        return type_name(self.attributes["element_type"])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a stored tensor."""
        sides = self.attributes.get("shape", "")
        return tuple(int(side) for side in sides.split(",") if side.strip())

    @property
    def place(self) -> tuple[int, int]:
        """First byte of a stored tensor, and its size."""
        return int(self.attributes["offset"]), int(self.attributes["size"])

    @cached_property
    def stored(self) -> IrLayer | None:
        """The stored tensor that this layer gives, value by value; None where it is calculated."""
        if self.kind == CONST:
            return self
        passes = self.kind in REARRANGING or (self.kind in SCALING and self._source(1).stored is not None)
        return self._source(0).stored if passes else None

    @cached_property
    def rounded(self) -> int | None:
        """Bits to which what this layer gives was last rounded; None where it was not."""
        if self.kind == ROUND:
            return max(1, math.ceil(math.log2(int(self.attributes["levels"]))))
        if self.kind == "FakeConvert":
            return 8
        if self.kind not in PASSING:
            return None
        widths = [layer.rounded for layer, _ in self.sources[: None if self.kind == "Concat" else 1]]
        return None if None in widths else max((width for width in widths if width), default=None)

    def weight(self) -> IrLayer | None:
        """The stored tensor that this layer multiplies with; None where it multiplies two activations."""
        found = (self._source(place).stored for place in FACTORS[self.kind])
        return next((layer for layer in found if layer is not None), None)

    def values(self) -> list[IrLayer]:
        """Layers whose values are in what this one gives; none of a product."""
        if self.kind in MULTIPLYING:
            return []
        places = slice(None) if self.kind in JOINING else slice(0, 3, 2) if "Scatter" in self.kind else slice(1)
        return [layer for layer, _ in self.sources[places]]

    def activation_bits(self) -> int:
        """Bits of what meets the weight of this layer: of its rounding, where the weight is of few bits too."""
        weight = self._source(FACTORS[self.kind][0])
        few = weight.rounded is not None or (weight.stored is not None and weight.stored.dtype in NARROW)
        return (self._source(0).rounded if few else None) or 32

    def tables(self) -> list[IrLayer]:
        """Stored scales, zero points and limits that this layer applies; they are not parameters."""
        if self.kind in (ROUND, "FakeConvert"):
            found = [layer.stored for layer, _ in self.sources[1:]]
        else:
            scaled = self.kind in SCALING and (
                self.scaled_bias or ((first := self._source(0).stored) and first.dtype in NARROW)
            )
            found = [self._source(1).stored] if scaled else []
        return [layer for layer in found if layer is not None]

    @property
    def scaled_bias(self) -> IrLayer | None:
        """The stored int32 that this layer makes real numbers of; None where it does not."""
        source = self._source(0) if self.kind == "Multiply" else None
        stored = source.stored if source and source.kind == "Convert" else None
        return stored if stored and stored.dtype == "int32" and self._source(1).stored else None

    def _source(self, at: int) -> IrLayer:
        return self.sources[at][0]


@dataclass(frozen=True)
class IrGraph:
    """The layers of one graph, by their numbers, in the order of the file."""

    layers: dict[str, IrLayer]

    @cached_property
    def multiplied(self) -> set[str]:
        """Numbers of the layers of which a factor is made."""
        factors = [
            source.id
            for layer in self.of(*MULTIPLYING)
            for at, (source, _) in enumerate(layer.sources)
            if at in FACTORS.get(layer.kind, (at,)) or at == 0
        ]
        return made_of(factors, lambda name: [layer.id for layer in self.layers[name].values()])

    def of(self, *kinds: str) -> list[IrLayer]:
        """Layers of these kinds."""
        return [layer for layer in self.layers.values() if layer.kind in kinds]

    @cached_property
    def zero_points(self) -> dict[str, IrLayer]:
        """Stored zero points, by the number of the stored tensor from which they are taken away."""
        pairs = [(layer.sources[0][0].stored, layer.sources[1][0].stored) for layer in self.of("Subtract")]
        return {weight.id: zero for weight, zero in pairs if weight and zero and weight.dtype in NARROW}


@dataclass(frozen=True)
class IrModel:
    """A whole file.

    Attributes:
        graphs: The first is the one that runs; others are bodies of its control flow.
        rt_info: Texts that were put into the file, by path: "model_info/labels".
    """

    graphs: list[IrGraph]
    rt_info: dict[str, str]

    @property
    def main(self) -> IrGraph:
        """The graph that runs."""
        return self.graphs[0]


def parse_ir(data: bytes) -> IrModel:
    """Parse the XML of a graph.

    Raises:
        ValueError: It is damaged, declares entities, or is of a version that no runtime reads any more.
        KeyError: An attribute or a layer is missing.
    """
    root = parse_xml(data)
    version = root.get("version", "0")
    if root.tag != "net" or int(version) < OLDEST:
        raise ValueError(f"version {version} of the format, and {OLDEST} is the oldest that is read")
    graphs = [_graph(element) for element in root.iter() if element.find("layers") is not None]
    if not graphs:
        raise ValueError("it has no layers")
    return IrModel(graphs, dict(_texts(root.find("rt_info"), "")))


def parse_xml(data: bytes) -> ElementTree.Element:
    """Parse XML without a document type, and so without entities of its own; ValueError where it is damaged."""
    text = data.decode()
    if "<!DOCTYPE" in text:
        raise ValueError("its XML declares a document type")
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise ValueError(str(error)) from None


def _graph(element: ElementTree.Element) -> IrGraph:
    layers = {entry.attrib["id"]: _layer(entry) for entry in element.findall("layers/layer")}
    edges = sorted(element.findall("edges/edge"), key=lambda edge: int(edge.attrib["to-port"]))
    for edge in edges:
        source = layers[edge.attrib["from-layer"]], edge.attrib["from-port"]
        layers[edge.attrib["to-layer"]].sources.append(source)
    return IrGraph(layers)


def _layer(entry: ElementTree.Element) -> IrLayer:
    data = entry.find("data")
    ports = {port.attrib["id"]: port for port in entry.findall("output/port")}
    attributes = {} if data is None else data.attrib
    return IrLayer(entry.attrib["id"], entry.attrib["name"], entry.attrib["type"], attributes, ports)


def _texts(element: ElementTree.Element | None, path: str) -> Iterator[tuple[str, str]]:
    """What an element of free information says, by path; a name that XML has no tag for stands in an attribute."""
    for child in () if element is None else element:
        name = path + (child.get("name", child.tag) if child.tag == "info" else child.tag)
        if (value := child.get("value")) is not None:
            yield name, value
        yield from _texts(child, f"{name}/")
