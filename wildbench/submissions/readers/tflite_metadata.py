"""TFLite Metadata, as Model Maker, MediaPipe and the Task Library write and read it: a flatbuffer within the graph.

Numbers of fields are those of metadata_schema.fbs in MediaPipe's repository; its files of labels are zipped behind the
graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wildbench.submissions.graphs import Table, read_lite
from wildbench.submissions.readers._reader import Described, Words

KEY = "TFLITE_METADATA"
NORMALIZATION, CALIBRATION = 1, 2
"""Options of a process unit."""

BOUNDARIES, RATIO = 1, 0
BOX, LABELS = 3, 3
"""Kinds of contents, and of files."""

FORMS = {(1, 0, 3, 2): "yxyx", (0, 1, 2, 3): "xyxy"}
PARTS = {"location": "boxes", "category": "labels", "score": "scores", "number of detections": "count"}


def read(described: Described, draft: Mapping[str, Any]) -> Words | None:
    """Labels, normalisation and the four outputs; None where there are none, as of a graph that ends in anchors."""
    content = described.source.parsed(read_lite).metadata.get(KEY) if described.format.name == "litert" else None
    parts = Table.root(content).tables(3) if content else []
    inputs, outputs = (parts[0].tables(field) for field in (2, 3)) if parts else ([], [])
    names = [PARTS.get(tensor.text(0).lower(), "") for tensor in outputs]
    if not inputs or sorted(names) != sorted(PARTS.values()) or described.signature is None:
        return None
    by_part = dict(zip(names, outputs, strict=True))
    places = {name: port.name for name, port in zip(names, described.signature.outputs, strict=True)}
    manifest = {
        "detector": {"name": Table.root(content or b"").text(0) or "TFLite"},
        "licence": Table.root(content or b"").text(5),
        "categories": _labels(described, [*by_part["labels"].tables(6), *by_part["scores"].tables(6)]),
        "input": _input(described, inputs[0]),
        "output": _output(by_part, places),
    }
    return Words(manifest, "labels, normalisation and outputs from TFLite Metadata")


def _labels(described: Described, files: list[Table]) -> list[str]:
    name = next((file.text(0) for file in files if file.number(2, "<b") == LABELS), "")
    return [line.strip() or "N/A" for line in described.metadata.get(name, "").splitlines()]


def _options(tensor: Table, kind: int) -> Table | None:
    """What the process unit of a kind says."""
    return next((unit.table(1) for unit in tensor.tables(4) if unit.number(0, "<B") == kind), None)


def _input(described: Described, tensor: Table) -> dict[str, Any]:
    """The Task Library's: a stretch to the graph's size; floats have a mean and a deviation, bytes go in as is."""
    port = described.signature.image if described.signature else None
    options = _options(tensor, NORMALIZATION)
    mean, std = (options.numbers(field, "<f4").tolist() if options else [] for field in (0, 1))
    if port is not None and port.dtype == "uint8" and port.quantization:
        scale, zero = port.quantization
        mean, std = [float(zero)], [1 / scale]  # undone when they are quantized
    contract = {"resize": "stretch", "scale": "0-255"}
    return contract | ({"mean": mean * (3 // len(mean)), "std": std * (3 // len(std))} if mean and std else {})


def _output(by_part: Mapping[str, Table], places: Mapping[str, str]) -> dict[str, Any] | None:
    """Detections; None for boxes of another form, and for scores that are calibrated afterwards."""
    content = by_part["boxes"].table(3)
    box = content.table(1) if content and content.number(0, "<B") == BOX else None
    form = FORMS.get(tuple(box.numbers(0, "<u4").tolist())) if box else None
    if box is None or form is None or box.number(1, "<b") != BOUNDARIES or _options(by_part["scores"], CALIBRATION):
        return None
    unit = "fractions" if box.number(2, "<b") == RATIO else "pixels"
    return {
        "kind": "described",
        "boxes": {"output": places["boxes"], "form": form, "unit": unit},
        "labels": {"output": places["labels"], "first": 0},
        "scores": {"output": places["scores"]},
        "count": places["count"],
    }
