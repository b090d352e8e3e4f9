"""Scorecards against a baseline: which differences the data set can show, from the detections kept beside each card."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from wildbench.datasets.category_merging import onto, regrouped
from wildbench.datasets.coco import Dataset, Ints
from wildbench.datasets.image_groups import check_keys, field_of
from wildbench.datasets.predictions import Detections, read_predictions
from wildbench.datasets.registry import load_dataset, names
from wildbench.errors import DatasetError, PredictionsError, ScorecardError, needs
from wildbench.files import sha256_of, write_atomically
from wildbench.measures.field import USUAL, FieldChange, OperatingPoint, field_change, operating_point
from wildbench.measures.matching import AREAS, Matches, Scored
from wildbench.measures.uncertainty import (
    LEVEL,
    REPLICATES,
    SEED,
    SIGNIFICANCE,
    Difference,
    Kind,
    Replicates,
    caution,
    difference,
    estimate,
    groups_needed,
    groups_of,
    holm,
    jackknife,
    resample,
)
from wildbench.scorecard import Errors, Grouping, Record, Scorecard, read_scorecard

if TYPE_CHECKING:
    import pandas

FORMAT_VERSION = 1
"""Of a written comparison."""

Choice = Mapping[str, Any]

OVERALL: Mapping[str, Choice] = {"ap": {}, "ap50": {"iou": 0.5}, "ap75": {"iou": 0.75}}
SIZES: Mapping[str, Choice] = {f"ap_{area}": {"area": area} for area in AREAS if area != "all"}
"""Figures by their name in a scorecard, and what `Replicates.ap` takes for each."""

DIFFERENCES = (0.005, 0.01, 0.02, 0.05)
"""In AP: what papers report as a gain or as no loss."""


class Change(Record):
    """One figure of a detector against the baseline's."""

    n: int = Field(description="Boxes it is over.")
    baseline: float | None
    value: float | None
    difference: float | None = Field(description="value less baseline.")
    interval: tuple[float, float] | None = Field(description="95 % interval of the difference, for itself alone.")
    baseline_better: float | None = Field(
        description="Confidence, for itself alone, that the baseline is above: 1 less half the uncorrected p-value."
    )
    p_value: float | None = Field(description="Two-sided, by Holm corrected for the comparisons of its kind.")
    comparisons: int = Field(description="How many there are of its kind.")
    smallest: float | None = Field(
        description="Difference that these images would show, so corrected, four times in five between two so alike."
    )
    caution: str | None = Field(description="What to know of the interval where it rests on little, or of its lack.")
    verdict: str


class Row(Record):
    """One detector against the baseline."""

    name: str
    sha256: str
    overall: dict[str, Change]
    sizes: dict[str, Change]
    per_category: dict[str, dict[str, Change]] = Field(description="ap and ap50 of each category.")
    errors: Errors | None = Field(description="As its scorecard has them.")
    field: FieldChange | None = Field(default=None, description="What a ranger sees change.")


def _by_category(row: Row) -> dict[str, Change]:
    return {f"{key} {name}": change for name, changes in row.per_category.items() for key, change in changes.items()}


class Comparison(Record):
    """Several detectors against one baseline, on one data set."""

    format_version: int = FORMAT_VERSION
    wildbench: str
    dataset: str
    split: str | None
    dataset_sha256: str
    images: int
    boxes: int
    drawn: str = Field(description="What is drawn: images, or locations.")
    groups: int = Field(description="How many of them there are.")
    method: str = "paired bootstrap: Student's t around the difference; Holm's correction"
    level: float = LEVEL
    replicates: int
    seed: int
    categories_left_out: list[str] = Field(description="Categories that one of the detectors does not know.")
    baseline: str
    baseline_sha256: str
    baseline_errors: Errors | None
    rows: list[Row]
    failed_audits: dict[str, dict[str, str]] = Field(
        default_factory=dict, description="By detector: the audits that it failed, each with its explanation."
    )
    groups_needed: dict[str, list[int | None]] = Field(
        description="By difference in AP: how many of what is drawn would show it four times in five, for each row."
    )

    def __repr__(self) -> str:
        names = ", ".join(row.name for row in self.rows)
        return f"Comparison({names} against {self.baseline} on {self.boxes} boxes of {self.dataset} {self.split or ''})"

    def _repr_html_(self) -> str:
        return str(self.to_frame()[["baseline", "value", "difference", "interval", "verdict"]].to_html())

    def to_frame(self) -> pandas.DataFrame:
        """A table with one row for each figure of each detector; its index is the detector and the figure.

        Raises:
            MissingExtra: pandas is not installed.
        """
        with needs("board"):
            import pandas
        changes = {
            (row.name, figure): change.model_dump()
            for row in self.rows
            for figure, change in (row.overall | row.sizes | _by_category(row)).items()
        }
        return pandas.DataFrame.from_dict(changes, orient="index")

    def write(self, path: Path) -> None:
        """Write as JSON with sorted keys, atomically."""
        text = json.dumps(self.model_dump(mode="json"), indent=2, sort_keys=True, ensure_ascii=False)
        write_atomically(path, f"{text}\n".encode())


def compare(
    cards: Sequence[Path | str],
    *,
    dataset: Path | str | None = None,
    split_file: Path | str | None = None,
    grouping: Grouping | None = None,
    differences: Sequence[float] = DIFFERENCES,
    threshold: float | None = None,
    by: Sequence[str] = (),
    replicates: int = REPLICATES,
    seed: int = SEED,
) -> Comparison:
    """Compare scorecards of one data set with the first of them, on the same resampled images.

    Args:
        cards: Two or more scorecards, the baseline first; their detections lie beside them.
        dataset: The data set, where it is not a registered one: the COCO JSON they were scored on.
        split_file: Which images of a JSON are in which split, as `wildbench data split` writes it.
        grouping: Compare by other categories than they were scored by, such as `Grouping(merge={"animal": ["*"]})`.
        differences: In AP, 0..1: how many images would show each?
        threshold: At which the baseline is used, 0..1; by default as its scorecard says, and 0.2 where nobody says one.
        by: Fields of the images: what changes at the threshold for each of their values.
        replicates: Of the bootstrap.
        seed: Of the bootstrap.

    Raises:
        ScorecardError: Fewer than two cards, or cards that do not compare.
        PredictionsError: Detections that are missing or not those that were scored.
        DatasetError: Another data set than the one they were scored on, or categories that are finer than those.

    Example:
        >>> from wildbench.datasets.registry import bundled
        >>> cards = [bundled(f"baselines/scorecards/{name}.json") for name in ("reference", "reference-tiny")]
        >>> compare(cards, replicates=100).rows[0].overall["ap"].verdict.partition(";")[0]
        'not distinguishable on 327 boxes'
    """
    paths = [Path(card) for card in cards]
    if len(paths) < 2:
        remedy = "name the baseline's first, then others"
        raise ScorecardError("one scorecard cannot be compared with itself", code="too-few", remedy=remedy)
    if threshold is not None and not 0 <= threshold <= 1:
        raise ScorecardError(f"threshold {threshold:g}", code="threshold-range", remedy="give a score in 0..1")
    if wrong := [wanted for wanted in differences if not 0 < wanted <= 1]:
        what = f"a difference of {wrong[0] * 100:g} points of AP"
        raise ScorecardError(what, code="difference-range", remedy="ask for one in 0..100")
    records = [read_scorecard(path) for path in paths]
    data, own = _common_dataset(paths, records, (dataset, split_file), grouping)
    unknown = {name for record, one in zip(records, own, strict=True) for name in _unknown(record, one, data)}
    ids = frozenset(entry["id"] for entry in data.categories if entry["name"] not in unknown)
    scored = [
        Scored(data, onto(detections_of(path, record, one), one, data), ids)
        for path, record, one in zip(paths, records, own, strict=True)
    ]
    matches = [one.matches for one in scored]
    stated = records[0].field.operating_point if records[0].field else None
    point = operating_point(scored[0], given=threshold)
    if threshold is None and stated and stated.threshold.value is not None:
        point = OperatingPoint(stated.threshold.value, stated.source)
    kind, groups = groups_of(data)
    found = _Findings(
        matches,
        kind,
        len(set(groups.tolist())),
        estimate(matches),
        resample(matches, groups, replicates=replicates, seed=seed),
        jackknife(matches, groups),
    )
    known = [name for name in data.category_names if name not in unknown]
    changes = found.changes(SIZES)
    for name, choice in OVERALL.items():
        changes |= found.changes({name: choice})
    for figure, choice in (("ap", {}), ("ap50", {"iou": 0.5})):
        changes |= found.changes({f"{figure} {name}": {**choice, "category": name} for name in known})
    first, shown = records[0], [record.submission.name for record in records]
    if len(set(shown)) < len(shown):
        shown = [path.stem for path in paths]
    return Comparison(
        wildbench=version("wildbench"),
        dataset=data.name,
        split=data.split,
        dataset_sha256=data.sha256,
        images=len(data.images),
        boxes=len(found.boxes({})),
        drawn=kind,
        groups=found.groups,
        replicates=replicates,
        seed=seed,
        categories_left_out=sorted(unknown),
        baseline=shown[0],
        baseline_sha256=first.submission.sha256,
        baseline_errors=first.errors,
        rows=[
            Row(
                name=shown[row + 1],
                sha256=record.submission.sha256,
                overall={name: changes[name][row] for name in OVERALL},
                sizes={name: changes[name][row] for name in SIZES},
                per_category={
                    name: {figure: changes[f"{figure} {name}"][row] for figure in ("ap", "ap50")} for name in known
                },
                errors=record.errors,
                field=field_change(
                    scored[0],
                    scored[row + 1],
                    USUAL if point.threshold is None else point.threshold,
                    source=point.source or "usual",
                    slices=_slices(data, by),
                    replicates=replicates,
                ),
            )
            for row, record in enumerate(records[1:])
        ],
        failed_audits={
            name: failed for name, record in zip(shown, records, strict=True) if (failed := record.failed_audits())
        },
        groups_needed={f"{wanted:g}": found.groups_needed(wanted) for wanted in differences},
    )


@dataclass(frozen=True)
class _Findings:
    """Everything that is known of the detectors, baseline first."""

    matches: list[Matches]
    kind: Kind
    groups: int
    whole: Replicates
    drawn: Replicates
    without: Replicates

    def boxes(self, choice: Choice) -> Ints:
        """int64 [box, 3]: category, area and image of the boxes that a figure is over."""
        return self.matches[0].boxes[self.matches[0].held(choice.get("area", "all"), choice.get("category"))]

    def difference(self, choice: Choice, row: int) -> Difference | None:
        """One figure of one row against the baseline's."""
        whole, drawn, without = (side.ap(**choice)[:, [0, row + 1]] for side in (self.whole, self.drawn, self.without))
        boxes = self.boxes(choice)
        return difference(whole[0], drawn, without, boxes=len(boxes), categories=len(set(boxes[:, 0].tolist())))

    def changes(self, family: Mapping[str, Choice]) -> dict[str, list[Change]]:
        """Figures of one kind, of all rows; their p-values are corrected for their number."""
        rows = range(len(self.matches) - 1)
        found = {(name, row): self.difference(choice, row) for name, choice in family.items() for row in rows}
        defined = {key: one.p_value for key, one in found.items() if one is not None}
        corrected = dict(zip(defined, holm(list(defined.values())), strict=True))
        return {
            name: [
                self._change(choice, row, found[name, row], corrected.get((name, row)), len(defined)) for row in rows
            ]
            for name, choice in family.items()
        }

    def _change(
        self, choice: Choice, row: int, found: Difference | None, p_value: float | None, comparisons: int
    ) -> Change:
        values = [None if value != value else float(value) for value in self.whole.ap(**choice)[0, [0, row + 1]]]
        over = self.boxes(choice)
        boxes, images = len(over), len(set(over[:, 2].tolist()))
        why = f"no interval: all {boxes} boxes are in one of the {self.kind}" if boxes else "no box in the split"
        figures: dict[str, Any] = dict.fromkeys(("difference", "interval", "baseline_better", "smallest"))
        figures |= {"caution": why, "verdict": why}
        if found is not None and p_value is not None:
            smallest = found.smallest(comparisons)
            figures = {
                "difference": found.value,
                "interval": found.interval,
                "baseline_better": found.baseline_better,
                "smallest": smallest,
                "caution": caution(boxes, images, self.groups, self.kind),
                "verdict": _verdict(found, p_value, smallest, boxes),
            }
        return Change(n=boxes, baseline=values[0], value=values[1], p_value=p_value, comparisons=comparisons, **figures)

    def groups_needed(self, wanted: float) -> list[int | None]:
        """For each row, how many groups like these would show a difference of `wanted` in AP."""
        found = [self.difference({}, row) for row in range(len(self.matches) - 1)]
        return [groups_needed(one, self.groups, wanted, len(found)) if one else None for one in found]


def _verdict(found: Difference, p_value: float, smallest: float, boxes: int) -> str:
    if p_value <= SIGNIFICANCE:
        return f"{'better' if found.value > 0 else 'worse'} by {_points(abs(found.value))} on {boxes} boxes"
    seen = "the same" if found.alike else "not distinguishable"
    shown = f"{_points(smallest)} is the smallest difference this split can show between two so alike"
    return f"{seen} on {boxes} boxes; {shown}"


def _points(value: float) -> str:
    """Points of AP with two digits or, from ten on, one after the point."""
    return f"{value * 100:{'.1f' if value >= 0.1 else '.2g'}} points"


def _common_dataset(
    paths: Sequence[Path],
    records: Sequence[Scorecard],
    source: tuple[Path | str | None, Path | str | None],
    grouping: Grouping | None,
) -> tuple[Dataset, list[Dataset]]:
    """The data set all cards are compared on, and the same by the categories that each was scored on."""
    first, (dataset, split_file) = records[0].dataset, source
    if dataset is None and first.name not in names():
        raise DatasetError(
            f"{paths[0]} was scored on {first.name}, a file", code="not-named", remedy="name the COCO JSON by --dataset"
        )
    part: dict[str, Any] = {"split": first.split or "test", "split_file": split_file, "limit": first.limit}
    data = load_dataset(dataset or first.name, **part, with_images=False)
    own = [regrouped(data, record.dataset.grouping)[0] for record in records]
    for path, record, one in zip(paths, records, own, strict=True):
        if record.dataset.sha256 != first.sha256 and (grouping is None or record.dataset.sha256 != one.sha256):
            raise ScorecardError(
                f"{path} was scored on other labels ({record.dataset.name} {record.dataset.split or ''}) "
                f"than {paths[0]} ({first.name} {first.split or ''})",
                code="other-labels",
                remedy="compare cards of one version, split and limit of one data set, and of the same categories",
            )
    if own[0].sha256 != first.sha256:
        what = f"{data.name} is not the data set of {paths[0]}: {own[0].sha256[:12]}, not {first.sha256[:12]}"
        remedy = "name the COCO JSON it was scored on, or score again"
        raise DatasetError(what, code="other-labels", remedy=remedy)
    return (own[0] if grouping is None else regrouped(data, grouping)[0]), own


def _unknown(record: Scorecard, own: Dataset, data: Dataset) -> set[str]:
    """Categories of which a card's detector knows none, by those that are compared; or that nobody asks about."""
    blind = set(record.accuracy.unknown_categories)
    seen = {data.merged_ids[entry["id"]] for entry in own.categories if entry["name"] not in blind}
    seen = seen if data.known_ids is None else seen & data.known_ids
    return {entry["name"] for entry in data.categories if entry["id"] not in seen}


def detections_of(path: Path, record: Scorecard, data: Dataset) -> Detections:
    """Read the detections beside a card, after checking that it was scored from them.

    Raises:
        PredictionsError: They are missing, damaged, or others.
    """
    predictions = path.with_name(record.accuracy.predictions_file)
    if not predictions.is_file():
        raise PredictionsError(f"{predictions}: no such file", code="missing", remedy=f"keep it beside {path.name}")
    if sha256_of(predictions) != record.accuracy.predictions_sha256:
        what = f"{predictions}: not the detections {path.name} was scored from"
        raise PredictionsError(what, code="not-as-scored", remedy="score them again")
    return read_predictions(predictions, data)


def _slices(data: Dataset, by: Sequence[str]) -> dict[str, list[str | None]]:
    """What each field says of every image, in the order of rising ids."""
    images = sorted(data.images, key=lambda image: image["id"])
    check_keys(by, images)
    return {key: [field_of(image, key) for image in images] for key in by}
