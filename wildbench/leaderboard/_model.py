"""What leaderboard.json holds: sections of rows that compare, and the fronts among them.

Keys are those of a scorecard wherever the figure is one of a scorecard's. Rows are plain, so that
`pandas.json_normalize(board, ["sections", "rows"])` is a table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from wildbench.errors import ScorecardError
from wildbench.files import write_atomically
from wildbench.records import read_json, read_version
from wildbench.scorecard import Dataset, Figure, Record, Statistics, Uncertainty

FORMAT_VERSION = 1
"""Version of leaderboard.json."""

Axis = Literal["file_bytes", "macs", "latency_ratio", "latency_p50"]
"""What a front sets AP against."""


class CategoryAccuracy(Record):
    """Accuracy on one category."""

    ap: Figure
    ap50: Figure


class RowSize(Record):
    """Bytes and parameters, as in the scorecard."""

    file_bytes: Figure
    parameters: Figure
    nonzero: Figure
    dense_fp32_bytes: Figure
    bitmask_bytes: Figure | None
    entropy_bytes: Figure | None


class RowCompute(Record):
    """Arithmetic an image, as in the scorecard."""

    macs: Figure
    nonzero_macs: Figure | None
    bops: Figure | None


class RowLatency(Record):
    """Time an image: milliseconds compare within one `hardware` only, ratios within one `reference`."""

    hardware: str = Field(description="Processor and threads, or the CUDA device: times compare within it.")
    reference: str = Field(description="The network whose time the ratio is over: ratios compare within it.")
    p50: Figure
    p90: Figure
    p99: Figure
    reference_ratio: Figure
    peak_memory: Figure


class RowErrors(Record):
    """What each kind of error costs in AP50, and how far scores are from precision."""

    tide: dict[str, Figure]
    ece: Figure


class Standing(Record):
    """Where a row stands in its section by AP, as far as the images can tell."""

    rank: int = Field(
        description="1 + the rows that are better: by a paired 95 % interval above 0, or than a row that is better."
    )
    last: int = Field(description="The last rank it may hold: all rows less those that it is better than.")
    to_best: Figure | None = Field(description="AP less that of the row with the highest; null for that row itself.")

    def places(self, to: str = "–") -> str:
        """The ranks it may hold.

        Example:
            >>> Standing(rank=1, last=3, to_best=None).places()
            '1–3'
        """
        return f"{self.rank}" if self.rank == self.last else f"{self.rank}{to}{self.last}"


class Loss(Record):
    """A row against the dense submission it was made from."""

    sha256: str = Field(description="Of the parent's file, as the manifest states it.")
    id: str | None = Field(description="The parent's row in this section; null where it is not on the board.")
    name: str | None
    ap: Figure = Field(description="AP less the parent's, with the paired interval.")
    file_bytes: Figure = Field(description="Bytes over the parent's.")
    macs: Figure = Field(description="MACs over the parent's.")
    latency: Figure = Field(description="p50 over the parent's on one hardware; else ratios to the reference.")


class Row(Record):
    """One submission on one data set."""

    id: str = Field(description="Name of its folder under results/.")
    name: str
    sha256: str = Field(description="Hash of the submission's file.")
    card_sha256: str
    format: str
    detector: str | None
    authors: list[str]
    licence: str | None
    method: str | None
    training_data: str | None
    trusted: bool = Field(description="Whether the file was opened with --trust.")
    standing: Standing | None = Field(description="null where AP is undefined.")
    accuracy: Statistics
    per_category: dict[str, CategoryAccuracy]
    size: RowSize | None = Field(description="null for a COCO results file, which brings no model.")
    compute: RowCompute | None
    latency: RowLatency | None
    errors: RowErrors | None
    parent: Loss | None = Field(description="null for a submission that names no parent.")
    lineage: list[str] = Field(description="Rows it was made from, nearest first.")


class Front(Record):
    """Rows that no other row of the section beats at both AP and one cost."""

    axis: Axis
    within: str | None = Field(
        description="latency_p50: the hardware, of two rows at least; latency_ratio: the reference network; null: all."
    )
    unit: str
    rows: list[str] = Field(description="Row ids, the cheapest first.")
    hypervolume: Figure = Field(
        description="Mean over budgets, evenly spread on a log scale between `limits`, of the best AP within each."
    )
    limits: tuple[float, float] = Field(description="Costs of the box; its reference point is the higher, with AP 0.")


class Section(Record):
    """Rows that compare: one version of one split, one protocol, one set of categories in the means."""

    id: str
    dataset: Dataset
    protocol: int
    left_out: list[str] = Field(description="Categories that the detectors of this section do not know.")
    uncertainty: Uncertainty | None
    rows: list[Row] = Field(description="By rank, then falling AP, then rising bytes.")
    fronts: list[Front]

    def title(self) -> str:
        """What its rows have in common, in a line."""
        data = self.dataset
        split = f" {data.split}" if data.split else ""
        without = f", without {', '.join(self.left_out)}" if self.left_out else ""
        return f"{data.name}{split}: {data.boxes} boxes in {data.images} images{without}; protocol {self.protocol}"


class Board(Record):
    """The whole leaderboard."""

    format_version: int = FORMAT_VERSION
    sections: list[Section] = Field(description="By data set, split, protocol.")

    def to_json(self) -> str:
        """Indented JSON in the order of the fields, which ends in a newline: same results, same bytes."""
        return self.model_dump_json(indent=1) + "\n"

    def write(self, path: Path) -> None:
        """Write the board, whole or not at all."""
        write_atomically(path, self.to_json().encode())

    def rows(self) -> dict[str, Row]:
        """Every row by its id."""
        return {row.id: row for section in self.sections for row in section.rows}


def read_board(path: Path) -> Board:
    """Read a leaderboard.json of this format.

    Raises:
        ScorecardError: It is missing, damaged, or of another format version.
    """
    missing = ("not-built", "build it")
    document = read_json(path, error=ScorecardError, again="build it again", missing=missing)
    return read_version(
        document,
        Board,
        FORMAT_VERSION,
        path=path,
        error=ScorecardError,
        no_record=("not a leaderboard", "build it again"),
        again="build it again",
    )


def json_schema() -> dict[str, object]:
    """JSON Schema of leaderboard.json, as published in docs/leaderboard.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Board.model_json_schema()}
