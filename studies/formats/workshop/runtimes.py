"""Two tiny detectors through each runtime's own converter, and what that runtime's own Python API then finds."""

from __future__ import annotations

import copy
import functools
import shutil
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tiny_nets as tiny
import torch
from bench import CATEGORIES
from runtime_onnx import make_foreign, make_onnx
from runtime_shop import SIZE, STRETCH, ChannelsLast, Workshop
from torch import Tensor

# OpenVINO


def make_openvino(shop: Workshop) -> None:
    """OpenVINO IR at fp32, fp16 and NNCF's int8; one that takes bytes, one that ends in DetectionOutput."""
    import nncf
    import openvino as ov

    def keep(name: str, model: Any, what: str, half: bool = False, tool: str = "openvino", **told: str) -> None:
        ov.save_model(model, "model.xml", compress_to_fp16=half)
        shop.find(name, tool, "model.xml", what, openvino_run(Path("model.xml")), **told)

    for kind in ("yolo", "ssd"):
        convert = functools.partial(openvino_model, shop, kind)
        for half in (False, True):
            suffix = "fp16" if half else "fp32"
            if shop.wants_kind(name := f"openvino-{kind}-{suffix}", kind, suffix):
                with shop.artifact(name):
                    keep(name, convert(), "ov.convert_model", half)
        if shop.wants(name := f"openvino-{kind}-int8"):
            with shop.artifact(name):
                data = nncf.Dataset([x.numpy() for x in shop.inputs[kind]])
                keep(
                    name,
                    nncf.quantize(convert(), data, subset_size=len(shop.inputs[kind])),
                    "nncf.quantize",
                    tool="nncf",
                )
    if shop.wants(name := "openvino-yolo-bytes"):
        with shop.artifact(name):
            keep(
                name,
                taking_bytes(openvino_model(shop, "yolo")),
                "PrePostProcessor: uint8 NHWC in, over 255 inside",
                half=True,
                scale="0-255",
            )
    if shop.wants(name := "openvino-ssd-detectionoutput"):
        with shop.artifact(name):
            model, facts = detection_output(shop, name)
            ov.save_model(model, "model.xml")
            run = openvino_run(Path("model.xml"))
            shop.tool, shop.version = "openvino", ov.__version__
            rows = {key: zoo_rows(run, image) for key, image in shop.images.items()}
            shop.keep(name, "model.xml", "ends in DetectionOutput, as Open Model Zoo's SSDs", rows, sidecar=facts)


def openvino_model(shop: Workshop, kind: str) -> Any:
    """A network converted, its outputs named."""
    import openvino as ov

    model = ov.convert_model(shop.networks[kind], example_input=shop.inputs[kind][0], input=[1, 3, SIZE, SIZE])
    model.inputs[0].get_tensor().set_names({"images"})
    for port, name in zip(model.outputs, ("output0",) if kind == "yolo" else ("scores", "boxes"), strict=True):
        port.get_tensor().set_names({name})
    return model


def openvino_run(path: Path) -> tiny.Run:
    """The runtime's own call, on the CPU, in float32 where the file is in floats."""
    import openvino as ov

    compiled = ov.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(x: Tensor) -> list[Tensor]:
        values = x.numpy()
        if compiled.inputs[0].element_type == ov.Type.u8:
            values = np.round(values * 255).astype(np.uint8).transpose(0, 2, 3, 1)
        return [torch.from_numpy(np.array(value)) for value in compiled(values).values()]

    return run


def taking_bytes(model: Any) -> Any:
    """The model with its preprocessing inside."""
    from openvino import Layout, Type
    from openvino.preprocess import PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(Type.u8).set_layout(Layout("NHWC"))
    steps.input().model().set_layout(Layout("NCHW"))
    steps.input().preprocess().convert_element_type(Type.f32).scale(255.0)
    return steps.build()


def detection_output(shop: Workshop, name: str) -> tuple[Any, dict[str, Any]]:
    """An SSD of raw offsets with its priors in the graph, and the layer that Caffe's SSD ends in."""
    import openvino as ov
    from openvino import opset8 as ops

    raw = copy.deepcopy(shop.networks["ssd"])
    raw.raw = True
    model = ov.convert_model(raw, example_input=shop.inputs["ssd"][0], input=[1, 3, SIZE, SIZE])
    scores, offsets = (result.input_value(0) for result in model.get_results())
    priors = raw.priors
    corner = torch.cat([priors[:, :2] - priors[:, 2:] / 2, priors[:, :2] + priors[:, 2:] / 2], 1).reshape(1, 1, -1)
    variances = torch.tensor([0.1, 0.1, 0.2, 0.2]).expand(len(priors), 4).reshape(1, 1, -1)
    attributes = {
        "background_label_id": 0,
        "top_k": 400,
        "keep_top_k": [200],
        "code_type": "caffe.PriorBoxParameter.CENTER_SIZE",
        "share_location": True,
        "nms_threshold": 0.45,
        "confidence_threshold": tiny.SCORE,
        "normalized": True,
        "variance_encoded_in_target": False,
        "clip_before_nms": False,
        "clip_after_nms": False,
    }
    flat = [ops.reshape(value, np.array([1, -1]), False) for value in (offsets, scores)]
    last = ops.detection_output(*flat, ops.constant(torch.cat([corner, variances], 1).numpy()), attributes)
    last.output(0).get_tensor().set_names({"detection_out"})
    document = {"name": name, "detector": {"name": "tiny ssd"}, "categories": list(CATEGORIES), "input": STRETCH}
    document["output"] = {
        "kind": "described",
        "image_index": {"columns": [0, 1]},
        "labels": {"columns": [1, 2], "first": 1},
        "scores": {"columns": [2, 3]},
        "boxes": {"columns": [3, 7], "unit": "fractions"},
    }
    return ov.Model([last], model.get_parameters()), document


def zoo_rows(run: tiny.Run, image: np.ndarray) -> list[Any]:
    """Open Model Zoo's reading: image, label, score, corners as fractions, up to a negative image."""
    (output,) = run(tiny.signed(tiny.stretched(image, SIZE)))
    rows = output.reshape(-1, 7)
    ends = (rows[:, 0] < 0).nonzero()
    rows = rows[: int(ends[0])] if len(ends) else rows
    height, width = image.shape[:2]
    boxes = rows[:, 3:] * torch.tensor([width, height, width, height])
    return tiny.as_rows(boxes, rows[:, 2], rows[:, 1] - 1, width, height)


# LiteRT

LITERT_FP16 = [
    {
        "regex": ".*",
        "operation": "*",
        "algorithm_key": "float_casting",
        "op_config": {
            "weight_tensor_config": {"num_bits": 16, "symmetric": True, "granularity": "TENSORWISE", "dtype": "FLOAT"},
            "compute_precision": "FLOAT",
            "explicit_dequantize": True,
        },
    }
]


def make_litert(shop: Workshop) -> None:
    """TFLite by litert-torch: fp32, channels last, fp16, dynamic int8, int8 weights alone, full int8."""
    for kind in ("yolo", "ssd"):
        for suffix, build in litert_models(shop, kind).items():
            if shop.wants_kind(name := f"litert-{kind}-{suffix}", kind, suffix):
                with shop.artifact(name):
                    Path("model.tflite").write_bytes(build())
                    run = litert_run(Path("model.tflite"))
                    fractions = kind == "yolo" and suffix == "int8"
                    shop.find(name, "litert-torch", "model.tflite", f"litert-torch, {suffix}", run, fractions=fractions)


def litert_models(shop: Workshop, kind: str) -> Mapping[str, Callable[[], bytes]]:
    """How each of a network's files is made, by the end of its name."""
    import litert_torch
    from ai_edge_quantizer import quantizer, recipe

    network, inputs = shop.networks[kind], shop.inputs[kind]

    def converted(network: torch.nn.Module, x: Tensor = inputs[0]) -> bytes:
        litert_torch.convert(network.eval(), (x,)).export("plain.tflite")
        content = Path("plain.tflite").read_bytes()
        Path("plain.tflite").unlink()
        return content

    def shrunk(content: bytes, steps: Any, samples: list[Tensor] | None = None) -> bytes:
        Path("plain.tflite").write_bytes(content)
        tool = quantizer.Quantizer("plain.tflite", steps)
        figures = None
        if samples is not None:
            signature, port = litert_signature(Path("plain.tflite"))
            figures = tool.calibrate({signature: [{port: x.numpy()} for x in samples]})
        model = bytes(tool.quantize(figures).quantized_model)
        Path("plain.tflite").unlink()
        return model

    plain = functools.cache(functools.partial(converted, network))
    return {
        "fp32": plain,
        "nhwc": lambda: converted(ChannelsLast(network), inputs[0].permute(0, 2, 3, 1).contiguous()),
        "fp16": lambda: shrunk(plain(), LITERT_FP16),
        "dynamic": lambda: shrunk(plain(), recipe.dynamic_wi8_afp32()),
        "weights": lambda: shrunk(plain(), recipe.weight_only_wi8_afp32()),
        "int8": lambda: shrunk(converted(shop.apart(kind)), recipe.static_wi8_ai8(), inputs),
    }


def litert_signature(path: Path) -> tuple[str, str]:
    """The name of a model's one signature and of its input."""
    from ai_edge_litert.interpreter import Interpreter

    ((name, ports),) = Interpreter(str(path)).get_signature_list().items()
    return name, ports["inputs"][0]


def litert_run(path: Path) -> tiny.Run:
    """The interpreter's own call; whole numbers are read by scale and zero point."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()

    def run(x: Tensor) -> list[Tensor]:
        port = interpreter.get_input_details()[0]
        values = x.numpy().transpose(0, 2, 3, 1) if port["shape"][-1] == 3 else x.numpy()
        if port["dtype"] != np.float32:
            scale, zero = port["quantization"]
            limits = np.iinfo(port["dtype"])
            values = np.round(values / np.float32(scale) + zero).clip(limits.min, limits.max)
        interpreter.set_tensor(port["index"], np.ascontiguousarray(values, port["dtype"]))
        interpreter.invoke()
        outputs = []
        for port in interpreter.get_output_details():
            values, (scale, zero) = interpreter.get_tensor(port["index"]), port["quantization"]
            if port["dtype"] != np.float32:
                values = (values.astype(np.float32) - zero) * np.float32(scale)
            outputs.append(torch.from_numpy(values))
        return outputs

    return run


# ncnn


def make_ncnn(shop: Workshop) -> None:
    """By pnnx: files in fp32 and fp16."""
    import pnnx

    for kind in ("yolo", "ssd"):
        for half in (False, True):
            suffix = "fp16" if half else "fp32"
            if shop.wants_kind(name := f"ncnn-{kind}-{suffix}", kind, suffix):
                with shop.artifact(name):
                    pnnx.export(shop.networks[kind], "model.pt", (shop.inputs[kind][0],), fp16=half)
                    for path in {*Path().iterdir()} - {Path("model.ncnn.param"), Path("model.ncnn.bin")}:
                        path.unlink() if path.is_file() else shutil.rmtree(path)
                    shop.find(name, "pnnx", "", "pnnx.export", ncnn_run(Path("model.ncnn.param")))


def ncnn_run(path: Path) -> tiny.Run:
    """The network's own call, with the options that it has by itself."""
    import ncnn

    net = ncnn.Net()
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))

    def run(x: Tensor) -> list[Tensor]:
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(np.ascontiguousarray(x.numpy()[0])).clone())
            arrays = [np.array(extractor.extract(name)[1]) for name in sorted(net.output_names())]
        return [torch.from_numpy(array)[None] for array in arrays]

    return run


# ExecuTorch, torch.export, TorchScript


def quantized_program(network: torch.nn.Module, inputs: Iterable[Tensor]) -> Any:
    """PT2E: int8 weights and activations as XNNPACK computes them."""
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    samples = list(inputs)
    quantizer = XNNPACKQuantizer().set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(network, (samples[0],)).module(), quantizer)
    for x in samples:
        prepared(x)
    return torch.export.export(convert_pt2e(prepared), (samples[0],))


def make_executorch(shop: Workshop) -> None:
    """ExecuTorch programs: portable kernels, XNNPACK's, and PT2E-quantized to XNNPACK's int8."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    for kind in ("yolo", "ssd"):
        network, inputs = shop.networks[kind], shop.inputs[kind]
        for suffix in ("portable", "xnnpack", "int8"):
            if not shop.wants_kind(name := f"executorch-{kind}-{suffix}", kind, suffix):
                continue
            with shop.artifact(name):
                int8 = suffix == "int8"
                program = (
                    quantized_program(shop.apart(kind), inputs) if int8 else torch.export.export(network, (inputs[0],))
                )
                partitioner = [] if suffix == "portable" else [XnnpackPartitioner()]
                content = to_edge_transform_and_lower(program, partitioner=partitioner).to_executorch().buffer
                Path("model.pte").write_bytes(content)
                method = Runtime.get().load_program(Path("model.pte")).load_method("forward")
                what = f"to_edge_transform_and_lower, {suffix}"
                run = functools.partial(executorch_run, method)
                shop.find(name, "executorch", "model.pte", what, run, fractions=int8 and kind == "yolo")


def executorch_run(method: Any, x: Tensor) -> list[Tensor]:
    """The runtime's own call."""
    return [value.clone() for value in method.execute([x])]


def make_torch(shop: Workshop) -> None:
    """TorchScript, and torch.export in float32, bfloat16 and PT2E-quantized."""
    for kind in ("yolo", "ssd"):
        network, x = shop.networks[kind], shop.inputs[kind][0]
        if shop.wants(name := f"torchscript-{kind}"):
            with shop.artifact(name):
                torch.jit.trace(network, x).save("model.torchscript")
                module = torch.jit.load("model.torchscript")
                run = functools.partial(torch_run, module)
                shop.find(name, "torch", "model.torchscript", "torch.jit.trace", run, layout="nchw")
        for suffix in ("", "-bf16", "-int8"):
            if not shop.wants_kind(name := f"torchexport-{kind}{suffix}", kind, suffix.removeprefix("-")):
                continue
            with shop.artifact(name):
                program = torch.export.export(Halved(network) if suffix == "-bf16" else network, (x,))
                int8 = suffix == "-int8"
                if int8:
                    program = quantized_program(shop.apart(kind), shop.inputs[kind])
                torch.export.save(program, "model.pt2")
                module = torch.export.load("model.pt2").module()
                what = {"": "torch.export.save", "-bf16": "bfloat16 inside", "-int8": "PT2E, XNNPACKQuantizer"}[suffix]
                run = functools.partial(torch_run, module)
                shop.find(name, "torch", "model.pt2", what, run, fractions=int8 and kind == "yolo")


def torch_run(module: torch.nn.Module, x: Tensor) -> list[Tensor]:
    """A plain call."""
    value = module(x)
    return [one.detach() for one in value] if isinstance(value, (tuple, list)) else [value.detach()]


class Halved(torch.nn.Module):
    """A network's convolutions in bfloat16; pictures and answers stay float32."""

    def __init__(self, inner: torch.nn.Module) -> None:
        super().__init__()
        self.inner = copy.deepcopy(inner)
        self.inner.heads.to(torch.bfloat16)
        self.inner.heads.forward = functools.partial(self._maps, self.inner.heads)

    @staticmethod
    def _maps(heads: tiny.Heads, x: Tensor) -> list[Tensor]:
        return [level.float() for level in tiny.Heads.forward(heads, x.to(torch.bfloat16))]

    def forward(self, x: Tensor) -> Any:
        """What the network answers."""
        return self.inner(x)


def main() -> None:
    """Make what is wanted."""
    warnings.filterwarnings("ignore")
    shop = Workshop()
    for make in (make_openvino, make_litert, make_ncnn, make_executorch, make_torch, make_onnx, make_foreign):
        make(shop)
    shop.close()


if __name__ == "__main__":
    main()
