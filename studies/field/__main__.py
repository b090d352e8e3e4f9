"""`python -m studies.field`: how often 95 % intervals hold what a ranger would see of the whole population."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table
from rich.text import Text
from scipy.stats import binomtest

from studies import as_app, run
from studies.field.simulation import SCENARIOS, Scenario, draw, figures, truths
from wildbench.cli.tables import add_row, print_tables
from wildbench.errors import RecipeError
from wildbench.files import check_writable, write_atomically
from wildbench.measures.uncertainty import LEVEL
from wildbench.progress import Progress, shown, silent

SETS, REPLICATES, QUICK = 400, 300, 200
"""Simulated data sets of a scenario, drawn sets of each, and data sets of a quick run, of the first scenario alone."""

LOWEST, HIGHEST = 0.93, 0.97
"""Where the share of 95 % intervals that hold the truth should lie."""

HEADLINES = ("recall", "false alarms", "difference of recall", "difference of false alarms")
"""Figures whose intervals must hold the truth as often as they say in the first scenario; docs/field.md has all."""

CHANCE = 1e-3
"""A share that chance alone gives less often than this is a broken promise."""

Row = dict[str, str | float | int]
"""Scenario, figure, truth, bias, intervals, without, held, width."""


def audit(
    scenario: Scenario,
    *,
    sets: int = SETS,
    replicates: int = REPLICATES,
    seed: int = 0,
    progress: Progress = silent,
) -> list[Row]:
    """Draw data sets, make intervals, and count those that hold the truth; a row for each figure."""
    known = truths(scenario)
    values: dict[str, list[float]] = defaultdict(list)
    ends: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number in range(sets):
        progress(scenario.name, number, sets)
        for name, value, interval in figures(draw(scenario, np.random.default_rng([seed, number])), replicates):
            if np.isfinite(value):
                values[name].append(value)
            if interval is not None:
                ends[name].append(interval)
    progress(scenario.name, sets, sets)
    rows: list[Row] = []
    for name, truth in known.items():
        low, high = np.array(ends[name]).reshape(-1, 2).T
        rows.append(
            {
                "scenario": scenario.name,
                "figure": name,
                "truth": round(truth, 5),
                "bias": round(float(np.mean(values[name])) - truth, 5) if values[name] else 0.0,
                "intervals": len(low),
                "without": sets - len(low),
                "held": round(float(((low <= truth) & (truth <= high)).mean()), 5) if len(low) else 0.0,
                "width": round(float((high - low).mean()), 5) if len(low) else 0.0,
            }
        )
    return rows


def table_of(rows: Sequence[Row]) -> Table:
    """A column a scenario: the share of the intervals that hold the truth, in percent."""
    caption = f"in %; < below {LOWEST:.0%}, > above {HIGHEST:.0%}; false alarms as a share of the empty images"
    title = Text("true figures held by their 95 % interval, in %")
    table = Table(title=title, title_justify="left", caption=Text(caption), caption_justify="left")
    table.add_column("", no_wrap=True)
    for scenario in dict.fromkeys(row["scenario"] for row in rows):
        table.add_column(Text(str(scenario).replace("locations", "loc.")), justify="right")
    by_figure: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        held = float(row["held"])
        mark = "<" if held < LOWEST else ">" if held > HIGHEST else " "
        by_figure[str(row["figure"])].append(f"{100 * held:.1f}{mark}" if row["intervals"] else "-")
    for figure, cells in by_figure.items():
        add_row(table, figure, *cells)
    return table


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Scenarios [all].", metavar="[NAME]...")] = None,
    sets: Annotated[int, typer.Option(min=1, help="Simulated data sets per scenario.")] = SETS,
    replicates: Annotated[int, typer.Option(min=2, help="Drawn sets per data set.")] = REPLICATES,
    seed: Annotated[int, typer.Option(min=0, help="Of the simulated data sets.")] = 0,
    out: Annotated[Path | None, typer.Option(help="JSON to write, with the numbers of the table and more.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} data sets of the first scenario.")] = False,
) -> None:
    """Count how often 95 % intervals hold what a ranger would see of the whole population.

    Exit 1 where those of recall, false alarms or their differences in the first scenario do so more or less often than
    chance allows.
    """
    scenarios = {scenario.name: scenario for scenario in SCENARIOS}
    if unknown := [name for name in names or () if name not in scenarios]:
        what, remedy = f"no scenario is called {unknown[0]!r}", f"choose from {', '.join(scenarios)}"
        raise RecipeError(what, code="no-such-scenario", remedy=remedy)
    if out is not None:
        check_writable(out)
    wanted = names or (list(scenarios)[:1] if quick else list(scenarios))
    many = QUICK if quick else sets
    with shown() as progress:
        rows = [
            row
            for name in wanted
            for row in audit(scenarios[name], sets=many, replicates=replicates, seed=seed, progress=progress)
        ]
    print_tables(table_of(rows))
    if out is not None:
        write_atomically(out, ("[\n" + ",\n".join(map(json.dumps, rows)) + "\n]\n").encode())
    if broken := broken_promises(rows):
        typer.echo("\n".join(f"{row['scenario']}: {row['figure']} is held in {row['held']:.1%}" for row in broken))
        raise typer.Exit(1)


def broken_promises(rows: Sequence[Row]) -> list[Row]:
    """Headline figures whose intervals hold the truth more or less often than chance allows."""
    return [
        row
        for row in rows
        if row["figure"] in HEADLINES and row["scenario"] == SCENARIOS[0].name and row["intervals"]
        if binomtest(round(float(row["held"]) * int(row["intervals"])), int(row["intervals"]), LEVEL).pvalue < CHANCE
    ]


app = as_app(main)

if __name__ == "__main__":
    run(app)
