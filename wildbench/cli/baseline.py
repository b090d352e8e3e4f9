"""Verbs that make compressed submissions by a recipe, and measure many of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wildbench.cli import tables
from wildbench.cli.options import DeviceOption, ImagesOption, SplitFileOption
from wildbench.progress import shown

app = typer.Typer(help="Compress a detector by a recipe, and measure what that costs.", no_args_is_help=True)


@app.command("list")
def list_baselines() -> None:
    """List the recipes, and the methods they consist of."""
    from wildbench import plugins
    from wildbench.compression.recipes import bundled_recipes

    tables.print_tables(tables.recipes_table(bundled_recipes()), tables.methods_table(plugins.methods.all()))


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
    split_file: SplitFileOption = None,
    device: DeviceOption = "auto",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")] = 0,
) -> None:
    """Compress a detector by a recipe and save it as a submission."""
    from wildbench.compression.chain import compress
    from wildbench.compression.recipes import find_recipe, load_recipe, parse_change, with_settings

    chosen = with_settings(load_recipe(find_recipe(recipe)), [parse_change(change) for change in changes or []])
    source: dict[str, Any] = {"dataset": dataset, "images": images, "split": split, "split_file": split_file}
    with shown() as progress:
        made = compress(chosen, dense, out, **source, seed=seed, device=device, progress=progress)
    typer.echo(f"method: {made.method}")
    typer.echo(f"bytes: {made.before:,} before, {made.after:,} after, {made.ratio:.2f} times smaller")
    typer.echo(f"submission: {made.path}")


@app.command()
def sweep(
    sweep: Annotated[str, typer.Argument(help="A TOML file, or the name of one in baselines/sweeps.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for submissions, scorecards, JSON, CSV and charts.")],
    dense: Annotated[
        list[Path] | None, typer.Option("--from", help="Dense submission instead of the sweep's; repeatable.")
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(help="Score on this instead of the sweep's.", metavar="NAME|JSON")
    ] = None,
    images: ImagesOption = None,
    train_on: Annotated[
        str | None, typer.Option(help="Calibrate and train on this instead of the recipes'.", metavar="NAME|JSON")
    ] = None,
    device: DeviceOption = "auto",
) -> None:
    """Run a grid of recipes, settings, seeds and dense submissions; run it again to resume after an interruption."""
    from wildbench.sweeps.charts import LEGEND, headings, rows
    from wildbench.sweeps.grid import find_sweep, load_sweep
    from wildbench.sweeps.run import Bench, run_sweep

    grid = load_sweep(find_sweep(sweep), dense or ())
    with shown() as progress:
        bench = Bench(
            folder=out,
            dataset=dataset or grid.data.dataset,
            split=grid.data.split,
            images=images,
            training=train_on,
            device=device,
            progress=progress,
        )
        summary = run_sweep(grid, bench)
    tables.print_tables(tables.sweep_table(summary.summary, headings(), rows(summary), LEGEND))
    typer.echo(f"summary: {out / grid.name}.json, .csv, .svg and .png")
    for failure in summary.failed:
        typer.echo(f"failed: {failure.name}: {failure.reason}", err=True)
    if summary.failed:
        raise typer.Exit(1)
