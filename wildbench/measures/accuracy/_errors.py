"""Why the accuracy is what it is: kinds of error, calibration of the scores, and image by image, at IoU 0.5.

References: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020;
Guo et al., "On Calibration of Modern Neural Networks", 2017, for the expected calibration error. Computed by hotcoco.
"""

from __future__ import annotations

import csv
import hashlib
import io
from pathlib import Path
from typing import Any

import hotcoco
import numpy as np

from wildbench.datasets.coco import Dataset
from wildbench.files import write_atomically
from wildbench.measures.accuracy._mean_iou import best_threshold
from wildbench.measures.matching import image_numbers, known_categories, prepare, what_counts
from wildbench.scorecard import Calibration, CalibrationBin, Errors, ErrorType, Figure, ImageScore, ImageScores

POSITIVE, BACKGROUND = 0.5, 0.1
"""IoU from which a detection counts as found, and below which it lies on background."""

BINS = 10
"""Equal bins of score, from 0 to 1."""

WORST = 10
"""Images that the scorecard itself lists."""

_TIDE = {"cls": "Cls", "loc": "Loc", "both": "Both", "dup": "Dupe", "bkg": "Bkg", "miss": "Miss"}
_COLUMNS = ("image_id", "file_name", "found", "wrong", "missed", "f1", "ap50")


def measure_errors(
    dataset: Dataset,
    results: list[dict[str, Any]],
    *,
    images_file: Path,
    scored_categories: set[int] | None = None,
) -> Errors:
    """Explain the errors of detections in a data set.

    What is left out of AP is left out here: categories that an image does not list, and those the detector does not
    know.

    Args:
        dataset: Ground truth.
        results: COCO results of images and categories of the data set, as `measure_accuracy` takes them.
        images_file: CSV to write, a row an image.
        scored_categories: Ids of the categories that the detector knows; None for all.

    Returns:
        Every figure with what it is over, or null with the reason.

    Raises:
        OutputError: `images_file` cannot be written.

    Example:
        >>> import tempfile
        >>> coco = {"images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}],
        ...     "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}], "annotations": [
        ...         {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> found = [{"image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 15], "score": 0.9}]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     errors = measure_errors(Dataset("tiny", None, coco, Path()), found, images_file=Path(folder) / "i.csv")
        >>> errors.tide["loc"].count, round(errors.tide["loc"].gain.value, 9), errors.calibration.ece.value
        (1, 1.0, 0.9)
    """
    truth, kept = what_counts(dataset, results)
    categories = known_categories(dataset, scored_categories)
    engine = prepare(dataset, truth, kept, categories)
    engine.evaluate()
    diagnostics = engine.image_diagnostics(iou_thr=POSITIVE)
    known = {entry["id"] for entry in categories}
    boxes = [entry for entry in truth if entry["category_id"] in known and not entry["iscrowd"]]
    tide = engine.tide_errors(POSITIVE, BACKGROUND)

    found = {truth[place - 1]["category_id"] for place in diagnostics["gt_match"]}
    with_boxes = {entry["category_id"] for entry in boxes}
    unfound = [entry["name"] for entry in categories if entry["id"] in with_boxes - found]

    def gain(name: str, *, takes_boxes: bool = False) -> Figure:
        if not boxes:
            return Figure.undefined("AP", "no box in the split", 0)
        if takes_boxes and unfound:  # without them the category has no AP that could rise
            return Figure.undefined("AP", f"not one box is found of: {', '.join(unfound)}", len(boxes))
        return Figure(value=tide["delta_ap"][name], unit="AP", n=len(boxes))

    return Errors(
        iou=POSITIVE,
        background_iou=BACKGROUND,
        tide={
            key: ErrorType(
                gain=gain(name, takes_boxes=key == "miss" and tide["counts"][name] > 0), count=tide["counts"][name]
            )
            for key, name in _TIDE.items()
        },
        false_positives=gain("FP"),
        false_negatives=gain("FN", takes_boxes=True),
        unfound=unfound,
        calibration=_calibration(engine),
        images=_image_scores(dataset, kept, diagnostics, images_file),
    )


def _calibration(engine: hotcoco.COCOeval) -> Calibration:
    """How far the scores are from the share of detections that are right."""
    measured = engine.calibration(BINS, POSITIVE)
    count = measured["num_detections"]

    def figure(name: str) -> Figure:
        if not count:
            return Figure.undefined("1", "no detection", 0)
        return Figure(value=measured[name], unit="1", n=count)

    return Calibration(
        ece=figure("ece"),
        mce=figure("mce"),
        bins=[
            CalibrationBin(
                low=entry["bin_lower"],
                high=entry["bin_upper"],
                detections=entry["count"],
                score=entry["avg_confidence"] if entry["count"] else None,
                precision=entry["avg_accuracy"] if entry["count"] else None,
            )
            for entry in measured["bins"]
        ],
    )


def _image_scores(
    dataset: Dataset, results: list[dict[str, Any]], diagnostics: dict[str, Any], file: Path
) -> ImageScores:
    """Write a row an image, and sum the images up.

    Matching takes detections by falling score, so those above a threshold match as if there were no others.
    """
    hits = {place: status == "tp" for place, status in diagnostics["dt_status"].items()}
    scores = {place: results[place - 1]["score"] for place in hits}
    boxes = len(diagnostics["gt_status"])
    threshold = best_threshold(np.array(list(scores.values())), np.array(list(hits.values()), dtype=bool), boxes)
    numbers = image_numbers(dataset)
    tallies = {number: (0, 0) for number in numbers.values()}
    for place, hit in hits.items():
        if threshold is None or scores[place] >= threshold:
            number = numbers[results[place - 1]["image_id"]]
            found, wrong = tallies[number]
            tallies[number] = (found + hit, wrong + (not hit))
    rows = [
        _image_score(image["id"], *tallies[numbers[image["id"]]], diagnostics["img_summary"].get(numbers[image["id"]]))
        for image in dataset.images
    ]
    names = {image["id"]: image["file_name"] for image in dataset.images}
    return ImageScores(
        file=file.name,
        sha256=_write(rows, names, file),
        threshold=(
            Figure.undefined("1", "no detection finds a box", boxes)
            if threshold is None
            else Figure(value=threshold, unit="1", n=len(hits))
        ),
        mean_f1=_mean([row.f1 for row in rows if row.f1 is not None]),
        without_error=Figure(value=sum(not row.wrong + row.missed for row in rows), unit="image", n=len(rows)),
        worst=sorted(
            (row for row in rows if row.wrong + row.missed), key=lambda row: (-row.wrong - row.missed, row.image_id)
        )[:WORST],
    )


def _image_score(image_id: int, found: int, wrong: int, summary: dict[str, Any] | None) -> ImageScore:
    """One image above the threshold; its AP is over all its detections, by the engine."""
    boxes = summary["tp"] + summary["fn"] if summary else 0
    taken = found + wrong + boxes
    return ImageScore(
        image_id=image_id,
        found=found,
        wrong=wrong,
        missed=boxes - found,
        f1=2 * found / taken if taken else None,
        ap50=summary["ap"] if summary and boxes else None,
    )


def _mean(values: list[float]) -> Figure:
    if not values:
        return Figure.undefined("1", "no box and no detection in any image", 0)
    return Figure(value=float(np.mean(values)), unit="1", n=len(values))


def _write(rows: list[ImageScore], names: dict[int, str], file: Path) -> str:
    """Write the images as CSV, in the order of the data set; undefined is empty. Returns the SHA-256."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for row in rows:
        scores = ("" if value is None else f"{value:.6g}" for value in (row.f1, row.ap50))
        table.writerow([row.image_id, names[row.image_id], row.found, row.wrong, row.missed, *scores])
    data = text.getvalue().encode()
    write_atomically(file, data)
    return hashlib.sha256(data).hexdigest()
