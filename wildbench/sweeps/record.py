"""The record of a sweep: the figures of every point, and its difference from its dense parent on the same images."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue

from wildbench.comparison import SIZES, Comparison
from wildbench.comparison import Change as Compared
from wildbench.errors import ScorecardError, needs
from wildbench.files import write_atomically
from wildbench.measures import all_measures
from wildbench.records import read_json, read_version
from wildbench.scorecard import Dataset, Environment, Figure, Record, Scorecard
from wildbench.sweeps.grid import Plan, Sweep

if TYPE_CHECKING:
    import pandas

FORMAT_VERSION = 1
"""Of a written summary."""

PAIRED = ("ap", "ap50")
"""Figures that are compared with the dense parent's over all categories."""


class Change(Record):
    """One figure of a compressed detector against its dense parent's, paired on the same images."""

    n: int = Field(description="Boxes it is over.")
    dense: float | None
    value: float | None
    difference: float | None = Field(description="value less dense.")
    interval: tuple[float, float] | None = Field(description="95 % interval of the difference, for itself alone.")
    smallest: float | None = Field(
        default=None, description="Difference that these images would show, corrected; null in older records too."
    )
    caution: str | None
    verdict: str = Field(description="Corrected for the comparisons of this point, not for there being many points.")


class Measured(Record):
    """One submission and its figures."""

    name: str
    sha256: str
    detector: str | None
    method: str | None
    figures: dict[str, Figure] = Field(description="By the key of the measure (`wildbench.plugins.measures`).")

    def value(self, key: str) -> float | None:
        """The value of a figure; None if it is undefined or was not measured."""
        figure = self.figures.get(key)
        return None if figure is None else figure.value


class StepRecord(Record):
    """One step of a chain, with every setting."""

    method: str
    settings: dict[str, JsonValue]


class PointRecord(Measured):
    """One point of the grid."""

    recipe: str
    steps: list[StepRecord]
    settings: dict[str, JsonValue] = Field(description="What the grid changed in the recipe.")
    format: str = Field(description="Of the file: pt, or onnx, which ONNX Runtime runs.")
    seed: int
    dense: str = Field(description="Name of the dense parent.")
    parent: str = Field(description="Hash of its file.")
    ratio: float = Field(description="Bytes of the dense file over those of this one.")
    overall: dict[str, Change] = Field(description="ap and ap50 against the parent.")
    sizes: dict[str, Change] = Field(description="ap_small, ap_medium and ap_large.")
    per_category: dict[str, Change] = Field(description="ap50 of each category.")


class Failure(Record):
    """A point that could not be made, and why."""

    name: str
    reason: str


class Summary(Record):
    """A sweep that was run."""

    format_version: int = FORMAT_VERSION
    wildbench: str
    sweep: str
    summary: str
    dataset: Dataset
    drawn: str | None = Field(description="What the paired bootstrap draws: images, or locations. null without points.")
    groups_drawn: int | None = Field(description="How many of them there are.")
    replicates: int | None
    environment: Environment
    dense: list[Measured]
    points: list[PointRecord]
    failed: list[Failure]

    def __repr__(self) -> str:
        return f"Summary({self.sweep}: {len(self.points)} points on {self.dataset.name} {self.dataset.split or ''})"

    def _repr_html_(self) -> str:
        return str(self.to_frame()[["file_bytes", "ratio", "ap50", "ap50_difference"]].to_html())

    def to_frame(self) -> pandas.DataFrame:
        """A table with one row per point and the columns of the CSV, indexed by name; MissingExtra without pandas."""
        with needs("board"):
            import pandas
        return pandas.DataFrame([_csv_row(point) for point in self.points]).set_index("name")

    def write(self, path: Path) -> None:
        """Write as JSON with sorted keys, atomically."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
        write_atomically(path, f"{text}\n".encode())

    def write_csv(self, path: Path) -> None:
        """Write one row per point, atomically; figures as they are stored, an empty cell where one is undefined."""
        text = io.StringIO()
        rows = [_csv_row(point) for point in self.points]
        columns = dict.fromkeys(column for row in rows for column in row)  # points may have other figures or categories
        writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(path, text.getvalue().encode())


def read_summary(path: Path | str) -> Summary:
    """Read a summary.

    Raises:
        ScorecardError: It is missing, damaged, not a summary, or written by a newer wildbench.

    Example:
        >>> read_summary("baselines/sweeps/strength.json").sweep  # doctest: +SKIP
        'strength'
    """
    path = Path(path)
    no_record, again = (
        ("not the summary of a sweep", "name the JSON that `wildbench baseline sweep` wrote"),
        "run the sweep again",
    )
    document = read_json(path, error=ScorecardError, again=again)
    return read_version(
        document, Summary, FORMAT_VERSION, path=path, error=ScorecardError, no_record=no_record, again=again
    )


def _csv_row(point: PointRecord) -> dict[str, object]:
    row: dict[str, object] = {
        "name": point.name,
        "recipe": point.recipe,
        "settings": " ".join(f"{key}={value}" for key, value in point.settings.items()),
        **{key: getattr(point, key) for key in ("format", "seed", "dense", "ratio")},
    }
    for key, figure in point.figures.items():
        row |= _with_interval(key, figure.value, figure.interval)
    changes = {f"{name}_difference": change for name, change in (point.overall | point.sizes).items()}
    changes |= {f"ap50_difference_{name}": change for name, change in point.per_category.items()}
    for name, change in changes.items():
        row |= _with_interval(name, change.difference, change.interval)
    return row


def _with_interval(name: str, value: float | None, interval: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


@dataclass(frozen=True)
class Point:
    """A point that was run: its plan, its scorecard, and the comparison with its dense parent."""

    plan: Plan
    card: Scorecard
    comparison: Comparison


def gather(sweep: Sweep, dense: Mapping[str, Scorecard], points: Sequence[Point], failed: Sequence[Failure]) -> Summary:
    """Make the record of a sweep from the scorecards of its dense parents, by name, and of its points.

    Raises:
        ScorecardError: A scorecard is one of detections without a model.
    """
    card, paired = next(iter(dense.values())), points[0].comparison if points else None
    return Summary(
        wildbench=version("wildbench"),
        sweep=sweep.name,
        summary=sweep.summary,
        dataset=card.dataset,
        drawn=paired.drawn if paired else None,
        groups_drawn=paired.groups if paired else None,
        replicates=paired.replicates if paired else None,
        environment=card.environment,
        dense=[Measured.model_validate(_measured(name, card)) for name, card in dense.items()],
        points=[_point(point, dense[point.plan.dense.stem]) for point in points],
        failed=list(failed),
    )


def _measured(name: str, card: Scorecard) -> dict[str, Any]:
    figures = {measure.key: measure.read(card) for measure in all_measures()}
    own = card.submission
    return {
        "name": name,
        "sha256": own.sha256,
        "detector": own.detector,
        "method": own.method,
        "figures": {key: figure.model_dump() for key, figure in figures.items() if figure is not None},
    }


def _bytes(name: str, card: Scorecard) -> float:
    if card.size is None or not card.size.file_bytes.value:
        message = f"{name}: a scorecard without a model"
        raise ScorecardError(message, code="no-model", remedy="evaluate the submission's file")
    return card.size.file_bytes.value


def _point(point: Point, dense: Scorecard) -> PointRecord:
    plan, (row,) = point.plan, point.comparison.rows
    steps = [{"method": step.method, "settings": step.settings.model_dump(mode="json")} for step in plan.recipe.steps]
    return PointRecord.model_validate(
        {
            **_measured(plan.name, point.card),
            "recipe": plan.recipe.name,
            "steps": steps,
            **{key: getattr(plan, key) for key in ("settings", "format", "seed")},
            "dense": plan.dense.stem,
            "parent": point.comparison.baseline_sha256,
            "ratio": _bytes(plan.dense.stem, dense) / _bytes(plan.name, point.card),
            "overall": {name: _change(row.overall[name]) for name in PAIRED},
            "sizes": {name: _change(row.sizes[name]) for name in SIZES},
            "per_category": {name: _change(changes["ap50"]) for name, changes in row.per_category.items()},
        }
    )


def _change(full: Compared) -> dict[str, Any]:
    """What the record keeps of a change; a difference without an interval is one too."""
    difference = None if full.value is None or full.baseline is None else full.value - full.baseline
    same = {key: getattr(full, key) for key in ("n", "value", "interval", "smallest", "caution", "verdict")}
    return {**same, "dense": full.baseline, "difference": difference}


def series_of(point: PointRecord) -> str:
    """The curve that a point is on: its recipe, those of its settings that are words, and the format if not `.pt`."""
    words = [value for value in point.settings.values() if isinstance(value, str)]
    return " ".join([point.recipe, *words, *([] if point.format == "pt" else [point.format])])
