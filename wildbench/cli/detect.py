"""Verbs for more images than one process can take: detect them in shards, and merge what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli.options import (
    AdapterOption,
    DatasetOption,
    DeviceOption,
    LimitOption,
    ManifestOption,
    RequireJailOption,
    SplitFileOption,
    SplitOption,
)
from wildbench.files import check_writable
from wildbench.progress import shown

app = typer.Typer()


@app.command()
def detect(
    submission: Annotated[Path, typer.Argument(help="A detector: a file, or the folder or zip it is in.")],
    out: Annotated[Path, typer.Option(help="Folder of the parts; the shards of one job may share it.")],
    dataset: DatasetOption = "parksim",
    images: Annotated[
        str | None, typer.Option(help="Folder or URL of the images, or tars of them: s3://b/shards-{000..127}.tar.")
    ] = None,
    split: SplitOption = "test",
    split_file: SplitFileOption = None,
    limit: LimitOption = None,
    shard: Annotated[
        str | None,
        typer.Option(help="I/N: which images are its own; by default as SLURM, torchrun or Kubernetes say."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that detect [one for each processor; on a GPU one].")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each; the last digits may depend on them.")] = 1,
    device: DeviceOption = "auto",
    manifest: ManifestOption = None,
    adapter: AdapterOption = None,
    require_jail: RequireJailOption = False,
) -> None:
    """Detect in a shard of many images; run again after a kill, it goes on where it was."""
    from wildbench.distributed import detect as run

    with shown() as progress:
        ran = run(
            submission,
            dataset=dataset,
            out=out,
            images=images,
            split=split,
            split_file=split_file,
            limit=limit,
            shard=shard,
            workers=workers,
            threads=threads,
            device=device,
            manifest=manifest,
            adapter=adapter,
            require_jail=require_jail,
            progress=progress,
        )
    before = f", {ran.before:,} of them before" if ran.before else ""
    typer.echo(f"{out}: {ran.images - ran.failed:,} of {ran.images:,} images answered{before}, {ran.failed:,} failed")


@app.command()
def merge(
    parts: Annotated[list[Path], typer.Argument(help="Folders that `wildbench detect` has written.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Predictions to write: COCO results, or .parquet.")],
    partial: Annotated[bool, typer.Option("--partial", help="Merge although images are missing.")] = False,
) -> None:
    """Merge parts into one file of predictions for `wildbench score`; the same bytes for any number of shards."""
    from wildbench.distributed import merge as run
    from wildbench.distributed import write_merged

    check_writable(out)
    with shown() as progress:
        merged = run(parts, partial=partial, progress=progress)
    write_merged(merged, out)
    typer.echo(f"{out}: {merged.line()}")
