"""`python -m studies.formats`: make artifacts with the tools people use, and try whether wildbench takes them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from studies import as_app, run
from studies.formats.families import FAMILIES, make
from studies.formats.matrix import Try, read_artifacts, totals, try_artifact
from studies.formats.pictures import write_pictures
from wildbench.cli.tables import add_row, print_tables
from wildbench.errors import RecipeError
from wildbench.progress import Progress, shown
from wildbench.resources import cache_dir

GOOD = ("exact", "near", "named")
"""Verdicts that are no failure."""


def main(
    families: Annotated[
        list[str] | None, typer.Option("--family", help="A family of tools; may be repeated [all].", metavar="NAME")
    ] = None,
    artifacts: Annotated[
        list[str] | None, typer.Option("--artifact", help="Make and try this one again.", metavar="NAME")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where artifacts are kept [the cache].")] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only graphs that wildbench's own extras make in seconds.")
    ] = False,
) -> None:
    """Make artifacts with the tools people use, try each, and compare detections with the tool's own.

    Artifacts that are there already are not made again. Exit 1 where one does not go in that should, has other
    detections than its tool's, or is refused without its name.
    """
    names = families or [name for name, family in FAMILIES.items() if family.quick or not quick]
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        what = f"no family of tools is called {unknown[0]!r}"
        raise RecipeError(what, code="no-such-family", remedy=f"choose from {', '.join(FAMILIES)}")
    folder = (out or cache_dir() / "formats").resolve()
    with shown() as progress:
        tries = [one for name in names for one in try_family(name, folder, artifacts or (), progress)]
    print_tables(matrix(tries), by_family(tries))
    typer.echo(totals(tries))
    if any(one.verdict not in GOOD for one in tries):
        raise typer.Exit(1)


def try_family(name: str, folder: Path, artifacts: Sequence[str], progress: Progress) -> list[Try]:
    """Make what is missing of a family, and try all of it or those artifacts alone."""
    pictures = folder / "pictures"
    write_pictures(pictures, progress)
    if not make(name, folder, pictures, artifacts):
        typer.echo(f"{name}: not everything was made; see {folder / name}.log", err=True)
    records = [record for record in read_artifacts(folder / name) if not artifacts or record["artifact"] in artifacts]
    tries = []
    for done, record in enumerate(records):
        progress(name, done, len(records))
        tries.append(try_artifact(record, folder / name, pictures))
    progress(name, len(records), len(records))
    for one in tries:
        if one.verdict not in GOOD:
            typer.echo(f"{one.artifact['artifact']}: {one.verdict} {one.message}".strip(), err=True)
    typer.echo(f"{name}: {totals(tries)}", err=True)
    return tries


def matrix(tries: Sequence[Try]) -> Table:
    """One row per artifact."""
    table = Table(title=Text("artifacts"), title_justify="left")
    for column in ("artifact", "tool", "goes in", "without manifest", "detections", "corner, px", "verdict"):
        table.add_column(column, justify="right" if column in ("detections", "corner, px") else "left", overflow="fold")
    for one in tries:
        add_row(table, *cells(one))
    return table


def by_family(tries: Sequence[Try]) -> Table:
    """One row per environment: how many there are, go in, need no manifest, have the tool's detections, are named."""
    table = Table(title=Text("by family"), title_justify="left")
    for column in ("family", "artifacts", "go in", "need no manifest", "the tool's detections", "named"):
        table.add_column(column, justify="left" if column == "family" else "right")
    for name, members in groupby(tries, key=lambda one: one.artifact["family"]):
        some = list(members)
        exact = sum(one.goes_in and one.verdict in GOOD for one in some)
        counts = len(some), sum(one.goes_in for one in some), sum(one.alone for one in some), exact
        add_row(table, name, *map(str, counts), str(sum(one.verdict == "named" for one in some)))
    return table


def cells(one: Try) -> tuple[str, ...]:
    """A row as it is printed."""
    ours, theirs = one.count
    number = f"{theirs}" if ours == theirs else f"{ours}, not {theirs}"
    return (
        one.artifact["artifact"],
        f"{one.artifact['tool']} {one.artifact['version']}",
        "yes" if one.goes_in else "no",
        "yes" if one.alone else "" if not one.goes_in else "no",
        number if one.goes_in else "",
        "" if one.corner is None else f"{one.corner:.4f}",
        one.verdict if one.goes_in or one.verdict == "named" else f"{one.verdict}: {one.message}",
    )


app = as_app(main)

if __name__ == "__main__":
    run(app)
