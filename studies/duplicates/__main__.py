"""`python -m studies.duplicates`: how many altered copies of an image the duplicate check finds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from studies import as_app, run
from studies.duplicates.recall import Recall, audit_duplicates
from wildbench.cli.options import ImagesOption
from wildbench.cli.tables import add_row, print_tables
from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_whole
from wildbench.progress import shown

QUICK = 8
"""Images of a quick run."""


def main(
    name: Annotated[str, typer.Argument(help="A registered name, or any COCO JSON.", metavar="NAME|JSON")] = "parksim",
    limit: Annotated[int, typer.Option(help="How many images, evenly spaced.", min=2)] = 50,
    images: ImagesOption = None,
    quick: Annotated[bool, typer.Option("--quick", help=f"{QUICK} images.")] = False,
) -> None:
    """Alter images in every way that is expected, and count how many copies the duplicate check finds.

    Exit 1 where a copy is paired with an image that does not show the same.
    """
    limit = QUICK if quick else limit
    with shown() as progress:
        data = load_whole(name, images=images, progress=progress)
        chosen = data.images[:: max(1, len(data.images) // limit)][:limit]
        some = Dataset(data.name, None, {**data.coco, "images": chosen}, data.images_dir)
        recalls = audit_duplicates(some, progress=progress)
    print_tables(recall_table(data.name, recalls))
    if any(recall.wrong for recall in recalls):
        raise typer.Exit(1)


def recall_table(name: str, recalls: Sequence[Recall]) -> Table:
    """One row per alteration: how many copies were found, and what else was."""
    table = Table(title=Text(f"{name}: altered copies that are found"), title_justify="left")
    for column in ("alteration", "copies", "found", "%", "called the same photograph", "wrong pairs"):
        table.add_column(column, justify="left" if column == "alteration" else "right")
    for recall in recalls:
        share = f"{100 * recall.found / recall.copies:.0f}"
        numbers = (recall.copies, recall.found, share, recall.as_photograph, recall.wrong)
        add_row(table, recall.alteration, *map(str, numbers))
    return table


app = as_app(main)

if __name__ == "__main__":
    run(app)
