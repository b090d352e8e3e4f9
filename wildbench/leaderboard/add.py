"""Putting a scorecard on a leaderboard: what is looked at first, and how it is kept."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import lzma
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from wildbench.datasets.coco import Dataset
from wildbench.errors import OutputError, ScorecardError, WildbenchError
from wildbench.files import check_writable
from wildbench.leaderboard.results import (
    CARD,
    CURVES,
    PREDICTIONS,
    SAMPLES,
    DataSets,
    Entry,
    breaks,
    chain_file,
    head,
    measure_curves,
    measure_samples,
    note_unmeasured,
    read_detections,
    read_results,
    result_id,
    scored_categories,
    submissions_in,
    unpacked,
    write_chain,
    wrong_accuracy,
    wrong_claims,
    wrong_sizes,
)
from wildbench.scorecard import Scorecard, read_scorecard


def check(
    card: Path, board: Path, *, datasets: Sequence[Path | str] = (), submissions: Path | None = None
) -> list[str]:
    """Say what would keep a scorecard off a leaderboard; change nothing.

    Args:
        card: The scorecard; its detections lie beside it.
        board: Folder of the leaderboard; it need not exist.
        datasets: COCO files, for cards that were scored on a file.
        submissions: Folder of submission files, to measure sizes again.

    Returns:
        A line each; none for a card that can be added.
    """
    try:
        record, results, data = _admitted(card, board, DataSets(datasets))
    except WildbenchError as error:
        return [str(error)]
    found = [f"{card}: {line}" for line in wrong_accuracy(record, data, results)]
    files = submissions_in(submissions)
    if submissions is not None:
        note_unmeasured(submissions, files, [record.submission.sha256])
    submission = files.get(record.submission.sha256)
    return found + ([f"{card}: {line}" for line in wrong_sizes(record, submission)] if submission else [])


def add(card: Path, board: Path, *, datasets: Sequence[Path | str] = ()) -> str:
    """Put a scorecard and its detections on a leaderboard.

    The result is made in a folder of its own, which takes its name when it is whole; the chain comes last, so that
    whatever happens the history holds no result that is not there. Of several that add at once, each waits for the one
    before, and looks again whether it can still be added.

    Args:
        card: The scorecard; its detections lie beside it.
        board: Folder of the leaderboard, made where it does not exist.
        datasets: COCO files, for cards that were scored on a file.

    Returns:
        The id of the result.

    Raises:
        WildbenchError: It cannot be added; nothing has changed then.
    """
    check_writable(chain_file(board))
    record, results, data = _admitted(card, board, DataSets(datasets))
    wrong = wrong_accuracy(record, data, results)
    if wrong:
        more = f" (and {len(wrong) - 1} more; wildbench leaderboard check lists them)" if len(wrong) > 1 else ""
        raise ScorecardError(f"{card}: {wrong[0]}{more}", remedy="add a card as wildbench wrote it")
    scored = scored_categories(record, data)
    samples = measure_samples(data, results, scored).to_bytes()
    curves = measure_curves(data, results, scored).to_bytes()
    stored, detections = card.read_bytes(), unpacked(card.with_name(record.accuracy.predictions_file))
    files = {CARD: stored, PREDICTIONS: lzma.compress(detections), SAMPLES: samples, CURVES: curves}
    with _alone(board / "results") as folder:
        entries = _check_new(card, record, board)
        entry = Entry(
            id=result_id(record),
            card_sha256=hashlib.sha256(stored).hexdigest(),
            predictions_sha256=record.accuracy.predictions_sha256,
            samples_sha256=hashlib.sha256(samples).hexdigest(),
            previous=head(entries),
        )
        _keep(folder / entry.id, files)
        write_chain(chain_file(board), [*entries, entry])
    return entry.id


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Make a folder where there is none, and wait until no other process is in this block with it."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield folder
    finally:
        os.close(handle)


def _admitted(path: Path, board: Path, datasets: DataSets) -> tuple[Scorecard, list[dict[str, Any]], Dataset]:
    """Read a card, its detections and its data set, unless something about it keeps it off the board."""
    card = read_scorecard(path)
    for line in wrong_claims(card):
        raise ScorecardError(f"{path}: {line}")
    _check_new(path, card, board)
    try:
        data = datasets.of(card)
    except WildbenchError as error:
        raise type(error)(f"{path}: {error.what}", remedy=error.remedy) from None
    return card, read_detections(path.with_name(card.accuracy.predictions_file), card, data), data


def _check_new(path: Path, card: Scorecard, board: Path) -> list[Entry]:
    """Refuse a broken history, the same submission twice on one data set, and two cards of one name.

    Returns:
        The history as it is.
    """
    results, entries = read_results(board)
    for line in breaks(entries):
        raise ScorecardError(f"{board}: {line}", remedy="restore the chain from version control")
    for result in results:
        there = result.card
        if (there.dataset.sha256, there.protocol.version) != (card.dataset.sha256, card.protocol.version):
            continue
        place = f"{card.dataset.name} {card.dataset.split or ''}".strip()
        if there.submission.sha256 == card.submission.sha256:
            raise ScorecardError(
                f"{path}: its submission is on the board for {place} as {result.id}", remedy="add another one"
            )
        if result.id == result_id(card):
            raise ScorecardError(
                f"{path}: another submission is named {card.submission.name!r} on {place}", remedy="rename this one"
            )
    return entries


def _keep(folder: Path, files: dict[str, bytes]) -> None:
    """Write the folder of a result, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".adding-") as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            for file, data in files.items():
                (made / file).write_bytes(data)
            if folder.exists():  # left by one that was stopped before it reached the chain
                shutil.rmtree(folder)
            made.rename(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror})", remedy="make room for it") from None
