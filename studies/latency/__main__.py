"""`python -m studies.latency`: coverage, power, false refusals and cost of the protocol of latency."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.table import Table
from rich.text import Text
from scipy.stats import binomtest

from studies import as_app, run
from studies.latency.simulator import SCENARIOS, Outcome, Scenario, measure, truth
from wildbench.cli.tables import add_row, print_tables
from wildbench.files import check_writable, write_atomically
from wildbench.measures.latency import early_stopping, quantile_of
from wildbench.progress import shown

RUNS, QUICK = 500, 40
PERCENTILES = (0.5, 0.9, 0.99)
LOWEST, HIGHEST = 0.93, 0.97
CHANCE = 1e-3
"""A share that chance alone gives less often than this is a broken promise."""


@dataclass(frozen=True)
class Tally:
    """What many runs of one scenario came to.

    Attributes:
        runs: How many.
        held: Of each percentile, how many intervals hold the truth, and how many there are.
        refused: Runs without a median.
        modes: Runs in which two modes were found; `both` those in which a call or a session of each was drawn.
        discarded: Share of the blocks that were discarded.
        sessions: Mean number; `seconds` of measuring and `whole` of everything.
        safe: Share of the runs in which MLPerf's estimate of p99 is not below the truth.
    """

    runs: int
    held: dict[float, tuple[int, int]]
    refused: int
    modes: int
    both: int
    discarded: float
    sessions: float
    seconds: float
    whole: float
    safe: float


def tally(scenario: Scenario, outcomes: list[Outcome]) -> Tally:
    """Count over the runs of a scenario."""
    true = {p: truth(scenario, p) for p in PERCENTILES}
    held = {p: [0, 0] for p in PERCENTILES}
    refused = modes = both = 0
    blocks, safe = [0, 0], []
    for one in outcomes:
        quiet = [session.times for session in one.sessions if session.quiet]
        for p in PERCENTILES:
            interval = quantile_of(quiet, p).interval
            if interval:
                held[p][0] += interval[0] <= 1000 * true[p] <= interval[1]
                held[p][1] += 1
        refused += quantile_of(quiet, 0.5).value is None
        modes += one.found is not None
        medians = [float(np.median(times)) for times in quiet]
        calls = scenario.modes is not None and scenario.modes[1] == "calls"
        both += bool(medians) and (calls or max(medians) > 1.2 * min(medians))
        for session in one.sessions:
            blocks[0] += sum(session.discarded.values())
            blocks[1] += session.kept + sum(session.discarded.values())
        estimate = early_stopping(np.concatenate(quiet)).value if quiet else None
        safe += [] if estimate is None else [estimate >= 1000 * true[0.99]]
    n = len(outcomes)
    return Tally(
        n,
        {p: (pair[0], pair[1]) for p, pair in held.items()},
        refused,
        modes,
        both,
        blocks[0] / max(1, blocks[1]),
        sum(len(one.sessions) for one in outcomes) / n,
        sum(one.spent for one in outcomes) / n,
        sum(one.passed for one in outcomes) / n,
        float(np.mean(safe)) if safe else float("nan"),
    )


def broken(scenario: Scenario, one: Tally) -> list[str]:
    """Promises that the counts contradict."""
    wrong = []
    if scenario.refused:
        return [f"{one.runs - one.refused} figures beside a neighbour"] if one.refused < 0.99 * one.runs else []
    if one.refused > 0.01 * one.runs and not scenario.neighbour:
        wrong.append(f"{one.refused} of {one.runs} refused")
    if scenario.modes:
        return wrong + ([f"two modes found in {one.modes} of {one.both}"] if one.modes < 0.99 * one.both else [])
    if binomtest(one.modes, one.runs, 0.01, "greater").pvalue < CHANCE:
        wrong.append(f"two modes found in {one.modes} of {one.runs}")
    for p, (held, n) in one.held.items():
        low = n and binomtest(held, n, LOWEST, "less").pvalue < CHANCE
        high = n and binomtest(held, n, HIGHEST, "greater").pvalue < CHANCE and p == 0.5
        if low or high:
            wrong.append(f"p{100 * p:g}: {held} of {n} intervals hold the truth")
    return wrong


def main(
    runs: Annotated[int, typer.Option(min=1, help="Of each scenario.")] = RUNS,
    out: Annotated[Path | None, typer.Option(help="Markdown to write.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} runs of each.")] = False,
) -> None:
    """Run the protocol of latency on simulated machines, and count how often it is right.

    Exit 1 where an interval holds the truth more or less often than chance allows, a disturbed machine gets a figure,
    or two modes are missed or made up.
    """
    if out:
        check_writable(out)
    runs = QUICK if quick else runs
    head = ["scenario", "p50 holds", "p90 holds", "p99 holds", "two modes", "refused", "blocks discarded"]
    head += ["sessions", "s measuring", "s in all", "MLPerf's p99 safe"]
    rows, wrong = [], []
    with shown() as progress:
        for place, scenario in enumerate(SCENARIOS):
            one = tally(scenario, [measure(scenario, seed) for seed in range(runs)])
            rows.append(_row(scenario, one))
            wrong += [f"{scenario.name}: {what}" for what in broken(scenario, one)]
            progress("simulate", place + 1, len(SCENARIOS))
    table = Table(title=Text(f"{runs} runs of each"))
    for name in head:
        table.add_column(name, justify="left" if name == "scenario" else "right")
    for row in rows:
        add_row(table, *row)
    print_tables(table)
    if out:
        lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
        write_atomically(out, "".join(f"| {' | '.join(line)} |\n" for line in lines).encode())
    for line in wrong:
        typer.echo(f"latency: {line}", err=True)
    if wrong:
        raise typer.Exit(1)


def _row(scenario: Scenario, one: Tally) -> list[str]:
    def share(part: float, whole: float) -> str:
        return f"{100 * part / whole:.1f} %" if whole else "-"

    judged = not scenario.modes and not scenario.refused
    holds = [share(*one.held[p]) if judged else "-" for p in PERCENTILES]
    modes = f"{one.modes} of {one.both}" if scenario.modes else f"{one.modes} false"
    cost = [f"{one.sessions:.1f}", f"{one.seconds:.1f}", f"{one.whole:.1f}"]
    safe = f"{100 * one.safe:.1f} %" if judged else "-"
    return [scenario.name, *holds, modes, share(one.refused, one.runs), share(one.discarded, 1), *cost, safe]


app = as_app(main)

if __name__ == "__main__":
    run(app)
