"""Which format a file has, told from its bytes alone: nothing is unpickled, nothing is executed."""

from __future__ import annotations

import lzma
import pickletools
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Literal

from wildbench.errors import SubmissionError

Kind = Literal["wildbench", "torchscript", "onnx", "pt2"]

SUFFIXES: dict[Kind, str] = {"wildbench": ".pt", "torchscript": ".pt", "onnx": ".onnx", "pt2": ".pt2"}

EXPORT = "export it as TorchScript, torch.export or ONNX"
SAVE = "save it with wildbench.save_submission(model, path, ...)"

PLAIN_DATA = {
    "torch",
    "torch._utils",
    "torch._tensor",
    "torch.serialization",
    "torch.storage",
    "collections",
    "_codecs",
}
"""Modules that a pickle of tensors and containers names; a global of any other module is an object with code."""

DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    OSError,
    ValueError,
    EOFError,
    RuntimeError,  # encrypted, or zipped in a way that Python does not know
)
"""What `zipfile` raises for an archive that it cannot read."""


def sniff(path: Path) -> Kind:
    """Tell a submission's format.

    Args:
        path: The file.

    Returns:
        "wildbench" for any `torch.save` archive of plain data (whether it is a submission is told by reading it),
        "torchscript", "onnx" or "pt2".

    Raises:
        SubmissionError: There is no such file, it is empty, damaged, a pickled object, of no known format, or has the
            suffix of another one.
    """
    if not path.is_file():
        raise SubmissionError(f"{path}: no such file", remedy="check the path")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise SubmissionError(f"{path}: the file is empty", remedy="save or download it again")
    if head.startswith(b"PK\x03\x04"):
        kind = _sniff_zip(path)
    elif head.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")):
        raise SubmissionError(
            f"{path}: a bare pickle, as torch.save wrote before 1.6, and unpickling runs whatever code the file names",
            remedy=f"load it where you trust it and {SAVE}",
        )
    elif head.startswith(b"\x08") or path.suffix == ".onnx":
        kind = "onnx"  # the first field of a ModelProto is ir_version; the rest is checked when it is parsed
    else:
        raise SubmissionError(
            f"{path}: neither a submission.pt nor TorchScript, .pt2 or ONNX", remedy=f"{SAVE} or {EXPORT}"
        )
    if path.suffix != SUFFIXES[kind]:
        raise SubmissionError(
            f"{path}: {kind} by its bytes, but named {path.suffix or 'without a suffix'}",
            remedy=f"rename it to {path.stem}{SUFFIXES[kind]}",
        )
    return kind


def records(path: Path) -> dict[str, zipfile.ZipInfo]:
    """The records of a torch zip, by name without the archive's root folder.

    Raises:
        SubmissionError: The zip is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _entries(archive)
    except DAMAGE as error:
        raise SubmissionError(f"{path}: damaged or cut short ({error})", remedy="save or download it again") from None


def read_record(path: Path, name: str) -> bytes:
    """The bytes of one record of a torch zip.

    Raises:
        SubmissionError: The zip is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(_entries(archive)[name])
    except DAMAGE as error:
        raise SubmissionError(f"{path}: {name} is damaged ({error})", remedy="save or download it again") from None


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    return {entry.filename.partition("/")[2]: entry for entry in archive.infolist() if not entry.is_dir()}


def _sniff_zip(path: Path) -> Kind:
    found = records(path)
    if "constants.pkl" in found and any(name.startswith("code/") for name in found):
        return "torchscript"
    if "archive_format" in found or "models/model.json" in found:
        return "pt2"
    if "data.pkl" not in found:
        raise SubmissionError(f"{path}: a zip that torch did not write", remedy=f"{SAVE} or {EXPORT}")
    objects = [name for name in pickled_globals(path) if name.rpartition(".")[0] not in PLAIN_DATA]
    if objects:
        raise SubmissionError(
            f"{path}: a pickled {objects[0]}, and unpickling an object runs whatever code the file names",
            remedy=f"{SAVE}, or {EXPORT} and evaluate it with --trust",
        )
    return "wildbench"


def pickled_globals(path: Path) -> list[str]:
    """Names of all that the pickle of a torch zip would import, in the order of the file.

    Raises:
        SubmissionError: It is damaged.
    """
    names, strings = [], [""]
    try:
        for opcode, argument, _ in pickletools.genops(read_record(path, "data.pkl")):
            if opcode.name == "GLOBAL":
                names.append(str(argument).replace(" ", "."))
            elif opcode.name == "STACK_GLOBAL":
                names.append(".".join(strings[-2:]))
            elif isinstance(argument, str):
                strings.append(argument)
    except ValueError as error:
        raise SubmissionError(f"{path}: data.pkl is damaged ({error})", remedy="save it again") from None
    return names
