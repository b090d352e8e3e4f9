"""A leaderboard's folder: what is built from its results, and where it is."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
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

    Args:
        folder: Of the leaderboard.
        progress: Called as `progress(task, done, total)`, should images have to be rendered.

    Raises:
        ScorecardError: There are no results, or a file is not the one that was added.
    """
    with _without_garbage_collection():
        return publish(read_results(folder), folder, progress)


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Everything is in use until the end: with 500 rows, looking for garbage takes as long as a third of the work."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
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
