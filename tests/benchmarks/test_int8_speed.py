"""What integers win: one detector in ONNX Runtime on one thread, as it is and quantized by wildbench."""

import time
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import nn

from wildbench.compression.methods._onnx_int8 import export, traced
from wildbench.compression.methods._quantization import Quantize, quantize
from wildbench.compression.subject import Subject, Workshop
from wildbench.datasets.coco import Dataset
from wildbench.detectors.zoo import _zoo
from wildbench.submissions.manifest import parse_manifest

pytestmark = pytest.mark.timed

NAME, SIDES = "retinanet_resnet50_fpn", {"min_size": 320, "max_size": 320}
ROUNDS = 5
LIMIT = 0.9
"""A quarter to a half is usual for processors that multiply bytes (VNNI); those that do not gain little."""


def photographs(folder: Path) -> Dataset:
    cv2.imwrite(str(folder / "1.png"), np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8))
    images = [{"id": 1, "file_name": "1.png", "width": 320, "height": 320}]
    categories = [{"id": 1, "name": "zebra"}, {"id": 2, "name": "lion"}]
    return Dataset("photographs", "train", {"images": images, "annotations": [], "categories": categories}, folder)


def session(graph: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def test_retinanet_runs_faster_in_integers(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    torch.manual_seed(0)
    document = {"name": "dense", "detector": {"name": NAME, "arguments": SIDES}, "categories": ["zebra", "lion"]}
    subject = Subject(_zoo.build(NAME, 2, **SIDES).eval(), parse_manifest(document, "dense.pt"))
    floats = session(traced(subject.model).SerializeToString())
    quantize(subject, Quantize(images=1), Workshop(nn.Identity(), photographs(tmp_path)))
    export(subject, tmp_path / "int8.onnx", subject.manifest)
    integers = session((tmp_path / "int8.onnx").read_bytes())
    image = {"image": np.random.default_rng(1).random((3, 320, 320), np.float32)}
    taken: dict[str, list[float]] = {"floats": [], "integers": []}

    def both() -> None:
        for name, one in (("floats", floats), ("integers", integers)):
            begin = time.perf_counter()
            one.run(None, image)
            taken[name].append(time.perf_counter() - begin)

    benchmark.pedantic(both, rounds=ROUNDS, warmup_rounds=1)
    ratio = min(taken["integers"]) / min(taken["floats"])
    benchmark.extra_info |= {"ratio": ratio, "floats_s": min(taken["floats"])}
    assert ratio <= LIMIT
