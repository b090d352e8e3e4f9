"""Tiny ONNX graphs with constant outputs, of any names, types and shapes, and with any metadata."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
NAMES = ["zebra", "lion", "elephant"]
XYXY = np.array([[8, 8, 40, 24], [30, 20, 50, 60]], np.float32)
XYWH = np.array([[24, 16, 32, 16], [40, 40, 20, 40]], np.float32)
LABELS = np.array([0, 2], np.int64)
SCORES = np.array([0.75, 0.5], np.float32)
BY_CLASS = np.array([[0.75, 0, 0], [0, 0, 0.5]], np.float32)

ULTRALYTICS = {
    "description": "Ultralytics YOLO11n model trained on herd.yaml",
    "stride": "32",
    "task": "detect",
    "imgsz": "[64, 64]",
    "names": str(dict(enumerate(NAMES))),
    "license": "AGPL-3.0",
}
YOLOV5 = {"stride": "32", "names": str(dict(enumerate(NAMES)))}


def rows(*columns: Any) -> np.ndarray:
    """[1, N, K] from matrices and vectors with a row for each candidate."""
    wide = [np.asarray(one, np.float32).reshape(len(one), -1) for one in columns]
    return np.concatenate(wide, axis=1)[None]


def yolov8() -> np.ndarray:
    """[1, 4 + C, N] of the two boxes."""
    return np.ascontiguousarray(rows(XYWH, BY_CLASS).transpose(0, 2, 1))


def graph(
    path: Path,
    outputs: Mapping[str, np.ndarray],
    shape: Sequence[int | str] = (1, 3, SIDE, SIDE),
    dtype: int = TensorProto.FLOAT,
    inputs: Mapping[str, Sequence[int]] = {},
    metadata: Mapping[str, str] = {},
    second: int = TensorProto.INT64,
) -> Path:
    """Write one whose outputs are the same for every image."""
    nodes = [helper.make_node("Identity", [f"{name}_values"], [name]) for name in outputs]
    images = [helper.make_tensor_value_info("images", dtype, shape)]
    images += [helper.make_tensor_value_info(name, second, sides) for name, sides in inputs.items()]
    answers = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(values.dtype), values.shape)
        for name, values in outputs.items()
    ]
    weights = [numpy_helper.from_array(values, f"{name}_values") for name, values in outputs.items()]
    body = helper.make_graph(nodes, "tiny", images, answers, weights)
    model = helper.make_model(body, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save_model(model, path)
    return path


def image(height: int = SIDE, width: int = SIDE) -> np.ndarray:
    """Grey noise."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
