"""The table of errors says what the record says."""

import io
import json
from pathlib import Path

from made_up_cards import make_card
from rich.console import Console

import wildbench
from wildbench.cli.tables import errors_tables
from wildbench.cli.tables._cards import _errors_table
from wildbench.scorecard import Figure, Scorecard


def scored(folder: Path) -> Scorecard:
    """A lion found askew, a bird missed, a detection on background."""
    coco = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 900, "height": 900}],
        "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [100, 100, 90, 90], "area": 8100, "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [600, 600, 90, 90], "area": 8100, "iscrowd": 0},
        ],
    }
    results = [
        {"image_id": 1, "category_id": 1, "bbox": [100, 100, 90, 270], "score": 0.75},
        {"image_id": 1, "category_id": 1, "bbox": [100, 800, 90, 90], "score": 0.25},
    ]
    (folder / "herd.json").write_text(json.dumps(coco))
    (folder / "p.json").write_text(json.dumps(results))
    return wildbench.score(folder / "p.json", dataset=folder / "herd.json", out=folder / "card.json")


def test_kinds_of_error_stand_beside_what_they_cost(tmp_path: Path) -> None:
    console = Console(width=120, file=io.StringIO())
    for table in errors_tables(scored(tmp_path)):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in console.file.getvalue().splitlines()]
    assert ["badly placed", "1", "50.0"] in rows
    assert ["on background", "1", "0.0"] in rows
    assert ["box that nothing comes near", "1", "-"] in rows
    assert ["all missed boxes", "", "-"] in rows
    assert ["0.7-0.8", "1", "0.750", "0.000"] in rows
    text = console.file.getvalue()
    assert "not one box is found of: lion, bird" in text
    assert "expected calibration error 0.500, largest 0.750" in text


def test_the_mean_iou_of_the_matches_stands_with_what_is_told_at_the_threshold(tmp_path: Path) -> None:
    card = scored(tmp_path)
    iou = Figure(value=0.7213, unit="IoU", n=1500, interval=(0.7, 0.74))
    known = card.model_copy(update={"accuracy": card.accuracy.model_copy(update={"mean_iou50": iou})})
    assert "mean IoU of the 1,500 matches 0.721 [0.700, 0.740]" in str(errors_tables(known)[0].caption)
    assert "IoU of the" not in str(errors_tables(card)[0].caption)


def test_a_record_that_does_not_tell_has_no_table() -> None:
    assert errors_tables(make_card("a")) == []


def test_a_comparison_shows_an_undefined_gain_as_a_dash(tmp_path: Path) -> None:
    errors = scored(tmp_path).errors
    assert errors is not None
    console = Console(width=120, file=io.StringIO())
    console.print(_errors_table(errors, errors))
    assert isinstance(console.file, io.StringIO)
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in console.file.getvalue().splitlines()]
    assert ["missed", "- (1)", "- (1)", "-"] in rows
