"""The first thing a newcomer runs: the bundled submissions, scored and drawn."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wildbench.cli import tables
from wildbench.progress import shown

if TYPE_CHECKING:
    from wildbench.datasets.coco import Dataset
    from wildbench.scorecard import Scorecard

app = typer.Typer()

SUBMISSIONS = ("reference", "reference-tiny")
PICTURES = 6
MINIMUM_SCORE = 0.45
"""Detections below this are left out of the pictures (never out of the figures)."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for scorecards, a leaderboard and pictures.")] = Path("demo"),
) -> None:
    """Score the two bundled submissions on parksim and draw what they see."""
    from wildbench.datasets.registry import load_dataset
    from wildbench.evaluation import evaluate
    from wildbench.leaderboard import results_of
    from wildbench.leaderboard.build import publish
    from wildbench.resources import bundled

    with shown() as progress:
        data = load_dataset("parksim", split="test", progress=progress)
        cards = [
            evaluate(bundled(f"baselines/{name}.pt"), out=out / "scorecards" / f"{name}.json", progress=progress)
            for name in SUBMISSIONS
        ]
    publish(results_of([out / "scorecards" / f"{name}.json" for name in SUBMISSIONS], data), out)
    draw_pictures(data, cards, out)
    tables.print_tables(tables.scorecards_table(cards))
    typer.echo(f"scorecards, leaderboard.json, its page index.html and pictures: {out}")


def draw_pictures(data: Dataset, cards: list[Scorecard], out: Path) -> None:
    """Draw the labels and each submission's detections side by side, on the images with the most categories."""
    from wildbench.datasets.images import decode
    from wildbench.pictures import draw_boxes, labelled_boxes, save_jpeg, side_by_side

    names = {category["id"]: category["name"] for category in data.categories}
    detections = [
        json.loads((out / "scorecards" / card.accuracy.predictions_file).read_text(encoding="utf-8")) for card in cards
    ]
    for image in _worth_seeing(data):
        pixels = decode(data.image_path(image))
        panels = [draw_boxes(pixels, labelled_boxes(data.boxes(image["id"]), names), caption="labels")]
        for card, results in zip(cards, detections, strict=True):
            own = [result for result in results if result["image_id"] == image["id"]]
            boxes = labelled_boxes(own, names, MINIMUM_SCORE)
            panels.append(draw_boxes(pixels, boxes, caption=card.submission.name))
        save_jpeg(side_by_side(panels), out / "pictures" / f"{Path(image['file_name']).stem}.jpg")


def _worth_seeing(data: Dataset) -> list[dict[str, Any]]:
    """One image a location first, those with the most categories and boxes."""

    def interest(image: dict[str, Any]) -> tuple[int, int, int]:
        boxes = data.boxes(image["id"])
        return -len({box["category_id"] for box in boxes}), -len(boxes), image["id"]

    best: dict[Any, dict[str, Any]] = {}
    for image in sorted(data.images, key=interest):
        best.setdefault((image.get("location"), image.get("time_of_day")), image)
    return sorted(best.values(), key=interest)[:PICTURES]
