"""Putting a scorecard on a leaderboard: what is checked first, and how it is kept."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from wildbench.errors import ScorecardError, WildbenchError
from wildbench.files import check_writable
from wildbench.leaderboard import _recompute, _results
from wildbench.measures.matching import Scored
from wildbench.scorecard import Scorecard, read_scorecard

_ASCII = {"0": "o", "1": "l", "I": "l", "|": "l", "m": "rn"}
"""Of ASCII itself."""


def check(
    card: Path, board: Path, *, datasets: Sequence[Path | str] = (), submissions: Path | None = None
) -> list[WildbenchError]:
    """List what keeps a scorecard off a leaderboard, without changing anything.

    Args:
        card: The scorecard; its detections lie beside it.
        board: Folder of the leaderboard; it need not exist.
        datasets: COCO files, for cards that were scored on a file.
        submissions: Folder of submission files, to look into them again.
    """
    try:
        record, scored = _admitted(card, board, _recompute.DataSets(datasets))
    except WildbenchError as error:
        return [error]
    submission = _recompute.submissions_in(submissions, [record]).get(record.submission.sha256)
    problems = [*_recompute.wrong_accuracy(record, scored), *_recompute.wrong_submission(record, submission)]
    return [_results.placed(problem, card) for problem in problems]


def add(card: Path, board: Path, *, datasets: Sequence[Path | str] = ()) -> str:
    """Put a scorecard and its detections on a leaderboard, as a result whose id is returned.

    A board never holds half a result, and of several processes that add the same at once, one does.

    Args:
        card: The scorecard; its detections lie beside it.
        board: Folder of the leaderboard, made where it does not exist.
        datasets: COCO files, for cards that were scored on a file.

    Raises:
        WildbenchError: It cannot be added; nothing has changed then.
    """
    results_folder = board / "results"
    check_writable(results_folder / _results.CARD)
    record, scored = _admitted(card, board, _recompute.DataSets(datasets))
    problems = _recompute.wrong_accuracy(record, scored)
    if problems:
        more = f" (and {len(problems) - 1} more; wildbench leaderboard check lists them)" if len(problems) > 1 else ""
        first = _results.placed(problems[0], card)
        remedy = first.remedy or "add a card as wildbench wrote it"
        raise ScorecardError(f"{first.what}{more}", code=first.code.partition("/")[2], remedy=remedy)
    files = _recompute.kept_files(card, record, scored)
    results_folder.mkdir(parents=True, exist_ok=True)
    _check_new(card, record, board)  # again: measuring took a while
    _results.keep(results_folder / _results.result_id(record), files)
    return _results.result_id(record)


def _admitted(path: Path, board: Path, datasets: _recompute.DataSets) -> tuple[Scorecard, Scored]:
    """Read a card, and its detections on its data set, unless something about it keeps it off the board."""
    card = read_scorecard(path)
    for problem in _recompute.wrong_claims(card, path):
        raise _results.placed(problem, path)
    _check_new(path, card, board)
    try:
        data = datasets.of(card)
    except WildbenchError as error:
        raise _results.placed(error, path) from None
    detections = _results.read_detections(path.with_name(card.accuracy.predictions_file), card, data)
    return card, _recompute.scored_as(card, data, detections)


def _check_new(path: Path, card: Scorecard, board: Path) -> None:
    """Refuse the same submission twice on one data set, two names that look alike, and a parent that has no row."""
    place = f"{card.dataset.name} {card.dataset.split or ''}".strip()
    mine, parent = skeleton(card.submission.name), card.submission.parent
    section = _results.compared(card)
    same = [result for result in _results.read_results(board) if _results.compared(result.card) == section]
    if parent is not None and (parent == card.submission.sha256 or parent not in _results.hashes(same)):
        what = f"{path}: its parent {parent[:12]} has no row on the board for {place}"
        raise ScorecardError(what, code="parent-not-here", remedy="add the parent first")
    for result in same:
        there = result.card
        if there.submission.sha256 == card.submission.sha256:
            what = f"{path}: its submission is already on the board for {place}, as {result.id}"
            raise ScorecardError(what, code="already-added", remedy="add another submission")
        if result.id == _results.result_id(card) or skeleton(there.submission.name) == mine:
            what = f"{path}: another submission is named {there.submission.name!r} on {place}, which looks the same"
            raise ScorecardError(what, code="name-taken", remedy="rename this one")


@cache
def _table() -> dict[int, str]:
    """What looks like each letter, digit or sign of ASCII, out of Unicode's confusables.txt.

    It was taken from confusable-homoglyphs 3.3.1, a package of 0.9 MB of which 3 kB serve here.
    """
    lines = Path(__file__).with_name("assets").joinpath("confusables.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t") for line in lines if not line.startswith("# "))
    return {ord(mark): like for like, marks in pairs for mark in marks} | {ord(one): to for one, to in _ASCII.items()}


def skeleton(name: str) -> str:
    r"""What a name looks like, whatever its case: two of one skeleton are taken for each other.

    By Unicode's Technical Standard 39, as far as it leads to ASCII.

    Example:
        >>> skeleton("ref\u0435rence") == skeleton("Reference"), skeleton("tiny-int8") == skeleton("tiny-int4")
        (True, False)
    """
    seen = unicodedata.normalize("NFKC", name).translate(_table())
    folded = unicodedata.normalize("NFKC", seen.casefold()).translate(_table())
    return " ".join(folded.split())
