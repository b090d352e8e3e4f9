"""Tables say what they are given, brackets and all."""

import io
import json
from pathlib import Path

import pytest
from made_up_cards import make_card
from rich.console import Console
from rich.table import Table

import wildbench
from wildbench import plugins
from wildbench.cli.tables import (
    board_tables,
    category_table,
    errors_tables,
    findings_table,
    scorecards_table,
    summary_tables,
)
from wildbench.cli.tables._cards import MOST, _errors_table
from wildbench.datasets.findings import Finding
from wildbench.datasets.registry import summary
from wildbench.leaderboard import read_board
from wildbench.measures import Measure
from wildbench.scorecard import Figure, Scorecard

GOLDEN = Path(__file__).parents[2] / "leaderboard" / "golden" / "leaderboard.json"


def printed(*tables: Table, width: int = 140) -> str:
    console = Console(width=width, file=io.StringIO())
    for table in tables:
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(text: str, first: str) -> list[str]:
    """The cells of the row that starts with `first`."""
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines()]
    found = [row for row in rows if row[0] == first]
    assert len(found) == 1, text
    return found[0]


def test_a_scorecard_is_a_row_in_percent_megabytes_and_gigamacs() -> None:
    text = printed(scorecards_table([make_card("a", ap=0.5, file_bytes=2_500_000)]))
    assert cells(text, "a") == ["a", *["50.0"] * 5, "80", "2.50", "1.000", "20.0", "-"]
    assert "3 boxes in 2 images" in text


def test_what_is_undefined_is_a_dash_and_never_a_zero() -> None:
    assert cells(printed(scorecards_table([make_card("a", ap=None)])), "a")[1:6] == ["-"] * 5


def test_categories_stand_beside_their_number_of_boxes() -> None:
    text = printed(category_table([make_card("a", ap=0.25), make_card("b", ap=0.75)]))
    assert cells(text, "lion") == ["lion", "3", "25.0", "75.0"]


def with_interval(card: Scorecard, *, caution: str | None = None) -> Scorecard:
    """The same, with intervals of AP50."""
    ap50 = card.accuracy.ap50.model_copy(update={"interval": (0.414, 0.6), "caution": caution})
    lion = card.accuracy.per_category["lion"].model_copy(update={"ap50": ap50})
    accuracy = card.accuracy.model_copy(update={"ap50": ap50, "per_category": {"lion": lion}})
    return card.model_copy(update={"accuracy": accuracy})


def test_an_interval_stands_below_its_figure_and_its_caution_below_the_table() -> None:
    card = with_interval(make_card("a"), caution="on 3 boxes: a hint, not a measurement")
    text = printed(scorecards_table([card]))
    assert cells(text, "a")[1:4] == ["50.0"] * 3
    assert cells(text, "")[1:4] == ["", "41–60", ""]
    assert text.count("on 3 boxes: a hint") == 1
    assert "below them 95 % intervals" in text
    assert "interval" not in printed(scorecards_table([make_card("a")]))
    text = printed(category_table([card, make_card("b")]))
    assert cells(text, "lion") == ["lion", "3", "50.0 [41, 60]", "50.0"]
    assert "on 3 boxes: a hint, not a measurement (lion)" in " ".join(text.split())


@pytest.mark.parametrize("name", ["yolo [int8]", "pruned [/dense]", "[bold]x"])
def test_brackets_in_a_name_are_no_markup(name: str) -> None:
    card = make_card("a")
    card = card.model_copy(update={"submission": card.submission.model_copy(update={"name": name})})
    assert name in printed(scorecards_table([card]))
    assert name in printed(category_table([card]))


def test_findings_of_one_code_share_a_row_that_counts_them() -> None:
    same = [Finding("box-outside", f"annotations[{n}]", "outside", "give [x, y, width, height]") for n in range(5)]
    text = printed(findings_table(same))
    assert cells(text, "box-outside")[1:3] == ["error", "5"]
    assert "give [x, y, width, height]" in text
    assert "and 2 more" in text
    assert "annotations[3]" not in text


def test_a_summary_sums_over_the_splits() -> None:
    text = printed(*summary_tables(summary("parksim")))
    assert cells(text, "all boxes")[-1] == "1309"
    assert cells(text, "locations")[-1] == "20"
    crocodiles = cells(text, "crocodile")[1:]
    assert sum(map(int, crocodiles[:3])) == int(crocodiles[3])


def test_a_file_is_one_split_and_goes_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "herd.json"
    path.write_text(
        '{"images": [{"id": 1, "file_name": "a.jpg", "width": 50, "height": 50}], "annotations": [], '
        '"categories": [{"id": 1, "name": "lion"}]}'
    )
    text = printed(*summary_tables(summary(path)))
    assert "herd.json: boxes" in text
    assert cells(text, "lion") == ["lion", "0"]


class Energy(Measure):
    key, title, unit, better = "energy", "energy", "mJ", "lower"


def test_what_a_package_measures_gets_a_column_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(plugins.measures._targets, "energy", Energy)
    monkeypatch.setattr(plugins.measures, "_resolved", {})
    card = make_card("a").model_copy(update={"measures": {"energy": Figure(value=4.5, unit="mJ")}})
    text = printed(scorecards_table([card, make_card("b")]))
    assert "energy" in text
    assert (cells(text, "a")[-1], cells(text, "b")[-1]) == ("4.50", "-")


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
    text = printed(*errors_tables(scored(tmp_path)))
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in text.splitlines()]
    assert ["badly placed", "1", "50.0"] in rows
    assert ["on background", "1", "0.0"] in rows
    assert ["box that nothing comes near", "1", "-"] in rows
    assert ["all missed boxes", "", "-"] in rows
    assert ["0.7-0.8", "1", "0.750", "0.000"] in rows
    assert "not one box is found of: lion, bird" in text
    assert "expected calibration error 0.500, largest 0.750" in text


def test_the_mean_iou_of_the_matches_stands_with_what_is_told_at_the_threshold(tmp_path: Path) -> None:
    card = scored(tmp_path)
    iou = Figure(value=0.7213, unit="IoU", n=1500, interval=(0.7, 0.74))
    known = card.model_copy(update={"accuracy": card.accuracy.model_copy(update={"mean_iou50": iou})})
    assert "mean IoU of the 1,500 matches 0.721 [0.700, 0.740]" in str(errors_tables(known)[0].caption)
    assert "IoU of the" not in str(errors_tables(card)[0].caption)


def test_a_comparison_shows_an_undefined_gain_as_a_dash(tmp_path: Path) -> None:
    errors = scored(tmp_path).errors
    row = cells(printed(_errors_table(errors, errors)), "box that nothing comes near")
    assert row[1:] == ["- (1)", "- (1)", "-"]


def board_row(name: str) -> list[str]:
    text = printed(*board_tables(read_board(GOLDEN)), width=100)
    (line,) = [line for line in text.splitlines() if f"│ {name} " in line]
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_a_row_of_a_board_shows_its_rank_its_figures_and_its_loss() -> None:
    assert board_row("dense") == ["1–3", "dense", "60.0", "60.0", "80", "8.00", "1.000", "1.50", "-"]
    assert board_row("=1+1")[:3] == ["4", "=1+1", "30.0"]
    assert board_row("a|b & 50%_c")[-1] == "-2.00"
    assert board_row("blind")[:3] == ["-", "blind", "-"]


def test_the_fronts_stand_below_with_what_they_are_worth() -> None:
    text = printed(*board_tables(read_board(GOLDEN)), width=200)
    assert "best by AP and file size: =1+1, a|b & 50%_c, dense, <script>alert(1)</script> (hypervolume" in text
    assert "best by AP and latency within c, unknown number of threads: <script>" in text
    assert "within another" not in text  # one row alone


def test_a_board_fits_a_hundred_columns() -> None:
    assert max(map(len, printed(*board_tables(read_board(GOLDEN)), width=100).splitlines())) <= 100


def test_of_many_rows_the_first_are_printed_and_the_others_counted() -> None:
    board = read_board(GOLDEN)
    section = max(board.sections, key=lambda one: len(one.rows))
    row = section.rows[0]
    more = [row.model_copy(update={"name": f"row {number}"}) for number in range(MOST + 7)]
    rows = [*section.rows, *more][: MOST + 7]
    (table,) = board_tables(board.model_copy(update={"sections": [section.model_copy(update={"rows": rows})]}))
    assert table.row_count == MOST
    assert str(table.caption).startswith("and 7 below them, in leaderboard.json and on the page\n")
    (table,) = board_tables(board.model_copy(update={"sections": [section.model_copy(update={"rows": rows[:MOST]})]}))
    assert "below them" not in str(table.caption)
