"""A leaderboard on the terminal."""

import io
from pathlib import Path

from rich.console import Console

from wildbench.cli.tables import board_tables
from wildbench.cli.tables._cards import MOST
from wildbench.leaderboard._model import read_board

GOLDEN = Path(__file__).parents[2] / "leaderboard" / "golden" / "leaderboard.json"


def printed(width: int = 100) -> str:
    console = Console(width=width, file=io.StringIO())
    for table in board_tables(read_board(GOLDEN)):
        console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def cells(name: str) -> list[str]:
    (line,) = [line for line in printed().splitlines() if f"│ {name} " in line]
    return [cell.strip() for cell in line.split("│")[1:-1]]


def test_a_row_shows_its_rank_its_figures_and_its_loss() -> None:
    assert cells("dense") == ["1–3", "dense", "60.0", "60.0", "8.00", "1.000", "1.50", "-"]
    assert cells("=1+1")[:3] == ["4", "=1+1", "30.0"]
    assert cells("a|b & 50%_c")[-1] == "-2.00"
    assert cells("blind")[:3] == ["-", "blind", "-"]


def test_the_fronts_stand_below_with_what_they_are_worth() -> None:
    text = printed(200)
    assert "best by AP and file size: =1+1, a|b & 50%_c, dense, <script>alert(1)</script> (hypervolume" in text
    assert "best by AP and latency p50 within c, unknown number of threads: <script>" in text
    assert "within another" not in text  # one row alone


def test_it_fits_a_hundred_columns() -> None:
    assert max(map(len, printed().splitlines())) <= 100


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
