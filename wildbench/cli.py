"""The command line: verbs only.

Each handler imports what it needs when it runs, so that `wildbench --help` answers at once and imports no torch.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from wildbench.errors import DatasetError, WildbenchError

if TYPE_CHECKING:
    from wildbench.scorecard import Scorecard

app = typer.Typer(
    name="wildbench",
    help="Score compressed wildlife detectors: AP, bytes, MACs and latency, from one file, under one protocol.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data = typer.Typer(help="Look after data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data, name="data")

DatasetOption = Annotated[str, typer.Option(help="A registered name, or any COCO detection JSON.", metavar="NAME|JSON")]
ImagesOption = Annotated[Path | None, typer.Option(help="Folder of the images; found near the JSON if left out.")]
SplitOption = Annotated[str, typer.Option(help="Split of a registered data set; a JSON file is one split.")]
LimitOption = Annotated[int | None, typer.Option(min=1, help="Use only the first N images.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]
TrustOption = Annotated[bool, typer.Option("--trust", help="Open a format that may run code in the file.")]


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for scorecards, leaderboard.json and pictures.")] = Path("demo"),
) -> None:
    """Score the two bundled submissions on parksim and draw what they see."""
    from wildbench.demo import run_demo

    run_demo(out)


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
    from wildbench.evaluation import default_card
    from wildbench.evaluation import evaluate as run
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
    from wildbench.evaluation import default_card
    from wildbench.evaluation import score as run

    out = out or default_card(predictions)
    _print_card(run(predictions, dataset=dataset, images=images, split=split, limit=limit, out=out), out)


@app.command()
def inspect(submission: Annotated[Path, typer.Argument(help="A .pt, .onnx or .pt2 submission.")]) -> None:
    """Show a submission's manifest, tensors and bytes; run nothing of it."""
    from wildbench.submissions.inspection import inspect_submission
    from wildbench.tables import inspection_tables, print_tables

    print_tables(*inspection_tables(inspect_submission(submission)))


@app.command()
def train(
    recipe: Annotated[Path, typer.Argument(help="A training recipe, such as baselines/reference.toml.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Submission to write.")],
    dataset: Annotated[str | None, typer.Option(help="Instead of the recipe's data set.", metavar="NAME|JSON")] = None,
    images: ImagesOption = None,
    init: Annotated[str | None, typer.Option(help="Instead of the recipe's: random, imagenet or coco.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Train a detector by a recipe and save it as a submission; run again after an interruption to go on."""
    from wildbench.progress import shown
    from wildbench.training_run import run_training

    with shown() as progress:
        run_training(recipe, out, dataset=dataset, images=images, init=init, device=device, progress=progress)
    typer.echo(f"submission: {out}")


@data.command("list")
def data_list() -> None:
    """List the registered data sets."""
    from wildbench.datasets.registry import registered
    from wildbench.tables import datasets_table, print_tables

    print_tables(datasets_table(registered()))


@data.command("info")
def data_info(
    name: Annotated[str, typer.Argument(help="A registered name.", metavar="NAME|JSON")],
) -> None:
    """Count a data set's images and boxes by category, split and size."""
    from wildbench.datasets.summary import summary
    from wildbench.tables import print_tables, summary_tables

    print_tables(*summary_tables(summary(name)))


@data.command("generate")
def data_generate(name: Annotated[str, typer.Argument(help="parksim, the rendered data set.")]) -> None:
    """Render a data set into the cache."""
    from wildbench.datasets.registry import generate
    from wildbench.progress import shown

    with shown() as progress:
        folder = generate(name, progress)
    typer.echo(f"images: {folder}")


@data.command("validate")
def data_validate(
    coco: Annotated[Path, typer.Argument(help="A COCO detection JSON.")],
    images: ImagesOption = None,
) -> None:
    """Check a COCO file and its images: a code, a place and a remedy for each finding; exit 2 on an error."""
    from wildbench.datasets.coco import read_json
    from wildbench.datasets.registry import images_near
    from wildbench.datasets.validation import validate
    from wildbench.tables import findings_table, print_tables

    document = read_json(coco)
    try:
        findings = validate(document, images or images_near(coco))
    except DatasetError as error:  # the labels are worth checking where the images are not at hand
        typer.echo(f"wildbench: images not checked: {error}", err=True)
        findings = validate(document, None)
    if not findings:
        typer.echo(f"{coco}: no findings")
        return
    print_tables(findings_table(findings))
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(2)


def _print_card(card: Scorecard, out: Path) -> None:
    from wildbench.tables import category_table, print_tables, scorecards_table

    print_tables(scorecards_table([card]), category_table([card]))
    typer.echo(f"scorecard: {out}")


def main() -> NoReturn:
    """Run the command line; a user's mistake is one line on stderr and exit code 2."""
    try:
        app()
    except WildbenchError as error:
        typer.echo(f"wildbench: {error}", err=True)
        sys.exit(2)
    sys.exit(0)
