"""What is in a submission and how many bytes each part takes, told without running anything of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from zipfile import ZipInfo

import numpy as np

from wildbench.errors import SubmissionError
from wildbench.submissions.contract import Manifest
from wildbench.submissions.formats import find_manifest
from wildbench.submissions.sniff import Kind, read_record, records, sniff

if TYPE_CHECKING:
    from wildbench.submissions.archive import Activation

CONTAINER = "container"
"""The part of a file that is no tensor: the format's own bookkeeping, the manifest, a graph, padding."""

NOT_READ = "the file lists its tensors in a pickle, which is not read"

EXPORT_DTYPES = {
    1: "uint8",
    2: "int8",
    3: "int16",
    4: "int32",
    5: "int64",
    6: "float16",
    7: "float32",
    8: "float64",
    12: "bool",
    13: "bfloat16",
}
"""`torch._export.serde.schema.ScalarType`, by number."""


@dataclass(frozen=True)
class Tensor:
    """One stored tensor.

    Attributes:
        name: Its name in the state dict or graph.
        shape: Of the decoded tensor.
        dtype: Of the decoded tensor.
        codec: How it is stored.
        bytes: What it takes in the file; a storage that several tensors share is counted for the first.
        nonzero: Elements that are not zero; None where the values cannot be read.
        parameter: Whether it is a parameter; False for a buffer such as a running mean, and for a second name of one.
        bits: Of one value as an arithmetic unit takes it; None where that cannot be told. With a codebook those of its
            entries: an index is looked up, not multiplied.
        stored_bits: Of one value as it is stored, before any mask or entropy coding; None where that cannot be told.
        extra_bits: What is stored beside the values: scales and zero points, a codebook.
        entropy_bytes: At the zeroth-order entropy of the stored symbols, which is no bound; of bytes that are shared
            with an earlier tensor nothing. None for formats that have no such symbols.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    codec: str
    bytes: int
    nonzero: int | None
    parameter: bool
    bits: int | None = None
    stored_bits: int | None = None
    extra_bits: int = 0
    entropy_bytes: float | None = None

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def density(self) -> float | None:
        """Share of the elements that are not zero; None where it is undefined or the values cannot be read."""
        return None if self.nonzero is None or not self.elements else self.nonzero / self.elements

    @property
    def bitmask_bytes(self) -> float | None:
        """By MicroNet's rule: a bit an element and the non-zero ones at their bits, or all of them if that is less.

        MicroNet Challenge (NeurIPS 2019), https://micronet-challenge.github.io/scoring_and_submission.html
        """
        if self.stored_bits is None or self.nonzero is None:
            return None
        masked = self.elements + self.nonzero * self.stored_bits
        return (self.extra_bits + min(self.elements * self.stored_bits, masked)) / 8


@dataclass(frozen=True)
class Inspection:
    """What is in a submission.

    Attributes:
        path: The file.
        kind: Its format.
        manifest: From inside or beside it.
        file_bytes: The file as it is on disk.
        bytes_by_part: Bytes by top-level part of the network, of a `submission.pt`'s manifest and index, and of the
            container; they sum to `file_bytes`.
        tensors: In the order of the file; None where they cannot be listed without running it.
        reason: Why `tensors` is None.
        activations: How a `submission.pt` rounds its activations, by module; no other format says so.
    """

    path: Path
    kind: Kind
    manifest: Manifest
    file_bytes: int
    bytes_by_part: dict[str, int]
    tensors: list[Tensor] | None
    reason: str | None = None
    activations: Mapping[str, Activation] = field(default_factory=dict)

    @property
    def parameters(self) -> int | None:
        """Number of parameters, buffers not counted; None where the tensors cannot be listed."""
        return None if self.tensors is None else sum(tensor.elements for tensor in self.tensors if tensor.parameter)

    @property
    def nonzero(self) -> int | None:
        """Number of parameters that are not zero; None where their values cannot be read."""
        return None if self.tensors is None else _total([t.nonzero for t in self.tensors if t.parameter])

    @property
    def bytes_by_layer(self) -> dict[str, int] | None:
        """Bytes by layer in the order of the file, then what is no tensor; None where they cannot be listed."""
        if self.tensors is None:
            return None
        layers: Counter[str] = Counter()
        for tensor in self.tensors:
            layers[_layer(tensor)] += tensor.bytes
        rest = Counter(self.bytes_by_part)
        rest.subtract(_tensor_parts(self.tensors))
        layers.update({part: size for part, size in rest.items() if size})
        return dict(layers)

    @property
    def bitmask_bytes(self) -> float | None:
        """Bytes of the parameters by MicroNet's rule; None where their values cannot be read."""
        return None if self.tensors is None else _total([t.bitmask_bytes for t in self.tensors if t.parameter])

    @property
    def entropy_bytes(self) -> float | None:
        """Bytes of all tensors at their zeroth-order entropy; None for formats that have no symbols to count."""
        return None if self.tensors is None else _total([tensor.entropy_bytes for tensor in self.tensors])


def inspect_submission(path: Path | str) -> Inspection:
    """Look into a submission; nothing of it runs.

    Args:
        path: A `.pt`, `.onnx` or `.pt2` file.

    Raises:
        SubmissionError: The file is not readable, or its manifest is missing or wrong.

    Example:
        >>> inspection = inspect_submission("yolox_nano.onnx")  # doctest: +SKIP
        >>> sum(inspection.bytes_by_part.values()) == inspection.file_bytes  # doctest: +SKIP
        True
    """
    path = Path(path)
    kind = sniff(path)
    manifest = find_manifest(path, kind)
    size = path.stat().st_size
    tensors, overhead, activations = READERS[kind](path)
    parts = Counter(_record_parts(path) if tensors is None else _tensor_parts(tensors))
    parts.update(overhead)
    container = size - parts.total()
    if container < 0:
        raise SubmissionError(f"{path}: its tensors claim more bytes than the file has", remedy="save it again")
    bytes_by_part = {**dict(sorted(parts.items())), CONTAINER: container}
    reason = NOT_READ if tensors is None else None
    return Inspection(path, kind, manifest, size, bytes_by_part, tensors, reason, activations)


class Listing(NamedTuple):
    """A file's tensors, None where they cannot be listed; bytes of none, by what they are for; its grids."""

    tensors: list[Tensor] | None
    overhead: dict[str, int]
    activations: Mapping[str, Activation]


Number = TypeVar("Number", int, float)


def _total(counts: list[Number | None]) -> Number | None:
    """The sum, or None where one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _tensor_parts(tensors: Iterable[Tensor]) -> Counter[str]:
    """Bytes by the first part of a dotted name."""
    parts: Counter[str] = Counter()
    for tensor in tensors:
        parts[_layer(tensor).partition(".")[0]] += tensor.bytes
    return parts


def _layer(tensor: Tensor) -> str:
    """The module a tensor is in: three names of its path and the number after them, so that `blocks.7` is one.

    An ONNX exporter that gives its weights numbers has one layer.
    """
    path, dot, own = tensor.name.rpartition(".")
    if not dot:
        return "initializers" if tensor.codec == "onnx" else own
    names = path.split(".")
    return ".".join(names[: 4 if names[3:4] and names[3].isdigit() else 3])


def _record_parts(path: Path) -> Counter[str]:
    """Bytes of a torch zip's records by kind: "data" are the tensors."""
    parts: Counter[str] = Counter()
    for name, entry in records(path).items():
        folder, slash, _ = name.partition("/")
        if slash and folder in ("data", "code", "constants"):
            parts[folder] += entry.compress_size
    return parts


def _archive_tensors(path: Path) -> Listing:
    from wildbench.submissions import codecs
    from wildbench.submissions.archive import plan, read_submission
    from wildbench.submissions.codecs import tensors_in

    read = read_submission(path)
    parameters = plan(read.manifest, str(path)).parameters
    found = []
    for name, tensor in read.tensors.items():
        record, where = read.records[name], f"{path}: {name}"
        own = read.sizes[name] / max(
            1, sum(part.nbytes for part in tensors_in(record))
        )  # not stored for an earlier one
        found.append(
            Tensor(
                name=name,
                shape=tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                codec=codecs.chain_of(record, where),
                bytes=read.sizes[name],
                nonzero=int(tensor.count_nonzero()),
                parameter=name in parameters,
                bits=codecs.weight_bits(record, where),
                stored_bits=codecs.stored_bits(record, where),
                extra_bits=8 * codecs.table_bytes(record),
                entropy_bytes=min(1.0, own) * codecs.entropy_bytes(record, where),
            )
        )
    return Listing(found, read.overhead, read.activations)


def _onnx_tensors(path: Path) -> Listing:
    """A graph's weights and constants; wide integers and booleans (shapes, axes, flags) count as buffers."""
    import onnx

    from wildbench.submissions.formats import load_graph, named_tensors

    whole = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
    found = []
    for name, tensor in named_tensors(load_graph(path)):
        try:
            values = onnx.numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise SubmissionError(f"{path}: {name} is damaged ({error})", remedy="export it again") from None
        found.append(
            Tensor(
                name=name,
                shape=values.shape,
                dtype=values.dtype.name,
                codec="onnx",
                bytes=tensor.ByteSize(),
                nonzero=int(np.count_nonzero(values)),
                parameter=tensor.data_type not in whole,
                **_value_widths(values.dtype.name),
            )
        )
    return Listing(found, {}, {})


def _export_tensors(path: Path) -> Listing:
    """The weights and constants of a torch.export archive, which JSON documents in it list; older ones pickle them."""
    stored = records(path)
    lists = sorted(name for name in stored if name.startswith("data/") and name.endswith("_config.json"))
    if not any(name.endswith("weights_config.json") for name in lists):
        return Listing(None, {}, {})
    found: list[Tensor] = []
    seen: set[object] = set()
    try:
        for name in lists:
            folder = name.rpartition("/")[0]
            for key, entry in json.loads(read_record(path, name))["config"].items():
                if entry["tensor_meta"] is not None:  # a constant may be an object
                    found.append(_export_tensor(path, key, entry, stored[f"{folder}/{entry['path_name']}"], seen))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise SubmissionError(f"{path}: its list of weights is damaged ({error!r})", remedy="export it again") from None
    return Listing(found, {}, {})


def _export_tensor(path: Path, name: str, entry: dict[str, Any], record: ZipInfo, seen: set[object]) -> Tensor:
    """One entry of a list of weights: a view of a record, which several may share.

    Args:
        path: The archive.
        name: Of the tensor.
        entry: As torch.export writes it.
        record: That holds the values.
        seen: Records and views of the entries before; gets this one's.
    """
    meta = entry["tensor_meta"]
    dtype = EXPORT_DTYPES.get(meta["dtype"])
    shape, strides = (tuple(int(side["as_int"]) for side in meta[key]) for key in ("sizes", "strides"))
    offset = int(meta["storage_offset"]["as_int"])
    view = (record.filename, shape, strides, offset)
    data = read_record(path, record.filename.partition("/")[2])
    tensor = Tensor(
        name=name,
        shape=shape,
        dtype=dtype or f"torch.export's number {meta['dtype']}",
        codec="torch.export",
        bytes=0 if record.filename in seen else record.compress_size,
        nonzero=None if dtype is None or entry["use_pickle"] else _nonzero(data, dtype, shape, strides, offset),
        parameter=bool(entry["is_param"]) and view not in seen,
        **({} if dtype is None else _value_widths(dtype)),
    )
    seen |= {record.filename, view}
    return tensor


def _value_widths(dtype: str) -> dict[str, int]:
    """Widths of values that are stored as they are multiplied, by their type's name: "int8" has 8 bits."""
    digits = "".join(takewhile(str.isdigit, dtype.lstrip("abcdefghijklmnopqrstuvwxyz_")))
    return {"bits": int(digits), "stored_bits": int(digits)} if digits else {}


def _nonzero(data: bytes, dtype: str, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> int | None:
    """Elements of a view that are not zero; None where it has more of them than are stored."""
    import torch

    if not data or 0 in shape:
        return 0
    stored = torch.frombuffer(bytearray(data), dtype=getattr(torch, dtype))
    if math.prod(shape) > stored.numel():
        return None
    return int(stored.as_strided(shape, strides, offset).count_nonzero())


READERS: dict[Kind, Callable[[Path], Listing]] = {
    "wildbench": _archive_tensors,
    "torchscript": lambda path: Listing(None, {}, {}),
    "onnx": _onnx_tensors,
    "pt2": _export_tensors,
}
"""How each format's tensors are listed, which for TorchScript they cannot be without unpickling."""
