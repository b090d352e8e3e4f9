"""How long one image takes: host uint8 image in, host detections out, batch 1, by the parent's clock.

The samples are those of the pass that makes the predictions. Between the images, in a process of its own and while the
detector's are stopped, the reference network runs now and then, so that a slow moment of the machine slows both.

References: MLPerf Inference's single-stream scenario (one query at a time, tail percentiles; Reddi et al., 2020);
Künsch, 1989, for the bootstrap of blocks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from importlib import import_module
from itertools import cycle, islice
from statistics import median
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, NonNegativeInt

from wildbench.measures import reference_network
from wildbench.measures.latency._quantiles import CONFIDENCE, mean_figure, percentile_figure
from wildbench.measures.reference_network import Reference
from wildbench.scorecard import Audit, Execution, Figure, Latency
from wildbench.submissions.process import ask, processor_seconds

if TYPE_CHECKING:
    from wildbench.submissions.process import Answer, Opened, Sandbox


class Process(BaseModel):
    """What only the detector's process can tell."""

    device: str
    """"cpu", or the CUDA device's name."""
    peak_memory: NonNegativeInt | None
    """Of an accelerator, in bytes; None where nothing keeps a record."""


def describe(opened: Opened, _image: object = None) -> dict[str, Any]:
    """Describe this process; runs in the child."""
    facts = opened.backend.facts()
    return Process(device=facts["device"], peak_memory=facts["peak_memory"]).model_dump()


def execution(opened: Opened, _image: object = None) -> dict[str, Any]:
    """What runs the network, as its backend says; runs in the child."""
    facts = opened.backend.facts()
    return {key: facts[key] for key in Execution.model_fields if key in facts}


def execution_of(box: Sandbox) -> Execution:
    """What really runs the network in a sandbox; on the CPU the device is no word of its process."""
    told = ask(box, "wildbench.measures.latency:execution", Execution)
    return told.model_copy(update={"device": "cpu"}) if box.device == "cpu" else told


Image = npt.NDArray[np.uint8]

ROUND = 3
"""Images of a warm-up round; each round takes the same ones."""

MOST_ROUNDS = 6

TOLERANCE = 0.10
"""The detector is warm when the medians of two rounds in succession differ by no more than this share."""

SHARE = 0.03
"""Part of the time that the reference network may take."""

RESAMPLES = 1000

THREADS_TOLERANCE = 1.15
"""Processor time over wall time that a thread may have: clocks differ, and a library's own threads do a little."""

LEAST_BLOCKS = 10
"""Fewer reference runs than this give a ratio without an interval."""

IDLE = 0.05
"""Of a reference run's time, what the detector's stopped processes may take of the processor meanwhile."""

MOST_DISTURBED = 0.10
"""Share of the reference runs that may be disturbed, and so left out, before there is no ratio."""


class Stopwatch:
    """Collects the times of one evaluation: `warm_up`, for each image `add` and `interleave_reference`, `latency`.

    A context manager, which ends the process of the reference network.
    """

    def __init__(self) -> None:
        self.warmup_runs = 0
        self.every = 1
        self.disturbed = 0
        self._times: list[float] = []
        self._processor: list[float] = []
        self._stages: list[dict[str, float]] = []
        self._references: list[float] = []
        self._network: Reference | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._network:
            self._network.close()

    def prepare(self, threads: int) -> None:
        """Start and import what is needed later, while the detector's process starts."""
        self._network = Reference(None, threads)
        import_module("scipy.special")

    def warm_up(self, box: Sandbox, images: Sequence[Image]) -> None:
        """Run until the time is stable, for 6 rounds at most, and decide how often the reference network runs.

        Args:
            box: The open submission.
            images: Real images, uint8, H x W x 3, RGB; the first three are a round, fewer are repeated.
        """
        medians = warm(box, images)
        self.warmup_runs = ROUND * len(medians)
        if medians:
            self._time_reference(box)  # its process starts
            begin = time.perf_counter()
            for _ in range(ROUND):
                self._time_reference(box)
            cost = (time.perf_counter() - begin) / ROUND
            self.every = max(1, math.ceil(cost / (SHARE * medians[-1])))
            self.disturbed = 0

    def add(self, answer: Answer) -> None:
        """Take the times of one answer."""
        self._times.append(answer.seconds)
        self._processor.append(answer.processor)
        self._stages.append({name: seconds for name, seconds in answer.stages.items() if math.isfinite(seconds)})

    def interleave_reference(self, box: Sandbox) -> None:
        """Run the reference network, if its turn has come. Call it after each image."""
        if len(self._times) % self.every == 0:
            self._references.append(self._time_reference(box))

    def _time_reference(self, box: Sandbox) -> float:
        """Seconds of one pass, while the detector's processes are stopped; NaN where they were not idle."""
        if self._network is None:
            self._network = Reference(None, box.threads)
        self._network.place(box.device)
        seconds = time_reference(box, self._network)
        self.disturbed += math.isnan(seconds)
        return seconds

    def latency(self, box: Sandbox) -> Latency:
        """The figures. Ask before anything else runs in the open box: its peak memory is read now."""
        peak = box.peak_memory
        process = ask(box, "wildbench.measures.latency:describe", Process)
        on_cpu = box.device == "cpu"
        times = [1000 * seconds for seconds in self._times]
        return Latency(
            device="cpu" if on_cpu else process.device,
            threads=box.threads if on_cpu else None,
            p50=percentile_figure(times, 0.50, "ms"),
            p90=percentile_figure(times, 0.90, "ms"),
            p99=percentile_figure(times, 0.99, "ms"),
            mean=mean_figure(times, "ms"),
            stages={name: self._stage(name) for name in sorted(set().union(*self._stages))},
            reference_ratio=self._ratio(),
            reference=f"{reference_network.DESCRIPTION}, {'numpy' if on_cpu else 'torch'}, in its own process",
            warmup_runs=self.warmup_runs,
            peak_memory=_memory(peak, "the system") if on_cpu else _memory(process.peak_memory, "the runtime"),
        )

    def audit(self, box: Sandbox) -> Audit:
        """Whether the processor time of the calls fits the threads and the wall clock."""
        wall, taken, n = sum(self._times), sum(self._processor), len(self._times)
        figure = Figure(value=taken / wall, unit="1", n=n) if n else Figure.undefined("1", "there are no calls", 0)
        bound = box.threads * THREADS_TOLERANCE
        return Audit(
            name="processor-time",
            passed=taken <= bound * wall if n and box.device == "cpu" else None,
            measured=figure,
            bound=bound,
            evidence={"processor": Figure(value=taken, unit="s", n=n), "wall": Figure(value=wall, unit="s", n=n)},
            explanation="Processor time of the detector's processes during the calls over the wall clock's; it passes "
            "up to its threads, and a little. Not judged on CUDA, where drivers have threads of their own.",
        )

    def _ratio(self) -> Figure:
        if self.disturbed > MOST_DISTURBED * len(self._references):
            reason = f"the detector was not idle in {self.disturbed} of {len(self._references)} reference runs"
            return Figure.undefined("1", reason, 0)
        if not self.disturbed:
            return ratio_figure(self._times, self._references, self.every)
        kept = [turn for turn, seconds in enumerate(self._references) if math.isfinite(seconds)]
        times = [self._times[turn * self.every + place] for turn in kept for place in range(self.every)]
        return ratio_figure(times, [self._references[turn] for turn in kept], self.every)

    def _stage(self, name: str) -> Figure:
        return percentile_figure([1000 * stages[name] for stages in self._stages if name in stages], 0.50, "ms")


def warm(box: Sandbox, images: Sequence[Image]) -> list[float]:
    """Run rounds until the time is stable, for 6 of them at most; gives their medians in seconds."""
    some = list(islice(cycle(images), ROUND)) if images else []
    medians: list[float] = []
    while some and len(medians) < MOST_ROUNDS and not _stable(medians):
        medians.append(median(box.predict(image).seconds for image in some))
    return medians


def time_reference(box: Sandbox, network: Reference) -> float:
    """Seconds of one pass, while the detector's processes are stopped; NaN where they were not idle."""
    with box.held() as pids:
        before = sum(processor_seconds(pids).values())
        seconds = network.seconds()
        idle = sum(processor_seconds(pids).values()) - before <= IDLE * seconds
    return seconds if idle else math.nan


def _memory(peak: int | None, who: str) -> Figure:
    if peak is None:
        return Figure.undefined("B", f"{who} keeps no record of the memory it takes")
    return Figure(value=peak, unit="B", n=1)


def ratio_figure(times: Sequence[float], references: Sequence[float], every: int) -> Figure:
    """Median of the detector's times over that of the reference's.

    A block is `every` times and the reference run that followed them. The interval is that of a bootstrap of whole
    blocks, which keeps together what the machine did at one moment.

    Example:
        >>> ratio_figure([4.0, 4.0, 6.0, 6.0], [2.0, 2.0], every=2).value
        2.0
    """
    blocks = min(len(references), len(times) // every)
    if not blocks:
        reason = f"the reference network runs after every {every} images, there were {len(times)}"
        return Figure.undefined("1", reason, 0)
    detector, unit = np.array(times), np.array(references)
    ratio = _median(detector) / _median(unit)
    if blocks < LEAST_BLOCKS:
        return Figure(value=ratio, unit="1", n=blocks)
    detector, unit = detector[: blocks * every].reshape(blocks, every), unit[:blocks]
    chosen = np.random.default_rng(0).integers(blocks, size=(RESAMPLES, blocks))
    ratios = [_median(detector[some].ravel()) / _median(unit[some]) for some in chosen]
    low, high = np.quantile(ratios, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    around = min(float(low), ratio), max(float(high), ratio)  # the last, broken block is in the ratio alone
    return Figure(value=ratio, unit="1", n=blocks, interval=around)


def _median(samples: npt.NDArray[np.float64]) -> float:
    """The lower one of two, as in `percentile_figure`."""
    middle = (samples.size - 1) // 2
    return float(np.partition(samples, middle)[middle])


def _stable(medians: Sequence[float]) -> bool:
    return len(medians) > 1 and abs(medians[-1] - medians[-2]) <= TOLERANCE * medians[-2]
