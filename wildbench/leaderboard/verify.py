"""Whether a leaderboard is what its results give: every file, every row, leaderboard.json and the page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.errors import ScorecardError, WildbenchError
from wildbench.leaderboard import _recompute, _results
from wildbench.leaderboard._board import build_board
from wildbench.leaderboard._model import Board
from wildbench.leaderboard._results import CURVES, SAMPLES, Result, placed
from wildbench.leaderboard.build import BOARD, PAGE, page_of_results
from wildbench.progress import Progress, silent
from wildbench.text import printable


def verify(
    board: Path, *, datasets: Sequence[Path | str] = (), submissions: Path | None = None, progress: Progress = silent
) -> list[WildbenchError]:
    """List what does not hold: compute every figure of a leaderboard again that can be, and hash every file.

    Args:
        board: Folder of the leaderboard.
        datasets: COCO files, for rows that were scored on a file.
        submissions: Folder of submission files: sizes are measured again for those whose file is in it.
        progress: Called as `progress(task, done, total)`.
    """
    try:
        folders = _results.result_folders(board)
        problems: list[WildbenchError] = list(_strays(board, folders))
    except WildbenchError as error:
        return [error]
    if not folders:
        return [ScorecardError(f"{board}: no results", code="no-results", remedy="add a scorecard first"), *problems]
    results = []
    for folder in folders:
        try:
            results.append(_results.read_result(folder))
        except WildbenchError as error:
            problems.append(placed(error, folder.name))
    data, files = (
        _recompute.DataSets(datasets),
        _recompute.submissions_in(submissions, [result.card for result in results]),
    )
    for number, result in enumerate(results, start=1):
        try:
            row = _row(result, data, files.get(result.card.submission.sha256))
        except WildbenchError as error:
            row = [error]
        problems += [placed(problem, result.id) for problem in row]
        progress("verify", number, len(results))
    problems += [*_twice(results), *_orphans(results)]
    if len(results) == len(folders):
        try:
            built = build_board(results)
            problems += [*_board(board / BOARD, built), *_page(board / PAGE, built, results, progress)]
        except WildbenchError as error:
            problems.append(error)
    return problems


def _strays(board: Path, folders: Sequence[Path]) -> Iterator[ScorecardError]:
    known = {*folders, *(folder / name for folder in folders for name in (*_results.files_of(folder), _results.SUMS))}
    for path in (
        path for folder in (board / "results", *folders) for path in _results.listed(folder) if path not in known
    ):
        where = printable(str(path.relative_to(board)))
        yield ScorecardError(f"{where}: not part of a result", code="stray-file", remedy="remove it")


def _twice(results: Sequence[Result]) -> Iterator[ScorecardError]:
    """Submissions that were added again, under another name."""
    first: dict[tuple[str, int, str], str] = {}
    for result in results:
        card = result.card
        one = first.setdefault((card.dataset.sha256, card.protocol.version, card.submission.sha256), result.id)
        if one != result.id:
            what = f"{result.id}: the same submission as {one}"
            yield ScorecardError(what, code="already-added", remedy="remove one of them")


def _orphans(results: Sequence[Result]) -> Iterator[ScorecardError]:
    """Rows whose parent has none beside them, or that come from themselves."""
    for result in results:
        there = {
            one.card.submission.sha256: one.card.submission.parent
            for one in results
            if _results.compared(one.card) == _results.compared(result.card)
        }
        own, seen = result.card.submission, set[str]()
        parent = own.parent
        if parent is not None and parent not in there:
            what = f"{result.id}: its parent {parent[:12]} has no row beside it"
            yield ScorecardError(what, code="parent-not-here", remedy="add the parent, or remove the row")
        while parent is not None and parent not in seen:
            seen.add(parent)
            parent = there.get(parent)
        if parent is not None or own.sha256 in seen:
            what = f"{result.id}: is its own ancestor"
            yield ScorecardError(what, code="parents-in-a-ring", remedy="remove the rows of the cycle")


def _row(result: Result, datasets: _recompute.DataSets, submission: Path | None) -> list[WildbenchError]:
    """List what is wrong with one result, whose files are as they were added."""
    card = result.card
    if _results.result_id(card) != result.id:
        what = f"the folder of its name, data set and protocol is {_results.result_id(card)}"
        return [ScorecardError(what, code="other-folder", remedy="restore it from version control")]
    problems = [*_other_machine(result), *_recompute.wrong_claims(card, result.predictions.with_name(_results.CARD))]
    data = datasets.of(card)
    scored = _recompute.scored_as(card, data, result.detections(data))
    problems += _recompute.wrong_accuracy(card, scored)
    again = _recompute.measure_samples(scored)
    for name in ("whole", "drawn", "without"):
        stored, measured = getattr(result.samples, name), getattr(again, name)
        if stored.shape != measured.shape or not np.allclose(stored, measured, rtol=0, atol=1e-9, equal_nan=True):
            what = f"{SAMPLES}: its AP {name} is not what its detections give"
            problems.append(ScorecardError(what, code="samples-differ"))
    if result.predictions.with_name(CURVES).read_bytes() != _recompute.measure_curves(scored).to_bytes():
        problems.append(ScorecardError(f"{CURVES}: not what its detections give", code="curves-differ"))
    return problems + _recompute.wrong_submission(card, submission)


def _other_machine(result: Result) -> Iterator[ScorecardError]:
    """A row that is called reproduced, by a card of another machine or version."""
    made, card = result.reproduction, result.card
    if made and (made.machine, made.wildbench) != (_results.machine_of(card), card.environment.wildbench):
        what = f"{_results.REPRODUCED}: names another machine or version than the card beside it"
        yield ScorecardError(what, code="other-machine", remedy="reproduce the row again")


def _board(path: Path, built: Board) -> list[ScorecardError]:
    """List where leaderboard.json is not what the results give."""
    expected = built.to_json()
    try:
        text = path.read_text(encoding="utf-8")
        edits = list(_edits(BOARD, json.loads(text), json.loads(expected)))
    except OSError as error:
        return [_not_built(path, error)]
    except (ValueError, RecursionError):
        edits = [f"{path.name}: not JSON, or cut short"]
    if text == expected:
        return []
    lines = edits[: _recompute.MOST_NAMED] or [f"{path.name}: not as wildbench writes it"]
    if (more := len(edits) - len(lines)) > 0:
        lines.append(f"{path.name}: {more} more places differ")
    return [ScorecardError(line, code="board-differs", remedy="build it again") for line in lines]


def _page(path: Path, built: Board, results: Sequence[Result], progress: Progress) -> list[ScorecardError]:
    try:
        if path.read_bytes() == page_of_results(built, results, progress):
            return []
    except OSError as error:
        return [_not_built(path, error)]
    why = "edited, or built with other versions of wildbench, vl-convert or Pillow"
    what = f"{path.name}: not what the results give: {why}"
    return [ScorecardError(what, code="page-differs", remedy="build it again")]


def _not_built(path: Path, error: OSError) -> ScorecardError:
    return ScorecardError(f"{path.name}: cannot be read ({error.strerror})", code="not-built", remedy="build it")


def _edits(place: str, kept: Any, built: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    """Every place where two documents differ; rows and sections by their ids."""
    if isinstance(kept, dict) and isinstance(built, dict):
        for key in sorted(kept.keys() | built.keys()):
            yield from _edits(f"{place}.{printable(key)}", kept.get(key), built.get(key))
    elif _named(kept) and _named(built):
        before, after = ({entry["id"]: entry for entry in side} for side in (kept, built))
        if list(before) != list(after):
            held = printable(", ".join(before)) or "nothing"
            yield f"{place}: holds {held}; the results give {', '.join(after)}"
        for name in sorted(before.keys() & after.keys()):
            yield from _edits(f"{place}.{name}", before[name], after[name])
    elif kept != built:
        yield f"{place} is {json.dumps(kept)[:60]}, the results give {json.dumps(built)[:60]}"


def _named(side: Any) -> bool:  # noqa: ANN401 - JSON
    entries = side if isinstance(side, list) else [None]
    return all(isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in entries)
