"""What a format of submissions is, and which files may be opened, by which manifest.

A format is the one thing to write, and to register, for wildbench to take another kind of file:

    [project.entry-points."wildbench.formats"]
    tflite = "my_package.tflite:FORMAT"

`wildbench.submissions.formats.check_format` checks one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from wildbench.errors import SubmissionError, UntrustedSubmission
from wildbench.files import write_atomically
from wildbench.plugins import formats
from wildbench.submissions.manifest import Manifest, manifest_path, parse_manifest
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    from wildbench.submissions.archive import Activation
    from wildbench.submissions.decode import Outputs


@dataclass(frozen=True)
class Tensor:
    """One stored tensor.

    Attributes:
        name: Its name in the state dict or graph.
        shape: Of the decoded tensor.
        dtype: Of the decoded tensor.
        codec: How it is stored.
        bytes: What it takes in the file; storage that several tensors share is counted for the first.
        nonzero: Elements that are not zero; None where the values cannot be read.
        parameter: Whether it is a parameter; False for a buffer such as a running mean, and for a second name of one.
        bits: Width of one value as an arithmetic unit takes it; None where that is unknown. With a codebook this is
            the width of its entries: an index is looked up, not multiplied.
        stored_bits: Width of one value as it is stored, before any mask or entropy coding; None where that is unknown.
        extra_bits: What is stored beside the values: scales and zero points, a codebook.
        entropy_bytes: Size at the zeroth-order entropy of the stored symbols, which is no bound; zero for bytes shared
            with an earlier tensor. None for formats without such symbols.
        layer: Layer it is counted under, where its name has no path; by default its name.
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
    layer: str = ""

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
        """Bytes by MicroNet's rule: one bit for each element plus the non-zero values, or all values if that is less.

        MicroNet Challenge (NeurIPS 2019), https://micronet-challenge.github.io/scoring_and_submission.html
        """
        if self.stored_bits is None or self.nonzero is None:
            return None
        masked = self.elements + self.nonzero * self.stored_bits
        return (self.extra_bits + min(self.elements * self.stored_bits, masked)) / 8


@dataclass(frozen=True)
class Listing:
    """What is stored in a file.

    Attributes:
        tensors: In the order of the file; None where they cannot be listed without running it.
        overhead: Bytes of parts of the file that belong to no listed tensor, by what they are for.
        activations: How activations are rounded, by module, where the file says so.
        reason: Why `tensors` is None.
        activation_bits: Bits of the activation that meets a weight, by the weight's name; "" for products of two
            activations. What is not in it meets float32. None where the file does not say.
    """

    tensors: list[Tensor] | None
    overhead: dict[str, int] = field(default_factory=dict)
    activations: Mapping[str, Activation] = field(default_factory=dict)
    reason: str | None = None
    activation_bits: Mapping[str, int] | None = None


class Backend(Protocol):
    """An open network on one device. It lives in the sandbox's child process."""

    device: str
    """Where it runs: "cpu", "cuda:0"."""

    def run(self, image: npt.NDArray[np.generic]) -> Outputs:
        """One forward pass, finished when it returns.

        Args:
            image: Prepared as the manifest asks, 3 x H x W; the backend adds a batch axis where the manifest's layout
                has one.

        Returns:
            The network's output arrays on the host, by name, in its order.
        """

    def facts(self) -> dict[str, Any]:
        """JSON values: "device", its name for people, and "peak_memory", bytes used on an accelerator, or None."""


class Format(Protocol):
    """How a kind of file is recognised, described, opened and counted.

    Subclass it to inherit the defaults. Import a format's libraries inside its methods: every command imports the
    formats, and only some open a file.
    """

    name: ClassVar[str]
    """As in the registry and in scorecards: "onnx"."""
    suffix: ClassVar[str]
    """Of its files: ".onnx"."""
    title: ClassVar[str]
    """For messages, with its article: "an ONNX graph"."""
    runs_code: ClassVar[bool] = True
    """Whether opening a file can run code that is in it, so that a person has to trust it first."""
    extra: ClassVar[str | None] = None
    """The extra of wildbench that installs its libraries."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Modules that opening imports; the child imports them before its memory is limited."""
    counter: ClassVar[str | None] = None
    """"module:function" that counts one pass in the child: `function(backend, image)` returns the fields of
    `wildbench.measures.compute.Count`. None where nothing can be counted."""

    def sniff(self, source: Source) -> bool:
        """Whether the bytes are of this format. Nothing is unpickled or executed."""

    def manifest(self, source: Source) -> Mapping[str, Any] | str | bytes | None:
        """The manifest inside the file, as JSON text or plain data; None where there is none.

        Raises:
            SubmissionError: The file is damaged.
        """

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """The file with a manifest put inside.

        Raises:
            SubmissionError: The file cannot take one.
        """

    def check(self, source: Source, manifest: Manifest) -> None:
        """Refuse what must not be opened; by default nothing.

        Raises:
            SubmissionError: The file needs code or files from elsewhere, or does not go with its manifest.
        """
        return

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """List what is stored, without running anything. Raises as `manifest` does."""

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> Backend:
        """Open the network; called in the child alone.

        Args:
            source: The file.
            manifest: Its manifest.
            device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the format's library has it.
            threads: CPU threads within an operator; None for the library's choice.

        Raises:
            SubmissionError: The library refuses the file, or there is no such device.
        """


def width_of(dtype: str) -> int | None:
    """Bits of values that are stored as they are multiplied, from their type's name.

    Example:
        >>> width_of("int8"), width_of("float8_e4m3fn"), width_of("bool")
        (8, 8, None)
    """
    digits = "".join(takewhile(str.isdigit, dtype.lstrip("abcdefghijklmnopqrstuvwxyz_")))
    return int(digits) if digits else None


def resolve_device(device: str, library: str, has_cuda: Callable[[int], bool]) -> str:
    """The device that a name ("cpu", "cuda", "cuda:N" or "auto") stands for: "cpu" or "cuda:N".

    `has_cuda` says whether the library has the CUDA device with a number.

    Raises:
        SubmissionError: There is no such device.

    Example:
        >>> [resolve_device(name, "torch", lambda number: number < 2) for name in ("auto", "cuda:1")]
        ['cuda:0', 'cuda:1']
    """
    if device == "cpu" or (device == "auto" and not has_cuda(0)):
        return "cpu"
    kind, colon, number = ("cuda" if device == "auto" else device).partition(":")
    index = int(number) if number.isdecimal() else None if colon else 0
    if kind != "cuda" or index is None or not has_cuda(index):
        remedy = f"use --device cpu, or a build of {library} for CUDA"
        raise SubmissionError(f"{library} has no device {device!r} here", code="no-such-device", remedy=remedy)
    return f"cuda:{index}"


@dataclass(frozen=True)
class Admitted:
    """A submission that may be opened, as far as can be told from outside. Its file was read once."""

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
        """What is stored in the file; raises SubmissionError where it is damaged."""
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
        problem = f"{source.path}: opening {format.title} can run code that is in the file"
        remedy = "if you trust whoever made it, say --trust (in Python trust=True); or export it to ONNX"
        raise UntrustedSubmission(problem, code="untrusted", remedy=remedy)
    manifest = _manifest(source, format)
    format.check(source, manifest)
    return Admitted(source, format, manifest)


def recognise(source: Source) -> Format:
    """The format of a file, from its bytes; a SubmissionError where none knows it, or its suffix is another's."""
    path, names = source.path, formats.names()
    candidates: list[Format] = []
    damage: SubmissionError | None = None
    for format in formats.all().values():
        try:
            if format.sniff(source):
                candidates.append(format)
        except SubmissionError as error:  # a zip that torch did not write may be another format's
            damage = damage or error
    for format in candidates:
        if path.suffix == format.suffix:
            return format
    if not candidates and damage:
        raise damage
    if not candidates:
        remedy = "save it with wildbench.save_submission(model, path, ...), or export it as one of these"
        raise source.error(f"not in a known format ({', '.join(names)})", code="unknown-format", remedy=remedy)
    problem = f"{candidates[0].title} by its bytes, but named {path.suffix or 'without a suffix'}"
    raise source.error(problem, code="wrong-suffix", remedy=f"rename it to {path.stem}{candidates[0].suffix}")


def embed(path: Path | str, manifest: Manifest) -> None:
    """Put a manifest, as JSON, in the slot that a file's format has for it. Nothing in the file runs.

    The same can be done at export time, with `manifest.to_json()` as the text: by
    `torch.jit.save(..., _extra_files={"manifest.json": text})`, by `torch.export.save` with the same `extra_files`, or
    by a metadata property "wildbench" of an ONNX model.

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
    if inside and beside and inside != beside:
        problem = f"{outside}: differs from the manifest inside {source.path.name}"
        raise SubmissionError(problem, code="two-manifests", remedy="remove one of the two")
    manifest = inside or beside
    if manifest is None:
        remedy = f"write {outside.name} beside it, as docs/submitting.md shows"
        raise source.error("no manifest inside or beside it", code="no-manifest", remedy=remedy)
    return manifest
