"""Verbs that measure a submission."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wildbench.cli.options import DatasetOption, DeviceOption, ImagesOption, LimitOption, SplitOption, TrustOption

if TYPE_CHECKING:
    from wildbench.scorecard import Scorecard

app = typer.Typer()


@app.command()
def evaluate(
    submission: Annotated[Path, typer.Argument(help="A .pt, .onnx or .pt2 submission.")],
    dataset: DatasetOption = "parksim",
    images: ImagesOption = None,
    split: SplitOption = "test",
    device: DeviceOption = "auto",
    limit: LimitOption = None,
    trust: TrustOption = False,
    out: Annotated[Path | None, typer.Option(help="Scorecard to write [scorecards/SUBMISSION.json].")] = None,
) -> None:
    """Measure a submission: accuracy, size, compute and latency, in one scorecard."""
    from wildbench.evaluation import evaluate as run
    from wildbench.evaluator import default_card
    from wildbench.progress import shown

    out = out or default_card(submission)
    with shown() as progress:
        card = run(
            submission,
            dataset=dataset,
            images=images,
            split=split,
            device=device,
            limit=limit,
            trust=trust,
            out=out,
            progress=progress,
        )
    _print_card(card, out)


@app.command()
def score(
    predictions: Annotated[Path, typer.Argument(help="COCO results: a JSON list of detections.")],
    dataset: DatasetOption,
    images: ImagesOption = None,
    split: SplitOption = "test",
    limit: LimitOption = None,
    out: Annotated[Path | None, typer.Option(help="Scorecard to write [scorecards/PREDICTIONS.score.json].")] = None,
) -> None:
    """Score a COCO results file: accuracy alone."""
    from wildbench.evaluation import score as run
    from wildbench.evaluator import default_card

    out = out or default_card(predictions)
    _print_card(run(predictions, dataset=dataset, images=images, split=split, limit=limit, out=out), out)


@app.command()
def inspect(
    submission: Annotated[Path, typer.Argument(help="A .pt, .onnx or .pt2 submission.")],
    every: Annotated[bool, typer.Option("--all", help="List every tensor, not the largest alone.")] = False,
) -> None:
    """Show a submission's manifest, tensors and bytes; run nothing of it."""
    from wildbench.cli.tables import LARGEST, inspection_tables, print_tables
    from wildbench.submissions.inspection import inspect_submission

    print_tables(*inspection_tables(inspect_submission(submission), most=None if every else LARGEST))


def _print_card(card: Scorecard, out: Path) -> None:
    from wildbench.cli.tables import category_table, errors_tables, print_tables, scorecards_table

    print_tables(scorecards_table([card]), category_table([card]), *errors_tables(card))
    for note in card.notes:
        typer.echo(f"wildbench: {note}", err=True)
    typer.echo(f"scorecard: {out}")
