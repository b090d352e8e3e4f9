"""What leaderboard.json holds: sections of rows that compare, and the fronts among them.

Figures stand by the key of their measure, and `measures` says what each is, so that whoever reads the file needs none
of the packages that a measure came from. Rows are plain: `pandas.json_normalize(board, ["sections", "rows"])` is a
table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from wildbench.errors import ScorecardError
from wildbench.files import write_atomically
from wildbench.records import read_json, read_version
from wildbench.scorecard import Dataset, Figure, Record, Uncertainty

FORMAT_VERSION = 1
"""Version of leaderboard.json."""

RANKED_BY = "ap"
"""Key of the measure that ranks go by, and that fronts set against a cost."""


class Column(Record):
    """A measure of some row: what it is called, and how it is shown. `wildbench.measures.Measure` explains each."""

    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    shown_unit: str
    scale: float
    digits: int
    limits: tuple[float, float] | None = Field(description="Of the log axis, where it is a cost that fronts go by.")
    headline: bool = Field(description="Whether tables have a column of it.")

    @property
    def heading(self) -> str:
        """Title and unit, as tables show it."""
        return f"{self.title}, {self.shown_unit}" if self.shown_unit not in ("", "1") else self.title

    def text(self, figure: Figure | None, missing: str = "-") -> str:
        """The value of a figure in the unit that is shown.

        Example:
            >>> column = Column(key="ap", title="AP", unit="AP", better="higher", shown_unit="%", scale=100.0, digits=1,
            ...     limits=None, headline=True)
            >>> column.heading, column.text(Figure(value=0.456, unit="AP"))
            ('AP, %', '45.6')
        """
        return missing if figure is None or figure.value is None else self.number(figure.value)

    def number(self, value: float) -> str:
        """A value in the unit that is shown."""
        return f"{value * self.scale:,.{self.digits}f}"


class CategoryAccuracy(Record):
    """Accuracy on one category."""

    ap: Figure
    ap50: Figure


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
    costs: dict[str, Figure] = Field(description="Each cost over the parent's, by the key of its measure.")


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
    isolation: str | None = Field(
        description="What kept the detector in: namespaces, landlock, part of them, or process; null where none ran."
    )
    machine: str | None = Field(
        description="The board's own machine, which measured the row; null for a self-reported one, which takes no "
        "rank and is on no front."
    )
    identical_to: list[str] = Field(
        description="Rows of the same detections (the same AP on every drawn set), or of the same weights (as many "
        "parameters and zeros, and their entropy)."
    )
    standing: Standing | None = Field(description="null where AP is undefined, and for a self-reported row.")
    figures: dict[str, Figure] = Field(description="By the key of their measures.")
    told: list[str] = Field(
        description="Keys of the figures that only the detector's own process could tell: they stand on no front."
    )
    within: dict[str, str] = Field(
        description="What two rows must share for a figure to compare, by key: hardware, say."
    )
    per_category: dict[str, CategoryAccuracy]
    errors: RowErrors
    parent: Loss | None = Field(description="null for a submission that names no parent.")
    lineage: list[str] = Field(description="Rows it was made from, nearest first.")

    @property
    def ranked_by(self) -> Figure:
        """The figure that ranks go by."""
        return self.figures.get(RANKED_BY) or Figure.undefined("AP", "not measured")


class Front(Record):
    """Rows that no other row of the section beats at both AP and one cost."""

    axis: str = Field(description="Key of the cost's measure.")
    within: str | None = Field(description="What the rows share so that the cost compares; null where nothing.")
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
    uncertainty: Uncertainty
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
    measures: list[Column] = Field(description="Of the figures of all rows, in the order in which they are shown.")
    sections: list[Section] = Field(description="By data set, split, protocol.")

    def to_json(self) -> str:
        """Indented JSON in the order of the fields, which ends in a newline: same results, same bytes."""
        return self.model_dump_json(indent=1) + "\n"

    def write(self, path: Path) -> None:
        """Write the board, whole or not at all."""
        write_atomically(path, self.to_json().encode())

    @property
    def ranked(self) -> Column:
        """The measure that ranks go by."""
        return next(column for column in self.measures if column.key == RANKED_BY)

    @property
    def headlines(self) -> list[Column]:
        """Measures that tables have a column of."""
        return [column for column in self.measures if column.headline]

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
    no_record, again = ("not a leaderboard", "build it again"), "build it again"
    return read_version(
        document, Board, FORMAT_VERSION, path=path, error=ScorecardError, no_record=no_record, again=again
    )


def json_schema() -> dict[str, object]:
    """JSON Schema of leaderboard.json, as published in docs/leaderboard.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Board.model_json_schema()}
