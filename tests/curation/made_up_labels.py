"""Boxes and detections as COCO has them."""

import json
from pathlib import Path
from typing import Any


def box(number: int, image: int, category: int, bbox: list[float], **more: Any) -> dict[str, Any]:
    return {"id": number, "image_id": image, "category_id": category, "bbox": bbox, **more}


def found(image: int, category: int, bbox: list[float], score: float) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": bbox, "score": score}


def results_file(path: Path, results: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(results))
    return path
