"""Whether a compressed detector may take its parent's place, for CI."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli import tables
from wildbench.cli.options import SplitFileOption

app = typer.Typer()


@app.command()
def gate(
    card: Annotated[Path, typer.Argument(help="The compressed detector's scorecard.")],
    against: Annotated[Path, typer.Option(help="Its parent's scorecard, on the same data set.")],
    max_loss: Annotated[
        list[str] | None,
        typer.Option(help="Points that may be lost: ap50=1, or of recall or boxes. Repeatable.", metavar="FIGURE=N"),
    ] = None,
    max_false_alarms: Annotated[
        str | None, typer.Option(help="By the parent's at its threshold: 1.2x.", metavar="N")
    ] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Of the file: 4MB, 900kB.", metavar="SIZE")] = None,
    goals: Annotated[Path | None, typer.Option(help="TOML with the same goals.")] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="At which the parent is used [its own, else 0.2].")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="What they were scored on, where that is a file.", metavar="NAME|JSON")
    ] = None,
    split_file: SplitFileOption = None,
) -> None:
    """Exit 0 where a detector keeps to its goals, 1 where it fails, 3 where these images cannot tell."""
    from wildbench.pairs.gate import judge, read_goals

    losses = dict(one.partition("=")[::2] for one in max_loss or ())
    stated = read_goals(
        goals, max_loss=losses, max_false_alarms=max_false_alarms, max_bytes=max_bytes, threshold=threshold
    )
    outcome = judge(card, against, stated, dataset=dataset, split_file=split_file)
    tables.print_tables(tables.gate_table(outcome))
    typer.echo(outcome.sentence())
    raise typer.Exit(outcome.exit_code)
