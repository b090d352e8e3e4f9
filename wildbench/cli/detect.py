"""Verbs for more images than one process can take: detect them in shards, and merge what came of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli.options import (
    AdapterOption,
    DatasetOption,
    DeviceOption,
    ImagesOption,
    LimitOption,
    ManifestOption,
    RequireJailOption,
    SplitFileOption,
    SplitOption,
)
from wildbench.errors import DatasetError
from wildbench.files import check_writable, write_atomically
from wildbench.progress import shown

app = typer.Typer()


class Engine(StrEnum):
    """Who runs the workers of `detect`."""

    LOCAL = "local"
    RAY = "ray"


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
    engine: Annotated[Engine, typer.Option(help="Who runs the workers.")] = Engine.LOCAL,
    address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster: auto, ray://host:port [one is started].")
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
            engine=engine.value,
            address=address,
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


@app.command()
def export(
    predictions: Annotated[Path, typer.Argument(help="A scorecard with its detections beside it, or detections.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")],
    dataset: Annotated[
        str | None, typer.Option(help="What was detected in [the scorecard's].", metavar="NAME|JSON")
    ] = None,
    images: ImagesOption = None,
    split: SplitOption = "test",
    split_file: SplitFileOption = None,
    to: Annotated[str, typer.Option(help="Form that other tools read.")] = "megadetector",
) -> None:
    """Write detections for other tools: MegaDetector's JSON opens in Timelapse and AddaxAI."""
    import json

    from wildbench.curation.samples import card_of, read_one
    from wildbench.datasets.category_merging import regrouped
    from wildbench.datasets.predictions import tool_document
    from wildbench.datasets.registry import load_dataset

    check_writable(out)
    card = card_of(predictions)
    if card is None and dataset is None:
        remedy = "name it by --dataset, for the names of pictures and categories"
        raise DatasetError(f"{predictions} does not say what was detected in", code="not-named", remedy=remedy)
    name, part = (dataset or card.dataset.name, card.dataset.split or split) if card else (dataset or "", split)
    whole = load_dataset(name, split=part, split_file=split_file, images=images, with_images=False)
    data, _ = regrouped(whole.take(card.dataset.limit) if card else whole, card.dataset.grouping if card else None)
    failures: dict[int, str] = {}
    one = read_one(predictions, data, failures)
    for note in one.notes:
        typer.echo(f"wildbench: {note}", err=True)
    document = tool_document(to, one.detections, data, one.name, failures)
    write_atomically(out, f"{json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)}\n".encode())
    typer.echo(f"{out}: {len(one.detections):,} detections in {len(data.images):,} images")
