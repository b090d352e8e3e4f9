"""How often intervals hold the truth."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from studies.coverage.coverage import CHOSEN, DIFFERENCE, Coverage
from wildbench.cli.tables.console import add_row

FEWEST = 100
"""Intervals of which a share is printed."""

LOWEST, HIGHEST = 0.93, 0.97
"""Where the share of 95 % intervals that hold the truth is to lie."""


def coverage_tables(rows: Sequence[Coverage]) -> list[Table]:
    """A table of figures and one of differences, a column a scenario; and one of the usual intervals of the first."""
    chosen = [row for row in rows if row.method == CHOSEN]
    figures = [row for row in chosen if not row.figure.startswith(DIFFERENCE)]
    differences = [row for row in chosen if row.figure.startswith(DIFFERENCE)]
    first = [row for row in rows if row.scenario == rows[0].scenario]
    return [
        _held_table("true figures held by their interval, in %", figures),
        _held_table("true differences held by their interval, in %", differences, DIFFERENCE),
        _kinds_table(f"kinds of interval: {rows[0].scenario}", first),
    ]


def _held_table(title: str, rows: Sequence[Coverage], prefix: str = "") -> Table:
    caption = (
        f"95 % intervals; < below {LOWEST:.0%}, > above {HIGHEST:.0%}, - fewer than {FEWEST} of them; figures "
        "of single categories stand by their number of boxes"
    )
    table = Table(title=Text(title), title_justify="left", caption=Text(caption), caption_justify="left")
    table.add_column("", no_wrap=True)
    scenarios = list(dict.fromkeys(row.scenario for row in rows))
    for scenario in scenarios:
        table.add_column(Text(scenario.replace("locations", "loc.")), justify="right")
    found = {(row.figure, row.scenario): row for row in rows}
    for figure in dict.fromkeys(row.figure for row in rows):
        shares = (_share(found.get((figure, scenario))) for scenario in scenarios)
        add_row(table, figure.removeprefix(prefix), *shares)
    return table


def _share(row: Coverage | None) -> str:
    if row is None or row.intervals < FEWEST:
        return "-"
    mark = "<" if row.held < LOWEST else ">" if row.held > HIGHEST else " "
    return f"{100 * row.held:.1f}{mark}"


def _kinds_table(title: str, rows: Sequence[Coverage]) -> Table:
    """Of each figure: its truth, its bias, and what share of each kind of interval holds it, and how wide they are."""
    kinds = list(dict.fromkeys(row.method for row in rows))
    table = Table(
        title=Text(title),
        title_justify="left",
        caption="in %: true figure (Δ: difference), bias of the measured; intervals of each kind that hold it, width",
        caption_justify="left",
    )
    table.add_column("", no_wrap=True)
    for column in ("true", "bias", *(name for kind in kinds for name in (kind, "width"))):
        table.add_column(column, justify="right")
    found = {(row.figure, row.method): row for row in rows}
    for figure in dict.fromkeys(row.figure for row in rows):
        same = [found[figure, kind] for kind in kinds]
        cells = (cell for row in same for cell in (_share(row), f"{100 * row.width:.1f}"))
        add_row(
            table, figure.replace(DIFFERENCE, "Δ "), f"{100 * same[0].truth:.1f}", f"{100 * same[0].bias:+.1f}", *cells
        )
    return table
