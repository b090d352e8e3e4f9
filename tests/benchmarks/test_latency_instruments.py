"""Our times beside those of others' instruments around the very same calls: MLPerf's loadgen and pytest-benchmark."""

from collections.abc import Iterator

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from studies.gpu_check.single_stream import single_stream
from wildbench.resources import bundled
from wildbench.submissions.process import Sandbox

pytestmark = pytest.mark.timed

CLOSE = 0.02
IMAGE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)


class Timed:
    """A detector in its sandbox, and the seconds that we took down for each call."""

    def __init__(self, box: Sandbox) -> None:
        self._box = box
        self.times: list[float] = []

    def __call__(self) -> None:
        self.times.append(self._box.predict(IMAGE).seconds)


@pytest.fixture
def call() -> Iterator[Timed]:
    with Sandbox(bundled("baselines/reference.pt"), threads=1) as box:
        for _ in range(10):
            box.predict(IMAGE)
        yield Timed(box)


def test_loadgen_has_the_same_percentiles(call: Timed) -> None:
    pytest.importorskip("mlperf_loadgen")
    theirs = single_stream(call, 12.0)
    assert len(theirs) == len(call.times)
    for p in (0.5, 0.9):
        ratio = np.quantile(call.times, p) / np.quantile(theirs, p)
        assert abs(ratio - 1) <= CLOSE, f"p{100 * p:g}: {ratio:.4f} over {len(theirs)} calls"


def test_pytest_benchmark_has_the_same_median(call: Timed, benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(call, rounds=60)
    ratio = float(np.median(call.times)) / benchmark.stats.stats.median
    assert abs(ratio - 1) <= CLOSE, f"{ratio:.4f}"
