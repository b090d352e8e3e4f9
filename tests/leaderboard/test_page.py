"""The page as a file: complete, closed, the same each time, and without a way for a name to become markup."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import made_up_golden
import pytest
from made_up_golden import data_of, golden_page
from made_up_page import SCRIPT, results_of_page

from wildbench.leaderboard import _page
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._details import RowDetail, details
from wildbench.leaderboard._model import Board
from wildbench.leaderboard._page import render, vega_script
from wildbench.scorecard import Figure

GOLDEN = Path(__file__).with_name("golden") / "page_data.json"


@pytest.fixture(scope="module")
def made(baselines_board: Path) -> tuple[Board, dict[str, RowDetail]]:
    results = results_of_page(baselines_board)
    board = build_board(results)
    return board, details(board, results)


@pytest.fixture(scope="module")
def html(made: tuple[Board, dict[str, RowDetail]]) -> str:
    return render(*made).decode()


def embedded(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_sessions_are_there_with_the_rows_that_cannot_be_told_apart(made: tuple[Board, dict[str, RowDetail]]) -> None:
    timings = {row: detail.timing for row, detail in made[1].items() if detail.timing}
    first, second = sorted(timings)
    assert [len(timing.sessions) for timing in timings.values()] == [5, 5]
    assert all(timing.minutes == [20.0, 21.0, 22.0] for timing in timings.values())
    assert (timings[first].alike, timings[second].alike) == ([second], [first])


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
    assert SCRIPT in [row["name"] for section in embedded(html)["sections"] for row in section["rows"]]


def test_a_part_may_be_named_like_a_field_of_a_figure(made: tuple[Board, dict[str, RowDetail]]) -> None:
    board, found = made
    row = next(name for name, detail in found.items() if detail.by_part)
    parts = {name: Figure(value=1.0, unit="B", n=1) for name in Figure.model_fields}
    shown = embedded(render(board, found | {row: found[row].model_copy(update={"by_part": parts})}).decode())
    assert {name: part["v"] for name, part in shown["details"][row]["by_part"].items()} == dict.fromkeys(parts, 1)


def test_figures_keep_their_intervals_and_reasons(made: tuple[Board, dict[str, RowDetail]], html: str) -> None:
    data = embedded(html)
    for section, shown in zip(made[0].sections, data["sections"], strict=True):
        for row, short in zip(section.rows, shown["rows"], strict=True):
            for figure, found in (
                (row.ranked_by, short["figures"]["ap"]),
                (row.per_category["bird"].ap50, short["per_category"]["bird"]["ap50"]),
            ):
                assert found["v"] == pytest.approx(figure.value, rel=1e-5)
                assert found["n"] == figure.n
                assert figure.interval is None or found["i"] == pytest.approx(figure.interval, rel=1e-5)
                assert figure.caution is None or data["texts"][found["c"]] == figure.caution


def test_a_row_takes_less_than_it_says(made: tuple[Board, dict[str, RowDetail]], html: str) -> None:
    pictures = sum(len(image) for image in embedded(html)["images"])
    assert pictures < 1e6
    rows = len(made[0].rows())
    assert len(html) < 1.1e6 + pictures + 9500 * rows


def test_a_row_without_details_is_a_mistake_of_the_program(made: tuple[Board, dict[str, RowDetail]]) -> None:
    with pytest.raises(KeyError):
        render(made[0], {})


def test_the_scripts_and_styles_are_in_the_package() -> None:
    names = {path.name for path in (Path(render.__code__.co_filename).with_name("assets")).iterdir()}
    assert {"page.html", "style.css", "main.js"} <= names


def test_another_process_in_another_place_writes_the_same_bytes(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    script = Path(made_up_golden.__file__)
    paths = os.pathsep.join([str(script.parents[1]), str(script.parent), str(script.parents[2])])
    environment = {**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, script, there / "page.html"], check=True, cwd=there, env=environment)
    assert (there / "page.html").read_bytes() == golden_page(here)


def test_the_page_embeds_what_was_kept(tmp_path: Path) -> None:
    assert data_of(golden_page(tmp_path)) == GOLDEN.read_text(encoding="utf-8")


def test_the_script_can_stand_in_a_page() -> None:
    script = _page.vega_script()
    assert "window.vegaEmbed" in script
    assert "</script" not in script
    assert "<!--" not in script
    assert _page.VEGA_LITE in _page._versions()


@pytest.mark.slow
def test_bundling_again_gives_the_same_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = _page.vega_script()
    monkeypatch.setenv("WILDBENCH_CACHE", str(tmp_path))
    assert _page.vega_script() == kept
    assert len(list(tmp_path.iterdir())) == 1
