"""The record of a sweep: what every point costs, and how it differs from its dense parent on the same images."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import fmean

from pydantic import Field, JsonValue

from wildbench.errors import ScorecardError
from wildbench.files import write_atomically
from wildbench.records import read_version
from wildbench.scorecard import Dataset, Environment, Figure, Record

FORMAT_VERSION = 1
"""Of a written summary."""


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


class Measures(Record):
    """What one submission costs and finds."""

    name: str
    sha256: str
    detector: str | None
    method: str | None
    file_bytes: int
    parameters: Figure
    nonzero: Figure
    macs: Figure
    latency_ratio: Figure = Field(description="Over the reference network that ran between the images.")
    ap: Figure
    ap50: Figure
    mean_iou50: Figure | None = Field(description="Mean IoU of the matches at IoU 0.5; null in older scorecards.")


class StepRecord(Record):
    """One step of a chain, with every setting."""

    method: str
    settings: dict[str, JsonValue]


class PointRecord(Measures):
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


class Spread(Record):
    """Mean and range over several points; no interval: they are few."""

    mean: float
    low: float
    high: float


class Group(Record):
    """Points that differ in their seed or dense parent alone."""

    recipe: str
    settings: dict[str, JsonValue]
    seeds: list[int]
    dense: list[str]
    ratio: Spread | None
    ap: Spread | None = Field(description="null where it is undefined for one of them.")
    ap50: Spread | None
    ap_difference: Spread | None
    ap50_difference: Spread | None


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
    dense: list[Measures]
    points: list[PointRecord]
    groups: list[Group] = Field(description="Where several points differ in seed or parent alone.")
    failed: list[Failure]

    def write(self, path: Path) -> None:
        """Write as JSON with sorted keys, atomically."""
        text = json.dumps(self.model_dump(mode="json"), indent=1, sort_keys=True, ensure_ascii=False)
        write_atomically(path, f"{text}\n".encode())

    def write_csv(self, path: Path) -> None:
        """Write one row a point, atomically; AP in 0..1, an empty cell where a figure is undefined."""
        text = io.StringIO()
        rows = [_csv_row(point) for point in self.points]
        columns = dict.fromkeys(column for row in rows for column in row)  # parents may know other categories
        writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_atomically(path, text.getvalue().encode())


def read_summary(path: Path) -> Summary:
    """Read a summary of this format version or an older one.

    Raises:
        ScorecardError: It is missing, damaged, no summary, or written by a newer wildbench.
    """
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScorecardError(f"{path}: {error.strerror}", remedy="name the summary of a sweep") from None
    except (ValueError, RecursionError):
        raise ScorecardError(f"{path}: not JSON, or cut short", remedy="run the sweep again") from None
    return read_version(
        raw,
        Summary,
        FORMAT_VERSION,
        path=path,
        error=ScorecardError,
        no_record=("not the summary of a sweep", "name the JSON that `wildbench baseline sweep` wrote"),
        again="run the sweep again",
    )


def _csv_row(point: PointRecord) -> dict[str, object]:
    settings = " ".join(f"{key}={value}" for key, value in point.settings.items())
    row: dict[str, object] = {
        "name": point.name,
        "recipe": point.recipe,
        "settings": settings,
        "format": point.format,
        "seed": point.seed,
        "dense": point.dense,
        "file_bytes": point.file_bytes,
        "ratio": point.ratio,
        "parameters": point.parameters.value,
        "nonzero": point.nonzero.value,
        "macs": point.macs.value,
    }
    for name in ("latency_ratio", "ap", "ap50", "mean_iou50"):
        figure: Figure | None = getattr(point, name)
        row |= _with_interval(name, figure.value, figure.interval) if figure else _with_interval(name, None, None)
    for name, change in (point.overall | point.sizes).items():
        row |= _with_interval(f"{name}_difference", change.difference, change.interval)
    for name, change in point.per_category.items():
        row |= _with_interval(f"ap50_difference_{name}", change.difference, change.interval)
    return row


def _with_interval(name: str, value: float | None, interval: tuple[float, float] | None) -> dict[str, float | None]:
    low, high = interval or (None, None)
    return {name: value, f"{name}_low": low, f"{name}_high": high}


Place = tuple[PointRecord, ...]
"""Points that differ in their seed or dense parent alone; at least one."""


def places(points: Iterable[PointRecord]) -> list[Place]:
    """Put points together that had the same steps done and have one format, in the order of the first of each.

    A point that stands in two sweeps counts once: the first of those with one recipe, seed and parent.
    """
    found: dict[str, dict[tuple[int, str, str], PointRecord]] = {}
    for point in points:
        steps = [step.model_dump(mode="json") for step in point.steps]
        same = found.setdefault(json.dumps([point.recipe, point.format, steps], sort_keys=True), {})
        same.setdefault((point.seed, point.dense, point.parent), point)
    return [tuple(members.values()) for members in found.values()]


def series_of(point: PointRecord) -> str:
    """The curve that a point is on: its recipe, those of its settings that are words, and the format if not `.pt`."""
    words = [value for value in point.settings.values() if isinstance(value, str)]
    return " ".join([point.recipe, *words, *([] if point.format == "pt" else [point.format])])


def position_of(point: PointRecord) -> str:
    """Where on its curve a point is: those of its settings that are numbers, or nothing."""
    numbers = {key: value for key, value in point.settings.items() if not isinstance(value, str)}
    return ", ".join(f"{key} {value}" for key, value in numbers.items())


def spread(values: Sequence[float | None]) -> Spread | None:
    """Mean and range; None where a value is undefined."""
    defined = [value for value in values if value is not None]
    if not defined or len(defined) < len(values):
        return None
    return Spread(mean=fmean(defined), low=min(defined), high=max(defined))


def mean_difference(place: Place, of: Callable[[PointRecord], Change | None]) -> float | None:
    """The mean paired difference over a place's points; None where it is undefined for one of them."""
    changes = [of(point) for point in place]
    found = spread([None if change is None else change.difference for change in changes])
    return None if found is None else found.mean
