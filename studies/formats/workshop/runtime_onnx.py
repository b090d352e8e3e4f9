"""ONNX graphs as onnxruntime's and its neighbours' tools shrink them, and files that nobody expects to go in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tiny_nets as tiny
import torch
from bench import CATEGORIES
from runtime_shop import SIZE, Workshop
from torch import Tensor

PORTS = {"yolo": ["output0"], "ssd": ["scores", "boxes"]}


METADATA = {
    "description": "a tiny YOLO",
    "stride": "32",
    "task": "detect",
    "batch": "1",
    "imgsz": str([SIZE, SIZE]),
    "names": str(dict(enumerate(CATEGORIES))),
}
"""As Ultralytics' exporter writes it; whether it is still there is up to each tool."""


def exported(network: torch.nn.Module, x: Tensor, path: str, outputs: list[str]) -> None:
    """A plain export in one file."""
    names = {"input_names": ["images"], "output_names": outputs}
    torch.onnx.export(network, (x,), path, dynamo=False, opset_version=17, **names)
    if outputs == PORTS["yolo"]:
        model = onnx.load(path)
        onnx.helper.set_model_props(model, METADATA)
        onnx.save(model, path)


def onnx_run(path: Path | str) -> tiny.Run:
    """Onnxruntime's own call."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    port = session.get_inputs()[0]
    dtype = np.float16 if "16" in port.type else np.float32

    def run(x: Tensor) -> list[Tensor]:
        return [torch.from_numpy(value).float() for value in session.run(None, {port.name: x.numpy().astype(dtype)})]

    return run


def make_onnx(shop: Workshop) -> None:
    """Half precision, int8 three ways, 4-bit products, weights outside, and ORT's own format."""
    for kind in ("yolo", "ssd"):
        for suffix, build in onnx_models(shop, kind).items():
            if shop.wants_kind(name := f"onnx-{kind}-{suffix}", kind, suffix):
                with shop.artifact(name):
                    file, tool = build()
                    Path("plain.onnx").unlink(missing_ok=True)
                    shop.find(name, tool, file, suffix, onnx_run(file))


def onnx_models(shop: Workshop, kind: str) -> Mapping[str, Callable[[], tuple[str, str]]]:
    """How each of a network's files is made, by the end of its name; gives its name and the tool's."""
    network, x = shop.networks[kind], shop.inputs[kind][0]

    def half(keep: bool) -> tuple[str, str]:
        from onnxconverter_common import float16

        exported(network, x, "plain.onnx", PORTS[kind])
        onnx.save(float16.convert_float_to_float16(onnx.load("plain.onnx"), keep_io_types=keep), "model.onnx")
        return "model.onnx", "onnxconverter-common"

    def outside() -> tuple[str, str]:
        names = {"input_names": ["images"], "output_names": PORTS[kind]}
        torch.onnx.export(network, (x,), "model.onnx", dynamo=True, external_data=True, **names)
        return "model.onnx", "onnx"

    def bfloat16() -> tuple[str, str]:
        exported(network, x, "plain.onnx", PORTS[kind])
        onnx.save(stored_as_bfloat16(onnx.load("plain.onnx")), "model.onnx")
        return "model.onnx", "onnx"

    def ort() -> tuple[str, str]:
        from onnxruntime.tools import convert_onnx_models_to_ort as tool

        exported(network, x, "plain.onnx", PORTS[kind])
        tool.convert_onnx_models_to_ort(Path("plain.onnx").resolve(), Path.cwd(), [tool.OptimizationStyle.Fixed])
        Path("plain.ort").rename("model.ort")
        for path in {*Path().iterdir()} - {Path("model.ort")}:
            path.unlink()
        return "model.ort", "onnxruntime"

    kinds = {
        "fp16": functools.partial(half, True),
        "fp16-throughout": functools.partial(half, False),
        "bf16": bfloat16,
        "external": outside,
        "ort": ort,
    }
    return kinds | quantized_models(shop, kind)


def quantized_models(shop: Workshop, kind: str) -> Mapping[str, Callable[[], tuple[str, str]]]:
    """The same for onnxruntime's quantization."""
    from onnxruntime import quantization
    from onnxruntime.quantization import matmul_nbits_quantizer

    network, x = shop.networks[kind], shop.inputs[kind][0]

    class Samples(quantization.CalibrationDataReader):
        """The pictures, one by one."""

        def __init__(self) -> None:
            self.left = iter([{"images": x.numpy()} for x in shop.inputs[kind]])

        def get_next(self) -> Any:
            """The next; None behind the last."""
            return next(self.left, None)

    def static(form: quantization.QuantFormat, **types: Any) -> tuple[str, str]:
        exported(network, x, "plain.onnx", PORTS[kind])
        types |= {
            "quant_format": form,
            "op_types_to_quantize": ["Conv"],
        }
        quantization.quantize_static("plain.onnx", "model.onnx", Samples(), **types)
        return "model.onnx", "onnxruntime"

    def dynamic() -> tuple[str, str]:
        exported(network, x, "plain.onnx", PORTS[kind])
        quantization.quantize_dynamic("plain.onnx", "model.onnx", weight_type=quantization.QuantType.QUInt8)
        return "model.onnx", "onnxruntime"

    def four_bits() -> tuple[str, str]:
        exported(tiny.with_products(network), x, "plain.onnx", PORTS[kind])
        tool = matmul_nbits_quantizer.MatMulNBitsQuantizer(onnx.load("plain.onnx"), block_size=16, bits=4)
        tool.process()
        onnx.save(tool.model.model, "model.onnx")
        return "model.onnx", "onnxruntime"

    unsigned = quantization.QuantType.QUInt8
    qlinear = functools.partial(static, quantization.QuantFormat.QOperator)
    return {
        "qdq": functools.partial(static, quantization.QuantFormat.QDQ, per_channel=True),
        "qlinear": functools.partial(qlinear, activation_type=unsigned, weight_type=unsigned),
        "dynamic": dynamic,
        "nbits": four_bits,
    }


def stored_as_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The weights in bfloat16, each cast where it is used: onnxruntime computes no convolution in bfloat16 on a CPU."""
    graph = model.graph
    for tensor in [one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT and len(one.dims) > 1]:
        values = torch.from_numpy(onnx.numpy_helper.to_array(tensor).copy()).to(torch.bfloat16).view(torch.int16)
        content = values.numpy().tobytes()
        stored = onnx.helper.make_tensor(
            f"{tensor.name}_bf16", onnx.TensorProto.BFLOAT16, tensor.dims, content, raw=True
        )
        cast = onnx.helper.make_node("Cast", [stored.name], [tensor.name], to=onnx.TensorProto.FLOAT)
        graph.initializer.remove(tensor)
        graph.initializer.append(stored)
        graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return model


def make_foreign(shop: Workshop) -> None:
    """What is named and not taken: real files where their tools run here, else their first bytes."""
    network, x = shop.networks["ssd"], shop.inputs["ssd"][0]
    for name, (file, tool, word, build) in foreign_files(network, x).items():
        if shop.wants(name):
            with shop.artifact(name):
                build(file)
                shop.tool, shop.version = tool
                shop.keep(name, file, f"{word}, not taken", refused=word)


def foreign_files(
    network: torch.nn.Module, x: Tensor
) -> Mapping[str, tuple[str, tuple[str, str], str, Callable[[str], None]]]:
    """File, tool and version, the word that the refusal must have, and how the file is made; by artifact."""

    def core_ml(kind: str) -> Callable[[str], None]:
        def build(file: str) -> None:
            import coremltools

            traced = torch.jit.trace(network, x)
            shapes = [coremltools.TensorType(shape=(1, 3, SIZE, SIZE))]
            coremltools.convert(traced, inputs=shapes, convert_to=kind).save(file)

        return build

    def mnn(file: str) -> None:
        from MNN.tools import mnnconvert

        exported(network, x, "plain.onnx", PORTS["ssd"])
        mnnconvert.convert(["", "-f", "ONNX", "--modelFile", "plain.onnx", "--MNNModel", file, "--bizCode", "MNN"])
        Path("plain.onnx").unlink()

    def first_bytes(content: bytes) -> Callable[[str], None]:
        return lambda file: Path(file).write_bytes(content + bytes(range(256)) * 16) and None

    def saved_model(file: str) -> None:
        Path(file).mkdir()
        (Path(file) / "saved_model.pb").write_bytes(b"\x08\x01\x12\xac\x02" + bytes(300))
        (Path(file) / "variables").mkdir()
        (Path(file) / "variables" / "variables.index").write_bytes(bytes(64))

    return {
        "coreml-package": ("model.mlpackage", ("coremltools", "9.0"), "Core ML", core_ml("mlprogram")),
        "coreml-file": ("model.mlmodel", ("coremltools", "9.0"), "Core ML", core_ml("neuralnetwork")),
        "mnn": ("model.mnn", ("MNN", "3.6.1"), "MNN", mnn),
        "rknn": ("model.rknn", ("rknn-toolkit2", "stub"), "RKNN", first_bytes(b"RKNN\0\0\0\0\x06\0\0\0")),
        "hailo": ("model.hef", ("Hailo DFC", "stub"), "Hailo", first_bytes(b"\x01HEF\0\0\0\x02")),
        "savedmodel": ("model_saved_model", ("TensorFlow", "stub"), "SavedModel", saved_model),
    }
