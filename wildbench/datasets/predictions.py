"""Detections as COCO results: JSON objects with image_id, category_id, bbox and score, and segmentation for masks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from wildbench.datasets.coco import Dataset
from wildbench.datasets.detection_checks import check_detections, suspect
from wildbench.datasets.label_checks import Finding, read_document, refusal
from wildbench.errors import PredictionsError
from wildbench.files import write_atomically


def read_predictions(path: Path | str, dataset: Dataset) -> list[dict[str, Any]]:
    """Read a results file and check that it can be scored against a data set.

    Args:
        path: The file. Boxes are `[x, y, width, height]` in pixels, scores in 0..1. A side may be 0, as where a box was
            clipped away; it then matches nothing. Either every detection carries a mask or none does.
        dataset: What was detected in.

    Returns:
        The results as they stand in the file.

    Raises:
        PredictionsError: The file cannot be read, or a detection cannot be scored; names the first and counts the rest.
    """
    path = Path(path)
    results: list[dict[str, Any]]
    results, findings = _read(path, dataset)
    refused = refusal(path, findings)
    if refused:
        raise PredictionsError(refused[0], remedy=f"{refused[1]} (wildbench data validate --predictions lists all)")
    return results


def validate_predictions(path: Path | str, dataset: Dataset) -> list[Finding]:
    """Look for everything that is wrong or odd in a results file; what is odd only where nothing is wrong.

    Args:
        path: The file.
        dataset: What was detected in.

    Returns:
        Findings; none for a file that can be trusted.
    """
    results, findings = _read(Path(path), dataset)
    if refusal(Path(path), findings) is None:
        findings += suspect(results, dataset)
    return findings


def _read(path: Path, dataset: Dataset) -> tuple[Any, list[Finding]]:
    """Read a file and check each detection by itself."""
    results, findings = read_document(path)
    if refusal(path, findings) is None:
        findings += check_detections(results, dataset)
    return results, findings


def write_predictions(results: list[dict[str, Any]], path: Path) -> str:
    """Write results canonically and atomically: by image, then falling score, ties in their order; one a line.

    Numbers are written in full, and pycocotools' order of ties within an image is kept, so that scoring the file gives
    exactly what scoring `results` gives.

    Returns:
        SHA-256 of the file's bytes, in hexadecimal.
    """
    ordered = sorted(results, key=lambda result: (result["image_id"], -result["score"]))
    lines = [json.dumps(result, sort_keys=True, allow_nan=False) for result in ordered]
    data = ("[\n" + ",\n".join(lines) + "\n]\n" if lines else "[]\n").encode()
    write_atomically(path, data)
    return hashlib.sha256(data).hexdigest()
