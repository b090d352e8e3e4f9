"""Detectors against a baseline: what differs, what cannot be told apart, and what the errors are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables.console import add_row
from wildbench.comparison import Change, Comparison
from wildbench.scorecard import Errors

_FIGURES = {"ap": "AP", "ap50": "AP50", "ap75": "AP75", "ap_small": "small", "ap_medium": "medium", "ap_large": "large"}
_ERRORS = {
    "cls": "wrong category",
    "loc": "badly placed",
    "both": "both",
    "dup": "found twice",
    "bkg": "background",
    "miss": "missed",
}

_CAN_SHOW = "can show: the smallest difference that these would show, four times in five, between two so alike"
_EACH_FOR_ITSELF = "intervals and P(worse) are each for itself; verdicts and 'can show' are corrected for several"


def comparison_tables(comparison: Comparison) -> list[Table]:
    """For each row: figures and sizes, categories, and kinds of error; then how many images a difference takes."""
    tables = []
    place = f"{comparison.dataset} {comparison.split or ''}".strip()
    draws = f"{comparison.replicates} paired draws of {comparison.groups} {comparison.drawn}"
    for row in comparison.rows:
        title = f"{row.name} against {comparison.baseline}, {place}: AP in %, differences in points"
        overall = {_FIGURES[name]: change for name, change in (row.overall | row.sizes).items()}
        tables.append(_changes_table(title, overall, [f"95 % intervals from {draws}", _CAN_SHOW, _EACH_FOR_ITSELF]))
        for figure, heading in (("ap", "AP"), ("ap50", "AP50")):
            categories = {name: changes[figure] for name, changes in row.per_category.items()}
            tables.append(_changes_table(f"{heading} by category", categories, []))
        if comparison.baseline_errors and row.errors:
            tables.append(_errors_table(comparison.baseline_errors, row.errors))
    return [*tables, _needed_table(comparison)]


def _changes_table(title: str, changes: Mapping[str, Change], notes: Sequence[str]) -> Table:
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
        smallest = "-" if change.smallest is None else f"{change.smallest * 100:.2g}"
        shown = [_percent(change.baseline), _percent(change.value), difference, worse, smallest]
        add_row(table, name, str(change.n), *shown, _short(change))
    table.caption = Text("\n".join([*_corrections(changes), *notes, *_cautions(changes)]))
    return table


def _corrections(changes: Mapping[str, Change]) -> list[str]:
    """How many comparisons the verdicts are corrected for, where there are several."""
    several: dict[int, list[str]] = {}
    for name, change in changes.items():
        several.setdefault(change.comparisons, []).append(name)
    return [f"{_named(names, changes)}corrected for {many} comparisons" for many, names in several.items() if many > 1]


def _cautions(changes: Mapping[str, Change]) -> list[str]:
    concerned: dict[str, list[str]] = {}
    for name, change in changes.items():
        if change.caution:
            concerned.setdefault(change.caution, []).append(name)
    return [f"{_named(names, changes)}{caution}" for caution, names in concerned.items()]


def _named(names: Sequence[str], changes: Mapping[str, Change]) -> str:
    return "" if len(names) == len(changes) else f"{', '.join(names)}: "


def _short(change: Change) -> str:
    """The verdict in a word: worse, better, the same, undecided; a dash where there is none."""
    if change.p_value is None:
        return "-"
    first = change.verdict.partition(" ")[0]
    return {"not": "undecided", "the": "the same"}.get(first, first)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value * 100:.1f}"


def _points(value: float | None) -> str:
    if value is None:
        return "-"
    rounded = round(value * 100, 2)
    return f"{rounded:+.2f}" if rounded else "≈0" if value else "0"


def _errors_table(before: Errors, after: Errors) -> Table:
    """AP50 that each kind of error costs, and how far scores are from precision."""
    table = Table(title="errors: what each kind costs in points of AP50 (and how many there are)", title_justify="left")
    table.add_column("")
    for header in ("baseline", "this", "difference"):
        table.add_column(header, justify="right")
    for key, title in _ERRORS.items():
        kinds = [errors.tide[key] for errors in (before, after)]
        gains = [kind.gain.value for kind in kinds]
        cells = [f"{_percent(gain)} ({kind.count:,})" for gain, kind in zip(gains, kinds, strict=True)]
        add_row(table, title, *cells, _change(gains))
    calibration = [errors.calibration.ece.value for errors in (before, after)]
    add_row(table, "scores against precision (ECE)", *map(_percent, calibration), _change(calibration))
    return table


def _change(values: Sequence[float | None]) -> str:
    before, after = values
    return "-" if before is None or after is None else _points(after - before)


def _needed_table(comparison: Comparison) -> Table:
    title = f"how many {comparison.drawn} like these would show a difference in AP, four times in five"
    table = Table(title=Text(title), title_justify="left")
    table.add_column("between two as alike as the baseline and", overflow="fold")
    for wanted in comparison.groups_needed:
        table.add_column(f"{float(wanted) * 100:g} points", justify="right")
    for number, row in enumerate(comparison.rows):
        counts = (counts[number] for counts in comparison.groups_needed.values())
        add_row(table, row.name, *(_needed(count, comparison.groups) for count in counts))
    return table


def _needed(count: int | None, groups: int) -> str:
    if count is None:
        return "-"
    return "these suffice" if count <= groups else f"{count:,}"
