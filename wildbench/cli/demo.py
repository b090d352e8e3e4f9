"""The first thing a newcomer runs: the bundled submissions, scored and drawn."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wildbench.cli import tables
from wildbench.progress import shown

if TYPE_CHECKING:
    from wildbench.datasets.coco import Dataset, Labels
    from wildbench.datasets.predictions import Detections
    from wildbench.pictures import Drawn
    from wildbench.scorecard import Scorecard

app = typer.Typer()

SUBMISSIONS = {"reference": 0.55, "reference-tiny": 0.51}
"""With the score where F1 is best on parksim's val split: `wildbench evaluate baselines/NAME.pt --split val`."""

SLICES = ("location", "time_of_day")
PICTURES = 6
MINIMUM_SCORE = 0.45
"""Detections below this are left out of the pictures (never out of the figures)."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for scorecards, a leaderboard and pictures.")] = Path("demo"),
) -> None:
    """Score the two bundled submissions on parksim and draw what they see."""
    from wildbench.comparison import compare
    from wildbench.datasets.registry import load_dataset
    from wildbench.evaluation import evaluate
    from wildbench.leaderboard import results_of
    from wildbench.leaderboard.build import publish
    from wildbench.resources import bundled

    with shown() as progress:
        data = load_dataset("parksim", split="test", progress=progress)
        cards = [
            evaluate(
                bundled(f"baselines/{name}.pt"),
                threshold=threshold,
                by=SLICES,
                out=out / "scorecards" / f"{name}.json",
                latency_budget=0,  # of the pass alone: a minute more for each would show nothing here
                progress=progress,
            )
            for name, threshold in SUBMISSIONS.items()
        ]
    paths = [out / "scorecards" / f"{name}.json" for name in SUBMISSIONS]
    publish(results_of(paths, data), out)
    draw_pictures(data, cards, out)
    draw_charts(cards, out / "pictures")
    tables.print_tables(tables.scorecards_table(cards))
    for row in compare(paths).rows:
        if row.field:
            typer.echo(f"{row.name} in place of {cards[0].submission.name}: {row.field.sentence()}")
    typer.echo(f"scorecards, leaderboard.json, its page index.html and pictures: {out}")


def draw_charts(cards: list[Scorecard], folder: Path) -> None:
    """Draw what a ranger sees: the empty filter, animals by size, and slices."""
    from wildbench.files import write_atomically
    from wildbench.measures.field import filter_chart, sizes_chart, slices_chart
    from wildbench.pictures import svg

    seen = {card.submission.name: card.field for card in cards if card.field}
    charts = {"empty_filter": filter_chart(seen), "by_size": sizes_chart(seen)}
    charts |= {f"by_{field}": slices_chart(seen, field) for field in SLICES}
    for name, chart in charts.items():
        write_atomically(folder / f"{name}.svg", svg(chart))


def draw_pictures(data: Dataset, cards: list[Scorecard], out: Path) -> None:
    """Draw the labels and each submission's detections side by side, on the images with the most categories."""
    from wildbench.comparison import detections_of
    from wildbench.datasets.images import decode
    from wildbench.pictures import draw_boxes, save_jpeg, side_by_side

    names = {category["id"]: category["name"] for category in data.categories}
    sides: dict[str, Labels | Detections] = {"labels": data.labels}
    for name, card in zip(SUBMISSIONS, cards, strict=True):
        detections = detections_of(out / "scorecards" / f"{name}.json", card, data)
        sides[card.submission.name] = detections[detections.scores >= MINIMUM_SCORE]
    for image in _worth_seeing(data):
        pixels = decode(data.image_path(image))
        boxes = {caption: _labelled(columns.of_image(image["id"]), names) for caption, columns in sides.items()}
        panels = [draw_boxes(pixels, drawn, caption=caption) for caption, drawn in boxes.items()]
        save_jpeg(side_by_side(panels), out / "pictures" / f"{Path(image['file_name']).stem}.jpg")


def _labelled(columns: Labels | Detections, names: dict[int, str]) -> list[Drawn]:
    """Boxes with their category, their score if they have one, and the category's colour."""
    from wildbench.pictures import colour

    scores = getattr(columns, "scores", [None] * len(columns))
    return [
        ((x, y, w, h), names[category] + ("" if score is None else f" {score:.2f}"), colour(category))
        for category, (x, y, w, h), score in zip(
            columns.category_ids.tolist(), columns.boxes.tolist(), scores, strict=True
        )
    ]


def _worth_seeing(data: Dataset) -> list[dict[str, Any]]:
    """One image per location first, those with the most categories and boxes."""

    def interest(image: dict[str, Any]) -> tuple[int, int, int]:
        boxes = data.labels.of_image(image["id"])
        return -len(set(boxes.category_ids.tolist())), -len(boxes), image["id"]

    best: dict[Any, dict[str, Any]] = {}
    for image in sorted(data.images, key=interest):
        best.setdefault((image.get("location"), image.get("time_of_day")), image)
    return sorted(best.values(), key=interest)[:PICTURES]
