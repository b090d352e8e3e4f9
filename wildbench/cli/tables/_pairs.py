"""Two detectors: what they find alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from wildbench.cli.tables._console import add_row, table_of

if TYPE_CHECKING:
    from wildbench.agreement import Agreement
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
