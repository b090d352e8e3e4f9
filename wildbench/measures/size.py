"""How many bytes a submission takes, told without running anything of it."""

from __future__ import annotations

from pathlib import Path

from wildbench.scorecard import Figure, LayerBytes, Size
from wildbench.submissions.inspection import FP32_BYTES, Inspection, inspect_submission

NO_SYMBOLS = "only a submission.pt is stored by codecs whose symbols can be counted"


def measure_size(path: Path | str) -> Size:
    """Measure a submission file: its bytes, what they are spent on, and what they could be.

    Raises:
        SubmissionError: The file is not readable, or its manifest is missing or wrong.

    Example:
        >>> measure_size("submission.pt").file_bytes.value  # doctest: +SKIP
        7340032.0
    """
    return size_of(inspect_submission(path))


def size_of(inspection: Inspection) -> Size:
    """Make figures of an inspection; `n` of the counts is the number of parameter tensors."""
    tensors = sum(tensor.parameter for tensor in inspection.tensors or ())
    unknown = inspection.reason or "the values of some tensors cannot be read"

    def count(value: float | None, unit: str, why: str = unknown) -> Figure:
        return Figure.undefined(unit, why) if value is None else Figure(value=value, unit=unit, n=tensors)

    parameters, layers = inspection.parameters, inspection.bytes_by_layer
    return Size(
        file_bytes=Figure(value=inspection.file_bytes, unit="B", n=1),
        parameters=count(parameters, "parameters"),
        nonzero=count(inspection.nonzero, "parameters"),
        dense_fp32_bytes=count(None if parameters is None else FP32_BYTES * parameters, "B"),
        bitmask_bytes=count(inspection.bitmask_bytes, "B"),
        entropy_bytes=count(inspection.entropy_bytes, "B", inspection.reason or NO_SYMBOLS),
        by_part={part: Figure(value=size, unit="B") for part, size in inspection.bytes_by_part.items()},
        by_layer=None if layers is None else [LayerBytes(layer=name, bytes=size) for name, size in layers.items()],
    )
