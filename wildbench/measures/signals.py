"""What passes between the layers of a network, sampled: read by hooks in torch, and as added outputs in ONNX Runtime.

It runs in the detector's process, because only that may open a file; what comes out of it are a few numbers per layer.
Both networks of a pair are sampled at the same positions, so that the samples can be subtracted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, FiniteFloat

from wildbench.datasets.coco import Ints
from wildbench.errors import SubmissionError
from wildbench.measures.saturation import ends_of
from wildbench.submissions.process import ask

if TYPE_CHECKING:
    import onnx
    import onnxruntime
    from torch import nn

    from wildbench.submissions.formats import Inputs, OnnxBackend
    from wildbench.submissions.process import Opened, Sandbox

SAMPLE = 1024
"""Values of one tensor in one image."""

MOST_LAYERS, MOST_INPUTS, MOST_TAKERS, MOST_CHANNELS = 4096, 4, 64, 2**16

Array = npt.NDArray[Any]
Sample = Annotated[list[FiniteFloat], Field(max_length=SAMPLE)]
Text = Annotated[str, Field(max_length=500)]


class Sampled(BaseModel):
    """Some values of one tensor."""

    values: Sample
    size: Annotated[int, Field(ge=1, lt=2**40)]
    channels: Annotated[int, Field(ge=1, le=MOST_CHANNELS)]
    inner: Annotated[int, Field(ge=1, lt=2**40)]
    """Values of one channel that stand side by side."""

    @property
    def channel(self) -> Ints:
        """[value]: of which channel each is."""
        places = np.arange(self.size) if self.size <= SAMPLE else _positions(self.size)
        return np.asarray(places // self.inner % self.channels)[: len(self.values)]


class Signal(BaseModel):
    """One layer's answer to one image; crosses from the detector's process."""

    name: Text
    """Of its output in the float network, or of its module."""
    node: Text
    """What a quantizer calls it, to leave it in float."""
    operator: Text
    sources: Annotated[list[Text], Field(max_length=MOST_INPUTS)]
    """What its inputs are called in the float network; none where the runtime does not tell."""
    output: Sampled
    unrounded: Sampled | None
    """What it answers before that is rounded; None where it is not, or the runtime does not tell."""
    takers: Annotated[list[Text], Field(max_length=MOST_TAKERS)]
    """What a quantizer calls the layers that are given it."""
    inputs: Annotated[list[Sampled], Field(max_length=MOST_INPUTS)]
    clipped: Annotated[float, Field(ge=0, le=1)]
    """Share of its values at the end of their range."""
    dead: Annotated[list[int], Field(max_length=MOST_CHANNELS)]
    """Channels that are one value everywhere."""


class Signals(BaseModel):
    """Every layer's, in the order in which they run."""

    layers: Annotated[list[Signal], Field(max_length=MOST_LAYERS)]


def signals_of(box: Sandbox, image: npt.NDArray[np.uint8]) -> list[Signal]:
    """Every layer's answer to one image.

    Raises:
        SubmissionError: `no-layers`: its runtime does not show what passes between layers.
        DetectorError: It crashed, hung, ran out of memory or answered with nonsense.
    """
    return ask(box, f"{__name__}:observe", Signals, image).layers


def observe(opened: Opened, image: npt.NDArray[np.uint8]) -> dict[str, Any]:
    """Sample every layer on one image; runs in the child."""
    inputs = opened.prepare(image)
    if hasattr(opened.backend, "graph") and hasattr(opened.backend, "session"):
        passes = _onnx_passes(opened.backend, inputs)  # type: ignore[arg-type]
    elif opened.module is not None:
        passes = _torch_passes(opened.module, lambda: opened.backend.run(inputs))
    else:
        problem = f"{opened.format.title} does not show what passes between its layers"
        raise SubmissionError(problem, code="no-layers", remedy="give it as ONNX, or as a submission.pt")
    return Signals(layers=[_signal(one) for one in islice(passes, MOST_LAYERS)]).model_dump()


class _Pass(NamedTuple):
    """One operator that has run."""

    name: str
    node: str
    operator: str
    output: Array
    inputs: list[Array]
    sources: list[str]
    unrounded: Array | None = None
    takers: Sequence[str] = ()


def _signal(one: _Pass) -> Signal:
    output, axis = one.output, _channel_axis(one.output)
    flat = np.moveaxis(output, axis, -1).reshape(-1, output.shape[axis])
    dead = np.flatnonzero((flat == flat[0]).all(axis=0)) if len(flat) > 1 else np.zeros(0, np.int64)
    ends = ends_of({"": output})
    return Signal(
        name=one.name[-500:],
        node=one.node[-500:],
        operator=one.operator[:500],
        sources=[source[-500:] for source in one.sources[:MOST_INPUTS]],
        output=_sampled(output),
        unrounded=None if one.unrounded is None else _sampled(one.unrounded),
        takers=[taker[-500:] for taker in one.takers[:MOST_TAKERS]],
        inputs=[_sampled(given) for given in one.inputs[:MOST_INPUTS]],
        clipped=sum(end.at for end in ends if end.at > 1) / output.size,
        dead=dead.tolist()[:MOST_CHANNELS],
    )


def _channel_axis(values: Array) -> int:
    """The second of three or more, as convolutions have them, else the last."""
    return 1 if values.ndim > 2 else values.ndim - 1


def _sampled(values: Array) -> Sampled:
    """The same positions of every tensor of this size."""
    flat, axis = values.reshape(-1), _channel_axis(values)
    if flat.size > SAMPLE:
        flat = flat[_positions(flat.size)]
    numbers = np.nan_to_num(flat.astype(np.float64), posinf=1e38, neginf=-1e38)
    return Sampled(
        values=[float(f"{value:.8g}") for value in numbers.tolist()],
        size=values.size,
        channels=min(values.shape[axis], MOST_CHANNELS),
        inner=int(np.prod(values.shape[axis + 1 :])),
    )


def _positions(size: int) -> Ints:
    return np.sort(np.random.default_rng(size).integers(0, size, SAMPLE))


def _torch_passes(module: nn.Module, run: Any) -> Iterator[_Pass]:  # noqa: ANN401 - a function without arguments
    """What every leaf module takes and gives."""
    import torch
    from torch import fx

    passes: list[_Pass] = []
    times: Counter[str] = Counter()

    def arrays(values: Any) -> list[Array]:  # noqa: ANN401 - whatever a module takes
        some = values if isinstance(values, tuple | list) else [values]
        return [
            one.detach().float().cpu().numpy()
            for one in some
            if isinstance(one, torch.Tensor) and one.is_floating_point() and one.numel()
        ]

    def note(name: str, operator: str, given: Any, answer: Any) -> None:  # noqa: ANN401
        for output in arrays(answer)[:1]:
            times[name] += 1
            called = name if times[name] == 1 else f"{name} (call {times[name]})"
            passes.append(_Pass(called, name, operator, output, arrays(given), []))

    if isinstance(module, torch.jit.ScriptModule | fx.GraphModule):
        problem = "a program that torch has exported does not show what passes between its layers"
        raise SubmissionError(problem, code="no-layers", remedy="give it as ONNX, or as a submission.pt")
    leaves = [(name, one) for name, one in module.named_modules() if not any(one.children()) and name]
    hooks = [
        leaf.register_forward_hook(lambda one, given, answer, name=name: note(name, type(one).__name__, given, answer))
        for name, leaf in leaves
    ]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    yield from passes


QUANTIZED_OUTPUT = {
    "QLinearConv": 6,
    "QLinearMatMul": 6,
    "QLinearAdd": 6,
    "QLinearMul": 6,
    "QLinearSigmoid": 3,
    "QLinearLeakyRelu": 3,
    "QLinearAveragePool": 3,
    "QLinearGlobalAveragePool": 3,
    "QLinearConcat": 0,
    "QGemm": 7,
}
"""Operators that give integers, and which input is the scale of these; the zero point comes next."""

PASSING = {"Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "MaxPool", "Resize", "Gather", "Split"}
"""Operators that give the integers that they are given."""

SILENT = {"QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "Constant", "Cast", "Identity", "Shape"}
"""Operators that are no layer."""

_SESSIONS: dict[int, tuple[onnxruntime.InferenceSession, _Wiring]] = {}
"""By the backend's id: a child has one."""


class _Wiring:
    """How the nodes of a graph hang together, past what quantizes and dequantizes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        from onnx import numpy_helper

        self.nodes = [node for node in graph.node if node.op_type not in SILENT and node.output]
        self.stored = {
            one.name: numpy_helper.to_array(one) for one in graph.initializer if not one.dims or max(one.dims) == 1
        }
        self._weights = {one.name for one in graph.initializer}
        self.made = {name: node for node in graph.node for name in node.output}
        self._takers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._takers.setdefault(name, []).append(node)

    def rounded(self, name: str) -> str:
        """What the next layers are given of a tensor: behind its quantizer and dequantizer, where it has them."""
        for quantizer in self._takers.get(name, ()):
            if quantizer.op_type == "QuantizeLinear":
                for back in self._takers.get(quantizer.output[0], ()):
                    if back.op_type == "DequantizeLinear":
                        return str(back.output[0])
        return name

    def takers(self, name: str) -> list[onnx.NodeProto]:
        """The layers that are given a tensor."""
        return [node for node in self._takers.get(name, ()) if node.op_type not in SILENT]

    def float_name(self, name: str) -> str:
        """What a tensor is called in the network before it was quantized."""
        for ending in ("_QuantizeLinear_Input", "_quantized"):
            name = name.removesuffix(ending)
        return name

    def source(self, name: str) -> str:
        """The layer that a tensor comes from, past its quantizer and dequantizer, by its name there."""
        maker = self.made.get(name)
        while maker is not None and maker.op_type in ("DequantizeLinear", "QuantizeLinear"):
            name = maker.input[0]
            maker = self.made.get(name)
        return self.float_name(name)

    def inputs(self, node: onnx.NodeProto) -> list[str]:
        """What a layer is given from other layers or from the image: no weight, nor what belongs to one."""
        return [name for name in node.input if name and not self._is_weight(name)]

    def _is_weight(self, name: str) -> bool:
        maker = self.made.get(name)
        if maker is not None and maker.op_type == "DequantizeLinear":
            return self._is_weight(maker.input[0])
        return name in self._weights or (maker is not None and maker.op_type == "Constant")

    def scale(self, node: onnx.NodeProto) -> tuple[float, float] | None:
        """Scale and zero point of the integers that a node gives."""
        if node.op_type in PASSING and node.input[0] in self.made:
            return self.scale(self.made[node.input[0]])
        place = QUANTIZED_OUTPUT.get(node.op_type)
        if place is None or len(node.input) <= place + 1:
            return None
        both = [self.stored.get(name) for name in node.input[place : place + 2]]
        return (
            None
            if both[0] is None or both[1] is None
            else (float(both[0].reshape(-1)[0]), float(both[1].reshape(-1)[0]))
        )


def _onnx_passes(backend: OnnxBackend, inputs: Inputs) -> Iterator[_Pass]:
    """What every node gives and takes, in a session in which every tensor is an output."""
    session, wiring = _session_of(backend)
    values = dict(zip([one.name for one in session.get_outputs()], session.run(None, dict(inputs)), strict=True))
    values |= {name: value for name, value in inputs.items()}

    def real(name: str, node: onnx.NodeProto | None = None) -> Array | None:
        value = values.get(wiring.rounded(name))
        if not isinstance(value, np.ndarray) or not value.size or not value.ndim:
            return None
        scale = node and wiring.scale(node)
        if scale and value.dtype.kind in "iu":
            return (value.astype(np.float32) - scale[1]) * scale[0]
        return value if value.dtype.kind == "f" else None

    makers = {name: node for node in wiring.nodes for name in node.output}
    for node in wiring.nodes:
        output = real(node.output[0], node)
        if output is not None and output.size > 1:
            named = {source: real(source, makers.get(source)) for source in wiring.inputs(node)}
            given = {source: value for source, value in named.items() if value is not None}
            name, sources = wiring.float_name(node.output[0]), [wiring.source(source) for source in given]
            rounded = wiring.rounded(node.output[0])
            raw = None if rounded == node.output[0] else values.get(node.output[0])
            takers = [taker.name.removesuffix("_quant") for taker in wiring.takers(rounded)]
            yield _Pass(name, node.name or name, node.op_type, output, list(given.values()), sources, raw, takers)


def _session_of(backend: OnnxBackend) -> tuple[onnxruntime.InferenceSession, _Wiring]:
    if id(backend) not in _SESSIONS:
        import onnxruntime

        model = type(backend.graph)()
        model.CopyFrom(backend.graph)
        wiring = _Wiring(model.graph)
        known = {one.name for one in model.graph.output}
        wanted = [name for node in wiring.nodes for name in (node.output[0], wiring.rounded(node.output[0]))]
        wanted += [name for node in wiring.nodes for name in wiring.inputs(node) if name in wiring.made]
        model.graph.output.extend(
            type(model.graph.output[0])(name=name) for name in dict.fromkeys(wanted) if name and name not in known
        )
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # as the graph says it
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
        _SESSIONS[id(backend)] = session, wiring
    return _SESSIONS[id(backend)]
