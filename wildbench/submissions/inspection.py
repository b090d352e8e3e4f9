"""What is in a submission and how many bytes each part takes, told without running anything of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.errors import SubmissionError
from wildbench.submissions.admission import find_manifest
from wildbench.submissions.formats import Kind, read_record, records, sniff
from wildbench.submissions.manifest import Manifest

CONTAINER = "container"
"""The part of a file that is no tensor: the format's own bookkeeping, the manifest, a graph, padding."""

NOT_READ = "TorchScript keeps the list of its tensors as a pickle, which is not read"

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
        parameter: Whether it is a parameter; False for a buffer such as a running mean.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    codec: str
    bytes: int
    nonzero: int | None
    parameter: bool

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class Inspection:
    """What is in a submission.

    Attributes:
        path: The file.
        kind: Its format.
        manifest: From inside or beside it.
        file_bytes: The file as it is on disk.
        bytes_by_part: Bytes by top-level part of the network, and of the container; they sum to `file_bytes`.
        tensors: In the order of the file; None where they cannot be listed without running it.
        reason: Why `tensors` is None.
    """

    path: Path
    kind: Kind
    manifest: Manifest
    file_bytes: int
    bytes_by_part: dict[str, int]
    tensors: list[Tensor] | None
    reason: str | None = None

    @property
    def parameters(self) -> int | None:
        """Number of parameters, buffers not counted; None where the tensors cannot be listed."""
        return None if self.tensors is None else sum(tensor.elements for tensor in self.tensors if tensor.parameter)

    @property
    def nonzero(self) -> int | None:
        """Number of parameters that are not zero; None where their values cannot be read."""
        counts = None if self.tensors is None else [tensor.nonzero for tensor in self.tensors if tensor.parameter]
        return None if counts is None or None in counts else sum(count for count in counts if count is not None)


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
    if kind == "torchscript":
        parts = Counter({_record_part(name): 0 for name in records(path)})
        for name, entry in records(path).items():
            parts[_record_part(name)] += entry.compress_size
        return Inspection(path, kind, manifest, size, _with_container(parts, size), None, NOT_READ)
    tensors = {"wildbench": _archive_tensors, "onnx": _onnx_tensors, "pt2": _export_tensors}[kind](path)
    return Inspection(path, kind, manifest, size, _with_container(_by_part(tensors), size), tensors)


def _by_part(tensors: Iterable[Tensor]) -> Counter[str]:
    parts: Counter[str] = Counter()
    for tensor in tensors:
        parts[tensor.name.partition(".")[0]] += tensor.bytes
    return parts


def _with_container(parts: Counter[str], file_bytes: int) -> dict[str, int]:
    """The parts, and under "container" all the bytes of the file that are none of theirs."""
    own = parts.pop(CONTAINER, 0)
    rest = file_bytes - sum(parts.values())
    assert rest >= own, "parts of a file are larger than the file"
    return {**dict(sorted(parts.items())), CONTAINER: rest}


def _record_part(name: str) -> str:
    """TorchScript's records by kind: "data" (tensors), "code", "constants"; the rest is container."""
    first = name.partition("/")[0]
    return first if first in ("data", "code", "constants") and "/" in name else CONTAINER


def _archive_tensors(path: Path) -> list[Tensor]:
    from wildbench.submissions import archive, codecs

    read = archive.read_submission(path)
    parameters = archive.parameter_names(read.manifest, str(path))
    seen: set[int] = set()
    found = []
    for name, tensor in read.tensors.items():
        storages = codecs.storages(read.records[name])
        found.append(
            Tensor(
                name=name,
                shape=tuple(tensor.shape),
                dtype=str(tensor.dtype).removeprefix("torch."),
                codec=read.records[name]["codec"],
                bytes=sum(size for address, size in storages.items() if address not in seen),
                nonzero=int(tensor.count_nonzero()),
                parameter=name in parameters,
            )
        )
        seen |= storages.keys()
    return found


def _onnx_tensors(path: Path) -> list[Tensor]:
    """A graph's initializers; wide integers and booleans (shapes, axes, flags) count as buffers."""
    import onnx
    from onnx import numpy_helper

    from wildbench.submissions.onnx_graph import load_graph

    found = []
    for initializer in load_graph(path).graph.initializer:
        try:
            values = numpy_helper.to_array(initializer)
        except (ValueError, TypeError) as error:
            raise SubmissionError(
                f"{path}: {initializer.name} is damaged ({error})", remedy="export it again"
            ) from None
        whole = (onnx.TensorProto.INT64, onnx.TensorProto.INT32, onnx.TensorProto.BOOL)
        found.append(
            Tensor(
                name=initializer.name,
                shape=values.shape,
                dtype=values.dtype.name,
                codec="onnx",
                bytes=initializer.ByteSize(),
                nonzero=int(np.count_nonzero(values)),
                parameter=initializer.data_type not in whole,
            )
        )
    return found


def _export_tensors(path: Path) -> list[Tensor]:
    """The weights of a torch.export archive, which a JSON document in it lists."""
    stored = records(path)
    found = []
    for name in sorted(record for record in stored if record.endswith("weights_config.json")):
        folder = name.rpartition("/")[0]
        for key, weight in json.loads(read_record(path, name))["config"].items():
            found.append(_export_tensor(path, key, weight, f"{folder}/{weight['path_name']}"))
    return found


def _export_tensor(path: Path, name: str, weight: dict[str, Any], record: str) -> Tensor:
    meta = weight["tensor_meta"]
    shape = tuple(side["as_int"] for side in meta["sizes"])
    dtype = EXPORT_DTYPES.get(meta["dtype"], f"ScalarType {meta['dtype']}")
    data = read_record(path, record)
    readable = not weight["use_pickle"] and dtype not in ("bfloat16",) and not dtype.startswith("ScalarType")
    return Tensor(
        name=name,
        shape=shape,
        dtype=dtype,
        codec="torch.export",
        bytes=records(path)[record].compress_size,
        nonzero=int(np.count_nonzero(np.frombuffer(data, dtype))) if readable else None,
        parameter=bool(weight["is_param"]),
    )
