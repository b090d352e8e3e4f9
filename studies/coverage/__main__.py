"""`python -m studies.coverage`: how often 95 % intervals hold the true AP of simulated data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text
from scipy.stats import binomtest

from studies import as_app, run
from studies.coverage import coverage
from studies.coverage.coverage import CHOSEN, DIFFERENCE, SCENARIOS, Coverage
from wildbench.cli.tables import add_row, print_tables
from wildbench.errors import RecipeError
from wildbench.files import check_writable, write_atomically
from wildbench.measures.uncertainty import LEVEL
from wildbench.progress import shown

QUICK = 200
"""Data sets of a quick run, of the first scenario alone."""

FEWEST = 100
"""A share of fewer intervals is not printed."""

LOWEST, HIGHEST = 0.93, 0.97
"""Where the share of 95 % intervals that hold the truth should lie."""

HEADLINES = tuple(prefix + figure for prefix in ("", DIFFERENCE) for figure in ("AP", "AP50", "AR"))
"""Figures whose intervals must hold the truth as often as they say."""

ERR_TO_THE_SAFE_SIDE = "AP near 1"
"""Scenario in which intervals may hold the truth too often, as docs/uncertainty.md says."""

CHANCE = 1e-3
"""A share that chance alone gives less often than this is a broken promise."""


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Scenarios [all].", metavar="[NAME]...")] = None,
    sets: Annotated[int, typer.Option(min=1, help="Simulated data sets per scenario.")] = coverage.SETS,
    replicates: Annotated[int, typer.Option(min=2, help="Resampled sets per data set.")] = coverage.REPLICATES,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated data sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON to write, with the numbers of the tables and more.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} data sets of the first scenario.")] = False,
) -> None:
    """Count how often 95 % intervals hold the true AP of simulated data sets.

    Exit 1 where those of AP, AP50 or AR, or of a difference in one, do so more or less often than chance allows.
    """
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    unknown = [name for name in names or () if name not in scenarios]
    if unknown:
        raise RecipeError(
            f"no scenario is called {unknown[0]!r}",
            code="no-such-scenario",
            remedy=f"choose from {', '.join(scenarios)}",
        )
    if out is not None:
        check_writable(out)
    wanted = names or (list(scenarios)[:1] if quick else list(scenarios))
    with shown() as progress:
        rows = [
            row
            for name in wanted
            for row in coverage.audit_coverage(
                scenarios[name], sets=QUICK if quick else sets, replicates=replicates, seed=seed, progress=progress
            )
        ]
    print_tables(*coverage_tables(rows))
    if out is not None:
        write_atomically(out, coverage.as_json(rows).encode())
    if broken := broken_promises(rows):
        typer.echo("\n".join(f"{row.scenario}: {row.figure} is held in {row.held:.1%}" for row in broken))
        raise typer.Exit(1)


def broken_promises(rows: Sequence[Coverage]) -> list[Coverage]:
    """Headline figures whose intervals hold the truth more or less often than chance allows."""
    return [
        row
        for row in rows
        if row.method == CHOSEN and row.figure in HEADLINES and row.intervals and doubt(row) < CHANCE
        if row.held < LEVEL or row.scenario != ERR_TO_THE_SAFE_SIDE
    ]


def doubt(row: Coverage, level: float = LEVEL) -> float:
    """Probability of a share this far from `level` if the intervals hold the truth as often as they say."""
    return float(binomtest(round(row.held * row.intervals), row.intervals, level).pvalue)


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


app = as_app(main)

if __name__ == "__main__":
    run(app)
