"""Detections as COCO results: JSON objects with image_id, category_id, bbox and score, and segmentation for masks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wildbench.datasets.coco import Dataset
from wildbench.datasets.masks import mask_problem
from wildbench.errors import PredictionsError
from wildbench.files import write_atomically

_KEYS = ("image_id", "category_id", "bbox", "score")


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
    try:
        results = json.loads(path.read_bytes())
    except OSError as error:
        raise PredictionsError(f"{path}: {error.strerror}", remedy="name a COCO results JSON") from error
    except (ValueError, RecursionError) as error:
        raise PredictionsError(f"{path}: not JSON ({error})", remedy="name a COCO results JSON") from error
    if not isinstance(results, list):
        raise PredictionsError(f"{path}: not a list of detections", remedy=f"list objects with {', '.join(_KEYS)}")
    faults = list(_faults(results, dataset))
    if faults:
        more = f" (the first of {len(faults)} such detections)" if len(faults) > 1 else ""
        index, problem, remedy = faults[0]
        raise PredictionsError(f"{path}: [{index}]: {problem}{more}", remedy=remedy)
    return results


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


def _faults(results: list[Any], dataset: Dataset) -> Iterator[tuple[int, str, str]]:
    """Index, problem and remedy of each detection that cannot be scored."""
    images = {image["id"]: image for image in dataset.images}
    categories = {category["id"] for category in dataset.categories}
    with_masks = any(isinstance(result, dict) and "segmentation" in result for result in results)
    for index, result in enumerate(results):
        fault = _shape_fault(result) or _reference_fault(result, images, categories, dataset.name)
        if fault is None and with_masks:
            fault = _mask_fault(result, images[result["image_id"]])
        if fault is not None:
            yield (index, *fault)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53


def _shape_fault(result: object) -> tuple[str, str] | None:
    if not isinstance(result, dict) or not result.keys() >= set(_KEYS):
        missing = set(_KEYS) - result.keys() if isinstance(result, dict) else _KEYS
        return f"no {', '.join(sorted(missing))}", f"give every detection {', '.join(_KEYS)}"
    box, score = result["bbox"], result["score"]
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        return f"bbox {box}", "give [x, y, width, height] as four finite numbers"
    if box[2] < 0 or box[3] < 0:
        return f"bbox {box} has a negative side", "give [x, y, width, height], not two corners in the wrong order"
    if not _is_number(score) or not 0 <= score <= 1:
        return f"score {score}", "give a score in 0..1"
    return None


def _reference_fault(
    result: dict[str, Any], images: dict[int, Any], categories: set[int], name: str
) -> tuple[str, str] | None:
    for key, known in (("image_id", images), ("category_id", categories)):
        if type(result[key]) is not int or result[key] not in known:
            return f"{key} {result[key]!r} is not in {name}", "score against the data set that was detected in"
    return None


def _mask_fault(result: dict[str, Any], image: dict[str, Any]) -> tuple[str, str] | None:
    if not result.get("segmentation"):
        return "no segmentation, which other detections have", "give every detection a mask, or none"
    problem = mask_problem(result["segmentation"], image["height"], image["width"])
    return (f"segmentation: {problem}", "encode it for the image's own size") if problem else None
