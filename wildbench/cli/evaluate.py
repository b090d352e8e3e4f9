"""Verbs that measure a submission, and compare scorecards."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wildbench.cli import tables
from wildbench.cli.options import (
    AdapterOption,
    ByOption,
    ByTableOption,
    ClassAgnosticOption,
    DatasetOption,
    DeviceOption,
    ImagesOption,
    KnownOption,
    LimitOption,
    ManifestOption,
    MapOption,
    MergeOption,
    RequireJailOption,
    SkipOption,
    SplitFileOption,
    SplitOption,
    ThresholdOption,
    WriteManifestOption,
)
from wildbench.errors import RecipeError
from wildbench.files import check_writable
from wildbench.progress import shown

if TYPE_CHECKING:
    from wildbench.scorecard import Scorecard

app = typer.Typer()


@app.command()
def evaluate(
    submission: Annotated[Path, typer.Argument(help="A detector: a file, or the folder or zip it is in.")],
    dataset: DatasetOption = "parksim",
    images: ImagesOption = None,
    split: SplitOption = "test",
    split_file: SplitFileOption = None,
    skip_unreadable: SkipOption = False,
    merge: MergeOption = None,
    class_agnostic: ClassAgnosticOption = False,
    names: MapOption = None,
    known: KnownOption = None,
    device: DeviceOption = "auto",
    limit: LimitOption = None,
    manifest: ManifestOption = None,
    write_manifest: WriteManifestOption = False,
    adapter: AdapterOption = None,
    require_jail: RequireJailOption = False,
    audits: Annotated[bool, typer.Option(help="Look for memorised labels, on altered and new pictures.")] = True,
    audit_seed: Annotated[int | None, typer.Option(min=0, help="Draw those of an earlier record again.")] = None,
    threshold: ThresholdOption = None,
    by: ByOption = None,
    by_table: ByTableOption = None,
    latency_budget: Annotated[
        float | None, typer.Option(min=0, help="Seconds of timing in fresh processes; 0: the pass alone [30].")
    ] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Time it with that many CPU threads too. Repeatable.")
    ] = None,
    sustained: Annotated[
        str | None, typer.Option(help="Run it without a pause afterwards: 10m, 90s.", metavar="TIME")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Scorecard to write [scorecards/SUBMISSION.json].")] = None,
) -> None:
    """Measure a submission: accuracy, size, compute and latency, in one scorecard."""
    from wildbench.datasets.category_merging import grouping_of
    from wildbench.evaluation import evaluate as run
    from wildbench.evaluator import default_card

    out = out or default_card(submission)
    grouping = grouping_of(merge or (), names, known, class_agnostic=class_agnostic)
    if write_manifest:
        _write_manifest(submission, manifest)
    with shown() as progress:
        card = run(
            submission,
            dataset=dataset,
            images=images,
            split=split,
            split_file=split_file,
            skip_unreadable=skip_unreadable,
            grouping=grouping,
            device=device,
            limit=limit,
            manifest=manifest,
            adapter=adapter,
            require_jail=require_jail,
            out=out,
            audits=audits,
            audit_seed=audit_seed,
            threshold=threshold,
            by=_fields(by),
            by_table=by_table,
            latency_budget=latency_budget,
            threads_too=threads or (),
            sustained=_minutes(sustained),
            progress=progress,
        )
    typer.echo(f"wildbench: {card.submission.manifest}", err=True)
    _print_card(card, out)


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="COCO results, or what another tool writes; docs/dataset.md.")],
    dataset: DatasetOption,
    images: ImagesOption = None,
    split: SplitOption = "test",
    split_file: SplitFileOption = None,
    limit: LimitOption = None,
    merge: MergeOption = None,
    class_agnostic: ClassAgnosticOption = False,
    names: MapOption = None,
    known: KnownOption = None,
    threshold: ThresholdOption = None,
    by: ByOption = None,
    by_table: ByTableOption = None,
    out: Annotated[Path | None, typer.Option(help="Scorecard to write [scorecards/PREDICTIONS.score.json].")] = None,
) -> None:
    """Score detections that a tool has written: accuracy only."""
    from wildbench.datasets.category_merging import grouping_of
    from wildbench.evaluation import score as run
    from wildbench.evaluator import default_card

    out = out or default_card(predictions)
    card = run(
        predictions,
        dataset=dataset,
        images=images,
        split=split,
        split_file=split_file,
        limit=limit,
        grouping=grouping_of(merge or (), names, known, class_agnostic=class_agnostic),
        threshold=threshold,
        by=_fields(by),
        by_table=by_table,
        out=out,
    )
    _print_card(card, out)


@app.command()
def inspect(
    submission: Annotated[Path, typer.Argument(help="A detector: a file, or the folder or zip it is in.")],
    every: Annotated[bool, typer.Option("--all", help="List every tensor, not only the largest.")] = False,
    manifest: ManifestOption = None,
    write_manifest: WriteManifestOption = False,
    adapter: AdapterOption = None,
    probe: Annotated[bool, typer.Option(help="Show it two pictures, in a process of its own.")] = True,
) -> None:
    """Show what a file takes, answers and holds; where nothing says what it means, the nearest manifest."""
    from wildbench.submissions.survey import survey

    seen = survey(submission, manifest=manifest, adapter=adapter, run=probe)
    written = seen.write_manifest() if write_manifest else None
    tables.print_tables(*tables.survey_tables(seen, most=None if every else tables.LARGEST))
    if written:
        typer.echo(f"manifest: {written}{' (to be completed: ???)' if seen.draft else ''}")


@app.command()
def compare(
    cards: Annotated[list[Path], typer.Argument(help="Scorecards of one data set, the baseline first.")],
    dataset: Annotated[
        str | None, typer.Option(help="What they were scored on, where that is a file.", metavar="NAME|JSON")
    ] = None,
    split_file: SplitFileOption = None,
    merge: MergeOption = None,
    class_agnostic: ClassAgnosticOption = False,
    names: MapOption = None,
    known: KnownOption = None,
    difference: Annotated[
        list[float] | None, typer.Option(help="In points of AP: how many images would show it? Repeatable.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="At which the baseline is used [its own, else 0.2].")
    ] = None,
    by: Annotated[
        str | None, typer.Option(help="What changes place by place: fields of the images, with commas between.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="JSON to write.")] = None,
) -> None:
    """Compare detectors with the first: differences with intervals, and what changes for a ranger."""
    from wildbench.comparison import DIFFERENCES
    from wildbench.comparison import compare as run
    from wildbench.datasets.category_merging import grouping_of

    if out:
        check_writable(out)
    differences = [points / 100 for points in difference] if difference else DIFFERENCES
    grouping = grouping_of(merge or (), names, known, class_agnostic=class_agnostic)
    fields = by.split(",") if by else ()
    chosen: dict[str, Any] = {"dataset": dataset, "split_file": split_file, "grouping": grouping}
    comparison = run(cards, **chosen, differences=differences, threshold=threshold, by=fields)
    if out:
        comparison.write(out)
    tables.print_tables(*tables.comparison_tables(comparison))
    if comparison.categories_left_out:
        typer.echo(f"left out, because not all know them: {', '.join(comparison.categories_left_out)}")
    for name, failed in comparison.failed_audits.items():
        typer.echo(f"wildbench: warning: {name} failed {', '.join(failed)}: its figures are not comparable", err=True)
    for note in dict.fromkeys(note for row in comparison.rows if row.field and (note := row.field.note())):
        typer.echo(f"note: {note}")
    for row in comparison.rows:
        typer.echo(f"{row.name} against {comparison.baseline}, AP: {row.overall['ap'].verdict}")
        if row.field:
            typer.echo(f"{row.name}: {row.field.sentence()}")


def _minutes(time: str | None) -> float:
    """Minutes of "10m", "90s" or "1h"."""
    if time is None:
        return 0.0
    number, unit = time[:-1], {"s": 1 / 60, "m": 1.0, "h": 60.0}.get(time[-1:])
    if unit is None or not number.isdecimal():
        raise RecipeError(f"--sustained {time}: not a time", code="no-time", remedy="write 90s, 10m or 1h")
    return int(number) * unit


def _write_manifest(submission: Path, manifest: Path | None) -> None:
    """Keep what was read; where there are gaps, the evaluation that follows is refused by what is written."""
    from wildbench.submissions.survey import survey

    seen = survey(submission, manifest=manifest)
    path = seen.write_manifest()
    state = " and has to be completed" if seen.draft else ""
    typer.echo(f"wildbench: {path} is written{state}: {seen.origin}", err=True)


def _fields(by: str | None) -> list[str]:
    return [name.strip() for name in by.split(",") if name.strip()] if by else []


def _print_card(card: Scorecard, out: Path) -> None:
    tables.print_tables(tables.scorecards_table([card]), tables.category_table([card]), *tables.errors_tables(card))
    tables.print_tables(*tables.seen_tables(card))
    for note in card.notes:
        typer.echo(f"wildbench: {note}", err=True)
    for name, explanation in card.failed_audits().items():
        typer.echo(f"wildbench: audit {name} FAILED: {explanation}", err=True)
    passed = [audit.name for audit in card.audits if audit.passed]
    typer.echo(f"audits: {len(passed)} passed, {len(card.failed_audits())} failed, of {len(card.audits)}")
    typer.echo(f"scorecard: {out}")
