"""ONNX graphs: read as data by protobuf alone, and run by ONNX Runtime. No torch is imported."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from wildbench.errors import needs
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats._format import Format, Inputs, Listing, Port, Signature, resolve_device
from wildbench.submissions.formats._onnx_tensors import FACTORS, INTEGER, listing
from wildbench.submissions.graphs import expanded, messages, onnx_nodes, onnx_tensors
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import EXPORT_AGAIN, Source

if TYPE_CHECKING:
    import onnx
    import onnxruntime

ORT = b"ORTM"
"""Identifier of a graph in ONNX Runtime's own format, after four bytes."""

METADATA_KEY = "wildbench"
"""Key of the manifest in a model's metadata."""

BUILT_IN = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
"""Operator domains that ONNX Runtime carries itself."""

OWN_DOMAINS = re.compile(r"((ai\.onnx|com\.microsoft|com\.ms|org\.pytorch\.aten)(\..*)?)?", re.DOTALL)
"""Operator domains in which a function of the file could stand before an operator that the runtime has."""

COMPILED = {"EPContext", "PyOp", "Snpe"}
"""Operators that stand for code or files outside the graph."""

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
        return source.data.startswith(b"\x08") or (source.suffix == self.suffix and not source.is_zip)

    def manifest(self, source: Source) -> str | None:
        """The metadata property."""
        properties = source.parsed(load_graph).metadata_props
        return next((str(entry.value) for entry in properties if entry.key == METADATA_KEY), None)

    def companions(self, source: Source) -> list[str]:
        """Files that hold weights of the graph, as large models and torch's newer exporter keep them."""
        return list(dict.fromkeys(place["location"] for _, _, place in _outside(source.parsed(_read), source)))

    def metadata(self, source: Source) -> dict[str, str]:
        """Its properties, the manifest apart, `producer_name`, and `opset`, the version of its operators."""
        model = source.parsed(load_graph)
        told = {entry.key: str(entry.value) for entry in model.metadata_props if entry.key != METADATA_KEY}
        opset = next((str(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), "")
        return {"producer_name": model.producer_name, "opset": opset} | told

    def signature(self, source: Source) -> Signature:
        """The graph's inputs, without those that initializers fill, and its outputs."""
        graph = source.parsed(load_graph).graph
        filled = {tensor.name for tensor in graph.initializer}
        inputs = [_port(value) for value in graph.input if value.name not in filled]
        return Signature(tuple(inputs), tuple(_port(value) for value in graph.output))

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """Set the metadata property; an older manifest is replaced."""
        model = type(load_graph(source)).FromString(load_graph(source).SerializeToString())
        others = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
        del model.metadata_props[:]
        model.metadata_props.extend(others)
        model.metadata_props.add(key=METADATA_KEY, value=manifest.to_json())
        return bytes(model.SerializeToString())

    def check(self, source: Source, manifest: Manifest) -> None:
        """Refuse a model that needs more than ONNX Runtime and its own bytes."""
        model = source.parsed(load_graph)
        for function in model.functions:
            if OWN_DOMAINS.fullmatch(function.domain):
                problem = f"its function {function.name} has the name of an operator of ONNX or of ONNX Runtime"
                raise source.error(problem, code="shadowed-operator", remedy="give it a domain of its own")
        functions = {(function.domain, function.name, function.overload) for function in model.functions}
        for node in onnx_nodes(model):
            known = node.domain in BUILT_IN and node.op_type not in COMPILED
            if not known and (node.domain, node.op_type, node.overload) not in functions:
                problem = f"{node.domain}::{node.op_type} is a custom operator, and needs a library"
                raise source.error(problem, code="custom-operator", remedy="export with standard ONNX operators")
        expanded(source, model)

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """Weights and constants, and the bits of what meets each weight."""
        return listing(source, source.parsed(load_graph))

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> OnnxBackend:
        """Open it in ONNX Runtime."""
        with needs("onnx"):
            import onnxruntime

        device = resolve_device(device, "onnxruntime", lambda _: CUDA in onnxruntime.get_available_providers())
        return OnnxBackend(source, open_session(source, device, threads), device)


class OnnxBackend:
    """An ONNX graph in a session of ONNX Runtime."""

    def __init__(self, source: Source, session: onnxruntime.InferenceSession, device: str) -> None:
        self.session, self.device = session, device
        self._source = source
        self._outputs = [output.name for output in session.get_outputs()]

    @property
    def graph(self) -> onnx.ModelProto:
        """The model as data, its functions expanded."""
        return expanded(self._source, self._source.parsed(load_graph))

    def run(self, inputs: Inputs) -> Outputs:
        """One run of the graph; its outputs by their names."""
        answer = self.session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, answer, strict=True))

    def facts(self) -> dict[str, Any]:
        """What runs; ONNX Runtime keeps no record of the memory it takes on a GPU."""
        import onnxruntime

        told: dict[str, Any] = {"runtime": f"ONNX Runtime {onnxruntime.__version__}", "precision": self._precision}
        told["provider"] = self.session.get_providers()[0]
        if self.device == "cpu":
            return {"device": "cpu", "peak_memory": None} | told
        import torch  # knows the name of a GPU

        return {"device": torch.cuda.get_device_name(self.device), "peak_memory": None} | told

    @cached_property
    def _precision(self) -> dict[str, int]:
        """How many nodes that multiply by weights run in which type: in the graph as ONNX Runtime optimizes it.

        A quantized graph whose nodes it cannot join runs in float32 between its quantizers.
        """
        import onnx

        with TemporaryDirectory() as folder:
            optimized = Path(folder, "optimized.onnx")
            open_session(self._source, self.device, 1, optimized)
            graph = onnx.load_model(optimized).graph
        name_of = onnx.helper.tensor_dtype_to_np_dtype
        stored = {tensor.name: name_of(tensor.data_type).name for tensor in graph.initializer}
        counts: Counter[str] = Counter()
        for node in graph.node:
            if node.op_type in INTEGER:
                counts["int8"] += 1
            elif node.op_type in FACTORS:
                weights = [stored[name] for name in node.input if name in stored]
                counts[weights[0] if weights else "float32"] += 1
        return dict(sorted(counts.items()))


def load_graph(source: Source) -> onnx.ModelProto:
    """Parse an ONNX file with its weights in other files put inside; a SubmissionError where it is not ONNX."""
    found: onnx.ModelProto = source.parsed(_read)
    if not any(_outside(found, source)):
        return found
    model: onnx.ModelProto = type(found).FromString(source.data)
    for name, tensor, place in _outside(model, source):
        data = source.beside(place["location"]) or b""
        try:
            begin = int(place.get("offset", 0))
            end = begin + int(place["length"]) if "length" in place else len(data)
        except ValueError:
            raise source.error(f"where {name} is stored is damaged", remedy=EXPORT_AGAIN) from None
        if not 0 <= begin <= end <= len(data):
            raise source.error(f"{name} lies beyond the end of {place['location']}", remedy=EXPORT_AGAIN)
        tensor.raw_data = data[begin:end]
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]
    return model


def _read(source: Source) -> onnx.ModelProto:
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
    known = set(onnx.TensorProto.DataType.values())
    for message in messages(model):
        types = (getattr(message, "elem_type", 0), getattr(message, "data_type", 0))
        if any(isinstance(one, int) and one not in known for one in types):  # a sequence's is a message
            raise source.error("a tensor has a type that ONNX lacks", remedy=EXPORT_AGAIN)
        for field, value in message.ListFields():  # what is not UTF-8 comes as bytes
            texts = value if field.type == field.TYPE_STRING else ()
            if isinstance(texts, bytes) or not (isinstance(texts, str) or all(isinstance(one, str) for one in texts)):
                raise source.error(f"its {field.name} is not UTF-8", code="not-utf8", remedy=EXPORT_AGAIN)
    return model


def _outside(model: onnx.ModelProto, source: Source) -> Iterator[tuple[str, onnx.TensorProto, dict[str, str]]]:
    """Every tensor whose numbers are in another file: its name, itself, and where they are."""
    for name, tensor in onnx_tensors(model):
        if tensor.data_location == tensor.EXTERNAL:
            place = {entry.key: entry.value for entry in tensor.external_data}
            if not place.get("location"):
                raise source.error(f"{name} is in another file, and none is named", remedy=EXPORT_AGAIN)
            yield name, tensor, place


def _port(value: onnx.ValueInfoProto) -> Port:
    """An input or output of a graph."""
    kind = value.type.tensor_type
    shape = [side.dim_value if side.HasField("dim_value") else None for side in kind.shape.dim]
    return Port(value.name, tuple(shape), dtype_name(kind.elem_type))


def dtype_name(code: int) -> str:
    """An element type as numpy names it."""
    from onnx.helper import tensor_dtype_to_np_dtype

    return str(tensor_dtype_to_np_dtype(code).name) if code else "unknown"


def open_session(
    source: Source, device: str, threads: int | None, optimized: Path | None = None
) -> onnxruntime.InferenceSession:
    """Open a session that runs on this device and on no other; write the graph that it makes of the file's.

    ONNX Runtime would take the CPU, with a mere warning, where CUDA's libraries do not load or an operator fails.
    Raises SubmissionError for that, and for a graph that it refuses.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # warnings about the graph's style are not ours to print
    if threads is not None:
        options.intra_op_num_threads = threads
    if optimized is not None:
        options.optimized_model_filepath = str(optimized)
    one_file = source.data[4:8] == ORT or source.parsed(load_graph) is source.parsed(_read)
    data = source.data if one_file else source.parsed(load_graph).SerializeToString()
    wanted: list[Any] = [] if device == "cpu" else [(CUDA, {"device_id": device.partition(":")[2]})]
    try:
        session = onnxruntime.InferenceSession(data, options, [*wanted, CPU], enable_fallback=0)
    except Exception as error:  # onnxruntime's errors share no base class
        raise source.error(f"onnxruntime refuses it ({error})", code="cannot-open", remedy=EXPORT_AGAIN) from None
    if session.get_providers()[0] != (CUDA if wanted else CPU):
        problem = f"onnxruntime cannot use {device} and would take {session.get_providers()[0]}"
        remedy = "install the CUDA libraries that this onnxruntime-gpu was built for, or use --device cpu"
        raise source.error(problem, code="no-such-device", remedy=remedy)
    return session


FORMAT = OnnxGraph()
