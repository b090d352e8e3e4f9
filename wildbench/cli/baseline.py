"""Verbs that make compressed submissions by a recipe, and measure many of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wildbench.cli.options import DeviceOption, ImagesOption

app = typer.Typer(help="Compress a detector by a recipe, and measure what it cost.", no_args_is_help=True)


@app.command("list")
def list_baselines() -> None:
    """List the recipes and the methods they are made of."""
    from wildbench.compression.catalogue import methods
    from wildbench.compression.recipes import bundled_recipes
    from wildbench.tables.baselines import methods_table, recipes_table
    from wildbench.tables.console import print_tables

    print_tables(recipes_table(bundled_recipes()), methods_table(methods()))


@app.command()
def run(
    recipe: Annotated[str, typer.Argument(help="A name of `wildbench baseline list`, or a TOML file.")],
    dense: Annotated[Path, typer.Option("--from", help="The dense submission, a .pt of wildbench's own format.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Submission to write: .pt, or .onnx for int8.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="ratio=0.4, filters.ratio=0.4 or 2.ratio=0.4; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Calibrate and train on this instead of the recipe's.", metavar="NAME|JSON")
    ] = None,
    images: ImagesOption = None,
    split: Annotated[str | None, typer.Option(help="Instead of the recipe's split.")] = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
) -> None:
    """Compress a detector by a recipe and save it as a submission."""
    from wildbench.compression.chain import run as run_chain
    from wildbench.compression.recipes import find_recipe, load_recipe, parse_change, with_settings
    from wildbench.progress import shown

    chosen = with_settings(load_recipe(find_recipe(recipe)), [parse_change(change) for change in changes or []])
    with shown() as progress:
        made = run_chain(
            chosen,
            dense,
            out,
            dataset=dataset,
            images=images,
            split=split,
            seed=seed,
            device=device,
            progress=progress,
        )
    typer.echo(f"method: {made.method}")
    typer.echo(f"bytes: {made.before:,} before, {made.after:,} after, {made.ratio:.2f} times smaller")
    typer.echo(f"submission: {made.path}")
