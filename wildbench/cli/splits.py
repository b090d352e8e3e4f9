"""Verbs that split a data set, and look for what a split lets through."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wildbench.cli.options import ImagesOption
from wildbench.errors import DatasetError, OutputError

if TYPE_CHECKING:
    from wildbench.datasets.coco import Dataset
    from wildbench.progress import Progress

app = typer.Typer()


@app.command("split")
def data_split(
    name: Annotated[str, typer.Argument(help="A registered name, or any COCO detection JSON.", metavar="NAME|JSON")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Split file to write; its stem is the split's name.")],
    seed: Annotated[int, typer.Option(help="Decides where the rules leave a choice.", min=0)] = 0,
    images: ImagesOption = None,
) -> None:
    """Split into train, val and test by categories, box sizes and empty images; near-duplicates stay together."""
    from wildbench.cli.tables.console import print_tables
    from wildbench.cli.tables.datasets import summary_tables
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.registry import load_whole
    from wildbench.datasets.splits import (
        SHARES,
        apply_split,
        imbalance,
        kept_together,
        random_split,
        stratified_split,
        write_split,
    )
    from wildbench.datasets.summary import split_summary
    from wildbench.files import check_writable
    from wildbench.progress import shown
    from wildbench.text import counted

    check_writable(out)
    if out.exists():
        raise OutputError(f"{out} exists", remedy="a split is kept: remove it first, or name another file")
    with shown() as progress:
        whole = load_whole(name, images=images, progress=progress)
        together = kept_together(whole, progress)
    split = stratified_split(whole, name=out.stem, seed=seed, together=together)
    by_chance = [imbalance(whole.coco, random_split(whole.coco, together, seed=seed), SHARES) for seed in range(50)]
    parts = {part: Dataset(name, part, apply_split(whole.coco, split, part), whole.images_dir) for part in split.parts}
    write_split(split, out)
    print_tables(*summary_tables({"name": name, "splits": {part: split_summary(data) for part, data in parts.items()}}))
    several = [group for group in together if len(group) > 1]
    typer.echo(f"kept together: {counted(sum(map(len, several)), 'image')} in {counted(len(several), 'group')}")
    typer.echo(
        f"misplaced share of a label, mean: {imbalance(whole.coco, split.parts, SHARES):.3f}"
        f" (50 random splits: {sum(by_chance) / len(by_chance):.3f}, the best of them {min(by_chance):.3f})"
    )
    typer.echo(f"split: {out}")


@app.command("leaks")
def data_leaks(
    names: Annotated[list[str], typer.Argument(help="A registered name, or a COCO JSON a part.", metavar="NAME|JSON")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Page to write, with the pictures in it.")] = None,
    split_file: Annotated[Path | None, typer.Option(help="Take the parts of a single JSON from this file.")] = None,
    images: ImagesOption = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 2 if anything is found.")] = False,
) -> None:
    """Find images in different parts that show the same: copies, altered copies, pictures of one scene."""
    from wildbench.cli.tables.console import print_tables
    from wildbench.cli.tables.datasets import leak_tables
    from wildbench.datasets.duplicates import find_leaks, leaks_page
    from wildbench.files import check_writable, write_atomically
    from wildbench.progress import shown

    if out is not None:
        check_writable(out)
    with shown() as progress:
        report = find_leaks(_parts(names, split_file, images, progress), progress)
    print_tables(*leak_tables(report))
    if report.shared_locations:
        typer.echo(f"locations in more than one part: {', '.join(report.shared_locations)}")
    if out is not None:
        write_atomically(out, leaks_page(report).encode())
        typer.echo(f"page: {out}")
    if strict and (report.leaks or report.shared_locations):
        raise typer.Exit(2)


def _parts(names: list[str], split_file: Path | None, images: Path | None, progress: Progress) -> list[Dataset]:
    from wildbench.datasets import registry
    from wildbench.datasets.coco import Dataset
    from wildbench.datasets.registry import load_splits, load_whole
    from wildbench.datasets.splits import apply_split, read_split

    if split_file is not None:
        if len(names) > 1:
            raise DatasetError(f"{split_file} divides one data set, not {len(names)}", remedy="name the one it is of")
        split, whole = read_split(split_file), load_whole(names[0], images=images, progress=progress)
        return [
            Dataset(whole.name, part, apply_split(whole.coco, split, part), whole.images_dir) for part in split.parts
        ]
    if len(names) == 1 and names[0] in registry.names():
        return load_splits(names[0], images=images, progress=progress)
    return [registry.load_dataset(name, images=images, progress=progress) for name in names]
