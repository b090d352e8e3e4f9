"""Whether a file may be opened at all, and by which manifest: decided before anything of it runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from wildbench.errors import SubmissionError, UntrustedSubmission
from wildbench.files import write_atomically
from wildbench.plugins import formats
from wildbench.submissions.contract import Manifest, manifest_path, parse_manifest
from wildbench.submissions.formats._format import Format, Listing
from wildbench.submissions.source import Source


@dataclass(frozen=True)
class Admitted:
    """A submission that may be opened, as far as can be told from outside. Its file was opened once.

    Attributes:
        source: The file's bytes.
        format: Its format.
        manifest: From inside or beside the file.
    """

    source: Source
    format: Format
    manifest: Manifest

    @property
    def path(self) -> Path:
        """Where the file was read, for messages."""
        return self.source.path

    @property
    def sha256(self) -> str:
        """SHA-256 of the file's bytes."""
        return self.source.sha256

    @cached_property
    def listing(self) -> Listing:
        """What is stored in the file.

        Raises:
            SubmissionError: It is damaged.
        """
        return self.format.tensors(self.source, self.manifest)


def admit(submission: Path | str | Admitted, *, trust: bool = False) -> Admitted:
    """Read and check a submission without opening it.

    Args:
        submission: The file; one that is admitted already is returned as it is.
        trust: Whether formats that can run code may be opened.

    Raises:
        SubmissionError: The format is unknown, the file is damaged, its manifest is missing or wrong, or it needs code
            or files from elsewhere.
        UntrustedSubmission: Opening it can run code, and `trust` is False.

    Example:
        >>> admit("yolox_nano.onnx").format.name  # doctest: +SKIP
        'onnx'
    """
    if isinstance(submission, Admitted):
        return submission
    source = Source.read(submission)
    format = recognise(source)
    if format.runs_code and not trust:
        raise UntrustedSubmission(
            f"{source.path}: opening {format.title} can run code that is in the file",
            code="untrusted",
            remedy="if you trust whoever made it, say --trust (in Python trust=True); or export it to ONNX",
        )
    manifest = _manifest(source, format)
    format.check(source, manifest)
    return Admitted(source, format, manifest)


def recognise(source: Source) -> Format:
    """The format of a file, from its bytes.

    Raises:
        SubmissionError: No registered format knows it, or it has the suffix of another one.
    """
    path = source.path
    named_otherwise: list[Format] = []
    for name in formats.names():
        format: Format = formats.get(name)
        if format.sniff(source):
            if path.suffix == format.suffix:
                return format
            named_otherwise.append(format)
    if not named_otherwise:
        raise SubmissionError(
            f"{path}: no format that wildbench knows ({', '.join(formats.names())})",
            code="unknown-format",
            remedy="save it with wildbench.save_submission(model, path, ...), or export it as one of these",
        )
    format = named_otherwise[0]
    raise SubmissionError(
        f"{path}: {format.title} by its bytes, but named {path.suffix or 'without a suffix'}",
        code="wrong-suffix",
        remedy=f"rename it to {path.stem}{format.suffix}",
    )


def embed(path: Path | str, manifest: Manifest) -> None:
    """Put a manifest inside a file that another tool made, in the format's own slot; nothing in the file runs.

    The same can be done at export time, with `manifest.to_json()` as the text: by
    `torch.jit.save(..., _extra_files={"manifest.json": text})`, by `torch.export.save` with the same `extra_files`, or
    by a metadata property "wildbench" of an ONNX model.

    Args:
        path: The file; it is rewritten whole or not at all.
        manifest: Goes in as JSON.

    Raises:
        SubmissionError: The file carries a manifest already, or its format takes none.
    """
    source = Source.read(path)
    write_atomically(source.path, recognise(source).embed(source, manifest))


def _manifest(source: Source, format: Format) -> Manifest:
    """The manifest of a submission, from inside or beside the file."""
    document, outside = format.manifest(source), manifest_path(source.path)
    inside = None if document is None else parse_manifest(document, str(source.path))
    try:
        beside = parse_manifest(outside.read_bytes(), str(outside))
    except FileNotFoundError:
        beside = None
    if inside is not None and beside is not None and inside != beside:
        raise SubmissionError(
            f"{outside}: differs from the manifest inside {source.path.name}",
            code="two-manifests",
            remedy="remove one of the two",
        )
    manifest = inside or beside
    if manifest is None:
        raise SubmissionError(
            f"{source.path}: no manifest inside or beside it",
            code="no-manifest",
            remedy=f"write {outside.name} beside it, as docs/submitting.md shows",
        )
    return manifest
