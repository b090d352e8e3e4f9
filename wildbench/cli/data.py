"""Verbs under `wildbench data`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli.options import ImagesOption
from wildbench.errors import DatasetError

app = typer.Typer(help="Look after data sets.", no_args_is_help=True, rich_markup_mode=None)


@app.command("list")
def data_list() -> None:
    """List the registered data sets."""
    from wildbench.datasets.registry import registered
    from wildbench.tables.console import print_tables
    from wildbench.tables.datasets import datasets_table

    print_tables(datasets_table(registered()))


@app.command("info")
def data_info(
    name: Annotated[str, typer.Argument(help="A registered name.", metavar="NAME|JSON")],
) -> None:
    """Count a data set's images and boxes by category, split and size."""
    from wildbench.datasets.summary import summary
    from wildbench.tables.console import print_tables
    from wildbench.tables.datasets import summary_tables

    print_tables(*summary_tables(summary(name)))


@app.command("generate")
def data_generate(name: Annotated[str, typer.Argument(help="parksim, the rendered data set.")]) -> None:
    """Render a data set into the cache."""
    from wildbench.datasets.registry import generate
    from wildbench.progress import shown

    with shown() as progress:
        folder = generate(name, progress)
    typer.echo(f"images: {folder}")


@app.command("validate")
def data_validate(
    coco: Annotated[Path, typer.Argument(help="A COCO detection JSON.")],
    images: ImagesOption = None,
) -> None:
    """Check a COCO file and its images: a code, a place and a remedy for each finding; exit 2 on an error."""
    from wildbench.datasets.coco import read_json
    from wildbench.datasets.registry import images_near
    from wildbench.datasets.validation import validate
    from wildbench.tables.console import print_tables
    from wildbench.tables.datasets import findings_table

    document = read_json(coco)
    try:
        findings = validate(document, images or images_near(coco))
    except DatasetError as error:  # the labels are worth checking where the images are not at hand
        typer.echo(f"wildbench: images not checked: {error}", err=True)
        findings = validate(document, None)
    if not findings:
        typer.echo(f"{coco}: no findings")
        return
    print_tables(findings_table(findings))
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(2)
