"""ncnn networks: read as data from their two files, and run by ncnn on the CPU in float32, or int8 where they are."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import DetectorCrashed, needs
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
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    import ncnn

MAGIC = b"7767517"
"""The first line of a `.param`."""

FEW_BITS = ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage")
"""Options by which ncnn calculates in fewer bits than float32, where the processor can."""

STORED = {0x01306B47: "<f2", 0x000D4B38: "i1", 0x0002C056: "<f4", 0: "<f4"}
"""How weights are stored, by the four bytes before them; another number begins a table of 256 values."""

RUN_TIME = -233
"""A length that is known when it runs."""

_KINDS = ("", "1D", "DepthWise", "DepthWise1D")

WEIGHTED = {"InnerProduct"} | {f"{name}{kind}" for name in ("Convolution", "Deconvolution") for kind in _KINDS}
"""Layers that multiply by weights of their own."""

VECTORS = {"BatchNorm": (4, 0), "PReLU": (1, 0), "Bias": (1, 0), "LayerNorm": (2, 0, 2), "GroupNorm": (2, 1, 3)}
"""How many vectors of floats a layer stores, and the numbers of its parameters that are their length, and whether."""


@dataclass(frozen=True)
class Layer:
    """One line of a `.param`."""

    kind: str
    name: str
    inputs: list[str]
    outputs: list[str]
    options: dict[int, str] = field(default_factory=dict)

    def number(self, key: int, default: int = 0) -> int:
        """A parameter, by its number."""
        return int(self.options.get(key, default))

    @property
    def int8(self) -> bool:
        """Whether its weights are integers that meet integers."""
        return self.kind in WEIGHTED and self.number(8) != 0


class Ncnn(Format):
    """A `.param` with its `.bin` beside it, alone or in the folder that an exporter made."""

    name, suffix, title = "ncnn", ".param", "an ncnn network"
    runs_code = False
    extra = "ncnn"
    libraries = ("ncnn",)
    counter = "wildbench.measures.compute:count_ncnn"

    def sniff(self, source: Source) -> bool:
        """By the number in the first line."""
        return source.data.split(b"\n", 1)[0].strip() == MAGIC

    def companions(self, source: Source) -> list[str]:
        """The file with its weights."""
        return [_weights_name(source)]

    def signature(self, source: Source) -> Signature:
        """Inputs, without a batch, and what no layer takes; a side is free where the file does not state it."""
        layers = source.parsed(_read)
        inputs = tuple(_port(layer) for layer in layers if layer.kind == "Input")
        taken = {name for layer in layers for name in layer.inputs}
        made = [name for layer in layers for name in layer.outputs if name not in taken]
        return Signature(inputs, tuple(Port(name, (), "float32") for name in sorted(made, key=_order)))

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """The numbers of each layer, in the order in which ncnn reads them."""
        layers, weights = source.parsed(_read), _Weights(source.beside(_weights_name(source)) or b"")
        try:
            tensors = [tensor for layer in layers for tensor in _listed(layer, weights)]
        except (ValueError, ArithmeticError) as error:
            return Listing(None, reason=f"the weights of an ncnn network cannot be told apart here ({error})")
        if weights.position != len(weights.data):
            kinds = sorted({layer.kind for layer in layers} - WEIGHTED)
            return Listing(None, reason=f"one of these layers stores weights in an unknown order: {', '.join(kinds)}")
        return Listing(tensors, activation_bits={f"{layer.name}.weight": 8 for layer in layers if layer.int8})

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> NcnnBackend:
        """Load it from a folder of the process, which is removed at once: ncnn reads numbers from files alone."""
        with needs("ncnn"):
            import ncnn

        resolve_device(device, "ncnn", lambda _: False)
        layers, net = source.parsed(_read), ncnn.Net()
        unknown = [layer.kind for layer in layers if ncnn.layer_to_index(layer.kind) < 0]
        if unknown:
            problem = f"{unknown[0]} is a custom layer, and needs a library"
            raise source.error(problem, code="custom-operator", remedy="convert it with pnnx to ncnn's own layers")
        net.opt.use_vulkan_compute = False
        net.opt.num_threads = net.opt.num_threads if threads is None else threads
        for option in FEW_BITS:
            setattr(net.opt, f"use_{option}", False)
        with tempfile.TemporaryDirectory() as folder:
            path = source.unpack(Path(folder))
            if net.load_param(str(path)) or net.load_model(str(path.with_name(_weights_name(source)))):
                problem = "ncnn refuses it: the .param is damaged, or the .bin is shorter than it says"
                raise source.error(problem, code="cannot-open", remedy=EXPORT_AGAIN)
        return NcnnBackend(net, layers, [port.name for port in self.signature(source).outputs])


class NcnnBackend:
    """A loaded network, on the CPU."""

    device = "cpu"

    def __init__(self, net: ncnn.Net, layers: list[Layer], outputs: list[str]) -> None:
        self.net, self.layers = net, layers
        self._outputs = outputs

    def run(self, inputs: Inputs) -> Outputs:
        """One pass; outputs have no batch."""
        return self.extract(inputs, self._outputs)

    def extract(self, inputs: Inputs, names: list[str]) -> Outputs:
        """The blobs of these names, for one image; none is let go before the last."""
        import ncnn

        answer = {}
        with self.net.create_extractor() as extractor:
            extractor.set_light_mode(names == self._outputs)
            for name, values in inputs.items():
                extractor.input(name, ncnn.Mat(np.ascontiguousarray(values)).clone())
            for name in names:
                failed, blob = extractor.extract(name)
                if failed:
                    problem = f"ncnn cannot calculate {name} from an image of this size"
                    raise DetectorCrashed(problem, code="raised", remedy="compare the manifest's size")
                answer[name] = np.array(blob)
        return answer

    def facts(self) -> dict[str, Any]:
        """What runs: float32, for nothing less is allowed, and int8 in layers that are stored with scales."""
        import ncnn

        layers = Counter("int8" if layer.int8 else "float32" for layer in self.layers if layer.kind in WEIGHTED)
        told = {"runtime": f"ncnn {ncnn.__version__}", "provider": "CPU", "precision": dict(layers)}
        return {"device": "cpu", "peak_memory": None} | told


def _read(source: Source) -> list[Layer]:
    """The layers of a `.param`, https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure."""
    layers = []
    with source.reading("network that ncnn reads", "not-ncnn"):
        lines = source.data.decode().splitlines()[2:]
        for kind, name, inputs, outputs, *rest in (line.split() for line in lines if line.strip()):
            begin, end = int(inputs), int(inputs) + int(outputs)
            options = dict(entry.split("=", 1) for entry in rest[end:])
            numbers = {int(key): value for key, value in options.items()}
            layers.append(Layer(kind, name, rest[:begin], rest[begin:end], numbers))
        if not all(layer.outputs for layer in layers if layer.kind == "Input"):
            raise ValueError("an input without a name")
        if int(source.data.split()[1]) != len(layers):
            raise ValueError(f"{len(layers)} layers")
        for layer in layers:
            if layer.kind in {"Input", *WEIGHTED}:
                [layer.number(key) for key in (0, 1, 2, 8)]
    return layers


def _port(layer: Layer) -> Port:
    channels, height, width = (layer.number(key) or None for key in (2, 1, 0))
    return Port(layer.outputs[0], (channels or 3, height, width), "float32")


def _order(name: str) -> tuple[str, int]:
    """out2 before out10."""
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :] or -1)


def _weights_name(source: Source) -> str:
    return PurePosixPath(source.main).with_suffix(".bin").name


class _Weights:
    """Reads a `.bin` file in order."""

    def __init__(self, data: bytes) -> None:
        self.data, self.position = data, 0

    def take(self, count: int, dtype: str = "<f4") -> npt.NDArray[np.generic]:
        """The next `count` numbers; each block is padded to a multiple of four bytes."""
        values = np.frombuffer(self.data, dtype, count, self.position)
        self.position += -(-values.nbytes // 4) * 4
        return values

    def flagged(self, count: int) -> npt.NDArray[np.generic]:
        """The next `count` numbers, after a four-byte flag that gives their storage type."""
        flag = int(self.take(1, "<u4")[0])
        if flag not in STORED:
            raise ValueError("a table of 256 values")
        return self.take(count, STORED[flag])


def _listed(layer: Layer, weights: _Weights) -> Iterator[Tensor]:
    """What a layer stores."""
    if layer.kind in WEIGHTED:
        yield from _multiplied(layer, weights)
    elif layer.kind in VECTORS or layer.kind == "Scale":
        vectors, length, *whether = VECTORS.get(layer.kind, (1 + layer.number(1), 0))
        absent = (whether and not layer.number(whether[0], 1)) or layer.number(length) == RUN_TIME
        for at in range(0 if absent else vectors):
            running = layer.kind == "BatchNorm" and at in (1, 2)  # mean and variance
            size = layer.number(length)
            yield _tensor(f"{layer.name}.{at}", (size,), weights.take(size), not running)
    elif layer.kind == "MemoryData":
        shape = tuple(layer.number(key) for key in (2, 11, 1, 0) if layer.number(key))
        read = weights.take if layer.number(21, 1) == 1 else weights.flagged
        yield _tensor(layer.name, shape, read(math.prod(shape)), parameter=False)


def _multiplied(layer: Layer, weights: _Weights) -> Iterator[Tensor]:
    """Weights, biases and, of integers, their scales."""
    outputs, dense = layer.number(0), layer.kind == "InnerProduct"
    biased, count = (layer.number(key) for key in ((1, 2) if dense else (5, 6)))
    width = layer.number(1, 1)
    kernel = () if dense else (width,) if layer.kind.endswith("1D") else (layer.number(11, width), width)
    values = weights.flagged(count)
    bias = weights.take(outputs) if biased else None
    scales = _scales(layer)
    weights.take(scales)
    shape = (outputs, count // (outputs * math.prod(kernel)), *kernel)
    yield _tensor(f"{layer.name}.weight", shape, values, extra_bits=32 * scales)
    if bias is not None:
        yield _tensor(f"{layer.name}.bias", (outputs,), bias)


def _scales(layer: Layer) -> int:
    """How many scales stand behind integers: of the weights, of the input, and of the output if it is rounded."""
    if not layer.int8:
        return 0
    term = layer.number(8)
    own = layer.number(0) if "DepthWise" not in layer.kind else layer.number(7, 1) if term % 100 == 1 else 1
    return own + 1 + (term > 100)


def _tensor(
    name: str, shape: tuple[int, ...], values: npt.NDArray[np.generic], parameter: bool = True, extra_bits: int = 0
) -> Tensor:
    if math.prod(shape) != values.size:
        raise ValueError(f"{name} has {values.size} numbers")
    dtype = values.dtype.name
    return Tensor(
        name=name,
        shape=shape,
        dtype=dtype,
        codec="ncnn",
        bytes=values.nbytes,
        nonzero=int(np.count_nonzero(values)),
        parameter=parameter,
        bits=width_of(dtype),
        stored_bits=width_of(dtype),
        extra_bits=extra_bits,
        layer="" if parameter else "constants",
    )


FORMAT = Ncnn()
