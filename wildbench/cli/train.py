"""Verbs that make a submission."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli.options import DeviceOption, ImagesOption, SplitFileOption
from wildbench.progress import shown

app = typer.Typer()


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A training recipe, such as baselines/reference.toml.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Submission to write.")],
    dataset: Annotated[str | None, typer.Option(help="Instead of the recipe's data set.", metavar="NAME|JSON")] = None,
    images: ImagesOption = None,
    split: Annotated[str | None, typer.Option(help="Instead of the recipe's split.")] = None,
    split_file: SplitFileOption = None,
    init: Annotated[str | None, typer.Option(help="Instead of the recipe's: random, imagenet or coco.")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's: of everything random.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a detector by a recipe and save it as a submission; run it again to resume after an interruption."""
    from wildbench import training

    with shown() as progress:
        training.train(
            recipe,
            out,
            dataset=dataset,
            images=images,
            split=split,
            split_file=split_file,
            init=init,
            seed=seed,
            device=device,
            progress=progress,
        )
    typer.echo(f"submission: {out}")
