"""Two detectors on the same unlabelled photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli import tables
from wildbench.cli.options import (
    AdapterOption,
    DeviceOption,
    ImagesOption,
    LimitOption,
    ManifestOption,
    RequireJailOption,
    SplitFileOption,
    SplitOption,
)
from wildbench.progress import shown

app = typer.Typer()


@app.command()
def agree(
    a: Annotated[Path, typer.Argument(help="The parent, or one artifact.")],
    b: Annotated[Path, typer.Argument(help="The child, or the other artifact; the same file for two runtimes.")],
    images: ImagesOption = None,
    dataset: Annotated[
        str | None, typer.Option(help="Instead of a folder: a registered name, or any COCO JSON.", metavar="NAME|JSON")
    ] = None,
    split: SplitOption = "test",
    split_file: SplitFileOption = None,
    limit: LimitOption = None,
    threshold: Annotated[float, typer.Option(min=0, max=1, help="Score from which detections count.")] = 0.2,
    device: DeviceOption = "auto",
    device_b: Annotated[str | None, typer.Option(help="Of B, where it is another.")] = None,
    manifest: ManifestOption = None,
    manifest_b: Annotated[Path | None, typer.Option(help="The same of B.")] = None,
    adapter: AdapterOption = None,
    adapter_b: Annotated[Path | None, typer.Option(help="The same for B: one file in another runtime, say.")] = None,
    require_jail: RequireJailOption = False,
    out: Annotated[Path | None, typer.Option(help="HTML page to write; the figures go beside it as JSON.")] = None,
) -> None:
    """Show what two detectors find differently in photographs that nobody has labelled."""
    from wildbench.pairs.agreement import agree as run

    with shown() as progress:
        found = run(
            a,
            b,
            images=images,
            dataset=dataset,
            split=split,
            split_file=split_file,
            limit=limit,
            threshold=threshold,
            device=device,
            device_b=device_b,
            manifest=manifest,
            manifest_b=manifest_b,
            adapter=adapter,
            adapter_b=adapter_b,
            require_jail=require_jail,
            out=out,
            progress=progress,
        )
    tables.print_tables(*tables.agreement_tables(found))
    if found.categories_left_out:
        many = len(found.categories_left_out)
        names = ", ".join(found.categories_left_out[:5]) + (", ..." if many > 5 else "")
        typer.echo(f"left out, because only one of them knows it: {names} ({many})")
    if found.skipped:
        typer.echo(f"wildbench: {len(found.skipped)} pictures cannot be decoded: {found.skipped[0]}, ...", err=True)
    typer.echo(found.sentence())
    if out:
        typer.echo(f"page: {out}")
