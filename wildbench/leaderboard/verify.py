"""Whether a leaderboard is what its results give: the history, every row, and leaderboard.json itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wildbench.errors import ScorecardError, WildbenchError
from wildbench.leaderboard.board import Board, build_board
from wildbench.leaderboard.build import BOARD, PAGE, page_of_results
from wildbench.leaderboard.results import (
    CHAIN,
    CURVES,
    KEPT,
    MOST_NAMED,
    PREDICTIONS,
    DataSets,
    Entry,
    Result,
    breaks,
    chain_file,
    measure_curves,
    measure_samples,
    note_unmeasured,
    read_chain,
    read_kept,
    read_result,
    result_id,
    scored_categories,
    submissions_in,
    unpacked,
    wrong_accuracy,
    wrong_claims,
    wrong_sizes,
)
from wildbench.progress import Progress, silent
from wildbench.text import printable


def verify(
    board: Path,
    *,
    datasets: Sequence[Path | str] = (),
    submissions: Path | None = None,
    known: str | None = None,
    progress: Progress = silent,
) -> list[str]:
    """Compute every figure of a leaderboard again that can be, and look at its history.

    Args:
        board: Folder of the leaderboard.
        datasets: COCO files, for rows that were scored on a file.
        submissions: Folder of submission files: sizes are measured again for those whose file is in it.
        known: Hash of an entry of the chain, noted earlier.
        progress: Called as `progress(task, done, total)`.

    Returns:
        What is wrong, a line each; none where everything holds.
    """
    try:
        entries = read_chain(chain_file(board))
        found = [*breaks(entries, known), *_strays(board / "results", entries)]
    except WildbenchError as error:
        return [str(error)]
    if not entries:
        return [f"{board}: no results: add a scorecard first"]
    data, files = DataSets(datasets), submissions_in(submissions)
    results = []
    for number, entry in enumerate(entries, start=1):
        try:
            result = read_result(board, entry, number)
            results.append(result)
            found += [f"{entry.id}: {line}" for line in _row(result, entry, data, files)]
        except WildbenchError as error:
            found.append(f"{entry.id}: {str(error).removeprefix(f'{entry.id}: ')}")
        progress("verify", number, len(entries))
    found += _twice(results)
    if submissions is not None:
        note_unmeasured(submissions, files, [result.card.submission.sha256 for result in results])
    if len(results) == len(entries):
        try:
            built = build_board(results, entries)
            found += _board(board / BOARD, built) + _page(board / PAGE, built, results, progress)
        except WildbenchError as error:
            found.append(str(error))
    return found


def _strays(results: Path, entries: Sequence[Entry]) -> list[str]:
    """What is in no entry, and ids that are in two."""
    ids = [entry.id for entry in entries]
    found = [f"chain: {name} was added twice" for name in sorted({one for one in ids if ids.count(one) > 1})]
    for name in _listed(results):
        if name not in (*ids, CHAIN):
            why = "no entry of the chain holds it: its entry was removed, adding was stopped, or it is a stray file"
            found.append(printable(f"{name}: in results/, but {why}"))
    for one in ids:
        strays = [name for name in _listed(results / one) if name not in KEPT]
        found += [printable(f"{one}: {name} in its folder is none of {', '.join(KEPT)}") for name in strays]
    return found


def _twice(results: Sequence[Result]) -> list[str]:
    """Submissions that were added again, under another name."""
    first: dict[tuple[str, int, str], str] = {}
    found = []
    for result in results:
        card = result.card
        one = first.setdefault((card.dataset.sha256, card.protocol.version, card.submission.sha256), result.id)
        if one != result.id:
            found.append(f"{result.id}: the same submission as {one}")
    return found


def _listed(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    except OSError as error:
        raise ScorecardError(f"{folder}: cannot be read ({error.strerror})", remedy="let it be read") from None


def _row(result: Result, entry: Entry, datasets: DataSets, submissions: dict[str, Path]) -> list[str]:
    """What is wrong with one result, whose card is as it was added."""
    card = result.card
    if result_id(card) != result.id:
        return ["its folder is not the one of its name, data set and protocol"]
    found = wrong_claims(card)
    if hashlib.sha256(unpacked(result.predictions)).hexdigest() != entry.predictions_sha256:
        return [f"{PREDICTIONS} is not the one that was added"]
    data = datasets.of(card)
    results = result.detections(data)
    found += wrong_accuracy(card, data, results)
    scored = scored_categories(card, data)
    again = measure_samples(data, results, scored)
    for name in ("whole", "drawn", "without"):
        kept, given = getattr(result.samples, name), getattr(again, name)
        if kept.shape != given.shape or not np.allclose(kept, given, rtol=0, atol=1e-9, equal_nan=True):
            found.append(f"samples.npy: its AP {name} is not what its detections give")
    if read_kept(result.predictions.with_name(CURVES)) != measure_curves(data, results, scored).to_bytes():
        found.append(f"{CURVES}: not what its detections give")
    submission = submissions.get(card.submission.sha256)
    return found + (wrong_sizes(card, submission) if submission else [])


def _board(path: Path, built: Board) -> list[str]:
    """Where leaderboard.json is not what the results give, by row."""
    expected = built.to_json()
    try:
        text = path.read_text(encoding="utf-8")
        differing = list(_edits(BOARD, json.loads(text), json.loads(expected)))
    except OSError as error:
        return [f"{path.name}: cannot be read ({error.strerror}); build it"]
    except (ValueError, RecursionError):
        return [f"{path.name}: not JSON, or cut short; build it again"]
    if text == expected:
        return []
    if not differing:
        return [f"{path.name}: not as wildbench writes it; build it again"]
    more = len(differing) - MOST_NAMED
    return differing[:MOST_NAMED] + ([f"{path.name}: and {more} more places; build it again"] if more > 0 else [])


def _page(path: Path, built: Board, results: Sequence[Result], progress: Progress) -> list[str]:
    """Whether the page is what the results give, to the byte.

    Raises:
        WildbenchError: A file of a result is damaged.
    """
    try:
        if path.read_bytes() != page_of_results(built, results, progress):
            told = "edited, or built with other versions of wildbench, vl-convert or Pillow than these"
            return [f"{path.name}: not what the results give: {told}; build it again"]
    except OSError as error:
        return [f"{path.name}: cannot be read ({error.strerror}); build it"]
    return []


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
