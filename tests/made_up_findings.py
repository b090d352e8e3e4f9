"""Labels of ten lions, and detections of them: honest, as corners, in percent."""

import json
from pathlib import Path
from typing import Any

LABELS: dict[str, Any] = {
    "images": [{"id": key, "file_name": f"{key}.jpg", "width": 300, "height": 200} for key in range(1, 11)],
    "categories": [{"id": 1, "name": "lion"}],
    "annotations": [
        {"id": key, "image_id": key, "category_id": 1, "bbox": [10 * key, 60, 50, 40], "area": 2000, "iscrowd": 0}
        for key in range(1, 11)
    ],
}
FOUND = [
    {key: entry[key] for key in ("image_id", "category_id", "bbox")} | {"score": 0.5 + entry["id"] / 100}
    for entry in LABELS["annotations"]
]
CORNERS = [
    entry | {"bbox": [x, y, x + width, y + height]} for entry in FOUND for x, y, width, height in [entry["bbox"]]
]


def folder_of_findings(folder: Path) -> Path:
    """Write `herd.json`, `honest.json`, `corners.json` and `percent.json`."""
    (folder / "herd.json").write_text(json.dumps(LABELS))
    (folder / "honest.json").write_text(json.dumps(FOUND))
    (folder / "corners.json").write_text(json.dumps(CORNERS))
    (folder / "percent.json").write_text(json.dumps([entry | {"score": 50} for entry in FOUND]))
    return folder
