"""Tables for papers: golden, escaped, and the numbers of the board."""

import io
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas
import pytest
from test_board import golden_results

from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._model import Board
from wildbench.leaderboard.exports import FORMATS, frame, to_csv, to_latex, to_markdown

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
        assert row.ranked_by.value == (None if pandas.isna(line["ap"]) else line["ap"])
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
        assert bars == {10}


def test_latex_is_booktabs_and_escaped(board: Board) -> None:
    text = to_latex(board)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
        assert text.count(rule) == len(board.sections)
    assert r"a\textbar{}b \& 50\%\_c" in text
    assert r"AP, \% & AP50, \% & false alarms, per 1,000 & file size, MB" in text
    for line in text.splitlines():
        if line.endswith(r" \\"):
            assert line.count(" & ") == 8


HOSTILE = [
    r"\input{/etc/passwd}",
    "50% & $x$ #1_a^b~{c}",
    "\"q\" 'a' `b`",
    "a--b,,c<<d>>",
    "cafe\u0301 −1",
    "\x1b[2J\u202e",
    "|[*]",
]


def named(board: Board, names: Sequence[str]) -> Board:
    section = board.sections[0]
    rows = [section.rows[0].model_copy(update={"name": name, "id": f"r{place}"}) for place, name in enumerate(names)]
    return board.model_copy(update={"sections": [section.model_copy(update={"rows": rows})]})


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        (r"\input{a}", r"\textbackslash{}input\{a\}"),
        ("50% & $x$ #1_a^b~", r"50\% \& \$x\$ \#1\_a\textasciicircum{}b\textasciitilde{}"),
        ('"q" it\'s `so`', r"\char34{}q\char34{} it\textquotesingle{}s \textasciigrave{}so\textasciigrave{}"),
        ("a---b,,c", r"a-{}-{}-b,{},c"),
        ("cafe\u0301 日本", "café 日本"),
        ("\u22121", "$-$1"),
        ("\x1b[2J", r"\textbackslash{}x1b[2J"),
    ],
)
def test_latex_prints_a_name_as_it_is(name: str, cell: str, board: Board) -> None:
    lines = to_latex(named(board, [name])).splitlines()
    assert f"{cell} & 60.5" in next(line for line in lines if line.startswith("1--3 & "))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX on this machine")
@pytest.mark.parametrize("encoding", ["OT1", "T1"])
def test_latex_takes_every_name(encoding: str, board: Board, tmp_path: Path) -> None:
    rules = "".join(rf"\let\{rule}rule\hline" for rule in ("top", "mid", "bottom"))
    head = rf"\documentclass{{article}}\usepackage[{encoding}]{{fontenc}}{rules}\begin{{document}}"
    (tmp_path / "a.tex").write_text(f"{head}\n{to_latex(named(board, HOSTILE))}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    made = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, errors="replace")
    assert made.returncode == 0, made.stdout
    assert (tmp_path / "a.pdf").is_file()


@pytest.mark.parametrize("name", FILES)
def test_no_export_steers_a_terminal(name: str, board: Board) -> None:
    text = FORMATS[name](named(board, HOSTILE))
    assert all(mark.isprintable() or mark == "\n" or mark == "\u0301" for mark in text)


def test_a_row_may_lack_what_another_has(board: Board) -> None:
    section = board.sections[0]
    first = section.rows[0].model_copy(update={"method": "=1+1", "detector": None})
    second = section.rows[1].model_copy(update={"method": None, "detector": "fcos"})
    mixed = board.model_copy(update={"sections": [section.model_copy(update={"rows": [first, second]})]})
    table = pandas.read_csv(io.StringIO(to_csv(mixed)))
    assert table["method"].fillna("").tolist() == ["'=1+1", ""]
    assert table["detector"].fillna("").tolist() == ["", "fcos"]
