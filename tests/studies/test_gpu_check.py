"""The script for a machine with a GPU, as far as one without can try it."""

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from studies.gpu_check import __main__ as gpu_check
from studies.gpu_check.single_stream import durations
from studies.gpu_check.ways import HostPort, ways


def test_ways_on_the_processor_answer_alike_and_are_timed() -> None:
    port, found = HostPort(), []
    makers = ways(nn.Conv2d(3, 2, 3), "cpu", port)
    for maker in (next(makers), next(makers)):
        way = maker()
        found.append(way.check())
        times = gpu_check.timed(port, way.call, calls=3)
        assert all(0 < device <= wall for device, wall in zip(*times.values(), strict=True))
    assert np.allclose(*found, atol=1e-5)


def test_onnx_runtime_is_bound_to_memory_and_asserted() -> None:
    pytest.importorskip("onnxruntime")
    port = HostPort()
    makers = list(ways(nn.Conv2d(3, 2, 3), "cpu", port))
    assert np.allclose(makers[0]().check(), makers[-1]().check(), atol=1e-4)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so() -> None:
    result = CliRunner().invoke(gpu_check.app, [])
    assert getattr(result.exception, "code", "").endswith("no-gpu")


def test_a_report_names_what_differs_and_what_is_missing() -> None:
    row = {"network": "a", "way": "b", "device_ms": [1.0], "wall_ms": [2.0], "difference": 0.5}
    found = {"facts": {"device": "cpu"}, "traces": [row, {"network": "c", "error": "gone"}]}
    text = gpu_check.report({**found, "loadgen": {"error": "none"}, "parts": []})
    assert "| a | b | 1.000 | 2.000 | 5.0e-01 **differs** |" in text
    assert "| c | gone |" in text


def test_loadgen_tells_nanoseconds() -> None:
    assert durations('{"args":{"issue_start_ns":5,"complete_ns":1000005}}') == [0.001]
