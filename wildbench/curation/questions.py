"""What is worth a person's look: likely mistakes in the labels, and boxes that a compressed detector has lost.

Every question is asked at a detector's own operating point: the confidence from which on its F1 over the split is
largest. Compression moves confidences; under one threshold for all, that alone would look like forgetting.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from hotcoco import primitives

from wildbench.curation.named_predictions import NamedPredictions, dense_of
from wildbench.datasets.coco import Dataset, size_of
from wildbench.measures.matching import TRUE, match

FOUND = 0.5
"""Intersection over union from which a detection finds a box."""

NEAR = 0.1
"""Intersection over union below which a detection has nothing to do with a box."""

Entry = dict[str, Any]


@dataclass
class BoxNotes:
    """What is known of one box.

    Attributes:
        found_by: Names of the detectors that find it.
        forgotten_by: Those that do not find it although the detector they were made from does.
        wrong_label: How much likelier another category is: the confidence of a detection of the other category over
            it, less that of the best one of its own; 0 where there is none.
        suggested: That other category.
    """

    found_by: list[str] = field(default_factory=list)
    forgotten_by: list[str] = field(default_factory=list)
    wrong_label: float = 0.0
    suggested: str | None = None


@dataclass
class Answers:
    """All that is known of a data set's boxes, detections and images.

    Attributes:
        boxes: By annotation id.
        errors: By detector and place among its results: "correct" or an error's name as TIDE has them; "unscored" for
            what cannot be judged. Below the operating point there is none.
        confidence: Operating point by detector.
        hardness: By image id: 1 - F1 over its boxes and detections, mean over the detectors.
    """

    boxes: dict[int, BoxNotes]
    errors: dict[str, dict[int, str]]
    confidence: dict[str, float]
    hardness: dict[int, float]


def answer(data: Dataset, detectors: Sequence[NamedPredictions]) -> Answers:
    """Compare the labels with every detector.

    Args:
        data: The labels.
        detectors: Any number of them.
    """
    answers = Answers(defaultdict(BoxNotes), {}, {}, {})
    hardness: dict[int, list[float]] = {image["id"]: [] for image in data.images}
    for one in detectors:
        confidence = answers.confidence[one.name] = operating_point(data, one.results)
        by_image: dict[int, list[int]] = defaultdict(list)
        for place, result in enumerate(one.results):
            if result["score"] >= confidence:
                by_image[result["image_id"]].append(place)
        errors = answers.errors[one.name] = {}
        for image in data.images:
            places = sorted(by_image[image["id"]], key=lambda place: -one.results[place]["score"])
            found = [one.results[place] for place in places]
            names = _judge_image(data, image, found, answers.boxes, one.name)
            errors.update(zip(places, names, strict=True))
            hardness[image["id"]].append(_hardness(data, image, names))
    for one in detectors:
        dense = dense_of(one, detectors)
        for notes in answers.boxes.values():
            if dense is not None and dense.name in notes.found_by and one.name not in notes.found_by:
                notes.forgotten_by.append(one.name)
    answers.hardness = {key: float(np.mean(values)) for key, values in hardness.items() if values}
    return answers


def operating_point(data: Dataset, results: list[Entry]) -> float:
    """The confidence from which on F1 is largest, at an intersection over union of 0.5; 1 without detections.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 4}], "categories": [{"id": 7, "name": "lion"}], "annotations": [
        ...     {"image_id": 4, "category_id": 7, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> found = [{"image_id": 4, "category_id": 7, "bbox": [9, 9, 40, 30], "score": 0.6},
        ...          {"image_id": 4, "category_id": 7, "bbox": [70, 70, 9, 9], "score": 0.2}]
        >>> operating_point(Dataset("tiny", None, coco, Path()), found)
        0.6
    """
    matches = match(data, results)
    if not len(matches.score):
        return 1.0
    order = np.argsort(-matches.score, kind="stable")
    outcome, score = matches.outcome[0, 0][order], matches.score[order]
    right, judged = np.cumsum(outcome == TRUE), np.cumsum(outcome != 2)
    boxes = int((matches.boxes[:, 1] == 0).sum())
    f1 = 2 * right / np.maximum(judged + boxes, 1)
    f1[:-1][score[:-1] == score[1:]] = -1  # a threshold takes all detections of one score or none
    return float(score[int(np.argmax(f1))])


def _judge_image(
    data: Dataset, image: Entry, found: list[Entry], notes: dict[int, BoxNotes], detector: str
) -> list[str]:
    """Name what became of each detection of an image, and note it at the boxes.

    Detections choose by falling confidence, as COCO's do. What chooses no box is one of TIDE's errors (Bolya et al.,
    "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020).
    """
    boxes = data.boxes(image["id"])
    scored = data.scored_categories(image)
    names = {category["id"]: category["name"] for category in data.categories}
    overlaps = _overlaps(found, boxes)
    own_category = [[d["category_id"] == b["category_id"] for b in boxes] for d in found]
    same = np.array(own_category, dtype=np.bool_).reshape(overlaps.shape)
    crowd = np.array([bool(b["iscrowd"]) for b in boxes], dtype=np.bool_)
    free = ~crowd
    errors = []
    for row, detection in enumerate(found):
        own = np.where(same[row] & free, overlaps[row], 0)
        if own.max(initial=0) >= FOUND:
            taken = int(own.argmax())
            free[taken] = False
            notes[boxes[taken]["id"]].found_by.append(detector)
            errors.append("correct")
            continue
        errors.append(_error(overlaps[row], same[row], crowd, detection["category_id"] in scored))
        other = np.where(same[row] | crowd, 0, overlaps[row])
        if errors[-1] == "classification":
            box = int(other.argmax())
            rivals = [
                d["score"] for d, over, s in zip(found, overlaps, same, strict=True) if s[box] and over[box] >= FOUND
            ]
            margin = detection["score"] - max(rivals, default=0.0)
            note = notes[boxes[box]["id"]]
            if margin > note.wrong_label:
                note.wrong_label, note.suggested = margin, names[detection["category_id"]]
    return errors


def _error(
    overlap: npt.NDArray[np.float64], same: npt.NDArray[np.bool_], crowd: npt.NDArray[np.bool_], scored: bool
) -> str:
    """TIDE's name for a detection that has chosen no box."""
    own = float(overlap[same].max(initial=0))
    other = float(overlap[~same & ~crowd].max(initial=0))
    if overlap[same & crowd].max(initial=0) >= FOUND:
        return "unscored"
    if own >= FOUND:
        return "duplicate"
    if other >= FOUND:
        return "classification"
    if not scored or overlap[crowd].max(initial=0) >= FOUND:
        return "unscored"
    if own >= NEAR:
        return "localization"
    return "both" if other >= NEAR else "background"


def _overlaps(found: list[Entry], boxes: list[Entry]) -> npt.NDArray[np.float64]:
    """[detection, box]; over a crowd, the share of the detection that is in it."""
    if not found or not boxes:
        return np.zeros((len(found), len(boxes)))
    crowd = [bool(box["iscrowd"]) for box in boxes]
    return np.asarray(primitives.bbox_iou([d["bbox"] for d in found], [b["bbox"] for b in boxes], crowd))


def _hardness(data: Dataset, image: Entry, errors: list[str]) -> float:
    """1 - F1 of one image; 0 where there is nothing to find and nothing was found."""
    scored = data.scored_categories(image)
    boxes = sum(not box["iscrowd"] and box["category_id"] in scored for box in data.boxes(image["id"]))
    right, judged = errors.count("correct"), sum(error != "unscored" for error in errors)
    return 1 - 2 * right / (boxes + judged) if boxes + judged else 0.0


@dataclass(frozen=True)
class Lost:
    """Boxes of one category or size, and who finds them.

    Attributes:
        part: The category or size; "all" for all boxes.
        boxes: How many there are.
        dense: How many the dense detector finds.
        compressed: How many the compressed one finds.
        forgotten: How many of those that the dense one finds the compressed one does not.
        gained: How many of those that it does not find the compressed one does.
    """

    part: str
    boxes: int
    dense: int
    compressed: int
    forgotten: int
    gained: int


@dataclass(frozen=True)
class Comparison:
    """A compressed detector beside the dense one it was made from."""

    dense: str
    compressed: str
    rows: list[Lost]


def comparisons(data: Dataset, detectors: Sequence[NamedPredictions], answers: Answers) -> list[Comparison]:
    """Count what each compressed detector forgot: by category, by size, and in all; scored boxes that are no crowds."""
    names = {category["id"]: category["name"] for category in data.categories}
    boxes = [box for box in data.scored(data.annotations) if not box["iscrowd"]]
    parts = {name: [box["id"] for box in boxes if names[box["category_id"]] == name] for name in data.category_names}
    parts |= {
        size: [box["id"] for box in boxes if size_of(box["area"]) == size] for size in ("small", "medium", "large")
    }
    parts["all"] = [box["id"] for box in boxes]
    found = []
    for one in detectors:
        dense = dense_of(one, detectors)
        if dense is not None:
            rows = [_row(part, ids, answers, dense.name, one.name) for part, ids in parts.items() if ids]
            found.append(Comparison(dense.name, one.name, rows))
    return found


def _row(part: str, ids: list[int], answers: Answers, dense: str, compressed: str) -> Lost:
    finders = [set(answers.boxes.get(box, BoxNotes()).found_by) for box in ids]
    return Lost(
        part,
        len(ids),
        sum(dense in names for names in finders),
        sum(compressed in names for names in finders),
        sum(dense in names and compressed not in names for names in finders),
        sum(compressed in names and dense not in names for names in finders),
    )
