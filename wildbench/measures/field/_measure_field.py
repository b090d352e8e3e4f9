"""Everything a ranger sees of one detector, as the record keeps it; docs/field.md says what each figure answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wildbench.datasets.coco import Floats, Ints
from wildbench.datasets.image_groups import field_of
from wildbench.measures.field._drawing import PER_THOUSAND, Column, Drawing
from wildbench.measures.field._empty_filter import RECALLS, THRESHOLDS, Curve, EmptyFilter, empty_filter
from wildbench.measures.field._operating_point import OperatingPoint
from wildbench.measures.field._ratios import Ratios, counts, counts_by_sequence, recall_by_size
from wildbench.measures.field._slices import Slices, slicing
from wildbench.measures.matching import Scored
from wildbench.measures.uncertainty import REPLICATES, Interval, blocks_of, groups_of, rounded
from wildbench.scorecard import Counts, FieldFigures, Figure, FilterCurve, FilterPoint, SequenceCounts
from wildbench.scorecard import EmptyFilter as EmptyFilterRecord
from wildbench.scorecard import OperatingPoint as OperatingPointRecord

CURVE_POINTS = 80
"""Of a curve in a record, at most."""

SEQUENCE = "seq_id"
"""Field of an image that names its burst."""

CUSTOMARY = 0.95
"""Recall of the threshold that stands in where nobody states one."""

TOO_FEW = "too few images with an animal to say which threshold keeps so many of them"

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

    stated = [*THRESHOLDS, *([] if point.threshold is None else [point.threshold])]
    chosen = np.nan_to_num(screen.at_recalls(RECALLS)[0][0], nan=0.0).tolist()

    def filtered(weights: Ints) -> Floats:
        return np.concatenate(screen.at_thresholds([*chosen, *stated], weights), axis=1)

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
        empty_filter=_filter_record(screen, stated, columns, drawing),
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
    kept, alarms = columns[: len(columns) // 2], columns[len(columns) // 2 :]
    chosen = [fixed_recall(screen, drawing, *at) for at in zip(RECALLS, kept, alarms, strict=False)]
    points = [
        _point(screen, drawing, Figure(value=threshold, unit="1"), *at)
        for threshold, *at in zip(stated, kept[len(RECALLS) :], alarms[len(RECALLS) :], strict=True)
    ]
    return EmptyFilterRecord(
        with_animals=screen.with_animals,
        empty=screen.empty,
        hard_negatives=screen.hard_negatives,
        at_recall={f"{recall:.2f}": point for recall, point in zip(RECALLS, chosen, strict=True)},
        at_threshold={f"{threshold:g}": point for threshold, point in zip(THRESHOLDS, points, strict=False)},
        at_operating_point=points[-1] if len(stated) > len(THRESHOLDS) else None,
        curve=_thinned(screen.curve()) if screen.with_animals and screen.empty else None,
    )


def _point(screen: EmptyFilter, drawing: Drawing, threshold: Figure, kept: Column, alarms: Column) -> FilterPoint:
    animal, empty = (np.flatnonzero(screen.judged & (screen.animal == side)) for side in (True, False))
    removed = Column(1 - alarms.value, 1 - alarms.drawn, 1 - alarms.without)
    return FilterPoint(
        threshold=threshold,
        recall=drawing.share(kept, animal, "images with an animal"),
        false_alarms=drawing.share(alarms, empty, "empty images", "per 1,000"),
        empties_removed=drawing.share(removed, empty, "empty images"),
    )


def fixed_recall(screen: EmptyFilter, drawing: Drawing, recall: float, kept: Column, alarms: Column) -> FilterPoint:
    """What the filter does at the threshold that keeps so many of these images' animals.

    The interval of the threshold is Woodruff's (1952): where the curve has the ends of the interval of the recall at
    that threshold. That of the false alarms joins two independent errors by their squares (MOVER, Zou and Donner,
    2008): of the alarms at that threshold, and of the threshold.

    Args:
        screen: The detector as an empty filter.
        drawing: How its data set is drawn.
        recall: What is to be kept.
        kept: The recall at the threshold that the whole data set gives, as drawn.
        alarms: The false alarms there, as drawn.
    """
    threshold = float(screen.at_recalls([recall])[0][0, 0])
    stated = Figure(value=threshold, unit="1") if np.isfinite(threshold) else _without(screen)
    at = _point(screen, drawing, stated, kept, alarms)
    ends, wrong = at.recall.interval, at.false_alarms.interval
    if ends is None or wrong is None:
        return at.model_copy(update={"threshold": _alike(stated, at.recall, None)})
    chosen, _, moved = (values[0].tolist() for values in screen.at_recalls(ends))
    few_missed = (1 - ends[1]) * screen.with_animals < 1
    if few_missed:  # the lowest score of so few images says nothing of the lowest of all
        chosen[1], moved[1] = 0.0, 1.0
        at = at.model_copy(update={"recall": at.recall.model_copy(update={"caution": TOO_FEW})})
    low, high = (end / PER_THOUSAND for end in wrong)
    few = alarms.value - float(np.hypot(alarms.value - low, alarms.value - moved[0]))
    many = alarms.value + float(np.hypot(high - alarms.value, moved[1] - alarms.value))
    share = rounded(max(few, 0.0), min(many, 1.0))
    told = {"caution": TOO_FEW} if few_missed else {}
    thousand = round(PER_THOUSAND * share[0], 4), round(PER_THOUSAND * share[1], 4)
    return at.model_copy(
        update={
            "threshold": _alike(stated, at.recall, rounded(chosen[1], chosen[0])),
            "false_alarms": at.false_alarms.model_copy(update=told | {"interval": thousand}),
            "empties_removed": at.empties_removed.model_copy(
                update=told | {"interval": rounded(1 - share[1], 1 - share[0])}
            ),
        }
    )


def _without(screen: EmptyFilter) -> Figure:
    return Figure.undefined("1", "there are no images with an animal", screen.with_animals)


def _alike(threshold: Figure, recall: Figure, ends: Interval | None) -> Figure:
    """A threshold over what its recall is over, and as sure."""
    if threshold.value is None:
        return threshold
    return threshold.model_copy(update={"n": recall.n, "interval": ends, "caution": recall.caution})


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
