"""Whether a file may be opened at all, and by which manifest: decided before anything of it runs.

Each format's library is imported only where a file of that format is met: the child process of an ONNX graph counts its
memory without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wildbench.errors import SubmissionError, UntrustedSubmission
from wildbench.submissions.contract import Manifest, manifest_path, parse_manifest
from wildbench.submissions.sniff import Kind, read_record, records, sniff

EXTRA_RECORD = "extra/manifest.json"
"""Where TorchScript and torch.export keep the extra file "manifest.json"."""


@dataclass(frozen=True)
class Admitted:
    """A file that may be opened, as far as can be told from outside.

    Attributes:
        path: Absolute.
        kind: Its format.
        manifest: From inside or beside the file.
    """

    path: Path
    kind: Kind
    manifest: Manifest


def admit(path: Path, *, trust: bool) -> Admitted:
    """Check a submission without opening it.

    Args:
        path: The file.
        trust: Whether formats that can run code may be opened.

    Raises:
        SubmissionError: The format is unknown, the file is damaged, its manifest is missing or wrong, or an ONNX graph
            uses operators or files from elsewhere.
        UntrustedSubmission: Opening can run code, and `trust` is False.
    """
    kind = sniff(path)
    if kind in ("torchscript", "pt2") and not trust:
        raise UntrustedSubmission(
            f"{path}: opening {'TorchScript' if kind == 'torchscript' else 'a torch.export archive'} can run code "
            "that is in the file",
            remedy="if you trust whoever made it, say --trust (in Python trust=True); or export it to ONNX",
        )
    if kind == "onnx":
        from wildbench.submissions.formats import onnx_file

        onnx_file.check_self_contained(onnx_file.load_graph(path), path)
    manifest = find_manifest(path, kind)
    if kind == "onnx" and manifest.input.layout == "list":
        raise SubmissionError(
            f"{path}: manifest: input.layout: an ONNX graph takes no list", remedy='say "nchw" or "chw"'
        )
    return Admitted(path.resolve(), kind, manifest)


def find_manifest(path: Path, kind: Kind) -> Manifest:
    """The manifest of a submission, from inside or beside the file; nothing of it runs.

    Raises:
        SubmissionError: There is none, it is wrong, or the two disagree.
    """
    inside, outside = _inside(path, kind), manifest_path(path)
    beside = parse_manifest(outside.read_bytes(), str(outside)) if outside.is_file() else None
    if inside is not None and beside is not None and inside != beside:
        raise SubmissionError(f"{outside}: not the manifest that is inside {path.name}", remedy="remove one of the two")
    found = inside if inside is not None else beside
    if found is None:
        raise SubmissionError(
            f"{path}: no manifest inside or beside it",
            remedy=f"write {outside.name} beside it, as docs/submitting.md shows",
        )
    return found


def _inside(path: Path, kind: Kind) -> Manifest | None:
    if kind == "wildbench":
        from wildbench.submissions.archive import read_manifest

        return read_manifest(path)
    document: str | bytes | None
    if kind == "onnx":
        from wildbench.submissions.formats import onnx_file

        document = onnx_file.read_metadata(onnx_file.load_graph(path))
    else:
        document = read_record(path, EXTRA_RECORD) if EXTRA_RECORD in records(path) else None
    return None if document is None else parse_manifest(document, str(path))
