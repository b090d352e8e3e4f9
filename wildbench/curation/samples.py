"""A data set and detections as FiftyOne's samples: labels, what the file says of them, and a field a detector."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wildbench.curation.patch import FIXED
from wildbench.datasets.category_merging import into_merged, onto, regrouped
from wildbench.datasets.coco import Dataset, read_json, size_of
from wildbench.datasets.findings import Finding, lines
from wildbench.datasets.predictions import Detections, read_predictions
from wildbench.errors import needs
from wildbench.progress import Progress, silent
from wildbench.scorecard import Scorecard, read_scorecard

if TYPE_CHECKING:
    import fiftyone

GROUND_TRUTH = "ground_truth"
"""The field of the labels."""

SUMMARIES = ("wrong_label", "missing_box", "hardness", "forgotten", "group")
"""Fields of an image that hold answers about it."""

NOTES = ("annotation_id", "size", "found_by", "forgotten_by", "wrong_label", "suggested", "reason")
"""Fields of a box that a review adds."""

Label = dict[str, Any]
"""The keyword arguments of a `fiftyone.Detection`: `label`, `bounding_box` in shares of the image, and attributes."""


@dataclass(frozen=True)
class Attribute:
    """A `key` of entries, and FiftyOne's `field` for it; what is not `exact` is shown as text, and is not edited."""

    key: str
    field: str
    kind: type
    exact: bool

    def shown(self, value: object) -> object:
        """Convert a value for FiftyOne."""
        if self.exact:
            return float(value) if self.kind is float and isinstance(value, int) else value
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def box_attributes(data: Dataset) -> list[Attribute]:
    """What the file says of its boxes beside place and category: occlusion, truncation, iscrowd."""
    return attributes(data.annotations, FIXED | {"bbox"})


def image_attributes(data: Dataset) -> list[Attribute]:
    """What the file says of its images beside file, size and licence."""
    return attributes(data.images, {"id", "file_name", "width", "height", "license"})


def attributes(entries: list[dict[str, Any]], ignored: Container[str]) -> list[Attribute]:
    """Name and type of everything that entries say; what has mixed types, or one unknown to MongoDB, becomes text."""
    values: dict[str, list[Any]] = {}
    for entry in entries:
        for key, value in entry.items():
            if value is not None and key not in ignored:
                values.setdefault(key, []).append(value)
    named: list[Attribute] = []
    for key, listed in values.items():
        field = re.sub(r"[.$\0]", "_", key)
        if not field or field.startswith("_") or field in reserved():
            field = f"coco_{field.strip('_')}"
        taken = {*values, *(other.field for other in named)} - {key}
        field = next(name for name in _numbered(field, "_") if name not in taken)
        kind = _kind(listed)
        named.append(Attribute(key, field, kind or str, kind is not None))
    return named


def _kind(values: list[Any]) -> type | None:
    """The type that holds all of the values as they are, such as float for 0 and 0.5; None if there is none."""
    types = {type(value) for value in values}
    if types == {int} and not all(-(2**63) <= value < 2**63 for value in values):
        return None
    if types == {int, float}:
        return float if all(float(value) == value for value in values) else None
    if types == {list} and not all(isinstance(part, str) for value in values for part in value):
        return None
    return types.pop() if len(types) == 1 and types <= {bool, int, float, str, list} else None


def _numbered(name: str, between: str) -> Iterator[str]:
    """A name, then the same with 2, 3, ... appended."""
    yield name
    yield from (f"{name}{between}{number}" for number in count(2))


@cache
def reserved() -> frozenset[str]:
    """Names that FiftyOne's images and labels have, methods included, and those that a review adds."""
    with needs("review"):
        import fiftyone
        from fiftyone.core.odm import DatasetSampleDocument
    names = {*dir(fiftyone.Sample), *dir(fiftyone.Detection), *dir(DatasetSampleDocument), *fiftyone.Detection._fields}
    return frozenset({*names, "id", GROUND_TRUTH, "image_id", "licence", *SUMMARIES, *NOTES})


@dataclass(frozen=True, eq=False)
class NamedPredictions:
    """One detector's detections on a data set, its name as FiftyOne names a field, and its scorecard, if there is one.

    `same_labels` says whether the scorecard was made with these very labels; `notes` are on reading the file.
    """

    name: str
    field: str
    detections: Detections
    card: Scorecard | None = None
    same_labels: bool = True
    notes: tuple[str, ...] = ()


def read_named(paths: Sequence[Path], data: Dataset) -> list[NamedPredictions]:
    """Read scorecards with the detections beside them, or COCO results files.

    Raises:
        PredictionsError: A file is missing, does not fit the data set, or is not the one its scorecard was made with.
        ScorecardError: A scorecard cannot be read.
    """
    detectors: list[NamedPredictions] = []
    occupied = reserved() | {attribute.field for attribute in image_attributes(data)}
    for path in paths:
        one = read_one(path, data)
        field = re.sub(r"\W+", "_", one.name, flags=re.ASCII).strip("_").lower()
        field = f"d_{field}" if not field or field[0].isdigit() or field in occupied else field
        names, fields = {other.name for other in detectors}, occupied | {other.field for other in detectors}
        pairs = zip(_numbered(one.name, " "), _numbered(field, "_"), strict=True)
        name, field = next(pair for pair in pairs if pair[0] not in names and pair[1] not in fields)
        detectors.append(replace(one, name=name, field=field))
    return detectors


def card_of(path: Path) -> Scorecard | None:
    """The scorecard that a file is; None where it is detections."""
    if path.is_dir() or path.suffix != ".json" or "format_version" not in (read_json(path) or ()):
        return None
    return read_scorecard(path)


def read_one(path: Path, data: Dataset, failures: dict[int, str] | None = None) -> NamedPredictions:
    """Read a scorecard with the detections beside it, or detections; as `read_named`, without a field.

    `failures` takes why a tool did not look at images, by id.
    """
    card = card_of(path)
    if card is None:
        found: list[Finding] = []
        detections = read_predictions(path, data, found, failures)
        detections = into_merged(detections, data) if data.unmerged else detections
        return NamedPredictions(path.stem, "", _told(detections, data), notes=tuple(lines(found)))
    from wildbench.comparison import detections_of  # loads a compiler

    own = regrouped(data.unmerged or data, card.dataset.grouping)[0]
    detections = onto(detections_of(path, card, own), own, data)
    return NamedPredictions(card.submission.name, "", _told(detections, data), card, card.dataset.sha256 == own.sha256)


def _told(detections: Detections, data: Dataset) -> Detections:
    """Detections of the categories that a person says the detector can tell."""
    known = data.known_ids
    return detections if known is None else detections[np.isin(detections.category_ids, list(known))]


def dense_of(one: NamedPredictions, others: Sequence[NamedPredictions]) -> NamedPredictions | None:
    """The detector that another was made from: its scorecard's parent, else the first of all; None for the first."""
    parent = one.card.submission.parent if one.card else None
    for other in others:
        if parent is not None and other.card is not None and other.card.submission.sha256 == parent:
            return other
    return None if one is others[0] else others[0]


def labels(data: Dataset) -> dict[int, list[Label]]:
    """Convert the boxes of every image for FiftyOne, by image id."""
    names = {category["id"]: category["name"] for category in data.categories}
    about = box_attributes(data)
    return {
        image["id"]: [
            {"label": names[box["category_id"]], "bounding_box": relative(box["bbox"], image)}
            | {"annotation_id": box["id"], "size": size_of(box["area"]), **_said(box, about)}
            for box in data.boxes(image["id"])
        ]
        for image in data.images
    }


def relative(bbox: Sequence[float], image: Mapping[str, Any]) -> list[float]:
    """Convert [x, y, width, height] from pixels to shares of the image."""
    width, height = image["width"], image["height"]
    return [bbox[0] / width, bbox[1] / height, bbox[2] / width, bbox[3] / height]


def _said(entry: dict[str, Any], about: Sequence[Attribute]) -> dict[str, Any]:
    return {one.field: one.shown(entry[one.key]) for one in about if entry.get(one.key) is not None}


def add_samples(
    samples: fiftyone.Dataset,
    data: Dataset,
    detectors: Sequence[NamedPredictions] = (),
    *,
    confidence: Mapping[str, float] | None = None,
    edits: Mapping[int, list[Label]] | None = None,
    progress: Progress = silent,
) -> None:
    """Fill an empty data set of FiftyOne's.

    Args:
        samples: The empty one.
        data: Images and labels.
        detectors: One field each, without detections of categories that are not exhaustively boxed in their image.
        confidence: By detector's name, the confidence below which its detections are left out.
        edits: Labels to show instead of the data set's own, by image id.
        progress: Called as `progress(task, done, total)`.
    """
    import fiftyone

    names = {category["id"]: category["name"] for category in data.categories}
    licences = {entry["id"]: entry.get("name") for entry in data.coco.get("licenses", [])}
    about, boxes = image_attributes(data), labels(data) | dict(edits or {})
    shown = {
        one.field: data.scored(one.detections[one.detections.scores >= (confidence or {}).get(one.name, 0.0)])
        for one in detectors
    }

    def detection(image: dict[str, Any], category: int, box: list[float], score: float) -> fiftyone.Detection:
        return fiftyone.Detection(label=names[category], bounding_box=relative(box, image), confidence=score)

    batch = []
    for place, image in enumerate(data.images, start=1):
        sample = fiftyone.Sample(
            filepath=str(data.image_path(image).absolute()),
            tags=[data.split] if data.split else [],
            metadata=fiftyone.ImageMetadata(width=image["width"], height=image["height"]),
            image_id=image["id"],
            licence=licences.get(image.get("license")),
            **_said(image, about),
        )
        sample[GROUND_TRUTH] = fiftyone.Detections(detections=[fiftyone.Detection(**box) for box in boxes[image["id"]]])
        for field, detections in shown.items():
            here = detections.of_image(image["id"])
            columns = zip(here.category_ids.tolist(), here.boxes.tolist(), here.scores.tolist(), strict=True)
            sample[field] = fiftyone.Detections(detections=[detection(image, *each) for each in columns])
        batch.append(sample)
        progress("fill the database", place, len(data.images))
    samples.add_samples(batch)


def labels_of(samples: fiftyone.Dataset) -> dict[int, list[Label]]:
    """Read the labels of every image as they are now, by image id."""
    pairs = zip(*samples.values(["image_id", f"{GROUND_TRUTH}.detections"]), strict=True)
    return {image: [label.to_dict() for label in detections or []] for image, detections in pairs}
