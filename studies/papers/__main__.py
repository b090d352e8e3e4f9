"""`python -m studies.papers`: the tables of two papers beside what their networks take, and beside our own sweeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
import typer
from rich.table import Table
from rich.text import Text

from studies import as_app, run
from studies.papers import fruehwirth, muhawenayo
from wildbench.categories import CATEGORIES
from wildbench.cli.tables import add_row, print_tables
from wildbench.detectors import zoo
from wildbench.progress import Progress, shown, silent
from wildbench.resources import bundled
from wildbench.sweeps.record import Summary, read_summary

MUHAWENAYO, FRUEHWIRTH = ("paper-parksim", "paper-wildlife"), ("fruehwirth", "fruehwirth-wildlife")
"""The sweeps that repeat their experiments; their committed records are read."""


def main(
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the files, which take minutes to save.")] = False,
) -> None:
    """Print the papers' tables beside what their networks really take, and beside our own sweeps.

    Exit 1 where a printed megabyte does not follow from the network by the rule.
    """
    with shown() as progress:
        tables = paper_tables(progress, quick=quick)
    print_tables(*tables)
    wrong = muhawenayo.disagreements(parameters())
    values = sum(len(row.megabytes) for row in muhawenayo.TABLE)
    typer.echo(f"{values - len(wrong)} of {values} printed megabytes follow from the network by the rule")
    if wrong:
        raise typer.Exit(1)


def parameters() -> dict[str, int]:
    """Parameters of Muhawenayo & Gkioxari's network, by part."""
    with torch.device("meta"):  # shapes alone, no memory
        return muhawenayo.parameters(zoo.build(muhawenayo.DETECTOR, len(CATEGORIES)))


def paper_tables(progress: Progress = silent, *, quick: bool = False) -> list[Table]:
    """The tables.

    Args:
        progress: Called as `progress(task, done, total)`.
        quick: Whether to leave out what is saved and measured now, which takes minutes.

    Raises:
        ScorecardError: The record of one of our sweeps is damaged.
    """
    return [_muhawenayo(progress, quick=quick), _fruehwirth(progress, quick=quick)]


def _muhawenayo(progress: Progress, *, quick: bool) -> Table:
    measured = None if quick else muhawenayo.measure(progress)
    lines, notes = muhawenayo.sections(parameters(), _records(MUHAWENAYO), measured)
    title = "Muhawenayo & Gkioxari (2021), table 1, beside ours: Faster R-CNN R50-FPN, 13 categories"
    return paper_table(title, _headings("weights pruned", muhawenayo.PERCENT), lines, notes)


def _fruehwirth(progress: Progress, *, quick: bool) -> Table:
    measured = None if quick else fruehwirth.measure(progress)
    lines, notes = fruehwirth.sections(measured, _records(FRUEHWIRTH))
    title = "Frühwirth (2024), beside ours: Mask R-CNN R50-FPN, 13 categories"
    return paper_table(title, _headings("pruned", fruehwirth.PERCENT), lines, notes)


def _headings(first: str, percent: Sequence[int]) -> list[str]:
    return [first, *(f"{share} %" for share in percent)]


def _records(sweeps: Sequence[str]) -> list[Summary]:
    paths = [bundled(f"baselines/sweeps/{name}.json") for name in sweeps]
    return [read_summary(path) for path in paths if path.is_file()]


def paper_table(
    title: str, headings: Sequence[str], sections: Sequence[Sequence[Sequence[str]]], notes: Sequence[str]
) -> Table:
    """Rows of cells in sections, a line between two; the notes stand below, a paragraph each."""
    table = Table(title=Text(title), title_justify="left", caption=Text("\n".join(notes)), caption_justify="left")
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left", no_wrap=number > 0)
    for section in sections:
        for number, row in enumerate(section, start=1):
            add_row(table, *row, end_section=number == len(section))
    return table


app = as_app(main)

if __name__ == "__main__":
    run(app)
