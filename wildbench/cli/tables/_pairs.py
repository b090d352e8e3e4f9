"""Two detectors: what they find alike, and what changes for a ranger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row, table_of

if TYPE_CHECKING:
    from wildbench.measures.field import FieldChange, Filtering, Shift
    from wildbench.pairs.agreement import Agreement
    from wildbench.pairs.explanation import Explanation
    from wildbench.pairs.gate import Outcome
    from wildbench.scorecard import Figure


def agreement_tables(found: Agreement) -> list[Table]:
    """What both find, by category; then how far they agree."""
    title = f"{found.a.name} (A) and {found.b.name} (B): {found.images} images, from a score of {found.threshold:.2f}"
    headings = ("A", "B", "both", "moved", "lost", "by score", "gained", "by score")
    counts = table_of(title, "", *headings)
    counts.caption = Text(
        "moved: both find it, with an IoU below 0.9; by score: the other finds it too, with a score below the threshold"
    )
    for name, one in {"all": found.whole, **found.per_category}.items():
        lost_and_gained = (one.lost, one.lost_by_score, one.gained, one.gained_by_score)
        numbers = (one.a, one.b, one.matched, one.moved, *lost_and_gained)
        add_row(counts, name, *(f"{number:,}" for number in numbers), end_section=name == "all")
    figures = table_of("agreement", "", "value", "95 % interval", "over")
    for name, figure in {
        "agreement (F1 of one by the other)": found.agreement,
        "mean IoU of what both find": found.overlap,
        "B's score less A's, mean": found.score_shift,
        "B's threshold for equal numbers": found.equal_threshold,
        "agreement at that threshold": found.agreement_at_equal,
    }.items():
        add_row(figures, name, _value(figure), _ends(figure), "-" if figure.n is None else f"{figure.n:,}")
    notes = dict.fromkeys(text for text in (found.agreement.caution, found.equal_threshold.reason) if text)
    figures.caption = Text("\n".join([f"intervals draw {found.groups} {found.drawn}", *notes]))
    return [counts, figures]


def _value(figure: Figure) -> str:
    return "-" if figure.value is None else f"{figure.value:.3f}"


def _ends(figure: Figure) -> str:
    return f"{figure.interval[0]:.3f} to {figure.interval[1]:.3f}" if figure.interval else "-"


def field_tables(change: FieldChange, name: str, baseline: str) -> list[Table]:
    """What changes at the parent's threshold and at the child's own; then recall by size, and slices."""
    headings = ("over", "baseline", "this", "difference", "95 % interval")
    title = f"{name} in place of {baseline}, from {change.threshold:.2f} ({change.threshold_source}): shares in %"
    table = table_of(title, "", *headings)
    _add_filtering(table, change.kept, f"at {change.threshold:.3f}")
    for at in (change.matched, change.quiet):
        if at:
            _add_filtering(table, at, f"at {at.threshold:.3f}")
    for by, sizes in (("% of the picture", change.by_share), ("pixels", change.by_side)):
        for size, shift in sizes.items():
            _add_shift(table, f"boxes found, {size} {by}", shift, 100)
        table.add_section()
    for field, slices in change.slices.items():
        for value, one in slices.items():
            _add_shift(table, f"{field} {value}: animals kept", one.recall, 100)
            _add_shift(table, f"{field} {value}: false alarms, ‰", one.false_alarms, 1000)
        table.add_section()
    lines = [note] if (note := change.note()) else []
    if change.times is not None and change.times_interval:
        low, high = change.times_interval
        lines.append(f"false alarms: {change.times:.2f} times as many (95 % interval {low:.2f} to {high:.2f})")
    for what, at, ends in (
        ("animals", change.matched, change.matched_interval),
        ("false alarms", change.quiet, change.quiet_interval),
    ):
        if at and ends:
            lines.append(
                f"as many {what} as before from {at.threshold:.3f} (95 % interval {ends[0]:.2f} to {ends[1]:.2f})"
            )
    table.caption = Text("\n".join(lines))
    return [table]


def _add_filtering(table: Table, at: Filtering, where: str) -> None:
    _add_shift(table, f"images with animals kept {where}", at.recall, 100)
    _add_shift(table, f"boxes found {where}", at.boxes, 100)
    _add_shift(table, f"false alarms {where}, ‰", at.false_alarms, 1000, end_section=True)


def _add_shift(table: Table, name: str, shift: Shift, scale: int, *, end_section: bool = False) -> None:
    digits = 1 if scale == 100 else 0
    values = ("-" if one is None else f"{scale * one:.{digits}f}" for one in (shift.baseline, shift.value))
    change = "-" if shift.difference is None else f"{scale * shift.difference:+.{digits}f}"
    ends = (
        "{:+.{d}f} to {:+.{d}f}".format(*(scale * end for end in shift.interval), d=digits) if shift.interval else "-"
    )
    add_row(table, name, f"{shift.n:,}", *values, change, ends, end_section=end_section)


def gate_table(outcome: Outcome) -> Table:
    """One row per goal."""
    title = f"{outcome.name} against {outcome.parent}"
    table = table_of(title, "goal", "measured [95 % interval]", "", left=("measured [95 % interval]", ""))
    for one in outcome.decisions:
        add_row(table, one.goal, one.measured, one.verdict)
    return table


MOST_LAYERS = 15
"""Of the ranked layers, those that are printed; the JSON has all."""


def explanation_table(found: Explanation) -> Table:
    """The layers that add most noise."""
    title = f"{found.compressed} against {found.dense}: {len(found.layers)} layers on {found.images} images"
    headings = ("dB", "noise", "given", "adds", "of all", "clipped", "dead")
    table = table_of(title, "layer", "operator", *headings, left=("operator",))
    for one in found.ranked()[:MOST_LAYERS]:
        level = "exact" if one.snr is None else f"{one.snr:.1f}"
        shares = (f"{value:.1%}" for value in (one.noise, one.noise_given, one.added))
        rest = (f"{one.share:.0%}", f"{one.clipped:.1%}", f"{one.dead}/{one.channels}")
        add_row(table, one.node, one.operator, level, *shares, *rest)
    lines = [
        "dB: signal over noise of what a layer answers; noise: its share of the power, mean over channels",
        "given: of the worst of what it is given; clipped: values at the end of their range; dead: channels",
        f"layers are paired by {found.matched_by}; {found.unmatched} of the dense network have no counterpart",
    ]
    table.caption = Text("\n".join(lines))
    return table
