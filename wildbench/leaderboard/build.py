"""A leaderboard's folder: what is built from its results, and where it is."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from pathlib import Path

from wildbench.errors import OutputError
from wildbench.files import write_atomically
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._details import details
from wildbench.leaderboard._model import Board
from wildbench.leaderboard._page import render
from wildbench.leaderboard._results import Result, read_results
from wildbench.progress import Progress, silent

BOARD, PAGE = "leaderboard.json", "index.html"


def build(folder: Path, progress: Progress = silent) -> Board:
    """Build leaderboard.json and the page from the results of a folder; same results, same bytes.

    Raises:
        ScorecardError: There are no results, or a file is not the one that was added.
    """
    enabled = gc.isenabled()
    gc.disable()  # all of it is in use until the end: with 500 rows, looking for garbage takes a third of the time
    try:
        return publish(read_results(folder), folder, progress)
    finally:
        if enabled:
            gc.enable()


def publish(results: Sequence[Result], folder: Path, progress: Progress = silent) -> Board:
    """Write leaderboard.json and the page.

    Raises:
        ScorecardError: There are no results.
    """
    board = build_board(results)
    page = page_of_results(board, results, progress)
    board.write(folder / BOARD)
    write_atomically(folder / PAGE, page)
    return board


def page_of_results(board: Board, results: Sequence[Result], progress: Progress = silent) -> bytes:
    """The page of a board: the same bytes wherever wildbench, vl-convert and Pillow have the same versions.

    Raises:
        WildbenchError: A file beside a card is damaged.
    """
    return render(board, details(board, results, progress))


def page_of(folder: Path) -> Path:
    """The page of a leaderboard.

    Raises:
        OutputError: It has not been built.
    """
    page = folder / PAGE
    if not page.is_file():
        raise OutputError(f"{page}: no such file", code="not-built", remedy="run: wildbench leaderboard build")
    return page
