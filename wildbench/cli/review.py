"""Verbs that look at labels and correct them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wildbench.cli import tables
from wildbench.cli.options import (
    ClassAgnosticOption,
    DatasetOption,
    ImagesOption,
    KnownOption,
    MapOption,
    MergeOption,
    SplitFileOption,
    SplitOption,
)
from wildbench.files import check_writable
from wildbench.progress import shown
from wildbench.text import counted

if TYPE_CHECKING:
    from wildbench.datasets.coco import Dataset

app = typer.Typer()


@app.command()
def review(
    dataset: DatasetOption = "parksim",
    split: SplitOption = "test",
    split_file: SplitFileOption = None,
    images: ImagesOption = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(help="A scorecard with its detections beside it, or detections; several, the dense one first."),
    ] = None,
    merge: MergeOption = None,
    class_agnostic: ClassAgnosticOption = False,
    names: MapOption = None,
    known: KnownOption = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine; 0 for any that is free.")] = 5151,
    browse: Annotated[bool, typer.Option("--open/--no-open", help="Open a browser, where there is one.")] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Skip near duplicates and similarity.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Drop edits from earlier sessions.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Bring the edits back as a label patch instead.")] = False,
    author: Annotated[str | None, typer.Option(help="With --apply: who made the edits.")] = None,
    reason: Annotated[str, typer.Option(help="With --apply: why, for boxes that do not say.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="With --apply: the patch to write [DATASET.patch.json].")
    ] = None,
) -> None:
    """Look at labels and detections in FiftyOne, and bring corrections back as a patch."""
    from wildbench.curation.review import review_folder, running
    from wildbench.datasets.category_merging import grouping_of, regrouped
    from wildbench.datasets.registry import load_dataset
    from wildbench.errors import CurationError

    if apply and not author:
        raise CurationError("a patch needs an author", code="no-author", remedy="give --author NAME")
    grouping = grouping_of(merge or (), names, known, class_agnostic=class_agnostic)
    if apply and grouping:
        remedy = "leave --merge, --map, --known and --class-agnostic out"
        raise CurationError("a patch is of the labels as they are", code="patch-of-merged", remedy=remedy)
    if out:
        check_writable(out)
    with running(review_folder()):
        if apply:
            data = load_dataset(dataset, split=split, split_file=split_file, images=images, with_images=False)
            _bring_back(data, author or "", reason, out or Path(f"{Path(data.name).name}.patch.json"))
            return
        with shown() as progress:
            data = load_dataset(dataset, split=split, split_file=split_file, images=images, progress=progress)
        data, _ = regrouped(data, grouping)
        _show(data, predictions or [], port=port, browse=browse, quick=quick, fresh=fresh)


def _show(data: Dataset, predictions: list[Path], *, port: int, browse: bool, quick: bool, fresh: bool) -> None:
    """Lay a data set out, print its questions' answers, and serve the App until Ctrl-C."""
    from wildbench.curation.review import lay_out, serve
    from wildbench.curation.samples import read_named

    detectors = read_named(predictions, data)
    for one in detectors:
        for note in one.notes:
            typer.echo(f"wildbench: {one.name}: {note}", err=True)
        if not one.same_labels:
            typer.echo(f"wildbench: {one.name}: its scorecard was made with other labels", err=True)
    with shown() as progress:
        laid_out = lay_out(data, detectors, look=not quick, fresh=fresh, progress=progress)
    for (dense, compressed), rows in laid_out.comparisons.items():
        tables.print_tables(tables.forgotten_table(dense, compressed, rows))
    tables.print_tables(tables.views_table(laid_out.views))
    for name, confidence in laid_out.confidence.items():
        typer.echo(f"{name}: shown from a confidence of {confidence:.3f}, where its F1 is largest")
    if laid_out.edited:
        where = f"on {laid_out.edited} of {len(data.images)} images"
        typer.echo(f"edits from an earlier session are kept, {where}; --fresh drops them", err=True)
    session = serve(laid_out.name, port)
    url = f"{session.url.partition('?')[0]}datasets/{laid_out.name}"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job starts without one
    try:
        typer.echo(f"{url} (Ctrl-C ends it)")
        if browse:
            typer.launch(url)
        session.wait(-1)
    except KeyboardInterrupt:
        typer.echo("edits are kept; bring them back by: wildbench review --apply --author NAME", err=True)
    finally:
        session.close()


def _bring_back(data: Dataset, author: str, reason: str, out: Path) -> None:
    """Write the edits as a patch."""
    from wildbench.curation.review import bring_back

    patch = bring_back(data, author=author, reason=reason)
    if not patch.changes:
        typer.echo(f"no changes to {data.name}: no patch written")
        return
    patch.write(out)
    typer.echo(f"{out}: {counted(len(patch.changes), 'change')}")
