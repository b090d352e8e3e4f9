"""Putting a scorecard on a leaderboard: what is checked first, and how it is kept."""

from __future__ import annotations

import lzma
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wildbench.errors import OutputError, ScorecardError, WildbenchError
from wildbench.files import check_writable
from wildbench.leaderboard._recompute import (
    DataSets,
    measure_curves,
    measure_samples,
    scored_as,
    submissions_in,
    wrong_accuracy,
    wrong_claims,
    wrong_sizes,
)
from wildbench.leaderboard._results import (
    CARD,
    CURVES,
    PREDICTIONS,
    SAMPLES,
    SUMS,
    placed,
    read_detections,
    read_results,
    result_id,
    sums_of,
    unpacked,
)
from wildbench.measures.scored import Scored
from wildbench.scorecard import Scorecard, read_scorecard


def check(
    card: Path, board: Path, *, datasets: Sequence[Path | str] = (), submissions: Path | None = None
) -> list[WildbenchError]:
    """List what keeps a scorecard off a leaderboard, without changing anything.

    Args:
        card: The scorecard; its detections lie beside it.
        board: Folder of the leaderboard; it need not exist.
        datasets: COCO files, for cards that were scored on a file.
        submissions: Folder of submission files, to measure sizes again.

    Returns:
        The problems; none for a card that can be added.
    """
    try:
        record, scored = _admitted(card, board, DataSets(datasets))
    except WildbenchError as error:
        return [error]
    submission = submissions_in(submissions, [record]).get(record.submission.sha256)
    problems = [*wrong_accuracy(record, scored), *wrong_sizes(record, submission)]
    return [placed(problem, card) for problem in problems]


def add(card: Path, board: Path, *, datasets: Sequence[Path | str] = ()) -> str:
    """Put a scorecard and its detections on a leaderboard.

    The result is made in a folder of its own, which takes its name once it is whole: a board never holds half a result,
    and of several that add the same at once, one does.

    Args:
        card: The scorecard; its detections lie beside it.
        board: Folder of the leaderboard, made where it does not exist.
        datasets: COCO files, for cards that were scored on a file.

    Returns:
        The id of the result.

    Raises:
        WildbenchError: It cannot be added; nothing has changed then.
    """
    results_folder = board / "results"
    check_writable(results_folder / CARD)
    record, scored = _admitted(card, board, DataSets(datasets))
    problems = wrong_accuracy(record, scored)
    if problems:
        more = f" (and {len(problems) - 1} more; wildbench leaderboard check lists them)" if len(problems) > 1 else ""
        first = placed(problems[0], card)
        raise ScorecardError(
            f"{first.what}{more}",
            code=first.code.partition("/")[2],
            remedy=first.remedy or "add a card as wildbench wrote it",
        )
    files = {
        CARD: card.read_bytes(),
        PREDICTIONS: lzma.compress(unpacked(card.with_name(record.accuracy.predictions_file))),
        SAMPLES: measure_samples(scored).to_bytes(),
        CURVES: measure_curves(scored).to_bytes(),
    }
    results_folder.mkdir(parents=True, exist_ok=True)
    _check_new(card, record, board)  # again: measuring took a while
    _keep(results_folder / result_id(record), files | {SUMS: sums_of(files)})
    return result_id(record)


def _admitted(path: Path, board: Path, datasets: DataSets) -> tuple[Scorecard, Scored]:
    """Read a card, and its detections on its data set, unless something about it keeps it off the board."""
    card = read_scorecard(path)
    for problem in wrong_claims(card):
        raise placed(problem, path)
    _check_new(path, card, board)
    try:
        data = datasets.of(card)
    except WildbenchError as error:
        raise placed(error, path) from None
    detections = read_detections(path.with_name(card.accuracy.predictions_file), card, data)
    return card, scored_as(card, data, detections)


def _check_new(path: Path, card: Scorecard, board: Path) -> None:
    """Refuse the same submission twice on one data set, and two cards of one name."""
    place = f"{card.dataset.name} {card.dataset.split or ''}".strip()
    for result in read_results(board):
        there = result.card
        if (there.dataset.sha256, there.protocol.version) != (card.dataset.sha256, card.protocol.version):
            continue
        if there.submission.sha256 == card.submission.sha256:
            what = f"{path}: its submission is already on the board for {place}, as {result.id}"
            raise ScorecardError(what, code="already-added", remedy="add another submission")
        if result.id == result_id(card):
            what = f"{path}: another submission is named {card.submission.name!r} on {place}"
            raise ScorecardError(what, code="name-taken", remedy="rename this one")


def _keep(folder: Path, files: dict[str, bytes]) -> None:
    """Write the folder of a result, whole or not at all.

    Raises:
        OutputError: It cannot be written.
    """
    try:
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".adding-", ignore_cleanup_errors=True) as temporary:
            made = Path(temporary) / folder.name
            made.mkdir()
            for file, data in files.items():
                (made / file).write_bytes(data)
            made.rename(folder)  # fails where there is one: it was added at the same time
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written ({error.strerror})",
            code="not-writable",
            remedy="move away what is there, or make room",
        ) from None
