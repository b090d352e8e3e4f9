"""Tables for papers: golden, escaped, and the numbers of the board."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas
import pytest
from test_board import golden_results

from wildbench.leaderboard.board import build_board
from wildbench.leaderboard.exports import FORMATS, frame, to_csv, to_latex, to_markdown
from wildbench.leaderboard.model import Board

GOLDEN = Path(__file__).parent / "golden"
FILES = {"csv": "leaderboard.csv", "markdown": "leaderboard.md", "latex": "leaderboard.tex"}


@pytest.fixture(scope="module")
def board() -> Board:
    return build_board(golden_results())


@pytest.mark.parametrize("name", FILES)
def test_an_export_is_the_one_that_was_looked_at(name: str, board: Board) -> None:
    made: Callable[[Board], str] = FORMATS[name]
    assert made(board) == (GOLDEN / FILES[name]).read_text(encoding="utf-8")


def test_csv_holds_the_numbers_in_full(board: Board) -> None:
    table = pandas.read_csv(io.StringIO(to_csv(board)))
    rows = board.rows()
    assert len(table) == len(rows)
    by_hash = {(row.sha256, row.name): row for row in rows.values()}
    for _, line in table.iterrows():
        row = by_hash[line["sha256"], line["name"].removeprefix("'")]
        assert row.accuracy.ap.value == (None if pandas.isna(line["ap"]) else line["ap"])
    child = table[table["name"] == "a|b & 50%_c"].iloc[0]
    assert child["ap_less_parent"] == pytest.approx(-0.02)
    assert child["ap_less_parent_low"] < -0.02 < child["ap_less_parent_high"]


def test_a_spreadsheet_runs_no_name(board: Board) -> None:
    assert ",'=1+1," in to_csv(board)
    assert "=1+1" in list(frame(board)["name"])  # in a notebook it stays as it is


def test_markdown_shows_names_as_they_are(board: Board) -> None:
    text = to_markdown(board)
    assert "<script>" not in text
    assert r"a\|b &amp; 50%\_c" in text
    tables = [block for block in text.split("\n\n") if block.startswith("| Rank")]
    assert len(tables) == len(board.sections)
    for table in tables:
        bars = {line.replace(r"\|", "").count("|") for line in table.splitlines()}
        assert bars == {9}


def test_latex_is_booktabs_and_escaped(board: Board) -> None:
    text = to_latex(board)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == len(board.sections)
    assert r"a\textbar{}b \& 50\%\_c" in text
    assert r"95 \% intervals" in text
    for line in text.splitlines():
        if line.endswith(r" \\"):
            assert line.count(" & ") == 7


def test_a_row_may_lack_what_another_has(board: Board) -> None:
    section = board.sections[0]
    first = section.rows[0].model_copy(update={"method": "=1+1", "detector": None})
    second = section.rows[1].model_copy(update={"method": None, "detector": "fcos"})
    mixed = board.model_copy(update={"sections": [section.model_copy(update={"rows": [first, second]})]})
    table = pandas.read_csv(io.StringIO(to_csv(mixed)))
    assert table["method"].fillna("").tolist() == ["'=1+1", ""]
    assert table["detector"].fillna("").tolist() == ["", "fcos"]
