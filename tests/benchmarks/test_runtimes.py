"""What wildbench costs over each runtime's own call: one network in every format, one thread, ratios within one run."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import openvino
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper, numpy_helper
from paired_times import at_most
from pytest_benchmark.fixture import BenchmarkFixture
from small_networks import manifest
from tiny_graphs import Lite, write_ncnn
from torch import nn

from wildbench.submissions.manifest import manifest_path
from wildbench.submissions.process import Sandbox, open_submission

pytestmark = pytest.mark.timed

ROUNDS = 40
SIDE, STRIDE, COLUMNS = 160, 8, 7
LIMIT = 1.05

LAYERS = [(3, 16, 2), (16, 32, 2), *[(32, 32, 3)] * 3, (32, 64, 2), *[(64, 64, 3)] * 3, (64, COLUMNS, 1)]
"""Channels in, channels out, and the side of the kernel: of 2 with a stride of 2, of 3 padded by 1."""

RANDOM = np.random.default_rng(0)
WEIGHTS = [RANDOM.normal(0, 1 / np.sqrt(k * k * i), (o, i, k, k)).astype(np.float32) for i, o, k in LAYERS]
IMAGE = RANDOM.integers(0, 256, (SIDE, SIDE, 3), np.uint8)

Call = Callable[[], Any]


class Stack(nn.Module):
    """The layers, and their answer as YOLOX gives it: [1, cells, columns]."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(i, o, k, stride=2 if k == 2 else 1, padding=k // 3, bias=False) for i, o, k in LAYERS
        )
        for layer, values in zip(self.layers, WEIGHTS, strict=True):
            layer.weight.data = torch.from_numpy(values)  # type: ignore[union-attr]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:  # type: ignore[index]
            x = torch.relu(layer(x))
        return self.layers[-1](x).flatten(2).transpose(1, 2)  # type: ignore[index]


def write_onnx(path: Path) -> None:
    nodes, last = [], "image"
    for at, (_, _, k) in enumerate(LAYERS):
        options = {"strides": [2, 2] if k == 2 else [1, 1], "pads": [k // 3] * 4}
        nodes.append(helper.make_node("Conv", [last, f"w{at}"], [f"c{at}"], **options))
        nodes.append(helper.make_node("Relu", [f"c{at}"], [f"r{at}"]))
        last = f"r{at}"
    shape = numpy_helper.from_array(np.array([1, COLUMNS, -1]), "shape")
    nodes[-1] = helper.make_node("Reshape", [nodes[-2].output[0], "shape"], ["flat"])
    nodes.append(helper.make_node("Transpose", ["flat"], ["answer"], perm=[0, 2, 1]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, SIDE, SIDE])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, None)
    weights = [numpy_helper.from_array(values, f"w{at}") for at, values in enumerate(WEIGHTS)]
    graph = helper.make_graph(nodes, "stack", [image], [answer], [*weights, shape])
    onnx.save_model(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]), path)


def write_openvino(path: Path) -> None:
    write_onnx(path.with_name("twin.onnx"))
    openvino.serialize(openvino.Core().read_model(path.with_name("twin.onnx")), path)


def write_litert(path: Path) -> None:
    lite = Lite()
    image = last = lite.tensor("image", [1, SIDE, SIDE, 3])
    side = SIDE
    for at, (_, o, k) in enumerate(LAYERS):
        side //= 2 if k == 2 else 1
        options = schema.Conv2DOptionsT()
        options.padding, options.strideW, options.strideH = schema.Padding.SAME, 2 if k == 2 else 1, 2 if k == 2 else 1
        options.dilationWFactor = options.dilationHFactor = 1
        options.fusedActivationFunction = int(at < len(LAYERS) - 1)  # RELU
        weight = lite.stored(f"w{at}", WEIGHTS[at].transpose(0, 2, 3, 1))
        bias = lite.stored(f"b{at}", np.zeros(o, np.float32))
        answer = lite.tensor(f"c{at}", [1, side, side, o])
        lite.operator("CONV_2D", [last, weight, bias], [answer], options)
        last = answer
    rows = np.array([1, side * side, COLUMNS], np.int32)
    flat = lite.tensor("answer", rows.tolist())
    lite.operator("RESHAPE", [last, lite.stored("rows", rows)], [flat])
    lite.write(path, [image], [flat])


def write_ncnn_twin(path: Path) -> None:
    lines, weights, last = ["Input image 0 1 image"], [], "image"
    for at, (i, o, k) in enumerate(LAYERS):
        relu = int(at < len(LAYERS) - 1)
        options = f"0={o} 1={k} 3={2 if k == 2 else 1} 4={k // 3} 6={o * i * k * k} 9={relu}"
        lines.append(f"Convolution c{at} 1 1 {last} c{at} {options}")
        weights += [0, WEIGHTS[at]]
        last = f"c{at}"
    lines += [f"Reshape flat 1 1 {last} flat 0=-1 1={COLUMNS}", "Permute answer 1 1 flat answer 0=1"]
    write_ncnn(path, lines, *weights)


def write_torchscript(path: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # TorchScript is deprecated, and in use
        torch.jit.trace(Stack().eval(), torch.zeros(1, 3, SIDE, SIDE)).save(path)


def write_pt2(path: Path) -> None:
    torch.export.save(torch.export.export(Stack().eval(), (torch.zeros(1, 3, SIDE, SIDE),)), path)


def write_executorch(path: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    program = torch.export.export(Stack().eval(), (torch.zeros(1, 3, SIDE, SIDE),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)


def bare_onnx(path: Path, image: np.ndarray) -> Call:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"image": image})[0]


def bare_openvino(path: Path, image: np.ndarray) -> Call:
    settings = {"INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1}
    request = openvino.Core().compile_model(path, "CPU", settings).create_infer_request()
    return lambda: request.infer([image])[0]


def bare_litert(path: Path, image: np.ndarray) -> Call:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (slot,), (answer,) = interpreter.get_input_details(), interpreter.get_output_details()

    def call() -> Any:
        interpreter.set_tensor(slot["index"], image)
        interpreter.invoke()
        return interpreter.get_tensor(answer["index"])

    return call


def bare_ncnn(path: Path, image: np.ndarray) -> Call:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.load_param(str(path))
    net.load_model(str(path.with_suffix(".bin")))

    def call() -> Any:
        with net.create_extractor() as extractor:
            extractor.input("image", ncnn.Mat(image).clone())
            return np.array(extractor.extract("answer")[1])

    return call


def bare_executorch(path: Path, image: np.ndarray) -> Call:
    from executorch.runtime import Runtime

    program = Runtime.get().load_program(path)
    method = program.load_method("forward")
    kept = (program, torch.from_numpy(image))
    return lambda: method.execute([kept[1]])[0].numpy()


def bare_torch(module: Any, image: np.ndarray) -> Call:
    def call() -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(image)).numpy()

    return call


RUNTIMES: dict[str, tuple[str, Callable[[Path], None], Callable[[Path, np.ndarray], Call]]] = {
    "onnx": (".onnx", write_onnx, bare_onnx),
    "openvino": (".xml", write_openvino, bare_openvino),
    "litert": (".tflite", write_litert, bare_litert),
    "ncnn": (".param", write_ncnn_twin, bare_ncnn),
    "executorch": (".pte", write_executorch, bare_executorch),
    "torchscript": (".pt", write_torchscript, lambda path, image: bare_torch(torch.jit.load(path).eval(), image)),
    "pt2": (".pt2", write_pt2, lambda path, image: bare_torch(torch.export.load(path).module(), image)),
}
"""Of each format: suffix, writer, and the call that its runtime's own documentation shows."""


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def submission(name: str, folder: Path) -> Path:
    suffix, write, _ = RUNTIMES[name]
    path = folder / f"stack{suffix}"
    write(path)
    contract = {"resize": "stretch", "size": [SIDE, SIDE], "layout": "nhwc" if name == "litert" else "nchw"}
    output = {"kind": "yolox", "strides": [STRIDE], "score_threshold": 1.0, "nms_iou": 0.5, "max_detections": 1}
    manifest_path(path).write_text(manifest(input=contract, output=output).to_json())
    return path


@pytest.mark.parametrize("name", RUNTIMES)
def test_a_pass_takes_at_most_a_twentieth_more_than_the_runtimes_own_call(
    benchmark: BenchmarkFixture, name: str, tmp_path: Path
) -> None:
    path = submission(name, tmp_path)
    opened = open_submission(path, device="cpu", threads=1)
    inputs = opened.prepare(IMAGE)
    bare = RUNTIMES[name][2](path, next(iter(inputs.values())))
    image = torch.from_numpy(IMAGE.transpose(2, 0, 1).astype(np.float32) / 255)[None]
    with torch.inference_mode():
        expected = Stack().eval()(image).numpy()
    assert np.allclose(next(iter(opened.backend.run(inputs).values())), expected, atol=1e-4), "another network"
    assert np.allclose(bare(), expected, atol=1e-4)
    through: list[float] = []
    direct: list[float] = []
    wall: list[float] = []

    def run() -> None:
        begin = time.perf_counter()
        opened.backend.run(inputs)
        wall.append(time.perf_counter() - begin)

    def both() -> None:
        pairs = [(run, through), (bare, direct)]
        for call, times in pairs if len(direct) % 2 else reversed(pairs):
            begin = time.process_time()  # of all threads: what others do on this machine counts in neither
            call()
            times.append(time.process_time() - begin)

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=3)
    with Sandbox(path, device="cpu", threads=1) as box:
        box.predict(IMAGE)
        peak = box.peak_memory
    benchmark.extra_info |= {
        "ratio": at_most(LIMIT, through, direct, both),
        "milliseconds": 1000 * median(wall),
        "peak_memory_mb": round((peak or 0) / 1e6),
    }
