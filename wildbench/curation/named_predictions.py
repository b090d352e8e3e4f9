"""Detections to look at, each with a name, from scorecards or results files."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from wildbench.curation.fields import RESERVED, image_attributes, numbered
from wildbench.datasets.coco import Dataset, read_json
from wildbench.datasets.predictions import read_predictions
from wildbench.errors import PredictionsError
from wildbench.files import sha256_of
from wildbench.scorecard import Scorecard, read_scorecard


@dataclass(frozen=True, eq=False)
class NamedPredictions:
    """One detector's detections on a data set.

    Attributes:
        name: What it is called.
        field: The same as a name of a field: letters, digits and underscores.
        results: COCO results, by image and falling score.
        card: The scorecard they came with; None for a bare results file.
        same_labels: Whether the scorecard was made with these very labels; true without one.
    """

    name: str
    field: str
    results: list[dict[str, Any]]
    card: Scorecard | None = None
    same_labels: bool = True


def read_named(paths: Sequence[Path], data: Dataset) -> list[NamedPredictions]:
    """Read scorecards with the detections beside them, or COCO results files.

    Args:
        paths: Files, in the order in which they are to stand.
        data: What was detected in.

    Raises:
        PredictionsError: A file is missing, does not fit the data set, or is not the one its scorecard was made with.
        ScorecardError: A scorecard that cannot be read.
    """
    named: list[NamedPredictions] = []
    reserved = RESERVED | {attribute.field for attribute in image_attributes(data)}
    for path in paths:
        one = _read(path, data, reserved)
        names = zip(numbered(one.name, " "), numbered(one.field, "_"), strict=True)
        taken, fields = {other.name for other in named}, reserved | {other.field for other in named}
        name, field = next(both for both in names if both[0] not in taken and both[1] not in fields)
        named.append(replace(one, name=name, field=field))
    return named


def dense_of(one: NamedPredictions, others: Sequence[NamedPredictions]) -> NamedPredictions | None:
    """The detector that another was made from: the parent that its scorecard names, else the first of all.

    Returns:
        None for the first itself.
    """
    parent = one.card.submission.parent if one.card else None
    for other in others:
        if parent is not None and other.card is not None and other.card.submission.sha256 == parent:
            return other
    return None if one is others[0] else others[0]


def _read(path: Path, data: Dataset, reserved: frozenset[str]) -> NamedPredictions:
    raw = read_json(path)
    if isinstance(raw, list):
        return NamedPredictions(path.stem, _field(path.stem, reserved), read_predictions(path, data))
    card = read_scorecard(path)
    kept = path.with_name(card.accuracy.predictions_file)
    if not kept.is_file():
        raise PredictionsError(f"{kept}: the detections of {path.name} are not there", remedy="put them beside it")
    if sha256_of(kept) != card.accuracy.predictions_sha256:
        raise PredictionsError(
            f"{kept}: not the detections that {path.name} was made with", remedy="evaluate the submission again"
        )
    name = card.submission.name
    same_labels = card.dataset.sha256 == data.sha256
    return NamedPredictions(name, _field(name, reserved), read_predictions(kept, data), card, same_labels)


def _field(name: str, reserved: Container[str]) -> str:
    """A name that MongoDB and FiftyOne take for a field, and that no other field has.

    Example:
        >>> _field("ssd v2 (int8)", set()), _field("3-bit", set()), _field("weather", {"weather"})
        ('ssd_v2_int8', 'd_3_bit', 'd_weather')
    """
    field = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lower()
    return f"d_{field}" if not field or field[0].isdigit() or field in reserved else field
