"""Scorecards: one, several side by side, against a baseline, and a leaderboard of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row, ends_of, scaled, table_of
from wildbench.cli.tables._pairs import field_tables

if TYPE_CHECKING:
    from wildbench.comparison import Change, Comparison
    from wildbench.leaderboard import Board, Front, Section
    from wildbench.scorecard import Errors, Figure, Scorecard


ALARMS = "alarms: of 1,000 empty images, those that are kept when 95 % of the images with animals are"

_HEADINGS = {
    "ap": "AP",
    "ap50": "AP50",
    "ap75": "AP75",
    "ap_small": "small",
    "ap_medium": "medium",
    "ap_large": "large",
    "false_alarms": "alarms",
    "file_bytes": "MB",
    "macs": "GMAC",
    "latency_p50": "p50",
    "latency_p99": "p99",
}
"""wildbench's own measures that a table of scorecards has room for, in its order."""


WITH_ENDS = ("AP", "per 1,000", "ms")
"""Units of the figures that are shown with their intervals."""


def scorecards_table(cards: Sequence[Scorecard]) -> Table:
    """One row per scorecard: its figures side by side, AP with its interval below it, then what packages measured.

    AP columns are in percent, as papers print them; the record itself keeps 0..1.
    """
    from wildbench.measures import all_measures

    first = cards[0].dataset
    split = f" {first.split}" if first.split else ""
    title = f"{first.name}{split}: {first.boxes} boxes in {first.images} images"
    added = {key for card in cards for key in card.measures}
    with_field = any(card.field for card in cards)
    wanted = [key for key in _HEADINGS if key != ("ap75" if with_field else "false_alarms")]  # there is room for one
    measures = {one.key: one for one in all_measures() if one.key in added or one.key in _HEADINGS}
    columns = [measures[key] for key in wanted] + [measures[key] for key in sorted(added & measures.keys())]
    headings = (_HEADINGS.get(one.key, f"{one.title} {one.shown_unit or one.unit}") for one in columns)
    table = table_of(title, "submission", *headings)
    shown: list[Figure] = []
    for card in cards:
        cells = []
        for one in columns:
            figure = one.read(card)
            digits = 0 if one.key == "latency_p99" else one.digits
            fine = 1 if figure and one.unit == "ms" and (figure.value or 0) < 10 else 0
            ends = ends_of(figure, "\n{}–{}", one.scale, fine) if figure and one.unit in WITH_ENDS else ""
            cells.append(scaled(figure, one.scale, digits) + ends)
            shown += [figure] if figure and one.unit == "AP" else []
        add_row(table, card.submission.name, *cells)
    below = "; below them 95 % intervals" if any(figure.interval for figure in shown) else ""
    cautions = dict.fromkeys(figure.caution for figure in shown if figure.caution)
    alarms = [ALARMS] if with_field else []
    table.caption = Text("\n".join([f"AP in %; latency in ms, end to end, batch 1{below}", *alarms, *cautions]))
    return table


def category_table(cards: Sequence[Scorecard]) -> Table:
    """One row per category: AP50 of each scorecard, with its interval, beside the number of boxes it is over."""
    table = table_of("AP50 by category, in %", "category", "boxes", *(card.submission.name for card in cards))
    cautions: dict[str, list[str]] = {}
    for name in cards[0].accuracy.per_category:
        figures = [card.accuracy.per_category[name].ap50 for card in cards]
        boxes = next((str(figure.n) for figure in figures if figure.n is not None), "-")
        add_row(table, name, boxes, *(scaled(figure, 100) + ends_of(figure, " [{}, {}]") for figure in figures))
        for caution in dict.fromkeys(figure.caution for figure in figures if figure.caution):
            cautions.setdefault(caution, []).append(name)
    table.caption = Text("\n".join(f"{caution} ({', '.join(names)})" for caution, names in cautions.items()))
    return table


_KINDS = {
    "cls": "wrong category",
    "loc": "badly placed",
    "both": "wrong category and badly placed",
    "dup": "second detection of one box",
    "bkg": "on background",
    "miss": "box that nothing comes near",
}


def errors_tables(card: Scorecard) -> list[Table]:
    """Kinds of error with what each costs, then the calibration of the scores."""
    return [_kinds_table(card.errors, card.accuracy.mean_iou50), _calibration_table(card.errors)]


def _kinds_table(errors: Errors, overlap: Figure) -> Table:
    images = errors.images
    caption = (
        f"IoU {errors.iou:g}; what AP50 would gain if these errors alone were mended\n"
        f"at score {scaled(images.threshold, digits=3)} and above: mean F1 {scaled(images.mean_f1, digits=3)}, "
        f"{scaled(images.without_error, digits=0)} of {images.without_error.n} images without error"
    )
    if overlap.value is not None:
        ends = f" [{overlap.interval[0]:.3f}, {overlap.interval[1]:.3f}]" if overlap.interval else ""
        caption += f"\nand mean IoU of the {overlap.n:,} matches {scaled(overlap, digits=3)}{ends}"
    if errors.unfound:
        caption += f"\nnot one box is found of: {', '.join(errors.unfound)}"
    table = table_of("errors by TIDE", "kind", "errors", "AP50 points", caption=caption)
    for key, error in errors.tide.items():
        add_row(table, _KINDS[key], f"{error.count:,}", scaled(error.gain, 100), end_section=key == "miss")
    add_row(table, "all wrong detections", "", scaled(errors.false_positives, 100))
    add_row(table, "all missed boxes", "", scaled(errors.false_negatives, 100))
    return table


def _calibration_table(errors: Errors) -> Table:
    """One row per bin of score that has detections."""
    calibration = errors.calibration
    ece, mce = scaled(calibration.ece, digits=3), scaled(calibration.mce, digits=3)
    caption = f"expected calibration error {ece}, largest {mce}"
    table = table_of("calibration", "score", "detections", "mean score", "precision", caption=caption)
    for part in calibration.bins:
        if part.score is not None and part.precision is not None:
            shown = (f"{part.low:.1f}-{part.high:.1f}", f"{part.detections:,}", f"{part.score:.3f}")
            add_row(table, *shown, f"{part.precision:.3f}")
    return table


_CAN_SHOW = "can show: the smallest difference that these would show, four times in five, between two so alike"
_CORRECTED = "verdicts and 'can show' are corrected for the number of comparisons; intervals and P(worse) are not"


def comparison_tables(comparison: Comparison) -> list[Table]:
    """For each row: figures and sizes, categories, and kinds of error; then how many images a difference takes."""
    tables = []
    place = f"{comparison.dataset} {comparison.split or ''}".strip()
    draws = f"{comparison.replicates} paired draws of {comparison.groups} {comparison.drawn}"
    for row in comparison.rows:
        title = f"{row.name} against {comparison.baseline}, {place}: AP in %, differences in points"
        overall = {_HEADINGS[name]: change for name, change in (row.overall | row.sizes).items()}
        tables.append(_changes_table(title, overall, [f"95 % intervals from {draws}", _CAN_SHOW, _CORRECTED]))
        for figure, heading in (("ap", "AP"), ("ap50", "AP50")):
            categories = {name: changes[figure] for name, changes in row.per_category.items()}
            tables.append(_changes_table(f"{heading} by category", categories, []))
        if row.field:
            tables += field_tables(row.field, row.name, comparison.baseline)
        if comparison.baseline_errors and row.errors:
            tables.append(_errors_table(comparison.baseline_errors, row.errors))
    return [*tables, _needed_table(comparison)]


def _changes_table(title: str, changes: Mapping[str, Change], notes: Sequence[str]) -> Table:
    """One row per figure; what to be careful with stands below, once for all it concerns."""
    headings = ("boxes", "baseline", "this", "difference", "P(worse)", "can show")
    table = table_of(title, "", *headings, "verdict", left=["verdict"])
    for column in table.columns[1:-1]:
        column.no_wrap = True
    for name, change in changes.items():
        difference = _points(change.difference)
        if change.interval:
            difference += f" [{_points(change.interval[0])}, {_points(change.interval[1])}]"
        worse = "-" if change.baseline_better is None else f"{change.baseline_better:.2f}"
        smallest = "-" if change.smallest is None else f"{change.smallest * 100:.2g}"
        shown = [_percent(change.baseline), _percent(change.value), difference, worse, smallest]
        add_row(table, name, str(change.n), *shown, _short(change))
    several = {name: one.comparisons for name, one in changes.items()}
    corrections = {name: f"corrected for {many} comparisons" if many > 1 else None for name, many in several.items()}
    cautions = {name: change.caution for name, change in changes.items()}
    table.caption = Text("\n".join([*_once(corrections), *notes, *_once(cautions)]))
    return table


def _once(notes: Mapping[str, str | None]) -> list[str]:
    """Each note once, after the names that it concerns, unless it concerns all."""
    names: dict[str, list[str]] = {}
    for name, note in notes.items():
        if note:
            names.setdefault(note, []).append(name)
    return [note if len(some) == len(notes) else f"{', '.join(some)}: {note}" for note, some in names.items()]


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
    title = "errors: what each kind costs in points of AP50 (and how many there are)"
    table = table_of(title, "", "baseline", "this", "difference")
    for key, kind in _KINDS.items():
        both = [errors.tide[key] for errors in (before, after)]
        gains = [one.gain.value for one in both]
        cells = [f"{_percent(gain)} ({one.count:,})" for gain, one in zip(gains, both, strict=True)]
        add_row(table, kind, *cells, _change(gains))
    calibration = [errors.calibration.ece.value for errors in (before, after)]
    add_row(table, "scores against precision (ECE)", *map(_percent, calibration), _change(calibration))
    return table


def _change(values: Sequence[float | None]) -> str:
    before, after = values
    return "-" if before is None or after is None else _points(after - before)


def _needed_table(comparison: Comparison) -> Table:
    title = f"how many {comparison.drawn} like these would show a difference in AP, four times in five"
    wanted = (f"{float(difference) * 100:g} points" for difference in comparison.groups_needed)
    table = table_of(title, "between two as alike as the baseline and", *wanted)
    for number, row in enumerate(comparison.rows):
        counts = (counts[number] for counts in comparison.groups_needed.values())
        add_row(table, row.name, *(_needed(count, comparison.groups) for count in counts))
    return table


def _needed(count: int | None, groups: int) -> str:
    if count is None:
        return "-"
    return "these suffice" if count <= groups else f"{count:,}"


MOST = 50
"""Rows that are printed; leaderboard.json and the page have all."""


def board_tables(board: Board) -> list[Table]:
    """One table per section: its first rows, with its fronts and what they are worth below."""
    return [_section_table(board, section) for section in board.sections]


def _section_table(board: Board, section: Section) -> Table:
    from wildbench.leaderboard.exports import printed

    shown = section.model_copy(update={"rows": section.rows[:MOST]})
    (_, _, *headings), *rows = printed(board, shown, "–", "-", every_interval=False)
    columns = (re.sub(", | (?=less|alarms|ratio)", "\n", heading) for heading in headings)
    table = table_of(section.title(), "rank", "submission", *columns, left=["submission"])
    for column in (*table.columns[:1], *table.columns[2:]):
        column.no_wrap = True
    for row, (place, name, *cells) in zip(shown.rows, rows, strict=True):
        add_row(table, place if row.machine else "claim", name, *(cell.replace(" [", "\n[") for cell in cells))
    lines = [f"below {board.ranked.title}: its 95 % interval"]
    if any(row.machine is None for row in shown.rows):
        lines.append("claim: self-reported, so without a rank; wildbench leaderboard reproduce measures it here")
    if more := section.rows[MOST:]:
        lines.insert(0, f"and {len(more)} below them, in leaderboard.json and on the page")
    titles = {column.key: column.title for column in board.measures}
    lines += [_front(section, front, titles[front.axis]) for front in section.fronts]
    table.caption = Text("\n".join(lines))
    return table


def _front(section: Section, front: Front, cost: str) -> str:
    names = {row.id: row.name for row in section.rows}
    within = f" within {front.within}" if front.within else ""
    members = ", ".join(names[row] for row in front.rows)
    return f"best by AP and {cost}{within}: {members} (hypervolume {scaled(front.hypervolume, 1, 4)})"
