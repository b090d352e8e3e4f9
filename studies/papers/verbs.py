"""TODO."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli.baseline import app


@app.command()
def results(
    folder: Annotated[
        Path | None, typer.Option(help="With sweeps/*.json; by default the repository's baselines/.")
    ] = None,
) -> None:
    """Write RESULTS.md and its charts from the summaries of the sweeps."""
    from studies.results.document import write_results
    from wildbench.resources import bundled

    for path in write_results(folder or bundled("baselines")):
        typer.echo(f"written: {path}")


@app.command()
def paper(
    quick: Annotated[bool, typer.Option("--quick", help="Leave out the files, which take minutes to save.")] = False,
) -> None:
    """Print the papers' tables beside what their networks really take, and beside our own sweep."""
    from studies.papers.tables import paper_tables
    from wildbench.cli.tables.console import print_tables
    from wildbench.progress import shown

    with shown() as progress:
        tables = paper_tables(progress, quick=quick)
    print_tables(*tables)
