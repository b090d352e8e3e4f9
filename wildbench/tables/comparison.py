"""Detectors against a baseline: what differs, what cannot be told apart, and what the errors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from wildbench.comparison import Change, Comparison
from wildbench.scorecard import Errors
from wildbench.tables.console import add_row

_FIGURES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "small", "ap_medium": "medium", "ap_large": "large"}
_ERRORS = {
    "cls": "wrong category",
    "loc": "badly placed",
    "both": "both",
    "dup": "found twice",
    "bkg": "background",
    "miss": "missed",
}


def comparison_tables(comparison: Comparison) -> list[Table]:
    """For each row: figures and sizes, categories, and kinds of error; then how many images a difference takes."""
    tables = []
    place = f"{comparison.dataset} {comparison.split or ''}".strip()
    draws = f"{comparison.replicates} paired draws of {comparison.groups} {comparison.drawn}"
    for row in comparison.rows:
        title = f"{row.name} against {comparison.baseline}, {place}: AP in %, differences in points"
        overall = {_FIGURES[name]: change for name, change in (row.overall | row.sizes).items()}
        tables.append(
            _changes_table(title, overall, f"95 % intervals from {draws}; 'can show': the smallest difference for that")
        )
        categories = {name: changes["ap50"] for name, changes in row.per_category.items()}
        family = len(categories) * len(comparison.rows)
        corrected = f"verdicts are corrected for {family} comparisons, intervals are not"
        tables.append(_changes_table("AP50 by category", categories, corrected))
        if comparison.baseline_errors and row.errors:
            tables.append(_errors_table(comparison.baseline, comparison.baseline_errors, row.name, row.errors))
    return [*tables, _images_table(comparison)]


def _changes_table(title: str, changes: Mapping[str, Change], note: str) -> Table:
    """One row a figure; what to be careful with stands below, once for all it concerns."""
    table = Table(title=Text(title), title_justify="left", caption_justify="left")
    table.add_column("")
    for name in ("boxes", "baseline", "this", "difference", "P(worse)", "can show"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("verdict")
    for name, change in changes.items():
        difference = _points(change.difference)
        if change.interval:
            difference += f" [{_points(change.interval[0])}, {_points(change.interval[1])}]"
        worse = "-" if change.baseline_better is None else f"{change.baseline_better:.2f}"
        smallest = "-" if change.smallest is None else f"{change.smallest * 100:.2f}"
        shown = [_percent(change.baseline), _percent(change.value), difference, worse, smallest]
        add_row(table, name, str(change.n), *shown, _short(change))
    cautions = [change.caution for change in changes.values() if change.caution]
    lines = [note]
    for caution in dict.fromkeys(cautions):
        named = [name for name, change in changes.items() if change.caution == caution]
        lines.append(caution if len(named) == len(cautions) == len(changes) else f"{', '.join(named)}: {caution}")
    table.caption = Text("\n".join(lines))
    return table


def _short(change: Change) -> str:
    """The verdict in a word: worse, better, the same, undecided; a dash where there is none."""
    if change.p_value is None:
        return "-"
    first = change.verdict.partition(" ")[0]
    return {"not": "undecided", "the": "the same"}.get(first, first)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f}"


def _points(value: float | None) -> str:
    return "-" if value is None else f"{round(value * 100, 2) + 0.0:+.2f}"


def _errors_table(baseline: str, before: Errors, name: str, after: Errors) -> Table:
    """AP50 that each kind of error costs, and how far scores are from precision."""
    table = Table(title="errors: what each kind costs in points of AP50 (and how many there are)", title_justify="left")
    table.add_column("")
    for header in (baseline, name, "difference"):
        table.add_column(Text(header), justify="right")
    for key, title in _ERRORS.items():
        kinds = [errors.tide[key] for errors in (before, after)]
        gains = [kind.gain.value for kind in kinds]
        cells = [f"{_percent(gain)} ({kind.count})" for gain, kind in zip(gains, kinds, strict=True)]
        add_row(table, title, *cells, _change(gains))
    calibration = [errors.calibration.ece.value for errors in (before, after)]
    add_row(table, "scores against precision (ECE)", *map(_percent, calibration), _change(calibration))
    return table


def _change(values: Sequence[float | None]) -> str:
    before, after = values
    return "-" if before is None or after is None else _points(after - before)


def _images_table(comparison: Comparison) -> Table:
    table = Table(
        title="images like these that would show a difference in AP, four times in five", title_justify="left"
    )
    table.add_column("against")
    for wanted in comparison.images_needed:
        table.add_column(f"{float(wanted) * 100:g} points", justify="right")
    for number, row in enumerate(comparison.rows):
        counts = (counts[number] for counts in comparison.images_needed.values())
        add_row(table, row.name, *(_needed(count, comparison.images) for count in counts))
    return table


def _needed(count: int | None, images: int) -> str:
    if count is None:
        return "-"
    return "these suffice" if count <= images else f"{count:,}"
