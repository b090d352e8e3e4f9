"""What is in a submission, and how many bytes each part takes; nothing of it runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from wildbench.datasets.findings import WHOLE, Finding
from wildbench.submissions.admission import Admitted
from wildbench.submissions.formats import Rounding
from wildbench.submissions.formats import Tensor as Tensor
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process import Sandbox

CONTAINER = "container"
"""The part of a file that is not tensors: the format's own bookkeeping, the manifest, a graph, padding."""

FP32_BITS, FP32_BYTES = 32, 4

MEMORY = 256
"""Stored numbers that a table needs before it can hold answers."""

FEW_BITS = 8
"""Bits of what is called quantized."""

CLAIM = re.compile(
    r"(?<!not )(?<!no )(?<![a-z0-9])(u?int[248]|w\d+a\d+|(full_)?integer|quant|quanti[sz]\w*|qdq|ptq|qat)(?![a-z0-9])",
    re.IGNORECASE,
)
"""What a file's name or a manifest's method says of a quantized network."""

Number = TypeVar("Number", int, float)


@dataclass(frozen=True)
class Inspection:
    """What is in a submission.

    Attributes:
        path: The file.
        format: Name of its format.
        manifest: From inside or beside it.
        file_bytes: The file as it is on disk, with its companions, a manifest beside it, and its adapter.
        bytes_by_part: Bytes by top-level part of the network, of what else the format lists, and of the container;
            their sum is `file_bytes`.
        tensors: In the order of the file; None where they cannot be listed without running it.
        reason: Why `tensors` is None.
        activations: How a `submission.pt` rounds its activations, by module; no other format says so.
        activation_bits: Bits of what meets a weight, by its name, as `Listing.activation_bits` has them.
        products: Operators that multiply matrices or convolve; None where the file does not say.
        tabled: Stored numbers from which the image only chooses those that are answered.
    """

    path: Path
    format: str
    manifest: Manifest
    file_bytes: int
    bytes_by_part: dict[str, int]
    tensors: list[Tensor] | None
    reason: str | None = None
    activations: Mapping[str, Rounding] = field(default_factory=dict)
    activation_bits: Mapping[str, int] | None = None
    products: int | None = None
    tabled: int = 0

    @property
    def parameters(self) -> int | None:
        """Number of parameters, buffers not counted; None where the tensors cannot be listed."""
        return None if self.tensors is None else sum(tensor.elements for tensor in self.tensors if tensor.parameter)

    @property
    def nonzero(self) -> int | None:
        """Number of parameters that are not zero; None where their values cannot be read."""
        return None if self.tensors is None else _total([t.nonzero for t in self.tensors if t.parameter])

    @property
    def bytes_by_layer(self) -> dict[str, int] | None:
        """Bytes by layer in the order of the file, then the rest of the file; None where they cannot be listed."""
        if self.tensors is None:
            return None
        layers: Counter[str] = Counter()
        for tensor in self.tensors:
            layers[_layer(tensor)] += tensor.bytes
        rest = Counter(self.bytes_by_part)
        rest.subtract(_tensor_parts(self.tensors))
        layers.update({part: size for part, size in rest.items() if size})
        return dict(layers)

    @property
    def bitmask_bytes(self) -> float | None:
        """Bytes of the parameters by MicroNet's rule; None where their values cannot be read."""
        return None if self.tensors is None else _total([t.bitmask_bytes for t in self.tensors if t.parameter])

    @property
    def entropy_bytes(self) -> float | None:
        """Bytes of all tensors at their zeroth-order entropy; None for formats that have no symbols to count."""
        return None if self.tensors is None else _total([tensor.entropy_bytes for tensor in self.tensors])

    @property
    def quantized(self) -> bool:
        """Whether it multiplies integers of few bits, as far as the file or else the manifest says."""
        weights = [tensor.bits for tensor in self.tensors or () if tensor.parameter and tensor.bits]
        bits = [self.manifest.activation_bits] if self.activation_bits is None else self.activation_bits.values()
        return bool(min([FP32_BITS, *weights, *bits]) <= FEW_BITS)

    @property
    def findings(self) -> list[Finding]:
        """Where the file is not what its name or its manifest says; none for a format whose tensors are not listed."""
        return [*_other_activations(self), *_unquantized(self), *_tables(self)]


def inspect_submission(submission: Path | str | Admitted) -> Inspection:
    """Look into a file of any registered format, in a process of its own, or one that is admitted; nothing of it runs.

    Raises:
        SubmissionError: The file is not readable, or its manifest is missing or wrong.

    Example:
        >>> inspection = inspect_submission("yolox_nano.onnx")  # doctest: +SKIP
        >>> sum(inspection.bytes_by_part.values()) == inspection.file_bytes  # doctest: +SKIP
        True
    """
    if isinstance(submission, Path | str):
        with Sandbox(submission, opens=False) as box:
            return inspect_submission(box.admitted)
    admitted = submission
    listing, size = admitted.listing, admitted.size
    parts = _tensor_parts(listing.tensors or ())
    parts.update(listing.overhead)
    container = size - parts.total()
    if container < 0:
        raise admitted.source.error("its tensors claim more bytes than the file has")
    whole = {**dict(sorted(parts.items())), CONTAINER: container}
    listed = listing.tensors, listing.reason, listing.activations, listing.activation_bits
    about = admitted.path, admitted.format.name, admitted.manifest, size, whole, *listed
    return Inspection(*about, products=listing.products, tabled=listing.tabled)


def _total(counts: list[Number | None]) -> Number | None:
    """The sum, or None where a term is unknown."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _tensor_parts(tensors: Iterable[Tensor]) -> Counter[str]:
    """Bytes by the first part of a dotted name."""
    parts: Counter[str] = Counter()
    for tensor in tensors:
        parts[_layer(tensor).partition(".")[0]] += tensor.bytes
    return parts


def _layer(tensor: Tensor) -> str:
    """The module a tensor is in: three names of its path and the number after them, so that `blocks.7` is one."""
    path, dot, own = tensor.name.rpartition(".")
    if not dot or tensor.layer:
        return tensor.layer or own
    names = path.split(".")
    return ".".join(names[: 4 if names[3:4] and names[3].isdigit() else 3])


def _other_activations(inspection: Inspection) -> list[Finding]:
    """The manifest states bits that no activation of the file has."""
    stated, bits = inspection.manifest.activation_bits, set((inspection.activation_bits or {}).values())
    if stated == FP32_BITS or not bits or stated in bits:
        return []
    message = f"activations of {', '.join(map(str, sorted(bits)))} bits; the manifest says {stated}"
    return [Finding("activation-bits", WHOLE, message, "bit operations are counted with the file's", "warning")]


def _unquantized(inspection: Inspection) -> list[Finding]:
    """It is called quantized, and most of it is float32, or takes as many bytes as float32 would."""
    claim, tensors = _claim(inspection), [tensor for tensor in inspection.tensors or () if tensor.elements]
    parameters = inspection.parameters
    if not claim or not parameters:
        return []
    remedy, size, dense = "convert it again", inspection.file_bytes, FP32_BYTES * parameters
    floats = [tensor for tensor in tensors if tensor.dtype == "float32" and tensor.stored_bits == FP32_BITS]
    share = sum(tensor.elements for tensor in floats if tensor.parameter) / parameters
    if share > 1 / 2:
        counts = f"{len(floats)} of {len(tensors)}"
        message = f"{counts} tensors are float32, {share:.0%} of the parameters, in {size:,} bytes; but {claim}"
        return [Finding("not-quantized", WHOLE, message, remedy, "warning")]
    if size > dense:
        message = f"{size:,} bytes, more than the {dense:,} of its parameters as float32; but {claim}"
        return [Finding("larger-than-float32", WHOLE, message, remedy, "warning")]
    return []


def _tables(inspection: Inspection) -> list[Finding]:
    """What it answers is looked up, not calculated."""
    remedy = "say in its card why: a table can hold the answers for known images alone"
    stored = sum(tensor.elements for tensor in inspection.tensors or ())
    if inspection.products == 0 and stored >= MEMORY:
        message = f"{stored:,} stored numbers, and no convolution or matrix product: its answers involve no arithmetic"
        return [Finding("no-product", WHOLE, message, remedy, "warning")]
    if inspection.tabled >= MEMORY:
        message = f"boxes or scores are chosen from {inspection.tabled:,} stored numbers, by no convolution or product"
        return [Finding("lookup-table", WHOLE, message, remedy, "warning")]
    return []


def _claim(inspection: Inspection) -> str | None:
    """Where a file is called quantized, in words."""
    stated, method = inspection.manifest.activation_bits, inspection.manifest.method or ""
    called = {claim[1].lower() for claim in CLAIM.finditer(inspection.path.stem.replace(" ", "_"))}
    if called - {inspection.manifest.input.dtype}:  # bytes may be what it takes
        return f"it is named {inspection.path.name}"
    if found := CLAIM.search(method):
        return f'its method says "{found[0]}"'
    unread = stated <= FEW_BITS and inspection.activation_bits is None
    return f"its manifest says activations of {stated} bits" if unread else None
