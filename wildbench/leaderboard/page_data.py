"""What the page tells of one row beyond leaderboard.json: curves, errors, bytes by part, pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydantic import Field

from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.leaderboard.curves import Curves, curves_from
from wildbench.leaderboard.disagreements import Picture, pictures, threshold
from wildbench.leaderboard.results import CURVES, Result, read_kept
from wildbench.progress import Progress, silent
from wildbench.scorecard import CalibrationBin, Figure, Record

PICTURED = 8
"""Rows whose pictures are embedded, so that the page stays small: 3 pictures of some 20 kB each."""

_PICTURED_SETS = frozenset({"parksim"})
"""Data sets whose images may be given to anybody: wildbench rendered them."""


class RowDetail(Record):
    """What a row's own page shows."""

    environment: str = Field(description="Processor, or GPU, and versions.")
    detections: int
    notes: list[str]
    by_part: dict[str, Figure] | None = Field(description="Stored bytes; null for a COCO results file.")
    tide: dict[str, int] | None = Field(description="Number of errors of each kind; null in older records.")
    calibration: list[CalibrationBin] | None
    curves: Curves | None = Field(description="null where they were not kept beside the card.")
    pictures: list[Picture]
    thresholds: tuple[float, float] | None = Field(description="Scores from which dense and compressed are drawn.")
    no_pictures: str | None = Field(description="Why there is none.")


def details(results: Sequence[Result], progress: Progress = silent) -> dict[str, RowDetail]:
    """Gather what the page shows of each row.

    Images of parksim are rendered where they are not there yet. No other data set's images are embedded.

    Args:
        results: Of the board.
        progress: Called as `progress(task, done, total)` while rendering.

    Returns:
        By row id.

    Raises:
        ScorecardError: A file beside a card is damaged.
        PredictionsError: The detections of a row that gets pictures are damaged.
    """
    parents = dict(_parents(results))
    worth = [result for result in sorted(results, key=_importance) if _reason(result, parents) is None]
    pictured = {result.id for result in worth[:PICTURED]}
    sets: dict[tuple[str, str], Dataset] = {}
    found = {}
    for result in results:
        drawn: list[Picture] = []
        reason, thresholds = _reason(result, parents), None
        if result.id in pictured:
            parent, data = parents[result.id], _data(result, sets, progress)
            thresholds = _threshold(parent), _threshold(result)
            if data.sha256 == result.card.dataset.sha256:
                drawn = pictures(data, parent.detections(data), result.detections(data), thresholds)
                reason = None if drawn else "dense and compressed find the same animals in every image"
            else:
                reason = f"scored on another version of {data.name} than this wildbench renders"
        elif reason is None:
            reason = f"only the {PICTURED} compressed rows with the highest AP have pictures here"
        found[result.id] = _detail(result, drawn, thresholds, reason)
    return found


def _detail(
    result: Result, drawn: list[Picture], thresholds: tuple[float, float] | None, reason: str | None
) -> RowDetail:
    card, stored = result.card, result.predictions.with_name(CURVES)
    where = card.environment
    return RowDetail(
        environment=f"{where.gpu or where.cpu}, {where.platform}, Python {where.python}, wildbench {where.wildbench}",
        detections=card.accuracy.detections,
        notes=card.notes,
        by_part=card.size.by_part if card.size else None,
        tide={name: kind.count for name, kind in card.errors.tide.items()} if card.errors else None,
        calibration=card.errors.calibration.bins if card.errors else None,
        curves=curves_from(read_kept(stored), f"{result.id}/{CURVES}") if stored.is_file() else None,
        pictures=drawn,
        thresholds=thresholds,
        no_pictures=reason,
    )


def _parents(results: Sequence[Result]) -> Iterator[tuple[str, Result]]:
    """Each result that has its dense parent on the same images, with that parent."""
    by_hash = {(result.card.dataset.sha256, result.card.submission.sha256): result for result in results}
    for result in results:
        parent = by_hash.get((result.card.dataset.sha256, result.card.submission.parent or ""))
        if parent is not None and parent is not result:
            yield result.id, parent


def _importance(result: Result) -> tuple[float, str]:
    return -(result.card.accuracy.ap.value or 0.0), result.id


def _reason(result: Result, parents: dict[str, Result]) -> str | None:
    """Why a row cannot have pictures; None where it can."""
    name = result.card.dataset.name
    if name not in _PICTURED_SETS:
        return f"the images of {name} are not wildbench's to give away: only those of parksim are embedded"
    if result.card.submission.parent is None:
        return "it names no dense parent to be set against"
    if result.id not in parents:
        return "its dense parent is not on the board"
    if any(threshold(one.card) is None for one in (result, parents[result.id])):
        return "a record made before wildbench explained errors says no score to draw detections from"
    return None


def _threshold(result: Result) -> float:
    """Score from which detections are drawn; all where F1 is nowhere best."""
    found = threshold(result.card)
    return 0.0 if found is None or found.value is None else found.value


def _data(result: Result, sets: dict[tuple[str, str], Dataset], progress: Progress) -> Dataset:
    wanted = result.card.dataset
    key = (wanted.name, wanted.split or "test")
    if key not in sets:
        sets[key] = load_dataset(wanted.name, split=key[1], progress=progress)
    return sets[key].take(wanted.limit)
