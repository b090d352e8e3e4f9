"""COCO dictionaries scored, for tests that make labels and detections up as such."""

from pathlib import Path
from typing import Any

from wildbench.datasets import detection_checks
from wildbench.datasets.coco import Dataset
from wildbench.datasets.findings import Finding
from wildbench.datasets.predictions import Detections
from wildbench.measures import accuracy, diagnosis
from wildbench.measures.matching import Matches, Scored
from wildbench.scorecard import Accuracy, Errors

Results = list[dict[str, Any]] | Detections


def scored(data: Dataset, results: Results, *, scored_categories: set[int] | None = None) -> Scored:
    known = None if scored_categories is None else frozenset(scored_categories)
    detections = results if isinstance(results, Detections) else Detections.from_coco(results)
    return Scored(data, detections, known)


def match(data: Dataset, results: Results, *, kind: str = "bbox", scored_categories: set[int] | None = None) -> Matches:
    boxes = scored(data, results, scored_categories=scored_categories)
    if kind == "bbox":
        return boxes.matches
    return Scored(data, boxes.detections, boxes.known, "segm").matches


def measure_accuracy(data: Dataset, results: Results, scored_categories: set[int] | None = None) -> Accuracy:
    made = scored(data, results, scored_categories=scored_categories)
    return accuracy.measure_accuracy(made, predictions_file="p.json", predictions_sha256="0")


def measure_errors(
    data: Dataset, results: Results, *, images_file: Path, scored_categories: set[int] | None = None
) -> Errors:
    made = scored(data, results, scored_categories=scored_categories)
    errors, table = diagnosis.measure_errors(made, images_file.name)
    images_file.write_bytes(table)
    return errors


def suspect(results: Results, data: Dataset) -> list[Finding]:
    return detection_checks.suspect(scored(data, results).detections, data)
