"""Ultralytics' LiteRT exports, in float32 and in each of its integer precisions; they need an older torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import ultralytics
from bench import Bench
from yolo import export

ARTIFACTS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("yolov8-litert", "yolov8", "LiteRT", {}),
    ("yolo11-litert", "yolo11", "LiteRT", {}),
    ("yolo11-int8-litert", "yolo11", "LiteRT, int8", {"quantize": 8}),
    ("yolo11-w8a16-litert", "yolo11", "LiteRT, int8 weights, int16 activations", {"quantize": "w8a16"}),
    ("yolo11-w8a32-litert", "yolo11", "LiteRT, int8 weights", {"quantize": "w8a32"}),
    ("yolo11-seg-litert", "yolo11-seg", "LiteRT", {}),
    ("yolo11-pose-litert", "yolo11-pose", "LiteRT", {}),
    ("yolo26-litert", "yolo26", "LiteRT", {}),
    ("yolo26-end2end-litert", "yolo26", "end-to-end head, LiteRT", {"nms": False}),
    (
        "megadetector-v6-litert",
        "yolov9",
        "MegaDetector v6's categories, LiteRT",
        {"names": ("animal", "person", "vehicle")},
    ),
)
"""Name, network, what it is, and the exporter's settings."""


def main() -> None:
    """Make every artifact that is not there yet."""
    bench = Bench("ultralytics-litert", "Ultralytics", ultralytics.__version__)
    for name, head, what, settings in ARTIFACTS:
        export(bench, name, head, what, format="litert", **settings)
    bench.close()


if __name__ == "__main__":
    main()
