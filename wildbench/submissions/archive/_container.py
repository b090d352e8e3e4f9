"""Reading the plain data of a `submission.pt`, before anything in it is believed."""

from __future__ import annotations

import json
import math
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs import DTYPES, Record, integer, name_of, shape_of, tensors_in
from wildbench.submissions.contract import FORMAT
from wildbench.submissions.sniff import DAMAGE, SAVE, pickled_globals, records, sniff

LARGEST_INDEX = 2 * 2**20
"""Bytes of an index before it is deflated; Faster R-CNN's, with every codec composed, has 0.1 million."""


def lay_out(records: Mapping[str, Record]) -> tuple[bytes, torch.Tensor]:
    """Lay records out.

    Args:
        records: By name.

    Returns:
        The index: deflated JSON {name: record}, in which {"tensor": type, "shape": [...]} stands for a tensor, and
        "same": n is added where its bytes are those of the n-th that is stored. And the bytes of the tensors, uint8.

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
    if len(text) > LARGEST_INDEX:
        raise SubmissionError(f"an index of {len(text):,} bytes", remedy="store fewer tensors")
    return zlib.compress(text, 9), torch.from_numpy(np.frombuffer(b"".join(stored), np.uint8).copy())


def read_back(index: bytes, data: torch.Tensor, where: str) -> tuple[dict[str, Record], dict[str, int]]:
    """The records that `lay_out` laid out, and the bytes that each takes in `data`.

    Bytes that several share are counted for the first.

    Args:
        index: Untrusted.
        data: Untrusted, uint8.
        where: The file, for the message.

    Raises:
        SubmissionError: The two do not fit each other.
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
            raise ValueError(f"{len(data) - reader.at} bytes of no tensor")
    except (ValueError, KeyError, TypeError, RecursionError, RuntimeError, MemoryError, zlib.error) as error:
        said = str(error).partition("\n")[0][:200]
        raise SubmissionError(f"{where}: damaged index ({said})", remedy="save or download it again") from None
    return records, sizes


def inflate(data: bytes) -> bytes:
    """Deflated text, at most `LARGEST_INDEX` bytes of it.

    Args:
        data: Untrusted.

    Raises:
        ValueError: It is longer, or there is more in the data.
        zlib.error: It is not deflated.
    """
    decoder = zlib.decompressobj()
    text = decoder.decompress(data, LARGEST_INDEX)
    if not decoder.eof or decoder.unused_data:
        raise ValueError(f"no deflated text of at most {LARGEST_INDEX:,} bytes")
    return text


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
        found: Record = {}
        for key, value in plain.items():
            if isinstance(value, dict):
                found[key] = self._tensor(value) if "tensor" in value else self.record(value)
            else:
                found[key] = value
        return found

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
            raise ValueError("a truth value that is neither")
        return self._aligned[place].view(dtype).reshape(shape)


VERSION = 3
"""Newest version of the archive. Versions 1 and 2 are read too; anything newer is refused."""

PLAIN_VERSION = 2
"""Version of an archive without quantized activations, which readers of version 2 would leave out unseen."""

CALLED = {"torch._utils._rebuild_tensor_v2", "collections.OrderedDict"}
"""What the pickle of plain tensors calls, storage types apart; others that torch would load could allocate any size."""

AGAIN = "save or download it again"


@dataclass(frozen=True)
class Content:
    """What a `submission.pt` holds, not yet decoded.

    Attributes:
        manifest: Plain data, not yet validated.
        records: By tensor.
        sizes: Bytes of each in the file; those that several share are counted for the first.
        overhead: Bytes of the file that belong to no tensor, by what they are for.
        groups: Groups of normalisation layers that their widths do not tell.
        activations: How activations are quantized, packed; empty where they are not.
    """

    manifest: dict[str, Any]
    records: dict[str, Record]
    sizes: dict[str, int]
    overhead: dict[str, int]
    groups: dict[str, int]
    activations: bytes = b""


def read_content(path: Path) -> Content:
    """Read the plain data of a submission; nothing in it is executed, and nothing is decoded.

    Raises:
        SubmissionError: It is no submission, of a newer version, or damaged.
    """
    if sniff(path) != "wildbench":
        raise SubmissionError(f"{path}: not a submission.pt of plain data", remedy="use `wildbench inspect` on it")
    entries = _check_zip(path)
    calls = [name for name in pickled_globals(path) if name not in CALLED and not name.endswith("Storage")]
    if calls:
        raise SubmissionError(f"{path}: {calls[0]} is no plain tensor", remedy=SAVE)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # the unpickler raises errors of many kinds for a damaged stream
        raise SubmissionError(f"{path}: not readable as plain data ({str(error)[:200]})", remedy=SAVE) from None
    version = _version(content, path)
    if not isinstance(content.get("manifest"), dict):
        raise SubmissionError(f"{path}: `manifest` or its tensors are missing", remedy=SAVE)
    if (version == VERSION) != ("activations" in content):
        raise SubmissionError(f"{path}: `activations` do not belong to version {version}, or are missing", remedy=SAVE)
    return _first_version(content, path) if version == 1 else _packed(content, entries, path)


def _check_zip(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The entries of the file, after seeing that they are stored as they are, once each, and undamaged."""
    entries = records(path)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries.values()):
        raise SubmissionError(
            f"{path}: its records are zipped, so that their bytes are not what they take",
            remedy="save them with a codec instead",
        )
    try:
        with zipfile.ZipFile(path) as archive:
            if len(archive.namelist()) != len(set(archive.namelist())):
                raise zipfile.BadZipFile("a record is there twice")
            damaged = archive.testzip()
    except DAMAGE as error:
        raise SubmissionError(f"{path}: damaged or cut short ({error})", remedy=AGAIN) from None
    if damaged is not None:
        raise SubmissionError(f"{path}: {damaged} is damaged", remedy=AGAIN)
    return entries


def _version(content: Any, path: Path) -> int:  # noqa: ANN401 - whatever the file holds
    if not isinstance(content, dict) or "format" not in content:
        tensors = isinstance(content, dict) and any(isinstance(value, torch.Tensor) for value in content.values())
        what = "a bare state dict, which does not say what detector it belongs to" if tensors else "no submission"
        raise SubmissionError(
            f"{path}: {what}",
            remedy="wrap it: wildbench.save_submission(state_dict, path, detector=..., categories=[...])",
        )
    tag, version = content["format"], content.get("version")
    if not isinstance(tag, str) or tag != FORMAT:
        shown = repr(tag[:40]) if isinstance(tag, str) else f"of type {type(tag).__name__}"
        raise SubmissionError(f"{path}: format tag {shown} is not {FORMAT!r}", remedy=SAVE)
    if type(version) is not int or not 1 <= version <= VERSION:
        shown = str(version)[:40] if isinstance(version, (int, str)) else f"of type {type(version).__name__}"
        raise SubmissionError(
            f"{path}: format version {shown} is newer than this wildbench reads ({VERSION})",
            remedy="upgrade wildbench",
        )
    return version


def _first_version(content: dict[str, Any], path: Path) -> Content:
    """{"state_dict": {name: record}}, one zip entry a storage."""
    stored = content.get("state_dict")
    if not isinstance(stored, dict) or not all(isinstance(name, str) for name in stored):
        raise SubmissionError(f"{path}: `manifest` or `state_dict` is missing", remedy=SAVE)
    seen: set[int] = set()
    sizes = {}
    for name, record in stored.items():
        tensors = tensors_in(record) if isinstance(record, dict) else ()
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
        sizes[name] = sum(size for address, size in storages.items() if address not in seen)
        seen |= storages.keys()
    return Content(content["manifest"], stored, sizes, {}, {})


def _packed(content: dict[str, Any], entries: dict[str, zipfile.ZipInfo], path: Path) -> Content:
    """{"index": its bytes, "activations": their bytes, "tensors": uint8, "groups": {...}}."""
    whole, groups = content.get("tensors"), content.get("groups")
    length, more = _count(content.get("index")), _count(content.get("activations", 0))
    if not _is_bytes(whole) or length is None or more is None or length + more > len(whole):
        raise SubmissionError(f"{path}: `index` or `tensors` is missing or damaged", remedy=AGAIN)
    index, activations, data = whole[:length], whole[length : length + more], whole[length + more :]
    if not isinstance(groups, dict) or any(
        not isinstance(name, str) or type(count) is not int or count < 1 for name, count in groups.items()
    ):
        raise SubmissionError(f"{path}: `groups` is damaged", remedy=AGAIN)
    found, sizes = read_back(index.numpy().tobytes(), data, str(path))
    return Content(
        manifest=content["manifest"],
        records=found,
        sizes=sizes,
        overhead={
            "manifest": entries["data.pkl"].file_size,
            "index": length,
            **({"activations": more} if more else {}),
        },
        groups=groups,
        activations=activations.numpy().tobytes(),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _is_bytes(value: object) -> TypeGuard[torch.Tensor]:
    return (
        isinstance(value, torch.Tensor)
        and value.layout == torch.strided
        and value.dtype == torch.uint8
        and value.dim() == 1
        and value.is_contiguous()
        and value.nbytes <= value.untyped_storage().nbytes()
    )
