"""What the page shows of one row beyond leaderboard.json: curves, errors, bytes by part, pictures."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from hotcoco import primitives
from PIL import Image
from pydantic import Field

from wildbench.datasets.coco import Columns, Dataset
from wildbench.datasets.images import decode
from wildbench.datasets.predictions import Detections
from wildbench.datasets.registry import is_shareable, load_dataset
from wildbench.leaderboard._board import NOT_HERE
from wildbench.leaderboard._model import Board
from wildbench.leaderboard._results import CURVES, Curves, Result
from wildbench.measures.figures import hardware
from wildbench.progress import Progress, silent
from wildbench.scorecard import CalibrationBin, FieldFigures, Figure, LayerBytes, Record

PICTURED = 4
"""Rows whose pictures are embedded, so that the page stays small."""

PICTURES = 3
"""Per row."""

WIDTH, QUALITY = 480, 70
"""Of an embedded JPEG: 15 to 30 kB each."""

SAME = 0.5
"""Intersection over union from which two detections of one category are the same."""


class SeenBox(Record):
    """One detection, or one label."""

    box: tuple[float, float, float, float] = Field(description="x, y, width, height as shares of the picture.")
    category: str
    score: float | None = Field(description="null for a label.")
    alone: bool = Field(description="Whether the other detector has no such box.")


class Picture(Record):
    """One image, and what each detector finds in it."""

    file_name: str
    jpeg: str = Field(description="The image as a data URI.")
    width: int
    height: int
    labels: list[SeenBox]
    dense: list[SeenBox]
    compressed: list[SeenBox]


class Timing(Record):
    """What the page shows of fresh processes that were timed."""

    sessions: list[float] = Field(description="p50 in ms of each that counts.")
    p50: Figure
    minutes: list[float] = Field(description="p50 in ms of each minute of a long run; empty where there was none.")
    alike: list[str] = Field(description="Rows of the same hardware whose p50 this one's cannot be told from.")


class RowDetail(Record):
    """What a row's own page shows."""

    environment: str = Field(description="Processor, or GPU, and versions.")
    detections: int
    notes: list[str]
    by_part: dict[str, Figure] | None = Field(description="Stored bytes; null for a COCO results file.")
    by_layer: list[LayerBytes] | None = Field(description="Stored bytes; null where the card does not say.")
    tide: dict[str, int] = Field(description="Number of errors of each kind.")
    calibration: list[CalibrationBin]
    curves: Curves | None = Field(description="null for a card that was not added to a board.")
    field: FieldFigures | None = Field(description="Without thresholds at which nothing is drawn; null in old cards.")
    timing: Timing | None = Field(description="null where one pass was timed.")
    pictures: list[Picture]
    thresholds: tuple[float, float] | None = Field(description="Scores from which dense and compressed are drawn.")
    no_pictures: str | None = Field(description="Why there are none.")


def details(board: Board, results: Sequence[Result], progress: Progress = silent) -> dict[str, RowDetail]:
    """Gather what the page shows of each row, by id.

    Only images that their data set's card calls shareable are embedded; rendered ones are made where they are missing.
    """
    by_id = {result.id: result for result in results}
    parents = {row.id: by_id[row.parent.id] for row in board.rows().values() if row.parent and row.parent.id}
    reasons = {result.id: _reason(result, parents.get(result.id)) for result in results}
    best = sorted(results, key=lambda result: (-(result.card.accuracy.ap.value or 0.0), result.id))
    pictured = {result.id for result in [one for one in best if reasons[one.id] is None][:PICTURED]}
    images = cache(lambda name, split: load_dataset(name, split=split, progress=progress))
    detections = cache(lambda result, data: result.detections(data))  # a parent has many children
    rows = {}
    for result in results:
        drawn: list[Picture] = []
        reason, thresholds = reasons[result.id], None
        if result.id in pictured:
            parent, wanted = parents[result.id], result.card.dataset
            data = images(wanted.name, wanted.split or "test")
            if wanted.limit is not None:
                data = data.take(wanted.limit)
            thresholds = _threshold(parent), _threshold(result)
            if data.sha256 == wanted.sha256:
                drawn = pictures(data, detections(parent, data), detections(result, data), thresholds)
                reason = None if drawn else "dense and compressed find the same animals in every image"
            else:
                reason = f"scored on another version of {data.name} than this wildbench renders"
        elif reason is None:
            reason = f"only the {PICTURED} compressed rows with the highest AP have pictures here"
        rows[result.id] = _detail(result, drawn, thresholds, reason, _timing(result, results))
    return rows


def _timing(result: Result, results: Sequence[Result]) -> Timing | None:
    """Its sessions, and the rows of the same hardware whose intervals of p50 overlap with its own."""
    latency = result.card.latency
    if latency is None or latency.sessions is None:
        return None
    own, alike = latency.p50.interval, []
    for other in results if own else ():
        there = other.card.latency
        comparable = there is not None and there.sessions is not None and hardware(other.card) == hardware(result.card)
        ends = there.p50.interval if there is not None and comparable and other.id != result.id else None
        if own and ends and own[0] <= ends[1] and ends[0] <= own[1]:
            alike.append(other.id)
    minutes = [minute.p50 for minute in latency.sustained.minutes] if latency.sustained else []
    medians = [one.p50 for one in latency.sessions if one.used and one.p50 is not None]
    return Timing(sessions=medians, p50=latency.p50, minutes=minutes, alike=alike)


def _detail(
    result: Result,
    drawn: list[Picture],
    thresholds: tuple[float, float] | None,
    reason: str | None,
    timing: Timing | None,
) -> RowDetail:
    card, curves = result.card, result.predictions.with_name(CURVES)
    where = card.environment
    return RowDetail(
        environment=f"{where.gpu or where.cpu}, {where.platform}, Python {where.python}, wildbench {where.wildbench}",
        detections=card.accuracy.detections,
        notes=card.notes,
        by_part=card.size.by_part if card.size else None,
        by_layer=card.size.by_layer if card.size else None,
        tide={name: kind.count for name, kind in card.errors.tide.items()},
        calibration=card.errors.calibration.bins,
        curves=Curves.from_bytes(curves.read_bytes(), f"{result.id}/{CURVES}") if curves.is_file() else None,
        field=_drawn_field(card.field),
        timing=timing,
        pictures=drawn,
        thresholds=thresholds,
        no_pictures=reason,
    )


def _drawn_field(seen: FieldFigures | None) -> FieldFigures | None:
    """What the page draws of it."""
    if seen is None:
        return None
    screen = seen.empty_filter.model_copy(update={"at_threshold": {}})
    return seen.model_copy(update={"empty_filter": screen, "recall_by_side": {}})


def _reason(result: Result, parent: Result | None) -> str | None:
    """Why a row cannot have pictures; None where it can."""
    name = result.card.dataset.name
    if not is_shareable(name):
        return f"no card of a data set says that the images of {name} may be shown to anybody"
    if result.card.submission.parent is None:
        return "it names no dense parent to be compared with"
    return NOT_HERE if parent is None else None


def _threshold(result: Result) -> float:
    """Score from which detections are drawn: the operating point, else where F1 is best; 0 where it is nowhere."""
    stated = result.card.field.operating_point.threshold.value if result.card.field else None
    return stated or result.card.errors.images.threshold.value or 0.0


def pictures(
    data: Dataset, dense: Detections, compressed: Detections, thresholds: tuple[float, float]
) -> list[Picture]:
    """The `PICTURES` images with the most detections, from these scores on, that only one of the two detectors has."""
    one, other = (rows[rows.scores >= least] for rows, least in zip((dense, compressed), thresholds, strict=True))
    ranked = []
    for image in data.images:
        sides = one.of_image(image["id"]), other.of_image(image["id"])
        shared = _paired(*sides)
        differing = len(sides[0]) + len(sides[1]) - 2 * len(shared)
        if differing:
            ranked.append((-differing, image["id"], image, sides, shared))
    ranked.sort(key=lambda entry: entry[:2])
    return [_picture(data, *entry[2:]) for entry in ranked[:PICTURES]]


def _paired(one: Detections, other: Detections) -> list[tuple[int, int]]:
    """Indices of the detections that both have: best overlap first, each once."""
    if not len(one) or not len(other):
        return []
    overlaps = np.asarray(primitives.bbox_iou(one.boxes, other.boxes, [False] * len(other)))
    overlaps = np.where(one.category_ids[:, None] == other.category_ids, overlaps, 0)
    pairs: list[tuple[int, int]] = []
    for place in np.argsort(-overlaps, axis=None, kind="stable").tolist():
        i, j = divmod(place, len(other))
        if overlaps[i, j] < SAME:
            break
        if all(i != left and j != right for left, right in pairs):
            pairs.append((i, j))
    return pairs


def _picture(
    data: Dataset, image: Mapping[str, Any], sides: tuple[Detections, Detections], shared: Sequence[tuple[int, int]]
) -> Picture:
    width, height = image["width"], image["height"]
    names = {entry["id"]: entry["name"] for entry in data.categories}

    def seen(rows: Columns, scores: Sequence[float | None], common: set[int]) -> list[SeenBox]:
        shares = (rows.boxes / ((width, height) * 2)).round(4).tolist()
        return [
            SeenBox(box=box, category=names[category], score=score, alone=place not in common)
            for place, (box, category, score) in enumerate(zip(shares, rows.category_ids.tolist(), scores, strict=True))
        ]

    labels = data.labels.of_image(image["id"])
    dense, compressed = (
        seen(rows, rows.scores.round(3).tolist(), {pair[side] for pair in shared}) for side, rows in enumerate(sides)
    )
    return Picture(
        file_name=str(image["file_name"]),
        jpeg=small_jpeg(data.image_path(dict(image))),
        width=width,
        height=height,
        labels=seen(labels, [None] * len(labels), set(range(len(labels)))),
        dense=dense,
        compressed=compressed,
    )


def small_jpeg(path: Path) -> str:
    """An image, `WIDTH` pixels wide at most, as a data URI."""
    picture = Image.fromarray(decode(path))
    picture.thumbnail((WIDTH, WIDTH), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
