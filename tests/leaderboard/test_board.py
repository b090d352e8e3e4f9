"""The board: ranked, deterministic, and only of what compares."""

import json
from pathlib import Path

import pytest
from made_up_cards import make_card

from wildbench.errors import ScorecardError
from wildbench.leaderboard.board import build_board, write_board
from wildbench.scorecard import Figure


def names(board: dict) -> list[str]:
    return [row["name"] for row in board["rows"]]


def test_the_best_ap_stands_first_and_fewer_bytes_break_a_tie() -> None:
    cards = [make_card("a", ap=0.4), make_card("b", ap=0.6, file_bytes=9), make_card("c", ap=0.6, file_bytes=5)]
    assert names(build_board(cards)) == ["c", "b", "a"]


def test_an_undefined_ap_ranks_last_and_stays_null() -> None:
    board = build_board([make_card("a", ap=None), make_card("b", ap=0.01)])
    assert names(board) == ["b", "a"]
    assert board["rows"][1]["ap"] == Figure.undefined("AP", "no box").model_dump()


def test_the_order_of_the_cards_does_not_show(tmp_path: Path) -> None:
    cards = [make_card("a"), make_card("b"), make_card("c", ap=0.1)]
    write_board(build_board(cards), tmp_path / "one.json")
    write_board(build_board(reversed(cards)), tmp_path / "two.json")
    assert (tmp_path / "one.json").read_bytes() == (tmp_path / "two.json").read_bytes()
    assert json.loads((tmp_path / "one.json").read_text())["rows"][0]["macs"]["value"] == 1e9


def test_scorecards_of_other_images_are_refused_by_name() -> None:
    with pytest.raises(ScorecardError, match="b and a were not scored on the same images"):
        build_board([make_card("a"), make_card("b", dataset="3")])


def test_an_empty_board_is_refused() -> None:
    with pytest.raises(ScorecardError, match="at least one"):
        build_board([])
