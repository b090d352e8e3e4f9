"""Tables say what they are given, brackets and all."""

import io
from pathlib import Path

import pytest
from made_up_cards import make_card
from rich.console import Console
from rich.table import Table

from wildbench import plugins
from wildbench.cli.tables import category_table, findings_table, scorecards_table, summary_tables
from wildbench.datasets.label_checks._findings import Finding
from wildbench.datasets.summary import summary
from wildbench.measures import Measure
from wildbench.scorecard import Figure, Scorecard


def printed(*tables: Table) -> str:
    console = Console(width=140, file=io.StringIO())
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
    assert cells(text, "a") == ["a", *["50.0"] * 6, "2.50", "1.000", "20.0", "-"]
    assert "3 boxes in 2 images" in text


def test_what_is_undefined_is_a_dash_and_never_a_zero() -> None:
    assert cells(printed(scorecards_table([make_card("a", ap=None)])), "a")[1:7] == ["-"] * 6


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
    assert "below it its 95 % interval" in text
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
    card = make_card("a").model_copy(update={"measures": {"energy": Figure(value=4.5, unit="mJ")}})
    text = printed(scorecards_table([card, make_card("b")]))
    assert "energy" in text
    assert (cells(text, "a")[-1], cells(text, "b")[-1]) == ("4.50", "-")
