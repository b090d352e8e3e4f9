"""Our two tiny detectors with the `model_info` of OpenVINO's Model API, saved by itself or as OTX's exporter writes it.

Its wrappers round corners to whole pixels. So that they can be compared, each is told that the picture is many
times larger; and pictures are resized by OpenCV before, as its own functions in Python do it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import nncf
import numpy as np
import onnx
import openvino as ov
import tiny_nets as tiny
import torch
from bench import CATEGORIES, Bench, Detection
from model_api.adapters import OpenvinoAdapter, create_core
from model_api.models import Model
from torch import Tensor, nn

SIZE = 160
FINE = 55
"""At this, corners are whole numbers within 0.01 pixels, and areas stay within its 32 bits."""
NAMES = " ".join(CATEGORIES)
OTX = {
    **{"model_type": "ssd", "model_name": "tiny", "task_type": "detection", "otx_version": "2.6.0", "labels": NAMES},
    **{"label_ids": "0 1 2 3 4", "confidence_threshold": "0.35", "iou_threshold": "0.5"},
    **{"mean_values": "127.5 127.5 127.5", "scale_values": "128 128 128", "reverse_input_channels": "False"},
    **{"resize_type": "standard", "pad_value": "0"},
}
"""As OTX's `OTXModelExporter` writes them."""

ULTRALYTICS = {
    **{"model_type": "YOLOv8", "labels": NAMES, "iou_threshold": "0.7", "pad_value": "114"},
    **{"resize_type": "fit_to_window_letterbox", "reverse_input_channels": "True", "scale_values": "255"},
}
"""As Deep Learning Streamer's and Model API's guides write them."""


class Within(nn.Module):
    """A `tiny.Yolo` whose boxes end at the picture, and whose scores all differ.

    The wrappers' suppression takes labels apart by positive corners, and orders equal scores by chance.
    """

    def __init__(self, inner: tiny.Yolo) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("order", torch.linspace(1, 0.99, inner.cells.shape[-1]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """[1, 4 + C, N]."""
        output = self.inner(x)
        centres = output[:, :2].clamp(2, SIZE - 2)
        sides = torch.minimum(output[:, 2:4].clamp(min=2), 2 * torch.minimum(centres, SIZE - centres))
        return torch.cat([centres, sides, output[:, 4:] * self.order], 1)


class Finished(nn.Module):
    """The best hundred boxes of a `tiny.Ssd`, with labels from 0, in one of the forms that the wrapper `SSD` reads."""

    def __init__(self, inner: tiny.Ssd, form: str) -> None:
        super().__init__()
        self.inner, self.form = inner, form

    def forward(self, x: Tensor) -> Any:
        """Rows of seven; boxes, labels and scores; or boxes in pixels with a fifth column, and labels."""
        scores, boxes = self.inner(x)
        best, labels = scores[0, :, 1:].max(1)
        best, rows = best.topk(100)
        boxes, labels = boxes[0, rows], labels[rows]
        if self.form == "seven":
            columns = [torch.zeros_like(best)[:, None], labels[:, None].float(), best[:, None], boxes]
            return torch.cat(columns, 1)[None, None]
        if self.form == "three":
            return boxes[None], labels[None], best[None]
        return torch.cat([boxes * SIZE, best[:, None]], 1)[None], labels[None]


PORTS = {
    **{"seven": ("detection_out",), "three": ("bboxes", "labels", "scores"), "five": ("boxes", "labels")},
    "yolo": ("output0",),
}


class Workshop(Bench):
    """The networks and the pictures."""

    def __init__(self) -> None:
        super().__init__("openvino-model-api", "openvino-model-api", importlib.metadata.version("openvino-model-api"))
        self.images = {path.name: tiny.read(path) for path in self.pictures}
        boxed = [tiny.unit(tiny.letterboxed(image, SIZE)[0]) for image in self.images.values()]
        plain = [tiny.signed(tiny.stretched(image, SIZE)) for image in self.images.values()]
        self.inputs = {"yolo": boxed, "ssd": plain}
        torch.manual_seed(14)
        ssd = tiny.Ssd(plain).eval()
        forms = {form: Finished(ssd, form).eval() for form in ("seven", "three", "five")}
        self.networks: dict[str, nn.Module] = {"yolo": Within(tiny.Yolo(boxed)).eval(), **forms}

    def converted(self, form: str) -> ov.Model:
        """A network as OpenVINO has it, its outputs named."""
        x = self.inputs["yolo" if form == "yolo" else "ssd"][0]
        model = ov.convert_model(self.networks[form], example_input=x, input=[1, 3, SIZE, SIZE])
        model.inputs[0].get_tensor().set_names({"images"})
        for port, name in zip(model.outputs, PORTS[form], strict=True):
            port.get_tensor().set_names({name})
        return model

    def make_ir(self, name: str, form: str, told: Mapping[str, str], what: str, precision: str = "fp32") -> None:
        """An IR with these texts in `rt_info`."""
        if not self.wants(name):
            return
        with self.artifact(name):
            model = self.converted(form)
            if precision == "int8":
                data = nncf.Dataset([x.numpy() for x in self.inputs["yolo" if form == "yolo" else "ssd"]])
                model = nncf.quantize(model, data, subset_size=len(self.images))
            for key, text in told.items():
                model.set_rt_info(text, ["model_info", key])
            ov.save_model(model, "model.xml", compress_to_fp16=precision == "fp16")
            self.find(name, "model.xml", f"{what}, {precision}", rgb="otx_version" in told)

    def make_saved(self, name: str, form: str, kind: str, configuration: dict[str, Any]) -> None:
        """What the wrapper's own `save` writes, its preprocessing in the graph."""
        if not self.wants(name):
            return
        with self.artifact(name):
            ov.save_model(self.converted(form), "plain.xml", compress_to_fp16=False)
            settings = {"labels": list(CATEGORIES), **configuration}
            wrapper = Model.create_model(adapter("plain.xml"), kind, settings)
            wrapper.save("model.xml")
            for path in Path().glob("plain.*"):
                path.unlink()
            wrapper.set_param("confidence_threshold", tiny.SCORE)
            self.find(name, "model.xml", "Model.save: resize and normalisation in the graph", wrapper)

    def make_onnx(self, name: str, form: str, told: Mapping[str, str], what: str) -> None:
        """ONNX with the same texts as metadata."""
        if not self.wants(name):
            return
        with self.artifact(name):
            x = self.inputs["yolo" if form == "yolo" else "ssd"][0]
            ports = {"input_names": ["images"], "output_names": list(PORTS[form])}
            torch.onnx.export(self.networks[form], (x,), "model.onnx", dynamo=False, opset_version=17, **ports)
            model = onnx.load("model.onnx")
            onnx.helper.set_model_props(model, {f"model_info {key}": text for key, text in told.items()})
            onnx.save(model, "model.onnx")
            self.find(name, "model.onnx", what, rgb="otx_version" in told)

    def find(self, name: str, file: str, what: str, wrapper: Any = None, *, rgb: bool = False) -> None:
        """Ask the wrapper that the file itself names, and keep the file."""
        wrapper = wrapper or Model.create_model(adapter(file), configuration={"confidence_threshold": tiny.SCORE})
        rows = {key: found(wrapper, image if rgb else image[..., ::-1]) for key, image in self.images.items()}
        self.keep(name, file, what, rows)


def adapter(file: str) -> Any:
    """The runtime's, in float32; ONNX too is run by OpenVINO, whose wrappers of YOLO take no other."""
    exact = {"INFERENCE_PRECISION_HINT": "f32"}
    return OpenvinoAdapter(create_core(), file, device="CPU", plugin_config=exact, max_num_requests=1)


def found(wrapper: Any, image: np.ndarray) -> list[Detection]:
    """Detections by the wrapper's own preprocessing and postprocessing."""
    height, width = image.shape[:2]
    inputs, meta = wrapper.base_preprocess(np.ascontiguousarray(resized(image, wrapper)))
    meta = {key: value for key, value in meta.items() if key != "resize_info"}
    meta["original_shape"] = (height * FINE, width * FINE, 3)
    result = wrapper.postprocess(wrapper.infer_sync(inputs), meta)
    boxes = torch.from_numpy(np.asarray(result.bboxes, np.float64)) / FINE
    scores, labels = torch.from_numpy(np.asarray(result.scores)), torch.from_numpy(np.asarray(result.labels))
    return tiny.as_rows(boxes, scores, labels, width, height)


def resized(image: np.ndarray, wrapper: Any) -> np.ndarray:
    """To the network's size, as the graph that the wrapper embeds, where no resize is left to do."""
    kind, pad = wrapper.params.resize_type, wrapper.params.pad_value
    if kind == "fit_to_window_letterbox":
        return wrapper.resize(image, (SIZE, SIZE), pad_value=pad)
    height, width = image.shape[:2]
    ratio = SIZE / max(height, width)
    sides = (SIZE, SIZE) if kind == "standard" else (round(width * ratio), round(height * ratio))
    inner = cv2.resize(image, sides, interpolation=cv2.INTER_LINEAR)
    ends = {"top": 0, "bottom": SIZE - sides[1], "left": 0, "right": SIZE - sides[0]}
    return cv2.copyMakeBorder(inner, **ends, borderType=cv2.BORDER_CONSTANT, value=(pad,) * 3)


def main() -> None:
    """Make what is wanted; those of the SSD first: once a YOLO is wrapped, its defaults are every wrapper's."""
    shop = Workshop()
    mean = {"mean_values": [127.5] * 3, "scale_values": [127.5] * 3, "reverse_input_channels": True}
    for form in ("seven", "three", "five"):
        shop.make_saved(f"modelapi-ssd-{form}-saved", form, "ssd", mean)
    for precision in ("fp32", "fp16", "int8"):
        shop.make_ir(f"otx-detection-{precision}", "five", OTX, "OTX's boxes and labels", precision)
    shop.make_ir(
        "otx-detection-letterbox", "five", OTX | {"resize_type": "fit_to_window_letterbox"}, "OTX, letterboxed"
    )
    window = OTX | {"resize_type": "fit_to_window", "pad_value": "114", "reverse_input_channels": "True"}
    shop.make_ir("otx-detection-window", "five", window, "OTX, padded below and to the right, BGR")
    shop.make_onnx("otx-detection-onnx", "five", OTX, "OTX's ONNX: model_info in its metadata")
    for precision in ("fp32", "fp16", "int8"):
        shop.make_ir(f"modelapi-yolov8-{precision}", "yolo", ULTRALYTICS, "a YOLO with model_info", precision)
    yolo11 = {"model_type": "YOLO11", "labels": NAMES, "task_type": "detection"}
    shop.make_ir("modelapi-yolo11-defaults", "yolo", yolo11, "a YOLO, all else as the wrapper has it")
    shop.make_onnx("modelapi-yolov8-onnx", "yolo", ULTRALYTICS, "a YOLO with model_info in its metadata")
    shop.make_saved("modelapi-yolo11-saved", "yolo", "YOLO11", {})
    shop.close()


if __name__ == "__main__":
    main()
