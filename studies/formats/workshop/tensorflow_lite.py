"""The two tiny detectors by TensorFlow's converter: bytes, halves, SSD's own last operator, MediaPipe's metadata."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tiny_nets as tiny
import torch
from bench import CATEGORIES, Bench, Detection
from torch import Tensor

import tensorflow as tf  # isort: skip - after torch: both bring an LLVM, and TensorFlow's bears no second
import mediapipe_tasks as tasks  # isort: skip - likewise: it imports TensorFlow

SIZE = 160
STRETCH = {"resize": "stretch", "size": [SIZE, SIZE], "mean": [0.5] * 3, "std": [0.5] * 3}
LETTERBOX = {"resize": "letterbox", "position": "center", "size": [SIZE, SIZE]}
POSTPROCESS = """name: "TFLite_Detection_PostProcess"
attr { key: "max_detections" value { i: 100 } }
attr { key: "max_classes_per_detection" value { i: 1 } }
attr { key: "detections_per_class" value { i: 100 } }
attr { key: "use_regular_nms" value { b: true } }
attr { key: "nms_score_threshold" value { f: 0.01 } }
attr { key: "nms_iou_threshold" value { f: 0.6 } }
attr { key: "y_scale" value { f: 10.0 } }
attr { key: "x_scale" value { f: 10.0 } }
attr { key: "h_scale" value { f: 5.0 } }
attr { key: "w_scale" value { f: 5.0 } }
attr { key: "num_classes" value { i: %d } }"""
"""As the Object Detection API's `export_tflite_graph_tf2` writes it."""


class Layers(tf.Module):
    """A `tiny.Heads` in TensorFlow, with its weights; channels last."""

    def __init__(self, heads: tiny.Heads) -> None:
        super().__init__()
        self.steps = [self._weights(step) for step in heads.trunk.steps]
        self.last = [self._weights(last) for last in heads.last]

    @staticmethod
    def _weights(layer: torch.nn.Conv2d) -> tuple[Any, Any]:
        weight = layer.weight.detach().permute(2, 3, 1, 0).contiguous().numpy()
        return tf.constant(weight), tf.constant(layer.bias.detach().numpy())

    def __call__(self, x: Any) -> Any:
        """[1, N, K]: all cells, level by level, row by row."""
        maps = []
        for weight, bias in self.steps:
            x = tf.nn.relu(tf.nn.conv2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), weight, 2, "VALID") + bias)
            maps.append(x)
        raw = [
            tf.nn.conv2d(level, weight, 1, "VALID") + bias
            for level, (weight, bias) in zip(maps[2:], self.last, strict=True)
        ]
        return tf.concat([tf.reshape(level, [1, -1, level.shape[-1]]) for level in raw], 1)


class Ssd(tf.Module):
    """Scores with the background first, box offsets, and the operator that decodes and suppresses."""

    def __init__(self, network: tiny.Ssd, inside: bool = False) -> None:
        super().__init__()
        self.layers = Layers(network.heads)
        priors = network.priors.numpy().copy()  # centre x, centre y, width, height
        if inside:  # MediaPipe moves a box that begins outside the picture, and keeps its sides
            priors[:, 2:] = np.minimum(priors[:, 2:], np.minimum(priors[:, :2], 1 - priors[:, :2]))
        self.anchors = tf.constant(priors[:, [1, 0, 3, 2]])

    @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32)])
    def __call__(self, image: Any) -> Any:
        """Corners (y first), labels from 0, scores, count."""
        values = self.layers(image)
        return postprocess()(values[..., :4], tf.nn.softmax(values[..., 4:]), self.anchors)


def postprocess() -> Callable[..., Any]:
    """A function that the converter replaces by the operator of its name."""

    @tf.function(experimental_implements=POSTPROCESS % len(CATEGORIES))
    def dummy_post_processing(box_encodings: Any, class_predictions: Any, anchors: Any) -> Any:
        return tuple(tf.constant(0.0, tf.float32, name=name) for name in ("boxes", "classes", "scores", "count"))

    return dummy_post_processing


class Yolo(tf.Module):
    """Boxes [1, N, 4] and scores [1, N, C]: centres and sides in fractions."""

    def __init__(self, network: tiny.Yolo) -> None:
        super().__init__()
        self.layers = Layers(network.heads)
        self.cells = tf.constant(network.cells.transpose(1, 2).contiguous().numpy())
        self.strides = tf.constant((network.strides / SIZE).transpose(1, 2).contiguous().numpy())

    @tf.function(input_signature=[tf.TensorSpec([1, SIZE, SIZE, 3], tf.float32)])
    def __call__(self, image: Any) -> Any:
        """Boxes and scores."""
        raw = tf.sigmoid(self.layers(image))
        centres = (raw[..., :2] * 2 - 0.5 + self.cells) * self.strides
        sides = (raw[..., 2:4] * 2) ** 2 * 3 * self.strides
        return tf.concat([centres, sides], -1), raw[..., 4:]


class Workshop(Bench):
    """The networks and the pictures."""

    def __init__(self) -> None:
        super().__init__("tensorflow", "TensorFlow", tf.__version__)
        self.images = {path.name: tiny.read(path) for path in self.pictures}
        boxed = [tiny.unit(tiny.letterboxed(image, SIZE)[0]) for image in self.images.values()]
        plain = [tiny.signed(tiny.stretched(image, SIZE)) for image in self.images.values()]
        self.inputs = {"yolo": boxed, "ssd": plain, "inside": plain}
        torch.manual_seed(14)
        ssd = tiny.Ssd(plain, raw=True).eval()
        self.networks = {"yolo": Yolo(tiny.Yolo(boxed).eval()), "ssd": Ssd(ssd), "inside": Ssd(ssd, inside=True)}

    def convert(self, kind: str, precision: str) -> bytes:
        """The flatbuffer."""
        network = self.networks[kind]
        converter = tf.lite.TFLiteConverter.from_concrete_functions([network.__call__.get_concrete_function()], network)
        converter.allow_custom_ops = True
        if precision != "fp32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "fp16":
            converter.target_spec.supported_types = [tf.float16]
        if precision == "int8":
            samples = [[x.permute(0, 2, 3, 1).contiguous().numpy()] for x in self.inputs[kind]]
            converter.representative_dataset = lambda: iter(samples)
            converter.inference_input_type = tf.uint8
            if kind == "yolo":
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_output_type = tf.uint8
        return converter.convert()

    def make(self, kind: str, precision: str) -> None:
        """Convert a network and keep what the interpreter finds."""
        name = f"tensorflow-{kind}-{precision}"
        if not self.wants(name):
            return
        with self.artifact(name):
            Path("model.tflite").write_bytes(self.convert(kind, precision))
            run = interpreted(Path("model.tflite"))
            read = {"yolo": yolo_rows, "ssd": postprocessed_rows}[kind]
            rows = {key: read(run, image) for key, image in self.images.items()}
            outputs = run(self.inputs[kind][0])
            self.keep(name, "model.tflite", f"{kind}, {precision}", rows, sidecar=sidecar(name, kind, outputs))

    def make_mediapipe(self, precision: str) -> None:
        """The SSD with MediaPipe's metadata, and what its Tasks find."""
        name = f"mediapipe-ssd-{precision}"
        if not self.wants(name):
            return
        with self.artifact(name):
            Path("model.tflite").write_bytes(tasks.described(self.convert("inside", precision)))
            rows = tasks.found(Path("model.tflite"), self.images, SIZE)
            self.tool, self.version = "mediapipe", tasks.VERSION
            self.keep(name, "model.tflite", f"SSD with TFLite Metadata, {precision}", rows, same_resize=False)

    def make_saved_model(self) -> None:
        """A SavedModel, which is named and not taken."""
        if self.wants("tensorflow-savedmodel"):
            with self.artifact("tensorflow-savedmodel"):
                tf.saved_model.save(self.networks["yolo"], "saved_model")
                self.keep("tensorflow-savedmodel", "saved_model", "tf.saved_model.save", refused="SavedModel")


def interpreted(path: Path) -> tiny.Run:
    """The interpreter's own call, outputs by name; whole numbers are read by scale and zero point."""
    interpreter = tf.lite.Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()

    def run(x: Tensor) -> list[Tensor]:
        port = interpreter.get_input_details()[0]
        values = x.permute(0, 2, 3, 1).contiguous().numpy()
        if port["dtype"] != np.float32:
            scale, zero = port["quantization"]
            values = np.round(values / np.float32(scale) + zero).clip(0, 255).astype(np.uint8)
        interpreter.set_tensor(port["index"], values)
        interpreter.invoke()
        outputs = []
        for port in sorted(interpreter.get_output_details(), key=lambda port: port["name"]):
            values, (scale, zero) = interpreter.get_tensor(port["index"]), port["quantization"]
            whole = port["dtype"] != np.float32
            outputs.append(
                torch.from_numpy((values.astype(np.float32) - zero) * np.float32(scale) if whole else values)
            )
        return outputs

    return run


def yolo_rows(run: tiny.Run, image: np.ndarray) -> list[Detection]:
    """As `tiny.yolo_rows`, with a row for each candidate."""
    return tiny.yolo_rows(lambda x: [value.transpose(1, 2) for value in run(x)], image, SIZE, fractions=True)


def postprocessed_rows(run: tiny.Run, image: np.ndarray) -> list[Detection]:
    """As the Object Detection API's examples read the four outputs."""
    boxes, labels, scores, count = run(tiny.signed(tiny.stretched(image, SIZE)))
    valid = int(count[0])
    height, width = image.shape[:2]
    corners = boxes[0, :valid][:, [1, 0, 3, 2]] * torch.tensor([width, height, width, height])
    return tiny.as_rows(corners, scores[0, :valid], labels[0, :valid], width, height)


def sidecar(name: str, kind: str, outputs: list[Tensor]) -> dict[str, Any]:
    """What the file does not tell."""
    document = {"name": name, "detector": {"name": f"tiny {kind}"}, "categories": list(CATEGORIES)}
    if kind == "ssd":
        contract = {
            "boxes": {"output": "PartitionedCall:0", "form": "yxyx", "unit": "fractions"},
            "labels": {"output": "PartitionedCall:1", "first": 0},
            "scores": {"output": "PartitionedCall:2"},
            "count": "PartitionedCall:3",
        }
        return document | {"input": STRETCH, "output": {"kind": "described", **contract}}
    boxes = next(at for at, value in enumerate(outputs) if value.shape[-1] == 4)
    contract = {
        "boxes": {"output": f"PartitionedCall:{boxes}", "form": "cxcywh", "unit": "fractions"},
        "scores": {"output": f"PartitionedCall:{1 - boxes}"},
        **{"score_threshold": tiny.SCORE, "nms_iou": 0.7, "max_detections": 300},
    }
    return document | {"input": LETTERBOX, "output": {"kind": "described", **contract}}


def main() -> None:
    """Make what is wanted."""
    shop = Workshop()
    for kind in ("yolo", "ssd"):
        for precision in ("fp32", "fp16", "dynamic", "int8") if kind == "yolo" else ("fp32", "int8"):
            shop.make(kind, precision)
    for precision in ("fp32", "fp16", "dynamic", "int8"):
        shop.make_mediapipe(precision)
    shop.make_saved_model()
    shop.close()


if __name__ == "__main__":
    main()
