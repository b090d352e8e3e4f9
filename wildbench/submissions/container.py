"""Reading the plain data of a `submission.pt`, before anything in it is believed."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch

from wildbench.errors import SubmissionError
from wildbench.submissions.codecs.fields import Record
from wildbench.submissions.codecs.storage import tensors_in
from wildbench.submissions.manifest import FORMAT
from wildbench.submissions.payload import read_back
from wildbench.submissions.sniff import DAMAGE, SAVE, pickled_globals, records, sniff

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
