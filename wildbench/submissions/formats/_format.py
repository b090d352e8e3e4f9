"""What a format of submissions is.

A format is the one thing to write, and to register, for wildbench to take another kind of file:

    [project.entry-points."wildbench.formats"]
    tflite = "my_package.tflite:FORMAT"

`wildbench.submissions.conformance.check_format` checks one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, FiniteFloat

from wildbench.errors import SubmissionError
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.source import Source

if TYPE_CHECKING:
    from wildbench.submissions.decode import Outputs

Inputs = Mapping[str, npt.NDArray[np.generic]]
"""What a network is given: arrays by name, in the order of its signature."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(max_length=2**12)]
"""Limits of what another process may say."""


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
        entropy_bytes: Size at the zeroth-order entropy of the stored symbols, not a bound; zero for bytes shared with
            an earlier tensor. None for formats without such symbols.
        layer: Layer it is counted under, where its name has no path; by default its name.
    """

    name: Name
    shape: tuple[Count, ...]
    dtype: Name
    codec: Name
    bytes: Count
    nonzero: Count | None
    parameter: bool
    bits: Count | None = None
    stored_bits: Count | None = None
    extra_bits: Count = 0
    entropy_bytes: FiniteFloat | None = None
    layer: Name = ""

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
class Rounding:
    """Bits to which a module rounds what enters and what leaves; None for what stays as it is."""

    input: Count | None = None
    output: Count | None = None


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
        products: Operators that multiply matrices or convolve; None where the file does not say.
        tabled: Stored numbers from which the image only chooses those that are answered.
    """

    tensors: list[Tensor] | None
    overhead: dict[Name, Count] = field(default_factory=dict)
    activations: Mapping[Name, Rounding] = field(default_factory=dict)
    reason: Name | None = None
    activation_bits: Mapping[Name, Count] | None = None
    products: Count | None = None
    tabled: Count = 0


@dataclass(frozen=True)
class Port:
    """One input or output of a network.

    Attributes:
        name: In the file.
        shape: None where a side is free.
        dtype: As NumPy names it: "float32", "uint8".
        quantization: Scale and zero point of integers that stand for real numbers, value = scale x (stored - zero).
    """

    name: Name
    shape: tuple[Count | None, ...]
    dtype: Name
    quantization: tuple[FiniteFloat, int] | None = None


@dataclass(frozen=True)
class Signature:
    """What a network takes and gives, as the file itself says.

    Example:
        >>> Signature((Port("images", (1, 3, 64, 64), "float32"),), (Port("output0", (1, 7, 84), "float32"),)).image
        Port(name='images', shape=(1, 3, 64, 64), dtype='float32', quantization=None)
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def image(self) -> Port | None:
        """The input that takes the image: the first with three or four axes, one of them of length 3."""
        return next((port for port in self.inputs if len(port.shape) in (3, 4) and _colours(port.shape)), None)


def _colours(shape: tuple[int | None, ...]) -> bool:
    """Whether the axis of the colours may have length 3, before the rows or after the columns."""
    return any(shape[axis] in (3, None) for axis in (-3, -1))


class Backend(Protocol):
    """An open network on one device. It lives in the sandbox's child process."""

    device: str
    """Where it runs: "cpu", "cuda:0"."""

    def run(self, inputs: Inputs) -> Outputs:
        """One forward pass, finished when it returns.

        Args:
            inputs: Every input of the format's signature, in its dtype and shape. Of a format without a signature the
                image alone, in the manifest's layout.

        Returns:
            The network's output arrays on the host, by name, in its order; real numbers where they are quantized.
        """

    def facts(self) -> dict[str, Any]:
        """JSON values about what really runs.

        "device", its name for people, and "peak_memory", bytes used on an accelerator, or None. Where they can be
        told also "runtime", library and version; "provider", what of it runs the network; and "precision", how many
        operators it runs in which type.
        """


class Format(Protocol):
    """How a kind of file is recognised, described, opened and counted.

    Subclass it to inherit the defaults. Import a format's libraries inside its methods: every command imports the
    formats, and only some open a file.
    """

    name: ClassVar[str]
    """As in the registry and in scorecards: "onnx"."""
    suffix: ClassVar[str]
    """Of its files: ".onnx"."""
    other_suffixes: ClassVar[tuple[str, ...]] = ()
    """That its files may have as well."""
    title: ClassVar[str]
    """For messages, with its article: "an ONNX graph"."""
    runs_code: ClassVar[bool] = True
    """Whether opening a file can run code that is in it; where no jail stands, the record says so."""
    extra: ClassVar[str | None] = None
    """The extra of wildbench that installs its libraries."""
    libraries: ClassVar[tuple[str, ...]] = ()
    """Modules that opening imports; the child imports them before its memory is limited."""
    counter: ClassVar[str | None] = None
    """"module:function" that counts one pass in the child: `function(backend, inputs)` returns the fields of
    `wildbench.measures.compute.Count`, and as "outputs" what the network answered in that pass, by name, where it is
    known. None where nothing can be counted."""

    def sniff(self, source: Source) -> bool:
        """Whether the bytes are of this format. Nothing is unpickled or executed."""

    def companions(self, source: Source) -> Sequence[str]:
        """Files that it cannot do without, by their names relative to it, such as the weights of a graph."""
        return ()

    def manifest(self, source: Source) -> Mapping[str, Any] | str | bytes | None:
        """The manifest inside the file, as JSON text or plain data; None where there is none.

        Raises:
            SubmissionError: The file is damaged.
        """
        return None

    def metadata(self, source: Source) -> Mapping[str, str]:
        """What its tool wrote into the file, or into the file's companions, about it."""
        return {}

    def signature(self, source: Source) -> Signature | None:
        """The network's inputs and outputs; None where the file does not tell without being opened."""
        return None

    def embed(self, source: Source, manifest: Manifest) -> bytes:
        """The file with a manifest put inside.

        Raises:
            SubmissionError: The file cannot take one.
        """
        problem = f"{self.title} has no place for a manifest"
        raise source.error(problem, code="no-slot", remedy="write it beside the file")

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
