"""What is odd in detections that can be scored: very likely mistakes as warnings, mere facts as notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from wildbench.datasets.coco import Dataset
from wildbench.datasets.detection_checks._agreement import Boxes, Located, agreeing, located, overlap, pairs
from wildbench.datasets.detection_checks._other_readings import check_namings, check_readings
from wildbench.datasets.label_checks import WHOLE, Finding, off_by_one, place_of
from wildbench.datasets.masks import mask_problem

MOST = 100
"""Detections of one category in one image that AP looks at."""

FEW = 20
"""So many boxes or detections are needed before a share of them says anything."""

SMALLEST = 4
"""Pixels of an image's side, up to which a box of one pixel may be a box."""

_DOUBLED, _OUTSIDE, _CUT, _CHANCE = 0.1, 0.1, 5, 1.5

_NEARLY, _SAME_IOU, _SAME_SCORE = 0.25, 0.99, 0.01

_SILENT, _NEVER_FEWER = 0.1, 5


def suspect(results: list[dict[str, Any]], dataset: Dataset) -> list[Finding]:
    """Look for mistakes in sound detections, by the labels and the sizes of the images.

    Thresholds are such that a weak but honest detector raises no warning, however many boxes of low score it gives.

    Args:
        results: COCO results that `check_detections` finds no error in.
        dataset: What was detected in.

    Returns:
        Warnings and notes, each about the whole file.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 1, "width": 9, "height": 9}], "categories": [], "annotations": []}
        >>> [finding.code for finding in suspect([], Dataset("d", None, coco, Path()))]
        ['no-detections']
    """
    if not results:
        return [Finding("no-detections", WHOLE, "not one detection", "check that this is the right file", "note")]
    ordered = sorted(dataset.images, key=lambda image: image["id"])
    sizes = np.array([[image["width"], image["height"]] for image in ordered], dtype=np.float64)
    labels = located([entry for entry in dataset.scored(dataset.annotations) if not entry["iscrowd"]], dataset)
    everything, detections = located(results, dataset), located(dataset.scored(results), dataset)
    findings = list(check_readings(labels, detections, everything, sizes, dataset.category_names))
    findings += check_namings(labels, everything, dataset.category_names) if not findings else []
    if not findings:
        findings += _check_centres(everything, sizes)
        findings += _check_chance(labels, detections, len(ordered))
    findings += _check_doubled(results, everything)
    findings += _check_coverage(results, dataset)
    findings += _check_counts(everything)
    return findings


def _check_centres(detections: Located, sizes: Boxes) -> Iterator[Finding]:
    """Report boxes whose centre is not in their image, and boxes within its first pixel."""
    boxes, size = detections.boxes, sizes[detections.image]
    count = len(boxes)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    outside = int(((centres < 0) | (centres > size)).any(1).sum())
    if outside >= max(_OUTSIDE * count, 3):
        message = f"{outside} of {count} have their centre outside their image"
        remedy = "give [x, y, width, height] in pixels of the stored image; check that these are its detections"
        yield Finding("detections-outside-image", f"all {count} detections", message, remedy, "warning")
    within = np.hstack([(boxes >= 0) & (boxes <= 1), boxes[:, 2:] > 0, size > SMALLEST])
    tiny = int(within.all(1).sum())
    if tiny > 0.9 * count:
        message = f"{tiny} of {count} have every number in 0..1: they are shares of the image's size"
        remedy = "multiply by width and height"
        yield Finding("detections-normalised", f"all {count} detections", message, remedy, "warning")


def _check_chance(labels: Located, detections: Located, images: int) -> Iterator[Finding]:
    """Report detections that agree with their own images no better than with images far away in the list."""
    if len(labels.boxes) < FEW or len(detections.boxes) < FEW or images < FEW:
        return
    own = agreeing(labels, detections.boxes, pairs(labels, detections)).mean()
    others = []
    for part in (1 / 4, 1 / 2, 3 / 4):
        moved = detections.shifted(image=round(images * part))
        moved = Located(moved.boxes, moved.image % images, moved.category, moved.score)
        others.append(agreeing(labels, moved.boxes, pairs(labels, moved)).mean())
    chance = float(np.mean(others))
    if own <= _CHANCE * chance or own == 0:
        message = f"they agree with {own:.1%} of the {len(labels.boxes)} labels, and with {chance:.1%} of other images'"
        remedy = "check that they are of these images; a very weak detector is no better"
        yield Finding("agreement-by-chance", f"all {len(detections.boxes)} detections", message, remedy, "note")


def _check_doubled(results: list[dict[str, Any]], detections: Located) -> Iterator[Finding]:
    """Report detections that are equal in everything, or nearly all of them: a few are a note, as scores may coincide.

    Boxes without an area, as where one was clipped away, may be equal.
    """
    seen = Counter(
        (entry["image_id"], entry["category_id"], *entry["bbox"], entry["score"])
        for entry in results
        if min(entry["bbox"][2:]) > 0
    )
    doubled = sum(count - 1 for count in seen.values())
    nearly = int(_repeats(detections).sum())
    where = f"all {len(results)} detections"
    if doubled <= _DOUBLED * len(results) and nearly > _NEARLY * len(results):
        message = (
            f"{nearly} of {len(results)} repeat another of their image and category, at IoU above {_SAME_IOU} and with "
            f"a score within {_SAME_SCORE:.0%}: each counts as a mistake"
        )
        remedy = "write each once; the file may be two runs of one detector"
        yield Finding("detections-duplicate", where, message, remedy, "warning")
    elif doubled:
        message = f"{doubled} of {len(results)} repeat an earlier one, score and all: each counts as a mistake"
        remedy = "write each once; the file may have been written twice over"
        severity: Literal["warning", "note"] = "warning" if doubled > _DOUBLED * len(results) else "note"
        yield Finding("detections-duplicate", where, message, remedy, severity)


def _repeats(detections: Located) -> npt.NDArray[np.bool_]:
    """Detections that are, but for rounding, one of the two before them of their image and category, from the left."""
    order = np.lexsort((detections.boxes[:, 1], detections.boxes[:, 0], detections.category, detections.image))
    boxes, score = detections.boxes[order], detections.score[order]
    cell = np.stack([detections.image, detections.category])[:, order]
    repeat = np.zeros(len(order), dtype=np.bool_)
    for step in (1, 2):
        same = (cell[:, step:] == cell[:, :-step]).all(0)
        same &= overlap(boxes[step:], boxes[:-step]) > _SAME_IOU
        same &= np.abs(score[step:] - score[:-step]) <= _SAME_SCORE * np.maximum(score[step:], score[:-step])
        repeat[step:] |= same
    return repeat


def _check_coverage(results: list[dict[str, Any]], dataset: Dataset) -> Iterator[Finding]:
    """Report images without detections.

    A warning where they are all at one end of a list that is full elsewhere, or where the detector gives many boxes in
    every other image, good or not: such a detector does not fall silent.
    """
    with_detections = Counter(entry["image_id"] for entry in results)
    with_boxes = {entry["image_id"] for entry in dataset.annotations if not entry["iscrowd"]}
    empty = [image["id"] not in with_detections for image in dataset.images]
    missing = len(with_boxes - set(with_detections))
    if not missing:
        return
    message = f"{missing} of the {len(with_boxes)} images with boxes have none"
    where, fewest = f"all {len(results)} detections", min(with_detections.values())
    if missing >= _CUT and len(empty) - sum(empty) >= _CUT and sorted(empty) in (empty, empty[::-1]):
        end = "last" if empty[-1] else "first"
        message += f": exactly the {end} {sum(empty)} images of the data set, and no other image is without"
        remedy = "run the detector on all images, or score with --limit"
        yield Finding("detections-cut-short", where, message, remedy, "warning")
    else:
        silent = missing >= max(_CUT, _SILENT * len(with_boxes)) and fewest >= _NEVER_FEWER
        severity: Literal["warning", "note"] = "warning" if silent else "note"
        message += f", and each image that has any has {fewest} or more" if silent else ""
        remedy = "make sure that the detector saw them: all their boxes count as missed"
        yield Finding("images-without-detections", where, message, remedy, severity)


def _check_counts(detections: Located) -> Iterator[Finding]:
    where = f"all {len(detections.boxes)} detections"
    cells = Counter(zip(detections.image.tolist(), detections.category.tolist(), strict=True))
    beyond = sum(max(count - MOST, 0) for count in cells.values())
    if beyond:
        message = f"{beyond} come after the {MOST} best of their image and category, and AP does not look at them"
        yield Finding("detections-beyond-limit", where, message, f"give the best {MOST} of each", "note")
    scores = set(detections.score.tolist())
    if len(scores) == 1 and len(detections.score) >= FEW:
        message = f"every score is {scores.pop():g}, so that their order, which decides AP, is that of the file"
        yield Finding("scores-all-equal", where, message, "give the detector's own scores", "note")


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
