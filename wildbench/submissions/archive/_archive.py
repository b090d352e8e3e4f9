"""Saving a detector as a `submission.pt`, reading it back and rebuilding it. `_container` describes the file.

The index is deflated JSON {name: codec record}, in which {"tensor": type, "shape": [...]} stands for a tensor, and
"same": n is added where its bytes are those of the n-th that is stored.
"""

from __future__ import annotations

import io
import json
import math
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from wildbench.errors import SubmissionError
from wildbench.files import write_atomically
from wildbench.submissions.archive._container import (
    LARGEST_TEXT,
    PLAIN_VERSION,
    VERSION,
    Content,
    Stored,
    inflate,
    read_content,
    read_stored,
)
from wildbench.submissions.archive._rebuild import (
    Activation,
    attach,
    check_fit,
    groups_of,
    pack,
    plan,
    rebuild_with,
    shapes_of,
    unpack,
    widest,
)
from wildbench.submissions.codecs import DTYPES, Record, decode, encode, integer, name_of, promise, shape_of
from wildbench.submissions.manifest import FORMAT, Manifest, parse_manifest
from wildbench.submissions.source import AGAIN, Source

Codecs = str | Mapping[str, str | Record]
"""One chain for every tensor, or by the tensor's name a chain or a finished record."""


@dataclass(frozen=True)
class Archive:
    """What a `submission.pt` holds.

    Attributes:
        manifest: Validated.
        tensors: Decoded, by their name in the state dict.
        records: As they are stored.
        sizes: Bytes of each in the file; those that several share are counted for the first.
        overhead: Bytes of the file that belong to no tensor, by what they are for.
        groups: Groups of normalisation layers, where their widths do not imply them.
        activations: How activations are quantized, by module.
    """

    manifest: Manifest
    tensors: dict[str, torch.Tensor]
    records: dict[str, Record]
    sizes: dict[str, int]
    overhead: dict[str, int]
    groups: dict[str, int]
    activations: dict[str, Activation]


def save_submission(
    model: nn.Module | Mapping[str, torch.Tensor],
    path: Path | str,
    *,
    detector: str,
    categories: list[str],
    arguments: dict[str, Any] | None = None,
    name: str | None = None,
    codec: Codecs = "raw",
    activations: Mapping[str, Activation] | None = None,
    **manifest: Any,  # noqa: ANN401 - the manifest validates them
) -> Manifest:
    """Write a detector of the zoo as a `submission.pt`.

    Args:
        model: The detector, or its state dict.
        path: File to write; its suffix must be ".pt".
        detector: Name in the zoo that rebuilds it.
        categories: Names of its labels; the first is label 1.
        arguments: Further arguments of `zoo.build`.
        name: Of the submission; by default the file's, without its suffix.
        codec: How the tensors are stored: a chain such as "fp16", "int8+huffman,fp16" or "smallest"
            (`codecs.chains.encode`); or such chains, and finished records of `codecs.affine` and `codecs.codebook`, by
            tensor. A name may be a pattern ("backbone.*"), the first that matches counts, and the rest is raw.
        activations: How activations are quantized, by module: the detector is rebuilt so that it rounds them. The
            manifest's `activation_bits` follow from it.
        **manifest: Further keys of the manifest: authors, licence, method, training_data, parent, category_map, input.

    Returns:
        The manifest that was written.

    Raises:
        SubmissionError: A key of the manifest is wrong, the tensors or activations do not fit the detector of that
            name, or a codec is unknown or for a tensor that is not there.

    Example:
        >>> save_submission(model, "submission.pt", detector="ssdlite320_mobilenet_v3_large",
        ...                 categories=["zebra", "lion"], authors=["A. Ranger"])  # doctest: +SKIP
    """
    path = Path(path)
    if path.suffix != ".pt":
        problem = f"{path}: a submission's suffix is .pt"
        raise SubmissionError(problem, code="wrong-suffix", remedy=f"name it {path.stem}.pt")
    architecture = {"name": detector, "arguments": arguments or {}}
    document = {"name": name or path.stem, "detector": architecture, "categories": categories, **manifest}
    if activations:
        document.setdefault("activation_bits", widest(activations))
    checked = parse_manifest(document, str(path)).resolved(str(path), layout="list")
    state = model.state_dict() if isinstance(model, nn.Module) else dict(model)
    shapes = shapes_of(state)
    narrowed = check_fit(shapes, checked, str(path))
    records = _encoded(state, codec, str(path))
    groups = {}
    if narrowed:
        groups = groups_of(model, plan(checked, str(path)).groups) if isinstance(model, nn.Module) else {}
        rebuild_with(checked, state, groups, str(path))
    rounded = pack(activations) if activations else b""
    _unpacked(rounded, checked, str(path))
    index, data = lay_out(records)
    plain = {
        "format": FORMAT,
        "version": VERSION if rounded else PLAIN_VERSION,
        "manifest": checked.model_dump(mode="json"),
        "groups": groups,
        "index": len(index),
        **({"activations": len(rounded)} if rounded else {}),
        "tensors": torch.cat([torch.frombuffer(bytearray(index + rounded), dtype=torch.uint8), data]),
    }
    buffer = io.BytesIO()
    torch.save(plain, buffer)
    write_atomically(path, buffer.getvalue())
    return checked


def read_submission(submission: Path | str | Source) -> Archive:
    """Read a `submission.pt`, such as one of your own that is to be compressed; nothing in it is executed.

    It is parsed in this process, within bounds. A stranger's is parsed in a process of its own: see `Sandbox`.

    Raises:
        SubmissionError: It is not a submission, of a newer version, damaged, or a tensor's codec is unknown.
    """
    source = submission if isinstance(submission, Source) else Source.read(submission)
    where, content = str(source.path), source.parsed(read_content)
    manifest = parse_manifest(content.manifest, where)
    activations = _unpacked(content.activations, manifest, where)
    records, sizes = stored_records(content, source)
    shapes = {key: promise(record, f"{where}: {key}").shape for key, record in records.items()}
    check_fit(shapes, manifest, where)  # before anything is decoded: it bounds what decoding may take
    tensors = {key: decode(record, f"{where}: {key}") for key, record in records.items()}
    return Archive(manifest, tensors, records, sizes, content.overhead, content.groups, activations)


def rebuild(archive: Archive, where: str) -> nn.Module:
    """The detector that an archive describes, with its weights, in eval mode on the CPU.

    Its layers have the widths of the stored tensors: channels may have been removed. It rounds the activations that the
    archive says are quantized.

    Raises:
        SubmissionError: The zoo has no such detector, or the tensors do not fit it.
    """
    model = rebuild_with(archive.manifest, archive.tensors, archive.groups, where)
    attach(model, archive.activations)
    return model


def _unpacked(packed: bytes, manifest: Manifest, where: str) -> dict[str, Activation]:
    """The activations that a file holds, checked against its detector and manifest."""
    if not packed:
        return {}
    grids = unpack(packed, plan(manifest, where).sites, where)
    stated, finest = manifest.activation_bits, widest(grids)
    if stated != finest:
        problem = f"{where}: manifest: activation_bits: {stated}, but the finest grid has {finest}"
        raise SubmissionError(problem, code="activation-bits", remedy="leave the key out")
    return grids


def _encoded(state: Mapping[str, torch.Tensor], codec: Codecs, where: str) -> dict[str, Record]:
    """The record of each tensor."""
    chosen: Mapping[str, str | Record] = {"*": codec} if isinstance(codec, str) else codec
    records, used = {}, set()
    for name, tensor in state.items():
        pattern = name if name in chosen else next((key for key in chosen if fnmatchcase(name, key)), None)
        way = "raw" if pattern is None else chosen[pattern]
        used.add(pattern)
        if not isinstance(way, (str, dict)):
            problem = f"{where}: {name} is to be stored as a {type(way).__name__}"
            raise _refusal(problem, "name a chain or give a record")
        records[name] = encode(tensor, way) if isinstance(way, str) else way
        shape = promise(records[name], f"{where}: {name}").shape
        if shape != tuple(tensor.shape):
            problem = f"{where}: the record for {name} has shape {list(shape)}, the tensor {list(tensor.shape)}"
            raise _refusal(problem, "quantize the tensor that is saved")
    unused = [key for key in chosen if key not in used and key != "*"]
    if unused:
        raise _refusal(f"{where}: codec: no tensor is called {unused[0]!r}", "see model.state_dict()")
    return records


def _refusal(problem: str, remedy: str) -> SubmissionError:
    return SubmissionError(problem, code="codec", remedy=remedy)


def lay_out(records: Mapping[str, Record]) -> tuple[bytes, torch.Tensor]:
    """The index of records by name, and the bytes of their tensors, uint8.

    Example:
        >>> index, data = lay_out({"weight": {"codec": "raw", "values": torch.ones(3)}})
        >>> json.loads(zlib.decompress(index))
        {'weight': {'codec': 'raw', 'values': {'tensor': 'float32', 'shape': [3]}}}
        >>> len(data)
        12
    """
    stored: dict[bytes, int] = {}

    def plain(value: Any) -> Any:  # noqa: ANN401 - plain data
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        if not isinstance(value, torch.Tensor):
            return value
        data = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        described = {"tensor": name_of(value.dtype), "shape": list(value.shape)}
        if data in stored:
            return {**described, "same": stored[data]}
        if data:
            stored[data] = len(stored)
        return described

    text = json.dumps({name: plain(record) for name, record in records.items()}, separators=(",", ":")).encode()
    if len(text) > LARGEST_TEXT:
        raise SubmissionError(f"an index of {len(text):,} bytes", code="index-too-large", remedy="store fewer tensors")
    return zlib.compress(text, 9), torch.from_numpy(np.frombuffer(b"".join(stored), np.uint8).copy())


def read_back(index: bytes, data: torch.Tensor, where: str) -> tuple[dict[str, Record], dict[str, int]]:
    """The records that `lay_out` laid out, and the bytes of each in `data`; shared ones count for the first.

    Raises SubmissionError where the two, neither of which is trusted, do not fit each other.
    """
    try:
        plain = json.loads(inflate(index))
        if not isinstance(plain, dict) or not all(isinstance(record, dict) for record in plain.values()):
            raise ValueError("no list of records")
        reader = _Reader(data)
        records, sizes = {}, {}
        for name, record in plain.items():
            before = reader.at
            records[name] = reader.record(record)
            sizes[name] = reader.at - before
        if reader.at != len(data):
            raise ValueError(f"{len(data) - reader.at} bytes that belong to no tensor")
    except (ValueError, KeyError, TypeError, RecursionError, RuntimeError, MemoryError, zlib.error) as error:
        problem = str(error).partition("\n")[0][:200]
        raise SubmissionError(f"{where}: damaged index ({problem})", code="damaged", remedy=AGAIN) from None
    return records, sizes


def stored_records(content: Content, source: Source) -> tuple[dict[str, Record], dict[str, int]]:
    """The codec records of a file, and the bytes of each in it; shared bytes are counted for the first."""
    if content.version > 1:
        return read_back(content.index, _frozen(content.data, torch.uint8), str(source.path))
    opened: dict[str, int] = {}  # bytes by record of the zip

    def whole(value: Any) -> Any:  # noqa: ANN401 - plain data
        if isinstance(value, dict):
            return {key: whole(inner) for key, inner in value.items()}
        if not isinstance(value, Stored):
            return value
        dtype = DTYPES[value.dtype]
        data = read_stored(value, dtype.itemsize, source)
        opened[value.record] = source.records[value.record].file_size if value.record in source.records else 0
        return _frozen(data, dtype).reshape(value.shape)

    records, sizes = {}, {}
    try:
        for name, record in content.records.items():
            before = sum(opened.values())
            records[name] = whole(record)
            sizes[name] = sum(opened.values()) - before
    except RecursionError:
        raise source.error("its records are nested too deeply") from None
    return records, sizes


def _frozen(data: memoryview, dtype: torch.dtype) -> torch.Tensor:
    """Bytes as a vector; not to be written to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has no read-only tensors, and says so
        return torch.frombuffer(data, dtype=dtype) if len(data) else torch.empty(0, dtype=dtype)


class _Reader:
    """Cuts the bytes into the tensors that an index describes.

    However many it describes, and however often the same bytes, they take no more memory than the bytes themselves.
    """

    def __init__(self, data: torch.Tensor) -> None:
        self.at = 0
        self._data = data
        self._places: list[torch.Tensor] = []
        self._aligned: dict[int, torch.Tensor] = {}

    def record(self, plain: dict[str, Any]) -> Record:
        """A record with its tensors, and those of the records in it."""
        record = dict(plain)
        for key, value in plain.items():
            if isinstance(value, dict):
                record[key] = self._tensor(value) if "tensor" in value else self.record(value)
        return record

    def _tensor(self, described: dict[str, Any]) -> torch.Tensor:
        dtype, shape = DTYPES[described["tensor"]], shape_of(described)
        size = dtype.itemsize * math.prod(shape)
        if not size:
            return torch.zeros(shape, dtype=dtype)
        place = len(self._places)
        if "same" in described:
            place = integer(described, "same", 0, place - 1)
        else:
            self._places.append(self._data[self.at : self.at + size])
            self.at += size
        part = self._places[place]
        if len(part) != size:
            raise ValueError("a tensor of more bytes than there are")
        if dtype == torch.uint8:
            return part.reshape(shape)
        if place not in self._aligned:
            self._aligned[place] = part.clone()
        if dtype == torch.bool and int(part.max()) > 1:
            raise ValueError("a boolean that is neither 0 nor 1")
        return self._aligned[place].view(dtype).reshape(shape)
