"""What the page tells of one row beyond leaderboard.json: curves, errors, bytes by part, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from wildbench.datasets.coco import Dataset
from wildbench.datasets.registry import load_dataset
from wildbench.leaderboard.board import NOT_HERE, Board
from wildbench.leaderboard.page._disagreements import Picture, pictures, threshold
from wildbench.leaderboard.results import CURVES, Curves, Result, curves_from, read_kept
from wildbench.progress import Progress, silent
from wildbench.scorecard import CalibrationBin, Figure, LayerBytes, Record

PICTURED = 4
"""Rows whose pictures are embedded, so that the page stays small: 3 pictures of some 20 kB each."""

_PICTURED_SETS = frozenset({"parksim"})
"""Data sets whose images may be given to anybody: wildbench rendered them."""


class RowDetail(Record):
    """What a row's own page shows."""

    environment: str = Field(description="Processor, or GPU, and versions.")
    detections: int
    notes: list[str]
    by_part: dict[str, Figure] | None = Field(description="Stored bytes; null for a COCO results file.")
    by_layer: list[LayerBytes] | None = Field(description="Stored bytes; null where the card does not say.")
    tide: dict[str, int] | None = Field(description="Number of errors of each kind; null in older records.")
    calibration: list[CalibrationBin] | None
    curves: Curves | None = Field(description="null where they were not kept beside the card.")
    pictures: list[Picture]
    thresholds: tuple[float, float] | None = Field(description="Scores from which dense and compressed are drawn.")
    no_pictures: str | None = Field(description="Why there is none.")


def details(board: Board, results: Sequence[Result], progress: Progress = silent) -> dict[str, RowDetail]:
    """Gather what the page shows of each row.

    Images of parksim are rendered where they are not there yet. No other data set's images are embedded.

    Args:
        board: What says which row was made from which: pictures set a row against the parent its lineage names.
        results: What it was built from.
        progress: Called as `progress(task, done, total)` while rendering.

    Returns:
        By row id.

    Raises:
        ScorecardError: A file beside a card is damaged.
        PredictionsError: The detections of a row that gets pictures are damaged.
    """
    parents = _parents(board, results)
    worth = [result for result in sorted(results, key=_importance) if _reason(result, parents) is None]
    pictured = {result.id for result in worth[:PICTURED]}
    sets: dict[tuple[str, str], Dataset] = {}
    read: dict[str, list[dict[str, Any]]] = {}
    found = {}
    for result in results:
        drawn: list[Picture] = []
        reason, thresholds = _reason(result, parents), None
        if result.id in pictured:
            parent, data = parents[result.id], _data(result, sets, progress)
            thresholds = _threshold(parent), _threshold(result)
            if data.sha256 == result.card.dataset.sha256:
                for one, least in zip((parent, result), thresholds, strict=True):
                    if one.id not in read:  # a parent has many children
                        read[one.id] = one.detections(data, least)
                drawn = pictures(data, read[parent.id], read[result.id], thresholds)
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
        by_layer=card.size.by_layer if card.size else None,
        tide={name: kind.count for name, kind in card.errors.tide.items()} if card.errors else None,
        calibration=card.errors.calibration.bins if card.errors else None,
        curves=curves_from(read_kept(stored), f"{result.id}/{CURVES}") if stored.is_file() else None,
        pictures=drawn,
        thresholds=thresholds,
        no_pictures=reason,
    )


def _parents(board: Board, results: Sequence[Result]) -> dict[str, Result]:
    """The parent of each result whose row has one in its section."""
    by_id = {result.id: result for result in results}
    found = {row.id: row.parent.id for row in board.rows().values() if row.parent}
    return {child: by_id[parent] for child, parent in found.items() if parent is not None}


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
        return NOT_HERE
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
