"""MediaPipe's writer of TFLite Metadata, and what its Tasks find with such a file."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
import tiny_nets as tiny
from bench import CATEGORIES, Detection
from mediapipe.tasks.python.core.base_options import BaseOptions
from mediapipe.tasks.python.vision.object_detector import ObjectDetector, ObjectDetectorOptions

sys.modules |= {
    f"mediapipe.tasks.{name}": types.ModuleType(name) for name in ("cc", "cc.metadata", "cc.metadata.python")
}
version_of = types.ModuleType("_pywrap_metadata_version")
version_of.GetMinimumMetadataParserVersion = lambda _: "1.0.0"
sys.modules["mediapipe.tasks.cc.metadata.python"]._pywrap_metadata_version = version_of
"""The wheel lacks this library, by which the writer stamps the version of a parser that the metadata need at least."""

from mediapipe.tasks.python.metadata.metadata_writers.metadata_writer import Labels
from mediapipe.tasks.python.metadata.metadata_writers.object_detector import MetadataWriter

VERSION = mediapipe.__version__
TIMES = 25
"""How often a pixel is repeated each way, so that whole pixels are fine enough."""


def described(plain: bytes) -> bytes:
    """A graph that ends in TFLite_Detection_PostProcess, with names and normalisation."""
    labels = Labels().add(list(CATEGORIES))
    writer = MetadataWriter.create_for_models_with_nms(bytearray(plain), [127.5], [127.5], labels)
    return bytes(writer.populate()[0])


def found(path: Path, images: Mapping[str, np.ndarray], size: int) -> dict[str, list[Detection]]:
    """Detections by picture; it resizes by a library of its own, and so is shown resized pictures."""
    base = BaseOptions(model_asset_path=str(path), delegate=BaseOptions.Delegate.CPU)
    with ObjectDetector.create_from_options(ObjectDetectorOptions(base, score_threshold=tiny.SCORE)) as detector:
        return {key: rows(detector, image, size) for key, image in images.items()}


def rows(detector: Any, image: np.ndarray, size: int) -> list[Detection]:
    """As MediaPipe's own example reads the result."""
    sides = image.shape[1], image.shape[0]
    large = np.ascontiguousarray(tiny.stretched(image, size).repeat(TIMES, 0).repeat(TIMES, 1))
    result = detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=large))
    detections = []
    for one in result.detections:
        box = one.bounding_box
        ends = (box.origin_x, box.origin_y, box.origin_x + box.width, box.origin_y + box.height)
        x1, y1, x2, y2 = (end / (size * TIMES) * side for end, side in zip(ends, sides * 2, strict=True))
        detections += [(x1, y1, x2, y2, category.score, category.category_name) for category in one.categories]
    return detections
