"""An older Ultralytics, whose files many people hold: TFLite and SavedModel by way of TensorFlow, RT-DETR's older rows.

It maps boxes back by one ratio for both axes, so corners differ by fractions of a pixel where a side was rounded.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import ultralytics
from ai_edge_litert import interpreter
from bench import Bench
from ultralytics.utils.export import tensorflow
from yolo import export

ARTIFACTS: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("yolov8-8.3-onnx", "yolov8", "ONNX", {"format": "onnx"}),
    ("yolo11-8.3-onnx", "yolo11", "ONNX", {"format": "onnx"}),
    ("yolov10-8.3-onnx", "yolov10", "end-to-end head, ONNX", {"format": "onnx"}),
    ("yolov8-rtdetr-8.3-onnx", "yolov8-rtdetr", "ONNX", {"format": "onnx"}),
    ("yolo11-8.3-nms-onnx", "yolo11", "ONNX, nms=True", {"format": "onnx", "nms": True, "conf": 0.01}),
    ("yolo11-8.3-torchscript", "yolo11", "TorchScript", {"format": "torchscript"}),
    ("yolo11-8.3-tflite", "yolo11", "TFLite", {"format": "tflite"}),
    ("yolo11-8.3-fp16-tflite", "yolo11", "TFLite, float16", {"format": "tflite", "half": True}),
    ("yolo11-8.3-int8-tflite", "yolo11", "TFLite, int8", {"format": "tflite", "int8": True}),
    ("yolo11-8.3-nms-tflite", "yolo11", "TFLite, nms=True", {"format": "tflite", "nms": True, "conf": 0.01}),
    ("yolo11-8.3-seg-tflite", "yolo11-seg", "TFLite", {"format": "tflite"}),
    ("yolov10-8.3-tflite", "yolov10", "end-to-end head, TFLite", {"format": "tflite"}),
    ("yolo11-8.3-savedmodel", "yolo11", "SavedModel", {"format": "saved_model", "refused": "several detectors"}),
    ("yolo11-8.3-graphdef", "yolo11", "GraphDef", {"format": "pb", "refused": "TensorFlow"}),
)
"""Name, network, what it is, and the exporter's settings."""

sys.modules["tflite_runtime.interpreter"] = interpreter  # its name today; else TensorFlow's own, with older kernels

SAMPLE = "calibration_image_sample_data_20x128x128x3_float32.npy"
"""Ultralytics would download it for onnx2tf, which runs graphs on it to compare."""


def main() -> None:
    """Make every artifact that is not there yet."""
    bench = Bench("ultralytics-8.3", "Ultralytics", ultralytics.__version__)
    sample = np.random.default_rng(0).random((20, 128, 128, 3), dtype=np.float32)
    tensorflow.attempt_download_asset = lambda *_, **__: np.save(SAMPLE, sample)
    for name, head, what, settings in ARTIFACTS:
        export(bench, name, head, what, same_resize=False, **settings)
    bench.close()


if __name__ == "__main__":
    main()
