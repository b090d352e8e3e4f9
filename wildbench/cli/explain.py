"""Where a compressed network goes wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli import tables
from wildbench.cli.options import ImagesOption, ManifestOption, RequireJailOption, SplitFileOption, SplitOption
from wildbench.progress import shown

app = typer.Typer()


@app.command()
def explain(
    dense: Annotated[Path, typer.Argument(help="The network before compression: ONNX, or a submission.pt.")],
    compressed: Annotated[Path, typer.Argument(help="The network made from it, in the same format.")],
    images: ImagesOption = None,
    dataset: Annotated[str | None, typer.Option(help="Instead of a folder [parksim].", metavar="NAME|JSON")] = None,
    split: SplitOption = "val",
    split_file: SplitFileOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Use only the first N images.")] = 8,
    manifest: ManifestOption = None,
    manifest_compressed: Annotated[Path | None, typer.Option(help="The same of the compressed one.")] = None,
    require_jail: RequireJailOption = False,
    out: Annotated[Path | None, typer.Option(help="SVG to write; the figures go beside it as JSON.")] = None,
) -> None:
    """Show layer by layer where a compressed network goes wrong, and what to leave in float."""
    from wildbench.pairs.explanation import explain as run

    with shown() as progress:
        found = run(
            dense,
            compressed,
            images=images,
            dataset=dataset,
            split=split,
            split_file=split_file,
            limit=limit,
            manifest=manifest,
            manifest_compressed=manifest_compressed,
            require_jail=require_jail,
            out=out,
            progress=progress,
        )
    tables.print_tables(tables.explanation_table(found))
    typer.echo(f"leave in float: {', '.join(found.leave_in_float) or 'nothing: the two are alike'}")
    if out:
        typer.echo(f"plot: {out}")
