"""The page as a file: complete, closed, the same each time, and without a way for a name to become markup."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from made_up_page import SCRIPT, results_of_page

from wildbench.leaderboard.board._board import build_board
from wildbench.leaderboard.board._model import Board
from wildbench.leaderboard.page._page import render
from wildbench.leaderboard.page._row_details import RowDetail, details
from wildbench.leaderboard.page._vega import vega_script
from wildbench.scorecard import Figure


@pytest.fixture(scope="module")
def made(baselines_board: Path) -> tuple[Board, dict[str, RowDetail]]:
    results = results_of_page(baselines_board)
    board = build_board(results)
    return board, details(board, results)


@pytest.fixture(scope="module")
def html(made: tuple[Board, dict[str, RowDetail]]) -> str:
    return render(*made).decode()


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_the_same_board_gives_the_same_bytes(made: tuple[Board, dict[str, RowDetail]], html: str) -> None:
    board, found = made
    again = {name: found[name] for name in sorted(found, reverse=True)}
    assert render(Board.model_validate_json(board.to_json()), again).decode() == html


def test_nothing_is_fetched_and_only_two_scripts_may_run(html: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy[1]
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert scripts[0] == vega_script()
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert re.findall(r"'sha256-([^']+)'", policy[1]) == hashes
    outside = html.replace(scripts[0], "")
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"|@import|url\(', outside)


def test_a_name_cannot_leave_the_data(html: str) -> None:
    between = html.split('id="data">')[1].split("</script>")[0]
    assert not set("<>&\u2028") & set(between)
    assert html.count("</script>") == 3
    assert SCRIPT in [row["name"] for section in data_of(html)["sections"] for row in section["rows"]]


def test_a_part_may_be_named_like_a_field_of_a_figure(made: tuple[Board, dict[str, RowDetail]]) -> None:
    board, found = made
    row = next(name for name, detail in found.items() if detail.by_part)
    parts = {name: Figure(value=1.0, unit="B", n=1) for name in Figure.model_fields}
    shown = data_of(render(board, found | {row: found[row].model_copy(update={"by_part": parts})}).decode())
    assert {name: part["v"] for name, part in shown["details"][row]["by_part"].items()} == dict.fromkeys(parts, 1)


def test_figures_keep_their_intervals_and_reasons(made: tuple[Board, dict[str, RowDetail]], html: str) -> None:
    data = data_of(html)
    for section, shown in zip(made[0].sections, data["sections"], strict=True):
        for row, short in zip(section.rows, shown["rows"], strict=True):
            for figure, found in (
                (row.accuracy.ap, short["accuracy"]["ap"]),
                (row.per_category["bird"].ap50, short["per_category"]["bird"]["ap50"]),
            ):
                assert found["v"] == pytest.approx(figure.value, rel=1e-5)
                assert found["n"] == figure.n
                assert figure.interval is None or found["i"] == pytest.approx(figure.interval, rel=1e-5)
                assert figure.caution is None or data["texts"][found["c"]] == figure.caution


def test_a_row_takes_less_than_it_says(made: tuple[Board, dict[str, RowDetail]], html: str) -> None:
    pictures = sum(len(image) for image in data_of(html)["images"])
    assert pictures < 1e6
    rows = len(made[0].rows())
    assert len(html) < 1.1e6 + pictures + 8000 * rows


def test_a_row_without_details_is_a_mistake_of_the_program(made: tuple[Board, dict[str, RowDetail]]) -> None:
    with pytest.raises(KeyError):
        render(made[0], {})


def test_the_scripts_and_styles_are_in_the_package() -> None:
    names = {path.name for path in (Path(render.__code__.co_filename).with_name("assets")).iterdir()}
    assert {"index.html", "style.css", "main.js"} <= names
