"""Verbs that look at several scorecards."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def compare(
    cards: Annotated[list[Path], typer.Argument(help="Scorecards of one data set, the baseline first.")],
    dataset: Annotated[
        str | None, typer.Option(help="What they were scored on, where that is a file.", metavar="NAME|JSON")
    ] = None,
    difference: Annotated[
        list[float] | None, typer.Option(help="In points of AP: how many images would show it? May be repeated.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON to write.")] = None,
) -> None:
    """Say whether detectors differ from the first: differences with intervals, and what the data set can show."""
    from wildbench.cli.tables import comparison_tables, print_tables
    from wildbench.comparison import DIFFERENCES
    from wildbench.comparison import compare as run
    from wildbench.files import check_writable

    if out:
        check_writable(out)
    differences = [points / 100 for points in difference] if difference else DIFFERENCES
    comparison = run(cards, dataset=dataset, differences=differences)
    if out:
        comparison.write(out)
    print_tables(*comparison_tables(comparison))
    if comparison.categories_left_out:
        typer.echo(f"left out, because one does not know them: {', '.join(comparison.categories_left_out)}")
    for row in comparison.rows:
        typer.echo(f"{row.name} against {comparison.baseline}, AP: {row.overall['ap'].verdict}")
