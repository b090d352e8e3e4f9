"""A call timed by MLPerf's own load generator, one query at a time (the extra package `mlcommons-loadgen`)."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

SAMPLES = 64


def single_stream(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of every query that loadgen issued for at least so long, as its own trace has them.

    Raises:
        ImportError: `mlcommons-loadgen` is not installed.
    """
    import mlperf_loadgen as loadgen

    def issue(queries: list[object]) -> None:
        for query in queries:
            call()
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(query.id, 0, 0)])  # type: ignore[attr-defined]

    settings = loadgen.TestSettings()
    settings.scenario, settings.mode = loadgen.TestScenario.SingleStream, loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = settings.max_duration_ms = int(1000 * seconds)
    settings.min_query_count = 1
    with tempfile.TemporaryDirectory() as folder:
        output = loadgen.LogOutputSettings()
        output.outdir = folder
        logs = loadgen.LogSettings()
        logs.log_output, logs.enable_trace = output, True
        sut = loadgen.ConstructSUT(issue, lambda: None)
        library = loadgen.ConstructQSL(SAMPLES, SAMPLES, lambda _: None, lambda _: None)
        try:
            loadgen.StartTestWithLogSettings(sut, library, settings, logs)
        finally:
            loadgen.DestroyQSL(library)
            loadgen.DestroySUT(sut)
        trace = Path(folder, "mlperf_log_trace.json").read_text(encoding="utf-8")
    return durations(trace)


def durations(trace: str) -> list[float]:
    """Seconds of the queries in loadgen's trace.

    Example:
        >>> durations('{"name":"Sample","args":{"issue_start_ns":100,"complete_ns":2000100}}')
        [0.002]
    """
    pairs = re.findall(r'"issue_start_ns":(\d+),"complete_ns":(\d+)', trace)
    return [(int(complete) - int(start)) / 1e9 for start, complete in pairs]
