"""A leaderboard's folder: what is built from its results, and where it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wildbench.errors import OutputError
from wildbench.files import write_atomically
from wildbench.leaderboard.board import build_board
from wildbench.leaderboard.model import Board
from wildbench.leaderboard.page import render
from wildbench.leaderboard.page_data import details
from wildbench.leaderboard.results import read_results

BOARD, PAGE = "leaderboard.json", "index.html"


def build(folder: Path, datasets: Sequence[Path | str] = ()) -> Board:
    """Build leaderboard.json and the page from the results; same results, same bytes.

    Args:
        folder: Of the leaderboard.
        datasets: COCO files, for rows that were scored on a file.

    Raises:
        ScorecardError: There are no results, or a file is not the one that was added.
    """
    results, entries = read_results(folder)
    board = build_board(results, entries)
    board.write(folder / BOARD)
    write_atomically(folder / PAGE, render(board, details(results)))
    return board


def page_of(folder: Path) -> Path:
    """The page of a leaderboard.

    Raises:
        OutputError: It was not built.
    """
    page = folder / PAGE
    if not page.is_file():
        raise OutputError(f"{page}: no such file", remedy="run: wildbench leaderboard build")
    return page
