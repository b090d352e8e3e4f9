"""Our own file format: a `torch.save` archive of plain data, always readable with `weights_only=True`.

{"format": "wildbench-submission", "version": 2, "manifest": {...}, "groups": {...}, "index": n, "tensors": bytes}

`tensors` is one uint8 tensor: an index of n bytes and then all the tensors' bytes (`payload`). Where activations are
quantized the version is 3 and there is "activations": m, and between the two stand m bytes about them (`activations`).
Version 1 is read too: it has {"state_dict": {name: codec record}} in their place.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wildbench.errors import SubmissionError
from wildbench.files import write_atomically
from wildbench.submissions.archive import _container
from wildbench.submissions.archive._activations import Activation, attach, pack, unpack, widest
from wildbench.submissions.archive._container import PLAIN_VERSION, VERSION, read_content
from wildbench.submissions.archive._rebuild import check_fit, plan, rebuild_with, shapes_of
from wildbench.submissions.archive._widths import groups_of
from wildbench.submissions.codecs import Record, decode, encode, promise
from wildbench.submissions.contract import FORMAT, Manifest, parse_manifest

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
        groups: Groups of normalisation layers that their widths do not tell.
        activations: How activations are quantized, by module; none where they are not.
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
        raise SubmissionError(f"{path}: a submission's suffix is .pt", remedy=f"name it {path.stem}.pt")
    architecture = {"name": detector, "arguments": arguments or {}}
    document = {"name": name or path.stem, "detector": architecture, "categories": categories, **manifest}
    if activations:
        document.setdefault("activation_bits", widest(activations))
    checked = parse_manifest(document, str(path))
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
    index, data = _container.lay_out(records)
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


def read_submission(path: Path) -> Archive:
    """Read a `submission.pt`; nothing in it is executed.

    Args:
        path: The file.

    Returns:
        Its manifest and decoded tensors.

    Raises:
        SubmissionError: It is no submission, of a newer version, damaged, or a tensor's codec is unknown.
    """
    path = Path(path)
    content = read_content(path)
    manifest = parse_manifest(content.manifest, str(path))
    activations = _unpacked(content.activations, manifest, str(path))
    shapes = {key: promise(record, f"{path}: {key}").shape for key, record in content.records.items()}
    check_fit(shapes, manifest, str(path))  # before anything is decoded: it bounds what decoding may take
    tensors = {key: decode(record, f"{path}: {key}") for key, record in content.records.items()}
    return Archive(manifest, tensors, content.records, content.sizes, content.overhead, content.groups, activations)


def read_manifest(path: Path) -> Manifest:
    """The manifest of a `submission.pt`, without decoding its tensors.

    Raises:
        SubmissionError: As `read_submission`.
    """
    return parse_manifest(read_content(Path(path)).manifest, str(path))


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
    """The activations that a file holds, after seeing that they are the detector's and what its manifest says."""
    if not packed:
        return {}
    found = unpack(packed, plan(manifest, where).sites, where)
    if manifest.activation_bits != widest(found):
        raise SubmissionError(
            f"{where}: manifest: activation_bits: {manifest.activation_bits}, but the finest grid has {widest(found)}",
            remedy="leave the key out",
        )
    return found


def _encoded(state: Mapping[str, torch.Tensor], codec: Codecs, where: str) -> dict[str, Record]:
    """The record of each tensor."""
    chosen: Mapping[str, str | Record] = {"*": codec} if isinstance(codec, str) else codec
    records, used = {}, set()
    for name, tensor in state.items():
        pattern = name if name in chosen else next((key for key in chosen if fnmatchcase(name, key)), None)
        way = "raw" if pattern is None else chosen[pattern]
        used.add(pattern)
        if not isinstance(way, (str, dict)):
            raise SubmissionError(
                f"{where}: codec: {name} is to be stored as a {type(way).__name__}",
                remedy="name a chain or give a record",
            )
        records[name] = encode(tensor, way) if isinstance(way, str) else way
        found = promise(records[name], f"{where}: {name}")
        if found.shape != tuple(tensor.shape):
            raise SubmissionError(
                f"{where}: the record for {name} is of {list(found.shape)}, the tensor of {list(tensor.shape)}",
                remedy="quantize the tensor that is saved",
            )
    unused = [key for key in chosen if key not in used and key != "*"]
    if unused:
        raise SubmissionError(f"{where}: codec: no tensor is called {unused[0]!r}", remedy="see model.state_dict()")
    return records
