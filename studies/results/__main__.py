"""`python -m studies.results`: the tables and charts of baselines/RESULTS.md from the summaries of the sweeps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from studies import as_app, run
from studies.results.document import fill, read_summaries
from wildbench.files import write_atomically
from wildbench.pictures import svg
from wildbench.resources import bundled
from wildbench.sweeps.charts import chart


def main(
    folder: Annotated[
        Path | None, typer.Option(help="With RESULTS.md and sweeps/*.json; by default the repository's baselines/.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Write nothing; exit 1 where a table is out of date.")] = False,
) -> None:
    """Put the tables of baselines/sweeps/*.json into RESULTS.md, and draw their charts."""
    folder = folder or bundled("baselines")
    document = folder / "RESULTS.md"
    summaries = read_summaries(folder / "sweeps")
    old = document.read_text(encoding="utf-8")
    new = fill(old, summaries)
    if quick:
        typer.echo(f"{document}: {len(summaries)} sweeps, {'up to date' if new == old else 'OUT OF DATE'}")
        raise typer.Exit(int(new != old))
    write_atomically(document, new.encode())
    typer.echo(f"written: {document}")
    for summary in summaries:
        picture = folder / "sweeps" / f"{summary.sweep}.svg"
        write_atomically(picture, svg(chart(summary)))
        typer.echo(f"written: {picture}")


app = as_app(main)

if __name__ == "__main__":
    run(app)
