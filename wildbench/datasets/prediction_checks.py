"""Whether each detection of a results file can be scored against a data set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wildbench.datasets.coco import Dataset
from wildbench.datasets.findings import WHOLE, Finding, off_by_one, place_of
from wildbench.datasets.masks import mask_problem

KEYS = ("image_id", "category_id", "bbox", "score")
"""What every detection has."""

_LARGEST = 2**53
_IDS = (("image_id", "unknown-image"), ("category_id", "unknown-category"))


def check_detections(results: object, dataset: Dataset) -> list[Finding]:
    """Look for everything that keeps detections from being scored.

    Args:
        results: The parsed JSON. Sides may be 0, as where a box was clipped away, and boxes may leave the image.
        dataset: What was detected in.

    Returns:
        One error for each detection that cannot be scored; none where all can.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 1, "width": 9, "height": 9}], "categories": [{"id": 1, "name": "lion"}]}
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 2, 2], "score": 87.5}]
        >>> [(finding.code, finding.place) for finding in check_detections(found, Dataset("d", None, coco, Path()))]
        [('score-range', '[0]')]
    """
    if not isinstance(results, list):
        remedy = f"list objects with {', '.join(KEYS)}"
        if isinstance(results, dict) and "annotations" in results:
            return [Finding("not-results", WHOLE, "labels, not a list of detections", "name the detections' own file")]
        return [Finding("not-results", WHOLE, "not a list of detections", remedy)]
    findings: list[Finding] = []
    sound = [(index, entry) for index, entry in enumerate(results) if not _report(_shape_fault(entry), index, findings)]
    findings += _check_references(sound, dataset)
    findings += _check_scores(sound)
    wrong = {finding.place for finding in findings}
    placed = [(place, entry) for index, entry in sound if (place := place_of("", index, None)) not in wrong]
    findings += _check_masks(placed, dataset)
    return sorted(findings, key=lambda finding: int(finding.place[1:-1]))


def _report(fault: tuple[str, str, str] | None, index: int, findings: list[Finding]) -> bool:
    """Add a fault to the findings, and say whether there is one."""
    if fault is not None:
        findings.append(Finding(fault[0], place_of("", index, None), *fault[1:]))
    return fault is not None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shape_fault(entry: object) -> tuple[str, str, str] | None:
    """Code, message and remedy of what is wrong with one detection by itself, its score's range aside."""
    if not isinstance(entry, dict):
        return "entry-type", f"no {', '.join(KEYS)}: not an object", f"give every detection {', '.join(KEYS)}"
    missing = [key for key in KEYS if key not in entry]
    if missing:
        return "key-missing", f"no {', '.join(missing)}", f"give every detection {', '.join(KEYS)}"
    box = entry["bbox"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return "key-type", f"bbox {box!r:.80}", "give [x, y, width, height] as four finite numbers"
    if not all(-_LARGEST < value < _LARGEST for value in box):  # NaN is not
        return "box-not-finite", f"bbox {box!r:.80}", "give [x, y, width, height] as four finite numbers"
    if box[2] < 0 or box[3] < 0:
        remedy = "give [x, y, width, height], not two corners in the wrong order"
        return "box-negative-side", f"bbox {box} has a negative side", remedy
    if not _is_number(entry["score"]):
        return "key-type", f"score {entry['score']!r:.80}", "give a score in 0..1, a number"
    for key, _ in _IDS:
        if type(entry[key]) is not int:
            return "key-type", f"{key} {entry[key]!r:.80}, which is no integer", "give the id as the data set has it"
    return None


def _check_references(sound: list[tuple[int, dict[str, Any]]], dataset: Dataset) -> Iterator[Finding]:
    sets = {"image_id": dataset.images, "category_id": dataset.categories}
    for key, code in _IDS:
        known = {entry["id"] for entry in sets[key]}
        hint = off_by_one({entry[key] for _, entry in sound}, known)
        for index, entry in sound:
            if entry[key] not in known:
                message = f"{key} {entry[key]} is not in {dataset.name}{hint}"
                remedy = "score against the data set that was detected in"
                yield Finding(f"detection-{code}", place_of("", index, None), message, remedy)


def _check_scores(sound: list[tuple[int, dict[str, Any]]]) -> Iterator[Finding]:
    scores = [entry["score"] for _, entry in sound]
    remedy = "give a score in 0..1"
    if any(score < 0 for score in scores) and any(score > 1 for score in scores):
        remedy += ": these look like logits, so apply the sigmoid or softmax"
    elif sum(1 < score <= 100 for score in scores) > len(scores) / 2:
        remedy += ": these look like percent, so divide by 100"
    for index, entry in sound:
        if not 0 <= entry["score"] <= 1:
            yield Finding("score-range", place_of("", index, None), f"score {entry['score']!r:.40}", remedy)


def _check_masks(placed: list[tuple[str, dict[str, Any]]], dataset: Dataset) -> Iterator[Finding]:
    """Report masks that cannot be filled in, or are missing where other detections have one."""
    if not any("segmentation" in entry for _, entry in placed):
        return
    images = {image["id"]: image for image in dataset.images}
    for place, entry in placed:
        if not entry.get("segmentation"):
            message = "no segmentation, which other detections have"
            yield Finding("mask-missing", place, message, "give every detection a mask, or none")
            continue
        image = images[entry["image_id"]]
        problem = mask_problem(entry["segmentation"], image["height"], image["width"])
        if problem:
            yield Finding("mask-invalid", place, f"segmentation: {problem}", "encode it for the image's own size")
