"""Everything a ranger sees of one detector, as the record keeps it; docs/field.md says what each figure answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wildbench.datasets.coco import Floats, Ints
from wildbench.datasets.image_groups import field_of
from wildbench.measures.field._drawing import Column, Drawing
from wildbench.measures.field._empty_filter import RECALLS, THRESHOLDS, Curve, EmptyFilter, empty_filter
from wildbench.measures.field._operating_point import OperatingPoint
from wildbench.measures.field._ratios import Ratios, counts, counts_by_sequence, recall_by_size
from wildbench.measures.field._slices import Slices, slicing
from wildbench.measures.matching import Scored
from wildbench.measures.uncertainty import REPLICATES, blocks_of, groups_of
from wildbench.scorecard import Counts, FieldFigures, Figure, FilterCurve, FilterPoint, SequenceCounts
from wildbench.scorecard import EmptyFilter as EmptyFilterRecord
from wildbench.scorecard import OperatingPoint as OperatingPointRecord

CURVE_POINTS = 80
"""Of a curve in a record, at most."""

SEQUENCE = "seq_id"
"""Field of an image that names its burst."""

CUSTOMARY = 0.95
"""Recall of the threshold that stands in where nobody states one."""

UNSTATED = "no threshold is stated: name one by --threshold, or a scorecard of the val split"


def measure_field(
    scored: Scored,
    point: OperatingPoint,
    *,
    slices: Slices | None = None,
    replicates: int = REPLICATES,
) -> FieldFigures:
    """Measure what a ranger sees, every figure with its interval.

    Args:
        scored: Detections on a data set.
        point: The score from which detections are taken.
        slices: By field, what it says of each image, in the order of rising ids; see `slice_values`.
        replicates: How often the data set is drawn.

    Example:
        >>> from pathlib import Path
        >>> from wildbench.datasets.coco import Dataset
        >>> from wildbench.datasets.predictions import Detections
        >>> coco = {"images": [{"id": number, "width": 90, "height": 90} for number in (1, 2, 3)],
        ...     "categories": [{"id": 1, "name": "lion"}],
        ...     "annotations": [{"image_id": 2, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> found = Detections([1, 2], [1, 1], [[9, 9, 40, 40], [9, 9, 40, 40]], scores=[0.3, 0.6])
        >>> scored = Scored(Dataset("tiny", None, coco, Path()), found)
        >>> figures = measure_field(scored, OperatingPoint(0.5, "given"))
        >>> figures.empty_filter.at_threshold["0.2"].false_alarms.value, figures.counts.exact.value
        (500.0, 1.0)
    """
    screen = empty_filter(scored)
    kind, groups = groups_of(scored.dataset)
    drawing = Drawing(kind, groups, blocks_of(scored.matches, groups), replicates)
    threshold = _threshold(screen, point)
    sequence = _sequences(scored)
    sizes = [recall_by_size(scored, threshold, by=by) for by in ("share", "side")]
    tables: list[Ratios] = list(sizes)
    if point.threshold is not None:
        tables.append(counts(scored, screen, point.threshold))
        if sequence is not None:
            tables.append(counts_by_sequence(scored, screen, point.threshold, sequence))

    thresholds = [*THRESHOLDS, *([] if point.threshold is None else [point.threshold])]

    def filtered(weights: Ints) -> Floats:
        return np.concatenate(
            [*screen.at_recalls(RECALLS, weights), *screen.at_thresholds(thresholds, weights)], axis=1
        )

    columns, *drawn = (list(part) for part in drawing.columns([filtered, *tables]))
    by_size = [
        {name: drawing.share(column, images, "boxes of this size") for name, column, images in _each(table, part)}
        for table, part in zip(sizes, drawn, strict=False)
    ]
    counted = list(zip(tables, drawn, strict=True))[len(sizes) :]
    return FieldFigures(
        operating_point=OperatingPointRecord(
            threshold=Figure.undefined("1", UNSTATED)
            if point.threshold is None
            else Figure(value=point.threshold, unit="1"),
            source=point.source,
        ),
        empty_filter=_filter_record(screen, thresholds, columns, drawing),
        recall_threshold=threshold,
        recall_by_share=by_size[0],
        recall_by_side=by_size[1],
        counts=_counts(*counted[0], drawing) if counted else _uncounted(),
        by_sequence=_sequence_counts(*counted[1], drawing) if len(counted) > 1 else None,
        slices={
            name: slicing(scored, screen, values, threshold, kind, groups, replicates)
            for name, values in (slices or {}).items()
        },
    )


def _threshold(screen: EmptyFilter, point: OperatingPoint) -> float:
    if point.threshold is not None:
        return point.threshold
    kept = float(screen.at_recalls([CUSTOMARY])[0][0, 0])
    return kept if np.isfinite(kept) else 0.0


def _sequences(scored: Scored) -> Ints | None:
    """[image]: the number of its sequence; None where an image has none."""
    images = sorted(scored.dataset.images, key=lambda image: image["id"])
    names = [field_of(image, SEQUENCE) for image in images]
    return None if None in names or not names else np.unique([str(name) for name in names], return_inverse=True)[1]


def _each(table: Ratios, columns: Sequence[Column]) -> list[tuple[str, Column, Ints]]:
    """Every figure of a table: its name, what was drawn, and the images of what it is over."""
    images = np.arange(len(table.whole))
    return [
        (name, column, np.repeat(images, whole.astype(np.int64)))
        for name, column, whole in zip(table.names, columns, table.whole.T, strict=True)
    ]


def _filter_record(
    screen: EmptyFilter, stated: Sequence[float], columns: list[Column], drawing: Drawing
) -> EmptyFilterRecord:
    many = len(RECALLS)
    thresholds, recalls, alarms = (columns[part * many : (part + 1) * many] for part in range(3))
    kept, wrong = columns[3 * many : -len(stated)], columns[-len(stated) :]
    animal, empty = (np.flatnonzero(screen.judged & (screen.animal == with_one)) for with_one in (True, False))

    def point(threshold: Figure, recall: Figure, alarms: Column) -> FilterPoint:
        false = drawing.share(alarms, empty, "empty images", "per 1,000")
        removed = Column(1 - alarms.value, 1 - alarms.drawn, 1 - alarms.without)
        return FilterPoint(
            threshold=threshold,
            recall=recall,
            false_alarms=false,
            empties_removed=drawing.share(removed, empty, "empty images"),
        )

    what = "images with an animal"
    at_stated = [
        point(Figure(value=threshold, unit="1"), drawing.share(reached, animal, what), alarm)
        for threshold, reached, alarm in zip(stated, kept, wrong, strict=True)
    ]
    return EmptyFilterRecord(
        with_animals=screen.with_animals,
        empty=screen.empty,
        hard_negatives=screen.hard_negatives,
        at_recall={
            f"{recall:.2f}": point(drawing.share(threshold, animal, what), _reached(reached, len(animal), what), alarm)
            for recall, threshold, reached, alarm in zip(RECALLS, thresholds, recalls, alarms, strict=True)
        },
        at_threshold={f"{threshold:g}": at for threshold, at in zip(THRESHOLDS, at_stated, strict=False)},
        at_operating_point=at_stated[-1] if len(stated) > len(THRESHOLDS) else None,
        curve=_thinned(screen.curve()) if len(animal) and len(empty) else None,
    )


def _reached(column: Column, n: int, what: str) -> Figure:
    """The recall at a threshold that is chosen for it: no interval, because each drawn set chooses its own."""
    if not n:
        return Figure.undefined("1", f"there are no {what}", 0)
    return Figure(value=column.value, unit="1", n=n, caution="chosen to be at least what is asked for: no interval")


def _thinned(curve: Curve) -> FilterCurve:
    """The points at which the curve turns, evenly thinned."""
    bends = np.hypot(np.diff(curve.recall, n=2), np.diff(curve.alarms, n=2)) > 1e-12
    places = np.flatnonzero(np.concatenate([[True], bends, [True]])[-len(curve.recall) :])
    places = np.unique(places[np.linspace(0, len(places) - 1, min(CURVE_POINTS, len(places))).round().astype(int)])
    shown = [[round(float(value), 4) for value in axis[places]] for axis in curve]
    return FilterCurve(thresholds=shown[0], recall=shown[1], false_alarms=shown[2])


def _counts(table: Ratios, columns: list[Column], drawing: Drawing, what: str = "images without a crowd") -> Counts:
    error, bias, exact = _each(table, columns)[:3]
    return Counts(
        error=drawing.mean(*error[1:], what, "animals", least=0.0),
        bias=drawing.mean(*bias[1:], what, "animals"),
        exact=drawing.share(*exact[1:], what),
    )


def _uncounted() -> Counts:
    unknown = Figure.undefined("animals", UNSTATED)
    return Counts(error=unknown, bias=unknown, exact=Figure.undefined("1", UNSTATED))


def _sequence_counts(table: Ratios, columns: list[Column], drawing: Drawing) -> SequenceCounts:
    found, false = _each(table, columns)[3:]
    return SequenceCounts(
        **dict(_counts(table, columns, drawing, "sequences")),
        events_found=drawing.share(*found[1:], "sequences with an animal"),
        false_events=drawing.share(*false[1:], "sequences without an animal", "per 1,000"),
    )
