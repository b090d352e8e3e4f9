"""The record of one evaluation: its schema and its file.

A scorecard is one JSON document with sorted keys. Every measured number in it is a `Figure`, so a reader never has to
guess a unit, a sample size, or whether a missing number was zero, forgotten or undefined. Keys are the field's own
(COCO's AP names, MLPerf's percentiles).
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from wildbench.errors import ScorecardError, needs
from wildbench.files import write_atomically
from wildbench.records import read_json, read_version
from wildbench.scorecard._audit import Audit
from wildbench.scorecard._cost import Compute, Latency, Size
from wildbench.scorecard._detection import Accuracy, Errors
from wildbench.scorecard._field import FieldFigures
from wildbench.scorecard._figure import Figure, Keyed, Label, Listed, Record, Text
from wildbench.scorecard._provenance import Dataset, Environment, Execution, Protocol, Submission

if TYPE_CHECKING:
    import pandas

FORMAT_VERSION = 1
"""Version of the record; a reader refuses newer ones."""

MOST_BYTES = 1 << 20
"""Of a record's file."""


class Scorecard(Record):
    """The whole record."""

    format_version: int = FORMAT_VERSION
    submission: Submission
    protocol: Protocol
    dataset: Dataset
    accuracy: Accuracy
    size: Size | None = Field(description="null for a COCO results file, which brings no model.")
    compute: Compute | None = Field(description="null for a COCO results file.")
    latency: Latency | None = Field(description="null for a COCO results file.")
    execution: Execution | None = Field(default=None, description="null for a COCO results file.")
    field: FieldFigures | None = Field(default=None, description="null in records made before docs/field.md.")
    measures: Keyed[Figure] = Field(
        default_factory=dict, description="Figures that installed packages add, by the key of their measure."
    )
    errors: Errors
    notes: Listed[Text] = Field(
        default_factory=list, description="What looks wrong in the labels or the detections, a line each."
    )
    audits: list[Audit] = Field(
        default_factory=list,
        max_length=40,
        description="Checks of this evaluation; docs/protocol.md states each.",
    )
    told: Listed[Label] = Field(
        default_factory=list,
        max_length=20,
        description="Paths of what only the detector's own process can tell, in which a submission's code may run: "
        "nothing is ranked by it.",
    )
    environment: Environment

    def __repr__(self) -> str:
        figures = self.headline().items()
        shown = ", ".join(f"{title} {figure.read()}" for title, figure in figures if figure.value is not None)
        place = f"{self.dataset.name} {self.dataset.split or ''}".rstrip()
        return f"Scorecard({self.submission.name} on {place}: {shown})"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{html.escape(title)}</th><td>{html.escape(figure.read())}</td>"
            f"<td>{html.escape(figure.range())}</td></tr>"
            for title, figure in self.headline().items()
        )
        data = self.dataset
        name = f"{self.submission.name}: {data.name} {data.split or ''}, {data.boxes} boxes in {data.images} images"
        return f"<table><caption>{html.escape(name)}</caption>{rows}</table>"

    def headline(self) -> dict[str, Figure]:
        """The figures that people ask for first, by title; those of packages come last."""
        figures = {"AP": self.accuracy.ap, "AP50": self.accuracy.ap50}
        if self.size:
            figures["file"] = self.size.file_bytes
        if self.compute:
            figures["MACs"] = self.compute.macs
        if self.latency:
            figures["p50"] = self.latency.p50
        return figures | self.measures

    def failed_audits(self) -> dict[str, str]:
        """What speaks against the figures: the explanation of each audit that was not passed, by its name."""
        return {audit.name: audit.explanation for audit in self.audits if audit.failed}

    def figures(self) -> dict[str, Figure]:
        """Every figure of the record by its path, such as `accuracy.per_category.lion.ap50`."""
        return dict(_figures_in(self, ()))

    def to_frame(self) -> pandas.DataFrame:
        """A table with one row for each figure: value, unit, low, high, n, reason, caution; its index is the path.

        Raises:
            MissingExtra: pandas is not installed.
        """
        with needs("board"):
            import pandas
        rows = {
            path: {
                "value": figure.value,
                "unit": figure.unit,
                "low": figure.interval[0] if figure.interval else None,
                "high": figure.interval[1] if figure.interval else None,
                **figure.model_dump(include={"n", "reason", "caution"}),
            }
            for path, figure in self.figures().items()
        }
        return pandas.DataFrame.from_dict(rows, orient="index").astype({"n": "Int64"})  # a count, or none

    def to_json(self) -> str:
        """The record as sorted JSON that ends in a newline, indented if not too large then: same record, same bytes."""
        document = self.model_dump(mode="json")
        text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        if len(text.encode()) > MOST_BYTES:
            text = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n"
        return text

    def write(self, path: Path) -> None:
        """Write the record to `path`, whole or not at all."""
        write_atomically(path, self.to_json().encode())


def _figures_in(part: object, path: tuple[str, ...]) -> Iterator[tuple[str, Figure]]:
    if isinstance(part, Figure):
        yield ".".join(path), part
    elif isinstance(part, Record):
        for name in type(part).model_fields:
            yield from _figures_in(getattr(part, name), (*path, name))
    elif isinstance(part, dict):
        for name, value in part.items():
            yield from _figures_in(value, (*path, name))


def read_scorecard(path: Path) -> Scorecard:
    """Read a record.

    Raises:
        ScorecardError: The file is missing, too large, damaged, not a scorecard, or written by a newer wildbench.
    """
    path = Path(path)
    no_record, again = ("not a scorecard", "give a file that evaluate wrote"), "evaluate the submission again"
    document = read_json(path, error=ScorecardError, again=again, most=MOST_BYTES)
    return read_version(
        document, Scorecard, FORMAT_VERSION, path=path, error=ScorecardError, no_record=no_record, again=again
    )


def json_schema() -> dict[str, object]:
    """JSON Schema of the record, as published in docs/scorecard.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scorecard.model_json_schema()}
