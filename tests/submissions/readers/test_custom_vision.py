"""Exports of Azure Custom Vision: a network, its labels, and a sample that prepares pictures."""

from pathlib import Path

import numpy as np
import pytest
from made_up_graphs import LABELS, NAMES, SCORES, XYXY, graph, image

from wildbench.submissions.admission import admit
from wildbench.submissions.process import open_submission

OUTPUTS = {"detected_boxes": XYXY[None] / 64, "detected_classes": LABELS[None], "detected_scores": SCORES[None]}


@pytest.mark.parametrize(
    ("metadata", "channels", "scale"),
    [
        ({"Image.BitmapPixelFormat": "Bgr8", "Image.NominalPixelRange": "NominalRange_0_255"}, "bgr", "0-255"),
        ({"Image.BitmapPixelFormat": "Rgb8", "Image.NominalPixelRange": "Normalized_0_1"}, "rgb", "0-1"),
        ({}, "rgb", "0-1"),
    ],
)
def test_a_folder_needs_no_manifest(tmp_path: Path, metadata: dict[str, str], channels: str, scale: str) -> None:
    graph(tmp_path / "model.onnx", OUTPUTS, metadata=metadata)
    (tmp_path / "labels.txt").write_text("\n".join(NAMES))
    admitted = admit(tmp_path)
    contract = admitted.manifest.input
    assert (contract.resize, contract.interpolation, contract.antialias) == ("stretch", "bicubic", "pillow")
    assert (contract.channels, contract.scale) == (channels, scale)
    detections = open_submission(admitted).predict(image())
    np.testing.assert_allclose(detections.boxes, XYXY, atol=1e-4)
    np.testing.assert_array_equal(detections.labels, LABELS + 1)
