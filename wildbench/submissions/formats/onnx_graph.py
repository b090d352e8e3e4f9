"""ONNX graphs: read as data by protobuf alone, and run by ONNX Runtime. No torch is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wildbench.errors import needs
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats._format import Format, Listing, resolve_device
from wildbench.submissions.formats._onnx_tensors import graphs, listing, named_tensors
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    import onnx
    import onnxruntime

METADATA_KEY = "wildbench"
"""Key of the manifest in a model's metadata."""

BUILT_IN = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Operator domains that ONNX Runtime carries itself."""

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"


class OnnxGraph(Format):
    """A ModelProto in one file, without custom operators."""

    name, suffix, title = "onnx", ".onnx", "an ONNX graph"
    runs_code = False
    extra = "onnx"
    libraries = ("onnxruntime",)
    counter = "wildbench.measures.compute:count_onnx"

    def sniff(self, source: Source) -> bool:
        """Its first field is ir_version; the rest is checked when it is parsed."""
        return source.data.startswith(b"\x08") or (source.path.suffix == self.suffix and not source.is_zip)

    def manifest(self, source: Source) -> str | None:
        """The metadata property."""
        properties = source.parsed(load_graph).metadata_props
        return next((str(entry.value) for entry in properties if entry.key == METADATA_KEY), None)

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """Set the metadata property; an older manifest is replaced."""
        model = load_graph(source)
        others = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
        del model.metadata_props[:]
        model.metadata_props.extend(others)
        model.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
        return bytes(model.SerializeToString())

    def check(self, source: Source, manifest: Manifest) -> None:
        """Refuse a model that needs more than ONNX Runtime and its own bytes."""
        import onnx

        model = source.parsed(load_graph)
        functions = {(function.domain, function.name) for function in model.functions}
        for node in (node for graph in graphs(model.graph, *model.functions) for node in graph.node):
            if node.domain not in BUILT_IN and (node.domain, node.op_type) not in functions:
                problem = f"{node.domain}::{node.op_type} is a custom operator, and needs a library"
                raise source.error(problem, code="custom-operator", remedy="export with standard ONNX operators")
        for name, tensor in named_tensors(model):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                problem = f"weight {name} is in another file, so this file's size is not the model's"
                remedy = "save it with onnx.save_model(model, path, save_as_external_data=False)"
                raise source.error(problem, code="external-weights", remedy=remedy)
        if manifest.input.layout in (None, "list"):
            problem = "manifest: input.layout: an ONNX graph takes an array, not a list"
            raise source.error(problem, code="layout", remedy='say "nchw" or "chw"')

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """Weights and constants, and the bits of what meets each weight."""
        return listing(source, source.parsed(load_graph))

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> OnnxBackend:
        """Open it in ONNX Runtime."""
        with needs("onnx"):
            import onnxruntime

        device = resolve_device(device, "onnxruntime", lambda _: CUDA in onnxruntime.get_available_providers())
        session = open_session(source, device, threads)
        if len(session.get_inputs()) != 1:
            names = ", ".join(value.name for value in session.get_inputs())
            problem = f"the graph takes {names}, not one image"
            raise source.error(problem, code="inputs", remedy="export it with one input")
        return OnnxBackend(source, session, device, batched=manifest.input.layout == "nchw")


class OnnxBackend:
    """An ONNX graph in a session of ONNX Runtime."""

    def __init__(self, source: Source, session: onnxruntime.InferenceSession, device: str, *, batched: bool) -> None:
        self.session, self.device = session, device
        self._source, self._batched = source, batched
        self._input = session.get_inputs()[0].name
        self._outputs = [output.name for output in session.get_outputs()]

    @property
    def graph(self) -> onnx.ModelProto:
        """The model as data."""
        return self._source.parsed(load_graph)

    def batch(self, image: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """The graph's input, 1 x 3 x H x W or 3 x H x W."""
        return image[None] if self._batched else image

    def run(self, image: npt.NDArray[np.generic]) -> Outputs:
        """One run of the graph; its outputs by their names."""
        answer = self.session.run(self._outputs, {self._input: self.batch(image)})
        return dict(zip(self._outputs, answer, strict=True))

    def facts(self) -> dict[str, Any]:
        """The device's name; ONNX Runtime keeps no record of the memory it takes on it."""
        if self.device == "cpu":
            return {"device": "cpu", "peak_memory": None}
        import torch  # knows the name of a GPU

        return {"device": torch.cuda.get_device_name(self.device), "peak_memory": None}


def load_graph(source: Source) -> onnx.ModelProto:
    """Parse an ONNX file, without weights in other files; a SubmissionError where it is no ONNX model."""
    with needs("onnx"):
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model: onnx.ModelProto = onnx.ModelProto.FromString(source.data)
    except (DecodeError, ValueError) as error:
        problem = f"not an ONNX model, or cut short ({error})"
        raise source.error(problem, code="not-onnx", remedy=EXPORT_AGAIN) from None
    if not model.graph.output:
        raise source.error("not an ONNX model: its graph has no output", code="not-onnx", remedy=EXPORT_AGAIN)
    return model


def open_session(source: Source, device: str, threads: int | None) -> onnxruntime.InferenceSession:
    """Open a session that runs on this device and on no other.

    ONNX Runtime would take the CPU, with a mere warning, where CUDA's libraries do not load or an operator fails.
    Raises SubmissionError for that, and for a graph that it refuses.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings about the graph's style are not ours to print
    if threads is not None:
        options.intra_op_num_threads = threads
    wanted: list[Any] = [] if device == "cpu" else [(CUDA, {"device_id": device.partition(":")[2]})]
    try:
        session = onnxruntime.InferenceSession(source.data, options, [*wanted, CPU], enable_fallback=0)
    except Exception as error:  # onnxruntime's errors share no base class
        raise source.error(f"onnxruntime refuses it ({error})", code="cannot-open", remedy=EXPORT_AGAIN) from None
    if session.get_providers()[0] != (CUDA if wanted else CPU):
        problem = f"onnxruntime cannot use {device} and would take {session.get_providers()[0]}"
        remedy = "install the CUDA libraries that this onnxruntime-gpu was built for, or use --device cpu"
        raise source.error(problem, code="no-such-device", remedy=remedy)
    return session


FORMAT = OnnxGraph()
