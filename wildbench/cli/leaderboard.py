"""Verbs of a leaderboard: a folder of results, and what is built from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from wildbench.cli import tables
from wildbench.errors import WildbenchError
from wildbench.progress import shown

app = typer.Typer(help="Rank scorecards so that anyone can recompute the ranking.", no_args_is_help=True)

BoardOption = Annotated[Path, typer.Option("--board", help="Folder of the leaderboard.")]
DatasetsOption = Annotated[
    list[str] | None, typer.Option("--dataset", help="COCO JSON that cards were scored on; repeatable.")
]
SubmissionsOption = Annotated[
    Path | None, typer.Option(help="Folder of submission files, to measure sizes again.", exists=True, file_okay=False)
]
FOLDER = Path("leaderboard")


@app.command()
def add(
    card: Annotated[Path, typer.Argument(help="Scorecard; its detections lie beside it.")],
    board: BoardOption = FOLDER,
    dataset: DatasetsOption = None,
) -> None:
    """Put a scorecard and its detections on the board, if its figures hold."""
    from wildbench.leaderboard.add import add as run

    typer.echo(f"added: {board / 'results' / run(card, board, datasets=dataset or ())}")


@app.command()
def reproduce(
    row: Annotated[str, typer.Argument(help="Id of the row, or its name.")],
    submission: Annotated[Path, typer.Option(help="The submission's file.", exists=True)],
    board: BoardOption = FOLDER,
    dataset: Annotated[str | None, typer.Option(help="COCO JSON that the row was scored on.")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder of the images.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    manifest: Annotated[Path | None, typer.Option(help="Manifest, where it is not in or beside the file.")] = None,
    adapter: Annotated[Path | None, typer.Option(help="Python file that opens the submission.")] = None,
) -> None:
    """Measure a row again on this machine, whose figures it then shows: only such rows are ranked."""
    from wildbench.leaderboard.reproduce import reproduce as run

    with shown() as progress:
        made = run(
            row,
            board,
            submission,
            dataset=dataset,
            images=images,
            device=device,
            manifest=manifest,
            adapter=adapter,
            progress=progress,
        )
    verdicts = {None: "not compared", True: "holds", False: "does not hold"}
    for name, claim in made.figures.items():
        typer.echo(f"{name}: claimed {claim.claimed}, measured {claim.measured}: {verdicts[claim.holds]}")
    typer.echo(f"{row}: measured by {made.machine}; run: wildbench leaderboard build")


@app.command()
def build(board: BoardOption = FOLDER) -> None:
    """Write leaderboard.json and the page from the results."""
    import gc

    from wildbench.leaderboard.build import BOARD, PAGE
    from wildbench.leaderboard.build import build as run

    with shown() as progress:
        built = run(board, progress)
    gc.freeze()  # all of it is in use: looking for garbage would take longer than the table
    tables.print_tables(*tables.board_tables(built))
    typer.echo(f"{board / BOARD}, {board / PAGE}")


@app.command()
def verify(board: BoardOption = FOLDER, dataset: DatasetsOption = None, submissions: SubmissionsOption = None) -> None:
    """Compute every row again from its detections; exit code 2 and a line for each problem."""
    from wildbench.leaderboard.verify import verify as run

    with shown() as progress:
        problems = run(board, datasets=dataset or (), submissions=submissions, progress=progress)
    _report(problems)
    typer.echo(f"{board}: every row is what its detections give")


@app.command()
def check(
    card: Annotated[Path, typer.Argument(help="Scorecard; its detections lie beside it.")],
    board: BoardOption = FOLDER,
    dataset: DatasetsOption = None,
    submissions: SubmissionsOption = None,
) -> None:
    """Say whether a scorecard can be added, without changing anything; exit code 2 and a line for each problem."""
    from wildbench.leaderboard.add import check as run

    _report(run(card, board, datasets=dataset or (), submissions=submissions))
    typer.echo(f"{card}: can be added")


@app.command()
def export(
    to: Annotated[Literal["csv", "markdown", "latex"], typer.Option(help="Format.")],
    board: BoardOption = FOLDER,
    out: Annotated[Path | None, typer.Option(help="File to write; printed if left out.")] = None,
) -> None:
    """Write the tables for a paper or a spreadsheet."""
    from wildbench.files import write_atomically
    from wildbench.leaderboard import read_board
    from wildbench.leaderboard.build import BOARD
    from wildbench.leaderboard.exports import FORMATS

    text = FORMATS[to](read_board(board / BOARD))
    if out:
        write_atomically(out, text.encode())
    else:
        typer.echo(text, nl=False)


@app.command("open")
def open_page(board: BoardOption = FOLDER) -> None:
    """Open the page in a browser, or say where it is."""
    import webbrowser

    from wildbench.leaderboard.build import page_of

    page = page_of(board).resolve()
    if not webbrowser.open(page.as_uri()):
        typer.echo(f"no browser here: {page}")


def _report(problems: list[WildbenchError]) -> None:
    """Print each problem on stderr and end, if there are any."""
    for problem in problems:
        typer.echo(problem.line(), err=True)
    if problems:
        raise typer.Exit(2)
