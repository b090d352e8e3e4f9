"""What is odd in detections that can be scored: very likely mistakes as warnings, mere facts as notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from wildbench.datasets._readings import Boxes, agreeing, check_namings, check_readings, located, overlap, pairs
from wildbench.datasets.coco import Dataset
from wildbench.datasets.findings import WHOLE, Finding, has_error
from wildbench.datasets.predictions import Detections, read_results

MOST = 100
"""Detections of one category in one image that AP looks at."""

MOST_IMAGES = 8000
"""That are looked at for mistakes of the whole file: in these they show as surely as in all."""

FEW = 20
"""This many boxes or detections are needed before a share of them says anything."""

SMALLEST = 4
"""Pixels of an image's side, up to which a box of one pixel may be a box."""

_DOUBLED, _OUTSIDE, _CUT, _CHANCE = 0.1, 0.1, 5, 1.5
_NEARLY, _SAME_IOU, _SAME_SCORE = 0.25, 0.99, 0.01
_SILENT, _NEVER_FEWER = 0.1, 5


def validate_predictions(path: Path | str, dataset: Dataset) -> list[Finding]:
    """Look for everything that is wrong in a results file, or, where nothing is, for what is odd in it."""
    results, findings = read_results(Path(path), dataset)
    if not has_error(findings):
        findings += suspect(Detections.from_coco(results), dataset)
    return findings


def suspect(detections: Detections, dataset: Dataset) -> list[Finding]:
    """Look for mistakes in sound detections, by the labels and the sizes of the images.

    Thresholds are such that a weak but honest detector raises no warning, however many boxes of low score it gives.

    Returns:
        Warnings and notes, each about the whole file.

    Example:
        >>> from pathlib import Path
        >>> coco = {"images": [{"id": 1, "width": 9, "height": 9}], "categories": [], "annotations": []}
        >>> [finding.code for finding in suspect(Detections.from_coco([]), Dataset("d", None, coco, Path()))]
        ['no-detections']
    """
    if not len(detections):
        return [Finding("no-detections", WHOLE, "not one detection", "check that this is the right file", "note")]
    ordered = sorted(dataset.images, key=lambda image: image["id"])
    sizes = np.array([[image["width"], image["height"]] for image in ordered], dtype=np.float64)
    scored = dataset.scored(dataset.labels)
    labels = located(scored[~scored.crowd], dataset)
    everything, counted = located(detections, dataset), located(dataset.scored(detections), dataset)
    places = _looked_at(len(ordered))
    whole = len(everything)
    labels, counted, everything = (_in_images(rows, places) for rows in (labels, counted, everything))
    findings = list(check_readings(labels, counted, everything, sizes[places], dataset.category_names))
    findings += check_namings(labels, everything, dataset.category_names) if not findings else []
    if not findings:
        findings += _check_centres(everything, sizes[places])
        findings += _check_chance(labels, counted, len(places))
    findings += _check_doubled(everything)
    if len(everything) < whole:
        findings = [replace(one, place=f"{len(everything)} of {whole} detections") for one in findings]
    findings += _check_coverage(detections, dataset)
    findings += _check_counts(located(detections, dataset))
    return findings


def _looked_at(images: int) -> npt.NDArray[np.int64]:
    """The images that are looked at: all, or of very many some in a row from each quarter."""
    if images <= MOST_IMAGES:
        return np.arange(images)
    starts = np.arange(4) * images // 4
    return np.concatenate([np.arange(start, start + MOST_IMAGES // 4) for start in starts])


def _in_images(rows: Detections, places: npt.NDArray[np.int64]) -> Detections:
    """Those in some images, which are numbered from 0 again."""
    number = np.searchsorted(places, rows.image_ids)
    inside = places[np.minimum(number, len(places) - 1)] == rows.image_ids
    return replace(rows[inside], image_ids=number[inside])


def _check_centres(detections: Detections, sizes: Boxes) -> Iterator[Finding]:
    """Report boxes whose centre is not in their image, and boxes within its first pixel."""
    boxes, size = detections.boxes, sizes[detections.image_ids]
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


def _check_chance(labels: Detections, detections: Detections, images: int) -> Iterator[Finding]:
    """Report detections that agree with their own images no better than with images far away in the list."""
    if len(labels.boxes) < FEW or len(detections.boxes) < FEW or images < FEW:
        return
    own = agreeing(labels, detections.boxes, pairs(labels, detections)).mean()
    others = []
    for part in (1 / 4, 1 / 2, 3 / 4):
        moved = replace(detections, image_ids=(detections.image_ids + round(images * part)) % images)
        others.append(agreeing(labels, moved.boxes, pairs(labels, moved)).mean())
    chance = float(np.mean(others))
    if own <= _CHANCE * chance or own == 0:
        message = f"they agree with {own:.1%} of the {len(labels.boxes)} labels, and with {chance:.1%} of other images'"
        remedy = "check that they are of these images; a very weak detector is no better"
        yield Finding("agreement-by-chance", f"all {len(detections.boxes)} detections", message, remedy, "note")


def _check_doubled(detections: Detections) -> Iterator[Finding]:
    """Report detections that are equal in everything, or nearly all of them: a few are a note, as scores may coincide.

    Boxes without an area, as where one was clipped away, may be equal.
    """
    columns = (detections.image_ids, detections.category_ids, *detections.boxes.T, detections.scores)
    solid = np.stack(columns, axis=1)[(detections.boxes[:, 2:] > 0).all(axis=1)]
    doubled = len(solid) - len(np.unique(solid, axis=0))
    nearly, count = int(_repeats(detections).sum()), len(detections.boxes)
    where = f"all {count} detections"
    if doubled <= _DOUBLED * count and nearly > _NEARLY * count:
        message = (
            f"{nearly} of {count} repeat another of their image and category, at IoU above {_SAME_IOU} and with "
            f"a score within {_SAME_SCORE:.0%}: each counts as a mistake"
        )
        remedy = "write each once; the file may be two runs of one detector"
        yield Finding("detections-duplicate", where, message, remedy, "warning")
    elif doubled:
        message = f"{doubled} of {count} repeat an earlier one, score and all: each counts as a mistake"
        remedy = "write each once; the file may have been written twice over"
        severity: Literal["warning", "note"] = "warning" if doubled > _DOUBLED * count else "note"
        yield Finding("detections-duplicate", where, message, remedy, severity)


def _repeats(detections: Detections) -> npt.NDArray[np.bool_]:
    """Detections that are, but for rounding, one of the two before them of their image and category, from the left."""
    order = np.lexsort((detections.boxes[:, 1], detections.boxes[:, 0], detections.category_ids, detections.image_ids))
    boxes, score = detections.boxes[order], detections.scores[order]
    cell = np.stack([detections.image_ids, detections.category_ids])[:, order]
    repeat = np.zeros(len(order), dtype=np.bool_)
    for step in (1, 2):
        same = (cell[:, step:] == cell[:, :-step]).all(0)
        same &= overlap(boxes[step:], boxes[:-step]) > _SAME_IOU
        same &= np.abs(score[step:] - score[:-step]) <= _SAME_SCORE * np.maximum(score[step:], score[:-step])
        repeat[step:] |= same
    return repeat


def _check_coverage(detections: Detections, dataset: Dataset) -> Iterator[Finding]:
    """Report images without detections.

    A warning where they are all at one end of a list that is full elsewhere, or where the detector gives many boxes in
    every other image, good or not: such a detector does not fall silent.
    """
    with_detections = Counter(detections.image_ids.tolist())
    with_boxes = set(dataset.labels.image_ids[~dataset.labels.crowd].tolist())
    empty = [image["id"] not in with_detections for image in dataset.images]
    missing = len(with_boxes - set(with_detections))
    if not missing:
        return
    message = f"{missing} of the {len(with_boxes)} images with boxes have none"
    where, fewest = f"all {len(detections)} detections", min(with_detections.values())
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


def _check_counts(detections: Detections) -> Iterator[Finding]:
    where = f"all {len(detections.boxes)} detections"
    cells = Counter(zip(detections.image_ids.tolist(), detections.category_ids.tolist(), strict=True))
    beyond = sum(max(count - MOST, 0) for count in cells.values())
    if beyond:
        message = f"{beyond} come after the {MOST} best of their image and category, and AP does not look at them"
        yield Finding("detections-beyond-limit", where, message, f"give the best {MOST} of each", "note")
    scores = set(detections.scores.tolist())
    if len(scores) == 1 and len(detections.scores) >= FEW:
        message = f"every score is {scores.pop():g}, so that their order, which decides AP, is that of the file"
        yield Finding("scores-all-equal", where, message, "give the detector's own scores", "note")
