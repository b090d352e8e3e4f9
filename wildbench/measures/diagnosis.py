"""Why the accuracy is what it is: kinds of error, calibration of the scores, and image by image, at IoU 0.5.

References: Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", 2020;
Guo et al., "On Calibration of Modern Neural Networks", 2017, for the expected calibration error. Computed by hotcoco.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections import Counter
from typing import Any

import hotcoco
import numpy as np

from wildbench.measures.accuracy import best_threshold
from wildbench.measures.matching import Scored
from wildbench.scorecard import Calibration, CalibrationBin, Errors, ErrorType, Figure, ImageScore, ImageScores

POSITIVE, BACKGROUND = 0.5, 0.1
"""IoU from which a detection counts as found, and below which it lies on background."""

BINS = 10
"""Equal bins of score, from 0 to 1."""

WORST = 10
"""Images that the scorecard itself lists."""

_TIDE = {"cls": "Cls", "loc": "Loc", "both": "Both", "dup": "Dupe", "bkg": "Bkg", "miss": "Miss"}
_COLUMNS = ("image_id", "file_name", "found", "wrong", "missed", "f1", "ap50")


def measure_errors(scored: Scored, images_file: str) -> tuple[Errors, bytes]:
    """Explain the errors of detections in a data set.

    What is left out of AP is left out here: categories that an image does not list, and those the detector does not
    know.

    Args:
        scored: Detections on a data set.
        images_file: Name of the CSV that keeps the figures of each image; its bytes are returned, one row an image.

    Example:
        >>> from pathlib import Path
        >>> from wildbench.datasets.coco import Dataset
        >>> from wildbench.datasets.predictions import Detections
        >>> coco = {"images": [{"id": 1, "file_name": "a.jpg", "width": 90, "height": 90}],
        ...     "categories": [{"id": 1, "name": "lion"}, {"id": 2, "name": "bird"}], "annotations": [
        ...         {"id": 1, "image_id": 1, "category_id": 1, "bbox": [9, 9, 40, 40], "area": 1600, "iscrowd": 0}]}
        >>> scored = Scored(Dataset("tiny", None, coco, Path()), Detections([1], [1], [[9, 9, 40, 15]], scores=[0.9]))
        >>> errors, table = measure_errors(scored, "tiny.images.csv")
        >>> errors.tide["loc"].count, round(errors.tide["loc"].gain.value, 9), errors.calibration.ece.value
        (1, 1.0, 0.9)
    """
    diagnostics = scored.engine.image_diagnostics(iou_thr=POSITIVE)
    tide = scored.engine.tide_errors(POSITIVE, BACKGROUND)
    known = [entry["id"] for entry in scored.categories]
    boxes = scored.labels[np.isin(scored.labels.category_ids, known) & ~scored.labels.crowd]

    found = set(scored.labels.category_ids[[place - 1 for place in diagnostics["gt_match"]]].tolist())
    with_boxes = set(boxes.category_ids.tolist())
    unfound = [entry["name"] for entry in scored.categories if entry["id"] in with_boxes - found]

    def gain(name: str, *, takes_boxes: bool = False) -> Figure:
        if not len(boxes):
            return Figure.undefined("AP", "no box in the split", 0)
        if takes_boxes and unfound:  # without them the category has no AP that could rise
            return Figure.undefined("AP", f"not one box is found of: {', '.join(unfound)}", len(boxes))
        return Figure(value=tide["delta_ap"][name], unit="AP", n=len(boxes))

    images, table = _image_scores(scored, diagnostics, images_file)
    errors = Errors(
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
        calibration=_calibration(scored.engine),
        images=images,
    )
    return errors, table


def _calibration(engine: hotcoco.COCOeval) -> Calibration:
    """How far the scores are from the share of detections that are right."""
    measured = engine.calibration(BINS, POSITIVE)
    count = measured["num_detections"]
    none = None if count else Figure.undefined("1", "no detection", 0)
    return Calibration(
        ece=none or Figure(value=measured["ece"], unit="1", n=count),
        mce=none or Figure(value=measured["mce"], unit="1", n=count),
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


def _image_scores(scored: Scored, diagnostics: dict[str, Any], file: str) -> tuple[ImageScores, bytes]:
    """Score each image, and sum the images up.

    Matching takes detections by falling score, so those above a threshold match as if there were no others.
    """
    status = diagnostics["dt_status"]
    places = np.array(list(status), dtype=np.int64) - 1
    hits = np.array([value == "tp" for value in status.values()], dtype=np.bool_)
    scores, images = scored.counted.scores[places], scored.counted.image_ids[places]
    boxes, data = len(diagnostics["gt_status"]), scored.dataset
    threshold = best_threshold(scores, hits, boxes)
    taken = np.ones(len(hits), dtype=np.bool_) if threshold is None else scores >= threshold
    found, wrong = Counter(images[taken & hits].tolist()), Counter(images[taken & ~hits].tolist())
    summary = {int(scored.image_ids[number - 1]): entry for number, entry in diagnostics["img_summary"].items()}
    rows = [
        _image_score(image["id"], found[image["id"]], wrong[image["id"]], summary.get(image["id"]))
        for image in data.images
    ]
    f1 = [row.f1 for row in rows if row.f1 is not None]
    table = _table(rows, {image["id"]: image["file_name"] for image in data.images})
    return ImageScores(
        file=file,
        sha256=hashlib.sha256(table).hexdigest(),
        threshold=(
            Figure.undefined("1", "no detection finds a box", boxes)
            if threshold is None
            else Figure(value=threshold, unit="1", n=len(hits))
        ),
        mean_f1=(
            Figure(value=float(np.mean(f1)), unit="1", n=len(f1))
            if f1
            else Figure.undefined("1", "no box and no detection in any image", 0)
        ),
        without_error=Figure(value=sum(not row.wrong + row.missed for row in rows), unit="image", n=len(rows)),
        worst=sorted(
            (row for row in rows if row.wrong + row.missed), key=lambda row: (-row.wrong - row.missed, row.image_id)
        )[:WORST],
    ), table


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


def _table(rows: list[ImageScore], names: dict[int, str]) -> bytes:
    """The images as CSV, in the order of the data set; undefined is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    for row in rows:
        scores = ("" if value is None else f"{value:.6g}" for value in (row.f1, row.ap50))
        table.writerow([row.image_id, names[row.image_id], row.found, row.wrong, row.missed, *scores])
    return text.getvalue().encode()
