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
from typing import TYPE_CHECKING, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from wildbench.errors import ScorecardError, needs
from wildbench.files import write_atomically
from wildbench.records import read_json, read_version

if TYPE_CHECKING:
    import pandas

FORMAT_VERSION = 1
"""Version of the record; a reader refuses newer ones."""


class Record(BaseModel):
    """Base of every part of a scorecard: immutable, no unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_READING = {
    "AP": (100.0, "%", 1),
    "AR": (100.0, "%", 1),
    "B": (1e-6, "MB", 2),
    "MAC": (1e-9, "GMAC", 3),
    "FLOP": (1e-9, "GFLOP", 3),
    "BOP": (1e-9, "GBOP", 1),
    "ms": (1.0, "ms", 1),
}
"""Scale, unit and decimals in which people read a unit of the record."""


class Figure(Record):
    """One number, with all that is needed to read it.

    Example:
        >>> Figure(value=0.61, unit="AP", n=327).value
        0.61
        >>> Figure.undefined("AP", "no crocodile in the split").value is None
        True
    """

    value: float | None = Field(description="The number; null where it is undefined or was not measured.")
    unit: str = Field(description="AP, AR, IoU, B, parameters, MAC, FLOP, BOP, ms, 1 (a ratio).")
    interval: tuple[float, float] | None = Field(default=None, description="95 % interval; null where none is given.")
    n: int | None = Field(default=None, description="What it was obtained over: boxes, images, runs or tensors.")
    reason: str | None = Field(default=None, description="Why the value is null; null where there is a value.")
    caution: str | None = Field(default=None, description="What to know about the number or its interval.")

    @model_validator(mode="after")
    def _null_has_a_reason(self) -> Self:
        if (self.value is None) != (self.reason is not None):
            raise ValueError("a figure has either a value or the reason why it has none")
        return self

    def read(self) -> str:
        """The number as people read it: AP in percent, bytes in MB, arithmetic in G.

        Example:
            >>> Figure(value=0.61, unit="AP").read(), Figure(value=8340000, unit="B").read()
            ('61.0 %', '8.34 MB')
        """
        return f"undefined ({self.reason})" if self.value is None else self._shown(self.value)

    def range(self) -> str:
        """The interval as people read it; empty where there is none."""
        return self._shown(*self.interval) if self.interval else ""

    def _shown(self, *values: float) -> str:
        scale, unit, digits = _READING.get(self.unit, (1.0, self.unit, 3))
        return f"{' to '.join(f'{value * scale:.{digits}f}' for value in values)} {unit}"

    @classmethod
    def undefined(cls, unit: str, reason: str, n: int | None = None) -> Self:
        """A figure that has no value, and says why."""
        return cls(value=None, unit=unit, reason=reason, n=n)


class Submission(Record):
    """What was evaluated."""

    name: str
    file: str = Field(description="Name of the submission file, without its folder.")
    sha256: str = Field(description="Hash of the file's bytes.")
    format: str = Field(pattern="^[a-z0-9-]+$", description="Name of the file's format, or coco-results.")
    detector: str | None = Field(default=None, description="Architecture by its name in the zoo, or by the manifest.")
    authors: list[str] = Field(default_factory=list)
    licence: str | None = None
    method: str | None = Field(default=None, description="How it was compressed, in the authors' words.")
    training_data: str | None = None
    parent: str | None = Field(default=None, description="SHA-256 of the dense submission it was made from.")
    manifest: str | None = Field(
        default=None, description="Where it was stated what the detector takes and answers; null for predictions."
    )


class Execution(Record):
    """What really ran the network, as its runtime says."""

    device: str = Field(description="cpu, or the CUDA device's name.")
    runtime: str | None = Field(default=None, description="The library, with its version.")
    provider: str | None = Field(default=None, description="What of the library ran it: a provider or a delegate.")
    precision: dict[str, int] = Field(
        default_factory=dict, description="Number of operators by the type in which they were calculated, where told."
    )


class Protocol(Record):
    """The rules this record was made under; docs/protocol.md states each."""

    version: int = 1
    iou_thresholds: list[float] = Field(default_factory=lambda: [round(0.5 + 0.05 * i, 2) for i in range(10)])
    max_detections: list[int] = Field(default_factory=lambda: [1, 10, 100])
    engine: str = Field(description="The library that computed AP, with its version.")
    batch_size: int = 1
    trusted: bool = Field(default=False, description="Whether the file was opened with --trust.")


class Dataset(Record):
    """What it was evaluated on."""

    name: str
    split: str | None = None
    sha256: str = Field(description="Hash of the canonical COCO JSON that was scored, after any --limit.")
    images: int
    boxes: int
    categories: list[str]
    partial_labels: bool = Field(description="Whether images carry `annotated_categories`.")
    limit: int | None = Field(default=None, description="--limit, where only the first images were used.")


class PerCategory(Record):
    """Accuracy on one category."""

    ap: Figure
    ap50: Figure
    ap75: Figure
    ar_100: Figure


class Statistics(Record):
    """COCO's twelve statistics, for boxes or for masks."""

    ap: Figure
    ap50: Figure
    ap75: Figure
    ap_small: Figure
    ap_medium: Figure
    ap_large: Figure
    ar_1: Figure
    ar_10: Figure
    ar_100: Figure
    ar_small: Figure
    ar_medium: Figure
    ar_large: Figure


class BoxAccuracy(Statistics):
    """COCO's twelve statistics, their split by category, and how closely the found boxes are met."""

    per_category: dict[str, PerCategory]
    mean_iou50: Figure = Field(
        description="Mean IoU of the matches at IoU 0.5, of detections at or above the score where F1 over the split "
        "is best."
    )


class Uncertainty(Record):
    """How the intervals of the accuracy figures were obtained."""

    method: str
    level: float = Field(description="Probability with which an interval is to hold the figure on all such images.")
    replicates: int = Field(description="How often the data set was drawn again.")
    seed: int
    groups: Literal["images", "locations"] = Field(description="What is drawn: locations where every image has one.")
    number_of_groups: int
    engine: str = Field(description="The library that compiled the resampling, with its version.")


class Accuracy(BoxAccuracy):
    """How well it finds the animals."""

    masks: BoxAccuracy | None = Field(default=None, description="The same for masks, where the detector predicts them.")
    unknown_categories: list[str] = Field(
        default_factory=list,
        description="Categories of the data set that the detector does not know; not in the means.",
    )
    uncertainty: Uncertainty
    predictions_file: str = Field(
        pattern=r"^[^/\\]+$", description="COCO results file kept beside this record: its name, without a folder."
    )
    predictions_sha256: str
    detections: int = Field(description="Number of detections in that file.")


class ErrorType(Record):
    """One kind of error by TIDE."""

    gain: Figure = Field(description="By how much AP50 would rise if these errors alone were mended.")
    count: int = Field(description="Detections that are such errors; for miss, boxes.")


class CalibrationBin(Record):
    """Detections of similar score."""

    low: float
    high: float = Field(description="Scores up to here, this one itself in the last bin alone.")
    detections: int
    score: float | None = Field(description="Mean score; null where there is no detection.")
    precision: float | None = Field(description="Share of them that find a box; null where there is no detection.")


class Calibration(Record):
    """Whether scores can be read as the chance of being right, over all detections that AP looks at."""

    ece: Figure = Field(
        description="Expected calibration error: mean of |score - precision| of the bins, by detections."
    )
    mce: Figure = Field(description="The largest |score - precision| of a bin.")
    bins: list[CalibrationBin]


class ImageScore(Record):
    """One image at the threshold, where each box can be found once."""

    image_id: int
    found: int
    wrong: int = Field(description="Detections that find no box.")
    missed: int = Field(description="Boxes that no detection finds.")
    f1: float | None = Field(description="2 found / (2 found + wrong + missed); null where there is nothing.")
    ap50: float | None = Field(description="AP50 of this image alone, all categories in one, at any score.")


class ImageScores(Record):
    """Image by image; the whole list is in a file beside this record."""

    file: str = Field(description="CSV, one row per image, kept beside this record.")
    sha256: str
    threshold: Figure = Field(
        description="Score from which detections count: where F1 over the split is best; all count where it is null."
    )
    mean_f1: Figure = Field(description="Mean over the images with a box or a detection.")
    without_error: Figure = Field(description="Images with nothing wrong and nothing missed.")
    worst: list[ImageScore] = Field(description="The images with most errors.")


class Errors(Record):
    """Why accuracy is what it is."""

    iou: float = Field(description="IoU from which a detection finds a box.")
    background_iou: float = Field(description="IoU below which a detection lies on background.")
    tide: dict[str, ErrorType] = Field(
        description="cls: wrong category; loc: badly placed; both: both; dup: a box found before; bkg: background; "
        "miss: boxes that nothing comes near."
    )
    false_positives: Figure = Field(description="By how much AP50 would rise without any wrong detection.")
    false_negatives: Figure = Field(description="By how much AP50 would rise without the boxes that are not found.")
    unfound: list[str] = Field(
        description="Categories without one found box: the gains of miss and false_negatives are null then, because "
        "they take missed boxes out, and no box would be left."
    )
    calibration: Calibration
    images: ImageScores


class LayerBytes(Record):
    """What one layer takes in the file."""

    layer: str = Field(description="Its module path, cut after three names and a number; last, what is no tensor.")
    bytes: int


class Size(Record):
    """How many bytes it takes, and why."""

    file_bytes: Figure = Field(description="The file as it is on disk: the headline.")
    parameters: Figure
    nonzero: Figure = Field(description="Parameters that are not zero.")
    dense_fp32_bytes: Figure = Field(description="4 bytes a parameter: the usual denominator of compression ratios.")
    bitmask_bytes: Figure = Field(description="Parameters as a bit each, and those not zero at their stored bits.")
    entropy_bytes: Figure = Field(
        description="All tensors at the zeroth-order (memoryless) entropy of their stored symbols; no bound: runs and "
        "repetitions can be coded below it."
    )
    by_part: dict[str, Figure] = Field(description="Stored bytes by part of the network; they sum to file_bytes.")
    by_layer: list[LayerBytes] | None = Field(
        description="Stored bytes in the order of the file, summing to file_bytes; null where its tensors cannot be "
        "listed."
    )


class Compute(Record):
    """How much arithmetic one image takes."""

    macs: Figure = Field(description="Multiply-accumulates an image, mean over real images.")
    flops: Figure = Field(description="2 x MACs.")
    nonzero_macs: Figure = Field(description="MACs whose weight is not zero. Theoretical: nothing here skips a zero.")
    bops: Figure = Field(description="Bit operations: MACs x weight bits x activation bits.")
    operand_bits: dict[str, float] | None = Field(
        description='Share of the MACs by the bits of what they multiply: "8x32" is a weight of 8 and an activation of '
        "32. null where the weights cannot be seen."
    )
    proposals: Figure = Field(description="Mean number of region proposals an image, for two-stage detectors.")
    macs_per_proposal: Figure = Field(description="MACs that each proposal adds, for two-stage detectors.")
    by_module: dict[str, Figure] = Field(description="Mean MACs an image by module path.")
    uncounted: dict[str, float] = Field(
        description="Operators that calculate and that no rule counts, and how often an image runs them on average."
    )


class Latency(Record):
    """How long one image takes: host uint8 image in, host detections out, batch 1, by the parent's clock."""

    device: str = Field(description="cpu, or the CUDA device's name.")
    threads: int | None = None
    p50: Figure
    p90: Figure
    p99: Figure
    mean: Figure
    stages: dict[str, Figure] = Field(description="Median of preprocess, forward, postprocess (by the child).")
    reference_ratio: Figure = Field(description="p50 over that of the reference network interleaved with it.")
    reference: str = Field(description="What the reference network is.")
    warmup_runs: int
    peak_memory: Figure = Field(description="Peak resident memory of the detector's process; GPU memory on CUDA.")


class Environment(Record):
    """Where it was measured."""

    wildbench: str
    python: str
    platform: str
    cpu: str
    cpu_count: int
    gpu: str | None = None
    packages: dict[str, str]


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
    measures: dict[str, Figure] = Field(
        default_factory=dict, description="Figures that installed packages add, by the key of their measure."
    )
    errors: Errors
    notes: list[str] = Field(
        default_factory=list, description="What looks wrong in the labels or the detections, a line each."
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
        return pandas.DataFrame.from_dict(rows, orient="index")

    def to_json(self) -> str:
        """The record as sorted, indented JSON that ends in a newline: same record, same bytes."""
        return json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False) + "\n"

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
        ScorecardError: The file is missing, damaged, not a scorecard, or written by a newer wildbench.
    """
    path = Path(path)
    no_record, again = ("not a scorecard", "give a file that evaluate wrote"), "evaluate the submission again"
    document = read_json(path, error=ScorecardError, again=again)
    return read_version(
        document, Scorecard, FORMAT_VERSION, path=path, error=ScorecardError, no_record=no_record, again=again
    )


def json_schema() -> dict[str, object]:
    """JSON Schema of the record, as published in docs/scorecard.schema.json."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Scorecard.model_json_schema()}
